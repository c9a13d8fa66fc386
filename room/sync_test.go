package room_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weft/crdt"
	"weft/persistence"
	"weft/protocol"
	"weft/room"
)

func TestJoinerIsGreetedAsByTheReferenceServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		a.announce(7, 1, `{"name":"a"}`)
		a.typed("hello")
		settle(a)

		b := &client{}
		if err := w.tryJoin("r", b, peer(0)); err != nil {
			t.Fatal(err)
		}
		settle(a, b)
		if got, want := b.kinds(), []protocol.Kind{protocol.SyncStep1, protocol.Awareness}; !slices.Equal(got, want) {
			t.Errorf("before it asks, a joiner gets %v, want %v", got, want)
		}
		if b.synced {
			t.Error("a joiner is synced before it asked")
		}
		b.send(protocol.SyncStep1, b.doc.AppendStateVector(nil))
		settle(a, b)
		if got, want := b.kinds(), []protocol.Kind{protocol.SyncStep2}; !slices.Equal(got, want) {
			t.Errorf("a SyncStep1 is answered with %v, want %v", got, want)
		}
		if got := b.text(); got != "hello" {
			t.Errorf("joiner has %q, want %q", got, "hello")
		}
		if diff := cmp.Diff(map[uint64]person{7: {1, `{"name":"a"}`}}, b.people, cmp.AllowUnexported(person{})); diff != "" {
			t.Errorf("joiner's people (-want +got):\n%s", diff)
		}
	})
}

func TestOfflineEditsArriveThroughTheRoomsOwnSyncStep1(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		b := &client{doc: crdt.New(crdt.Options{})}
		b.t = t
		b.offline(insert(0, "offline "))
		w.join("r", b, peer(0))
		settle(a, b)
		if got := a.text(); got != "offline " {
			t.Errorf("a has %q, want what b wrote offline", got)
		}
	})
}

func TestUpdatesAreEchoedToTheirAuthor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		settle(a)
		a.kinds()
		a.typed("x")
		settle(a)
		if got, want := a.kinds(), []protocol.Kind{protocol.Update}; !slices.Equal(got, want) {
			t.Errorf("author gets %v, want its own update", got)
		}
	})
}

func TestKnownUpdatesAreNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		u := a.offline(insert(0, "once"))
		a.send(protocol.Update, bytes.Clone(u))
		settle(a, b)
		pos := w.status("r").Pos
		b.kinds()
		for range 3 {
			a.send(protocol.Update, bytes.Clone(u))
		}
		settle(a, b)
		if got := b.kinds(); got != nil {
			t.Errorf("b gets %v for an update that it has, want nothing", got)
		}
		if got := w.status("r").Pos; got != pos {
			t.Errorf("position is %v after repeats, want %v", got, pos)
		}
	})
}

func TestEverybodyGetsTheSameOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		var clients []*client
		for range 5 {
			clients = append(clients, w.join("r", &client{}, peer(0)))
		}
		settle(clients...)
		for i := range 200 {
			clients[i%5].typed(fmt.Sprintf("%d,", i))
		}
		settle(clients...)
		var first [][]byte
		for i, c := range clients {
			var updates [][]byte
			for _, m := range c.inbox {
				if m.Kind == protocol.Update {
					updates = append(updates, m.Data)
				}
			}
			if i == 0 {
				first = updates
				continue
			}
			if !slices.EqualFunc(updates, first, bytes.Equal) {
				t.Errorf("client %d got %d updates in another order than client 0 its %d", i, len(updates), len(first))
			}
		}
		// The store has them in this order, too.
		stored, err := w.store.Load(t.Context(), "r")
		if err != nil {
			t.Fatal(err)
		}
		if len(stored.Tail) != 200 {
			t.Fatalf("store has %d updates, want 200", len(stored.Tail))
		}
		for i, rec := range stored.Tail {
			if want := (persistence.Position{Epoch: stored.Tail[0].Pos.Epoch, Seq: uint64(i + 1)}); rec.Pos != want {
				t.Errorf("update %d has position %v, want %v", i, rec.Pos, want)
			}
			if !bytes.Equal(rec.Update, first[i]) {
				t.Errorf("update %d of the store is not the one broadcast", i)
			}
		}
	})
}

