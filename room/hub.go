package room

import (
	"weft/crdt"
	"weft/persistence"
	"weft/protocol"
)

// hub holds the sessions of a room, grouped by dialect, so that a message is
// encoded once for each group and the payload shared by its members.
type hub struct {
	groups []*group
}

// group is the sessions whose dialects are equal, with the payloads made for them.
type group struct {
	dialect protocol.Encoder
	v2      bool // updates are encoded in version 2
	members []*Session

	frames          [][]byte // scratch of a broadcast
	sizes           []int    // of the updates in them, in bytes
	bytes           int      // together
	states          states   // answers to the openings of numbered peers
	prepared        prepared // answers to SyncStep1
	saved, notSaved []byte   // what says only that
	hello           cached   // the room's own SyncStep1
	diff            struct { // what was made for the last session that caught up
		from *mark
		held persistence.Position // of the session, see numbered
		cached
		bytes int // of the update in it
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
		if d, ok := s.peer.Dialect.(interface{ UpdatesV2() bool }); ok {
			s.group.v2 = d.UpdatesV2()
		}
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

// encode returns the payload of a message for the group, empty when its dialect
// has no such message.
func (g *group) encode(m protocol.Message) []byte {
	return g.dialect.Append(make([]byte, 0, len(m.Data)+frameSpace), m)
}

// update returns an update v1 in the version that the group's dialect wants.
func (g *group) update(v1 []byte) []byte {
	if !g.v2 {
		return v1
	}
	v2, err := crdt.ConvertUpdate(v1, crdt.V1, crdt.V2)
	if err != nil {
		panic("room: update of our own: " + err.Error())
	}
	return v2
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
