package room

import (
	"weft/persistence"
	"weft/protocol"
)

// marker is a save marker that is not answered yet.
type marker struct {
	data    []byte
	pos     persistence.Position // what must be durable
	blocked bool                 // something sent before it is not integrated: pos is not known
}

// maxMarkers bounds the unanswered markers of a session. Over it the newest takes
// the place of the one before: being answered, it says the same about both.
const maxMarkers = 32

// marker takes a save marker. It is answered when everything the room has
// integrated until now is durable: that holds what this session sent, also where
// another session had sent the same first.
func (r *room) marker(s *Session, data []byte) {
	m := marker{data: data, pos: r.pos, blocked: s.lost || len(s.pending) > 0}
	if len(s.markers) == 0 {
		r.marking = append(r.marking, s)
	}
	if len(s.markers) >= maxMarkers {
		s.markers[len(s.markers)-1] = m
	} else {
		s.markers = append(s.markers, m)
	}
}

// unblockMarkers gives the blocked markers of a session their position when
// nothing that it sent is missing any more. It is called after what was missing
// got its own position, never before: a marker's position must include it.
func (r *room) unblockMarkers(s *Session) {
	if s.lost || len(s.pending) > 0 {
		return
	}
	for i := range s.markers {
		if s.markers[i].blocked {
			s.markers[i].blocked, s.markers[i].pos = false, r.pos
		}
	}
}

// answerMarkers answers every marker whose position is durable.
func (r *room) answerMarkers() {
	kept := r.marking[:0]
	for _, s := range r.marking {
		r.flushMarkers(s)
		if len(s.markers) > 0 {
			kept = append(kept, s)
		}
	}
	clear(r.marking[len(kept):])
	r.marking = kept
}

// flushMarkers answers the markers of one session in order, as far as they are
// durable and its outbox has room.
func (r *room) flushMarkers(s *Session) {
	n := 0
	for ; n < len(s.markers); n++ {
		m := &s.markers[n]
		if m.blocked || m.pos.Compare(r.ledger.durable) > 0 {
			break
		}
		payload := s.group.encode(protocol.Message{Kind: protocol.SaveMarker, Data: m.data})
		if !s.peer.Out.offerIfRoom([][]byte{payload}) {
			r.whenDrained(s)
			break
		}
		s.sentAt = r.now
	}
	clear(s.markers[:n])
	s.markers = s.markers[n:]
	if len(s.markers) == 0 {
		s.markers = nil
	}
}
