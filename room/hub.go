package room

import (
	"time"

	"weft/crdt"
	"weft/protocol"
)

// hub holds the sessions of a room, grouped by dialect, so that a message is
// encoded once for each group and the payload shared by its members.
type hub struct {
	groups []*group
}

// group is the sessions whose dialects are equal, with the payloads made for them.
type group struct {
	dialect protocol.Dialect
	members []*Session

	frames          [][]byte // scratch of a broadcast
	full            cached   // the whole document
	saved, notSaved []byte   // what says only that
	hello           cached   // the room's own SyncStep1
	diff            struct { // what was made for the last session that caught up
		from *mark
		cached
	}
	all struct { // the presence of everybody
		version uint64
		frames  [][]byte
	}
}

// cached is a payload made from the document when it had a version.
type cached struct {
	version uint64
	payload []byte
}

// add puts s into the group of its dialect.
func (h *hub) add(s *Session) {
	s.group = nil
	for _, g := range h.groups {
		if g.dialect == s.peer.Dialect {
			s.group = g
			break
		}
	}
	if s.group == nil {
		s.group = &group{dialect: s.peer.Dialect}
		h.groups = append(h.groups, s.group)
	}
	s.index = len(s.group.members)
	s.group.members = append(s.group.members, s)
}

// remove takes s out of its group, and an empty group out of the hub.
func (h *hub) remove(s *Session) {
	g := s.group
	last := len(g.members) - 1
	g.members[s.index] = g.members[last]
	g.members[s.index].index = s.index
	g.members[last] = nil
	g.members = g.members[:last]
	if last > 0 {
		return
	}
	for i := range h.groups {
		if h.groups[i] == g {
			h.groups[i] = h.groups[len(h.groups)-1]
			h.groups = h.groups[:len(h.groups)-1]
			return
		}
	}
}

// outgoing is what one turn of a room brings for everybody, and the counters of
// all turns.
type outgoing struct {
	first   time.Time // arrival of its first letter
	updates [][]byte  // integrated, in order, in update v1
	bytes   int
	version uint64           // of the document; grows with every update that is integrated
	frame   uint64           // number of the last frame broadcast
	since   crdt.StateVector // before the first update, if they may be merged
	merging bool             // since is set

	backoff     int // turns to go before merging is tried again
	lastBackoff int // the last one, 0 when merging paid
}

const (
	// mergeFrom is the number of sessions from which updates that wait together
	// are merged: below it, a frame for each is cheaper than a diff. Guessed.
	mergeFrom = 8
	// maxBackoff bounds the turns for which merging is not tried after it did not pay.
	maxBackoff = 64
)

// mayMerge notes the document's state before a turn with several updates, so
// that they can leave as one.
func (r *room) mayMerge(letters []letter) {
	t := &r.out
	writes := 0
	for i := range letters {
		if letters[i].msg.Kind.Writes() {
			writes++
		}
	}
	if writes < 2 || len(r.sessions) < mergeFrom {
		return
	}
	if t.backoff > 0 {
		t.backoff--
		return
	}
	t.merging, t.since = true, r.doc.StateVector()
}

// merge replaces the updates of this turn by one, if that is smaller. A diff
// names every deletion of the document, so that it does not always pay.
func (r *room) merge() [][]byte {
	t := &r.out
	if !t.merging || len(t.updates) < 2 {
		return t.updates
	}
	one := r.doc.AppendDiff(nil, t.since, crdt.V1)
	if len(one) > t.bytes+len(t.updates)*parcelCost {
		t.backoff = min(2*t.lastBackoff+1, maxBackoff)
		t.lastBackoff = t.backoff
		return t.updates
	}
	t.lastBackoff = 0
	return [][]byte{one}
}

// broadcast offers the updates of this turn to everybody, their authors
// included: y-websocket's reference server does so, and it is part of what tells
// clients that the link is alive.
func (r *room) broadcast() {
	t := &r.out
	if len(t.updates) > 0 {
		updates := r.merge()
		first := t.frame + 1
		t.frame += uint64(len(updates))
		size := 0
		for _, u := range updates {
			size += len(u)
		}
		for _, g := range r.hub.groups {
			g.frames = g.frames[:0]
			for _, u := range updates {
				g.frames = append(g.frames, g.encode(protocol.Message{Kind: protocol.Update, Data: u}))
			}
			g.broadcast(r, first)
			clear(g.frames)
		}
		r.marks.advance(uint64(size), t.frame, r.doc)
		r.o.Events.Batch(r.name, Batch{
			Updates: len(t.updates), Bytes: t.bytes, Frames: len(updates), Peers: len(r.sessions),
			Waited: time.Since(t.first),
		})
	}
	t.merging, t.since = false, nil
	t.first = time.Time{}
}

// broadcast offers the group's frames, numbered from first, to its members.
func (g *group) broadcast(r *room, first uint64) {
	for _, s := range g.members {
		if s.lagging {
			continue
		}
		if !s.peer.Out.offerUpdates(g.frames, s, first) {
			r.lag(s, first)
			continue
		}
		s.sentAt = r.now
	}
}

// encode returns the payload of a message for the group, empty when its dialect
// has no such message.
func (g *group) encode(m protocol.Message) []byte {
	return g.dialect.Append(make([]byte, 0, len(m.Data)+frameSpace), m)
}

// frameSpace is room for what dialects put around the data of most messages.
const frameSpace = 8 // bytes

// constant returns the payload of a message that is always the same, encoded once.
func (g *group) constant(payload *[]byte, m protocol.Message) []byte {
	if *payload == nil {
		*payload = g.encode(m)
	}
	return *payload
}

// tell offers a message to one session that is not withheld.
func (r *room) tell(s *Session, m protocol.Message) {
	if payload := s.group.encode(m); len(payload) > 0 {
		s.peer.Out.offer(payload)
		s.sentAt = r.now
	}
}

// offer offers a session a payload that may be dropped, and reports whether its
// outbox had room for it. An empty payload, which is what a dialect makes of a
// message that it does not have, always fits.
func (s *Session) offer(payload []byte) bool {
	return len(payload) == 0 || s.peer.Out.offerIfRoom([][]byte{payload})
}
