package room

import (
	"context"
	"fmt"
	"testing"
	"time"

	"weft/crdt"
	"weft/persistence"
	"weft/presence"
	"weft/protocol"
)

// memoryRegistry returns a registry on a store in memory, and what ends both.
func memoryRegistry(tb testing.TB) (g *Registry, stop func()) {
	store := persistence.NewMemory(persistence.Options{})
	g = NewRegistry(Options{Store: store})
	return g, func() {
		if err := g.Close(context.Background()); err != nil {
			tb.Error(err)
		}
		if err := store.Close(); err != nil {
			tb.Error(err)
		}
	}
}

// idleRoom returns a room with n sessions whose goroutine does not run, so that a
// test can take its place.
func idleRoom(tb testing.TB, n int) (*room, []*Session) {
	tb.Helper()
	g, stop := memoryRegistry(tb)
	tb.Cleanup(stop)
	sl := &slot{name: "r", ready: make(chan struct{}), refs: n}
	r := newRoom(g, sl, crdt.New(crdt.Options{ReturnPending: true}), persistence.Stored{})
	sessions := make([]*Session, n)
	for i := range sessions {
		sessions[i] = newSession(r, Peer{ID: uint64(i), Dialect: protocol.YWebsocket{}, Out: NewOutbox(0, func() {})})
		r.join(sessions[i])
	}
	return r, sessions
}

// drain empties all outboxes as writers do.
func drain(sessions []*Session, scratch [][]byte) [][]byte {
	for _, s := range sessions {
		for {
			if scratch = s.peer.Out.Take(scratch[:0]); len(scratch) == 0 {
				break
			}
		}
	}
	return scratch
}

// TestBroadcastDoesNotAllocatePerRecipient compares the allocations of one
// broadcast to 1 and to 1,000 sessions.
func TestBroadcastDoesNotAllocatePerRecipient(t *testing.T) {
	allocs := func(n int) float64 {
		r, sessions := idleRoom(t, n)
		scratch := drain(sessions, nil)
		update := []byte("an update of some thirty bytes..")
		return testing.AllocsPerRun(100, func() {
			r.integrated(update)
			r.out.pace.spent = time.Time{}
			r.broadcast()
			r.out.fresh = r.out.fresh[:0]
			scratch = drain(sessions, scratch)
		})
	}
	one, thousand := allocs(1), allocs(1000)
	if thousand > one {
		t.Errorf("a broadcast allocates %v times for 1,000 recipients and %v times for one, want the same", thousand, one)
	}
}

// TestPresenceDoesNotAllocatePerRecipient does the same for awareness.
func TestPresenceDoesNotAllocatePerRecipient(t *testing.T) {
	allocs := func(n int) float64 {
		r, sessions := idleRoom(t, n)
		scratch := drain(sessions, nil)
		id := presence.ConnID(1 << 40)
		clock := byte(0)
		return testing.AllocsPerRun(100, func() {
			clock++
			if _, err := r.people.table.Apply(id, nil, []byte{1, 7, clock, 1, '0' + clock%10}, r.now); err != nil {
				t.Fatal(err)
			}
			r.people.changed(r.now)
			r.flushPresence()
			scratch = drain(sessions, scratch)
		})
	}
	one, thousand := allocs(1), allocs(1000)
	if thousand > one {
		t.Errorf("presence allocates %v times for 1,000 recipients and %v times for one, want the same", thousand, one)
	}
}

// BenchmarkBroadcast is the room's side of one update: frame, offers, and the
// writers' Take. Deliveries are what counts.
func BenchmarkBroadcast(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r, sessions := idleRoom(b, n)
			scratch := drain(sessions, nil)
			update := make([]byte, 40)
			b.ReportAllocs()
			for b.Loop() {
				r.integrated(update)
				r.out.pace.spent = time.Time{}
				r.broadcast()
				r.out.fresh = r.out.fresh[:0]
				scratch = drain(sessions, scratch)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/delivery")
		})
	}
}

// BenchmarkUpdate is the whole way of a keystroke through a running room, from
// Handle to the outbox of another session, one at a time.
func BenchmarkUpdate(b *testing.B) {
	g, stop := memoryRegistry(b)
	arrived := make(chan struct{}, 1)
	join := func(wake func()) *Session {
		s, err := g.Join(b.Context(), "r", Peer{Dialect: protocol.YWebsocket{}, Out: NewOutbox(0, wake)})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	other := join(func() {
		select {
		case arrived <- struct{}{}:
		default:
		}
	})
	author := join(func() {})
	doc := crdt.New(crdt.Options{})
	var scratch [][]byte
	take := func(s *Session) (n int) {
		for {
			if scratch = s.peer.Out.Take(scratch[:0]); len(scratch) == 0 {
				return n
			}
			n += len(scratch)
		}
	}
	<-arrived // the room's greeting
	take(other)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		u, err := doc.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Insert(i, "x") })
		if err != nil {
			b.Fatal(err)
		}
		i++
		if err := author.Handle(b.Context(), protocol.Message{Kind: protocol.Update, Data: u}); err != nil {
			b.Fatal(err)
		}
		for take(other) == 0 {
			<-arrived
		}
		take(author)
	}
	stop()
}

// BenchmarkJoin is the answer to a newcomer of a document of a megabyte.
func BenchmarkJoin(b *testing.B) {
	r, _ := idleRoom(b, 1)
	author := crdt.New(crdt.Options{})
	for range 10_000 {
		u, err := author.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Insert(0, string(make([]byte, 100))) })
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.doc.Apply(u, crdt.V1); err != nil {
			b.Fatal(err)
		}
	}
	r.out.version++
	b.ReportAllocs()
	for b.Loop() {
		s := newSession(r, Peer{Dialect: protocol.YWebsocket{}, Out: NewOutbox(0, func() {})})
		r.join(s)
		r.step1(s, []byte{0})
		s.peer.Out.Close()
		r.end(s, nil)
	}
}
