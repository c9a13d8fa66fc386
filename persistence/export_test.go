package persistence

import "time"

// ScrubNow runs one pass of the scrubber.
func (s *Store) ScrubNow() (Scrub, bool) { return s.scrub() }

// Housekeep does what the housekeeper does every second, at the given time.
func (s *Store) Housekeep(now time.Time) { s.housekeep(now) }

// LogRange returns the first and the last LSN in wal.db.
func (s *Store) LogRange() (first, last uint64) { return s.firstKept(), s.nextLSN() - 1 }
