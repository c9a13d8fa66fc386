package persistence

import (
	"context"
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// scrubRate bounds the reading of the scrubber in bytes per second: a disk that serves people has this much to spare (guessed).
	scrubRate = 20 << 20
	// scrubPage is how many names the scrubber looks up at a time.
	scrubPage = 100
)

// runScrubber reads everything stored every Options.ScrubEvery, and for the first time a tenth of it after Open: what nobody opens
// would otherwise rot unnoticed until its copies have rotted too.
func (s *Store) runScrubber() {
	t := time.NewTimer(s.opts.ScrubEvery / 10)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
		}
		if r, ok := s.scrub(); ok {
			s.opts.Events.scrubbed(r)
		}
		t.Reset(s.opts.ScrubEvery)
	}
}

// scrub loads every room once, and of those that are set aside reads the parked records. It returns false when the store was closed meanwhile.
func (s *Store) scrub() (Scrub, bool) {
	start := time.Now()
	var r Scrub
	ctx := context.Background() // Load and Rooms read the disk and do not wait for anything
	for after := ""; ; {
		infos, err := s.Rooms(ctx, after, scrubPage)
		if err != nil {
			s.opts.Events.damaged(&DamageError{File: roomsFile, What: "the list of rooms cannot be read", Err: err})
			return r, true
		}
		for _, i := range infos {
			after = i.Room
			if !s.scrubRoom(ctx, i, &r) {
				return r, false
			}
		}
		if len(infos) < scrubPage {
			r.Took = time.Since(start)
			return r, true
		}
	}
}

// scrubRoom loads a room, then rests as its size demands. It returns false when the store was closed meanwhile.
func (s *Store) scrubRoom(ctx context.Context, i Info, r *Scrub) bool {
	var err error
	if i.Damage == "" {
		_, err = s.Load(ctx, i.Room)
	} else {
		err = s.checkParked(i.Room)
	}
	if _, ok := errors.AsType[*DamageError](err); ok {
		r.Damaged++
	}
	size := i.Size + i.LogBytes
	r.Rooms++
	r.Bytes += size
	t := time.NewTimer(time.Duration(size) * time.Second / scrubRate)
	defer t.Stop()
	select {
	case <-s.stop:
		return false
	case <-t.C:
		return true
	}
}

// checkParked reads the parked records of a room that is set aside, and tells of damage once.
func (s *Store) checkParked(room string) error {
	err := s.rooms.View(func(tx *bolt.Tx) error {
		_, err := s.readSegments(tx, nil, room, 0)
		return err
	})
	if isPageFault(err) {
		err = &DamageError{Room: room, File: roomsFile, What: "a page with parked records cannot be used", Err: err}
	}
	d, ok := errors.AsType[*DamageError](err)
	if !ok {
		return nil
	}
	s.mu.Lock()
	l := s.idx.rooms[room]
	known := s.quarantine[room]
	told := l == nil || l.rotten || (known != nil && errors.Is(known, errParked))
	if !told {
		l.rotten = true
	}
	s.mu.Unlock()
	if told {
		return nil
	}
	s.opts.Events.damaged(d)
	return d
}
