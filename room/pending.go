package room

import (
	"slices"
	"time"

	"weft/crdt"
)

// pendingUpdate is the part of an update that builds on something which is not
// there. It waits in memory, on its sender's account, and is neither stored,
// broadcast nor confirmed until it integrates.
type pendingUpdate struct {
	update  []byte // v1
	missing crdt.StateVector
	at      time.Time
}

const (
	// maxPending bounds the updates that wait for one session, beside
	// Limits.PendingBytes: a client that is asked sends all in one, so that an
	// honest one needs very few. Guessed.
	maxPending = 64
	// askEvery is the shortest time between two SyncStep1 that pending updates
	// cause: a round trip to far away, so that one question has its answer before
	// the next.
	askEvery = time.Second
	// maxAskWait bounds the growing pause between questions to a client whose
	// answers do not fit.
	maxAskWait = time.Minute
)

// keep handles the part of an update that does not fit yet. Blocks wait within
// bounds; deletions do not: applied later they would hit what somebody writes
// meanwhile. What is not kept is lost to the room but not to its author, who is
// asked for everything the room does not have. A SyncStep2 was the answer to that
// question; asking again is of use only after the room has learned more (see
// askLost).
func (r *room) keep(s *Session, a crdt.Applied, answer bool) {
	size := len(a.Rest)
	if len(s.pending) >= maxPending || s.pendingBytes+size > r.o.Limits.PendingBytes {
		r.lose(s)
	}
	if size > r.o.Limits.PendingBytes || hasDeletions(a.Rest) {
		r.o.Events.PendingLost(r.name, s.peer.ID, size)
		s.lost = true
	} else {
		if !s.listed {
			s.listed = true
			r.waiting = append(r.waiting, s)
		}
		s.pending = append(s.pending, pendingUpdate{a.Rest, a.Missing, r.now})
		s.pendingBytes += size
		r.o.Events.PendingKept(r.name, s.peer.ID, size)
	}
	if !answer {
		s.askSoon = true
	}
}

// hasDeletions reports whether an update v1 deletes anything: it ends with the
// number of clients that it deletes from, or with the length of the last
// deletion, which is never zero.
func hasDeletions(update []byte) bool { return update[len(update)-1] != 0 }

// askLost asks a session for what could not be kept or integrated, not too often:
// soon after an update did not fit, and while something of it is lost, when the
// room has learned more since the last question.
func (r *room) askLost(s *Session) {
	switch {
	case s.isNumbered():
		r.endIncomplete(s)
	case r.ledger.failure != nil || !s.mayWrite() || r.now.Sub(s.askedAt) < askEvery:
	case s.askSoon:
		r.askAgain(s)
	case s.lost && s.askedVersion != r.out.version && r.now.Sub(s.askedAt) >= s.askWait:
		s.askWait = min(max(2*s.askWait, 2*askEvery), maxAskWait)
		r.askAgain(s)
	}
}

// retryPending applies what waits and may fit by now, until nothing more does.
func (r *room) retryPending() {
	if r.ledger.failure != nil {
		return
	}
	for progress := len(r.out.fresh) > 0; progress && len(r.waiting) > 0; {
		progress = false
		known := r.doc.StateVector()
		for _, s := range r.waiting {
			progress = r.retry(s, known) || progress
		}
	}
	r.pruneWaiting()
}

// retry applies what waits for one session and whose missing clocks are passed.
func (r *room) retry(s *Session, known crdt.StateVector) (progress bool) {
	kept := s.pending[:0]
	for _, p := range s.pending {
		if !passed(p.missing, known) {
			kept = append(kept, p)
			continue
		}
		s.pendingBytes -= len(p.update)
		a, err := r.doc.Apply(p.update, crdt.V1)
		if err != nil { // it was valid but for what it builds on: that turned out not to fit
			r.o.Events.PendingLost(r.name, s.peer.ID, len(p.update))
			s.lost = true
			continue
		}
		if a.Changed {
			progress = true
			r.integrated(a.Update)
		}
		if a.Rest != nil {
			kept = append(kept, pendingUpdate{a.Rest, a.Missing, p.at})
			s.pendingBytes += len(a.Rest)
		}
	}
	clear(s.pending[len(kept):])
	s.pending = kept
	if len(kept) == 0 {
		r.unblockAnswers(s)
	}
	return progress
}

// passed reports whether known has passed the clock that is missing of any client.
func passed(missing, known crdt.StateVector) bool {
	return slices.ContainsFunc(missing, func(c crdt.Clock) bool { return known.Next(c.Client) > c.Next })
}

// expirePending drops what has waited too long.
func (r *room) expirePending() {
	for _, s := range r.waiting {
		if len(s.pending) > 0 && r.now.Sub(s.pending[0].at) >= r.o.Limits.PendingFor {
			r.lose(s)
		}
	}
	r.pruneWaiting()
}

// lose drops everything that waits for a session; what it is owed is not
// answered until it has sent everything again.
func (r *room) lose(s *Session) {
	if len(s.pending) == 0 {
		return
	}
	r.o.Events.PendingLost(r.name, s.peer.ID, s.pendingBytes)
	s.lost = true
	s.dropPending()
}

// settle forgets what waited and was lost, because the session sends it anew.
// Its answers stay blocked until that is integrated.
func (s *Session) settle() {
	s.dropPending()
	s.lost, s.askSoon, s.askWait = false, false, 0
}

func (s *Session) dropPending() { s.pending, s.pendingBytes = nil, 0 }

// pruneWaiting forgets sessions for which nothing waits.
func (r *room) pruneWaiting() {
	r.waiting = slices.DeleteFunc(r.waiting, func(s *Session) bool {
		s.listed = len(s.pending) > 0
		return !s.listed
	})
}
