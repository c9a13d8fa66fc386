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

// attrs are the formats in force at a place, in the order in which they were set.
type attrs []attr

// get returns the attribute of a name; without one, null.
func (a attrs) get(name int32) attr {
	for i := range a {
		if a[i].name == name {
			return a[i]
		}
	}
	return attr{name: name, v: nullValue}
}

func (a attrs) has(name int32) bool {
	return slices.ContainsFunc(a, func(x attr) bool { return x.name == name })
}

func (a *attrs) set(x attr) {
	for i := range *a {
		if (*a)[i].name == x.name {
			(*a)[i] = x
			return
		}
	}
	*a = append(*a, x)
}

func (a *attrs) remove(name int32) {
	*a = slices.DeleteFunc(*a, func(x attr) bool { return x.name == name })
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
			out = append(out, entry{key, d.Any(lib0MaxDepth)})
		}
	case lib0.AnyBytes:
		for i, c := range d.Bytes() {
			out = append(out, entry{strconv.Itoa(i), appendNumber(nil, float64(c))})
		}
	}
	return out
}
