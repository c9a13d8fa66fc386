package persistence

import (
	"sort"
	"time"
)

// logBatches knows the size of every batch in the log, and when it was written.
type logBatches struct {
	first uint64
	list  []batchNote
	total int64     // bytes
	start time.Time // when the first batch was added; times count from it, so that a clock that is set changes none
}

type batchNote struct {
	at   time.Duration // when it was written; of batches that Open found, the time of Open
	size uint32
}

func (l *logBatches) add(lsn uint64, n int, at time.Time) {
	if len(l.list) == 0 {
		l.first = lsn
	}
	if l.start.IsZero() {
		l.start = at
	}
	l.list = append(l.list, batchNote{at.Sub(l.start), uint32(n)})
	l.total += int64(n)
}

func (l *logBatches) trim(first uint64) {
	n := min(first-min(first, l.first), uint64(len(l.list)))
	for _, b := range l.list[:n] {
		l.total -= int64(b.size)
	}
	l.list = l.list[n:]
	l.first += n
}

// before returns the bytes of the batches before lsn.
func (l *logBatches) before(lsn uint64) int64 {
	total := int64(0)
	for i, b := range l.list {
		if l.first+uint64(i) >= lsn {
			break
		}
		total += int64(b.size)
	}
	return total
}

// excess returns the LSN up to which the log must go to be no longer than bound, or 0.
func (l *logBatches) excess(bound int64) uint64 {
	over := l.total - bound
	if over <= 0 {
		return 0
	}
	lsn := l.first
	for _, b := range l.list {
		if over -= int64(b.size); over <= 0 {
			break
		}
		lsn++
	}
	return lsn
}

// upTo returns the last LSN that was written at t or before; the one before the first when there is none.
func (l *logBatches) upTo(t time.Time) uint64 {
	n := sort.Search(len(l.list), func(i int) bool { return l.list[i].at > t.Sub(l.start) })
	return l.first + uint64(n) - min(1, l.first+uint64(n))
}

// written returns when batch lsn, which is in the log, was written.
func (l *logBatches) written(lsn uint64) time.Time {
	return l.start.Add(l.list[lsn-l.first].at)
}
