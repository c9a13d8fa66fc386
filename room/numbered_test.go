package room_test

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// spoken is a dialect of numbered peers whose frames are JSON.
type spoken struct{ v2 bool }

// said is a frame of it.
type said struct {
	protocol.Message
	Why string // name of the reason
}

func (d spoken) UpdatesV2() bool { return d.v2 }

func (spoken) Append(dst []byte, m protocol.Message) []byte {
	switch m.Kind {
	case protocol.SyncStep1, protocol.SyncStep2, protocol.QueryAwareness, protocol.SaveMarker, protocol.Denied:
		return dst
	case protocol.Awareness:
		if string(m.Data) == "\x00" {
			return dst
		}
	}
	s := said{Message: m}
	if m.Why != nil {
		s.Why = m.Why.Reason.Name
		s.Message.Why = nil
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return append(dst, b...)
}

// native is a numbered peer, seen from what the room tells it.
type native struct {
	t       *testing.T
	doc     *crdt.Doc
	out     *room.Outbox
	session *room.Session
	ended   chan error
	next    uint64 // id of its last update

	joined  *said
	log     []string // what came, in short
	frames  []int    // sizes of updates that came
	pos     protocol.Position
	changed []bool
}

// enter joins a room with a document and what p says beside it.
func (w *world) enter(name string, doc *crdt.Doc, p room.Peer, o room.Opening) *native {
	w.t.Helper()
	if doc == nil {
		doc = crdt.New(crdt.Options{})
	}
	n := &native{t: w.t, doc: doc, out: room.NewOutbox(p.Out.Limit(), nil), ended: make(chan error, 1)}
	if o.Vector == nil {
		o.Vector = doc.AppendStateVector(nil)
	}
	o.Changed = func(write bool) { n.changed = append(n.changed, write) }
	w.peers++
	if p.Dialect == nil {
		p.Dialect = spoken{}
	}
	p.ID, p.Out, p.Ended, p.Opening = w.peers, n.out, func(err error) { n.ended <- err }, &o
	var err error
	if n.session, err = w.rooms.Join(w.t.Context(), name, p); err != nil {
		w.t.Fatalf("Join(%q) = %v", name, err)
	}
	return n
}

// read takes what is in the outbox.
func (n *native) read() {
	n.t.Helper()
	for frames := n.out.Take(nil); len(frames) > 0; frames = n.out.Take(nil) {
		for _, f := range frames {
			var s said
			if err := json.Unmarshal(f, &s); err != nil {
				n.t.Fatalf("frame %q: %v", f, err)
			}
			n.receive(&s)
		}
	}
}

func (n *native) receive(s *said) {
	n.t.Helper()
	text := s.Kind.String()
	switch s.Kind {
	case protocol.Joined:
		n.joined = s
		text = fmt.Sprintf("joined %d", s.Join.Mode)
		n.apply(s)
	case protocol.Update:
		text = fmt.Sprintf("%d-%d", s.First, s.Pos.Seq)
		n.frames = append(n.frames, len(s.Data))
		n.apply(s)
	case protocol.Saved, protocol.Applied:
		text = fmt.Sprintf("%v %d at %d", s.Kind, s.ID, s.Pos.Seq)
	case protocol.NotSaved:
		text = fmt.Sprintf("refused %d %s", s.ID, s.Why)
	}
	n.log = append(n.log, text)
}

func (n *native) apply(s *said) {
	n.t.Helper()
	if n.joined == nil {
		n.t.Error("an update came before Joined")
	}
	if s.First > n.pos.Seq+1 && s.Pos.Epoch == n.pos.Epoch {
		n.t.Errorf("updates %d to %d after %d: there is a gap", s.First, s.Pos.Seq, n.pos.Seq)
	}
	if _, err := n.doc.Apply(s.Data, crdt.V1); err != nil {
		n.t.Fatalf("room sent an update: %v", err)
	}
	n.pos = s.Pos
}

// send sends an update with the next id.
func (n *native) send(update []byte) {
	n.t.Helper()
	n.next++
	m := protocol.Message{Kind: protocol.Update, Data: update, ID: n.next}
	if err := n.session.Handle(n.t.Context(), m); err != nil {
		n.t.Fatalf("Handle = %v", err)
	}
}

func (n *native) give(credit uint64) {
	n.t.Helper()
	if err := n.session.Handle(n.t.Context(), protocol.Message{Kind: protocol.Credit, ID: credit}); err != nil {
		n.t.Fatalf("Handle = %v", err)
	}
}

// edit changes the peer's document and returns the update.
func (n *native) edit(f func(*crdt.Tx) error) []byte {
	n.t.Helper()
	u, err := n.doc.Edit(f)
	if err != nil {
		n.t.Fatal(err)
	}
	return u
}

func (n *native) typed(s string) { n.t.Helper(); n.send(n.edit(insert(0, s))) }

// said lets everything run and checks what came since the last look.
func (n *native) said(when string, want ...string) {
	n.t.Helper()
	for {
		synctest.Wait()
		n.read()
		synctest.Wait()
		if n.out.Size() == 0 {
			break
		}
	}
	if !slices.Equal(n.log, want) {
		n.t.Errorf("%s: the room said %q, want %q", when, n.log, want)
	}
	n.log = nil
}

func TestNumberedUpdatesAreAckedWhenDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		w.store.SetFaults(slowly(time.Second))
		a := w.enter("r", nil, room.Peer{}, room.Opening{Ref: 7})
		b := w.enter("r", nil, room.Peer{}, room.Opening{Applied: true})
		a.said("joining", "joined 3")
		b.said("joining", "joined 3")
		if j := a.joined.Join; j.Ref != 7 || !j.Write || j.People != nil {
			t.Errorf("Joined = %+v, want the ref, the right to write, and nobody who was not asked for", j)
		}
		u := a.edit(insert(0, "x"))
		a.send(bytes.Clone(u))
		a.said("an update that is not durable", "1-1")
		b.send(bytes.Clone(u))
		b.said("what somebody sent already, applied", "1-1", "applied 1 at 1")
		a.typed("y")
		a.typed("z")
		a.said("further ones", "2-2", "3-3")
		time.Sleep(999 * time.Millisecond)
		a.said("before the commit")
		time.Sleep(time.Millisecond)
		a.said("after the commit of the first", "saved 1 at 1")
		time.Sleep(time.Second)
		a.said("after that of the others, which count together", "saved 3 at 3")
		b.said("the same", "2-2", "3-3")
	})
}

