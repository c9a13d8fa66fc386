package persistence

import (
	"context"
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// Delete removes everything stored of the room, including damage, and returns when that is durable. Records appended later
// begin a new room. The caller must not Save the room at the same time. Errors: ErrNotFound, ErrFull, ErrDiskFull, ErrFenced,
// ErrClosed, ErrInvalid.
func (s *Store) Delete(ctx context.Context, room string) error {
	if err := checkRoomName(room); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	known, err := s.known(room)
	if err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("delete %q: %w", room, ErrNotFound)
	}
	buried := make(chan error, 1)
	if err := s.queue.put(kindTombstone, []Record{{Room: room}}, func(err error) { buried <- err }); err != nil {
		return err
	}
	if err := <-buried; err != nil {
		return err
	}
	s.mu.Lock()
	lsn := s.idx.tombOf(room)
	s.mu.Unlock()
	j := s.buryJob(room, lsn, true)
	return s.saver.wait(context.WithoutCancel(ctx), j)
}

// known tells whether there is anything to delete.
func (s *Store) known(room string) (bool, error) {
	s.mu.Lock()
	l := s.idx.rooms[room]
	known := s.quarantine[room] != nil || (l != nil && !l.none())
	lost := !s.lost.none()
	s.mu.Unlock()
	if known || lost {
		return true, nil
	}
	err := s.rooms.View(func(tx *bolt.Tx) error {
		known = tx.Bucket(bucketRooms).Get([]byte(room)) != nil
		return nil
	})
	if isPageFault(err) {
		return true, nil // it cannot be read, but it may be deleted
	}
	return known, err
}

// buryJob removes from rooms.db what the tombstone at lsn has made void. pardon also ends the room's quarantine; a job that
// is resumed after a restart must not, because the tombstone may be older than the damage.
func (s *Store) buryJob(room string, lsn uint64, pardon bool) *job {
	key := []byte(room)
	prefix := appendChunkPrefix(nil, room)
	step := func(tx *bolt.Tx, budget int) (int, bool, error) {
		rooms := tx.Bucket(bucketRooms)
		if v := rooms.Get(key); v != nil {
			if m, err := s.seal.decodeMeta(key, v); err == nil && m.dirty > lsn {
				return 0, true, nil // saved after the tombstone
			}
		}
		if list, err := s.segments(tx, room); err == nil && len(list) > 0 && list[len(list)-1].to >= lsn {
			return 0, true, nil // parked after the tombstone
		}
		if !pardon && s.suspect(room) {
			return 0, true, nil
		}
		if err := dropList(tx, room); err != nil {
			return 0, false, err
		}
		if err := rooms.Delete(key); err != nil {
			return 0, false, err
		}
		if pardon {
			if err := s.pardon(tx, room, lsn); err != nil {
				return 0, false, err
			}
		}
		return deletePrefix(tx.Bucket(bucketChunks), prefix, budget)
	}
	after := func() {
		s.mu.Lock()
		s.idx.buried(room, lsn)
		if pardon {
			delete(s.quarantine, room)
			if !s.lost.none() {
				s.pardoned[room] = lsn
			}
		}
		s.mu.Unlock()
	}
	return &job{room: room, step: step, after: after}
}

// suspect tells whether the room is set aside, or may have lost something.
func (s *Store) suspect(room string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quarantine[room] != nil || s.lossOf(room, false, 0) != nil
}

// pardon ends the room's quarantine. Where whole ranges of the log are lost, it notes that the room has begun anew after them.
func (s *Store) pardon(tx *bolt.Tx, room string, lsn uint64) error {
	q := tx.Bucket(bucketQuarantine)
	s.mu.Lock()
	lost := !s.lost.none()
	s.mu.Unlock()
	if !lost {
		return q.Delete([]byte(room))
	}
	v := binary.BigEndian.AppendUint64([]byte{verdictPardon}, lsn)
	return q.Put([]byte(room), s.seal.stamp(v, 0, []byte(room)))
}
