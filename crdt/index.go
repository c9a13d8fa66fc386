package crdt

import "slices"

// index finds an author's structs by clock. It is a list of leaves, each a
// sorted run of clocks with the items that start there: appending, the common
// case, costs nothing, and a split or merge moves at most one leaf.
type index struct {
	leaves []leaf
	hint   int // leaf found last
	near   int // place in it where the last search ended
}

type leaf struct {
	clocks []uint32
	refs   []ref // nil: base, base+1, ...
	base   ref
}

func (l *leaf) ref(i int) ref {
	if l.refs == nil {
		return l.base + ref(i)
	}
	return l.refs[i]
}

// spell writes the refs of a leaf out, so that it may change.
func (l *leaf) spell() {
	if l.refs == nil {
		l.refs = make([]ref, len(l.clocks), cap(l.clocks))
		for i := range l.refs {
			l.refs[i] = l.base + ref(i)
		}
	}
}

// leafLen bounds a leaf: moving 2 kB on a split costs about 40 ns.
const leafLen = 512

// pos is a place in an index. It is valid until the index changes.
type pos struct {
	x       *index
	leaf, i int
}

func (p pos) ok() bool      { return p.leaf < len(p.x.leaves) }
func (p pos) ref() ref      { return p.x.leaves[p.leaf].ref(p.i) }
func (p pos) clock() uint32 { return p.x.leaves[p.leaf].clocks[p.i] }

// setClock changes where the struct at p starts; it stays between its neighbours.
func (p pos) setClock(clock uint32) { p.x.leaves[p.leaf].clocks[p.i] = clock }

func (p pos) next() pos {
	p.i++
	if p.i == len(p.x.leaves[p.leaf].clocks) {
		p.leaf, p.i = p.leaf+1, 0
	}
	return p
}

// hasPrev tells whether there is a struct before p.
func (p pos) hasPrev() bool { return p.i > 0 || p.leaf > 0 }

func (p pos) prev() pos {
	if p.i > 0 {
		p.i--
		return p
	}
	p.leaf--
	p.i = len(p.x.leaves[p.leaf].clocks) - 1
	return p
}

func (x *index) start() pos { return pos{x: x} }

// end returns the place of the last struct; the index must not be empty.
func (x *index) end() pos {
	l := len(x.leaves) - 1
	return pos{x, l, len(x.leaves[l].clocks) - 1}
}

// find returns the place of the last struct that starts at or before clock.
func (x *index) find(clock uint32) pos {
	l := x.hint
	if l >= len(x.leaves) || x.leaves[l].clocks[0] > clock ||
		(l+1 < len(x.leaves) && x.leaves[l+1].clocks[0] <= clock) {
		lo, hi := 0, len(x.leaves) // the answer is in [lo, hi)
		for hi-lo > 1 {
			if m := (lo + hi) / 2; x.leaves[m].clocks[0] <= clock {
				lo = m
			} else {
				hi = m
			}
		}
		l = lo
		x.hint = l
	}
	clocks := x.leaves[l].clocks
	lo, hi := 0, len(clocks)
	if clocks[hi-1] <= clock {
		return pos{x, l, hi - 1}
	}
	// What one transaction looks for lies close together.
	if n := x.near; n+2 < hi && clocks[n] <= clock && clock < clocks[n+2] {
		if clocks[n+1] <= clock {
			n++
		}
		return pos{x, l, n}
	}
	for hi-lo > 1 {
		if m := int(uint(lo+hi) >> 1); clocks[m] <= clock {
			lo = m
		} else {
			hi = m
		}
	}
	x.near = lo
	return pos{x, l, lo}
}

// append adds a struct behind all others.
func (x *index) append(clock uint32, r ref) {
	n := len(x.leaves)
	if n == 0 || len(x.leaves[n-1].clocks) == leafLen {
		x.leaves = append(x.leaves, leaf{})
		n++
	}
	l := &x.leaves[n-1]
	l.spell()
	if n := len(l.refs); n == cap(l.refs) {
		*l = l.copy(0, n, max(2*n, 2)) // it will be full one day
	}
	l.clocks = append(l.clocks, clock)
	l.refs = append(l.refs, r)
}

// insert adds a struct right behind p and returns its place.
func (x *index) insert(p pos, clock uint32, r ref) pos {
	l := &x.leaves[p.leaf]
	l.spell()
	if len(l.refs) == leafLen {
		x.leaves = slices.Insert(x.leaves, p.leaf+1, x.leaves[p.leaf].part(leafLen/2, leafLen))
		x.leaves[p.leaf] = x.leaves[p.leaf].part(0, leafLen/2)
		if p.i >= leafLen/2 {
			p.leaf, p.i = p.leaf+1, p.i-leafLen/2
		}
		l = &x.leaves[p.leaf]
	}
	p.i++
	if n := len(l.refs); n == cap(l.refs) {
		*l = l.part(0, n)
	}
	l.clocks = slices.Insert(l.clocks, p.i, clock)
	l.refs = slices.Insert(l.refs, p.i, r)
	return p
}

// part returns a copy of a leaf's entries [from, to) with room for some more:
// a quarter, since there are many leaves once a document is large, and most
// of them are done growing.
func (l *leaf) part(from, to int) leaf { return l.copy(from, to, (to-from)*5/4+1) }

func (l *leaf) copy(from, to, room int) leaf {
	room = min(room, leafLen)
	return leaf{
		clocks: append(make([]uint32, 0, room), l.clocks[from:to]...),
		refs:   append(make([]ref, 0, room), l.refs[from:to]...),
	}
}

// remove drops the n structs before and including p.
func (x *index) remove(p pos, n int) {
	for n > 0 {
		l := &x.leaves[p.leaf]
		l.spell()
		k := min(n, p.i+1)
		l.clocks = slices.Delete(l.clocks, p.i+1-k, p.i+1)
		l.refs = slices.Delete(l.refs, p.i+1-k, p.i+1)
		n -= k
		if len(l.refs) == 0 {
			x.leaves = slices.Delete(x.leaves, p.leaf, p.leaf+1)
		}
		if n > 0 {
			p.leaf--
			p.i = len(x.leaves[p.leaf].clocks) - 1
		}
	}
}

// fill makes the index of blocks that became items side by side from first on.
func (x *index) fill(blocks []block, first ref) {
	clocks := make([]uint32, len(blocks))
	for i := range blocks {
		clocks[i] = blocks[i].clock
	}
	x.leaves = make([]leaf, 0, (len(clocks)+leafLen-1)/leafLen)
	for len(clocks) > 0 {
		n := min(len(clocks), leafLen)
		x.leaves = append(x.leaves, leaf{clocks: clocks[:n:n], base: first})
		clocks, first = clocks[n:], first+ref(n)
	}
}

// countFrom returns the number of structs at and behind p.
func (x *index) countFrom(p pos) int {
	n := len(x.leaves[p.leaf].clocks) - p.i
	for _, l := range x.leaves[p.leaf+1:] {
		n += len(l.clocks)
	}
	return n
}

// len returns how many structs there are.
func (x *index) len() (n int) {
	for i := range x.leaves {
		n += len(x.leaves[i].clocks)
	}
	return n
}

func (x *index) bytes() int {
	n := cap(x.leaves) * 56
	for i := range x.leaves {
		n += cap(x.leaves[i].clocks)*4 + cap(x.leaves[i].refs)*4
	}
	return n
}
