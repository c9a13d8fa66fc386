package crdt

import "slices"

// mergeInput holds the blocks of many updates in one message, whose src is
// that of one update at a time: a block is a few dozen bytes, an update adds
// nothing but its cursor.
type mergeInput struct {
	message
	updates [][]byte
	cursors []mergeCursor
}

// mergeCursor walks the blocks of one update, leaving out gaps.
type mergeCursor struct {
	client     ClientID // author of the block it stands at
	clock      uint32   // of that block
	collected  bool     // that block is a collected range
	block      int32    // in mergeInput.blocks
	last       int32    // where the blocks of its section end
	section    int32    // in mergeInput.sections
	sectionEnd int32    // where its sections end
	update     int32    // in mergeInput.updates
	order      int32    // of cursors at equal clocks; see clockOrder
}

// decode decodes all updates, each within its limits, and sets a cursor to the
// first block of each that has one.
func (in *mergeInput) decode(v Version, limits func([]byte) Limits) error {
	in.version = v
	in.blocks = make([]block, 0, len(in.updates))
	in.sections = make([]section, 0, len(in.updates))
	in.cursors = make([]mergeCursor, 0, len(in.updates))
	var m message
	var clients []int32
	for i, u := range in.updates {
		if err := m.decode(u, v, limits(u)); err != nil {
			return err
		}
		if len(u) > 0 && &m.src[0] != &u[0] { // mended while it was decoded
			in.updates = slices.Clone(in.updates)
			in.updates[i] = m.src
		}
		first := int32(len(in.sections))
		clients = in.add(&m, clients)
		c := mergeCursor{section: first - 1, sectionEnd: int32(len(in.sections)), update: int32(i), order: int32(i)}
		if in.settle(&c) {
			in.cursors = append(in.cursors, c)
		}
		m.release()
	}
	return nil
}

// add takes over what one update holds. It uses the memory of clients and returns it.
func (in *mergeInput) add(m *message, clients []int32) []int32 {
	clients = clients[:0] // by place in m.clients, the place in in.clients
	for _, c := range m.clients {
		clients = append(clients, in.client(uint64(c)))
	}
	first, extra, pairs := int32(len(in.blocks)), uint32(len(in.extra)), uint32(len(in.pairs))
	in.blocks = append(in.blocks, m.blocks...)
	for i := range in.blocks[first:] {
		b := &in.blocks[int(first)+i]
		if b.flags&(hasOrigin|hasParentID) != 0 {
			b.origin.client = clients[b.origin.client]
		}
		if b.flags&hasRor != 0 {
			b.ror.client = clients[b.ror.client]
		}
		switch {
		case b.kind == kindFormat || b.kind == kindDoc:
			b.body.start += pairs
		case b.flags&inExtra != 0:
			b.body.start, b.body.end = b.body.start+extra, b.body.end+extra
		}
	}
	for _, s := range m.sections {
		in.sections = append(in.sections, section{clients[s.client], s.first + first, s.n})
	}
	in.deletes = slices.Grow(in.deletes, len(m.deletes))
	for _, r := range m.deletes {
		in.deletes = append(in.deletes, deletion{clients[r.client], r.clock, r.length})
	}
	in.pairs = append(in.pairs, m.pairs...)
	for i := range in.blocks[first:] {
		if b := &in.blocks[int(first)+i]; b.kind == kindDoc {
			p := &in.pairs[b.body.start]
			p.body.start, p.body.end = p.body.start+extra, p.body.end+extra
		}
	}
	in.extra = append(in.extra, m.extra...)
	return clients
}

// of returns the message with the bytes of the cursor's update.
func (in *mergeInput) of(update int32) *message {
	in.src = in.updates[update]
	return &in.message
}

// at returns the block that a cursor stands at.
func (in *mergeInput) at(c *mergeCursor) *block { return &in.blocks[c.block] }

// advance steps to the next block; false at the end.
func (in *mergeInput) advance(c *mergeCursor) bool {
	c.block++
	return in.settle(c)
}

// settle steps over gaps and to the next section; false at the end.
func (in *mergeInput) settle(c *mergeCursor) bool {
	for {
		for ; c.block < c.last; c.block++ {
			if b := &in.blocks[c.block]; b.kind != kindSkip {
				c.clock, c.collected = b.clock, b.kind == kindGC
				return true
			}
		}
		c.section++
		if c.section >= c.sectionEnd {
			return false
		}
		s := in.sections[c.section]
		c.client, c.block, c.last = in.clients[s.client], s.first, s.first+s.n
	}
}
