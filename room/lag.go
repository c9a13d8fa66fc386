package room

import (
	"time"

	"weft/crdt"
	"weft/persistence"
	"weft/protocol"
)

const (
	// keepAlive is how long a session may go without a message. y-websocket clients
	// give a link up after 30 s (src/y-websocket.js, messageReconnectTimeout),
	// looking every 3 s; WebSocket pings do not count.
	keepAlive = 20 * time.Second
	// slowLink is the rate in bytes per second at which a session is given time for
	// what its outbox holds over its bound, before it counts as too slow. Guessed:
	// a bad mobile link.
	slowLink = 32 << 10
)

// noPresence is an awareness update about nobody. Every client takes it for a
// sign of life and does nothing else.
const noPresence = "\x00"

// lag withholds document updates from a session whose outbox is over its bound:
// what is queued is dropped, and made up for with one diff when it has drained.
// first is the number of the first frame that was not queued.
func (r *room) lag(s *Session, first uint64) {
	lowest, dropped := s.peer.Out.dropUpdates(s)
	if lowest > 0 {
		first = lowest
	}
	s.spend(-dropped) // the client gives credit only for what it gets
	r.setLagging(s, r.marks.before(first))
	r.o.Events.Lagging(r.name, s.peer.ID)
	r.whenDrained(s)
}

func (r *room) setLagging(s *Session, from *mark) {
	s.lagging, s.lagFrom = true, from
	s.laggingSince.Store(r.now.UnixNano())
	r.lagging++
}

func (r *room) notLagging(s *Session) {
	if s.lagging {
		s.lagging, s.lagFrom = false, nil
		s.laggingSince.Store(0)
		r.lagging--
	}
}

// whenDrained has drained called when the session's outbox is empty.
func (r *room) whenDrained(s *Session) {
	if s.draining {
		return
	}
	s.draining, s.drainSince = true, r.now
	s.peer.Out.whenDrained(func() { r.post(func() { r.drained(s) }) })
}

// drained gives a session everything that was withheld.
func (r *room) drained(s *Session) {
	if s.ended {
		return
	}
	s.draining, s.answering = false, false
	r.answerAsked(s)
	if s.opening != nil {
		return
	}
	if s.lagging {
		r.catchUp(s)
	}
	if s.behind {
		s.behind = false
		for _, update := range r.people.table.Since(s.seen) {
			r.tell(s, protocol.Message{Kind: protocol.Awareness, Data: update})
		}
		s.seen = r.people.table.Version()
	}
	r.flushAnswers(s)
}

// catchUp sends a session that lagged what it missed. Sessions that fell behind
// at the same mark share the payload. While its outbox is over its bound, for other
// sessions of its conn, it goes on lagging.
func (r *room) catchUp(s *Session) {
	if s.isHeld() {
		return // until it gives credit
	}
	if s.peer.Out.excess() > 0 {
		r.whenDrained(s)
		return
	}
	d := &s.group.diff
	if d.payload == nil || d.from != s.lagFrom || d.held != s.held || d.version != r.out.version {
		update, first := r.missed(s)
		update = s.group.update(update)
		d.from, d.held, d.bytes = s.lagFrom, s.held, len(update)
		d.cached = cached{r.out.version, s.group.encode(protocol.Message{
			Kind: protocol.Update, Data: update, Pos: protocol.Position(r.pos), First: first,
		})}
	}
	if r.tooLarge(s, len(d.payload)) {
		return
	}
	if !s.peer.Out.offerAnswer(d.payload) { // another room was quicker
		r.whenDrained(s)
		return
	}
	r.notLagging(s)
	s.held = persistence.Position{}
	s.spend(d.bytes)
	s.sentAt = r.now
	r.o.Events.CaughtUp(r.name, s.peer.ID, len(d.payload))
}

// missed returns one update v1 with what a session missed, and the seq of the
// first update in it: exactly what came, where it is known until where the session
// has come and the room still holds that, or else what its mark's state lacks.
func (r *room) missed(s *Session) (update []byte, first uint64) {
	if tail, ok := r.recent.since(s.held, r.pos); ok {
		return tail, seqAfter(s.held, r.pos)
	}
	var since crdt.StateVector
	var from persistence.Position
	if s.lagFrom != nil {
		since, from = s.lagFrom.known, s.lagFrom.pos
	}
	return r.doc.AppendDiff(nil, since, crdt.V1), seqAfter(from, r.pos)
}

// seqAfter returns the seq of the first update after a position in the epoch of
// another one.
func seqAfter(from, pos persistence.Position) uint64 {
	if from.Epoch != pos.Epoch {
		return 1
	}
	return from.Seq + 1
}

// tendSessions keeps links alive and ends sessions whose outbox does not drain.
func (r *room) tendSessions() {
	for _, g := range r.hub.groups {
		g.diff.payload, g.diff.from = nil, nil // it serves those who drain together
		g.prepared.tick()
	}
	for _, s := range r.sessions {
		if s.draining {
			allowed := r.o.LagAfter + time.Duration(s.peer.Out.excess())*time.Second/slowLink
			if waited := r.now.Sub(s.drainSince); waited > allowed {
				r.end(s, protocol.TooSlow.Closef("outbox not drained for %v", waited))
				continue
			}
		}
		if r.now.Sub(s.sentAt) >= keepAlive {
			s.sentAt = r.now
			alive := s.group.encode(protocol.Message{Kind: protocol.Awareness, Data: []byte(noPresence)})
			s.offer(alive)
		}
		r.askLost(s)
	}
}

// mark is what the document knew after a frame: the state that every session has
// which was offered all frames until then.
type mark struct {
	frame uint64
	sent  uint64 // bytes broadcast until then
	known crdt.StateVector
	pos   persistence.Position // of the last update in it
}

// marks holds a mark for every stretch of broadcast bytes, as far back as a frame
// may be queued in an outbox. Marks are made ahead of need, because the state
// before a frame is gone when the frame turns out not to fit; they are spaced so
// that their cost stays a fraction of the broadcast, however many authors the
// document has had.
type marks struct {
	list []*mark
	sent uint64
	span uint64 // bytes that the largest outbox of a session may hold
}

const (
	minStretch    = 64 << 10 // bytes of updates between two marks, at least
	stretchFactor = 16 * 8   // bytes of updates between two marks for each author: eight times what a mark costs
)

// start sets the first mark: the document as it was opened.
func (m *marks) start(known crdt.StateVector, pos persistence.Position) {
	m.list = []*mark{{known: known, pos: pos}}
	m.span = defaultOutboxBytes
}

// widen makes marks reach as far back as an outbox of that bound.
func (m *marks) widen(bound int) { m.span = max(m.span, uint64(bound)) }

// advance counts bytes that were broadcast up to a frame, and sets a mark if it is time.
func (m *marks) advance(bytes, frame uint64, doc *crdt.Doc, pos persistence.Position) {
	m.sent += bytes
	last := m.list[len(m.list)-1]
	if m.sent-last.sent < max(minStretch, stretchFactor*uint64(len(last.known))) {
		return
	}
	m.list = append(m.list, &mark{frame, m.sent, doc.StateVector(), pos})
	old := 0
	for old+1 < len(m.list) && m.list[old+1].sent+m.span < m.sent {
		old++
	}
	m.list = append(m.list[:0], m.list[old:]...)
}

// before returns the newest mark that does not include a frame, nil when all
// marks do.
func (m *marks) before(frame uint64) *mark {
	for i := len(m.list) - 1; i >= 0; i-- {
		if m.list[i].frame < frame {
			return m.list[i]
		}
	}
	return nil
}
