package room

import (
	"time"

	"weft/crdt"
	"weft/persistence"
	"weft/protocol"
)

// Opening is what a peer says when it joins whose protocol has one message for
// that and one for the answer: protocol.Joined, with everything that it lacks, is
// the first that it gets.
//
// Such a peer numbers its updates (protocol.Message.ID, growing, from 1). It gets
// Saved (or Applied) with a number when that update and all before it are
// durable (or integrated), those excepted that it got NotSaved for, which is told
// at once and for each. It is never asked for what it has: when something of it
// is missing for too long, or was refused for good, its session ends, with
// protocol.Incomplete or the reason, and its client joins anew.
type Opening struct {
	Ref      uint32            // comes back in Joined
	Vector   []byte            // state vector of what the client has; empty: nothing
	Resume   protocol.Position // the last update that it has, with all before; zero: it does not know
	Window   uint32            // bytes of updates that it takes before it has given Credit; 0: any number
	Largest  int               // bytes of the largest payload that it can take; 0: any; one that is larger ends the session with TooLarge
	Presence bool              // it wants to know who is here
	Applied  bool              // answer when an update is integrated, do not wait for the disk
	Expires  time.Time         // comes back in Joined

	// Answered is called on the room's goroutine when Joined has been sent. It must not
	// block or call the session. Nil: nobody is told.
	Answered func()
	// Changed is called on the room's goroutine when the client's right to write has
	// changed after Joined was sent. It must not block or call the session. Nil: nobody is told.
	Changed func(write bool)
}

// numbered is what a room knows of a session with an Opening.
type numbered struct {
	opening *Opening             // not answered yet
	blind   bool                 // presence is not sent
	metered bool                 // credit counts
	credit  int64                // bytes of updates that it takes; below zero when one was larger than what was left
	largest int                  // Opening.Largest
	held    persistence.Position // of the last update that it was offered before it was held back; zero: it is not
}

// maxCredit bounds the credit of a session, so that it cannot overflow.
const maxCredit = 1 << 40 // bytes

// isNumbered reports whether the peer numbers its updates.
func (s *Session) isNumbered() bool { return s.peer.Opening != nil }

// isHeld reports whether updates are withheld until the peer has given credit.
func (s *Session) isHeld() bool { return s.metered && s.credit <= 0 }

// spend counts bytes of updates that were offered.
func (s *Session) spend(n int) {
	if s.metered {
		s.credit -= int64(n)
	}
}

// openFor begins the membership of a peer with an Opening. Until that is answered
// everything else is withheld from it.
func (r *room) openFor(s *Session) {
	o := s.peer.Opening
	s.numbered = numbered{
		opening: o, blind: !o.Presence, metered: o.Window > 0, credit: int64(o.Window), largest: o.Largest,
	}
	s.sentAt = r.now
	r.setLagging(s, nil)
	s.behind = true
	r.recent.begin(r.pos)
	r.o.Events.Joined(r.name, s.peer.ID)
	if len(o.Vector) > maxQuestion {
		r.end(s, protocol.TooLarge.Closef("state vector of %d bytes, at most %d", len(o.Vector), maxQuestion))
		return
	}
	if _, err := crdt.DecodeStateVector(o.vector()); err != nil {
		r.end(s, &protocol.CloseError{Reason: protocol.Malformed, Detail: "state vector", Cause: err})
		return
	}
	r.greet(s)
}

func (o *Opening) vector() []byte {
	if len(o.Vector) == 0 {
		return []byte(emptyVector)
	}
	return o.Vector
}

// greet answers an Opening, or has it answered later: when the outbox has drained
// of what other sessions of its conn have in it, or when the pause is over that
// the last answer cost. What is answered then holds all until then.
func (r *room) greet(s *Session) {
	o := s.opening
	if s.peer.Out.excess() > 0 {
		r.answerDrained(s)
		return
	}
	mode, update, wait := r.missing(s.group, o)
	if wait > 0 {
		if s.answerAt = r.now.Add(wait); !s.asking {
			s.asking = true
			r.asking = append(r.asking, s)
		}
		return
	}
	m := protocol.Message{Kind: protocol.Joined, Data: update, Pos: protocol.Position(r.pos), Join: &protocol.Joining{
		Ref: o.Ref, Write: s.mayWrite(), Mode: mode, Vector: r.doc.AppendStateVector(nil), Expires: o.Expires,
	}}
	if !s.blind {
		m.Join.People = r.people.table.All()
	}
	payload := s.group.encode(m)
	if r.tooLarge(s, len(payload)) {
		return
	}
	if !s.peer.Out.offerAnswer(payload) { // another room was quicker
		r.answerDrained(s)
		return
	}
	s.opening, s.behind = nil, false
	s.seen, s.sentAt = r.people.table.Version(), r.now
	r.notLagging(s)
	if o.Answered != nil {
		o.Answered()
	}
}

// tooLarge ends a session whose client cannot take a payload of that size.
func (r *room) tooLarge(s *Session, size int) bool {
	if s.largest == 0 || size <= s.largest {
		return false
	}
	r.end(s, protocol.TooLarge.Closef("%d bytes for a client that takes %d", size, s.largest))
	return true
}

