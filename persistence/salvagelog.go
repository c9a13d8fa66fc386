package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// logSalvage decides what a damaged log still says.
type logSalvage struct {
	seal    seal
	found   carving
	first   uint64
	last    uint64
	groups  map[uint64]*group // records that are right, by LSN
	damaged map[string]lsnDamage
	lost    []lsnRange
}

// lsnDamage is the last batch in which records of a room are lost.
type lsnDamage struct {
	lsn uint64
	err error
}

// salvageLog finds in the bytes of wal.db everything that is right, from the batches floor on. tx is the newest transaction of
// the file (0: not known), atLeast a batch that the log is known to have reached.
func salvageLog(b []byte, s seal, floor, tx, atLeast uint64) *logSalvage {
	v := &logSalvage{
		seal:    s,
		found:   carve(b, s),
		groups:  make(map[uint64]*group),
		damaged: make(map[string]lsnDamage),
	}
	v.bounds(floor, tx, atLeast)
	for lsn := v.first; lsn <= v.last; lsn++ {
		v.batch(lsn)
	}
	return v
}

// bounds finds the first and the last batch that there must be.
func (v *logSalvage) bounds(floor, tx, atLeast uint64) {
	v.first = floor
	v.last = max(atLeast, floor)
	newest := carved{}
	for lsn, c := range v.found.batches {
		if lsn >= newest.lsn {
			newest = c
		}
	}
	for lsn := range v.found.dirs {
		v.last = max(v.last, lsn)
	}
	v.last = max(v.last, newest.lsn)
	switch {
	case tx == 0 || len(v.found.batches) == 0:
		// Nothing tells how long the log was.
		v.lost = append(v.lost, lsnRange{v.last + 1, math.MaxUint64})
	case tx > newest.tx:
		v.last = max(v.last, newest.lsn+tx-newest.tx)
	}
}

// batch takes what is right of one batch and names the rooms of the rest.
func (v *logSalvage) batch(lsn uint64) {
	g := &group{}
	v.groups[lsn] = g
	c, found := v.found.batches[lsn]
	dir, hasDir := v.found.dirs[lsn]
	switch {
	case found && c.err == nil:
		v.take(g, c.runs, c.value, nil)
	case hasDir:
		err := c.err
		if !found {
			err = errors.New("the batch is lost")
		}
		v.take(g, dir, c.value, err)
	default:
		v.take(g, c.runs, c.value, nil) // up to the damage
		v.lose(lsn)
	}
}

// take adds the runs to g whose records are right.
func (v *logSalvage) take(g *group, runs []roomRun, value []byte, cause error) {
	for _, r := range runs {
		recs, err := appendRun(nil, value, r.room, r.run)
		if err != nil {
			v.damaged[r.room] = lsnDamage{r.lsn, errors.Join(cause, err)}
		}
		if r.tomb {
			g.add(kindTombstone, r.room, Position{}, nil)
		}
		for _, rec := range recs {
			g.add(kindUpdate, rec.Room, rec.Pos, rec.Update)
		}
	}
}

func (v *logSalvage) lose(lsn uint64) {
	if n := len(v.lost); n > 0 && v.lost[n-1].To+1 == lsn {
		v.lost[n-1].To = lsn
		return
	}
	v.lost = append(v.lost, lsnRange{lsn, lsn})
}

// damages names the rooms that have lost records which their snapshot does not cover. dirty returns the first LSN that matters to
// a room.
func (v *logSalvage) damages(dirty func(room string) uint64) []*DamageError {
	var out []*DamageError
	for _, room := range slices.Sorted(maps.Keys(v.damaged)) {
		d := v.damaged[room]
		if d.lsn >= dirty(room) {
			out = append(out, &DamageError{Room: room, File: logFile, What: fmt.Sprintf("batch %d", d.lsn), Err: d.err})
		}
	}
	return out
}

// losses returns the ranges that are lost and needed.
func (v *logSalvage) losses() []lsnRange {
	return slices.DeleteFunc(slices.Clone(v.lost), func(r lsnRange) bool { return r.To < v.first })
}

// rebuild writes a new wal.db with what is right, and keeps the damaged file under another name.
func (v *logSalvage) rebuild(path string, id []byte) error {
	b, err := v.build(path, id)
	if err != nil {
		return err
	}
	if err := keepDamaged(path); err != nil {
		return errors.Join(err, b.abandon())
	}
	return b.finish()
}

// build writes the batches into a new file that has no name yet.
func (v *logSalvage) build(path string, id []byte) (*builder, error) {
	b, err := newBuilder(path)
	if err != nil {
		return nil, err
	}
	if err := b.commit(func(tx *bolt.Tx) error { return v.fill(tx, id) }); err != nil {
		return nil, errors.Join(err, b.abandon())
	}
	return b, nil
}

// fill writes the batches into an empty file.
func (v *logSalvage) fill(tx *bolt.Tx, id []byte) error {
	if err := putNode(tx, id, v.first); err != nil {
		return err
	}
	batches, directories, err := logBuckets(tx)
	if err != nil {
		return err
	}
	for lsn := v.first; lsn <= v.last; lsn++ {
		key := binary.BigEndian.AppendUint64(nil, lsn)
		value, runs := v.seal.appendBatch(nil, nil, lsn, uint64(tx.ID()), v.groups[lsn])
		if err := errors.Join(
			batches.Put(key, value),
			directories.Put(key, v.seal.appendDirectory(nil, lsn, runs)),
		); err != nil {
			return err
		}
	}
	return batches.SetSequence(v.last)
}

// logBuckets makes the buckets of a log.
func logBuckets(tx *bolt.Tx) (batches, directories *bolt.Bucket, err error) {
	if batches, err = tx.CreateBucketIfNotExists(bucketBatches); err != nil {
		return nil, nil, err
	}
	if directories, err = tx.CreateBucketIfNotExists(bucketDirectories); err != nil {
		return nil, nil, err
	}
	batches.FillPercent, directories.FillPercent = 1, 1
	return batches, directories, nil
}

// keepDamaged gives a damaged file a second name, NAME.damaged-TIME, under which it stays for the operator.
func keepDamaged(path string) error {
	for at := time.Now().UTC(); ; at = at.Add(time.Second) {
		err := os.Link(path, path+".damaged-"+at.Format("20060102T150405Z"))
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
}
