// Package room owns the live side of documents: a Registry opens, saves and
// closes rooms; a room applies what its sessions send, orders it, hands it on to
// everybody and tells authors what is durable.
//
// A room is one goroutine (room.run) that owns the document, the presence table
// and the sessions; nothing of that has a lock. Conns hand it letters through a
// bounded inbox (inbox.go) and get payloads through bounded outboxes
// (outbox.go); the store's committer, savers and the API hand it functions to
// run. In each turn the room takes everything that waits, applies it and stores
// it once; it sends it on in the same turn, or a little later when it is busy
// (broadcast.go).
//
// Invariants:
//   - The order in which updates got their positions is the order in which they
//     are offered to every outbox and appended to the store.
//   - Broadcast does not wait for the disk; answers do: a save marker comes back,
//     and a write is Saved, only when everything its sender sent before was
//     integrated and the store has confirmed it (answers.go).
//   - What cannot be integrated yet is neither stored, broadcast nor confirmed; its
//     sender is asked for what is missing (pending.go).
//   - A room that failed to load is never saved; a room whose goroutine panicked is
//     not saved either, it is loaded anew from what the store confirmed.
//   - Nothing waits for a peer: an outbox over its bound makes its session lag
//     (lag.go), a store over its bound makes the room stop reading its inbox
//     (ledger.go), which makes Session.Handle block.
//
// The package knows no sockets and no HTTP; it knows dialects only as something
// that encodes a message.
package room

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"weft/crdt"
	"weft/persistence"
	"weft/presence"
	"weft/protocol"
)

// tick is how often a room with sessions looks after what is due: keep-alives,
// lagging sessions, expired presence, pending updates, saves.
const tick = 2500 * time.Millisecond

// room is the live side of one document.
type room struct {
	// Static after construction.
	registry *Registry
	slot     *slot
	name     string
	o        *Options
	space    *semaphore.Weighted // what letters may weigh that are not handled yet
	signal   chan struct{}       // holds a token while there may be something to do
	alive    context.Context     // ends when run returns
	die      context.CancelFunc

	// Guarded by mu.
	mu      sync.Mutex
	letters []letter
	calls   []call
	closed  bool // nothing is accepted any more
	status  Status

	// Owned by run.
	now      time.Time
	doc      *crdt.Doc
	size     crdt.Stats           // of doc, at the last tick
	sized    uint64               // out.version then
	pos      persistence.Position // of the last update applied
	epoch    uint64               // of this ownership
	hub      hub
	sessions map[presence.ConnID]*Session
	lagging  int // of them
	out      outgoing
	spare    []letter // the letters of the last turn, for their memory
	current  letter   // being handled, for the report of a panic
	calling  []call   // taken and not done: the one being run and those behind it
	ledger   ledger
	marks    marks
	recent   recent
	waiting  []*Session // sessions with pending updates
	asking   []*Session // sessions whose questions wait for their pause
	owing    []*Session // sessions with unanswered save markers and acks
	people   people
	saves    saves
	idle     time.Time // since when nobody is here; zero: somebody is
	ticked   time.Time
	draining bool
	over     bool // run returns after this turn
}

// newRoom returns a room that is ready to run.
func newRoom(g *Registry, sl *slot, doc *crdt.Doc, stored persistence.Stored) *room {
	r := &room{
		registry: g,
		slot:     sl,
		name:     sl.name,
		o:        &g.o,
		space:    semaphore.NewWeighted(int64(g.o.InboxBytes)),
		signal:   make(chan struct{}, 1),
		now:      time.Now(),
		doc:      doc,
		pos:      stored.Pos,
		epoch:    g.epochAfter(stored.Pos.Epoch),
		sessions: map[presence.ConnID]*Session{},
		ledger:   ledger{durable: stored.Pos},
		people:   people{table: presence.New(g.o.Limits.Presence)},
	}
	r.ticked = r.now
	r.idle = r.now
	r.alive, r.die = context.WithCancel(context.Background())
	r.out.sentPos = stored.Pos
	r.marks.start(doc.StateVector(), stored.Pos)
	r.saves.start(stored, r.now)
	r.size = doc.Size()
	r.publish()
	return r
}

