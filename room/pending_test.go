package room_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weft/crdt"
	"weft/persistence"
	"weft/protocol"
	"weft/room"
)

// chain returns n updates of one author, each building on the one before, and
// the whole.
func chain(t *testing.T, n int) (updates [][]byte, whole *crdt.Doc) {
	whole = crdt.New(crdt.Options{})
	for i := range n {
		u, err := whole.Edit(insert(i, string(rune('a'+i))))
		if err != nil {
			t.Fatal(err)
		}
		updates = append(updates, u)
	}
	return updates, whole
}

func TestPendingUpdateIsHeldUntilItFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		settle(a, b)
		time.Sleep(2 * time.Second)
		updates, _ := chain(t, 3)
		a.kinds()
		b.kinds()
		a.send(protocol.Update, updates[2])
		a.send(protocol.SaveMarker, []byte("m"))
		synctest.Wait()
		if got := w.status("r").Pos; got != (persistence.Position{}) {
			t.Errorf("a pending update got the position %v, want none", got)
		}
		frames := a.out.Take(nil)
		if len(frames) != 1 || !bytes.HasPrefix(frames[0], []byte{0, 0}) {
			t.Errorf("sender gets %x, want to be asked with a SyncStep1", frames)
		}
		settle(b)
		if got := b.kinds(); got != nil {
			t.Errorf("others get %v of a pending update, want nothing", got)
		}
		late := w.join("r", &client{}, peer(0))
		settle(late)
		if got := late.doc.AppendDiff(nil, nil, crdt.V1); !bytes.Equal(got, []byte{0, 0}) {
			t.Errorf("a joiner gets the pending bytes %x", got)
		}
		b.send(protocol.Update, updates[1])
		b.send(protocol.Update, updates[0])
		settle(b, late)
		if got := w.serverText("r"); got != "abc" {
			t.Errorf("room has %q when everything is there, want abc", got)
		}
		a.read()
		if got, want := a.saved, []string{"m"}; !slices.Equal(got, want) {
			t.Errorf("markers %q, want %q", got, want)
		}
	})
}

func TestPendingUpdateExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		settle(a, b)
		updates, whole := chain(t, 3)
		a.deaf = true // it never answers a question
		a.send(protocol.Update, updates[2])
		a.send(protocol.SaveMarker, []byte("m"))
		time.Sleep(25 * time.Second)
		a.out.Take(nil)
		a.out.Take(nil)
		time.Sleep(10 * time.Second)
		if got := w.log.count("pending lost"); got != 1 {
			t.Errorf("%d pending updates were given up after 35 s, want 1", got)
		}
		b.send(protocol.Update, updates[0])
		b.send(protocol.Update, updates[1])
		settle(b)
		if got := w.serverText("r"); got != "ab" {
			t.Errorf("room has %q, want ab: the pending update was given up", got)
		}
		// The author is asked again when the room has learned more, and its answer
		// sets everything right.
		a.deaf, a.doc = false, whole
		time.Sleep(5 * time.Second)
		settle(a, b)
		if got := w.serverText("r"); got != "abc" {
			t.Errorf("room has %q after the author answered, want abc", got)
		}
		if got, want := a.saved, []string{"m"}; !slices.Equal(got, want) {
			t.Errorf("markers %q, want %q", got, want)
		}
	})
}

func TestPendingFloodIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, flood := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		settle(a, flood)
		updates, _ := chain(t, 20)
		before := heap()
		asked := 0
		for i := range 20_000 {
			flood.send(protocol.Update, bytes.Clone(updates[1+i%19]))
			if i%100 == 0 {
				synctest.Wait()
				for _, f := range flood.out.Take(nil) {
					if bytes.HasPrefix(f, []byte{0, 0}) {
						asked++
					}
				}
			}
		}
		synctest.Wait()
		if grown := heap() - before; grown > 2<<20 {
			t.Errorf("20,000 pending updates cost %d bytes, want at most 2 MiB", grown)
		}
		if asked > 2 {
			t.Errorf("the flood was answered with %d questions at one moment, want at most 1 a second", asked)
		}
		a.typed("fine")
		settle(a)
		if got := w.serverText("r"); got != "fine" {
			t.Errorf("room has %q, want %q", got, "fine")
		}
	})
}

