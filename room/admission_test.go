package room_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weft/persistence"
	"weft/protocol"
	"weft/room"
)

// TestJoinsOfColdRoomsAreRefusedWhenManyWait joins 200 cold rooms at once on a
// store that takes a second to load one, eight at a time.
func TestJoinsOfColdRoomsAreRefusedWhenManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := persistence.NewMemory(persistence.Options{})
		store.SetFaults(persistence.Faults{Load: func(string) error { time.Sleep(time.Second); return nil }})
		w := startOn(t, store, room.Options{JoinWithin: 10 * time.Second})
		defer w.stop()
		first := w.join("first", &client{}, peer(0)) // how long a load takes is known from now on
		settle(first)

		var wg sync.WaitGroup
		var mu sync.Mutex
		admitted, refused := 0, 0
		var longest time.Duration
		for i := range 200 {
			wg.Go(func() {
				begun := time.Now()
				s, err := w.rooms.Join(t.Context(), fmt.Sprint(i), room.Peer{Dialect: yws, Out: room.NewOutbox(0, nil)})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					refused++
					if reason(err) != protocol.Overloaded {
						t.Errorf("Join() = %v, want Overloaded", err)
					}
					return
				}
				admitted++
				longest = max(longest, time.Since(begun))
				s.Leave()
			})
		}
		synctest.Wait()
		waits := map[time.Duration]bool{}
		for range 20 {
			after, ok := w.rooms.Admit("another")
			if ok || after < 5*time.Second || after > 17*time.Second {
				t.Errorf("Admit() of a cold room = %v, %v, want 5 s to 17 s and false", after, ok)
			}
			waits[after] = true
		}
		if len(waits) < 10 {
			t.Errorf("20 calls of Admit name %d different times, want them spread", len(waits))
		}
		if _, ok := w.rooms.Admit("first"); !ok {
			t.Error("Admit() of an open room = false, want true")
		}
		again := w.join("first", &client{}, peer(0))
		settle(again)
		if !again.synced {
			t.Error("open room does not answer while others are loaded")
		}
		wg.Wait()
		if admitted != 80 || refused != 120 {
			t.Errorf("%d joins were admitted and %d refused, want 80 and 120: ten seconds' work of eight loaders", admitted, refused)
		}
		if longest > 10*time.Second {
			t.Errorf("a join that was admitted waited for %v, want at most 10 s", longest)
		}
		if _, ok := w.rooms.Admit("another"); !ok {
			t.Error("Admit() = false when nothing waits any more, want true")
		}
	})
}

// TestSlowLoadsDoNotShutTheDoor loads a room that takes longer than a join may
// wait. The loaders that are free then find out whether it is still so.
func TestSlowLoadsDoNotShutTheDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := persistence.NewMemory(persistence.Options{})
		store.SetFaults(persistence.Faults{Load: func(string) error { time.Sleep(time.Minute); return nil }})
		w := startOn(t, store, room.Options{JoinWithin: 10 * time.Second, Loaders: 2})
		defer w.stop()
		settle(w.join("slow", &client{}, peer(0)))

		var wg sync.WaitGroup
		for i := range 2 {
			if after, ok := w.rooms.Admit("cold"); !ok {
				t.Errorf("Admit() with %d of 2 loaders at work = %v, false, want true", i, after)
			}
			wg.Go(func() {
				if err := w.tryJoin(fmt.Sprint("cold ", i), &client{}, peer(0)); err != nil {
					t.Errorf("Join() with %d of 2 loaders at work = %v, want nil", i, err)
				}
			})
			synctest.Wait()
		}
		if after, ok := w.rooms.Admit("cold"); ok {
			t.Errorf("Admit() with all loaders at work for a minute each = %v, true, want false", after)
		}
		wg.Wait()
		store.SetFaults(persistence.Faults{})
		for i := range 20 {
			settle(w.join(fmt.Sprint("quick ", i), &client{}, peer(0)))
		}
		if after, ok := w.rooms.Admit("cold"); !ok {
			t.Errorf("Admit() when loads are quick again = %v, false, want true", after)
		}
	})
}
