package room

import (
	"weft/persistence"
	"weft/protocol"
)

// answer is what a session is owed for something it sent. Save markers and the
// answers of Peer.Acks are the same promise in two forms and share one queue, so
// that they leave in the order in which they are owed.
type answer struct {
	kind    protocol.Kind        // SaveMarker, Saved or NotSaved
	n       int                  // how many times, for Saved and NotSaved
	id      uint64               // of a numbered peer's update; 0: the peer does not number
	at      persistence.Position // what a numbered peer is told
	data    []byte               // of the SaveMarker
	pos     persistence.Position // what must be durable; zero for NotSaved
	blocked bool                 // something sent before it is not integrated: pos is not known
}

const (
	// foldFrom is the number of unanswered entries of a session from which a newer
	// one takes the place of the one before where that says the same of both: a
	// marker the last marker's, and Saved waits for the newer position. What is
	// blocked and what is not never fold: the one would leave without the wait.
	foldFrom = 32
	// maxAnswers bounds the entries that do not fold. Only a client that makes its
	// answers alternate and does not read them gets there; it is ended.
	maxAnswers = 1024
)

// marker takes a save marker. It is answered when everything the room has
// integrated until now is durable: that holds what this session sent, also where
// another session had sent the same first.
func (r *room) marker(s *Session, data []byte) {
	r.owe(s, answer{kind: protocol.SaveMarker, n: 1, data: data, pos: r.pos, blocked: s.unsettled()})
}

// ack owes a session the answer to a message that was to change the document, as
// Peer.Acks says. A SyncStep2 holds all that the client has, so one that is taken
// also makes up for everything that was refused.
func (r *room) ack(s *Session, m protocol.Message, outcome protocol.Kind) {
	if !s.peer.Acks || s.ended {
		return
	}
	a := answer{kind: outcome}
	counted := s.counts(m)
	if counted || m.Kind == protocol.Update && outcome == protocol.NotSaved { // which lowers nothing
		a.n = 1
	}
	switch c := &s.count; {
	case outcome == protocol.NotSaved && counted:
		c.refused++
	case outcome == protocol.Saved && m.Kind == protocol.SyncStep2 && s.mayWrite() && r.ledger.failure == nil:
		a.n += c.refused
		c.refused = 0
	}
	if a.n == 0 {
		return
	}
	if outcome == protocol.Saved {
		a.pos, a.blocked = r.pos, s.mayWrite() && s.unsettled()
	}
	r.owe(s, a)
}

// unsettled reports whether something that the session sent is not integrated.
func (s *Session) unsettled() bool { return s.lost || len(s.pending) > 0 }

// owe queues an answer. It leaves at the end of the turn at the earliest.
func (r *room) owe(s *Session, a answer) {
	if !s.owed {
		s.owed = true
		r.owing = append(r.owing, s)
	}
	if len(s.answers) == 0 {
		s.answers = append(s.answers, a)
		return
	}
	last := &s.answers[len(s.answers)-1]
	switch {
	case last.kind != a.kind || last.blocked != a.blocked || last.pos != a.pos && len(s.answers) < foldFrom:
		s.answers = append(s.answers, a)
		if len(s.answers) > maxAnswers {
			r.end(s, protocol.RateLimited.Closef("%d answers are not taken", len(s.answers)))
		}
	case a.id != 0:
		*last = a
	case a.kind != protocol.SaveMarker:
		a.n += last.n
		*last = a
	case len(s.answers) >= foldFrom:
		*last = a
	default:
		s.answers = append(s.answers, a)
	}
}

// unblockAnswers gives the blocked answers of a session their position when
// nothing that it sent is missing any more. It is called after what was missing
// got its own position, never before: the position must include it.
func (r *room) unblockAnswers(s *Session) {
	if s.unsettled() {
		return
	}
	for i := range s.answers {
		if s.answers[i].blocked {
			r.unblock(&s.answers[i])
		}
	}
}

// unblock gives an answer the position of the room as it is.
func (r *room) unblock(a *answer) {
	a.blocked, a.at = false, r.pos
	if a.kind != protocol.Applied {
		a.pos = r.pos
	}
}

// answerAll gives every session the answers that are due.
func (r *room) answerAll() {
	kept := r.owing[:0]
	for _, s := range r.owing {
		r.flushAnswers(s)
		if s.owed = len(s.answers) > 0; s.owed {
			kept = append(kept, s)
		}
	}
	clear(r.owing[len(kept):])
	r.owing = kept
}

// flushAnswers gives one session its answers in order, as far as they are
// durable and its outbox has room.
func (r *room) flushAnswers(s *Session) {
	done := 0
	for ; done < len(s.answers); done++ {
		a := &s.answers[done]
		if !r.isDue(a) {
			break
		}
		if next := done + 1; a.id != 0 && next < len(s.answers) && r.isDue(&s.answers[next]) {
			continue // that one tells of both
		}
		payload := s.group.answer(a)
		for a.n > 0 && s.offer(payload) {
			a.n--
			s.sentAt = r.now
		}
		if a.n > 0 {
			r.whenDrained(s)
			break
		}
	}
	clear(s.answers[:done])
	s.answers = s.answers[done:]
	if len(s.answers) == 0 {
		s.answers = nil
	}
}

// isDue reports whether an answer may leave.
func (r *room) isDue(a *answer) bool { return !a.blocked && a.pos.Compare(r.ledger.durable) <= 0 }

// answer returns the payload of an answer. Saved and NotSaved are always the same.
func (g *group) answer(a *answer) []byte {
	m := protocol.Message{Kind: a.kind, Data: a.data, ID: a.id, Pos: protocol.Position(a.at)}
	switch {
	case a.id != 0:
	case a.kind == protocol.Saved:
		return g.constant(&g.saved, m)
	case a.kind == protocol.NotSaved:
		return g.constant(&g.notSaved, m)
	}
	return g.encode(m)
}
