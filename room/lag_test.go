package room_test

import (
	"bytes"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weft/crdt"
	"weft/protocol"
	"weft/room"
)

func TestLaggingPeerGetsOneDiff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(8<<10))
		settle(a, b)
		b.deaf, b.updates, b.bytes = true, 0, 0
		for range 500 {
			a.typed(strings.Repeat("x", 1000))
			settle(a, b)
		}
		if got := b.out.Size(); got > 8<<10 {
			t.Errorf("outbox of a peer that does not read holds %d bytes, want at most its bound of 8 KiB", got)
		}
		if got := w.status("r").Lagging; got != 1 {
			t.Errorf("Status.Lagging = %d, want 1", got)
		}
		b.deaf = false
		settle(a, b)
		if b.updates != 1 {
			t.Errorf("500 updates arrive as %d messages when the peer reads again, want 1", b.updates)
		}
		if a.text() != b.text() || len(b.text()) != 500_000 {
			t.Errorf("peer has %d characters, want %d", len(b.text()), 500_000)
		}
		if got := w.status("r").Lagging; got != 0 {
			t.Errorf("Status.Lagging = %d after it caught up, want 0", got)
		}
		a.typed("and on")
		settle(a, b)
		if a.text() != b.text() {
			t.Error("peer that caught up does not get the next update")
		}
	})
}

func TestDiffStartsWhereThePeerWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(64<<10))
		for range 2000 {
			a.typed(strings.Repeat("x", 1000))
			settle(a, b)
		}
		b.deaf, b.bytes = true, 0
		for range 100 {
			a.typed(strings.Repeat("y", 1000))
			settle(a, b)
		}
		b.deaf = false
		settle(a, b)
		if a.text() != b.text() {
			t.Error("the documents differ")
		}
		// 100 kB were missed, a stretch between marks of 64 KiB comes on top, and the
		// outbox of 64 KiB in which they were queued.
		if b.bytes > 250_000 {
			t.Errorf("peer that missed 100 kB of 2 MB got %d bytes", b.bytes)
		}
	})
}

func TestPeersThatLagTogetherShareTheDiff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		var slow []*client
		for range 5 {
			slow = append(slow, w.join("r", &client{}, peer(4<<10)))
		}
		all := append([]*client{a}, slow...)
		settle(all...)
		for _, c := range slow {
			c.deaf, c.inbox = true, nil
		}
		for range 20 {
			a.typed(strings.Repeat("x", 1000))
			settle(all...)
		}
		for _, c := range slow {
			if got := c.out.Take(nil); len(got) != 0 {
				t.Errorf("outbox holds %d payloads, want the queued updates dropped", len(got))
			}
		}
		synctest.Wait()
		var first []byte
		for i, c := range slow {
			frames := c.out.Take(nil)
			if len(frames) != 1 {
				t.Fatalf("peer %d gets %d payloads, want 1", i, len(frames))
			}
			if i == 0 {
				first = frames[0]
			} else if &frames[0][0] != &first[0] {
				t.Errorf("peer %d gets a diff of its own, want the shared one", i)
			}
		}
	})
}

func TestPeerThatNeverReadsIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(8<<10))
		settle(a, b)
		b.deaf = true
		begun := time.Now()
		for {
			select {
			case <-b.session.Done():
			default:
				a.typed(strings.Repeat("x", 1000))
				settle(a, b)
				time.Sleep(500 * time.Millisecond)
				continue
			}
			break
		}
		if got := reason(b.session.Err()); got != protocol.TooSlow {
			t.Errorf("Err() = %v, want TooSlow", b.session.Err())
		}
		// It lags from the eighth update on, and the room looks every 2.5 s.
		if took := time.Since(begun); took < 30*time.Second || took > 40*time.Second {
			t.Errorf("ended after %v, want about 30 s after it fell behind", took)
		}
	})
}

func TestSlowLinkHasTimeForALargeDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		for range 3 {
			a.typed(strings.Repeat("x", 1<<20))
		}
		settle(a)
		b := w.join("r", &client{}, peer(64<<10))
		synctest.Wait()
		b.out.Take(nil) // its writer is busy with 3 MiB for
		for range 100 { // seconds
			time.Sleep(time.Second)
			a.announce(7, uint64(time.Now().UnixMilli()%(1<<31)), `"typing"`)
			a.typed("y")
			settle(a)
		}
		select {
		case <-b.session.Done():
			t.Errorf("peer that takes 100 s for 3 MiB was ended: %v", b.session.Err())
		default:
		}
		time.Sleep(2 * time.Minute)
		if got := reason(b.session.Err()); got != protocol.TooSlow {
			t.Errorf("Err() after 220 s = %v, want TooSlow", b.session.Err())
		}
	})
}

func TestReaderThatNeverReadsCostsConstantMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{LagAfter: time.Hour})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		deaf := make([]*client, 50)
		for i := range deaf {
			deaf[i] = w.join("r", &client{}, peer(64<<10))
		}
		settle(append(deaf, a)...)
		for _, c := range deaf {
			c.deaf = true
		}
		before := heap()
		chunk := strings.Repeat("x", 8<<10)
		for range 1000 { // 8 MB, replaced again and again, so that the document stays small
			a.edit(func(tx *crdt.Tx) error {
				if n := tx.Text("t").Len(); n > 0 {
					if err := tx.Text("t").Delete(0, n); err != nil {
						return err
					}
				}
				return tx.Text("t").Insert(0, chunk)
			})
			settle(a)
			a.inbox = nil
		}
		if grown := heap() - before; grown > 12<<20 {
			t.Errorf("50 peers that do not read 8 MB cost %d bytes, want the document and 64 KiB of shared payloads", grown)
		}
	})
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestPresenceOfALaggingPeerIsTheLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(4<<10))
		gone := w.join("r", &client{}, peer(0))
		gone.announce(9, 1, `"gone"`)
		settle(a, b, gone)
		b.deaf, b.inbox = true, nil
		state := strings.Repeat("x", 500)
		for clock := uint64(1); clock <= 300; clock++ {
			a.announce(7, clock, `"`+state+string(rune('a'+clock%26))+`"`)
			settle(a, b, gone)
		}
		gone.session.Leave()
		settle(a, b)
		if got := b.out.Size(); got > 4<<10 {
			t.Errorf("outbox holds %d bytes of presence, want at most its bound", got)
		}
		b.deaf = false
		settle(a, b)
		if diff := cmp.Diff(a.people, b.people, cmp.AllowUnexported(person{})); diff != "" {
			t.Errorf("peer that caught up sees other people (-prompt +lagging):\n%s", diff)
		}
		if got := len(b.kinds()); got > 10 {
			t.Errorf("300 moves arrive in %d messages, want what fitted and one more", got)
		}
	})
}

// TestStaleAnswersOfALaggingPeerAreDropped has a peer that does not read announce
// a state that the room knows to be outdated, which is answered each time.
func TestStaleAnswersOfALaggingPeerAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		gone, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(4<<10))
		gone.announce(9, 5, `"gone"`)
		settle(gone, b)
		gone.session.Leave()
		settle(b)
		b.deaf = true
		for range 1000 {
			b.announce(9, 1, `"again"`)
			synctest.Wait()
			if got := b.out.Size(); got > 4<<10 {
				t.Fatalf("outbox of a peer that does not read holds %d bytes of answers, want at most its bound of 4 KiB", got)
			}
		}
		if b.out.Size() == 0 {
			t.Error("the outdated state was not answered at all")
		}
		b.deaf = false
		settle(b)
		b.people[9] = person{1, `"again"`}
		b.announce(9, 1, `"again"`)
		settle(b)
		if _, ok := b.people[9]; ok {
			t.Error("a peer that caught up is not told of its outdated state")
		}
	})
}

func TestPresenceOfACrowdIsCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		var clients []*client
		for range 60 {
			clients = append(clients, w.join("r", &client{}, peer(0)))
		}
		settle(clients...)
		watcher := clients[59]
		watcher.kinds()
		for clock := range uint64(10) {
			for i, c := range clients[:50] {
				c.announce(uint64(i+1), clock+1, `"x"`)
				if clock > 0 {
					c.announce(uint64(i+1), clock+1, `"y"`)
				}
			}
		}
		settle(clients...)
		time.Sleep(10 * time.Millisecond)
		settle(clients...)
		if got := len(watcher.kinds()); got != 1 {
			t.Errorf("950 changes of 50 people within 10 ms arrive as %d messages, want 1", got)
		}
		if got := len(watcher.people); got != 50 {
			t.Errorf("watcher sees %d people, want 50", got)
		}
	})
}

func TestRenewalsAreRelayedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		a.announce(7, 1, `"a"`)
		b.announce(8, 1, `"b"`)
		settle(a, b)
		for clock := uint64(2); clock < 20; clock++ { // as awareness.js does
			time.Sleep(15 * time.Second)
			a.kinds()
			a.announce(7, clock, `"a"`)
			b.announce(8, clock, `"b"`)
			time.Sleep(3 * time.Second)
			settle(a, b)
			if got, want := a.people[8], (person{clock, `"b"`}); got != want {
				t.Fatalf("3 s after the renewal a sees %v, want %v", got, want)
			}
			if got := len(a.kinds()); got > 2 {
				t.Errorf("two renewals arrive as %d messages, want one and at most a keep-alive", got)
			}
		}
	})
}

func TestIdleLinkIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0)) // awareness null: it sends nothing that could be echoed
		settle(a)
		last := time.Now()
		for range 300 {
			time.Sleep(time.Second)
			a.inbox = nil
			settle(a)
			if len(a.inbox) > 0 {
				last = time.Now()
				if want := (protocol.Message{Kind: protocol.Awareness, Data: []byte{0}}); cmp.Diff([]protocol.Message{want}, a.inbox) != "" {
					t.Fatalf("idle client gets %v, want an awareness update about nobody", a.inbox)
				}
			}
			if quiet := time.Since(last); quiet > 25*time.Second {
				t.Fatalf("no message for %v; clients give up after 30 s", quiet)
			}
		}
	})
}

func TestOutboxOrderAndWake(t *testing.T) {
	wakes := 0
	o := room.NewOutbox(1000, func() { wakes++ })
	if got := o.Take(nil); got != nil {
		t.Errorf("Take of an empty outbox = %v, want nothing", got)
	}
	o.Offer([]byte("a"))
	o.Offer([]byte("b"))
	if wakes != 1 {
		t.Errorf("%d wakes for two payloads while the writer rests, want 1", wakes)
	}
	if got, want := o.Take(nil), [][]byte{[]byte("a"), []byte("b")}; !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("Take() = %q, want %q", got, want)
	}
	o.Offer([]byte("c"))
	if wakes != 1 {
		t.Errorf("%d wakes although the writer is awake, want 1", wakes)
	}
	if got := o.Take(nil); len(got) != 1 {
		t.Errorf("Take() = %q, want c", got)
	}
	o.Take(nil)
	o.Offer([]byte("d"))
	if wakes != 2 {
		t.Errorf("%d wakes after the writer rested, want 2", wakes)
	}
	o.Close()
	o.Offer([]byte("e"))
	if got := o.Take(nil); len(got) != 0 || o.Size() != 0 {
		t.Errorf("closed outbox holds %q, %d bytes, want nothing", got, o.Size())
	}
}