// TestSessionWaitsOnce has a session answer the room again and again with
// something that does not fit.
func TestSessionWaitsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		settle(a)
		updates, _ := chain(t, 3)
		for range 100 {
			a.send(protocol.SyncStep2, bytes.Clone(updates[2]))
			synctest.Wait()
		}
		if n, err := room.Waiting(t.Context(), w.rooms, "r"); n != 1 || err != nil {
			t.Errorf("Waiting() = %d, %v after 100 answers that do not fit, want the session once", n, err)
		}
		a.send(protocol.Update, bytes.Clone(updates[0]))
		a.send(protocol.Update, bytes.Clone(updates[1]))
		settle(a)
		if n, err := room.Waiting(t.Context(), w.rooms, "r"); n != 0 || err != nil || w.serverText("r") != "abc" {
			t.Errorf("Waiting() = %d, %v and the room has %q, want 0 and abc", n, err, w.serverText("r"))
		}
	})
}

func TestFutureDeletionDoesNotHitLaterText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		a := w.join("r", &client{doc: crdt.New(crdt.Options{ClientID: 7})}, peer(0))
		evil := w.join("r", &client{}, peer(0))
		settle(a, evil)
		// delete set: 1 client, id 7, 1 range, clock 0, length 100
		evil.send(protocol.Update, []byte{0, 1, 7, 1, 0, 100})
		settle(a)
		for range 100 {
			a.typed("x")
			settle(a)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		settle(a)
		if got := len(w.serverText("r")); got != 100 {
			t.Errorf("room has %d of 100 characters typed after a deletion of the future", got)
		}
		if got := len(a.text()); got != 100 {
			t.Errorf("author has %d of its 100 characters", got)
		}
		w = startOn(t, w.kill(), room.Options{})
		defer w.stop()
		if got := len(w.serverText("r")); got != 100 {
			t.Errorf("after a restart the room has %d of 100 characters", got)
		}
	})
}

func TestClientWithItsOwnHoleSyncsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		updates, _ := chain(t, 3)
		holed := &client{doc: crdt.New(crdt.Options{}), t: t}
		if _, err := holed.doc.Apply(updates[2], crdt.V1); err != nil { // pending for ever in its document
			t.Fatal(err)
		}
		holed.offline(insert(0, "mine"))
		w.join("r", holed, peer(0))
		for range 200 {
			settle(a, holed)
			time.Sleep(time.Second)
			holed.send(protocol.QueryAwareness, nil)
		}
		if got := a.text(); got != "mine" {
			t.Errorf("others have %q of a client with a hole, want %q", got, "mine")
		}
		questions := 0
		for _, m := range holed.inbox {
			if m.Kind == protocol.SyncStep1 {
				questions++
			}
		}
		if questions > 10 {
			t.Errorf("a client with a hole was asked %d times in 200 s, want seldom", questions)
		}
		holed.send(protocol.SaveMarker, []byte("m"))
		settle(a, holed)
		if len(holed.saved) != 0 {
			t.Error("marker came back although a part of the client's document is not stored")
		}
		a.send(protocol.Update, updates[0])
		a.send(protocol.Update, updates[1])
		time.Sleep(3 * time.Minute)
		settle(a, holed)
		if got := w.serverText("r"); !strings.Contains(got, "abc") || !strings.Contains(got, "mine") {
			t.Errorf("room has %q when the hole is filled, want abc and mine", got)
		}
		if got, want := holed.saved, []string{"m"}; !slices.Equal(got, want) {
			t.Errorf("markers %q, want %q", got, want)
		}
	})
}
