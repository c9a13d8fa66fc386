package crdt

import (
	"bytes"
	"slices"
	"strconv"

	"weft/crdt/lib0"
)

// attr is one format in force: its key, its value and the item that set it.
type attr struct {
	name int32
	v    value
	src  ref // tells objects apart, which JavaScript compares by identity
}

// attrs are the formats in force at a place, in the order in which they were
// set; the zero value has none. A copy shares memory: see clone.
type attrs struct {
	list  []attr          // with holes, whose name is noAttr
	place map[int32]int32 // in list, by name; nil while the list is short
	holes int
}

const (
	noAttr = -1
	// shortAttrs is the length up to which a list is searched without a map.
	// It was guessed: texts have a handful of formats, only forged ones thousands.
	shortAttrs = 16
)

func (a *attrs) find(name int32) int {
	if a.place != nil {
		if i, ok := a.place[name]; ok {
			return int(i)
		}
		return -1
	}
	for i := range a.list {
		if a.list[i].name == name {
			return i
		}
	}
	return -1
}

// get returns the attribute of a name; without one, null.
func (a *attrs) get(name int32) attr {
	if i := a.find(name); i >= 0 {
		return a.list[i]
	}
	return attr{name: name, v: nullValue}
}

func (a *attrs) has(name int32) bool { return a.find(name) >= 0 }

func (a *attrs) len() int { return len(a.list) - a.holes }

// all visits the attributes; what follows must not change while it does.
func (a *attrs) all(yield func(attr) bool) {
	for _, x := range a.list {
		if x.name != noAttr && !yield(x) {
			return
		}
	}
}

// clone returns a copy that shares no memory.
func (a *attrs) clone() attrs {
	out := attrs{list: slices.Grow([]attr(nil), a.len())}
	for x := range a.all {
		out.list = append(out.list, x)
	}
	out.index()
	return out
}

// index makes the map that a long list needs.
func (a *attrs) index() {
	if len(a.list) <= shortAttrs {
		return
	}
	a.place = make(map[int32]int32, 2*len(a.list))
	for i, x := range a.list {
		a.place[x.name] = int32(i)
	}
}

func (a *attrs) set(x attr) {
	if i := a.find(x.name); i >= 0 {
		a.list[i] = x
		return
	}
	a.list = append(a.list, x)
	if a.place != nil {
		a.place[x.name] = int32(len(a.list) - 1)
	} else {
		a.index()
	}
}

func (a *attrs) remove(name int32) {
	i := a.find(name)
	switch {
	case i < 0:
	case a.place == nil:
		a.list = slices.Delete(a.list, i, i+1)
	default:
		delete(a.place, name)
		a.list[i].name = noAttr
		if a.holes++; a.holes > len(a.list)/2 {
			*a = a.clone()
		}
	}
}

// update applies a format: null ends it.
func (a *attrs) update(x attr) {
	if x.v.isNull() {
		a.remove(x.name)
	} else {
		a.set(x)
	}
}

// attrOf returns the attribute that a kindFormat item sets.
func (d *Doc) attrOf(r ref) attr {
	name, v := d.format(d.items.at(r))
	return attr{name, v, r}
}

var (
	nullValue = value{formAny, []byte{lib0.AnyNull}}
	undefined = value{formAny, []byte{lib0.AnyUndefined}}
)

// isObject tells whether JavaScript compares the value by identity.
func (v value) isObject() bool {
	switch c := v.b[0]; {
	case v.form == formJSON:
		return c == '{' || c == '['
	default:
		return c == lib0.AnyObject || c == lib0.AnyArray || c == lib0.AnyBytes
	}
}

// same compares two attributes with JavaScript's ===.
func (a attr) same(b attr) bool {
	if a.v.isObject() || b.v.isObject() {
		return a.src != 0 && a.src == b.src
	}
	return a.v.equalBytes(b.v)
}

// equal compares two attributes as yjs does (yjs/src/types/YText.js,
// equalAttrs): objects by their entries, those with ===.
func (a attr) equal(b attr) bool {
	if a.same(b) {
		return true
	}
	if !a.v.isObject() || !b.v.isObject() {
		return false
	}
	x, y := a.v.entries(), b.v.entries()
	if len(x) != len(y) {
		return false
	}
	for _, e := range x {
		i := slices.IndexFunc(y, func(o entry) bool { return o.key == e.key })
		v := value{formAny, e.any}
		if i < 0 || v.isObject() || !bytes.Equal(e.any, y[i].any) {
			return false
		}
	}
	return true
}

// equalBytes compares two values by their encoding.
func (v value) equalBytes(w value) bool {
	if v.form == w.form {
		return bytes.Equal(v.b, w.b)
	}
	return bytes.Equal(v.appendAny(nil), w.appendAny(nil))
}

// entry is one property of an object.
type entry struct {
	key string
	any []byte
}

// entries returns the own properties of an object, array or byte array.
func (v value) entries() []entry {
	d := lib0.NewDecoder(v.appendAny(nil))
	var out []entry
	switch t := d.Byte(); t {
	case lib0.AnyObject, lib0.AnyArray:
		for i, n := uint64(0), d.Uint(); i < n; i++ {
			key := strconv.FormatUint(i, 10)
			if t == lib0.AnyObject {
				key = string(d.String())
			}
			out = append(out, entry{key, d.Any(anyDepth)})
		}
	case lib0.AnyBytes:
		for i, c := range d.Bytes() {
			out = append(out, entry{strconv.Itoa(i), appendNumber(nil, float64(c))})
		}
	}
	return out
}
