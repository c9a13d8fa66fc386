package persistence

import "time"

// ScrubNow runs one pass of the scrubber.
func (s *Store) ScrubNow() (Scrub, bool) { return s.scrub() }

// Clock is the housekeeper's memory, told the time by a test.
type Clock struct{ a age }

// Housekeep does what the housekeeper does every second, at the given time.
func (s *Store) Housekeep(c *Clock, now time.Time) {
	c.a.bound = s.opts.LogAge
	s.housekeep(now, &c.a)
}

// LogRange returns the first and the last LSN in wal.db.
func (s *Store) LogRange() (first, last uint64) { return s.firstKept(), s.nextLSN() - 1 }
