package room

import (
	"errors"
	"slices"
	"time"

	"weft/crdt"
	"weft/persistence"
	"weft/presence"
	"weft/protocol"
)

// newSession returns a session that has not joined yet.
func newSession(r *room, p Peer) *Session {
	s := &Session{room: r, peer: p, done: make(chan struct{})}
	s.identity = presence.NewIdentity(p.User, r.o.StampPresence)
	s.id = presence.ConnID(r.registry.conns.Add(1))
	s.readOnly.Store(p.ReadOnly)
	return s
}

// join lets a session in and offers what its client must get first, in the order
// of y-websocket's reference server: the room's SyncStep1, which makes the client
// send what the room does not have, then who is here. Readers are not asked,
// unless they wait for the answer to their answer.
func (r *room) join(s *Session) {
	r.sessions[s.id] = s
	r.marks.widen(s.peer.Out.limit)
	r.hub.add(s)
	if s.peer.Opening != nil {
		r.openFor(s)
		return
	}
	if s.mayWrite() && !s.peer.Acks { // the others are asked when they ask
		r.ask(s)
	}
	r.sendEverybody(s)
	s.sentAt = r.now
	if r.ledger.failure != nil {
		r.deny(s, r.storeRefuses())
	}
	r.o.Events.Joined(r.name, s.peer.ID)
}

// end takes a session out; why is nil when it left by itself.
func (r *room) end(s *Session, why *protocol.CloseError) {
	if s.ended {
		return
	}
	s.finish(why) // first: whatever else goes wrong, the conn learns of the end
	delete(r.sessions, s.id)
	r.hub.remove(s)
	r.notLagging(s)
	s.dropPending()
	s.answers = nil
	if r.people.table.Leave(s.id, r.now) {
		r.peopleChanged()
	}
	r.registry.release(r.slot)
	r.o.Events.Left(r.name, s.peer.ID, why)
}

// endAll ends every session.
func (r *room) endAll(why *protocol.CloseError) {
	for _, s := range r.sessions {
		r.end(s, why)
	}
}

// finish tells the outside that the session is over.
func (s *Session) finish(why *protocol.CloseError) {
	s.ended = true
	s.err = why
	close(s.done)
	if why != nil && s.peer.Ended != nil && !s.left.Load() {
		s.peer.Ended(why)
	}
}

// read acts on one message.
func (r *room) read(s *Session, m protocol.Message) {
	switch m.Kind {
	case protocol.SyncStep1:
		r.step1(s, m.Data)
	case protocol.SyncStep2, protocol.Update:
		r.write(s, m)
	case protocol.Awareness:
		r.awareness(s, m.Data)
	case protocol.QueryAwareness:
		r.sendEverybody(s)
	case protocol.SaveMarker:
		r.marker(s, m.Data)
	case protocol.Stateless:
		r.stateless(s, m)
	case protocol.Credit:
		r.credit(s, m.ID)
	case protocol.Ignored, protocol.Denied, protocol.Saved, protocol.NotSaved, protocol.Pong:
	}
}

// emptyUpdate is the update v1 that holds nothing: no structs, no deletions. It
// is what a client without news answers a SyncStep1 with.
const emptyUpdate = "\x00\x00"

// step1 answers a state vector with what its sender does not have. One answer is
// under way at a time, and none is begun in an outbox that is over its bound; of further questions the last one is answered when the
// outbox has drained and, unless it is made already, the pause that the answer
// before cost is over.
func (r *room) step1(s *Session, vector []byte) {
	if len(vector) > maxQuestion {
		r.end(s, protocol.TooLarge.Closef("state vector of %d bytes, at most %d", len(vector), maxQuestion))
		return
	}
	if s.group.prepared.find(vector) == nil { // what is prepared has been checked
		if _, err := crdt.DecodeStateVector(vector); err != nil {
			r.end(s, &protocol.CloseError{Reason: protocol.Malformed, Detail: "state vector", Cause: err})
			return
		}
	}
	s.beginCount(vector)
	s.asked = vector
	if !s.answering {
		r.answerAsked(s)
	}
}

// answerAsked answers the last question of a session, or has it answered later.
func (r *room) answerAsked(s *Session) {
	if s.opening != nil {
		r.greet(s)
		return
	}
	if s.asked == nil {
		return
	}
	if s.peer.Out.excess() > 0 { // for other sessions of its conn
		r.answerDrained(s)
		return
	}
	a := s.group.prepared.find(s.asked)
	switch free := a != nil && r.usable(a); {
	case !free && s.answerAt.After(r.now):
		if !s.asking {
			s.asking = true
			r.asking = append(r.asking, s)
		}
	default:
		vector := s.asked
		s.asked = nil
		r.answer(s, vector)
	}
}

