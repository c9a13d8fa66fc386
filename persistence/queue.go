package persistence

import (
	"fmt"
	"slices"
	"sync"
)

// batchBytes is the size from which a batch takes no further records. Larger ones do not commit more bytes per second (bbolt
// wants a value in contiguous pages), but hold up what waits behind them.
const batchBytes = 4 << 20

// queue holds the records that Append accepted until the committer has confirmed them. It is bounded in bytes: over the bound
// put answers ErrFull and queues nothing.
type queue struct {
	bound int64
	wake  chan struct{} // holds a token while there may be something to commit

	mu     sync.Mutex
	groups []*group // in order; the last one takes new records until it has batchBytes
	spare  []*group
	bytes  int64 // of groups and of the one being committed
	err    error // why nothing is accepted any more: ErrClosed or ErrFenced
	space  chan struct{}
}

func newQueue(bound int64) *queue {
	return &queue{bound: bound, wake: make(chan struct{}, 1)}
}

// put encodes the records behind all others. Either all are queued, and done will be called, or none.
func (q *queue) put(kind byte, recs []Record, done func(error)) error {
	size := int64(0)
	for _, r := range recs {
		if err := checkRoomName(r.Room); err != nil {
			return err
		}
		if len(r.Update) > MaxUpdate {
			return fmt.Errorf("update of %d bytes: %w", len(r.Update), ErrInvalid)
		}
		size += int64(recordHead + len(r.Room) + len(r.Update) + recordTail)
	}
	if size > 1<<30 {
		return fmt.Errorf("append of %d bytes: %w", size, ErrInvalid)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return q.err
	}
	if q.bytes > 0 && q.bytes+size > q.bound {
		return ErrFull
	}
	g := q.last()
	for _, r := range recs {
		g.add(kind, r.Room, r.Pos, r.Update)
	}
	// What comes after a tombstone is in a later batch: a snapshot's first LSN then tells on which side of it the snapshot is.
	g.closed = kind == kindTombstone
	if done != nil {
		g.dones = append(g.dones, done)
	}
	q.bytes += size
	q.signal()
	return nil
}

// last returns the group that takes new records.
func (q *queue) last() *group {
	if n := len(q.groups); n > 0 && len(q.groups[n-1].buf) < batchBytes && !q.groups[n-1].closed {
		return q.groups[n-1]
	}
	g := new(group)
	if n := len(q.spare); n > 0 {
		g, q.spare = q.spare[n-1], q.spare[:n-1]
	}
	q.groups = append(q.groups, g)
	return g
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take removes the oldest group, or returns nil.
func (q *queue) take() *group {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.groups) == 0 {
		return nil
	}
	g := q.groups[0]
	q.groups = slices.Delete(q.groups, 0, 1)
	return g
}

// finish gives back the bytes of a taken group and calls its done functions.
func (q *queue) finish(g *group, err error) {
	q.mu.Lock()
	q.bytes -= int64(len(g.buf))
	if q.space != nil && q.bytes <= q.bound/2 {
		close(q.space)
		q.space = nil
	}
	q.mu.Unlock()
	for _, done := range g.dones {
		done(err)
	}
	if cap(g.buf) > 2*batchBytes {
		return // grown by one huge update: let it go
	}
	g.reset()
	q.mu.Lock()
	if len(q.spare) < 2 {
		q.spare = append(q.spare, g)
	}
	q.mu.Unlock()
}

// shut makes put answer err from here on. The first reason stays.
func (q *queue) shut(err error) {
	q.mu.Lock()
	if q.err == nil {
		q.err = err
	}
	q.mu.Unlock()
	q.signal()
}

// fail answers everything queued with err.
func (q *queue) fail(err error) {
	for g := q.take(); g != nil; g = q.take() {
		q.finish(g, err)
	}
}

// queued returns the bytes that are not confirmed yet.
func (q *queue) queued() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}

// roomy returns a channel that is closed when at most half of the bound is used.
func (q *queue) roomy() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.space == nil {
		q.space = make(chan struct{})
		if q.bytes <= q.bound/2 {
			closed := q.space
			q.space = nil
			close(closed)
			return closed
		}
	}
	return q.space
}
