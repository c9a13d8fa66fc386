package persistence

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Initial sizes of the memory maps: address space only, so that a reader need not make a commit wait for a larger map.
const (
	logMmap   = 1 << 30
	roomsMmap = 8 << 30
)

// fullScan is the size of rooms.db up to which all of it is read when it is opened; of a larger one, the pages with chunks are
// left to Load and to the scrubber, unless checkFile says that they found something.
const fullScan = 64 << 20

// checkFile asks the next Open to read all of rooms.db: a page that only bbolt's writing came across is damaged.
const checkFile = "CHECK"

// open looks at both files before bbolt does, makes what is missing, repairs what can be repaired, and reads the log.
func (s *Store) open() error {
	rooms, log, err := s.scanNodes()
	if err != nil {
		return err
	}
	if err := s.openRooms(rooms); err != nil {
		return err
	}
	if err := s.readQuarantine(rooms.node); err != nil {
		return fmt.Errorf("%s: %w", roomsFile, err)
	}
	if err := s.openLog(log, rooms.node); err != nil {
		return err
	}
	if err := errors.Join(s.readParked(), s.dropCovered()); err != nil {
		return fmt.Errorf("%s: %w", roomsFile, err)
	}
	s.safeFloor.Store(s.logFirst)
	for _, d := range s.quarantine {
		s.opts.Events.damaged(d)
	}
	for _, d := range s.lost.list() {
		s.opts.Events.damaged(d)
	}
	return s.resumeJobs()
}

// scanNodes reads what both files say about themselves, and settles the id. New files are made here.
func (s *Store) scanNodes() (rooms, log *scan, err error) {
	roomsPath, logPath := filePath(s.dir, roomsFile), filePath(s.dir, logFile)
	if rooms, err = scanNode(roomsPath); err != nil {
		return nil, nil, err
	}
	if log, err = scanNode(logPath); err != nil {
		return nil, nil, err
	}
	for sc, known := range map[*scan]uint32{rooms: schemaParked, log: schemaPlain} {
		if sc.node.schema > known {
			return nil, nil, fmt.Errorf("%s: schema %d, this version knows %d: %w", sc.path, sc.node.schema, known, ErrNewer)
		}
	}
	switch {
	case rooms.exists && !log.exists && (rooms.node.last > 0 || rooms.node.id == nil):
		return nil, nil, &DamageError{File: logFile, What: "the file is missing"}
	case log.exists && !rooms.exists && (log.sequenceOf(bucketBatches) > 0 || log.node.id == nil):
		return nil, nil, &DamageError{File: roomsFile, What: "the file is missing"}
	}
	if err := s.settleID(rooms, log); err != nil {
		return nil, nil, err
	}
	if !rooms.exists {
		if err := createBolt(roomsPath, func(tx *bolt.Tx) error { return makeRooms(tx, s.id, 0) }); err != nil {
			return nil, nil, fmt.Errorf("make %s: %w", roomsPath, err)
		}
	}
	if !log.exists {
		if err := createBolt(logPath, func(tx *bolt.Tx) error { return makeLog(tx, s.id) }); err != nil {
			return nil, nil, fmt.Errorf("make %s: %w", logPath, err)
		}
	}
	return rooms, log, nil
}

// settleID takes the id of the directory from the files, or makes one.
func (s *Store) settleID(rooms, log *scan) error {
	a, b := rooms.node.id, log.node.id
	switch {
	case a != nil && b != nil && !bytes.Equal(a, b):
		return fmt.Errorf("%s and %s do not belong together: they come from different directories", roomsFile, logFile)
	case a != nil:
		s.id = a
	case b != nil:
		s.id = b
	case rooms.exists || log.exists:
		return &DamageError{File: roomsFile, What: "the id of the directory cannot be read in either file"}
	default:
		s.id = make([]byte, idBytes)
		rand.Read(s.id)
	}
	s.seal = newSeal(s.id)
	rooms.node.id, log.node.id = s.id, s.id
	return nil
}

// makeLog fills a new log: batch 0 is empty, so that every transaction of the file stands for one batch.
func makeLog(tx *bolt.Tx, id []byte) error {
	v := &logSalvage{seal: newSeal(id), groups: map[uint64]*group{0: {}}}
	return v.fill(tx, id)
}

// openRooms checks rooms.db, writes it anew if it is damaged, and opens it.
func (s *Store) openRooms(sc *scan) (err error) {
	path := filePath(s.dir, roomsFile)
	full := s.mustCheck(path)
	r, err := scanRooms(path, s.seal, full)
	if err != nil {
		return err
	}
	if len(r.problems) > 0 || sc.node.bad != nil {
		if err := salvageRooms(path, sc.node, s.seal); err != nil {
			return fmt.Errorf("salvage %s: %w", path, err)
		}
		again, err := scanNode(path)
		if err != nil {
			return err
		}
		*sc = *again
	} else {
		for _, d := range r.damaged {
			s.quarantine[d.Room] = d
		}
	}
	if len(r.problems) == 0 && s.worthCompacting(r.scan) {
		if err := compactRooms(path); err != nil {
			return fmt.Errorf("compact %s: %w", path, err)
		}
	}
	if full {
		os.Remove(filePath(s.dir, checkFile)) // if it stays, the next Open is only slower
	}
	s.rooms, err = openBolt(path, min(roomsMmap, math.MaxInt))
	return err
}

