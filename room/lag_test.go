package room_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weft/crdt"
	"weft/crdt/lib0"
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

// TestWhatSlowReadersCost measures the heap of a room with a document of 1 MiB, in
// which 600 pastes of 8 kB replace each other, without and with somebody who does not read.
func TestWhatSlowReadersCost(t *testing.T) {
	grown := func(disturb func(w *world, deaf *client, round int)) (bytes int64) {
		synctest.Test(t, func(t *testing.T) {
			w := start(t, room.Options{LagAfter: time.Hour})
			defer w.stop()
			a, deaf := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
			settle(a, deaf)
			a.edit(func(tx *crdt.Tx) error { return tx.Text("large").Insert(0, strings.Repeat("y", 1<<20)) })
			settle(a, deaf)
			deaf.doc = nil // the room's memory counts, not the client's
			deaf.deaf = true
			before := heap()
			for i := range 600 {
				a.edit(func(tx *crdt.Tx) error {
					if err := tx.Text("t").Delete(0, tx.Text("t").Len()); err != nil {
						return err
					}
					return tx.Text("t").Insert(0, strings.Repeat("x", 8<<10))
				})
				settle(a)
				a.inbox = nil
				if i%10 == 0 {
					disturb(w, deaf, i)
					synctest.Wait()
				}
			}
			bytes = heap() - before
		})
		return bytes
	}
	base := grown(func(_ *world, deaf *client, _ int) {
		for len(deaf.out.Take(nil)) > 0 { // it reads after all
		}
	})
	tests := []struct {
		label   string
		disturb func(w *world, deaf *client, round int)
		most    int64
	}{
		{"never reads", func(*world, *client, int) {}, 4 << 20},
		{"asks again and again with another vector, never reads", func(_ *world, deaf *client, round int) {
			for i := range uint64(20) {
				deaf.send(protocol.SyncStep1, lib0.AppendUint(lib0.AppendUint([]byte{1}, uint64(round)*100+i), 1))
			}
		}, 8 << 20},
		{"asks as a newcomer, never reads", func(_ *world, deaf *client, _ int) {
			for range 20 {
				deaf.send(protocol.SyncStep1, []byte{0})
				deaf.send(protocol.QueryAwareness, nil)
			}
		}, 8 << 20},
	}
	for _, tt := range tests {
		t.Run(tt.label, func(t *testing.T) {
			got := grown(tt.disturb) - base
			t.Logf("%d bytes", got)
			if got > tt.most {
				t.Errorf("a client that %s costs %d bytes, want at most %d", tt.label, got, tt.most)
			}
		})
	}
}

// TestOthersDoNotWaitForSlowReaders lets 20 of 60 clients stop reading: what is
// written reaches the others without any time passing, all along.
func TestOthersDoNotWaitForSlowReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		clients := w.crowd(60)
		for _, c := range clients[:20] {
			c.deaf = true
		}
		healthy := clients[20:]
		for i := range 180 { // 1.4 MB, over the bound of an outbox
			time.Sleep(50 * time.Millisecond)
			author := healthy[i%10]
			author.edit(func(tx *crdt.Tx) error {
				if err := tx.Text("t").Delete(0, tx.Text("t").Len()); err != nil {
					return err
				}
				return tx.Text("t").Insert(0, strings.Repeat("x", 8<<10)+fmt.Sprint(i))
			})
			settle(healthy...)
			for j, c := range healthy {
				if got, want := c.text(), author.text(); got != want {
					t.Fatalf("update %d has not reached client %d at once", i, j)
				}
				c.inbox = nil
			}
		}
		if got := w.status("r").Lagging; got != 20 {
			t.Errorf("%d sessions lag, want the 20 that do not read", got)
		}
		for _, c := range clients {
			c.deaf = false
		}
		settle(clients...)
		for i, c := range clients {
			if c.text() != clients[59].text() {
				t.Errorf("client %d differs when it has read on", i)
			}
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
