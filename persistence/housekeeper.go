package persistence

import (
	"time"
)

const (
	// housekeepEvery is how often the log's size and age are looked at.
	housekeepEvery = time.Second
	// askAgain is how long a room is not asked again to checkpoint.
	askAgain = 10 * time.Second
	// askAtOnce is how many rooms are asked at one look: enough to save 10,000 rooms a minute, not so many that all are woken
	// together.
	askAtOnce = 256
	// floorLag is how many batches that no room needs may stay in the log before rooms.db gets a commit only to let them go;
	// trimBytes is another bound for the same.
	floorLag = 256
)

// logSizes knows the size of every batch in the log.
type logSizes struct {
	first uint64
	sizes []uint32
	total int64
}

func (l *logSizes) add(lsn uint64, n int) {
	if len(l.sizes) == 0 {
		l.first = lsn
	}
	l.sizes = append(l.sizes, uint32(n))
	l.total += int64(n)
}

func (l *logSizes) trim(first uint64) {
	n := min(first-min(first, l.first), uint64(len(l.sizes)))
	for _, s := range l.sizes[:n] {
		l.total -= int64(s)
	}
	l.sizes = l.sizes[n:]
	l.first += n
}

// before returns the bytes of the batches before lsn.
func (l *logSizes) before(lsn uint64) int64 {
	total := int64(0)
	for i := range l.sizes {
		if l.first+uint64(i) >= lsn {
			break
		}
		total += int64(l.sizes[i])
	}
	return total
}

// excess returns the LSN up to which the log must go to be no longer than bound, or 0.
func (l *logSizes) excess(bound int64) uint64 {
	over := l.total - bound
	if over <= 0 {
		return 0
	}
	lsn := l.first
	for _, s := range l.sizes {
		if over -= int64(s); over <= 0 {
			break
		}
		lsn++
	}
	return lsn
}

// age remembers when the log was how long, to find what is older than a bound.
type age struct {
	bound time.Duration
	marks []ageMark
	old   uint64
}

type ageMark struct {
	at  time.Time
	lsn uint64
}

// mark notes the last LSN at now, and returns the last LSN that is older than the bound.
func (a *age) mark(now time.Time, lsn uint64) uint64 {
	a.marks = append(a.marks, ageMark{now, lsn})
	for len(a.marks) > 0 && now.Sub(a.marks[0].at) >= a.bound {
		a.old = a.marks[0].lsn
		a.marks = a.marks[1:]
	}
	return a.old
}

// runHousekeeper asks for checkpoints when the log is long or old, and lets the log be shortened.
func (s *Store) runHousekeeper() {
	tick := time.NewTicker(housekeepEvery)
	defer tick.Stop()
	a := age{bound: s.opts.LogAge}
	for {
		select {
		case <-s.stop:
			return
		case now := <-tick.C:
			s.housekeep(now, &a)
		}
	}
}

func (s *Store) housekeep(now time.Time, a *age) {
	if s.fenced() != nil {
		return
	}
	s.mu.Lock()
	upTo := a.mark(now, s.idx.last)
	if lsn := s.sizes.excess(s.opts.LogBytes / 4 * 3); lsn > 0 && s.sizes.total > s.opts.LogBytes {
		upTo = max(upTo, lsn)
	}
	if s.stalled != nil {
		upTo = s.idx.last
	}
	rooms := s.idx.due(upTo, now, now.Add(-askAgain), askAtOnce)
	floor, safe := s.idx.floor(), s.safeFloor.Load()
	large := s.sizes.before(floor)-s.sizes.before(safe) > trimBytes
	s.mu.Unlock()
	for _, room := range rooms {
		s.opts.Events.checkpointDue(room)
	}
	if floor > safe+floorLag || (floor > safe && (large || floor <= a.old+1)) {
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
	if len(s.sizes.sizes) == 0 {
		return s.idx.last + 1
	}
	return s.sizes.first
}