// worthCompacting tells whether enough of the file is free.
func (s *Store) worthCompacting(sc *scan) bool {
	return s.opts.CompactFree >= 0 && sc.free > s.opts.CompactFree && float64(sc.free) > s.opts.CompactRatio*float64(sc.img.size)
}

// askCheck has the next Open read all of rooms.db.
func (s *Store) askCheck() {
	// Without the mark the damage is found when a room is loaded, as before.
	_ = os.WriteFile(filePath(s.dir, checkFile), nil, 0o600)
}

func (s *Store) mustCheck(path string) bool {
	if _, err := os.Stat(filePath(s.dir, checkFile)); !errors.Is(err, fs.ErrNotExist) {
		return true
	}
	fi, err := os.Stat(path)
	return err == nil && fi.Size() <= fullScan
}

// openLog reads the log into the index, writes it anew if it is damaged, and opens it.
func (s *Store) openLog(sc *scan, rooms node) (err error) {
	path := filePath(s.dir, logFile)
	again, err := scanNode(path) // it may have been made a moment ago
	if err != nil {
		return err
	}
	ls, err := scanLog(path, s.seal, again.node, s.noteBatch)
	if err != nil {
		return err
	}
	if ls.sound() && ls.last < rooms.last {
		ls.problems = append(ls.problems, problem{err: fmt.Errorf("the log ends at %d, it was at %d", ls.last, rooms.last)})
	}
	s.logFirst = ls.first
	if !ls.sound() {
		if err := s.salvageLog(path, again, rooms); err != nil {
			return fmt.Errorf("salvage %s: %w", path, err)
		}
	}
	s.log, err = openBolt(path, logMmap)
	return err
}

// noteBatch adds a batch of the log to the index.
func (s *Store) noteBatch(lsn uint64, size int, runs []roomRun) {
	s.idx.last = lsn
	for _, r := range runs {
		s.idx.add(r)
	}
	s.batches.add(lsn, size, time.Now())
}

// salvageLog writes the log anew with what is right in it, and sets aside the rooms that have lost something.
func (s *Store) salvageLog(path string, sc *scan, rooms node) error {
	b, err := os.ReadFile(path) // a log is kept short; this is the one time that it is in memory
	if err != nil {
		return err
	}
	tx := uint64(0)
	if sc.img != nil && sc.img.badMetas < 2 {
		tx = sc.img.tx
	}
	v := salvageLog(b, s.seal, max(sc.node.floor, rooms.floor), tx, rooms.last)
	damages := v.damages(s.dirtyOf)
	lost := losses{Log: append(s.lost.Log, v.losses()...), Rooms: s.lost.Rooms}
	if err := s.putQuarantine(damages, lost); err != nil {
		return err
	}
	s.lost = lost
	for _, d := range damages {
		s.quarantine[d.Room] = d
	}
	if err := v.rebuild(path, s.id); err != nil {
		return err
	}
	s.idx, s.batches = newIndex(), logBatches{}
	again, err := scanNode(path)
	if err != nil {
		return err
	}
	ls, err := scanLog(path, s.seal, again.node, s.noteBatch)
	if err != nil {
		return err
	}
	if !ls.sound() {
		return fmt.Errorf("the new log is damaged too: %v", ls.problems)
	}
	s.logFirst = ls.first
	return nil
}

// dirtyOf returns the first batch that matters to a room: everything before is covered by its snapshot.
func (s *Store) dirtyOf(room string) (lsn uint64) {
	err := s.rooms.View(func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketRooms).Get([]byte(room))
		if v == nil {
			return nil
		}
		m, err := s.seal.decodeMeta([]byte(room), v)
		lsn = m.dirty
		return err
	})
	if err != nil {
		return 0
	}
	return lsn
}

// readParked puts the parked records into the index. Rooms whose list is damaged are set aside already.
func (s *Store) readParked() error {
	return s.rooms.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketParked)
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			list, err := s.seal.decodeList(k, v)
			if err != nil {
				return nil
			}
			for _, g := range list {
				s.idx.park(string(k), g)
			}
			return nil
		})
	})
}

// dropCovered takes out of the index what snapshots already have.
func (s *Store) dropCovered() error {
	return s.rooms.View(func(tx *bolt.Tx) error {
		rooms := tx.Bucket(bucketRooms)
		for room, l := range s.idx.rooms {
			v := rooms.Get([]byte(room))
			if v == nil {
				continue
			}
			m, err := s.seal.decodeMeta([]byte(room), v)
			if err != nil {
				continue // Load names it
			}
			if m.dirty > l.tomb {
				s.idx.buried(room, l.tomb)
				s.idx.covered(room, m.pos)
			}
		}
		return nil
	})
}

// resumeJobs continues what a stop has interrupted in rooms.db.
func (s *Store) resumeJobs() error {
	for room, l := range s.idx.rooms {
		if l.tomb != 0 {
			if err := s.saver.put(s.buryJob(room, l.tomb, false)); err != nil {
				return err
			}
		}
	}
	return s.rooms.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketGarbage).ForEach(func(k, _ []byte) error {
			if room, gen, _, err := decodeChunkKey(k); err == nil {
				s.saver.sweep(generation{room: room, gen: gen})
			}
			return nil
		})
	})
}
