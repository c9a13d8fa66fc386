package room

import (
	"time"

	"weft/presence"
	"weft/protocol"
)

// people is the presence side of a room: the table, and when what changed in it
// is sent on.
type people struct {
	table *presence.Table
	taken int       // messages since the last time that something was sent
	sent  uint64    // version that everybody was offered
	last  time.Time // when that was
	due   time.Time // when the rest is; zero: nothing to send
}

// Presence leaves at once, but never sooner after the last time than a pause that
// grows with the room, so that what changes meanwhile leaves as one message with
// the latest state: a cursor moves a few dozen times a second, and every recipient
// costs a system call.
const (
	// peoplePause is the pause for each session: it holds presence to 2,500
	// deliveries a second, 2 % of a core, up to 100 sessions.
	peoplePause = 400 * time.Microsecond
	// crowd is the number of sessions from which there is a pause. Guessed.
	crowd = 10
	// maxPeoplePause bounds it. Guessed: below what the eye sees of a moving cursor.
	maxPeoplePause = 40 * time.Millisecond
	// renewalPause is the pause when states were only renewed. Clients renew every
	// 15 s, give a link without messages up after 30 s, and a person without renewals too.
	renewalPause = 3 * time.Second
)

// peopleChanged notes that a state changed.
func (r *room) peopleChanged() {
	at := r.now
	if n := len(r.sessions); n >= crowd {
		at = later(at, r.people.last.Add(min(time.Duration(n)*peoplePause, maxPeoplePause)))
	}
	r.people.changed(at)
}

// changed notes that something is to be sent at the given time.
func (p *people) changed(at time.Time) {
	if p.due.IsZero() || at.Before(p.due) {
		p.due = at
	}
}

// awareness takes an awareness update of a session.
func (r *room) awareness(s *Session, update []byte) {
	out, err := r.people.table.Apply(s.id, s.identity, update, r.now)
	if err != nil {
		r.end(s, &protocol.CloseError{Reason: protocol.Malformed, Cause: err})
		return
	}
	r.people.taken++
	if out.Changed {
		r.peopleChanged()
	}
	if out.Renewed {
		r.people.changed(r.now.Add(renewalPause))
	}
	if len(out.Stale) > 0 {
		stale := s.group.encode(protocol.Message{Kind: protocol.Awareness, Data: r.people.table.Append(nil, out.Stale...)})
		// Without room it is dropped: clients renew their states every 15 s, which asks again.
		if s.offer(stale) {
			s.sentAt = r.now
		}
	}
	for _, id := range out.Probe {
		if other := r.sessions[id]; other != nil {
			r.probe(other)
		}
	}
	if out.Dropped > 0 {
		r.o.Events.PresenceDrops(r.name, s.peer.ID, out.Dropped)
	}
}

// probe makes the client of a session answer at once, if it is there.
func (r *room) probe(s *Session) {
	if !s.isNumbered() {
		r.askAgain(s) // clients answer a SyncStep1 at once, and with little when they have nothing new
		return
	}
	s.offer(s.group.encode(protocol.Message{Kind: protocol.Ping}))
}

// flushPresence offers everybody, the authors included, what has changed since
// the last time. A session whose outbox has no room for it gets the latest state
// when it has drained.
func (r *room) flushPresence() {
	p := &r.people
	if p.due.IsZero() || p.due.After(r.now) {
		return
	}
	updates := p.table.Since(p.sent)
	p.sent, p.last, p.due = p.table.Version(), r.now, time.Time{}
	if len(updates) == 0 {
		return
	}
	for _, g := range r.hub.groups {
		g.frames = g.frames[:0]
		for _, u := range updates {
			g.frames = append(g.frames, g.encode(protocol.Message{Kind: protocol.Awareness, Data: u}))
		}
		for _, s := range g.members {
			if s.behind || s.blind {
				continue // it gets everything at once when it has drained
			}
			if s.peer.Out.offerIfRoom(g.frames) {
				s.seen, s.sentAt = p.sent, r.now
			} else {
				s.behind = true
				r.whenDrained(s)
			}
		}
		clear(g.frames)
	}
	r.o.Events.Presence(r.name, PresenceBatch{Updates: p.taken, Frames: len(updates), Peers: len(r.sessions)})
	p.taken = 0
}

// sendEverybody offers a session the presence of all, as it was when it was last
// sent on or later: what changed since then is still to come for everybody. If
// there is no room for it, it is sent when the outbox has drained.
func (r *room) sendEverybody(s *Session) {
	g, p := s.group, &r.people
	if g.all.frames == nil || g.all.version < p.sent {
		g.all.version, g.all.frames = p.table.Version(), nil
		for _, u := range p.table.All() {
			g.all.frames = append(g.all.frames, g.encode(protocol.Message{Kind: protocol.Awareness, Data: u}))
		}
	}
	switch {
	case len(g.all.frames) == 0:
		s.seen = g.all.version
	case s.peer.Out.offerIfRoom(g.all.frames):
		s.seen, s.sentAt = g.all.version, r.now
	default:
		s.seen, s.behind = 0, true
		r.whenDrained(s)
	}
}
