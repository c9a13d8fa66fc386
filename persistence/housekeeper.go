package persistence

import "time"

const (
	// housekeepEvery is how often the log's size and age are looked at.
	housekeepEvery = time.Second
	// askAgain is how long a room is not asked again to checkpoint.
	askAgain = 10 * time.Second
	// askedNoMore is how long after a room was asked the next time counts as the first: the log was not too long meanwhile.
	askedNoMore = 3 * askAgain
	// parkAfter is how long a room may hold a log that is too long or too old before its records are parked. Guessed: long enough
	// to save every room of a large server first. Rooms that are set aside are not waited for.
	parkAfter = 5 * time.Minute
	// askAtOnce is how many rooms are asked at one look: enough to save 10,000 rooms a minute, not so many that all are woken
	// together.
	askAtOnce = 256
	// floorLag is how many batches that no room needs may stay in the log before rooms.db gets a commit only to let them go;
	// trimBytes is another bound for the same.
	floorLag = 256
)

// runHousekeeper asks for checkpoints when the log is long or old, and lets the log be shortened.
func (s *Store) runHousekeeper() {
	tick := time.NewTicker(housekeepEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-tick.C:
			s.housekeep(now)
		}
	}
}

func (s *Store) housekeep(now time.Time) {
	if s.fenced() != nil {
		return
	}
	s.mu.Lock()
	old := s.batches.upTo(now.Add(-s.opts.LogAge))
	upTo := old
	if lsn := s.batches.excess(s.opts.LogBytes / 4 * 3); lsn > 0 && s.batches.total > s.opts.LogBytes {
		upTo = max(upTo, lsn)
	}
	if s.stalled != nil {
		upTo = s.idx.last
	}
	due := s.idx.due(upTo, now, func(room string) bool { return s.quarantine[room] != nil })
	last := s.idx.last
	floor, safe := s.idx.floor(), s.safeFloor.Load()
	large := s.batches.before(floor)-s.batches.before(safe) > trimBytes
	s.mu.Unlock()
	for _, room := range due.ask {
		s.opts.Events.checkpointDue(room)
	}
	for _, room := range due.park {
		s.park(room, last)
	}
	for room, lsn := range due.bury {
		_ = s.saver.put(s.buryJob(room, lsn, false)) // not put while closing: the next Open goes on
	}
	if floor > safe+floorLag || (floor > safe && (large || floor <= old+1)) {
		s.saver.moveFloor()
	}
	if s.firstKept() < safe {
		s.queue.signal()
	}
}

// firstKept returns the first LSN in wal.db.
func (s *Store) firstKept() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.batches.list) == 0 {
		return s.idx.last + 1
	}
	return s.batches.first
}
