package room_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weft/crdt"
	"weft/crdt/lib0"
	"weft/persistence"
	"weft/protocol"
	"weft/room"
)

// world is a registry on a store in memory. Tests use it in a synctest bubble.
type world struct {
	t     *testing.T
	store *persistence.Memory
	rooms *room.Registry
	log   *events
	peers uint64 // the last Peer.ID given
}

// start returns a world that ends with the test: the registry drains, the store
// closes. o.Events is filled with what the log records.
func start(t *testing.T, o room.Options) *world {
	t.Helper()
	return startOn(t, persistence.NewMemory(persistence.Options{}), o)
}

// startOn starts on a store, of which o.Store may be a view.
func startOn(t *testing.T, store *persistence.Memory, o room.Options) *world {
	t.Helper()
	w := &world{t: t, store: store, log: &events{}}
	if o.Store == nil {
		o.Store = store
	}
	o.Events = w.log.hook(o.Events)
	w.rooms = room.NewRegistry(o)
	return w
}

// stop drains the registry and closes the store.
func (w *world) stop() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.rooms.Close(ctx); err != nil {
		w.t.Errorf("Close() = %v, want nil", err)
	}
	if err := w.store.Close(); err != nil {
		w.t.Errorf("close store: %v", err)
	}
}

// kill ends the registry without saving and returns what the store would have
// after a crash: what it has confirmed.
func (w *world) kill() *persistence.Memory {
	survivor := w.store.Crash()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.rooms.Close(ctx); err == nil {
		w.t.Error("Close(ended ctx) = nil, want the context's error")
	}
	return survivor
}

// events counts what rooms tell.
type events struct {
	onBatch     func(room.Batch) // called by rooms, if set; so are the others
	onCommitted func(updates int, took time.Duration)
	onPresence  func(room.PresenceBatch)

	mu     sync.Mutex
	counts map[string]int
	notes  []string
}

func (e *events) add(name, format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.counts == nil {
		e.counts = map[string]int{}
	}
	e.counts[name]++
	e.notes = append(e.notes, name+": "+fmt.Sprintf(format, args...))
}

func (e *events) count(name string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counts[name]
}

func (e *events) hook(x room.Events) room.Events {
	x.Opened = func(r string, _ time.Duration, n int) { e.add("opened", "%s %d", r, n) }
	x.OpenFailed = func(r string, err *protocol.CloseError) { e.add("open failed", "%s %v", r, err) }
	x.Closed = func(r string) { e.add("closed", "%s", r) }
	x.Saved = func(r string, pos persistence.Position, n int, _ time.Duration) {
		e.add("saved", "%s %v %d", r, pos, n)
	}
	x.SaveFailed = func(r string, err error) { e.add("save failed", "%s %v", r, err) }
	x.Leftover = func(r string, n int) { e.add("leftover", "%s %d", r, n) }
	x.Batch = func(r string, b room.Batch) {
		e.add("batch", "%s %+v", r, b)
		if e.onBatch != nil {
			e.onBatch(b)
		}
	}
	x.Committed = func(_ string, n int, took time.Duration) {
		if e.onCommitted != nil {
			e.onCommitted(n, took)
		}
	}
	x.Presence = func(_ string, b room.PresenceBatch) {
		if e.onPresence != nil {
			e.onPresence(b)
		}
	}
	x.ReadOnly = func(r string, err error) { e.add("read-only", "%s %v", r, err) }
	x.Writable = func(r string, d time.Duration) { e.add("writable", "%s %v", r, d) }
	x.Refused = func(r string, p uint64, k protocol.Kind, why string) { e.add("refused", "%s %d %v %s", r, p, k, why) }
	x.Panicked = func(r string, v any, _, _ []byte) { e.add("panicked", "%s %v", r, v) }
	x.Lagging = func(r string, p uint64) { e.add("lagging", "%s %d", r, p) }
	x.CaughtUp = func(r string, p uint64, n int) { e.add("caught up", "%s %d %d", r, p, n) }
	x.PendingKept = func(r string, p uint64, n int) { e.add("pending kept", "%s %d %d", r, p, n) }
	x.PendingLost = func(r string, p uint64, n int) { e.add("pending lost", "%s %d %d", r, p, n) }
	return x
}

