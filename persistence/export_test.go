package persistence

import (
	"context"
	"time"

	bolt "go.etcd.io/bbolt"
)

// ScrubNow runs one pass of the scrubber.
func (s *Store) ScrubNow() (Scrub, bool) { return s.scrub() }

// Housekeep does what the housekeeper does every second, at the given time.
func (s *Store) Housekeep(now time.Time) { s.housekeep(now) }

// LogRange returns the first and the last LSN in wal.db.
func (s *Store) LogRange() (first, last uint64) { return s.firstKept(), s.nextLSN() - 1 }

// SetAside sets the room aside until the store is closed.
func (s *Store) SetAside(room string) {
	s.setAside(&DamageError{Room: room, File: roomsFile, What: "set aside by a test"})
}

// Park moves the room's records out of the log, as the housekeeper would, and waits for that.
func (s *Store) Park(ctx context.Context, room string) error {
	s.mu.Lock()
	last := s.idx.last
	s.mu.Unlock()
	s.park(room, last)
	// Jobs of one room are done one after the other.
	return s.saver.wait(ctx, &job{room: room, step: func(*bolt.Tx, int) (int, bool, error) { return 0, true, nil }})
}

// SchemaOf returns the schema of a file that nobody has open.
func SchemaOf(dir, file string) (uint32, error) {
	sc, err := scanNode(filePath(dir, file))
	if err != nil {
		return 0, err
	}
	return sc.node.schema, nil
}

// OpenFile opens a file of bbolt as a store does.
func OpenFile(path string) (*boltFile, error) { return openBolt(path, 0) }

// IsPageFault tells whether err is a panic of bbolt.
func IsPageFault(err error) bool { return isPageFault(err) }