func TestWaitingUpdatesLeaveAsOneForManyPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		var clients []*client
		for range 10 {
			clients = append(clients, w.join("r", &client{}, peer(0)))
		}
		settle(clients...)
		clients[0].typed("x")
		settle(clients...)
		before := clients[1].updates
		release := hold(t, w, "r")
		for range 50 {
			clients[0].typed("x")
		}
		release()
		settle(clients...)
		if got := clients[1].updates - before; got != 1 {
			t.Errorf("50 updates that waited together reach a peer as %d messages, want 1", got)
		}
		for i, c := range clients {
			if got := len(c.text()); got != 51 {
				t.Errorf("client %d has %d characters, want 51", i, got)
			}
		}
		if got := w.status("r").Pos.Seq; got != 51 {
			t.Errorf("room counts %d updates, want 51", got)
		}
	})
}

func TestReadersMayNotWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		a.typed("text")
		settle(a)
		before := w.status("r").Pos
		a.kinds()

		p := peer(0)
		p.ReadOnly = true
		reader := w.join("r", &client{}, p)
		settle(a, reader)
		if got := reader.text(); got != "text" {
			t.Errorf("reader has %q, want %q", got, "text")
		}
		for _, m := range reader.inbox {
			if m.Kind == protocol.SyncStep1 {
				t.Error("reader is asked for its document")
			}
		}
		reader.announce(9, 1, `"reading"`)
		reader.send(protocol.SaveMarker, []byte("before"))
		u := reader.offline(insert(0, "forged "))
		reader.send(protocol.Update, bytes.Clone(u))
		reader.send(protocol.SyncStep2, bytes.Clone(u))
		reader.send(protocol.SyncStep2, []byte{0, 0})
		reader.send(protocol.SaveMarker, []byte("after"))
		settle(a, reader)
		if got := w.serverText("r"); got != "text" {
			t.Errorf("room has %q after a reader's updates, want %q", got, "text")
		}
		if got := w.status("r").Pos; got != before {
			t.Errorf("position is %v after a reader's updates, want %v", got, before)
		}
		if got, want := a.kinds(), []protocol.Kind{protocol.Awareness}; !slices.Equal(got, want) {
			t.Errorf("others get %v, want only the reader's presence", got)
		}
		if got, want := reader.saved, []string{"before"}; !slices.Equal(got, want) {
			t.Errorf("reader's saved markers are %q, want %q", got, want)
		}
		if got := w.log.count("refused"); got != 2 {
			t.Errorf("%d updates were reported as refused, want 2", got)
		}

		// A right that is given in the middle of a session counts from then on.
		reader.session.SetReadOnly(false)
		reader.send(protocol.SyncStep2, reader.doc.AppendDiff(nil, nil, crdt.V1))
		settle(a, reader)
		if got := a.text(); got != "forged text" {
			t.Errorf("a has %q after the reader became a writer, want %q", got, "forged text")
		}
		if got, want := reader.saved, []string{"before", "after"}; !slices.Equal(got, want) {
			t.Errorf("saved markers are %q, want %q", got, want)
		}
	})
}

func TestMalformedBytesEndOnlyTheirSession(t *testing.T) {
	tests := []struct {
		label string
		kind  protocol.Kind
		data  []byte
	}{
		{"update", protocol.Update, []byte{1, 1, 0xff}},
		{"sync step 2", protocol.SyncStep2, []byte{0, 0, 0}},
		{"state vector", protocol.SyncStep1, []byte{9}},
		{"awareness", protocol.Awareness, []byte{1, 7, 1, 1, 'x'}},
	}
	for _, tt := range tests {
		t.Run(tt.label, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, room.Options{})
				defer w.stop()
				a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
				a.typed("safe")
				settle(a, b)
				b.send(tt.kind, tt.data)
				synctest.Wait()
				select {
				case <-b.session.Done():
				default:
					t.Fatalf("session goes on after %v %x", tt.kind, tt.data)
				}
				if got := reason(b.session.Err()); got != protocol.Malformed {
					t.Errorf("Err() = %v, want Malformed", b.session.Err())
				}
				err := b.session.Handle(t.Context(), protocol.Message{Kind: protocol.QueryAwareness})
				if reason(err) != protocol.Malformed {
					t.Errorf("Handle after the end = %v, want Malformed", err)
				}
				a.typed("still ")
				settle(a)
				if got := w.serverText("r"); got != "still safe" {
					t.Errorf("room has %q, want %q", got, "still safe")
				}
			})
		})
	}
}

func TestOneStateIsUnderWayAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		for range 20 {
			a.typed(string(bytes.Repeat([]byte("x"), 10_000)))
		}
		settle(a)
		greedy := &client{}
		if err := w.tryJoin("r", greedy, peer(0)); err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			greedy.send(protocol.SyncStep1, []byte{0})
		}
		synctest.Wait()
		if got := greedy.out.Size(); got > 300_000 {
			t.Errorf("1,000 questions without reading queue %d bytes, want one answer of about 200,000", got)
		}
		settle(a, greedy)
		answers := 0
		for _, m := range greedy.inbox {
			if m.Kind == protocol.SyncStep2 {
				answers++
			}
		}
		if answers != 2 {
			t.Errorf("1,000 questions got %d answers, want one at once and one for the last question", answers)
		}
		if greedy.text() != a.text() {
			t.Error("the documents differ")
		}
	})
}

// TestConvergence lets clients edit, stop reading, leave and come back at random,
// with outboxes so small that they lag, and a room that goes cold in between.
func TestConvergence(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { converge(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func converge(t *testing.T, rnd *rand.Rand) {
	w := start(t, room.Options{SaveUpdates: 50, SaveEvery: time.Second})
	defer w.stop()
	const limit = 2000 // bytes: a few updates
	clients := make([]*client, 12)
	for i := range clients {
		clients[i] = w.join("r", &client{}, peer(limit))
	}
	settle(clients...)
	for range 600 {
		c := clients[rnd.IntN(len(clients))]
		switch p := rnd.IntN(100); {
		case p < 60:
			n := len(c.text())
			if n > 20 && rnd.IntN(4) == 0 {
				c.edit(func(tx *crdt.Tx) error { return tx.Text("t").Delete(rnd.IntN(n-5), 5) })
			} else {
				c.edit(insert(rnd.IntN(n+1), string(bytes.Repeat([]byte{byte('a' + rnd.IntN(26))}, 1+rnd.IntN(100)))))
			}
		case p < 70:
			c.deaf = !c.deaf
		case p < 75: // gone, edits offline, and back with the same document
			c.session.Leave()
			c.offline(insert(0, "offline"))
			c.deaf = false
			w.join("r", c, peer(limit))
		case p < 95:
			settle(clients...)
		default:
			settle(clients...)
			time.Sleep(time.Duration(rnd.IntN(3000)) * time.Millisecond)
		}
	}
	for _, c := range clients {
		c.deaf = false
		if err := c.session.Err(); err != nil { // deaf for too long: back like any client
			w.join("r", c, peer(limit))
		}
	}
	settle(clients...)
	want := w.serverText("r")
	for i, c := range clients {
		if got := c.text(); got != want {
			t.Errorf("client %d has %d bytes of text, the room %d, and they differ", i, len(got), len(want))
		}
	}
	if len(want) < 1000 || w.log.count("lagging") == 0 || w.log.count("caught up") == 0 {
		t.Errorf("%d bytes of text, %d lags: the run did not test what it is for", len(want), w.log.count("lagging"))
	}
	for _, c := range clients {
		c.session.Leave()
	}
	time.Sleep(2 * time.Minute)
	if w.status("r").Open {
		t.Error("room is open two minutes after everybody left")
	}
	if got := w.serverText("r"); got != want {
		t.Error("room has another text after it was loaded anew")
	}
}