// states are the answers to openings that a group has made of the document as it
// is, by what was asked for.
type states struct {
	version uint64
	updates map[opened][]byte
	next    time.Time // when a further one may be made
}

// opened is what an answer depends on: one of the two is zero.
type opened struct {
	resume protocol.Position
	vector string
}

// missing returns what a client lacks, in the version of the group; or, because
// making it costs too much so soon after the last one, how long to wait for it:
// who comes meanwhile and asks for the same shares what is made then.
func (r *room) missing(g *group, o *Opening) (mode protocol.SyncMode, update []byte, wait time.Duration) {
	if missed, ok := r.recent.after(persistence.Position(o.Resume), r.pos); ok {
		update, wait, err := r.stateOf(g, opened{resume: o.Resume}, func() ([]byte, error) {
			tail, err := merged(missed)
			if err != nil {
				return nil, err
			}
			return g.update(tail), nil
		})
		if err == nil {
			return protocol.Tail, update, wait
		}
	}
	vector := o.vector()
	since, err := crdt.DecodeStateVector(vector)
	if err != nil {
		panic("room: unchecked state vector: " + err.Error())
	}
	mode = protocol.Diff
	if len(since) == 0 {
		mode = protocol.Full
	}
	version := crdt.V1
	if g.v2 {
		version = crdt.V2
	}
	update, wait, _ = r.stateOf(g, opened{vector: string(vector)}, func() ([]byte, error) {
		return r.doc.AppendDiff(nil, since, version), nil
	})
	return mode, update, wait
}

// stateOf returns the group's answer to what was asked for, made with make if there
// is none yet, or how long to wait until it may be made.
func (r *room) stateOf(g *group, asked opened, make func() ([]byte, error)) (update []byte, wait time.Duration, err error) {
	s := &g.states
	if s.version != r.out.version || s.updates == nil {
		s.version, s.updates = r.out.version, map[opened][]byte{}
	}
	if update, ok := s.updates[asked]; ok {
		return update, 0, nil
	}
	if wait := s.next.Sub(r.now); wait > 0 {
		return nil, wait, nil
	}
	if update, err = make(); err != nil {
		return nil, 0, err
	}
	s.next = r.now.Add(makingPause(update))
	if len(s.updates) < 2*maxPrepared { // of either kind
		s.updates[asked] = update
	}
	return update, 0, nil
}

// writeNumbered takes an update of a numbered peer.
func (r *room) writeNumbered(s *Session, m protocol.Message) {
	switch {
	case !s.mayWrite() && string(m.Data) != emptyUpdate:
		r.o.Events.Refused(r.name, s.peer.ID, m.Kind, "read-only")
		r.turnDown(s, m, protocol.Forbidden.Closef("read-only"))
		return
	case r.ledger.failure != nil:
		r.o.Events.Refused(r.name, s.peer.ID, m.Kind, "store does not take updates")
		r.turnDown(s, m, protocol.Unavailable.Closef("store does not take updates"))
		return
	}
	if r.update(s, m); s.ended {
		return
	}
	a := answer{kind: protocol.Saved, n: 1, id: m.ID}
	if s.peer.Opening.Applied {
		a.kind = protocol.Applied
	}
	if r.unblock(&a); s.unsettled() {
		a.blocked = true
	}
	r.owe(s, a)
}

// turnDown tells a numbered peer that a message had no effect. One that does not
// read why is ended.
func (r *room) turnDown(s *Session, m protocol.Message, why *protocol.CloseError) {
	if !s.isNumbered() {
		return
	}
	if !s.offer(s.group.encode(protocol.Message{Kind: protocol.NotSaved, ID: m.ID, Why: why})) {
		r.end(s, protocol.TooSlow.Closef("refusals are not read"))
		return
	}
	s.sentAt = r.now
}

// endIncomplete ends the session of a numbered peer whose updates cannot be
// integrated, because something that they build on did not come.
func (r *room) endIncomplete(s *Session) {
	if s.lost {
		r.end(s, protocol.Incomplete.Closef("updates were dropped"))
	}
}

// numberedRightsChanged is rightsChanged for a numbered peer. What a reader has
// waiting is not taken any more.
func (r *room) numberedRightsChanged(s *Session) {
	if !s.mayWrite() && s.unsettled() {
		r.end(s, protocol.Incomplete.Closef("became a reader"))
		return
	}
	if changed := s.peer.Opening.Changed; changed != nil && s.opening == nil {
		changed(s.mayWrite())
	}
}

// credit lets a session have that many bytes of updates more, and, when it was
// held back, everything that it missed as one update.
func (r *room) credit(s *Session, bytes uint64) {
	s.credit = min(s.credit+int64(min(bytes, maxCredit)), maxCredit)
	if s.lagging && s.opening == nil && !s.draining {
		r.catchUp(s)
	}
}

// hold withholds updates from the one numbered first on, from a session that is
// out of credit. That costs the room no more than a mark, however long it lasts.
func (r *room) hold(s *Session, first uint64) {
	r.setLagging(s, r.marks.before(first))
	s.held = r.out.sentPos
	r.o.Events.Lagging(r.name, s.peer.ID)
}