// answerLate answers the questions whose pause is over.
func (r *room) answerLate() {
	if len(r.asking) == 0 {
		return
	}
	waiting := r.asking
	r.asking = nil
	for _, s := range waiting {
		s.asking = false
		if !s.ended && !s.answering { // otherwise it is answered when that has drained
			r.answerAsked(s)
		}
	}
}

// askingDue returns when the first of those pauses is over; zero when there is none.
func (r *room) askingDue() (due time.Time) {
	for _, s := range r.asking {
		if due.IsZero() || s.answerAt.Before(due) {
			due = s.answerAt
		}
	}
	return due
}

// maxQuestion bounds a state vector: 65,536 authors and a little.
const maxQuestion = 1 << 20 // bytes

// answer sends the SyncStep2 for a state vector. That is all that the session may
// have missed, so that it does not lag any more.
func (r *room) answer(s *Session, vector []byte) {
	frames, payload, made := r.prepare(s.group, vector)
	if made {
		s.answerAt = r.now.Add(makingPause(payload))
	}
	if s.peer.Acks {
		frames = slices.Insert(frames, 0, r.hello(s.group))
	}
	if !s.peer.Out.offerAnswer(append(frames, payload)...) { // another room was quicker
		s.asked = vector
		r.answerDrained(s)
		return
	}
	if s.peer.Acks {
		r.noteAsk(s)
	}
	r.notLagging(s)
	s.sentAt = r.now
	r.answerDrained(s)
}

// answerDrained has the next question of a session answered when its outbox has
// drained, and none before.
func (r *room) answerDrained(s *Session) {
	s.answering = true
	r.whenDrained(s)
}

// ask sends the room's own SyncStep1, whose answer holds everything that the
// client has and the room has not.
func (r *room) ask(s *Session) {
	s.peer.Out.offer(r.hello(s.group))
	r.noteAsk(s)
}

// noteAsk is called when a session was sent the room's own SyncStep1.
func (r *room) noteAsk(s *Session) {
	s.askSoon, s.askedAt, s.askedVersion = false, r.now, r.out.version
	s.sentAt = r.now
	s.count.asks++
}

// hello returns the room's own SyncStep1 as it is now.
func (r *room) hello(g *group) []byte {
	if g.hello.payload == nil || g.hello.version != r.out.version {
		g.hello = cached{r.out.version, g.encode(protocol.Message{
			Kind: protocol.SyncStep1, Data: r.doc.AppendStateVector(nil),
		})}
	}
	return g.hello.payload
}

// askAgain asks a session whose client has not just asked by itself.
func (r *room) askAgain(s *Session) {
	s.count.extra++
	r.ask(s)
}

// update applies a document update.
func (r *room) update(s *Session, m protocol.Message) {
	a, err := r.doc.Apply(m.Data, crdt.V1)
	if err != nil {
		r.malformed(s, m, err)
		return
	}
	answer := m.Kind == protocol.SyncStep2
	if answer {
		// It holds all that the client has and the room had not: what waited or was
		// lost before is in it.
		s.settle()
	}
	if a.Changed {
		r.integrated(a.Update)
	}
	if a.Rest != nil {
		r.keep(s, a, answer)
		r.askLost(s)
	}
	if answer { // last: an answer stands for what was integrated, and waits on for what was not
		r.unblockAnswers(s)
	}
}

// malformed ends a session whose update cannot be one.
func (r *room) malformed(s *Session, m protocol.Message, err error) {
	reason := protocol.Malformed
	if errors.Is(err, crdt.ErrLimit) {
		reason = protocol.TooLarge
	}
	r.o.Events.Refused(r.name, s.peer.ID, m.Kind, err.Error())
	why := &protocol.CloseError{Reason: reason, Detail: m.Kind.String(), Cause: err}
	r.turnDown(s, m, why)
	r.end(s, why)
}

// integrated gives an update that was integrated its position and sends it on at
// the end of the turn.
func (r *room) integrated(update []byte) {
	if r.pos.Epoch != r.epoch {
		r.pos = persistence.Position{Epoch: r.epoch}
	}
	r.pos.Seq++
	r.out.version++
	r.recent.add(r.pos, update)
	o := &r.out
	at := r.current.at
	if at.IsZero() { // it comes from no letter
		at = r.now
	}
	if len(o.waiting) == 0 {
		o.first = at
	}
	if len(o.fresh) == 0 {
		o.freshFrom = at
	}
	o.fresh, o.freshBytes = append(o.fresh, update), o.freshBytes+len(update)
	o.waiting, o.bytes = append(o.waiting, update), o.bytes+len(update)
}
