package room_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weft/crdt"
	"weft/persistence"
	"weft/protocol"
	"weft/room"
)

func TestConcurrentJoinsLoadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := persistence.NewMemory(persistence.Options{})
		loads := 0
		store.SetFaults(persistence.Faults{Load: func(string) error {
			loads++
			time.Sleep(time.Second)
			return nil
		}})
		w := startOn(t, store, room.Options{})
		defer w.stop()
		var wg sync.WaitGroup
		clients := make([]*client, 100)
		for i := range clients {
			clients[i] = &client{}
			wg.Go(func() {
				c := clients[i]
				c.doc, c.t, c.people, c.out, c.dialect = crdt.New(crdt.Options{}), t, map[uint64]person{}, room.NewOutbox(0, nil), yws
				s, err := w.rooms.Join(t.Context(), "r", room.Peer{Dialect: yws, Out: c.out})
				if err != nil {
					t.Errorf("Join() = %v", err)
				}
				c.session = s
			})
		}
		wg.Wait()
		if loads != 1 || w.log.count("opened") != 1 {
			t.Errorf("100 concurrent joins: %d loads, %d rooms, want 1", loads, w.log.count("opened"))
		}
		clients[0].typed("x")
		settle(clients...)
		if got := clients[99].text(); got != "x" {
			t.Errorf("the last joiner has %q, want x", got)
		}
	})
}

func TestNobodyIsSyncedBeforeTheRoomIsLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		a := w.join("r", &client{}, peer(0))
		a.typed("stored")
		settle(a)
		w.stop()

		survivor := w.store.Crash()
		survivor.SetFaults(persistence.Faults{Load: func(string) error { time.Sleep(time.Minute); return nil }})
		w = startOn(t, survivor, room.Options{})
		defer w.stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if s, err := w.rooms.Join(ctx, "r", room.Peer{Dialect: yws, Out: room.NewOutbox(0, nil)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Join while loading = %v, %v, want the deadline's error", s, err)
		}
		b := w.join("r", &client{}, peer(0))
		settle(b)
		if got := b.text(); !b.synced || got != "stored" {
			t.Errorf("client is synced: %v, with %q, want %q", b.synced, got, "stored")
		}
	})
}

func TestIdleRoomIsSavedClosedAndOpensAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{IdleAfter: 10 * time.Second})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		a.typed("kept")
		settle(a)
		time.Sleep(5 * time.Second)
		a.session.Leave()
		time.Sleep(9 * time.Second)
		if !w.status("r").Open {
			t.Error("room is closed before it was idle for 10 s")
		}
		time.Sleep(2 * time.Second)
		st := w.status("r")
		if st.Open || st.Saved.Epoch == 0 || st.Saved.Seq != 1 || st.Unsaved != 0 {
			t.Errorf("idle room is %+v, want it cold and saved at seq 1", st)
		}
		b := w.join("r", &client{}, peer(0))
		settle(b)
		if got := b.text(); got != "kept" {
			t.Errorf("room opens with %q, want %q", got, "kept")
		}
		b.typed("more ")
		settle(b)
		if got := w.status("r").Pos; got.Epoch <= st.Saved.Epoch || got.Seq != 1 {
			t.Errorf("position in the second ownership is %v, want seq 1 of an epoch after %d", got, st.Saved.Epoch)
		}
	})
}

func TestJoinDuringTheLastSaveKeepsTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{IdleAfter: time.Second})
		defer w.stop()
		w.store.SetFaults(persistence.Faults{Save: func(string) error { time.Sleep(10 * time.Second); return nil }})
		a := w.join("r", &client{}, peer(0))
		a.typed("x")
		settle(a)
		a.session.Leave()
		time.Sleep(5 * time.Second) // it is being saved
		b := w.join("r", &client{}, peer(0))
		settle(b)
		b.typed("y")
		time.Sleep(time.Minute)
		settle(b)
		if got := w.log.count("opened"); got != 1 {
			t.Errorf("room was opened %d times, want 1", got)
		}
		if got := w.serverText("r"); got != "yx" {
			t.Errorf("room has %q, want yx", got)
		}
	})
}

