package crdt

import (
	"errors"
	"fmt"
)

// Check verifies the invariants of the document and returns the first that
// does not hold. It is meant for tests: it visits everything.
func (d *Doc) Check() error {
	if err := d.checkMarks(); err != nil {
		return err
	}
	listed := make(map[ref]bool)
	for c := range d.clients {
		if err := d.checkClient(int32(c)); err != nil {
			return fmt.Errorf("client %d: %w", d.clients[c].id, err)
		}
	}
	for l := range d.lists {
		if err := d.checkList(int32(l), listed); err != nil {
			return fmt.Errorf("list %d: %w", l, err)
		}
	}
	for c := range d.clients {
		for p := d.clients[c].index.start(); p.ok(); p = p.next() {
			if it := d.items.at(p.ref()); !it.isGC() && !listed[p.ref()] {
				return fmt.Errorf("client %d: item at clock %d is in no list", d.clients[c].id, it.clock)
			}
		}
	}
	return nil
}

// checkMarks verifies that what is remembered of indexes is true.
func (d *Doc) checkMarks() error {
	marks := append([]mark{}, d.marks.at...)
	for i := range marks {
		if err := d.checkMark(d.marks.list, marks[i]); err != nil {
			return fmt.Errorf("mark %d: %w", i, err)
		}
	}
	if d.caret.at == 0 {
		return nil
	}
	if err := d.checkMark(d.caret.list, mark{d.caret.at, d.caret.index}); err != nil {
		return fmt.Errorf("caret: %w", err)
	}
	if !d.isContent(d.caret.at) || d.types[d.lists[d.caret.list].typ].formatted {
		return errors.New("caret: not at content of a plain text or array")
	}
	return nil
}

func (d *Doc) checkMark(list int32, m mark) error {
	units := uint32(0)
	for r := d.lists[list].first; r != 0; r = d.items.at(r).right {
		if r == m.ref {
			if units != m.index {
				return fmt.Errorf("%d units before it, not %d", units, m.index)
			}
			return nil
		}
		if d.isContent(r) {
			units += d.items.at(r).length
		}
	}
	return fmt.Errorf("not in its list")
}

func (d *Doc) checkClient(n int32) error {
	c := &d.clients[n]
	next, used := uint32(0), 0
	tailSeen := c.tail == 0
	for p := c.index.start(); p.ok(); p = p.next() {
		it := d.items.at(p.ref())
		switch {
		case it.client() != n:
			return fmt.Errorf("struct at clock %d says client %d", it.clock, it.client())
		case it.clock != p.clock() || it.clock != next:
			return fmt.Errorf("struct at clock %d, indexed at %d, want %d", it.clock, p.clock(), next)
		case it.length == 0:
			return fmt.Errorf("empty struct at clock %d", it.clock)
		case it.isGC() && !it.deleted() || it.kind() == kindDeleted && !it.deleted():
			return fmt.Errorf("collected struct at clock %d is not deleted", it.clock)
		}
		next = it.end()
		n := d.contentLen(it, it.length)
		if it.kind() != kindType && int(it.body)+n > len(c.slab) {
			return fmt.Errorf("content of struct at clock %d ends past the slab", it.clock)
		}
		used += n
		if err := d.items.checkEnds(p.ref(), it); err != nil {
			return err
		}
		if p.ref() == c.tail {
			tailSeen = true
			if int(it.body)+n != len(c.slab) {
				return fmt.Errorf("tail at clock %d ends at %d of %d", it.clock, int(it.body)+n, len(c.slab))
			}
		}
		if it.kind() == kindType && d.types[it.body].item != p.ref() {
			return fmt.Errorf("type at clock %d does not know its item", it.clock)
		}
	}
	switch {
	case next != c.next:
		return fmt.Errorf("structs end at %d, want %d", next, c.next)
	case !tailSeen:
		return fmt.Errorf("tail is not one of the structs")
	case used+c.dead != len(c.slab):
		return fmt.Errorf("slab of %d bytes has %d used and %d dead", len(c.slab), used, c.dead)
	}
	return nil
}

func (d *Doc) checkList(n int32, listed map[ref]bool) error {
	l := &d.lists[n]
	left := ref(0)
	units := uint32(0)
	for r := l.first; r != 0; r = d.items.at(r).right {
		it := d.items.at(r)
		switch {
		case listed[r]:
			return fmt.Errorf("item %d:%d stands twice", d.clients[it.client()].id, it.clock)
		case it.left != left:
			return fmt.Errorf("item %d:%d has a wrong left neighbour", d.clients[it.client()].id, it.clock)
		case it.list != n:
			return fmt.Errorf("item %d:%d says list %d", d.clients[it.client()].id, it.clock, it.list)
		case l.key != noKey && it.right != 0 && !it.deleted() && !d.goesOn(it):
			return fmt.Errorf("item %d:%d is superseded but not deleted", d.clients[it.client()].id, it.clock)
		}
		if holder := d.types[l.typ].item; holder > 0 && d.items.at(holder).deleted() && !it.deleted() {
			return fmt.Errorf("item %d:%d lives in a deleted type", d.clients[it.client()].id, it.clock)
		}
		listed[r] = true
		left = r
		if d.isContent(r) {
			units += it.length
		}
	}
	if l.key == noKey && l.units != units {
		return fmt.Errorf("list counts %d units, has %d", l.units, units)
	}
	if l.last != left {
		return fmt.Errorf("last item is not the last")
	}
	return nil
}

// goesOn tells whether an item is the first part of one that was split. When
// something is written between the parts of a value of several units, which
// only a forged update does to a key, the first part stays undeleted, as in yjs.
func (d *Doc) goesOn(it *item) bool {
	c := &d.clients[it.client()]
	return it.end() < c.next && d.items.at(c.index.find(it.end()).ref()).list == it.list
}

// checkEnds verifies that the origins of an item have the one form they may have.
func (a *items) checkEnds(r ref, it *item) error {
	e := &a.ends[r>>chunkBits]
	if i, ok := e.origins.find(r); ok {
		if it.tag&flagNoOrigin != 0 || it.left != 0 && a.at(it.left).last() == e.origins.ids[i] {
			return fmt.Errorf("origin of the item at clock %d is written down", it.clock)
		}
	} else if it.tag&flagNoOrigin == 0 && it.left == 0 {
		return fmt.Errorf("item at clock %d has no left neighbour to tell its origin", it.clock)
	}
	if i, ok := e.rors.find(r); ok {
		if it.tag&flagNoRor != 0 || it.right != 0 && a.at(it.right).first() == e.rors.ids[i] {
			return fmt.Errorf("right origin of the item at clock %d is written down", it.clock)
		}
	} else if it.tag&flagNoRor == 0 && it.right == 0 {
		return fmt.Errorf("item at clock %d has no right neighbour to tell its right origin", it.clock)
	}
	return nil
}
