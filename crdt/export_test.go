package crdt

import (
	"cmp"
	"reflect"
	"slices"
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
