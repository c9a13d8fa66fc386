package persistence

import "time"

// Backlog is what waits for a checkpoint.
type Backlog struct {
	LogBytes    int64         // of the batches in the log; its file may be larger, by pages that are free
	LogAge      time.Duration // age of the oldest record that the log must keep, counted from Open at the earliest; 0 when there is none
	LogHolder   string        // the room whose record that is, or whose deletion; empty when there is none
	ParkedBytes int64         // of the records that were moved out of the log, because their rooms could not be saved
	ParkedRooms int           // how many rooms those are
}

// Backlog returns what waits for a checkpoint, and for whose. It does not read the disk.
func (s *Store) Backlog() Backlog {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := Backlog{LogBytes: s.batches.total, ParkedRooms: len(s.idx.parked)}
	for _, l := range s.idx.parked {
		for _, g := range l.parked {
			b.ParkedBytes += int64(g.bytes)
		}
	}
	if front := s.idx.order.Front(); front != nil {
		l := front.Value.(*roomLog)
		b.LogHolder, b.LogAge = l.room, time.Since(s.batches.written(l.first()))
	}
	return b
}
