package room

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"weft/crdt"
	"weft/persistence"
	"weft/protocol"
)

// Registry owns all rooms of a process: it opens them when they are joined,
// closes them when they are idle, and saves them. Use NewRegistry; its methods
// may be called from any goroutine.
type Registry struct {
	// Static after construction.
	o       Options
	ctx     context.Context // ends when Close gives up: loads and saves are aborted
	abort   context.CancelCauseFunc
	loading chan struct{} // a slot for each load
	saving  chan struct{} // a slot for each save
	conns   atomic.Uint64 // the last number given to a session
	epochs  atomic.Uint64 // the last epoch given to a room
	wg      sync.WaitGroup

	// Guarded by mu.
	mu        sync.Mutex
	admission admission
	slots     map[string]*slot
	damaged   map[string]*protocol.CloseError // rooms that are set aside
	waking    int                             // cold rooms being opened to be saved
	closing   bool
}

// slot is a room in the registry, from the first join on.
type slot struct {
	// Static after construction.
	name  string
	ready chan struct{} // closed when room or err is set

	// Written once, before ready is closed.
	room *room
	err  *protocol.CloseError

	refs int // guarded by Registry.mu: sessions, joins and calls under way
}

// maxWaking bounds the cold rooms that are opened at one time only to be saved.
// Requests beyond it are dropped; the store repeats them.
const maxWaking = 64

// NewRegistry returns a registry without open rooms. It panics when o.Store is nil.
func NewRegistry(o Options) *Registry {
	if o.Store == nil {
		panic("room: Options.Store is nil")
	}
	o = o.withDefaults()
	g := &Registry{
		o:       o,
		loading: make(chan struct{}, o.Loaders),
		saving:  make(chan struct{}, o.Savers),
		slots:   map[string]*slot{},
		damaged: map[string]*protocol.CloseError{},
	}
	g.ctx, g.abort = context.WithCancelCause(context.Background())
	return g
}

// Join adds a peer to the room of that name, opening it if it is not open; many
// concurrent joins load it once. When cold rooms wait to be loaded for longer than
// Options.JoinWithin, one more is refused with Overloaded (see Admit). The peer's outbox then holds what a joining
// client must get first. Errors are *protocol.CloseError, or ctx's cause when ctx
// ended before the room was loaded.
func (g *Registry) Join(ctx context.Context, name string, p Peer) (*Session, error) {
	for {
		sl, err := g.acquire(ctx, name)
		if err != nil {
			return nil, err
		}
		s := newSession(sl.room, p)
		if sl.room.call(call{run: func() { sl.room.join(s) }, join: s}) {
			return s, nil
		}
		g.release(sl) // the room ended meanwhile: open it anew
	}
}

// Export runs f with the room's document on the room's goroutine, opening the
// room if need be. f must not keep or change the document, and the room stands
// still meanwhile. A room that is neither open nor stored is protocol.NotFound.
// When ctx ends first, its cause is returned and f may still be running, or run
// later: what f writes may be read after a nil error only.
func (g *Registry) Export(ctx context.Context, name string, f func(*crdt.Doc) error) error {
	sl, err := g.acquire(ctx, name)
	if err != nil {
		return err
	}
	defer g.release(sl)
	var result error // valid only when do says that the function has returned
	err = sl.room.do(ctx, func() {
		if sl.room.pos == (persistence.Position{}) {
			result = protocol.NotFound.Closef("room was never written")
			return
		}
		result = f(sl.room.doc)
	})
	if err != nil {
		return err
	}
	return result
}

// CheckpointDue has a room saved soon, opening it if need be. It does not block;
// persistence.Events.CheckpointDue may call it.
func (g *Registry) CheckpointDue(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing || g.damaged[name] != nil || g.waking >= maxWaking {
		return
	}
	g.waking++
	g.wg.Go(func() {
		sl, err := g.acquire(g.ctx, name)
		if err == nil {
			sl.room.post(sl.room.saveSoon)
			g.release(sl)
		}
		g.mu.Lock()
		g.waking--
		g.mu.Unlock()
	})
}

