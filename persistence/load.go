package persistence

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// Load returns what is stored of the room: every record whose done function has been called with nil, and perhaps some whose
// done is about to be. It reads the disk, so it may block as long as a read does.
// Errors: ErrNotFound for a room that was never stored or was deleted (a zero Stored is the right start for it), *DamageError
// when the room cannot be read back as it was written; it is set aside from then on.
func (s *Store) Load(ctx context.Context, room string) (Stored, error) {
	if err := checkRoomName(room); err != nil {
		return Stored{}, err
	}
	for {
		if err := context.Cause(ctx); err != nil {
			return Stored{}, err
		}
		st, err := s.loadOnce(room)
		if errors.Is(err, errMoved) {
			continue
		}
		if d, ok := errors.AsType[*DamageError](err); ok && d.Room != "" {
			return Stored{}, s.setAside(d)
		}
		return st, err
	}
}

// errMoved says that the log was shortened between a look at the index and the read.
var errMoved = errors.New("the log has moved on")

func (s *Store) loadOnce(room string) (Stored, error) {
	s.mu.Lock()
	if d := s.damageOf(room); d != nil {
		s.mu.Unlock()
		return Stored{}, d
	}
	runs, tomb := s.idx.runsOf(room)
	s.mu.Unlock()

	st, m, found, err := s.readRooms(room, tomb)
	if err != nil {
		return Stored{}, err
	}
	s.mu.Lock()
	loss := s.lossOf(room, found, m.dirty)
	s.mu.Unlock()
	if loss != nil {
		return Stored{}, loss
	}
	tail, err := s.readTail(room, runs)
	if err != nil {
		return Stored{}, err
	}
	st.Tail = orderTail(append(st.Tail, tail...), st.Snapshot.Pos, found)
	if len(st.Tail) > 0 {
		st.Pos = st.Tail[len(st.Tail)-1].Pos
	}
	if !found && len(st.Tail) == 0 {
		return Stored{}, fmt.Errorf("load %q: %w", room, ErrNotFound)
	}
	return st, nil
}

// readRooms reads the room's snapshot, and as its tail the parked records, unless a tombstone has made them void. After damage of
// parked records, which is errParked, the result is what is left.
func (s *Store) readRooms(room string, tomb uint64) (st Stored, m meta, found bool, err error) {
	damage := func(what string, err error) error {
		return &DamageError{Room: room, File: roomsFile, What: what, Err: err}
	}
	err = s.rooms.View(func(tx *bolt.Tx) error {
		if v := tx.Bucket(bucketRooms).Get([]byte(room)); v != nil {
			var err error
			if m, err = s.seal.decodeMeta([]byte(room), v); err != nil {
				return damage("meta", err)
			}
			if found = m.dirty > tomb || tomb == 0; !found {
				m = meta{}
			}
		}
		if found {
			sv, state, err := s.seal.joinChunks(room, m, tx.Bucket(bucketChunks).Get)
			if err != nil {
				return damage("snapshot", err)
			}
			st = Stored{Snapshot: Snapshot{Pos: m.pos, State: state, StateVector: sv}, Pos: m.pos, Gen: m.gen}
		}
		var err error
		st.Tail, err = s.readSegments(tx, nil, room, tomb)
		return err
	})
	if isPageFault(err) {
		err = damage("a page cannot be used", err)
	}
	return st, m, found, err
}

// readTail reads runs of the room from the log.
func (s *Store) readTail(room string, runs []run) (tail []Record, err error) {
	if len(runs) == 0 {
		return nil, nil
	}
	var bad run
	err = s.viewLog(func(tx *bolt.Tx) error {
		batches := tx.Bucket(bucketBatches)
		var key [8]byte
		for _, r := range runs {
			bad = r
			binary.BigEndian.PutUint64(key[:], r.lsn)
			v := batches.Get(key[:])
			if v == nil {
				return errMoved
			}
			var err error
			if tail, err = appendRun(tail, v, room, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		return tail, nil
	}
	if errors.Is(err, errMoved) {
		s.mu.Lock()
		now, _ := s.idx.runsOf(room)
		s.mu.Unlock()
		if !slices.Contains(now, bad) {
			return nil, errMoved
		}
	}
	return nil, &DamageError{Room: room, File: logFile, What: fmt.Sprintf("batch %d", bad.lsn), Err: err}
}

// orderTail returns the records after pos in order of their positions, each position with the same bytes once. Without a
// snapshot all records count.
func orderTail(tail []Record, pos Position, snapshot bool) []Record {
	if snapshot {
		tail = slices.DeleteFunc(tail, func(r Record) bool { return r.Pos.Compare(pos) <= 0 })
	}
	slices.SortStableFunc(tail, func(a, b Record) int { return a.Pos.Compare(b.Pos) })
	return slices.CompactFunc(tail, func(a, b Record) bool {
		return a.Pos == b.Pos && slices.Equal(a.Update, b.Update)
	})
}

// viewLog runs fn in a read transaction of the log.
func (s *Store) viewLog(fn func(*bolt.Tx) error) error {
	s.logMu.RLock()
	defer s.logMu.RUnlock()
	return s.log.View(fn)
}

// runsOf returns a copy of the room's runs, and the LSN of its tombstone, if any.
func (x *index) runsOf(room string) ([]run, uint64) {
	l := x.rooms[room]
	if l == nil {
		return nil, 0
	}
	return slices.Clone(l.runs), l.tomb
}

// tombOf returns the LSN of the tombstone that rooms.db has not followed yet, or 0.
func (x *index) tombOf(room string) uint64 {
	if l := x.rooms[room]; l != nil {
		return l.tomb
	}
	return 0
}

// lossOf tells whether something lost without a name may have been the room's. dirty is the room's first LSN beyond its snapshot,
// stored tells whether it has one. mu is held.
func (s *Store) lossOf(room string, stored bool, dirty uint64) *DamageError {
	if !stored {
		dirty = 0
	}
	return s.lost.of(room, stored, dirty, s.pardoned[room])
}
