package crdt

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"weft/crdt/lib0"
)

// Unadmitted returns why the last message let in a struct that does not fit
// the document, which looking through it beforehand should have noticed.
func Unadmitted(d *Doc) error { return d.app.bad }

// HasPending tells whether something waits in the document.
func HasPending(d *Doc) bool { return d.pending.structs != nil || len(d.pending.deletes) > 0 }

// Pending returns what waits in the document as yjs keeps it: structs and
// deletions as V2 updates, nil for none, and the clocks that are waited for.
func Pending(d *Doc) (structs []byte, missing StateVector, deletes []byte) {
	if len(d.pending.deletes) > 0 {
		w := newWriter(V2)
		w.uint(0)
		w.deletions(d.pending.deletes)
		deletes = w.finish(nil)
	}
	return d.pending.structs, d.pending.missing, deletes
}

// IsOrdered tells whether an update has its clients in the order in which yjs
// writes them. Merging others repeats yjs' mistakes, byte for byte.
func IsOrdered(update []byte, v Version) bool {
	var m message
	if m.decode(update, v, limitsOf(update)) != nil {
		return false
	}
	return slices.IsSortedFunc(m.sections, func(a, b section) int {
		return cmp.Compare(m.clients[b.client], m.clients[a.client])
	})
}

// ItemSize returns what an item takes as the engine counts it, and in truth.
func ItemSize() (counted, real int) { return itemSize, int(reflect.TypeFor[item]().Size()) }

// DecodeBothWays decodes an update of format 1 with plainV1 and without, and
// returns what comes of it.
func DecodeBothWays(u []byte, lim Limits, join bool) (plain, careful string) {
	lim = lim.withDefaults()
	a, b := message{lim: lim, most: lim.Structs, join: join}, message{lim: lim, most: lim.Structs, join: join}
	describe := func(m *message, err error) string {
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(m.clients, m.sections, m.blocks, m.pairs, m.deletes, m.count, m.named)
	}
	return describe(&a, a.decodeV1(u)), describe(&b, b.decodeCarefully(u))
}

func (m *message) decodeCarefully(u []byte) error {
	m.reset(u, V1)
	d := lib0.NewDecoder(u)
	sections, err := m.authors(d.Uint())
	if err != nil {
		return err
	}
	for ; sections > 0 && d.Err() == nil; sections-- {
		count, client, clock := d.Uint(), m.client(d.Uint()), d.Uint()
		if d.Err() != nil {
			break
		}
		if err := m.addSection(client, count, d.Len()); err != nil {
			return err
		}
		for ; count > 0; count-- {
			length, err := m.structV1(&d, client, clock)
			if err != nil {
				return err
			}
			clock += length
		}
		m.endSection()
	}
	if d.Err() == nil {
		if err := m.deletesV1(&d); err != nil {
			return err
		}
	}
	return m.finish(&d)
}

// Crossed tells whether a struct names an origin at or behind its right origin
// in what one author wrote, which only a forged one does. Where it stands
// depends on whether both were in one item when it came, in yjs too.
func Crossed(d *Doc) bool {
	for c := range d.clients {
		for p := d.clients[c].index.start(); p.ok(); p = p.next() {
			origin, ror := d.items.origin(p.ref()), d.items.ror(p.ref())
			if origin.client != noClient && origin.client == ror.client && origin.clock >= ror.clock {
				return true
			}
		}
	}
	return false
}
