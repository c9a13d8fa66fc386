package crdt

import (
	"fmt"
	"iter"
	"strings"
)

// This file has the ways through a document: from a type to its parent,
// siblings and descendants.

// Parent returns the shared type that holds the text; false for a root.
func (t SharedText) Parent() (any, bool) { return t.s.parent() }

// Parent returns the shared type that holds the array; false for a root.
func (a SharedArray) Parent() (any, bool) { return a.s.parent() }

// Parent returns the shared type that holds the map; false for a root.
func (m SharedMap) Parent() (any, bool) { return m.s.parent() }

// Parent returns the shared type that holds the fragment or element; false for a root.
func (x SharedXML) Parent() (any, bool) { return x.s.parent() }

func (s shared) parent() (any, bool) {
	r := s.d.types[s.t].item
	if r == 0 {
		return nil, false
	}
	return s.d.handle(s.d.lists[s.d.items.at(r).list].typ), true
}

// NextSibling returns what stands behind the text in its parent, a shared type
// as a rule; false when nothing does, and for a root.
func (t SharedText) NextSibling() (any, bool) { return t.s.sibling(nextOf) }

// PrevSibling is NextSibling for what stands before the text.
func (t SharedText) PrevSibling() (any, bool) { return t.s.sibling(prevOf) }

// NextSibling returns what stands behind the element in its parent, a shared
// type as a rule; false when nothing does, and for a root.
func (x SharedXML) NextSibling() (any, bool) { return x.s.sibling(nextOf) }

// PrevSibling is NextSibling for what stands before the element.
func (x SharedXML) PrevSibling() (any, bool) { return x.s.sibling(prevOf) }

// NextSibling returns what stands behind the hook in its parent, a shared type
// as a rule; false when nothing does.
func (h SharedHook) NextSibling() (any, bool) { return h.s.sibling(nextOf) }

// PrevSibling is NextSibling for what stands before the hook.
func (h SharedHook) PrevSibling() (any, bool) { return h.s.sibling(prevOf) }

func nextOf(it *item) ref { return it.right }
func prevOf(it *item) ref { return it.left }

// sibling returns the nearest unit in one direction.
func (s shared) sibling(step func(*item) ref) (any, bool) {
	r := s.d.types[s.t].item
	if r == 0 || s.d.lists[s.d.items.at(r).list].key != noKey {
		return nil, false
	}
	for r = step(s.d.items.at(r)); r != 0; r = step(s.d.items.at(r)) {
		if it := s.d.items.at(r); s.d.isContent(r) {
			n := uint32(0)
			if it.right != 0 && step(it) != it.right {
				n = it.length - 1
			}
			return s.d.valueAt(it, n), true
		}
	}
	return nil, false
}

// FirstChild returns the first child; false when there is none.
func (x SharedXML) FirstChild() (any, bool) { return x.s.value(0) }

// Walk visits the nodes below, SharedXML, SharedText and SharedHook, each
// before its children, in the order of the markup. What is not a shared type is
// left out, and so are types inside texts and hooks
// (yjs/src/types/YXmlFragment.js, YXmlTreeWalker).
func (x SharedXML) Walk() iter.Seq[any] {
	return func(yield func(any) bool) {
		d := x.s.d
		var above []ref // where to go on, per level
		for r := d.first(x.s.t); ; {
			for r == 0 {
				if len(above) == 0 {
					return
				}
				r, above = above[len(above)-1], above[:len(above)-1]
			}
			it := d.items.at(r)
			next := it.right
			if it.deleted() || it.kind() != kindType {
				r = next
				continue
			}
			t := int32(it.body)
			if !yield(d.handle(t)) {
				return
			}
			if k := d.types[t].kind; k == XMLElement || k == XMLFragment {
				above = append(above, next)
				next = d.first(t)
			}
			r = next
		}
	}
}

// Elements visits the elements below that have a node name, in any case of
// letters, as yjs' querySelectorAll does.
func (x SharedXML) Elements(name string) iter.Seq[SharedXML] {
	return func(yield func(SharedXML) bool) {
		for n := range x.Walk() {
			if e, ok := n.(SharedXML); ok && e.s.d.types[e.s.t].kind == XMLElement && strings.EqualFold(e.Name(), name) && !yield(e) {
				return
			}
		}
	}
}

// Element returns the first of Elements; false when there is none.
func (x SharedXML) Element(name string) (SharedXML, bool) {
	for e := range x.Elements(name) {
		return e, true
	}
	return SharedXML{}, false
}

// InsertAfter puts a new type, of Kind XMLElement, XMLText or XMLHook as a
// rule, behind a child, a SharedXML, SharedText or SharedHook, or before all
// when ref is nil. name is that of an element or hook. It returns the type as
// Tx.Shared does, and ErrIndex when ref is no child.
func (x SharedXML) InsertAfter(ref any, kind Kind, name string) (any, error) {
	c := x.s.start()
	if ref != nil {
		child, ok := sharedOf(ref)
		if !ok || child.d != x.s.d {
			return nil, fmt.Errorf("%w: %T is no child", ErrIndex, ref)
		}
		r := x.s.d.types[child.t].item
		if r == 0 || x.s.d.items.at(r).list != c.list {
			return nil, fmt.Errorf("%w: %v is no child of %v", ErrIndex, x.s.d.typeID(child.t), x.ID())
		}
		c.left, c.right = r, x.s.d.items.at(r).right
		x.s.d.caret = caret{}
		x.s.d.marks.changed(c.list) // nobody counts the units before it
	}
	return x.s.insertNew(&c, kind, name)
}

// sharedOf returns what the types of a document have in common.
func sharedOf(v any) (shared, bool) {
	switch v := v.(type) {
	case SharedText:
		return v.s, true
	case SharedArray:
		return v.s, true
	case SharedMap:
		return v.s, true
	case SharedXML:
		return v.s, true
	case SharedHook:
		return v.s, true
	}
	return shared{}, false
}
