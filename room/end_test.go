package room_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weft/crdt"
	"weft/protocol"
	"weft/room"
)

func TestEndTellsThePeerAndRemovesItsPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		b.announce(7, 1, `{"name":"b"}`)
		settle(a, b)
		b.session.End(protocol.Forbidden.Closef("revoked"))
		b.session.End(protocol.Unauthorized.Closef("again"))
		settle(a)
		if got := reason(<-b.ended); got != protocol.Forbidden {
			t.Errorf("Ended was called with %v, want Forbidden", got)
		}
		if got := reason(b.session.Err()); got != protocol.Forbidden {
			t.Errorf("Err() = %v, want Forbidden", b.session.Err())
		}
		if len(b.ended) != 0 {
			t.Errorf("Ended was called once more with %v", <-b.ended)
		}
		if len(a.people) != 0 {
			t.Errorf("others see %v after the end, want nobody", a.people)
		}
		err := b.session.Handle(t.Context(), protocol.Message{Kind: protocol.QueryAwareness})
		if reason(err) != protocol.Forbidden {
			t.Errorf("Handle after End = %v, want Forbidden", err)
		}
	})
}

// TestNothingIsWrittenAfterEnd revokes a client while its updates wait in the
// inbox, some of them for what they build on, and while it goes on sending.
func TestNothingIsWrittenAfterEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		a.typed("text ")
		settle(a, b)
		updates, _ := chain(t, 3)
		b.send(protocol.Update, bytes.Clone(updates[2])) // waits for the others
		settle(a, b)

		free := hold(t, w, "r")
		b.typed("queued ")
		ended := make(chan struct{})
		go func() {
			b.session.End(protocol.Forbidden.Closef("revoked"))
			close(ended)
		}()
		synctest.Wait()
		select {
		case <-ended:
			t.Error("End returned while the room has not come to it")
		default:
		}
		// The conn may hand over what it has read already; the session says no or drops it.
		_ = b.session.Handle(t.Context(), protocol.Message{Kind: protocol.Update, Data: b.offline(insert(0, "late "))})
		free()
		<-ended
		before := w.status("r").Pos
		a.send(protocol.Update, bytes.Clone(updates[0]))
		a.send(protocol.Update, bytes.Clone(updates[1]))
		settle(a)
		if got := w.serverText("r"); !strings.Contains(got, "ab") || len(got) != len("text ab") {
			t.Errorf("room has %q, want only what the other conn wrote, text and ab", got)
		}
		if got, want := w.status("r").Pos.Seq, before.Seq+2; got != want {
			t.Errorf("room is at seq %d, want %d", got, want)
		}
	})
}

// TestEndUnderLoad ends a session from another goroutine while it writes as fast
// as it can; what the document holds at the return of End never grows.
func TestEndUnderLoad(t *testing.T) {
	for seed := range 20 {
		synctest.Test(t, func(t *testing.T) {
			w := start(t, room.Options{})
			defer w.stop()
			a := w.join("r", &client{}, peer(0))
			settle(a)
			var writing sync.WaitGroup
			writing.Go(func() {
				for i := range 2000 {
					u := a.offline(insert(i, "x"))
					if a.session.Handle(t.Context(), protocol.Message{Kind: protocol.Update, Data: u}) != nil {
						return
					}
				}
			})
			time.Sleep(time.Duration(seed) * time.Nanosecond)
			a.session.End(protocol.Forbidden.Closef("revoked"))
			at := len(w.serverText0("r"))
			writing.Wait()
			synctest.Wait()
			if got := len(w.serverText0("r")); got != at {
				t.Errorf("document has %d characters, want the %d it had when End returned", got, at)
			}
		})
	}
}

// serverText0 is serverText of a room that may not have been written.
func (w *world) serverText0(name string) (text string) {
	w.t.Helper()
	err := w.rooms.Export(w.t.Context(), name, func(d *crdt.Doc) error { text = d.Text("t"); return nil })
	if err != nil && reason(err) != protocol.NotFound {
		w.t.Fatalf("Export(%q) = %v", name, err)
	}
	return text
}

func TestEndedIsNotCalledAfterLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		a.typed("text")
		settle(a, b)
		free := hold(t, w, "r")
		a.session.Leave()
		ended := make(chan struct{})
		go func() {
			a.session.End(protocol.Forbidden.Closef("too late"))
			close(ended)
		}()
		free()
		<-ended
		w.stop()
		synctest.Wait()
		if len(a.ended) != 0 {
			t.Errorf("Ended was called with %v after Leave", <-a.ended)
		}
		if got := reason(<-b.ended); got != protocol.Draining {
			t.Errorf("Ended of a session that stayed was called with %v, want Draining", got)
		}
	})
}

// TestEndOfARoomThatIsOver returns at once.
func TestEndOfARoomThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		a := w.join("r", &client{}, peer(0))
		settle(a)
		w.stop()
		a.session.End(protocol.Forbidden.Closef("late"))
		if got := reason(a.session.Err()); got != protocol.Draining {
			t.Errorf("Err() = %v, want Draining, the first reason", a.session.Err())
		}
	})
}