// client behaves as a y-websocket client does, on a document of ours: it answers
// SyncStep1, applies what it gets, and remembers the rest.
type client struct {
	t       *testing.T
	doc     *crdt.Doc
	out     *room.Outbox
	session *room.Session
	dialect protocol.Dialect // default yws
	deaf    bool             // it does not read

	inbox   []protocol.Message // everything it has read, in order
	synced  bool               // a SyncStep2 came
	updates int                // Update messages read
	bytes   int
	saved   []string
	denied  []string
	acks    string            // S for each Saved, N for each NotSaved
	unsaved int               // what a Hocuspocus provider counts as not saved, see HocuspocusProvider.ts, unsyncedChanges
	heard   []string          // Stateless messages
	people  map[uint64]person // by awareness
	ended   chan error        // what Peer.Ended was called with
}

type person struct {
	clock uint64
	state string
}

var yws = protocol.YWebsocket{}

// plain is a dialect that has every message: a byte of its kind, then the data.
type plain struct{}

func (plain) Decode(frame []byte, _ protocol.Limits) (protocol.Message, error) {
	return protocol.Message{Kind: protocol.Kind(frame[0]), Data: frame[1:]}, nil
}

func (plain) Append(dst []byte, m protocol.Message) []byte {
	return append(append(dst, byte(m.Kind)), m.Data...)
}

// acking is a peer that wants its writes answered.
func acking() room.Peer { return room.Peer{Dialect: plain{}, Acks: true} }

// join connects a client as y-websocket does: SyncStep1 at once.
func (w *world) join(name string, c *client, p room.Peer) *client {
	w.t.Helper()
	if err := w.tryJoin(name, c, p); err != nil {
		w.t.Fatalf("Join(%q) = %v", name, err)
	}
	c.send(protocol.SyncStep1, c.doc.AppendStateVector(nil))
	return c
}

func (w *world) tryJoin(name string, c *client, p room.Peer) error {
	if c.doc == nil {
		c.doc = crdt.New(crdt.Options{})
	}
	c.t, c.people, c.synced = w.t, map[uint64]person{}, false
	c.out = room.NewOutbox(p.Out.Limit(), nil)
	w.peers++
	if p.Dialect == nil {
		p.Dialect = yws
	}
	c.dialect, c.ended = p.Dialect.(protocol.Dialect), make(chan error, 10)
	p.ID, p.Out, p.Ended = w.peers, c.out, func(err error) { c.ended <- err }
	s, err := w.rooms.Join(w.t.Context(), name, p)
	c.session = s
	return err
}

// peer returns a Peer whose outbox is bounded to limit bytes.
func peer(limit int) room.Peer { return room.Peer{Out: room.NewOutbox(limit, nil)} }

func (c *client) send(k protocol.Kind, data []byte) {
	c.t.Helper()
	switch k {
	case protocol.SyncStep1:
		c.unsaved = 1
	case protocol.Update:
		c.unsaved++
	}
	if err := c.session.Handle(c.t.Context(), protocol.Message{Kind: k, Data: data}); err != nil {
		c.t.Fatalf("Handle(%v) = %v", k, err)
	}
}

// edit changes the client's document and sends the update.
func (c *client) edit(f func(*crdt.Tx) error) {
	c.t.Helper()
	if u := c.offline(f); u != nil {
		c.send(protocol.Update, u)
	}
}

// offline changes the client's document without sending.
func (c *client) offline(f func(*crdt.Tx) error) []byte {
	c.t.Helper()
	u, err := c.doc.Edit(f)
	if err != nil {
		c.t.Fatalf("Edit() = %v", err)
	}
	return u
}

// insert returns an edit that puts s at index of the text.
func insert(index int, s string) func(*crdt.Tx) error {
	return func(tx *crdt.Tx) error { return tx.Text("t").Insert(index, s) }
}

func (c *client) typed(s string) { c.t.Helper(); c.edit(insert(0, s)) }
func (c *client) text() string   { return c.doc.Text("t") }

// announce sends the client's awareness.
func (c *client) announce(id, clock uint64, state string) {
	c.t.Helper()
	c.send(protocol.Awareness, awareness(id, clock, state))
}

func awareness(id, clock uint64, state string) []byte {
	b := lib0.AppendUint(lib0.AppendUint([]byte{1}, id), clock)
	return lib0.AppendString(b, state)
}

