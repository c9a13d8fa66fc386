package crdt

import "slices"

// saved is a copy of what integrating a message may change. What only grows is
// told by its length.
type saved struct {
	items   items
	clients []client
	types   []typ
	lists   []list
	names   int
	author  ClientID
}

// size returns about the number of bytes that save copies.
func (d *Doc) size() int {
	n := int(d.items.used) * (itemSize + 12)
	for i := range d.clients {
		n += len(d.clients[i].slab)
	}
	return n
}

// save copies the document. It costs about 6 ns a struct and the bytes of the contents.
func (d *Doc) save() *saved {
	s := &saved{
		items:   d.items.clone(),
		clients: slices.Clone(d.clients),
		types:   slices.Clone(d.types),
		lists:   slices.Clone(d.lists),
		names:   len(d.names.text),
		author:  d.opts.ClientID,
	}
	for i := range s.clients {
		c := &s.clients[i]
		c.slab = slices.Clone(c.slab)
		c.index = c.index.clone()
	}
	return s
}

// restore puts a copy back that was taken before the running transaction
// changed anything.
func (d *Doc) restore(s *saved) {
	for _, c := range d.clients[len(s.clients):] {
		delete(d.byID, c.id)
	}
	for _, l := range d.lists[len(s.lists):] {
		if l.key != noKey {
			delete(d.entries, uint64(l.typ)<<32|uint64(l.key))
		}
	}
	for _, t := range d.types[len(s.types):] {
		if t.item == 0 {
			delete(d.roots, t.name)
		}
	}
	for _, name := range d.names.text[s.names:] {
		delete(d.names.index, name)
	}
	d.names.text = slices.Clone(d.names.text[:s.names])
	d.items, d.clients, d.types, d.lists = s.items, s.clients, s.types, s.lists
	d.recent = [2]int32{noClient, noClient}
	d.order = nil
	d.hot = siblings{}
	d.caret, d.marks = caret{}, marks{}
	d.opts.ClientID = s.author
	d.tx = transaction{n: d.tx.n}
}

func (a *items) clone() items {
	c := *a
	c.chunks = make([]*[chunkLen]item, len(a.chunks))
	for i, chunk := range a.chunks {
		copied := *chunk
		c.chunks[i] = &copied
	}
	c.ends = make([]chunkEnds, len(a.ends))
	for i := range a.ends {
		c.ends[i] = a.ends[i].clone()
	}
	return c
}

func (x *index) clone() index {
	c := index{leaves: make([]leaf, len(x.leaves)), hint: x.hint}
	for i, l := range x.leaves {
		c.leaves[i] = leaf{clocks: slices.Clone(l.clocks), refs: slices.Clone(l.refs), base: l.base}
	}
	return c
}
