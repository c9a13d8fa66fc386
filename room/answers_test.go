package room_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

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
		w.store.SetFaults(diskFull())
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

func TestMarkerComesBackAfterTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		w.store.SetFaults(slowly(time.Second))
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		settle(a, b)
		a.send(protocol.SaveMarker, []byte("0"))
		settle(a, b)
		if got, want := a.saved, []string{"0"}; !slices.Equal(got, want) {
			t.Errorf("with nothing to save, markers %q come back at once, want %q", got, want)
		}
		a.typed("x")
		a.send(protocol.SaveMarker, []byte("1"))
		settle(a, b)
		if got := b.text(); got != "x" {
			t.Errorf("before the commit b has %q, want x: broadcast does not wait", got)
		}
		if len(a.saved) != 1 {
			t.Errorf("markers %q came back before the commit", a.saved)
		}
		time.Sleep(999 * time.Millisecond)
		settle(a, b)
		if len(a.saved) != 1 {
			t.Errorf("markers %q came back before the commit", a.saved)
		}
		time.Sleep(time.Millisecond)
		settle(a, b)
		if got, want := a.saved, []string{"0", "1"}; !slices.Equal(got, want) {
			t.Errorf("after the commit markers %q, want %q", got, want)
		}
		if len(b.saved) != 0 {
			t.Errorf("b gets the markers %q of another conn", b.saved)
		}
	})
}

func TestMarkerWaitsForWhatAnotherConnSentFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		w.store.SetFaults(slowly(time.Second))
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		settle(a, b)
		u := a.offline(insert(0, "x"))
		a.send(protocol.Update, bytes.Clone(u))
		settle(a)
		b.send(protocol.Update, bytes.Clone(u)) // nothing new in memory, but not durable
		b.send(protocol.SaveMarker, []byte("1"))
		settle(a, b)
		if len(b.saved) != 0 {
			t.Error("marker came back although what it stands for is not durable")
		}
		time.Sleep(time.Second)
		settle(a, b)
		if len(b.saved) != 1 {
			t.Error("marker did not come back after the commit")
		}
	})
}

func TestManyMarkersWithoutReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(1000))
		settle(a)
		a.deaf = true
		for i := range 10_000 {
			a.send(protocol.SaveMarker, fmt.Append(nil, i))
		}
		synctest.Wait()
		if got := a.out.Size(); got > 1000 {
			t.Errorf("outbox holds %d bytes, want at most its bound", got)
		}
		a.deaf = false
		settle(a)
		if n := len(a.saved); n == 0 || n > 100 || a.saved[n-1] != "9999" {
			t.Errorf("%d markers came back, the last %q; want few, and the newest last", n, a.saved[max(0, n-1):])
		}
	})
}