// read takes what is in the outbox, as a writer that is never blocked.
func (c *client) read() {
	c.t.Helper()
	for !c.deaf {
		frames := c.out.Take(nil)
		if len(frames) == 0 {
			return
		}
		for _, f := range frames {
			m, err := c.dialect.Decode(f, protocol.Limits{Message: 1 << 30})
			if err != nil {
				c.t.Fatalf("room sent the frame %x: %v", f, err)
			}
			c.bytes += len(f)
			c.receive(m)
		}
	}
}

func (c *client) receive(m protocol.Message) {
	c.t.Helper()
	c.inbox = append(c.inbox, m)
	switch m.Kind {
	case protocol.SyncStep1:
		since, err := crdt.DecodeStateVector(m.Data)
		if err != nil {
			c.t.Fatalf("room sent a state vector: %v", err)
		}
		select {
		case <-c.session.Done():
		default:
			c.send(protocol.SyncStep2, c.doc.AppendDiff(nil, since, crdt.V1))
		}
	case protocol.SyncStep2, protocol.Update:
		if m.Kind == protocol.SyncStep2 {
			c.synced = true
		} else {
			c.updates++
		}
		if _, err := c.doc.Apply(m.Data, crdt.V1); err != nil {
			c.t.Fatalf("room sent an update: %v", err)
		}
	case protocol.Awareness:
		d := lib0.NewDecoder(m.Data)
		for range d.Uint() {
			id, clock, state := d.Uint(), d.Uint(), string(d.String())
			if state == "null" {
				delete(c.people, id)
			} else {
				c.people[id] = person{clock, state}
			}
		}
	case protocol.SaveMarker:
		c.saved = append(c.saved, string(m.Data))
	case protocol.Denied:
		c.denied = append(c.denied, string(m.Data))
	case protocol.Saved:
		c.acks += "S"
		c.unsaved--
	case protocol.NotSaved:
		c.acks += "N"
	case protocol.Stateless:
		c.heard = append(c.heard, string(m.Data))
	default:
		c.t.Errorf("room sent a %v", m.Kind)
	}
}

// settle lets everything run until rooms and readers have nothing to do.
func settle(clients ...*client) {
	for busy := true; busy; {
		synctest.Wait()
		busy = false
		for _, c := range clients {
			c.read()
		}
		synctest.Wait()
		for _, c := range clients {
			busy = busy || !c.deaf && c.out.Size() > 0
		}
	}
}

// kinds returns the kinds of what the client has read and forgets it.
func (c *client) kinds() (kinds []protocol.Kind) {
	for _, m := range c.inbox {
		kinds = append(kinds, m.Kind)
	}
	c.inbox = nil
	return kinds
}

// serverText returns the text of the room's document.
func (w *world) serverText(name string) string {
	w.t.Helper()
	var text string
	err := w.rooms.Export(w.t.Context(), name, func(d *crdt.Doc) error {
		text = d.Text("t")
		return d.Check()
	})
	if err != nil {
		w.t.Fatalf("Export(%q) = %v", name, err)
	}
	return text
}

func (w *world) status(name string) room.Status {
	w.t.Helper()
	st, err := w.rooms.Status(w.t.Context(), name)
	if err != nil {
		w.t.Fatalf("Status(%q) = %v", name, err)
	}
	return st
}

// reason returns the reason of a CloseError, or the zero Reason.
func reason(err error) protocol.Reason {
	if ce, ok := errors.AsType[*protocol.CloseError](err); ok {
		return ce.Reason
	}
	return protocol.Reason{}
}

// diskFull returns a fault that makes every commit fail until there is space.
func diskFull() persistence.Faults {
	return persistence.Faults{Commit: func(persistence.Commit) error { return persistence.ErrDiskFull }}
}

// slowly returns a fault that makes every commit take d.
func slowly(d time.Duration) persistence.Faults {
	return persistence.Faults{Commit: func(persistence.Commit) error { time.Sleep(d); return nil }}
}

// hold makes the room's goroutine wait until release is called, so that what is
// sent meanwhile is found waiting together. The room must have been written.
func hold(t *testing.T, w *world, name string) (release func()) {
	gate, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- w.rooms.Export(context.WithoutCancel(t.Context()), name, func(*crdt.Doc) error { <-gate; return nil })
	}()
	synctest.Wait()
	return func() {
		close(gate)
		if err := <-done; err != nil {
			t.Errorf("Export() = %v", err)
		}
	}
}
