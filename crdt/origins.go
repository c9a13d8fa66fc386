package crdt

import (
	"math/bits"
	"slices"
)

// What stood left and right of an item when it was written, its origin and
// right origin, is mostly what stands there today: typing goes on behind what
// was typed before. So only where somebody has written between them since do
// they take memory, and an item is 28 bytes instead of 44:
//
//	flagNoOrigin          none
//	in ends.origins       that
//	otherwise             the last unit of the left neighbour
//
// and the same for the right origin and the first unit of the right neighbour.
// Each item has one form only: what equals the neighbour is never written down.
// Whoever puts something between two items therefore pins the one's right
// origin and the other's origin first; cutting an item and joining two keeps
// the ends of what is outside.

// chunkEnds holds the origins written down for the items of one chunk.
type chunkEnds struct {
	origins sparse
	rors    sparse
}

// sparse holds an id for some of the items of a chunk, in their order.
type sparse struct {
	has uint64 // bit i: item i of the chunk has one
	ids []id
}

func (s *sparse) find(r ref) (i int, ok bool) {
	bit := uint64(1) << (r & (chunkLen - 1))
	return bits.OnesCount64(s.has & (bit - 1)), s.has&bit != 0
}

func (s *sparse) set(r ref, v id) {
	i, ok := s.find(r)
	if ok {
		s.ids[i] = v
		return
	}
	s.has |= 1 << (r & (chunkLen - 1))
	if n := len(s.ids); n == cap(s.ids) {
		s.ids = slices.Grow(s.ids, n/4+1)
	}
	s.ids = slices.Insert(s.ids, i, v)
}

func (s *sparse) drop(r ref) {
	if i, ok := s.find(r); ok {
		s.has &^= 1 << (r & (chunkLen - 1))
		s.ids = slices.Delete(s.ids, i, i+1)
	}
}

// origin returns what stood left of the first unit of an item when it was written.
func (a *items) origin(r ref) id {
	if a.loading != nil {
		return a.loading.origin(r)
	}
	if s := &a.ends[r>>chunkBits].origins; s.has != 0 {
		if i, ok := s.find(r); ok {
			return s.ids[i]
		}
	}
	if it := a.at(r); it.tag&flagNoOrigin == 0 && it.left != 0 {
		return a.at(it.left).last()
	}
	return noID
}

// ror returns what stood right of an item when it was written.
func (a *items) ror(r ref) id {
	if a.loading != nil {
		return a.loading.ror(r)
	}
	if s := &a.ends[r>>chunkBits].rors; s.has != 0 {
		if i, ok := s.find(r); ok {
			return s.ids[i]
		}
	}
	if it := a.at(r); it.tag&flagNoRor == 0 && it.right != 0 {
		return a.at(it.right).first()
	}
	return noID
}

// followsLeft tells whether the origin of an item is the last unit of its left neighbour.
func (a *items) followsLeft(r ref, it *item) bool {
	return it.tag&flagNoOrigin == 0 && a.ends[r>>chunkBits].origins.has>>(r&(chunkLen-1))&1 == 0
}

// precedesRight tells whether the right origin of an item is the first unit of its right neighbour.
func (a *items) precedesRight(r ref, it *item) bool {
	return it.tag&flagNoRor == 0 && a.ends[r>>chunkBits].rors.has>>(r&(chunkLen-1))&1 == 0
}

// pin writes down the ends of two neighbours that look at each other, before
// something comes between them or the left one grows. Either may be 0.
func (a *items) pin(left, right ref) {
	if left == 0 || right == 0 {
		return
	}
	a.pinLeft(left, right)
	if l := a.at(left); a.precedesRight(left, l) {
		a.ends[left>>chunkBits].rors.set(left, a.at(right).first())
	}
}

// pinLeft is pin for the origin of the right one only.
func (a *items) pinLeft(left, right ref) {
	if r := a.at(right); a.followsLeft(right, r) {
		a.ends[right>>chunkBits].origins.set(right, a.at(left).last())
	}
}

// setEnds gives an item that stands in its list the origins it was written
// with. It has none so far.
func (a *items) setEnds(r ref, it *item, origin, ror id) {
	switch {
	case origin.client == noClient:
		it.tag |= flagNoOrigin
	case it.left == 0 || a.at(it.left).last() != origin:
		a.ends[r>>chunkBits].origins.set(r, origin)
	}
	switch {
	case ror.client == noClient:
		it.tag |= flagNoRor
	case it.right == 0 || a.at(it.right).first() != ror:
		a.ends[r>>chunkBits].rors.set(r, ror)
	}
}

// dropEnds forgets the origins that are written down for an item.
func (a *items) dropEnds(r ref) {
	e := &a.ends[r>>chunkBits]
	e.origins.drop(r)
	e.rors.drop(r)
}

// cutEnds gives right, the part cut off from left behind it, its ends.
func (a *items) cutEnds(leftRef, rightRef ref) {
	left, right := a.at(leftRef), a.at(rightRef)
	right.tag &^= flagNoOrigin
	if left.tag&flagNoRor != 0 {
		return
	}
	rors := &a.ends[leftRef>>chunkBits].rors
	if i, ok := rors.find(leftRef); ok {
		a.ends[rightRef>>chunkBits].rors.set(rightRef, rors.ids[i])
	} else {
		rors.set(leftRef, a.at(right.right).first())
	}
}

// sameRor tells whether an item has the right origin of its right neighbour.
func (a *items) sameRor(leftRef, rightRef ref) bool {
	left, right := a.at(leftRef), a.at(rightRef)
	if (left.tag|right.tag)&flagNoRor != 0 {
		return left.tag&right.tag&flagNoRor != 0
	}
	rors := &a.ends[leftRef>>chunkBits].rors
	i, ok := rors.find(leftRef)
	return ok && rors.ids[i] == a.ror(rightRef)
}

// joinEnds prepares for right to become part of left, its left neighbour.
func (a *items) joinEnds(leftRef, rightRef ref) {
	if right := a.at(rightRef); a.precedesRight(rightRef, right) {
		a.ends[leftRef>>chunkBits].rors.drop(leftRef)
	}
	a.dropEnds(rightRef)
}

func (e *chunkEnds) clone() chunkEnds {
	c := *e
	c.origins.ids, c.rors.ids = slices.Clone(c.origins.ids), slices.Clone(c.rors.ids)
	return c
}

func (e *chunkEnds) bytes() int { return 64 + 8*(cap(e.origins.ids)+cap(e.rors.ids)) }
