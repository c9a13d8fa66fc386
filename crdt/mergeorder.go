package crdt

import (
	"cmp"
	"slices"
)

// cursorOrder gives out cursors in the order in which yjs comes to them: it
// sorts all of them before it looks at the first, again and again.
type cursorOrder interface {
	// next returns the first cursor, nil when none is left. The one returned
	// before has moved since, or ended, which removes it.
	next(ended bool) *mergeCursor
}

// ordered returns the order that yields what yjs' sorts do.
func (in *mergeInput) ordered() cursorOrder {
	if in.mixedTies() {
		return newSortedOrder(in.cursors)
	}
	if !slices.IsSortedFunc(in.cursors, compareCursors) {
		slices.SortFunc(in.cursors, compareCursors)
	}
	return &clockOrder{sorted: in.cursors}
}

// mixedTies tells whether one update has a collected range and another one an
// item where the range starts: what yjs compares these as depends on which of
// them it names first (yjs/src/utils/updates.js, mergeUpdatesV2, v13.6).
func (in *mergeInput) mixedTies() bool {
	place := func(client int32, b *block) uint64 { return uint64(client)<<32 | uint64(b.clock) }
	var collected []uint64
	for _, s := range in.sections {
		for i := range in.blocks[s.first : s.first+s.n] {
			if b := &in.blocks[int(s.first)+i]; b.kind == kindGC {
				collected = append(collected, place(s.client, b))
			}
		}
	}
	if len(collected) == 0 {
		return false
	}
	slices.Sort(collected)
	for _, s := range in.sections {
		for i := range in.blocks[s.first : s.first+s.n] {
			b := &in.blocks[int(s.first)+i]
			if b.kind == kindGC || b.kind == kindSkip {
				continue
			}
			if _, ok := slices.BinarySearch(collected, place(s.client, b)); ok {
				return true
			}
		}
	}
	return false
}

// compareCursors orders by descending client, ascending clock and then order.
func compareCursors(a, b mergeCursor) int {
	switch {
	case a.client != b.client:
		return cmp.Compare(b.client, a.client)
	case a.clock != b.clock:
		return cmp.Compare(a.clock, b.clock)
	}
	return cmp.Compare(a.order, b.order)
}

// clockOrder is the order without mixed ties. A stable sort is all that counts
// then, and only the first cursor ever moves: it comes to stand before those
// at the same clock. Cursors that never moved wait in a sorted list, the
// others in a heap, which for updates of one block each stays empty.
type clockOrder struct {
	sorted []mergeCursor
	heap   []mergeCursor
	first  mergeCursor
	given  bool  // first was given out
	moves  int32 // the order of a cursor that moved is minus this, before all others
}

func (o *clockOrder) next(ended bool) *mergeCursor {
	if o.given && !ended {
		o.moves++
		o.first.order = -o.moves
		if o.leads() {
			return &o.first
		}
		o.push(o.first)
	}
	o.given = true
	switch {
	case len(o.heap) > 0 && (len(o.sorted) == 0 || compareCursors(o.heap[0], o.sorted[0]) < 0):
		o.first = o.pop()
	case len(o.sorted) > 0:
		o.first, o.sorted = o.sorted[0], o.sorted[1:]
	default:
		return nil
	}
	return &o.first
}

// leads tells whether the first cursor is still that.
func (o *clockOrder) leads() bool {
	return (len(o.sorted) == 0 || compareCursors(o.first, o.sorted[0]) < 0) &&
		(len(o.heap) == 0 || compareCursors(o.first, o.heap[0]) < 0)
}

func (o *clockOrder) push(c mergeCursor) {
	o.heap = append(o.heap, c)
	i := len(o.heap) - 1
	for i > 0 {
		up := (i - 1) / 2
		if compareCursors(o.heap[up], c) < 0 {
			break
		}
		o.heap[i] = o.heap[up]
		i = up
	}
	o.heap[i] = c
}

func (o *clockOrder) pop() mergeCursor {
	top, n := o.heap[0], len(o.heap)-1
	c := o.heap[n]
	o.heap = o.heap[:n]
	i := 0
	for {
		child := 2*i + 1
		if child >= n {
			break
		}
		if child+1 < n && compareCursors(o.heap[child+1], o.heap[child]) < 0 {
			child++
		}
		if compareCursors(c, o.heap[child]) < 0 {
			break
		}
		o.heap[i] = o.heap[child]
		i = child
	}
	if n > 0 {
		o.heap[i] = c
	}
	return top
}

// sortedOrder is the order with mixed ties: the sorts of yjs one by one.
type sortedOrder struct {
	sort  *timsort[*mergeCursor]
	given bool // the first one was given out
}

func newSortedOrder(cursors []mergeCursor) *sortedOrder {
	list := make([]*mergeCursor, len(cursors))
	for i := range cursors {
		list[i] = &cursors[i]
	}
	return &sortedOrder{sort: newTimsort(list, compareLikeYjs)}
}

// compareLikeYjs puts an item before a collected range at its clock, and that before the item.
func compareLikeYjs(a, b *mergeCursor) int {
	switch {
	case a.client != b.client:
		return cmp.Compare(b.client, a.client)
	case a.clock != b.clock:
		return cmp.Compare(a.clock, b.clock)
	case a.collected != b.collected:
		return -1
	}
	return 0
}

func (o *sortedOrder) next(ended bool) *mergeCursor {
	switch {
	case !o.given:
		o.given = true
	case ended:
		o.sort.dropFirst()
	default:
		o.sort.changedFirst()
	}
	o.sort.sort()
	return o.sort.first()
}
