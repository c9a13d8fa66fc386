package room

import (
	"context"
	"time"

	"weft/protocol"
)

// letter is what a session hands to its room.
type letter struct {
	session *Session
	msg     protocol.Message
	at      time.Time
	leave   bool  // the session left; weighs nothing
	weight  int64 // what it holds of room.space
}

// letterCost is what a letter weighs beside its bytes: its own memory and the
// work that even an empty one makes.
const letterCost = 256 // bytes

// maxSpare is the longest list of letters whose memory is kept between turns.
const maxSpare = 16

// put hands a letter to the room. It blocks while the letters that wait weigh
// more than Options.InboxBytes together; a letter heavier than that waits until
// it is alone.
func (r *room) put(ctx context.Context, l letter) error {
	l.weight = min(int64(len(l.msg.Data)+letterCost), int64(r.o.InboxBytes))
	if !r.space.TryAcquire(l.weight) {
		if err := r.wait(ctx, l.weight); err != nil {
			if r.alive.Err() != nil { // every session had ended by then
				return l.session.ending()
			}
			return err
		}
	}
	if r.send(l) {
		return nil
	}
	select {
	case <-l.session.done:
		return l.session.ending()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// wait acquires weight, or gives up when ctx or the room ends.
func (r *room) wait(ctx context.Context, weight int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(r.alive, cancel)
	defer stop()
	if r.space.Acquire(ctx, weight) != nil {
		return context.Cause(ctx)
	}
	return nil
}

// send queues a letter without regard to its weight; false when the room is closed.
func (r *room) send(l letter) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.letters = append(r.letters, l)
	r.wake()
	return true
}

// post has f run on the room's goroutine, in the order of the calls and before
// the letters that come later; false when the room is closed. It does not
// block. Calls are not bounded here: each caller has at most a few under way.
func (r *room) post(f func()) bool { return r.call(call{run: f}) }

// call is something to do on the room's goroutine.
type call struct {
	run  func()
	join *Session // the session that run lets in; it ends with the room when that ends first
}

func (r *room) call(c call) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.calls = append(r.calls, c)
	r.wake()
	return true
}

// do runs f on the room's goroutine and returns when it has returned. An error
// says that it may not have run.
func (r *room) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	if !r.post(func() { f(); close(done) }) {
		return protocol.Draining.Closef("room closed")
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-r.alive.Done():
		select {
		case <-done: // it ran in the last turn
			return nil
		default:
			return protocol.Internal.Closef("room ended")
		}
	}
}

// wake lets run take a turn.
func (r *room) wake() {
	select {
	case r.signal <- struct{}{}:
	default: // it will
	}
}

// take returns all calls and, if letters are wanted, all letters that wait. The
// letters are valid until the next take: their memory takes turns with that of
// the inbox.
func (r *room) take(letters bool) (calls []call, taken []letter) {
	if cap(r.spare) > maxSpare {
		r.spare = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	calls, r.calls = r.calls, nil
	if letters && len(r.letters) > 0 {
		taken, r.letters, r.spare = r.letters, r.spare[:0], r.letters
	}
	return calls, taken
}

// handle reads letters in their order and lets as many new ones in.
func (r *room) handle(letters []letter) {
	var weight int64
	writes := 0
	for i := range letters {
		if letters[i].msg.Kind.Writes() {
			writes++
		}
	}
	r.prepareMerge(writes)
	if writes > 0 {
		began := time.Now()
		defer func() { r.out.applied += time.Since(began) }()
	}
	for i := range letters {
		l := &letters[i]
		weight += l.weight
		if l.session.ended || l.session.revoked.Load() {
			continue
		}
		r.current = *l
		if l.leave {
			r.end(l.session, nil)
			continue
		}
		r.people.table.Heard(l.session.id, r.now)
		r.read(l.session, l.msg)
	}
	r.current = letter{}
	clear(letters)
	if weight > 0 {
		r.space.Release(weight)
	}
}
