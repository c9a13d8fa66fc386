package room_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"weft/crdt"
	"weft/protocol"
	"weft/room"
)

// crowd joins n clients.
func (w *world) crowd(n int) (clients []*client) {
	w.t.Helper()
	for range n {
		clients = append(clients, w.join("r", &client{}, peer(0)))
	}
	settle(clients...)
	return clients
}

// TestCalmRoomDoesNotWait sends an update every 50 ms to 300 clients: each
// arrives without any time passing.
func TestCalmRoomDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		clients := w.crowd(300)
		last := clients[299]
		for i := range 100 {
			before := last.updates
			clients[i%10].typed("x")
			settle(clients[i%10], last)
			if got := last.updates - before; got != 1 {
				t.Fatalf("update %d reaches another client as %d messages at once, want 1", i, got)
			}
			time.Sleep(50 * time.Millisecond)
		}
		settle(clients...)
	})
}

// TestBusyRoomMerges sends 2,000 updates a second to 100 clients: they leave as
// few messages, none later than maxPause, and nobody misses anything.
func TestBusyRoomMerges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waited time.Duration
		frames := 0
		w := start(t, room.Options{})
		defer w.stop()
		w.log.onBatch = func(b room.Batch) { waited, frames = max(waited, b.Waited), frames+b.Frames }
		clients := w.crowd(100)
		frames = 0
		for i := range 2000 {
			clients[i%10].typed("x")
			time.Sleep(500 * time.Microsecond)
		}
		time.Sleep(time.Second)
		settle(clients...)
		// 25,000 deliveries a second are 250 broadcasts a second to 100, and a quarter
		// of a second may be taken in advance.
		if frames < 100 || frames > 250+63+20 {
			t.Errorf("2,000 updates in 1 s left as %d frames, want 100 to 333", frames)
		}
		if waited > 50*time.Millisecond {
			t.Errorf("an update waited for %v, want at most 50ms", waited)
		}
		for i, c := range clients {
			if got := len(c.text()); got != 2000 {
				t.Fatalf("client %d has %d characters, want all 2,000", i, got)
			}
		}
	})
}

// TestWaitingUpdatesAreBounded pastes large texts into a busy room whose clock
// stands still: what waits leaves when it is large.
func TestWaitingUpdatesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		largest := 0
		w.log.onBatch = func(b room.Batch) { largest = max(largest, b.Bytes) }
		clients := w.crowd(100)
		paste := string(bytes.Repeat([]byte("x"), 10_000))
		for range 120 {
			clients[0].typed(paste)
			settle(clients[0])
		}
		if got := w.status("r").Pos.Seq; got != 120 {
			t.Fatalf("room is at seq %d, want 120", got)
		}
		if want := 128<<10 + 11_000; largest > want || largest < 50_000 {
			t.Errorf("the largest broadcast had %d bytes, want about 128 KiB", largest)
		}
	})
}

// TestMergedUpdatesConverge lets authors insert, delete and format at random,
// faster than a busy room sends on, with a reader that lags at times.
func TestMergedUpdatesConverge(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 5))
				w := start(t, room.Options{})
				defer w.stop()
				clients := w.crowd(60)
				clients = append(clients, w.join("r", &client{}, peer(2000)))
				slow := clients[60]
				settle(clients...)
				for range 600 {
					c := clients[rnd.IntN(10)]
					n := c.doc.Text("t")
					if length := len(n); length > 5 && rnd.IntN(3) == 0 {
						c.edit(func(tx *crdt.Tx) error { return tx.Text("t").Delete(rnd.IntN(length-4), 1+rnd.IntN(4)) })
					} else {
						c.edit(insert(rnd.IntN(length+1), "ab"))
					}
					switch rnd.IntN(6) {
					case 0:
						settle(clients[:10]...)
					case 1:
						time.Sleep(time.Duration(rnd.IntN(4)) * time.Millisecond)
					case 2:
						slow.deaf = rnd.IntN(2) == 0
					}
				}
				slow.deaf = false
				time.Sleep(time.Second)
				settle(clients...)
				want := w.serverText("r")
				for i, c := range clients {
					if got := c.text(); got != want {
						t.Fatalf("client %d has %q, want %q", i, got, want)
					}
				}
			})
		})
	}
}

// TestWhatWaitsLeavesBeforeTheEnd closes the registry while a busy room holds
// updates back.
func TestWhatWaitsLeavesBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		clients := w.crowd(100)
		for range 200 {
			clients[0].typed("x")
			synctest.Wait()
		}
		w.stop()
		for _, c := range clients {
			c.read()
		}
		if got := len(clients[99].text()); got != 200 {
			t.Errorf("when the room has ended a client has %d characters, want 200", got)
		}
		if got := clients[99].kinds(); !slices.Contains(got, protocol.Update) {
			t.Errorf("client got %v, want updates", got)
		}
	})
}
