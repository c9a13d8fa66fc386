package room_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weft/crdt"
	"weft/persistence"
	"weft/protocol"
	"weft/room"
)

// wantAcks checks what a client was answered since the last look.
func (c *client) wantAcks(when, want string) {
	c.t.Helper()
	if c.acks != want {
		c.t.Errorf("%s: acks %q, want %q", when, c.acks, want)
	}
	c.acks = ""
}

func TestWritesAreAckedWhenDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		w.store.SetFaults(slowly(time.Second))
		a, b := w.join("r", &client{}, acking()), w.join("r", &client{}, acking())
		settle(a, b)
		a.wantAcks("the empty SyncStep2 of a joiner", "S")
		b.wantAcks("the empty SyncStep2 of a joiner", "S")
		u := a.offline(insert(0, "x"))
		a.send(protocol.Update, bytes.Clone(u))
		b.send(protocol.Update, bytes.Clone(u)) // known, but not durable
		time.Sleep(999 * time.Millisecond)
		settle(a, b)
		a.wantAcks("before the commit", "")
		b.wantAcks("before the commit", "")
		time.Sleep(time.Millisecond)
		settle(a, b)
		a.wantAcks("after the commit", "S")
		b.wantAcks("after the commit of what another conn sent first", "S")
		a.announce(7, 1, `{}`)
		a.send(protocol.SaveMarker, []byte("m"))
		settle(a, b)
		a.wantAcks("messages that do not write", "")
		a.send(protocol.SyncStep1, []byte{0})
		settle(a, b)
		a.wantAcks("a question of the client's, which brings one of the room's", "S")
	})
}

// TestClientsCountWhatIsNotSaved has a client count as Hocuspocus providers do, through everything that makes a room
// ask it again: the count never says that all is saved when something is not, and in the end it says so.
func TestClientsCountWhatIsNotSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		full := diskFull()
		a := w.join("r", &client{}, acking())
		settle(a)
		steps := []struct {
			what string
			do   func()
			want int // the count at once
		}{
			{"a first edit", func() { a.typed("0") }, 0},
			{"two edits on a slow disk", func() { w.store.SetFaults(slowly(time.Second)); a.typed("a"); a.typed("b") }, 2},
			{"a forced sync behind two edits", func() { a.typed("c"); a.typed("d"); a.send(protocol.SyncStep1, a.doc.AppendStateVector(nil)) }, 1},
			{"an edit behind a forced sync", func() { a.send(protocol.SyncStep1, a.doc.AppendStateVector(nil)); a.typed("e") }, 2},
			{"edits on a full disk", func() {
				w.store.SetFaults(full)
				a.typed("f")
				time.Sleep(6 * time.Second)
				settle(a)
				a.typed("g")
				a.typed("h")
			}, 3},
			{"a forced sync on a full disk", func() { a.send(protocol.SyncStep1, a.doc.AppendStateVector(nil)); a.typed("i") }, 2},
			{"a disk with space", func() { w.store.SetFaults(persistence.Faults{}); time.Sleep(20 * time.Second) }, 0},
			{"edits of a reader", func() { a.session.SetReadOnly(true); a.typed("j"); a.typed("k") }, 2},
			{"a writer again", func() { a.session.SetReadOnly(false) }, 0},
			{"a forced sync of a reader", func() {
				a.session.SetReadOnly(true)
				a.typed("l")
				a.send(protocol.SyncStep1, a.doc.AppendStateVector(nil))
			}, 1},
			{"a writer once more", func() { a.session.SetReadOnly(false) }, 0},
		}
		for _, step := range steps {
			step.do()
			settle(a)
			if a.unsaved != step.want {
				t.Errorf("%s: the client counts %d, want %d", step.what, a.unsaved, step.want)
			}
			if step.what == "edits on a full disk" || step.what == "a forced sync on a full disk" {
				continue
			}
			time.Sleep(3 * time.Second)
			settle(a)
			if got, want := w.serverText("r"), a.text(); got != want && a.unsaved == 0 {
				t.Errorf("%s: the client counts 0 and has %q, the room has %q", step.what, want, got)
			}
		}
		if a.unsaved != 0 {
			t.Errorf("in the end the client counts %d, want 0", a.unsaved)
		}
	})
}

func TestReadersGetAnAckForWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, acking())
		a.typed("known ")
		settle(a)
		a.acks = ""

		p := acking()
		p.ReadOnly = true
		reader := w.join("r", &client{doc: crdt.New(crdt.Options{})}, p)
		settle(a, reader)
		reader.wantAcks("a reader's empty SyncStep2, which it is asked for", "S")
		known := a.doc.AppendDiff(nil, nil, crdt.V1)
		foreign := reader.offline(insert(0, "forged "))
		var want strings.Builder
		for i, k := range []protocol.Kind{protocol.SyncStep2, protocol.Update, protocol.Update, protocol.SyncStep2} {
			reader.send(k, bytes.Clone(known))
			reader.send(k, bytes.Clone(foreign))
			if k == protocol.SyncStep2 {
				want.WriteString("SN")
			} else { // an update is not looked into
				want.WriteString("NN")
			}
			if i == 1 {
				settle(a, reader)
			}
		}
		settle(a, reader)
		reader.wantAcks("known and foreign by turns", want.String())
		if len(reader.denied) != 0 {
			t.Errorf("a peer that gets acks is told %q, too", reader.denied)
		}
		if got := a.text(); got != "known " {
			t.Errorf("the others have %q after a reader's writes, want %q", got, "known ")
		}

		// As a writer it is asked for what was refused, and its answer is Saved.
		reader.session.SetReadOnly(false)
		settle(a, reader)
		reader.wantAcks("the answer to the room's question, for what was refused", "SSSSSS")
		if got := a.text(); !strings.Contains(got, "forged ") {
			t.Errorf("the others have %q after the reader became a writer, want its text", got)
		}
		reader.session.SetReadOnly(true)
		reader.typed("late ")
		settle(a, reader)
		reader.wantAcks("a write after the downgrade", "N")
	})
}

// TestReadersOfYWebsocketAreToldOnce sends many refused updates.
func TestReadersOfYWebsocketAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		p := peer(0)
		p.ReadOnly = true
		a := w.join("r", &client{}, p)
		settle(a)
		if len(a.denied) != 0 {
			t.Errorf("a reader that writes nothing is told %q", a.denied)
		}
		for i := range 100 {
			a.typed(fmt.Sprint(i))
		}
		settle(a)
		if len(a.denied) != 1 || !strings.HasPrefix(a.denied[0], "read-only") {
			t.Errorf("after 100 refused updates the reader is told %q, want the reason once", a.denied)
		}
		a.session.SetReadOnly(false)
		a.session.SetReadOnly(true)
		settle(a)
		a.typed("more")
		settle(a)
		if len(a.denied) != 2 {
			t.Errorf("after the right came and went the reader is told %q, want the reason once more", a.denied)
		}
		select {
		case err := <-a.ended:
			t.Errorf("reader was ended for writing: %v", err)
		default:
		}
	})
}

// TestDowngradeAnswersWhatIsMissing makes a reader of a client with a hole: what
// waited for the rest will not be saved, and it is told.
func TestDowngradeAnswersWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, acking()), w.join("r", &client{}, acking())
		settle(a, b)
		a.acks = ""
		updates, _ := chain(t, 3)
		a.send(protocol.Update, bytes.Clone(updates[2]))
		a.send(protocol.Update, bytes.Clone(updates[1]))
		synctest.Wait()
		a.session.SetReadOnly(true)
		a.send(protocol.Update, bytes.Clone(updates[0]))
		settle(a, b)
		a.wantAcks("after the downgrade", "NNN")
		b.send(protocol.Update, bytes.Clone(updates[0]))
		b.send(protocol.Update, bytes.Clone(updates[1]))
		settle(a, b)
		if got := w.serverText("r"); got != "ab" {
			t.Errorf("room has %q, want ab: what a reader had sent before must not appear later", got)
		}
	})
}

// TestRefusalsOfTheStoreAreAckedInTheEnd fills the disk: answers are withheld,
// the updates are asked for again, and then every one is Saved.
func TestRefusalsOfTheStoreAreAckedInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, acking())
		settle(a)
		a.acks = ""
		w.store.SetFaults(diskFull())
		a.typed("stuck ")
		time.Sleep(6 * time.Second)
		settle(a)
		a.typed("refused ")
		a.typed("refused ")
		settle(a)
		a.wantAcks("while the disk is full", "")
		w.store.SetFaults(persistence.Faults{})
		time.Sleep(10 * time.Second)
		settle(a)
		a.wantAcks("when there is space", "SSS") // and none for the answer to the room's question
		if got, want := w.serverText("r"), a.text(); got != want {
			t.Errorf("room has %q, want %q", got, want)
		}
	})
}

