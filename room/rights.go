package room

import (
	"errors"
	"time"

	"weft/crdt"
	"weft/protocol"
)

// mayWrite is the one place that decides whether a message may change the document.
func (s *Session) mayWrite() bool { return !s.readOnly.Load() }

// write takes a message that is to change the document, and owes its answer.
func (r *room) write(s *Session, m protocol.Message) {
	if s.isNumbered() {
		r.writeNumbered(s, m)
		return
	}
	outcome := protocol.Saved
	switch {
	case !s.mayWrite():
		if !r.unchanged(s, m) {
			r.refuse(s, m, "read-only")
			r.deny(s, "read-only: you may not change this document")
			outcome = protocol.NotSaved
		}
	case r.ledger.failure != nil:
		if string(m.Data) != emptyUpdate {
			s.resync = true
			r.refuse(s, m, "store does not take updates")
			r.deny(s, r.storeRefuses())
		}
	default:
		r.update(s, m)
	}
	r.ack(s, m, outcome)
}

// maxCompared is the largest answer of a reader that the room looks into: all that
// crdt.Limits.Deletes allows. 100,000 deletions, 390 kB, of a document with as many
// take 5 ms (BenchmarkReaderAnswer).
const maxCompared = 1 << 20 // bytes

// A reader may answer at any time with up to comparedFreely bytes, of which looking
// into takes a millisecond or two. With more it may do so again after a comparePause
// for each byte, some 50 times as long as that takes.
const (
	comparedFreely = 64 << 10 // bytes
	comparePause   = time.Microsecond
)

// unchanged reports whether the message of a reader is known to bring nothing new.
// Only who waits for an answer to its SyncStep2 has that compared with the
// document, because it is asked for one and may hold nothing else than everybody
// has; anything else is not worth the room's time. One that cannot be read ends
// the session, one over the limits of an update is not known.
func (r *room) unchanged(s *Session, m protocol.Message) bool {
	if string(m.Data) == emptyUpdate {
		return true
	}
	if !s.peer.Acks || m.Kind != protocol.SyncStep2 || len(m.Data) > maxCompared {
		return false
	}
	if len(m.Data) > comparedFreely {
		if r.now.Before(s.compareAt) {
			return false
		}
		s.compareAt = r.now.Add(time.Duration(len(m.Data)) * comparePause)
	}
	known, err := r.doc.Contains(m.Data, crdt.V1)
	switch {
	case errors.Is(err, crdt.ErrLimit):
		return false
	case err != nil:
		r.malformed(s, m, err)
		return true
	}
	return known
}

// refuse does not act on an update. What the session is owed waits until it has
// sent everything again.
func (r *room) refuse(s *Session, m protocol.Message, why string) {
	s.lost = true
	r.o.Events.Refused(r.name, s.peer.ID, m.Kind, why)
}

// storeRefuses is what people are told while the store takes no updates.
func (r *room) storeRefuses() string { return "read-only: " + r.ledger.failure.Error() }

// deny tells a session without Acks why its updates are refused, once until it
// may write again.
func (r *room) deny(s *Session, why string) {
	if s.ended || s.denied || s.peer.Acks || s.isNumbered() {
		return
	}
	s.denied = true
	r.tell(s, protocol.Message{Kind: protocol.Denied, Data: []byte(why)})
}

// rightsChanged is called when a session has become a reader or a writer. What
// a reader was still owed for something that is missing will not become durable;
// a writer is asked for what was refused.
func (r *room) rightsChanged(s *Session) {
	if s.ended {
		return
	}
	s.denied = false
	if s.isNumbered() {
		r.numberedRightsChanged(s)
		return
	}
	if s.mayWrite() {
		r.askAgain(s)
		return
	}
	r.lose(s)
	for i := range s.answers {
		if a := &s.answers[i]; a.blocked && a.kind == protocol.Saved {
			*a = answer{kind: protocol.NotSaved, n: a.n}
			s.count.refused += a.n
		}
	}
}
