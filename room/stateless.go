package room

import "weft/protocol"

// maxStateless bounds a message that applications send each other.
const maxStateless = 64 << 10 // bytes

// stateless relays a message of the application to everybody else whose dialect
// has such messages. It is dropped for those whose outbox has no room for it.
func (r *room) stateless(s *Session, m protocol.Message) {
	switch {
	case len(m.Data) > maxStateless:
		r.end(s, protocol.TooLarge.Closef("%v of %d bytes, at most %d", m.Kind, len(m.Data), maxStateless))
		return
	case !s.mayWrite():
		r.o.Events.Refused(r.name, s.peer.ID, m.Kind, "read-only")
		r.turnDown(s, m, protocol.Forbidden.Closef("read-only"))
		return
	}
	for _, g := range r.hub.groups {
		payload := g.encode(m)
		if len(payload) == 0 {
			continue
		}
		for _, to := range g.members {
			if to != s && to.opening == nil && to.offer(payload) {
				to.sentAt = r.now
			}
		}
	}
}
