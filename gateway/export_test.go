package gateway

import (
	"weft/gateway/auth"
	"weft/protocol"
)

// Place lets tests do to a client's place in a room what the admin routes do.
type Place struct{ a *attachment }

// Places returns every place in the room that was not left.
func (s *Server) Places(room string) (list []Place) {
	s.attachments(func(a *attachment) bool {
		if a.room == room && !a.isOver() {
			list = append(list, Place{a})
		}
		return true
	})
	return list
}

// Grant returns what the client may do.
func (p Place) Grant() auth.Grant { return p.a.granted() }

// SetGrant changes it.
func (p Place) SetGrant(g auth.Grant) { p.a.setGrant(g) }

// Restrict applies the server's restrictions anew.
func (p Place) Restrict() { p.a.restrict() }

// End takes the place away.
func (p Place) End(why *protocol.CloseError) { p.a.end(why) }

// Deflater is what compresses payloads.
type Deflater struct{ d *deflater }

// NewDeflater returns one that reports what it does.
func NewDeflater(report func(from, to int)) Deflater { return Deflater{newDeflater(report)} }

// Deflate returns a payload's compressed form, nil when there is none.
func (d Deflater) Deflate(payload []byte) []byte { return d.d.deflate(payload) }

// Kept returns how many payloads are kept, and their bytes.
func (d Deflater) Kept() (n, size int) {
	d.d.mu.Lock()
	defer d.d.mu.Unlock()
	return len(d.d.known), d.d.size
}
