package crdt

import (
	"slices"
	"sort"
)

// siblings are the items that several authors wrote at one place, knowing
// nothing of each other: they have the same origins, follow each other without
// a gap right behind the origin, and stand by ascending client id. Scanning
// them for each newcomer is quadratic in their number; the last such place is
// remembered, and there the scan's answer is found by bisection.
type siblings struct {
	list        int32
	origin, ror id
	refs        []ref // none: nothing is remembered
}

// hotMin is the number of items one scan has to pass before their place is remembered.
const hotMin = 32

// has tells whether an item is one of the siblings or could be.
func (s *siblings) has(it *item) bool {
	return it.origin == s.origin && it.ror == s.ror
}

// find returns where among the siblings an item of an author goes; false when
// the scan has to tell.
func (s *siblings) find(d *Doc, it *item, author ClientID) (int, bool) {
	if len(s.refs) == 0 || s.list != it.list || !s.has(it) {
		return 0, false
	}
	i := s.search(d, author)
	return i, i < len(s.refs) || d.items.at(s.refs[i-1]).right == it.right
}

// search returns the place of the first sibling that stands behind an author's.
func (s *siblings) search(d *Doc, author ClientID) int {
	return sort.Search(len(s.refs), func(i int) bool { return d.clients[d.items.at(s.refs[i]).client()].id >= author })
}

// remember makes the run of siblings that starts at first the remembered place.
func (d *Doc) remember(it *item, first ref) {
	s := siblings{list: it.list, origin: it.origin, ror: it.ror, refs: d.hot.refs[:0]}
	last := ClientID(0)
	for r := first; r != 0; r = d.items.at(r).right {
		o := d.items.at(r)
		if c := d.clients[o.client()].id; s.has(o) && c >= last {
			last = c
		} else {
			break
		}
		s.refs = append(s.refs, r)
	}
	if len(s.refs) < hotMin {
		s.refs = s.refs[:0]
	}
	d.hot = s
}

// linked keeps the siblings right when an item was linked in their list.
func (d *Doc) linked(r ref, it *item) {
	s := &d.hot
	if !s.has(it) {
		if it.left != 0 && s.has(d.items.at(it.left)) || it.right != 0 && s.has(d.items.at(it.right)) {
			d.forget()
		}
		return
	}
	i := s.search(d, d.clients[it.client()].id)
	if i > 0 && s.refs[i-1] != it.left || i < len(s.refs) && s.refs[i] != it.right {
		d.forget()
		return
	}
	s.refs = slices.Insert(s.refs, i, r)
}

// forget remembers no siblings.
func (d *Doc) forget() { d.hot.refs = d.hot.refs[:0] }
