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

// isHot tells whether an item is one of the siblings or could be.
func (d *Doc) isHot(r ref) bool {
	return d.items.origin(r) == d.hot.origin && d.items.ror(r) == d.hot.ror
}

// find returns where among the siblings an item of an author goes; false when
// the scan has to tell.
func (s *siblings) find(d *Doc, it *placing, author ClientID) (int, bool) {
	if len(s.refs) == 0 || s.list != it.list || it.origin != s.origin || it.ror != s.ror {
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
func (d *Doc) remember(it *placing, first ref) {
	d.hot = siblings{list: it.list, origin: it.origin, ror: it.ror, refs: d.hot.refs[:0]}
	s := &d.hot
	last := ClientID(0)
	for r := first; r != 0; r = d.items.at(r).right {
		o := d.items.at(r)
		if c := d.clients[o.client()].id; d.isHot(r) && c >= last {
			last = c
		} else {
			break
		}
		s.refs = append(s.refs, r)
	}
	if len(s.refs) < hotMin {
		s.refs = s.refs[:0]
	}
}

// linked keeps the siblings right when an item was linked in their list.
func (d *Doc) linked(r ref, it *item) {
	s := &d.hot
	if !d.isHot(r) {
		if it.left != 0 && d.isHot(it.left) || it.right != 0 && d.isHot(it.right) {
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
