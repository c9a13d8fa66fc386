package crdt

import "iter"

// This file has what the shared types share, and their readers. Readers may
// be used inside Edit, View and observers; what changes a type, only in Edit.

// View runs f, which may read the document through its Tx but must not change
// it. The Tx and what it hands out are valid until f returns.
func (d *Doc) View(f func(*Tx)) {
	was := d.frozen
	d.frozen = true
	defer func() { d.frozen = was }()
	f(&Tx{d})
}

// mustBeEditable panics where a program changes a document from inside View or
// an observer: the change would be lost to the transaction that runs.
func (d *Doc) mustBeEditable() {
	if d.frozen {
		panic("crdt: document changed from inside View or an observer")
	}
}

// Shared returns the type of an id as a SharedText, SharedArray, SharedMap,
// SharedXML or SharedHook; false when the document does not have it.
func (tx *Tx) Shared(id TypeID) (any, bool) {
	t := tx.d.typeAt(id)
	if t < 0 {
		return nil, false
	}
	return tx.d.handle(t), true
}

// values visits the units of a sequence with their index.
func (s shared) values(yield func(int, any) bool) {
	n := 0
	for r := s.d.first(s.t); r != 0; r = s.d.items.at(r).right {
		it := s.d.items.at(r)
		if it.deleted() || !it.countable() {
			continue
		}
		for _, v := range s.d.valuesOf(nil, it) {
			if !yield(n, v) {
				return
			}
			n++
		}
	}
}

// value returns the unit at an index; false when there is none.
func (s shared) value(index int) (any, bool) {
	if index < 0 {
		return nil, false
	}
	for r := s.d.first(s.t); r != 0; r = s.d.items.at(r).right {
		it := s.d.items.at(r)
		if it.deleted() || !it.countable() {
			continue
		}
		if index < int(it.length) {
			return s.d.valueAt(it, uint32(index)), true
		}
		index -= int(it.length)
	}
	return nil, false
}

// property returns the value of a key; false when it has none.
func (s shared) property(key string) (any, bool) {
	name, ok := s.d.names.index[key]
	if !ok {
		return nil, false
	}
	l := s.d.lookup(s.t, name)
	if l == noList {
		return nil, false
	}
	return s.d.current(l)
}

// current returns the value that a key's list stands for.
func (d *Doc) current(l int32) (any, bool) {
	last := d.lists[l].last
	if last == 0 {
		return nil, false
	}
	it := d.items.at(last)
	if it.deleted() {
		return nil, false
	}
	return d.valueAt(it, it.length-1), true
}

// properties visits the keys in the order in which they first came.
func (s shared) properties(yield func(string, any) bool) {
	for l := s.d.types[s.t].entry; l != noList; l = s.d.lists[l].next {
		if v, ok := s.d.current(l); ok && !yield(s.d.names.text[s.d.lists[l].key], v) {
			return
		}
	}
}

// json returns the type as Doc.JSON does.
func (s shared) json() ([]byte, error) {
	x := exporter{d: s.d}
	x.typ(s.t, 0)
	return x.out, x.err
}

// ID returns the name under which every replica knows the text.
func (t SharedText) ID() TypeID { return t.s.d.typeID(t.s.t) }

// Delta returns the text as inserts, each as long as its formats stay the same.
func (t SharedText) Delta() []Op {
	var out []Op
	t.s.d.delta(t.s.t, func(o op) {
		var insert any = string(o.text)
		if o.embed != 0 {
			insert = t.s.d.valueAt(t.s.d.items.at(o.embed), 0)
		}
		out = append(out, Op{Insert: insert, Attributes: t.s.d.attributes(o.attrs)})
	})
	return out
}

// Markup returns what yjs' toString gives: the characters of a text, and for
// one inside XML also formats as elements around them.
func (t SharedText) Markup() string { return string(t.s.d.stringOf(t.s.t, 0)) }

// Attribute returns an attribute of the whole text; false when it is not set.
func (t SharedText) Attribute(key string) (any, bool) { return t.s.property(key) }

// Attributes visits the attributes of the whole text.
func (t SharedText) Attributes() iter.Seq2[string, any] { return t.s.properties }

// SetAttribute gives the whole text an attribute, of the types that SharedArray.Insert takes.
func (t SharedText) SetAttribute(key string, value any) error {
	return SharedMap(t).Set(key, value)
}

// RemoveAttribute removes an attribute of the whole text; one that is not there is left alone.
func (t SharedText) RemoveAttribute(key string) { t.s.unset(key) }

// ID returns the name under which every replica knows the array.
func (a SharedArray) ID() TypeID { return a.s.d.typeID(a.s.t) }

// Get returns the element at index; false when there is none.
func (a SharedArray) Get(index int) (any, bool) { return a.s.value(index) }

// All visits the elements with their index.
func (a SharedArray) All() iter.Seq2[int, any] { return a.s.values }

// JSON returns the array as Doc.JSON does.
func (a SharedArray) JSON() ([]byte, error) { return a.s.json() }

// ID returns the name under which every replica knows the map.
func (m SharedMap) ID() TypeID { return m.s.d.typeID(m.s.t) }

// Get returns the value of key; false when it has none.
func (m SharedMap) Get(key string) (any, bool) { return m.s.property(key) }

// Len returns the number of keys.
func (m SharedMap) Len() int {
	n := 0
	for range m.s.properties {
		n++
	}
	return n
}

// All visits the keys and their values, in no order that replicas share.
func (m SharedMap) All() iter.Seq2[string, any] { return m.s.properties }

// JSON returns the map as Doc.JSON does.
func (m SharedMap) JSON() ([]byte, error) { return m.s.json() }

// ID returns the name under which every replica knows the fragment or element.
func (x SharedXML) ID() TypeID { return x.s.d.typeID(x.s.t) }

// Name returns the node name of an element, UNDEFINED for a root element as in
// yjs, and "" for a fragment.
func (x SharedXML) Name() string { return x.s.nodeName() }

func (s shared) nodeName() string {
	if ty := &s.d.types[s.t]; ty.item != 0 && ty.name >= 0 {
		return s.d.names.text[ty.name]
	} else if ty.kind == XMLElement {
		return "UNDEFINED"
	}
	return ""
}

// Child returns the child at index; false when there is none.
func (x SharedXML) Child(index int) (any, bool) { return x.s.value(index) }

// Children visits the children with their index.
func (x SharedXML) Children() iter.Seq2[int, any] { return x.s.values }

// Attribute returns an attribute of an element; false when it is not set.
func (x SharedXML) Attribute(key string) (any, bool) { return x.s.property(key) }

// Attributes visits the attributes of an element.
func (x SharedXML) Attributes() iter.Seq2[string, any] { return x.s.properties }

// String returns the markup, as Doc.XML does.
func (x SharedXML) String() string { return string(x.s.d.stringOf(x.s.t, 0)) }

// InsertHook puts a new hook, a map that stands for a node of some editor, at index.
func (x SharedXML) InsertHook(index int, name string) (SharedHook, error) {
	c, err := x.s.seek(index)
	if err != nil {
		return SharedHook{}, err
	}
	s, err := x.s.insertType(&c, XMLHook, name)
	return SharedHook{SharedMap{s}}, err
}

// SharedHook is a map with a name that stands among the nodes of XML.
type SharedHook struct{ SharedMap }

// Name returns the name of the hook.
func (h SharedHook) Name() string { return h.s.nodeName() }
