package crdt

// Stats describes the size of a document.
type Stats struct {
	Clients int // authors with at least one struct
	Structs int // items, deleted items and collected ranges
	Deleted int // structs that are deleted
	Bytes   int // memory held by structs and contents, about
}

// Stats counts what the document holds. It looks at every struct.
func (d *Doc) Stats() Stats {
	s := d.Size()
	for i := range d.clients {
		for p := d.clients[i].index.start(); p.ok(); p = p.next() {
			if d.items.at(p.ref()).deleted() {
				s.Deleted++
			}
		}
	}
	return s
}

// Size is Stats without Deleted, which it leaves 0. It looks at every author and every few hundred structs, so that it
// costs a server nothing to ask every open document every few seconds.
func (d *Doc) Size() Stats {
	s := Stats{Bytes: d.items.bytes() + cap(d.types)*typBytes + cap(d.lists)*listBytes +
		cap(d.clients)*clientBytes + d.names.bytes() +
		24*(len(d.byID)+len(d.roots)+len(d.entries))}
	for i := range d.clients {
		c := &d.clients[i]
		if c.next > 0 {
			s.Clients++
		}
		s.Bytes += cap(c.slab) + c.index.bytes()
		s.Structs += c.index.len()
	}
	return s
}