// TestNumberedAcksSurviveACrash kills the room at random moments: what was acknowledged is there afterwards.
func TestNumberedAcksSurviveACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		w.store.SetFaults(slowly(10 * time.Millisecond))
		a := w.enter("r", nil, room.Peer{}, room.Opening{})
		for i := range 20 {
			a.typed(string(rune('a' + i)))
			time.Sleep(3 * time.Millisecond)
		}
		synctest.Wait()
		a.read()
		acked := 0
		for _, line := range a.log {
			fmt.Sscanf(line, "saved %d", &acked)
		}
		before := a.pos.Epoch
		w2 := startOn(t, w.kill(), room.Options{})
		defer w2.stop()
		text := ""
		for i := range acked {
			text = string(rune('a'+i)) + text
		}
		if acked == 0 || acked == 20 {
			t.Fatalf("%d of 20 updates were acknowledged, want some", acked)
		}
		fresh := w2.enter("r", nil, room.Peer{}, room.Opening{})
		fresh.said("after the crash", "joined 3")
		if got := fresh.doc.Text("t"); !strings.HasSuffix(got, text) {
			t.Errorf("after the crash the room has %q, acknowledged was %q", got, text)
		}
		// The positions that were told and lost must not mean something else now.
		fresh.typed("other")
		fresh.said("its update", "1-1", "saved 1 at 1")
		if fresh.pos.Epoch <= before {
			t.Errorf("epoch %d after the crash, want one after %d", fresh.pos.Epoch, before)
		}
		back := w2.enter("r", a.doc, room.Peer{}, room.Opening{Resume: a.pos})
		back.said("who comes back with a lost position", "joined 2")
		back.send(back.doc.AppendDiff(nil, mustVector(t, back.joined.Join.Vector), crdt.V1))
		fresh.read()
		synctest.Wait()
		fresh.read()
		if got, want := fresh.doc.Text("t"), back.doc.Text("t"); got != want || len(got) != 25 {
			t.Errorf("in the end %q and %q, want 25 characters in both", got, want)
		}
	})
}

