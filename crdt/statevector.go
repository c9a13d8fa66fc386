package crdt

import (
	"cmp"
	"slices"

	"weft/crdt/lib0"
)

// A Clock is one entry of a state vector: everything of Client below Next is known.
type Clock struct {
	Client ClientID
	Next   uint64
}

// A StateVector says how much of each author's writing somebody has. It is
// sorted by descending client id, one entry a client; nil knows nothing.
type StateVector []Clock

// DecodeStateVector decodes an encoded state vector: varUint n, then n pairs of
// varUint client and varUint clock (yjs/src/utils/encoding.js, readStateVector).
// Entries may come in any order; of two for one client the last wins, as in yjs.
func DecodeStateVector(b []byte) (StateVector, error) {
	d := lib0.NewDecoder(b)
	n := d.Uint()
	if n > uint64(d.Len()/2) && d.Err() == nil {
		d.Fail(lib0.ErrEnd)
	}
	if d.Err() != nil {
		return nil, invalidf("state vector: %w", d.Err())
	}
	v := make(StateVector, 0, n)
	for range n {
		v = append(v, Clock{ClientID(d.Uint()), d.Uint()})
	}
	if d.Err() != nil {
		return nil, invalidf("state vector: %w", d.Err())
	}
	if d.Len() > 0 {
		return nil, invalidf("state vector: %d bytes too many", d.Len())
	}
	return v.normalize(), nil
}

// normalize sorts v in place and keeps the last of equal clients.
func (v StateVector) normalize() StateVector {
	descending := func(a, b Clock) int { return cmp.Compare(b.Client, a.Client) }
	if !slices.IsSortedFunc(v, descending) {
		slices.SortStableFunc(v, descending)
	}
	out := v[:0]
	for _, c := range v {
		if n := len(out); n > 0 && out[n-1].Client == c.Client {
			out[n-1] = c
		} else {
			out = append(out, c)
		}
	}
	return out
}

// Next returns the first clock of client that v does not know.
func (v StateVector) Next(client ClientID) uint64 {
	i, ok := slices.BinarySearchFunc(v, client, func(c Clock, id ClientID) int { return cmp.Compare(id, c.Client) })
	if !ok {
		return 0
	}
	return v[i].Next
}

// Append appends the encoded state vector to dst.
func (v StateVector) Append(dst []byte) []byte {
	dst = lib0.AppendUint(dst, uint64(len(v)))
	for _, c := range v {
		dst = lib0.AppendUint(lib0.AppendUint(dst, uint64(c.Client)), c.Next)
	}
	return dst
}

// StateVector returns what the document knows, without what is pending.
func (d *Doc) StateVector() StateVector {
	v := make(StateVector, 0, len(d.clients))
	for _, c := range d.sorted() {
		if d.clients[c].next > 0 {
			v = append(v, Clock{d.clients[c].id, uint64(d.clients[c].next)})
		}
	}
	return v
}

// AppendStateVector appends the encoded state vector of the document to dst.
func (d *Doc) AppendStateVector(dst []byte) []byte {
	n := 0
	for i := range d.clients {
		if d.clients[i].next > 0 {
			n++
		}
	}
	dst = lib0.AppendUint(dst, uint64(n))
	for _, c := range d.sorted() {
		if c := &d.clients[c]; c.next > 0 {
			dst = lib0.AppendUint(lib0.AppendUint(dst, uint64(c.id)), uint64(c.next))
		}
	}
	return dst
}