// run is the room's goroutine. It returns when the room has retired, drained,
// panicked, or the registry gave up.
func (r *room) run() {
	defer r.die()
	timer := time.NewTimer(tick)
	defer timer.Stop()
	for !r.over {
		select {
		case <-r.signal:
		case <-timer.C:
		case <-r.registry.ctx.Done():
			r.now = time.Now()
			r.endAll(protocol.Draining.Closef("the server stops"))
			r.over = true
			continue
		}
		r.turn()
		timer.Reset(r.sleep())
	}
	r.shut()
}

// turn does everything that waits, and what is due. A panic ends the room.
func (r *room) turn() {
	defer func() {
		if v := recover(); v != nil {
			r.panicked(v, debug.Stack())
		}
	}()
	r.now = time.Now()
	reading := r.mayRead()
	calls, letters := r.take(reading)
	for r.calling = calls; len(r.calling) > 0; r.calling = r.calling[1:] {
		r.calling[0].run()
	}
	r.calling = nil
	r.handle(letters)
	r.retryPending()
	r.answerLate()
	r.store()
	r.broadcast()
	r.flushPresence()
	r.answerAll()
	if r.now.Sub(r.ticked) >= tick {
		r.ticked = r.now
		r.tend()
	}
	r.mindDisk()
	if !reading && r.mayRead() {
		r.wake() // for the letters that were left waiting
	}
	r.save()
	r.finish()
	r.publish()
}

// tend does what is due every tick.
func (r *room) tend() {
	if r.people.table.Tick(r.now) {
		r.peopleChanged()
	}
	r.expirePending()
	r.tendSessions()
	if r.sized != r.out.version {
		r.size, r.sized = r.doc.Size(), r.out.version
	}
}

// finish ends the room when nothing is left to do for it.
func (r *room) finish() {
	if r.draining {
		r.endAll(protocol.Draining.Closef("the server stops"))
		if r.ledger.empty() && r.saves.settled(r.pos) {
			r.over = true
		}
		return
	}
	switch {
	case len(r.sessions) > 0:
		r.idle = time.Time{}
	case r.idle.IsZero():
		r.idle = r.now
	case r.idleFor() >= r.o.IdleAfter && r.ledger.empty() && r.saves.settled(r.pos):
		r.over = r.registry.retire(r.slot)
		if !r.over {
			r.idle = r.now // a join is under way
		}
	}
}

// idleFor returns how long nobody has been here.
func (r *room) idleFor() time.Duration {
	if r.idle.IsZero() {
		return 0
	}
	return r.now.Sub(r.idle)
}

// sleep returns how long the room may rest if nothing happens.
func (r *room) sleep() time.Duration {
	wake := r.ticked.Add(tick)
	if len(r.sessions) == 0 {
		wake = r.now.Add(r.o.IdleAfter)
		if !r.idle.IsZero() {
			wake = r.idle.Add(r.o.IdleAfter)
		}
		if !wake.After(r.now) { // it waits for the disk, which will say so
			wake = r.now.Add(tick)
		}
	}
	for _, due := range []time.Time{r.broadcastDue(), r.askingDue(), r.people.due, r.ledger.retryAt, r.ledger.stallsAt(r.o.StallAfter), r.saves.dueAt(r)} {
		if !due.IsZero() && due.Before(wake) {
			wake = due
		}
	}
	return max(time.Until(wake), time.Millisecond)
}

// drain is called when the registry closes.
func (r *room) drain() { r.draining = true }

// panicked ends the room after a broken invariant. What it has in memory is not
// saved; what the store confirmed is loaded at the next join.
func (r *room) panicked(v any, stack []byte) {
	r.over = true
	r.registry.forget(r.slot)
	for _, s := range r.sessions {
		s.finish(protocol.Internal.Closef("room panicked"))
		r.o.Events.Left(r.name, s.peer.ID, s.err)
	}
	clear(r.sessions)
	for _, c := range r.calling {
		if c.join != nil && !c.join.ended { // it was not in yet
			c.join.finish(protocol.Internal.Closef("room panicked"))
		}
	}
	r.o.Events.Panicked(r.name, v, stack, r.current.msg.Data)
}

// shut refuses everything from now on and ends what came too late.
func (r *room) shut() {
	r.mu.Lock()
	r.closed = true
	calls := r.calls
	r.calls, r.letters = nil, nil
	r.mu.Unlock()
	for _, c := range calls { // who waits for another kind of call sees alive end
		if c.join != nil {
			c.join.finish(protocol.Draining.Closef("room closed"))
		}
	}
}