func mustVector(t *testing.T, b []byte) crdt.StateVector {
	t.Helper()
	v, err := crdt.DecodeStateVector(b)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestNumberedRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.enter("r", nil, room.Peer{ReadOnly: true}, room.Opening{})
		a.said("joining", "joined 3")
		a.typed("forged")
		a.said("an update of a reader", "refused 1 forbidden")
		a.send([]byte{0, 0})
		a.said("an empty one", "saved 2 at 0")
		a.session.SetReadOnly(false)
		a.said("a writer now")
		a.typed("x")
		a.said("an update on top of what was refused")
		a.send(a.doc.AppendDiff(nil, nil, crdt.V1))
		a.said("all of it", "1-1", "saved 4 at 1") // the third waited for the first, and is in the fourth
		w.store.SetFaults(diskFull())
		a.typed("y")
		a.said("a full disk", "2-2")
		time.Sleep(6 * time.Second)
		a.typed("z")
		a.said("a full disk that the room knows of", "refused 6 unavailable")
		w.store.SetFaults(persistence.Faults{})
		time.Sleep(10 * time.Second)
		a.said("space again", "saved 5 at 2")
		a.send(a.doc.AppendDiff(nil, nil, crdt.V1))
		a.said("what was refused", "3-3", "saved 7 at 3")
		a.session.SetReadOnly(true)
		a.said("a reader again")
		if !slices.Equal(a.changed, []bool{true, false}) {
			t.Errorf("the client was told %v, want that it is a writer, and a reader again", a.changed)
		}
		if got := w.serverText("r"); got != "zyxforged" {
			t.Errorf("the room has %q, want what was sent again too", got)
		}
		a.session.SetReadOnly(false)
		a.send([]byte{1, 2, 3})
		a.said("an update that is none", "refused 8 malformed")
		if err := <-a.ended; reason(err) != protocol.Malformed {
			t.Errorf("the session ended with %v, want %v", err, protocol.Malformed)
		}
	})
}

func TestNumberedUpdatesThatMissSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.enter("r", nil, room.Peer{}, room.Opening{})
		first, second := a.edit(insert(0, "a")), a.edit(insert(0, "b"))
		a.said("joining", "joined 3")
		a.send(second)
		a.said("an update without its past")
		a.send(first)
		a.said("its past", "1-1", "2-2", "saved 2 at 2")

		a.edit(insert(0, "lost"))
		a.typed("c")
		time.Sleep(29 * time.Second)
		a.said("an update whose past does not come")
		time.Sleep(6 * time.Second)
		a.said("after half a minute")
		if err := <-a.ended; reason(err) != protocol.Incomplete {
			t.Fatalf("the session ended with %v, want %v", err, protocol.Incomplete)
		}
		b := w.enter("r", a.doc, room.Peer{}, room.Opening{Resume: a.pos})
		b.said("joining anew", "joined 1")
		b.send(b.doc.AppendDiff(nil, mustVector(t, b.joined.Join.Vector), crdt.V1))
		b.said("all of it", "3-3", "saved 1 at 3")

		b.edit(insert(0, "lost again"))
		b.typed("d")
		b.said("an update whose past does not come")
		b.session.SetReadOnly(true)
		b.said("a reader, whose updates will not be taken any more")
		if err := <-b.ended; reason(err) != protocol.Incomplete {
			t.Errorf("the session ended with %v, want %v", err, protocol.Incomplete)
		}
	})
}

func TestResumingByPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.enter("r", nil, room.Peer{}, room.Opening{})
		for range 300 { // deletions, which a diff would name
			a.typed("xyz")
			a.send(a.edit(func(tx *crdt.Tx) error { return tx.Text("t").Delete(1, 1) }))
		}
		synctest.Wait()
		a.read()
		from := a.pos
		known := crdt.New(crdt.Options{})
		if _, err := known.Apply(a.doc.AppendDiff(nil, nil, crdt.V1), crdt.V1); err != nil {
			t.Fatal(err)
		}
		var missed int
		for i := range 5 {
			u := a.edit(insert(0, string(rune('0'+i))))
			missed += len(u)
			a.send(u)
		}
		synctest.Wait()
		a.read()
		diff := len(a.doc.AppendDiff(nil, known.StateVector(), crdt.V1))
		b := w.enter("r", known, room.Peer{}, room.Opening{Resume: from})
		b.said("back after five updates", "joined 1")
		if got := len(b.joined.Data); got > missed || diff < 4*got {
			t.Errorf("coming back brought %d bytes, want at most the %d that were missed, and much less than the diff of %d", got, missed, diff)
		}
		if got, want := b.doc.Text("t"), a.doc.Text("t"); got != want {
			t.Errorf("who came back has %q, want %q", got, want)
		}
		b.session.Leave()

		// What is held is bounded in updates and in bytes.
		for range 1100 {
			a.typed("z")
		}
		synctest.Wait()
		a.read()
		b = w.enter("r", known, room.Peer{}, room.Opening{Resume: from})
		b.said("back after 1,105 updates", "joined 2")
		at := b.pos
		a.typed(strings.Repeat("large", 50_000))
		a.typed("y")
		synctest.Wait()
		a.read()
		b.session.Leave()
		time.Sleep(time.Second) // for the pause that the last answer cost
		b = w.enter("r", known, room.Peer{}, room.Opening{Resume: at})
		b.said("back after 250 kB", "joined 1")
		c := w.enter("r", known, room.Peer{}, room.Opening{Resume: at})
		c.said("another from there, who gets the same answer", "joined 1")
		d := w.enter("r", known, room.Peer{}, room.Opening{Resume: protocol.Position{Epoch: at.Epoch, Seq: at.Seq - 1}})
		d.said("one from elsewhere, who waits")
		time.Sleep(time.Second)
		d.said("its turn", "joined 1")
		for _, n := range []*native{b, c, d} {
			n.session.Leave()
		}
		for range 10 {
			a.typed(strings.Repeat("large", 10_000))
		}
		synctest.Wait()
		a.read()
		time.Sleep(time.Second) // for the pause that the last answer cost
		b = w.enter("r", known, room.Peer{}, room.Opening{Resume: at})
		b.said("back after 750 kB", "joined 2")
		if got, want := b.doc.Text("t"), a.doc.Text("t"); got != want {
			t.Errorf("who came back has %d characters, want %d", len(got), len(want))
		}
	})
}

// TestResumingAcrossARest comes back to a room that was closed meanwhile: what was missed is the difference.
func TestResumingAcrossARest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{IdleAfter: time.Second})
		defer w.stop()
		a := w.enter("r", nil, room.Peer{}, room.Opening{})
		a.typed("x")
		a.said("an update", "joined 3", "1-1", "saved 1 at 1")
		a.session.Leave()
		time.Sleep(time.Minute)
		if w.status("r").Open {
			t.Fatal("the room is open, want it closed")
		}
		a = w.enter("r", a.doc, room.Peer{}, room.Opening{Resume: a.pos})
		a.said("back, and nothing was missed", "joined 1")
		if string(a.joined.Data) != "\x00\x00" {
			t.Errorf("coming back brought %x, want an empty update", a.joined.Data)
		}
		old := a.joined.Pos
		a.typed("y")
		synctest.Wait()
		a.read()
		a.log = nil
		b := w.enter("r", a.doc, room.Peer{}, room.Opening{Resume: old})
		b.said("back with a position of the epoch before", "joined 1")
	})
}

func TestCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.enter("r", nil, room.Peer{}, room.Opening{})
		b := w.enter("r", nil, room.Peer{}, room.Opening{Window: 1000})
		b.said("joining", "joined 3")
		write := func() {
			for i := range 200 {
				a.typed(strings.Repeat(string(rune('a'+i%26)), 100))
				synctest.Wait()
				a.read()
				b.read()
			}
		}
		write()
		sum, came := 0, len(b.frames)
		for _, size := range b.frames[:came-1] {
			sum += size
		}
		if last := b.frames[came-1]; sum >= 1000 || sum+last < 1000 {
			t.Errorf("%d bytes and then %d came, want the one that goes over 1,000 to be the last", sum, last)
		}
		sum += b.frames[came-1]
		time.Sleep(10 * time.Minute)
		select {
		case err := <-b.ended:
			t.Fatalf("the session ended with %v, want it to wait", err)
		default:
		}
		b.log = nil
		b.give(uint64(sum - 1000))
		b.said("with what it was over")
		b.give(1)
		b.said("with a byte more", fmt.Sprintf("%d-200", came+1))
		if got, want := b.doc.Text("t"), a.doc.Text("t"); got != want {
			t.Errorf("it has %d characters, want %d", len(got), len(want))
		}
		write()
		b.said("without more")
		b.give(1 << 62)
		b.said("with as much as it can say", "201-400")
		b.give(1 << 62)
		write()
		if got, want := b.doc.Text("t"), a.doc.Text("t"); got != want || len(b.frames) != came+2+200 {
			t.Errorf("after %d updates it has %d characters, want %d, all updates one by one", len(b.frames), len(got), len(want))
		}
	})
}

