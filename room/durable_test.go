package room_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weft/persistence"
	"weft/protocol"
	"weft/room"
)

// TestAcknowledgedEditsSurviveACrash kills the store at random moments and looks
// for every edit whose marker had come back.
func TestAcknowledgedEditsSurviveACrash(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 2))
				w := start(t, room.Options{SaveUpdates: 5, SaveEvery: 20 * time.Millisecond})
				var mu sync.Mutex
				w.store.SetFaults(persistence.Faults{
					Commit: func(persistence.Commit) error {
						mu.Lock()
						d := time.Duration(rnd.IntN(10)) * time.Millisecond
						mu.Unlock()
						time.Sleep(d)
						return nil
					},
					Save: func(string) error { time.Sleep(5 * time.Millisecond); return nil },
				})
				clients := []*client{w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))}
				settle(clients...)
				for i := range 20 + int(seed)*5 {
					c := clients[i%3]
					token := fmt.Sprintf("<%d>", i)
					c.typed(token)
					c.send(protocol.SaveMarker, []byte(token))
					time.Sleep(time.Duration(i%4) * time.Millisecond)
					settle(clients...)
				}
				w = startOn(t, w.kill(), room.Options{})
				defer w.stop()
				text := ""
				if len(clients[0].saved)+len(clients[1].saved)+len(clients[2].saved) > 0 {
					text = w.serverText("r")
				}
				for _, c := range clients {
					for _, token := range c.saved {
						if !strings.Contains(text, token) {
							t.Errorf("%s was acknowledged and is lost", token)
						}
					}
					c.saved = nil
					w.join("r", c, peer(0)) // and whoever is still there brings the rest
				}
				settle(clients...)
				text = w.serverText("r")
				for i := range 20 + int(seed)*5 {
					if token := fmt.Sprintf("<%d>", i); !strings.Contains(text, token) {
						t.Errorf("%s is lost although its author came back", token)
					}
				}
			})
		})
	}
}

func TestFullDiskMakesTheRoomReadOnlyUntilThereIsSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		a.typed("before ")
		settle(a, b)
		w.store.SetFaults(diskFull())
		a.typed("stuck ")
		a.send(protocol.SaveMarker, []byte("stuck"))
		time.Sleep(6 * time.Second)
		settle(a, b)
		if st := w.status("r"); !strings.Contains(st.ReadOnly, "disk is full") {
			t.Errorf("Status.ReadOnly = %q, want that the disk is full", st.ReadOnly)
		}
		a.typed("refused ")
		a.typed("and ")
		a.send(protocol.SaveMarker, []byte("refused"))
		settle(a, b)
		if len(a.saved) != 0 {
			t.Errorf("markers %q came back while the disk is full", a.saved)
		}
		if len(a.denied) != 1 || !strings.Contains(a.denied[0], "disk is full") {
			t.Errorf("author is told %q, want the reason once", a.denied)
		}
		if got := b.text(); strings.Contains(got, "refused") {
			t.Errorf("b has %q, want no refused edit", got)
		}
		b.announce(5, 1, `"still here"`)
		settle(a, b)
		if len(a.people) != 1 {
			t.Error("presence does not work while the disk is full")
		}
		late := w.join("r", &client{}, peer(0))
		settle(a, b, late)
		if !late.synced || len(late.denied) != 1 {
			t.Errorf("joiner is synced: %v and told %q, want both", late.synced, late.denied)
		}

		w.store.SetFaults(persistence.Faults{})
		time.Sleep(5 * time.Second)
		settle(a, b, late)
		if st := w.status("r"); st.ReadOnly != "" {
			t.Errorf("5 s after there is space Status.ReadOnly = %q, want none", st.ReadOnly)
		}
		for _, c := range []*client{b, late} {
			if got, want := c.text(), a.text(); got != want {
				t.Errorf("after there is space a peer has %q, want %q", got, want)
			}
		}
		if got, want := a.saved, []string{"stuck", "refused"}; !slices.Equal(got, want) {
			t.Errorf("markers %q came back, want %q", got, want)
		}
	})
}

func TestFencedStoreIsNeverAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		a := w.join("r", &client{}, peer(0))
		a.typed("before")
		settle(a)
		w.store.SetFaults(persistence.Faults{Commit: func(persistence.Commit) error { return errors.New("fsync: input/output error") }})
		a.typed("lost? ")
		a.send(protocol.SaveMarker, []byte("1"))
		settle(a)
		w.store.SetFaults(persistence.Faults{})
		time.Sleep(20 * time.Second)
		a.typed("later ")
		a.send(protocol.SaveMarker, []byte("2"))
		settle(a)
		if len(a.saved) != 0 {
			t.Errorf("markers %q came back from a fenced store", a.saved)
		}
		if st := w.status("r"); !strings.Contains(st.ReadOnly, "fenced") {
			t.Errorf("Status.ReadOnly = %q, want that the store is fenced", st.ReadOnly)
		}
		// A new process on the same data gets the edits from their author.
		w = startOn(t, w.kill(), room.Options{})
		defer w.stop()
		w.join("r", a, peer(0))
		settle(a)
		a.send(protocol.SaveMarker, []byte("3"))
		settle(a)
		if got, want := w.serverText("r"), "later lost? before"; got != want {
			t.Errorf("after the restart the room has %q, want %q", got, want)
		}
		if got, want := a.saved, []string{"3"}; !slices.Equal(got, want) {
			t.Errorf("markers %q, want %q", got, want)
		}
	})
}

func TestSlowStoreStopsTheReaderAndDropsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{UncommittedBytes: 10_000, InboxBytes: 20_000, StallAfter: time.Hour})
		defer w.stop()
		free := make(chan struct{})
		w.store.SetFaults(persistence.Faults{Commit: func(persistence.Commit) error { <-free; return nil }})
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		settle(a, b)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for range 200 {
				a.typed(strings.Repeat("x", 1000))
			}
		}()
		for range 10 {
			settle(b)
			time.Sleep(time.Second)
		}
		select {
		case <-sent:
			t.Error("200 kB were taken although nothing is committed and the bounds are 10 and 20 kB")
		default:
		}
		got := len(b.text())
		if got < 10_000 || got > 30_000 {
			t.Errorf("the room took %d bytes, want its bound of 10,000 and at most what one inbox holds on top", got)
		}
		if err := w.tryJoin("r", &client{}, peer(0)); err != nil {
			t.Errorf("Join while the room does not read = %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.session.Handle(ctx, protocol.Message{Kind: protocol.Update, Data: make([]byte, 19_000)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Handle of a full inbox = %v, want the deadline's error", err)
		}
		close(free)
		<-sent
		settle(a, b)
		if got := len(b.text()); got != 200_000 {
			t.Errorf("after the store is well b has %d bytes, want all 200,000", got)
		}
	})
}

func TestBlockedHandleEndsWithTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{UncommittedBytes: 1, InboxBytes: 1000, StallAfter: time.Hour})
		free := make(chan struct{})
		w.store.SetFaults(persistence.Faults{Commit: func(persistence.Commit) error { <-free; return nil }})
		a := w.join("r", &client{}, peer(0))
		settle(a)
		failed := make(chan error)
		go func() {
			for {
				u, err := a.doc.Edit(insert(0, "x"))
				if err != nil {
					t.Error(err)
				}
				if err := a.session.Handle(context.Background(), protocol.Message{Kind: protocol.Update, Data: u}); err != nil {
					failed <- err
					return
				}
			}
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.rooms.Close(ctx); err == nil {
			t.Error("Close = nil although the store hangs")
		}
		if err := <-failed; reason(err) != protocol.Draining {
			t.Errorf("blocked Handle = %v, want Draining", err)
		}
		close(free)
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestFullQueueIsBackpressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := persistence.NewMemory(persistence.Options{QueueBytes: 3000})
		w := startOn(t, store, room.Options{})
		defer w.stop()
		store.SetFaults(slowly(100 * time.Millisecond))
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		settle(a, b)
		for range 50 {
			a.typed(strings.Repeat("x", 1000))
			settle(a, b)
		}
		a.send(protocol.SaveMarker, []byte("all"))
		time.Sleep(20 * time.Second)
		settle(a, b)
		if got, want := a.saved, []string{"all"}; !slices.Equal(got, want) {
			t.Errorf("markers %q, want %q", got, want)
		}
		stored, err := store.Load(t.Context(), "r")
		if err != nil || stored.Pos.Seq != 50 {
			t.Errorf("store is at %v, %v, want seq 50", stored.Pos, err)
		}
		if got := w.log.count("read-only"); got != 0 {
			t.Errorf("room was read-only %d times because of a full queue, want 0", got)
		}
	})
}

