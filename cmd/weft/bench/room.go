package bench

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// chatRoom is a room of the run and who writes in it.
type chatRoom struct {
	// Static after construction.
	name    string
	firstID uint64 // client ids of the writers are firstID, firstID+1, ...
	writers []*writer

	firstPerson uint64 // client id of the first of people
	people      []*person
	former      uint64 // people with ids below firstPerson who are gone, which a server need not have noticed
}

// turn is somebody's place in a schedule.
type turn struct {
	order int           // in each round
	due   atomic.Int64  // records that should be out
	kick  chan struct{} // holds one: due has grown
}

func newTurn(order int) turn { return turn{order: order, kick: make(chan struct{}, 1)} }

// writer is somebody who types into a room.
type writer struct {
	// Static after construction.
	turn
	index int // in room.writers
	id    uint64
	root  string
	size  int64 // clocks of one record

	sent atomic.Int64 // clocks that are out, or about to be
}

// newRooms returns n rooms with that many writers each, whose names start with prefix, and everybody's turns.
func newRooms(prefix string, n, writers int, size int64) (rooms []*chatRoom, all []*turn) {
	for i := range n {
		r := &chatRoom{name: fmt.Sprintf("%s-%d", prefix, i), firstID: 1<<31 + uint64(rand.Uint32N(1<<30))}
		for k := range writers {
			w := &writer{turn: newTurn(k*n + i), index: k, id: r.firstID + uint64(k), size: size}
			w.root = rootName(w.id)
			r.writers = append(r.writers, w)
		}
		r.firstPerson = r.firstID + uint64(writers)
		rooms = append(rooms, r)
	}
	for k := range writers { // so that the rooms take turns
		for _, r := range rooms {
			all = append(all, &r.writers[k].turn)
		}
	}
	return rooms, all
}

// writer returns the writer with a client id, or nil.
func (r *chatRoom) writer(id uint64) *writer {
	if id < r.firstID || id-r.firstID >= uint64(len(r.writers)) {
		return nil
	}
	return r.writers[id-r.firstID]
}

// written returns the clocks that all writers but one have written, or should have by now.
func (r *chatRoom) written(but *writer) (n int64) {
	for _, w := range r.writers {
		if w != but {
			n += w.due.Load() * w.size
		}
	}
	return n
}

// schedule says when every record is due: all take turns, gap apart.
type schedule struct {
	start time.Time
	gap   time.Duration
	turns int
	first int64 // the number of everybody's first record in this schedule
}

// offset returns when somebody's record with that number is due, from the start.
func (s *schedule) offset(t *turn, record int64) time.Duration {
	return time.Duration((record-s.first)*int64(s.turns)+int64(t.order)) * s.gap
}