// TestCreditOfWhoDoesNotRead lets the outbox fill before the credit is used up: both must be over before anything comes,
// and it comes as one update in any case.
func TestCreditOfWhoDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.enter("r", nil, room.Peer{}, room.Opening{})
		b := w.enter("r", nil, peer(4000), room.Opening{Window: 2000})
		b.said("joining", "joined 3")
		for range 100 {
			a.typed(strings.Repeat("x", 300))
			synctest.Wait()
			a.read()
		}
		b.said("what was queued", "1-1", "2-2", "3-3", "4-4", "5-5", "6-6", "7-7")
		b.give(5000)
		b.said("credit", "8-100")
		c := w.enter("r", nil, peer(1000), room.Opening{Window: 2500})
		c.said("joining", "joined 3")
		for range 10 {
			a.typed(strings.Repeat("x", 300))
			synctest.Wait()
			a.read()
		}
		c.said("what it missed because it did not read, from the last mark on", "1-110")
		for range 10 {
			a.typed(strings.Repeat("x", 300))
			synctest.Wait()
			a.read()
		}
		c.said("out of credit")
		c.give(40_000)
		c.said("credit", "111-120")
		if got, want := c.doc.Text("t"), a.doc.Text("t"); got != want {
			t.Errorf("it has %d characters, want %d", len(got), len(want))
		}
	})
}

// TestCreditIsKeptWhileLagging has a peer lag again and again that gives credit for exactly what it got, a quarter of
// its window at a time: what was queued for it and dropped costs it nothing.
func TestCreditIsKeptWhileLagging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.enter("r", nil, room.Peer{}, room.Opening{})
		const window = 5000
		b := w.enter("r", nil, peer(4000), room.Opening{Window: window})
		b.said("joining", "joined 3")
		got, counted := 0, 0
		for range 20 {
			for range 20 {
				a.typed(strings.Repeat("x", 300))
				synctest.Wait()
				a.read()
			}
			for gave := true; gave || b.out.Size() > 0; {
				synctest.Wait()
				b.read()
				for ; counted < len(b.frames); counted++ {
					got += b.frames[counted]
				}
				if gave = got >= window/4; gave {
					b.give(uint64(got))
					got = 0
				}
				synctest.Wait()
			}
		}
		if got, want := len(b.doc.Text("t")), len(a.doc.Text("t")); got != want {
			t.Errorf("it has %d characters, want %d", got, want)
		}
	})
}

// TestNothingComesBeforeJoined signals to a peer whose answer waits for its turn.
func TestNothingComesBeforeJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.enter("r", nil, room.Peer{}, room.Opening{})
		a.typed(strings.Repeat("x", 300_000)) // 60 ms between two answers
		synctest.Wait()
		a.read()
		vector := func(c crdt.ClientID) []byte {
			d := crdt.New(crdt.Options{ClientID: c})
			if _, err := d.Edit(insert(0, "q")); err != nil {
				t.Fatal(err)
			}
			return d.AppendStateVector(nil)
		}
		w.enter("r", nil, room.Peer{}, room.Opening{Vector: vector(5)})
		b := w.enter("r", nil, room.Peer{}, room.Opening{Vector: vector(6)})
		if err := a.session.Handle(t.Context(), protocol.Message{Kind: protocol.Stateless, Data: []byte("hi")}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.said("a signal before its turn")
		time.Sleep(time.Second)
		b.said("its turn", "joined 2")
	})
}

func TestManyJoinsShareOneAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.enter("r", nil, peer(4<<20), room.Opening{})
		a.typed(strings.Repeat("0123456789", 100_000)) // 1 MB: 200 ms between two answers
		a.said("a large document", "joined 3", "1-1", "saved 1 at 1")
		first := w.enter("r", nil, room.Peer{}, room.Opening{})
		first.said("the first newcomer", "joined 3")
		a.typed("x")
		synctest.Wait()
		a.read()
		var crowd []*native
		for range 20 {
			crowd = append(crowd, w.enter("r", nil, room.Peer{}, room.Opening{}))
		}
		crowd[0].said("at once")
		a.typed("y")
		synctest.Wait()
		a.read()
		time.Sleep(250 * time.Millisecond)
		for i, n := range crowd {
			n.said(fmt.Sprintf("newcomer %d", i), "joined 3")
			if got := len(n.doc.Text("t")); got != 1_000_002 {
				t.Errorf("newcomer %d has %d characters, want all", i, got)
			}
		}
	})
}