// flaky is a store that refuses some appends with an error that may pass.
type flaky struct {
	*persistence.Memory
	mu    sync.Mutex
	fails int
}

func (f *flaky) Append(recs []persistence.Record, done func(error)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails > 0 {
		f.fails--
		return errors.New("try later")
	}
	return f.Memory.Append(recs, done)
}

func TestRefusedAppendsAreOfferedAgainInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Memory: persistence.NewMemory(persistence.Options{})}
		w := startOn(t, store.Memory, room.Options{Store: store})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		a.typed("1")
		settle(a)
		store.mu.Lock()
		store.fails = 3
		store.mu.Unlock()
		a.typed("2")
		a.send(protocol.SaveMarker, []byte("2"))
		settle(a)
		if len(a.saved) != 0 {
			t.Errorf("markers %q came back for a refused append", a.saved)
		}
		a.typed("3") // refused: the room is read-only
		time.Sleep(5 * time.Second)
		settle(a)
		a.send(protocol.SaveMarker, []byte("3"))
		settle(a)
		if got, want := a.saved, []string{"2", "3"}; !slices.Equal(got, want) {
			t.Errorf("markers %q, want %q", got, want)
		}
		stored, err := store.Load(t.Context(), "r")
		if err != nil {
			t.Fatal(err)
		}
		for i, rec := range stored.Tail {
			if rec.Pos.Seq != uint64(i+1) {
				t.Errorf("update %d of the store has position %v", i, rec.Pos)
			}
		}
		if got, want := w.serverText("r"), "321"; got != want || len(stored.Tail) != 3 {
			t.Errorf("room has %q and the store %d updates, want %q and 3", got, len(stored.Tail), want)
		}
	})
}

func TestSnapshotMakesRefusedUpdatesDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Memory: persistence.NewMemory(persistence.Options{})}
		w := startOn(t, store.Memory, room.Options{Store: store})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		settle(a)
		store.mu.Lock()
		store.fails = 1 << 30
		store.mu.Unlock()
		a.typed("x")
		a.send(protocol.SaveMarker, []byte("m"))
		settle(a)
		time.Sleep(29 * time.Second)
		settle(a)
		if len(a.saved) != 0 {
			t.Errorf("markers %q came back before anything was stored", a.saved)
		}
		time.Sleep(2 * time.Second) // the room is saved every 30 s
		settle(a)
		stored, err := store.Load(t.Context(), "r")
		if err != nil || stored.Snapshot.Pos.Seq != 1 {
			t.Fatalf("snapshot is at %v, %v, want seq 1", stored.Snapshot.Pos, err)
		}
		if got, want := a.saved, []string{"m"}; !slices.Equal(got, want) {
			t.Errorf("markers %q came back after the snapshot, want %q", got, want)
		}
	})
}

// TestReplayOfATailInAnyOrder opens rooms whose log holds updates in another
// order than they build on each other, and with a hole: the part behind the hole
// was never acknowledged.
func TestReplayOfATailInAnyOrder(t *testing.T) {
	tests := []struct {
		label string
		order []int
		want  string
		left  int
	}{
		{"in order", []int{0, 1, 2, 3}, "abcd", 0},
		{"backwards", []int{3, 2, 1, 0}, "abcd", 0},
		{"hole", []int{0, 1, 3}, "ab", 1},
		{"nothing fits", []int{2, 3}, "", 1},
	}
	for _, tt := range tests {
		t.Run(tt.label, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				updates, whole := chain(t, 4)
				store := persistence.NewMemory(persistence.Options{})
				var recs []persistence.Record
				for i, n := range tt.order {
					recs = append(recs, persistence.Record{Room: "r", Pos: persistence.Position{Epoch: 1, Seq: uint64(i + 1)}, Update: updates[n]})
				}
				if err := store.Append(recs, nil); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				w := startOn(t, store, room.Options{})
				defer w.stop()
				if got := w.serverText("r"); got != tt.want {
					t.Errorf("room opens with %q, want %q", got, tt.want)
				}
				if got := w.log.count("leftover"); got != tt.left {
					t.Errorf("%d leftovers were reported, want %d", got, tt.left)
				}
				a := w.join("r", &client{doc: whole}, peer(0))
				settle(a)
				if got := w.serverText("r"); got != "abcd" {
					t.Errorf("room has %q when the author is back, want abcd", got)
				}
			})
		})
	}
}
