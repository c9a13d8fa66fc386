package room_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"weft/persistence"
	"weft/protocol"
	"weft/room"
)

// wantSavedIsDurable checks that the client got a marker back only if everything
// that the room has is durable.
func (w *world) wantSavedIsDurable(name string, c *client) {
	w.t.Helper()
	if st := w.status(name); len(c.saved) > 0 && st.Pos != st.Durable {
		w.t.Errorf("markers %q came back when the room is at %v and durable until %v", c.saved, st.Pos, st.Durable)
	}
}

// TestMarkerOfAResentHoleWaitsForTheCommit sends the second of two updates
// alone. The room asks for the rest; the answer carries both, and a marker sent
// before it waits until they are durable.
func TestMarkerOfAResentHoleWaitsForTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		w.store.SetFaults(slowly(time.Second))
		a := w.join("r", &client{}, peer(0))
		settle(a)
		time.Sleep(2 * time.Second) // it may be asked again
		a.offline(insert(0, "a"))
		a.send(protocol.Update, a.offline(insert(1, "b")))
		a.send(protocol.SaveMarker, []byte("m"))
		settle(a)
		if st := w.status("r"); st.Pos.Seq != 1 || w.serverText("r") != "ab" {
			t.Fatalf("room has %q at %v after its question, want ab at seq 1", w.serverText("r"), st.Pos)
		}
		w.wantSavedIsDurable("r", a)
		time.Sleep(999 * time.Millisecond)
		settle(a)
		if len(a.saved) != 0 {
			t.Errorf("markers %q came back before the commit", a.saved)
		}
		time.Sleep(time.Millisecond)
		settle(a)
		w.wantSavedIsDurable("r", a)
		if got, want := a.saved, []string{"m"}; !slices.Equal(got, want) {
			t.Errorf("after the commit markers %q, want %q", got, want)
		}
	})
}

// TestMarkerOfARefusedEditWaitsForTheCommit refuses an edit while the disk is
// full. When there is space again the room asks for it; its marker waits until
// what the answer carries is durable.
func TestMarkerOfARefusedEditWaitsForTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		settle(a)
		w.store.SetFaults(persistence.Faults{Commit: func(persistence.Commit) error { return persistence.ErrDiskFull }})
		a.typed("stuck ")
		time.Sleep(6 * time.Second)
		settle(a)
		a.typed("refused ")
		a.send(protocol.SaveMarker, []byte("m"))
		settle(a)
		if got, want := w.serverText("r"), "stuck "; got != want {
			t.Fatalf("room has %q while the disk is full, want %q", got, want)
		}
		w.store.SetFaults(slowly(time.Second))
		for range 100 { // 10 s
			time.Sleep(100 * time.Millisecond)
			settle(a)
			w.wantSavedIsDurable("r", a)
		}
		if got, want := w.serverText("r"), "refused stuck "; got != want {
			t.Errorf("room has %q when there is space, want %q", got, want)
		}
		if got, want := a.saved, []string{"m"}; !slices.Equal(got, want) {
			t.Errorf("markers %q, want %q", got, want)
		}
	})
}

// TestMarkerWaitsForTheRestOfAnAnswer answers the room's question with something
// that does not fit either: the marker waits until it does and is durable.
func TestMarkerWaitsForTheRestOfAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		w.store.SetFaults(slowly(time.Second))
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		settle(a, b)
		updates, _ := chain(t, 3)
		a.send(protocol.Update, slices.Clone(updates[2]))
		a.send(protocol.SaveMarker, []byte("m"))
		a.send(protocol.SyncStep2, slices.Clone(updates[2]))
		settle(a, b)
		if len(a.saved) != 0 {
			t.Fatalf("markers %q came back for what was never integrated", a.saved)
		}
		b.send(protocol.Update, slices.Clone(updates[0]))
		b.send(protocol.Update, slices.Clone(updates[1]))
		settle(a, b)
		if got := w.serverText("r"); got != "abc" {
			t.Errorf("room has %q when the hole is filled, want abc", got)
		}
		w.wantSavedIsDurable("r", a)
		time.Sleep(2 * time.Second)
		settle(a, b)
		w.wantSavedIsDurable("r", a)
		if got, want := a.saved, []string{"m"}; !slices.Equal(got, want) {
			t.Errorf("markers %q after the commit, want %q", got, want)
		}
	})
}
