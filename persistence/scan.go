package persistence

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// scan is one look at a file that nobody has open, through an image.
type scan struct {
	path     string
	exists   bool
	img      *image // nil when the file does not exist
	node     node
	problems []problem
	sequence map[string]uint64
	free     int64 // bytes in free pages
}

// scanFile walks the file as w says, whose image it sets. An unreadable part is a problem in the scan, not an error.
func scanFile(path string, w walker) (*scan, error) {
	sc := &scan{path: path}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return sc, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sc.exists = true
	if sc.img, err = openImage(f); errors.Is(err, errNoMeta) {
		sc.problems = []problem{{bucket: allBuckets, err: err}}
		return sc, nil
	}
	if err != nil {
		return nil, err
	}
	w.img = sc.img
	w.walk()
	sc.img.r = nil // closed
	sc.problems, sc.sequence, sc.free = w.problems, w.sequence, int64(w.free)*sc.img.pageSize
	if sc.img.badMetas > 0 {
		sc.problems = append(sc.problems, problem{err: errors.New("a meta page is invalid: the newest commit may be missing")})
	}
	return sc, nil
}

func (sc *scan) sequenceOf(bucket []byte) uint64 { return sc.sequence[string(bucket)] }

// scanNode reads only what bucket "n" says.
func scanNode(path string) (*scan, error) {
	var n node
	var entries [][2][]byte
	sc, err := scanFile(path, walker{only: string(bucketNode), element: func(_ string, key, value []byte) {
		n.readSchema(key, value)
		n.readID(key, value)
		entries = append(entries, [2][]byte{bytes.Clone(key), bytes.Clone(value)})
	}})
	if err != nil {
		return nil, err
	}
	if n.id != nil {
		for _, e := range entries {
			n.readSealed(newSeal(n.id), e[0], e[1])
		}
	}
	sc.node = n
	return sc, nil
}

// logScan is what a walk over the log finds.
type logScan struct {
	*scan
	first, last uint64 // of the batches found, in a row
	batches     int
	lastTx      uint64
}

// sound tells whether the log is whole, as far as it can tell by itself.
func (l *logScan) sound() bool { return len(l.problems) == 0 }

// scanLog walks the log and gives the runs of its batches to add, and the size of each, in order.
func scanLog(path string, s seal, n node, add func(lsn uint64, size int, runs []roomRun)) (*logScan, error) {
	l := &logScan{}
	var problems []problem
	trouble := func(bucket []byte, lsn uint64, err error) {
		problems = append(problems, problem{bucket: string(bucket), err: fmt.Errorf("batch %d: %w", lsn, err)})
	}
	directories := 0
	firstDir, lastDir := uint64(0), uint64(0)
	var runs []roomRun
	sc, err := scanFile(path, walker{element: func(bucket string, key, value []byte) {
		if bucket != string(bucketBatches) && bucket != string(bucketDirectories) {
			return
		}
		if len(key) != 8 {
			problems = append(problems, problem{bucket: bucket, err: fmt.Errorf("key %x", key)})
			return
		}
		lsn := binary.BigEndian.Uint64(key)
		if bucket == string(bucketDirectories) {
			if directories == 0 {
				firstDir = lsn
			}
			directories, lastDir = directories+1, lsn
			if _, err := s.decodeDirectory(value, lsn); err != nil {
				trouble(bucketDirectories, lsn, err)
			}
			return
		}
		if l.batches == 0 {
			l.first = lsn
		}
		l.batches, l.last = l.batches+1, lsn
		var err error
		if runs, err = s.decodeBatch(runs[:0], value, lsn); err != nil {
			trouble(bucketBatches, lsn, err)
			return
		}
		head, _ := s.decodeBatchHead(value)
		l.lastTx = head.tx
		add(lsn, len(value), runs)
	}})
	if err != nil {
		return nil, err
	}
	l.scan = sc
	l.problems = append(l.problems, problems...)
	if !sc.exists || len(l.problems) > 0 {
		return l, nil
	}
	switch {
	case l.batches == 0:
		trouble(bucketBatches, 0, errors.New("there is none"))
	case l.last-l.first+1 != uint64(l.batches):
		trouble(bucketBatches, l.first, errors.New("the batches are not in a row"))
	case firstDir != l.first || lastDir != l.last || directories != l.batches:
		trouble(bucketDirectories, l.first, errors.New("the directories do not match the batches"))
	case sc.sequence[string(bucketBatches)] != l.last:
		trouble(bucketBatches, l.last, errors.New("not the last one"))
	case l.lastTx != sc.img.tx:
		trouble(bucketBatches, l.last, fmt.Errorf("written by transaction %d, the last one is %d", l.lastTx, sc.img.tx))
	case n.bad != nil:
		trouble(bucketNode, l.last, n.bad)
	case l.first != n.floor:
		trouble(bucketBatches, l.first, fmt.Errorf("the log begins at %d", n.floor))
	}
	l.problems = append(l.problems, problems...)
	return l, nil
}

// roomsScan is what a walk over rooms.db finds.
type roomsScan struct {
	*scan
	damaged []*DamageError // rooms whose meta, or list of parked records, is damaged
}

// scanRooms walks rooms.db. Unless full is set, leaf pages with chunks are not read; Load and the scrubber check those.
func scanRooms(path string, s seal, full bool) (*roomsScan, error) {
	r := &roomsScan{}
	shallow := string(bucketChunks)
	if full {
		shallow = ""
	}
	sc, err := scanFile(path, walker{shallow: shallow, element: func(bucket string, key, value []byte) {
		switch bucket {
		case string(bucketRooms):
			if _, err := s.decodeMeta(key, value); err != nil {
				r.damaged = append(r.damaged, metaDamage(s, key, value, err)...)
			}
		case string(bucketParked):
			if _, err := s.decodeList(key, value); err != nil {
				r.damaged = append(r.damaged, listDamage(string(key), err))
			}
		}
	}})
	if err != nil {
		return nil, err
	}
	r.scan = sc
	return r, nil
}

// metaDamage names the rooms that a damaged entry of bucket "r" may be: the one in its key, and the one in its value.
func metaDamage(s seal, key, value []byte, err error) []*DamageError {
	out := []*DamageError{{Room: string(key), File: roomsFile, What: "meta", Err: err}}
	if name, ok := s.metaName(value); ok && name != string(key) {
		out = append(out, &DamageError{Room: name, File: roomsFile, What: fmt.Sprintf("meta lies under the name %q", key)})
	}
	return out
}
