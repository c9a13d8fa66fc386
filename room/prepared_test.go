package room_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"weft/crdt"
	"weft/crdt/lib0"
	"weft/protocol"
	"weft/room"
)

// large makes a document of the given size.
func (c *client) large(size int) {
	c.t.Helper()
	for range size / 1000 {
		c.typed(string(bytes.Repeat([]byte("x"), 1000)))
	}
}

// TestCrowdSharesOneAnswer joins while somebody types: the state is made once,
// and every joiner has all that was typed when it counts as synced.
func TestCrowdSharesOneAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		a.large(200_000)
		settle(a)
		states := map[*byte]int{}
		for i := range 40 {
			a.typed(fmt.Sprint(i))
			settle(a)
			b := &client{}
			if err := w.tryJoin("r", b, peer(0)); err != nil {
				t.Fatal(err)
			}
			b.send(protocol.SyncStep1, []byte{0})
			synctest.Wait()
			for _, f := range b.out.Take(nil) {
				m, err := yws.Decode(f, protocol.Limits{Message: 1 << 30})
				if err != nil {
					t.Fatal(err)
				}
				if m.Kind == protocol.SyncStep2 {
					states[unsafe.SliceData(m.Data)]++
				}
				b.receive(m)
				if m.Kind == protocol.SyncStep2 && b.text() != a.text() {
					t.Fatalf("joiner %d is synced with %d characters, want %d", i, len(b.text()), len(a.text()))
				}
			}
			if !b.synced {
				t.Fatalf("joiner %d is not synced", i)
			}
			b.session.Leave()
		}
		if len(states) != 1 {
			t.Errorf("40 joiners of a busy room get %d different states, want 1", len(states))
		}
		time.Sleep(41 * time.Millisecond) // a twentieth of the time that 200 kB take
		a.typed("more")
		settle(a)
		late := w.join("r", &client{}, peer(0))
		settle(a, late)
		updates := 0
		for _, k := range late.kinds() {
			if k == protocol.Update {
				updates++
			}
		}
		if updates != 0 || late.text() != a.text() {
			t.Errorf("after a while a joiner gets %d updates beside the state, want a state that has all", updates)
		}
	})
}

// TestAnswersAreForgotten checks what a room keeps after a crowd, with hostile
// vectors in it, and that it is nothing a while later.
func TestAnswersAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		a.large(500_000)
		settle(a)
		for i := range 100 {
			b := w.join("r", &client{}, peer(0))
			settle(b)
			vector := lib0.AppendUint(lib0.AppendUint([]byte{1}, uint64(i+1)), 7) // of an author nobody knows
			b.send(protocol.SyncStep1, vector)
			settle(b)
			b.session.Leave()
		}
		answers, size, err := room.Prepared(t.Context(), w.rooms, "r", yws)
		if err != nil || answers > 8 || size > 3<<20 {
			t.Errorf("room keeps %d answers of %d bytes, %v; want at most 8, of 3 MiB with a newcomer's", answers, size, err)
		}
		for range 200 { // what completes them is bounded, too
			a.typed(string(bytes.Repeat([]byte("y"), 2000)))
			settle(a)
			if _, size, _ = room.Prepared(t.Context(), w.rooms, "r", yws); size > 4<<20 {
				t.Fatalf("room keeps %d bytes of answers, want at most 4 MiB", size)
			}
		}
		w.join("r", &client{}, peer(0))
		time.Sleep(6 * time.Second)
		if answers, size, err = room.Prepared(t.Context(), w.rooms, "r", yws); err != nil || answers != 0 || size != 0 {
			t.Errorf("5 s later the room keeps %d answers of %d bytes, %v, want none", answers, size, err)
		}
	})
}

// TestJoinersOfABusyRoomHaveEverything joins and comes back at random moments,
// with whatever vector, while a crowd writes faster than the room sends on.
func TestJoinersOfABusyRoomHaveEverything(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 9))
				w := start(t, room.Options{})
				defer w.stop()
				clients := w.crowd(30)
				clients[0].large(20_000)
				settle(clients...)
				for range 250 {
					c := clients[rnd.IntN(5)]
					if n := len(c.text()); rnd.IntN(4) == 0 {
						c.edit(func(tx *crdt.Tx) error { return tx.Text("t").Delete(rnd.IntN(n-4), 4) })
					} else {
						c.edit(insert(rnd.IntN(n), "ab"))
					}
					switch rnd.IntN(8) {
					case 0:
						settle(clients[:5]...)
					case 1:
						time.Sleep(time.Duration(rnd.IntN(3000)) * time.Microsecond)
					case 2, 3:
						synctest.Wait()
						i := 5 + rnd.IntN(25)
						back := clients[i]
						back.session.Leave()
						if rnd.IntN(2) == 0 {
							back.doc = nil
						}
						w.join("r", back, peer(0))
						synctest.Wait()
						have := w.serverText("r")
						for _, f := range back.out.Take(nil) {
							m, err := yws.Decode(f, protocol.Limits{Message: 1 << 30})
							if err != nil {
								t.Fatal(err)
							}
							back.receive(m)
							if m.Kind == protocol.SyncStep2 && back.text() != have {
								t.Fatalf("who comes back is synced with %q, want %q", back.text(), have)
							}
						}
					}
				}
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

// TestQuestionsArePaced asks 20 times a second for something else each time, and
// reads every answer at once: the room makes a few, and the last one counts.
func TestQuestionsArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		a.large(1_000_000)
		settle(a)
		greedy := w.join("r", &client{}, peer(0))
		settle(greedy)
		greedy.kinds()
		answers := 0
		count := func() {
			for _, k := range greedy.kinds() {
				if k == protocol.SyncStep2 {
					answers++
				}
			}
		}
		for i := range uint64(100) { // 5 s
			greedy.send(protocol.SyncStep1, lib0.AppendUint(lib0.AppendUint([]byte{1}, i+1), 1))
			settle(greedy)
			count()
			time.Sleep(50 * time.Millisecond)
		}
		if answers < 20 || answers > 27 { // one in 200 ms
			t.Errorf("100 questions in 5 s about a document of 1 MB were answered %d times, want about 25", answers)
		}
		time.Sleep(time.Second)
		a.typed("news")
		settle(a)
		greedy.session.Leave()
		w.join("r", greedy, peer(0))
		settle(a, greedy)
		if greedy.text() != a.text() {
			t.Error("the documents differ in the end")
		}
		before := answers
		greedy.kinds()
		greedy.send(protocol.SyncStep1, []byte{1, 1, 7})
		greedy.send(protocol.SyncStep1, greedy.doc.AppendStateVector(nil))
		time.Sleep(time.Second)
		settle(a, greedy)
		if count(); answers == before {
			t.Error("the last question was not answered")
		}
	})
}