// TestHoleIsAckedWhenFilled sends the second of two updates first.
func TestHoleIsAckedWhenFilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, acking()), w.join("r", &client{}, acking())
		settle(a, b)
		a.acks, b.acks = "", ""
		updates, _ := chain(t, 2)
		a.deaf = true
		a.send(protocol.Update, bytes.Clone(updates[1]))
		settle(a, b)
		w.store.SetFaults(slowly(time.Second))
		b.send(protocol.Update, bytes.Clone(updates[0]))
		settle(a, b)
		a.deaf = false
		a.read()
		a.wantAcks("integrated but not durable", "")
		time.Sleep(time.Second)
		settle(a, b)
		a.wantAcks("durable", "S")
		b.wantAcks("durable", "S")
	})
}

// TestAcksKeepTheirOrder runs random writers and readers against a store of
// random speed that fails at times, and compares every client's answers with
// what it sent.
func TestAcksKeepTheirOrder(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { ackOrder(t, rand.New(rand.NewPCG(seed, 3))) })
		})
	}
}

func ackOrder(t *testing.T, rnd *rand.Rand) {
	w := start(t, room.Options{})
	defer w.stop()
	speed := rand.New(rand.NewPCG(rnd.Uint64(), 0)) // of the one committer
	w.store.SetFaults(persistence.Faults{Commit: func(persistence.Commit) error {
		time.Sleep(time.Duration(speed.IntN(30)) * time.Millisecond)
		return nil
	}})
	clients := make([]*client, 3)
	want := make([]strings.Builder, len(clients))
	for i := range clients {
		p := acking()
		p.Out = room.NewOutbox(400+rnd.IntN(2000), nil) // small: answers wait for room
		clients[i] = w.join("r", &client{}, p)
		settle(clients[:i+1]...)
		clients[i].acks = ""
	}
	writer := []bool{true, true, true}
	for range 150 {
		i := rnd.IntN(len(clients))
		c := clients[i]
		switch rnd.IntN(10) {
		case 0:
			if c.deaf = !c.deaf; !c.deaf {
				settle(c)
			}
		case 1:
			time.Sleep(time.Duration(rnd.IntN(40)) * time.Millisecond)
		case 2: // what everybody has; of a reader it is seen in an answer only
			kind := protocol.Update
			if !writer[i] {
				kind = protocol.SyncStep2
			}
			c.send(kind, w.export("r"))
			want[i].WriteString("S")
		case 3: // a reader that has something of its own stays a reader: nothing is asked of it
			if i == 2 && writer[i] {
				settle(clients...)
				c.session.SetReadOnly(true)
				writer[i] = false
			}
		default:
			c.typed(fmt.Sprint(rnd.IntN(10)))
			if writer[i] {
				want[i].WriteString("S")
			} else {
				want[i].WriteString("N")
			}
		}
	}
	for _, c := range clients {
		c.deaf = false
	}
	time.Sleep(10 * time.Second)
	settle(clients...)
	time.Sleep(10 * time.Second)
	settle(clients...)
	for i, c := range clients {
		c.wantAcks(fmt.Sprintf("client %d", i), want[i].String())
	}
	if st := w.status("r"); st.Pos != st.Durable {
		t.Errorf("room is at %v and durable until %v when everything is acked", st.Pos, st.Durable)
	}
}

// export returns the state of the room's document.
func (w *world) export(name string) (state []byte) {
	w.t.Helper()
	err := w.rooms.Export(w.t.Context(), name, func(d *crdt.Doc) error {
		state = d.AppendDiff(nil, nil, crdt.V1)
		return nil
	})
	if err != nil && reason(err) != protocol.NotFound {
		w.t.Fatalf("Export(%q) = %v", name, err)
	}
	if state == nil {
		return []byte{0, 0}
	}
	return state
}

// TestAnswersThatAreNotTakenAreBounded never reads and makes the answers alternate.
func TestAnswersThatAreNotTakenAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, acking())
		a.typed("known")
		settle(a)
		p := acking()
		p.ReadOnly, p.Out = true, room.NewOutbox(1000, nil)
		hostile := w.join("r", &client{}, p)
		settle(hostile)
		hostile.deaf = true
		foreign := hostile.offline(insert(0, "x"))
		for range 10_000 { // one kind folds
			hostile.send(protocol.Update, bytes.Clone(foreign))
		}
		synctest.Wait()
		if got := hostile.out.Size(); got > 1000 {
			t.Errorf("outbox holds %d bytes, want at most its bound", got)
		}
		var err error
		for i := 0; i < 10_000 && err == nil; i++ {
			m := protocol.Message{Kind: protocol.Update, Data: []byte{0, 0}}
			if i%2 == 0 {
				m.Data = bytes.Clone(foreign)
			}
			err = hostile.session.Handle(t.Context(), m)
			synctest.Wait()
		}
		if got := reason(err); got != protocol.RateLimited {
			t.Errorf("Handle of a client that makes answers alternate and reads none = %v, want RateLimited", err)
		}
	})
}