// Close refuses further joins, ends all sessions with protocol.Draining, waits
// until every update is committed and every room saved, and returns when all
// goroutines of the registry have ended. When ctx ends first, it gives up on
// what is not saved and returns ctx's cause; what the store confirmed is in its
// log. The store must stay open until Close returns.
func (g *Registry) Close(ctx context.Context) error {
	g.mu.Lock()
	g.closing = true
	slots := make([]*slot, 0, len(g.slots))
	for _, sl := range g.slots {
		slots = append(slots, sl)
	}
	g.mu.Unlock()

	for _, sl := range slots {
		g.wg.Go(func() {
			<-sl.ready
			if sl.room != nil {
				sl.room.post(sl.room.drain)
			}
		})
	}
	giveUp := func() { g.abort(fmt.Errorf("close rooms: %w", context.Cause(ctx))) }
	if ctx.Err() != nil {
		giveUp()
	}
	stop := context.AfterFunc(ctx, giveUp)
	defer stop()
	g.wg.Wait()
	return context.Cause(g.ctx)
}

// epochAfter returns the epoch of a room that is opened. It is above the last
// stored one and no other opening's, neither one in this process nor, as long as
// the clock does not go back between two processes, one in another: what a room
// told its sessions before a crash and did not store must not have the position
// of something else now, for clients resume by position.
func (g *Registry) epochAfter(stored uint64) uint64 {
	for {
		last := g.epochs.Load()
		next := max(stored+1, last+1, uint64(time.Now().UnixMilli()))
		if g.epochs.CompareAndSwap(last, next) {
			return next
		}
	}
}

// acquire returns the slot of an open room with a reference that the caller must
// release, or opens it.
func (g *Registry) acquire(ctx context.Context, name string) (*slot, error) {
	if err := protocol.CheckRoomName(name); err != nil {
		return nil, &protocol.CloseError{Reason: protocol.Malformed, Cause: err}
	}
	sl, err := g.slot(name)
	if err != nil {
		return nil, err
	}
	select {
	case <-sl.ready:
	case <-ctx.Done():
		g.release(sl)
		return nil, context.Cause(ctx)
	}
	if sl.err != nil {
		return nil, sl.err
	}
	return sl, nil
}

// slot returns the room's slot with one more reference; a new one is being opened.
func (g *Registry) slot(name string) (*slot, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch sl := g.slots[name]; {
	case g.closing:
		return nil, protocol.Draining.Closef("the server stops")
	case g.damaged[name] != nil:
		return nil, g.damaged[name]
	case sl != nil:
		sl.refs++
		return sl, nil
	}
	if err := g.admit(); err != nil {
		return nil, err
	}
	g.admission.waiting++
	sl := &slot{name: name, ready: make(chan struct{}), refs: 1}
	g.slots[name] = sl
	g.wg.Go(func() { g.open(sl) })
	return sl, nil
}

// release gives a reference back.
func (g *Registry) release(sl *slot) {
	g.mu.Lock()
	sl.refs--
	g.mu.Unlock()
}

// retire takes an idle room out of the registry; false when somebody wants it.
func (g *Registry) retire(sl *slot) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if sl.refs > 0 {
		return false
	}
	delete(g.slots, sl.name)
	return true
}

// forget takes a room out of the registry that has ended in whatever way.
func (g *Registry) forget(sl *slot) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.slots[sl.name] == sl {
		delete(g.slots, sl.name)
	}
}

// open loads a room and runs it until it ends.
func (g *Registry) open(sl *slot) {
	defer g.forget(sl)
	start := time.Now()
	r, replayed, loading, err := g.load(sl)
	g.mu.Lock()
	g.admission.loaded(loading)
	g.mu.Unlock()
	if err != nil {
		sl.err = err
		g.mu.Lock()
		delete(g.slots, sl.name)
		if err.Reason == protocol.Quarantined {
			g.damaged[sl.name] = err
		}
		g.mu.Unlock()
		close(sl.ready)
		g.o.Events.OpenFailed(sl.name, err)
		return
	}
	sl.room = r
	close(sl.ready)
	g.o.Events.Opened(sl.name, time.Since(start), replayed)
	r.run()
	g.o.Events.Closed(sl.name)
}
