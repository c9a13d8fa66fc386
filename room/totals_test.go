package room_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weft/protocol"
	"weft/room"
)

func TestTotals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		if got := w.rooms.Totals(); got != (room.Totals{}) {
			t.Errorf("Totals() of nothing = %+v, want nothing", got)
		}
		a, b := w.join("a", &client{}, peer(0)), w.join("b", &client{}, peer(0))
		c := w.join("b", &client{}, peer(0))
		settle(a, b, c)
		a.typed("one")
		b.typed("two")
		b.announce(7, 1, "{}")
		updates, _ := chain(t, 2)
		c.send(protocol.Update, updates[1]) // without what it builds on
		settle(a, b, c)
		time.Sleep(3 * time.Second) // sizes are taken at a tick
		synctest.Wait()
		var want room.Totals
		for _, name := range []string{"a", "b"} {
			st := w.status(name)
			if st.Memory <= 0 || st.Structs != 1 {
				t.Errorf("room %s has %d bytes and %d structs, want some and 1", name, st.Memory, st.Structs)
			}
			want.Memory, want.Unsaved = want.Memory+st.Memory, want.Unsaved+st.Unsaved
		}
		want.Rooms, want.Conns, want.People, want.Structs, want.Pending = 2, 3, 1, 2, int64(len(updates[1]))
		if diff := cmp.Diff(want, w.rooms.Totals()); diff != "" {
			t.Errorf("Totals() differs (-want +got):\n%s", diff)
		}
		for _, k := range []*client{a, b, c} {
			k.session.Leave()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := w.rooms.Totals(); got != (room.Totals{}) {
			t.Errorf("Totals() when all rooms are cold = %+v, want nothing", got)
		}
	})
}

// TestTimesInEvents lets the store take 30 ms, on a clock of its own, so that nothing else takes any time.
func TestTimesInEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		settle(a)
		var took []time.Duration
		var batches []room.Batch
		w.log.onCommitted = func(_ int, d time.Duration) { took = append(took, d) }
		w.log.onBatch = func(b room.Batch) { batches = append(batches, b) }
		w.store.SetFaults(slowly(30 * time.Millisecond))
		a.typed("x")
		synctest.Wait()
		if len(batches) != 1 || batches[0].Waited != 0 || batches[0].Applied != 0 || batches[0].Offered != 0 {
			t.Errorf("batches = %+v, want one that took no time", batches)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(took) != 1 || took[0] != 30*time.Millisecond {
			t.Errorf("committed after %v, want 30ms", took)
		}
	})
}

func TestPresenceEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		settle(a, b)
		var got []room.PresenceBatch
		w.log.onPresence = func(b room.PresenceBatch) { got = append(got, b) }
		a.announce(7, 1, "{}")
		settle(a, b)
		b.announce(8, 1, "{}")
		settle(a, b)
		want := []room.PresenceBatch{{Updates: 1, Frames: 1, Peers: 2}, {Updates: 1, Frames: 1, Peers: 2}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events differ (-want +got):\n%s", diff)
		}
	})
}