func TestSavesByCountSizeAndAge(t *testing.T) {
	run := func(name string, o room.Options, write func(*client), wait time.Duration) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, o)
				defer w.stop()
				a := w.join("r", &client{}, peer(0))
				settle(a)
				write(a)
				settle(a)
				time.Sleep(wait - time.Millisecond)
				if got := w.log.count("saved"); wait > time.Millisecond && got != 0 {
					t.Errorf("%d saves before %v, want 0", got, wait)
				}
				time.Sleep(2 * time.Millisecond)
				synctest.Wait()
				st := w.status("r")
				if st.Saved != st.Pos || st.Unsaved != 0 {
					t.Errorf("after %v saved is %v of %v", wait, st.Saved, st.Pos)
				}
				if got := w.log.count("saved"); got != 1 {
					t.Errorf("%d saves, want 1", got)
				}
			})
		})
	}
	run("age", room.Options{}, func(c *client) { c.typed("x") }, 30*time.Second)
	run("count", room.Options{SaveUpdates: 10}, func(c *client) {
		for range 10 {
			c.typed("x")
		}
	}, time.Millisecond)
	run("bytes", room.Options{SaveBytes: 1000}, func(c *client) { c.typed(strings.Repeat("x", 1000)) }, time.Millisecond)
}

func TestSavesOfABusyRoomArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		for range 6000 {
			a.typed("x")
			time.Sleep(time.Millisecond)
			settle(a)
		}
		if got := w.log.count("saved"); got < 1 || got > 2 {
			t.Errorf("6,000 updates in 6 s made %d saves, want at most one in 5 s", got)
		}
	})
}

func TestWhatComesDuringASaveIsUnsaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{SaveUpdates: 1, SaveEvery: time.Second})
		defer w.stop()
		w.store.SetFaults(persistence.Faults{Save: func(string) error { time.Sleep(3 * time.Second); return nil }})
		a := w.join("r", &client{}, peer(0))
		a.typed("first")
		settle(a)
		time.Sleep(2 * time.Second)
		a.typed("second")
		settle(a)
		time.Sleep(1500 * time.Millisecond)
		st := w.status("r")
		if st.Saved.Seq != 1 || st.Unsaved == 0 {
			t.Errorf("after the first save %+v, want it saved at seq 1 and the second update unsaved", st)
		}
		time.Sleep(10 * time.Second)
		if st := w.status("r"); st.Saved.Seq != 2 || st.Unsaved != 0 {
			t.Errorf("after the second save %+v, want everything saved", st)
		}
	})
}

func TestFailedSavesAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{SaveUpdates: 1})
		defer w.stop()
		w.store.SetFaults(persistence.Faults{Save: func(string) error { return errors.New("no") }})
		a := w.join("r", &client{}, peer(0))
		a.typed("x")
		settle(a)
		time.Sleep(30 * time.Second)
		if got := w.log.count("save failed"); got < 4 || got > 8 {
			t.Errorf("%d tries in 30 s, want one every 5 s", got)
		}
		w.store.SetFaults(persistence.Faults{})
		time.Sleep(6 * time.Second)
		if st := w.status("r"); st.Saved != st.Pos {
			t.Errorf("saved is %v of %v, want everything", st.Saved, st.Pos)
		}
	})
}

func TestCheckpointDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		a := w.join("r", &client{}, peer(0))
		a.typed("x")
		settle(a)
		w.rooms.CheckpointDue("r")
		synctest.Wait()
		if st := w.status("r"); st.Saved != st.Pos {
			t.Errorf("open room is saved at %v of %v", st.Saved, st.Pos)
		}
		a.typed("y")
		settle(a)

		w = startOn(t, w.kill(), room.Options{})
		defer w.stop()
		if st := w.status("r"); st.Open || st.Saved == st.Pos {
			t.Fatalf("after a crash the room is %+v, want it cold with a tail", st)
		}
		w.rooms.CheckpointDue("r")
		synctest.Wait()
		if st := w.status("r"); st.Saved != st.Pos {
			t.Errorf("cold room is saved at %v of %v", st.Saved, st.Pos)
		}
		time.Sleep(2 * time.Minute)
		if w.status("r").Open {
			t.Error("room that was opened to be saved stays open")
		}
	})
}

func TestCloseDrainsAndSaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		w.store.SetFaults(persistence.Faults{Commit: func(persistence.Commit) error { time.Sleep(time.Second); return nil }})
		var clients []*client
		for i := range 20 {
			c := w.join(fmt.Sprint("room ", i), &client{}, peer(0))
			c.typed("last words")
			clients = append(clients, c)
		}
		w.stop()
		for i, c := range clients {
			<-c.session.Done()
			if got := reason(c.session.Err()); got != protocol.Draining {
				t.Errorf("session %d ended with %v, want Draining", i, c.session.Err())
			}
			st := w.status(fmt.Sprint("room ", i))
			if st.Saved.Seq != 1 || st.Open {
				t.Errorf("room %d is %+v after Close, want it saved", i, st)
			}
		}
		if _, err := w.rooms.Join(t.Context(), "room 1", room.Peer{Dialect: yws, Out: room.NewOutbox(0, nil)}); reason(err) != protocol.Draining {
			t.Errorf("Join after Close = %v, want Draining", err)
		}
	})
}

func TestCloseGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		free := make(chan struct{})
		w.store.SetFaults(persistence.Faults{Commit: func(persistence.Commit) error { <-free; return nil }})
		a := w.join("r", &client{}, peer(0))
		a.typed("x")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := w.rooms.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close with a store that hangs = %v, want the deadline's error", err)
		}
		close(free)
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestDamagedRoomIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("fine", &client{}, peer(0))
		a.typed("x")
		b := w.join("bad", &client{}, peer(0))
		b.typed("y")
		settle(a, b)
		b.session.Leave()
		time.Sleep(2 * time.Minute)
		w.store.Damage("bad")
		saves := w.log.count("saved")
		for range 3 {
			if err := w.tryJoin("bad", &client{}, peer(0)); reason(err) != protocol.Quarantined {
				t.Errorf("Join of a damaged room = %v, want Quarantined", err)
			}
		}
		if got := w.log.count("open failed"); got != 1 {
			t.Errorf("damaged room was loaded %d times, want 1", got)
		}
		w.rooms.CheckpointDue("bad")
		time.Sleep(2 * time.Minute)
		if got := w.log.count("saved"); got != saves {
			t.Error("damaged room was saved")
		}
		if st := w.status("bad"); st.Damage == "" || st.Open {
			t.Errorf("Status of the damaged room = %+v, want its damage", st)
		}
		a.typed("still ")
		settle(a)
		if got := w.serverText("fine"); got != "still x" {
			t.Errorf("the other room has %q, want %q", got, "still x")
		}
	})
}

// TestGapIsSetAside has a store forget one record in the middle, as a disk does that has not written what it said.
func TestGapIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := persistence.NewMemory(persistence.Options{})
		for _, seq := range []uint64{1, 3} {
			r := persistence.Record{Room: "r", Pos: persistence.Position{Epoch: 1, Seq: seq}, Update: []byte{0, 0}}
			done := make(chan error, 1)
			if err := store.Append([]persistence.Record{r}, func(err error) { done <- err }); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		w := startOn(t, store, room.Options{})
		defer w.stop()
		if err := w.tryJoin("r", &client{}, peer(0)); reason(err) != protocol.Quarantined || !strings.Contains(err.Error(), "between 1-1 and 1-3") {
			t.Errorf("Join = %v, want Quarantined between 1-1 and 1-3", err)
		}
	})
}

func TestUndecodableSnapshotIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := persistence.NewMemory(persistence.Options{})
		bad := persistence.Snapshot{Pos: persistence.Position{Epoch: 1, Seq: 1}, State: []byte("no update")}
		if err := store.Save(t.Context(), "r", bad); err != nil {
			t.Fatal(err)
		}
		w := startOn(t, store, room.Options{})
		defer w.stop()
		if err := w.tryJoin("r", &client{}, peer(0)); reason(err) != protocol.Quarantined {
			t.Errorf("Join = %v, want Quarantined", err)
		}
		stored, err := store.Load(t.Context(), "r")
		if err != nil || string(stored.Snapshot.State) != "no update" {
			t.Errorf("stored snapshot is %q, %v, want it untouched", stored.Snapshot.State, err)
		}
	})
}

func TestFailureToLoadMayPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		w.store.SetFaults(persistence.Faults{Load: func(string) error { return errors.New("disk hiccup") }})
		if err := w.tryJoin("r", &client{}, peer(0)); reason(err) != protocol.Internal {
			t.Errorf("Join = %v, want Internal", err)
		}
		w.store.SetFaults(persistence.Faults{})
		if err := w.tryJoin("r", &client{}, peer(0)); err != nil {
			t.Errorf("Join when the store is well again = %v, want nil", err)
		}
	})
}

func TestPanicEndsTheRoomOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, other := w.join("r", &client{}, peer(0)), w.join("other", &client{}, peer(0))
		a.typed("committed")
		settle(a, other)
		err := w.rooms.Export(t.Context(), "r", func(*crdt.Doc) error { panic("planted") })
		if reason(err) != protocol.Internal {
			t.Errorf("Export that panics = %v, want Internal", err)
		}
		<-a.session.Done()
		if got := reason(a.session.Err()); got != protocol.Internal {
			t.Errorf("session ended with %v, want Internal", a.session.Err())
		}
		if err := a.session.Handle(t.Context(), protocol.Message{Kind: protocol.QueryAwareness}); reason(err) != protocol.Internal {
			t.Errorf("Handle after the panic = %v, want Internal", err)
		}
		a.session.Leave()
		if got := w.log.count("panicked"); got != 1 {
			t.Errorf("%d panics were reported, want 1", got)
		}
		other.typed("fine")
		settle(other)
		b := w.join("r", &client{}, peer(0))
		settle(b)
		if got := b.text(); got != "committed" {
			t.Errorf("room opens with %q after the panic, want %q", got, "committed")
		}
	})
}

// TestPanicEndsTheJoinsBehindIt has a join wait behind a call that panics.
func TestPanicEndsTheJoinsBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		a.typed("committed")
		settle(a)
		release := hold(t, w, "r")
		panicked := make(chan error, 1)
		go func() {
			panicked <- w.rooms.Export(t.Context(), "r", func(*crdt.Doc) error { panic("planted") })
		}()
		synctest.Wait()
		b := &client{}
		if err := w.tryJoin("r", b, peer(0)); err != nil {
			t.Fatalf("Join() = %v, want nil", err)
		}
		release()
		if err := <-panicked; reason(err) != protocol.Internal {
			t.Errorf("Export that panics = %v, want Internal", err)
		}
		synctest.Wait()
		select {
		case err := <-b.ended:
			if reason(err) != protocol.Internal {
				t.Errorf("session that was joining ended with %v, want Internal", err)
			}
		default:
			t.Fatal("session that was joining has not ended with the room")
		}
		if err := b.session.Handle(t.Context(), protocol.Message{Kind: protocol.QueryAwareness}); reason(err) != protocol.Internal {
			t.Errorf("Handle after the panic = %v, want Internal", err)
		}
	})
}

func TestRoomNamesAndLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{MaxRooms: 2})
		defer w.stop()
		for _, name := range []string{"", ".", "..", "a\nb", strings.Repeat("x", 257)} {
			if err := w.tryJoin(name, &client{}, peer(0)); reason(err) != protocol.Malformed {
				t.Errorf("Join(%q) = %v, want Malformed", name, err)
			}
		}
		w.join("a", &client{}, peer(0))
		b := w.join("b", &client{}, peer(0))
		w.join("a", &client{}, peer(0))
		if err := w.tryJoin("c", &client{}, peer(0)); reason(err) != protocol.Overloaded {
			t.Errorf("Join of a third room = %v, want Overloaded", err)
		}
		b.session.Leave()
		time.Sleep(2 * time.Minute)
		if err := w.tryJoin("c", &client{}, peer(0)); err != nil {
			t.Errorf("Join when a room has closed = %v, want nil", err)
		}
	})
}

// names returns the names of a list, after a look whether Status says the same.
func (w *world) names(list []room.Status) (names []string) {
	w.t.Helper()
	for _, st := range list {
		names = append(names, st.Room)
		if got := w.status(st.Room); got != st {
			w.t.Errorf("Status(%q) = %+v, the list says %+v", st.Room, got, st)
		}
	}
	return names
}
