package crdt

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"unicode/utf16"

	"weft/crdt/lib0"
)

// ErrDepth means that nested types lie too deep to be exported.
var ErrDepth = errors.New("shared types nested too deeply")

// maxExportDepth bounds the nesting of exported types: each level costs stack.
const maxExportDepth = 2000

// rootType returns the root type of a name, or -1 when nothing was written to it.
func (d *Doc) rootType(root string) int32 {
	if name, ok := d.names.index[root]; ok {
		if t, ok := d.roots[name]; ok {
			return t
		}
	}
	return -1
}

// first returns the first child of a type's sequence, or 0.
func (d *Doc) first(t int32) ref {
	if t < 0 || d.types[t].children == noList {
		return 0
	}
	return d.lists[d.types[t].children].first
}

// Text returns the characters of a root text, without formats and embeds.
func (d *Doc) Text(root string) string {
	return string(d.appendText(nil, d.rootType(root)))
}

func (d *Doc) appendText(dst []byte, t int32) []byte {
	for r := d.first(t); r != 0; r = d.items.at(r).right {
		if it := d.items.at(r); !it.deleted() && it.kind() == kindString {
			dst = append(dst, d.contentOf(it)...)
		}
	}
	return dst
}

// op is one insert of a delta: text, or one embedded thing.
type op struct {
	text  []byte
	embed ref // kindEmbed or kindType
	attrs attrs
}

// delta calls yield with the inserts that make up a text, each as long as its
// formats stay the same (yjs/src/types/YText.js, toDelta).
func (d *Doc) delta(t int32, yield func(op)) {
	var text []byte
	var current attrs
	given := false // current belongs to an op
	flush := func() {
		if len(text) > 0 {
			yield(op{text: text, attrs: current})
			given = true
		}
		text = nil
	}
	for r := d.first(t); r != 0; r = d.items.at(r).right {
		it := d.items.at(r)
		if it.deleted() {
			continue
		}
		switch it.kind() {
		case kindString:
			text = append(text, d.contentOf(it)...)
		case kindType, kindEmbed:
			flush()
			yield(op{embed: r, attrs: current})
			given = true
		case kindFormat:
			flush()
			if given {
				current, given = current.clone(), false
			}
			current.update(d.attrOf(r))
		}
	}
	flush()
}

// Delta returns a root text as a Quill delta in JSON: an array of
// {"insert": string | value, "attributes": {...}}. A nested type stands as its
// own export. ErrDepth means that those nest too deeply.
func (d *Doc) Delta(root string) ([]byte, error) {
	x := exporter{d: d}
	x.delta(d.rootType(root))
	return x.out, x.err
}

// JSON returns a root map or array in JSON, as JSON.stringify writes what
// yjs' toJSON returns: byte arrays are objects of their bytes, undefined is
// left out. A root that nobody declared is taken for a map when it has keys,
// else for an array; one that does not exist is null. ErrDepth means that
// types nest too deeply.
func (d *Doc) JSON(root string) ([]byte, error) {
	t := d.rootType(root)
	if t < 0 {
		return []byte("null"), nil
	}
	x := exporter{d: d}
	x.typ(t, 0)
	return x.out, x.err
}

// XML returns a root fragment or element as markup, as yjs' toString writes it: attribute
// values and text are not escaped. Types nested deeper than 2,000 levels are left out.
func (d *Doc) XML(root string) string {
	x := exporter{d: d}
	if t := d.rootType(root); t >= 0 && d.types[t].kind == XMLElement {
		x.element(t, 0)
	} else {
		x.markup(t, 0)
	}
	return string(x.out)
}

// exporter writes documents for readers that are no peers.
type exporter struct {
	d   *Doc
	out []byte
	err error
}

// typ writes a type as its toJSON.
func (x *exporter) typ(t int32, depth int) {
	if depth > maxExportDepth {
		x.err = ErrDepth
		x.out = append(x.out, "null"...)
		return
	}
	d := x.d
	switch kind := d.types[t].kind; {
	case kind == Map, kind == XMLHook, kind == Untyped && d.types[t].entry != noList:
		x.mapping(t, depth)
	case kind == Array, kind == Untyped:
		x.array(t, depth)
	default:
		x.out = appendJSString(x.out, d.stringOf(t, depth))
	}
}

// stringOf returns what yjs' toString returns for a type.
func (d *Doc) stringOf(t int32, depth int) []byte {
	if d.types[t].kind == Text {
		return d.appendText(nil, t)
	}
	y := exporter{d: d}
	y.element(t, depth)
	return y.out
}

func (x *exporter) mapping(t int32, depth int) {
	type property struct {
		key string
		r   ref
	}
	var ps []property
	for l := x.d.types[t].entry; l != noList; l = x.d.lists[l].next {
		if last := x.d.lists[l].last; last != 0 && !x.d.items.at(last).deleted() {
			ps = append(ps, property{x.d.names.text[x.d.lists[l].key], last})
		}
	}
	slices.SortStableFunc(ps, func(a, b property) int { return compareKeys(a.key, b.key) })
	x.out = append(x.out, '{')
	first := true
	for _, p := range ps {
		it := x.d.items.at(p.r)
		v := x.d.elementAt(it, it.length-1)
		if it.kind() != kindType && v.isUndefined() {
			continue
		}
		if !first {
			x.out = append(x.out, ',')
		}
		first = false
		x.out = append(appendJSString(x.out, []byte(p.key)), ':')
		x.unit(it, v, depth)
	}
	x.out = append(x.out, '}')
}

func (x *exporter) array(t int32, depth int) {
	x.out = append(x.out, '[')
	first := true
	for r := x.d.first(t); r != 0; r = x.d.items.at(r).right {
		it := x.d.items.at(r)
		if it.deleted() || !it.countable() {
			continue
		}
		for _, v := range x.d.elements(it) {
			if !first {
				x.out = append(x.out, ',')
			}
			first = false
			x.unit(it, v, depth)
		}
	}
	x.out = append(x.out, ']')
}

// unit writes one element of an item: a nested type or a value.
func (x *exporter) unit(it *item, v value, depth int) {
	if it.kind() == kindType {
		x.typ(int32(it.body), depth+1)
		return
	}
	x.out = v.appendJSON(x.out)
}

// elementAt returns the n-th element of an item; a type or a subdocument is an empty object.
func (d *Doc) elementAt(it *item, n uint32) value {
	if es := d.elements(it); n < uint32(len(es)) {
		return es[n]
	}
	return undefined
}

var emptyObject = value{formAny, []byte{lib0.AnyObject, 0}}

// elements returns the elements of an item as yjs' getContent returns them.
func (d *Doc) elements(it *item) []value {
	b := d.contentOf(it)
	dec := lib0.NewDecoder(b)
	var out []value
	switch it.kind() {
	case kindAny:
		for dec.Len() > 0 {
			out = append(out, value{formAny, dec.Any(anyDepth)})
		}
	case kindJSON:
		for dec.Len() > 0 {
			v := value{formJSON, dec.Bytes()}
			if isJSONUndefined(v.b) {
				v = undefined
			}
			out = append(out, v)
		}
	case kindString:
		for _, c := range string(b) {
			if c > 0xffff { // an element is a code unit, here half a character
				half := value{formAny, lib0.AppendString([]byte{lib0.AnyString}, replacement)}
				out = append(out, half, half)
				continue
			}
			out = append(out, value{formAny, lib0.AppendString([]byte{lib0.AnyString}, string(c))})
		}
	case kindBinary:
		out = append(out, value{formAny, append([]byte{lib0.AnyBytes}, b...)})
	case kindEmbed:
		form, body := skipValue(&dec)
		out = append(out, value{form, body})
	case kindType, kindDoc:
		out = append(out, emptyObject)
	}
	return out
}

func (v value) isUndefined() bool { return v.form == formAny && v.b[0] == lib0.AnyUndefined }

func (x *exporter) delta(t int32) {
	x.out = append(x.out, '[')
	first := true
	x.d.delta(t, func(o op) {
		if !first {
			x.out = append(x.out, ',')
		}
		first = false
		x.out = append(x.out, `{"insert":`...)
		if o.embed == 0 {
			x.out = appendJSString(x.out, o.text)
		} else {
			it := x.d.items.at(o.embed)
			x.unit(it, x.d.elementAt(it, 0), 0)
		}
		if o.attrs.len() > 0 {
			x.out = append(x.out, `,"attributes":`...)
			x.attributes(o.attrs)
		}
		x.out = append(x.out, '}')
	})
	x.out = append(x.out, ']')
}

func (x *exporter) attributes(formats attrs) {
	as := slices.Collect(formats.all)
	slices.SortStableFunc(as, func(a, b attr) int {
		return compareKeys(x.d.names.text[a.name], x.d.names.text[b.name])
	})
	x.out = append(x.out, '{')
	first := true
	for _, a := range as {
		if a.v.isUndefined() {
			continue
		}
		if !first {
			x.out = append(x.out, ',')
		}
		first = false
		x.out = append(appendJSString(x.out, []byte(x.d.names.text[a.name])), ':')
		x.out = a.v.appendJSON(x.out)
	}
	x.out = append(x.out, '}')
}

// markup writes the children of a fragment or element.
func (x *exporter) markup(t int32, depth int) {
	for r := x.d.first(t); r != 0; r = x.d.items.at(r).right {
		it := x.d.items.at(r)
		if it.deleted() || !it.countable() {
			continue
		}
		if it.kind() == kindType {
			x.element(int32(it.body), depth+1)
			continue
		}
		if it.kind() == kindString { // whole, not in code units
			x.out = append(x.out, x.d.contentOf(it)...)
			continue
		}
		for _, v := range x.d.elements(it) {
			x.out = append(x.out, v.jsString()...)
		}
	}
}

// element writes one type as its toString.
func (x *exporter) element(t int32, depth int) {
	if depth > maxExportDepth {
		x.err = ErrDepth
		return
	}
	switch x.d.types[t].kind {
	case XMLElement:
		name := strings.ToLower(shared{x.d, t}.nodeName())
		x.out = append(append(x.out, '<'), name...)
		x.markupAttributes(t, depth)
		x.out = append(x.out, '>')
		x.markup(t, depth)
		x.out = append(append(append(x.out, '<', '/'), name...), '>')
	case XMLText:
		x.markupText(t, depth)
	case Text:
		x.out = x.d.appendText(x.out, t)
	case XMLFragment:
		x.markup(t, depth)
	default:
		x.out = append(x.out, "[object Object]"...)
	}
}

func (x *exporter) markupAttributes(t int32, depth int) {
	type attribute struct{ key, val string }
	var as []attribute
	for l := x.d.types[t].entry; l != noList; l = x.d.lists[l].next {
		last := x.d.lists[l].last
		if last == 0 || x.d.items.at(last).deleted() {
			continue
		}
		it := x.d.items.at(last)
		val := x.d.elementAt(it, it.length-1).jsString()
		if it.kind() == kindType {
			val = string(x.d.stringOf(int32(it.body), depth+1))
		}
		as = append(as, attribute{x.d.names.text[x.d.lists[l].key], val})
	}
	slices.SortFunc(as, func(a, b attribute) int { return compareUTF16(a.key, b.key) })
	for _, a := range as {
		x.out = append(x.out, ` `+a.key+`="`+a.val+`"`...)
	}
}

// markupText writes an XML text: formats as elements, sorted by name, around
// each stretch (yjs/src/types/YXmlText.js, toString).
func (x *exporter) markupText(t int32, depth int) {
	x.d.delta(t, func(o op) {
		as := slices.Collect(o.attrs.all)
		name := func(a attr) string { return x.d.names.text[a.name] }
		slices.SortFunc(as, func(a, b attr) int { return compareUTF16(name(a), name(b)) })
		for _, a := range as {
			x.out = append(x.out, "<"+name(a)...)
			es := a.v.properties()
			slices.SortFunc(es, func(a, b entry) int { return compareUTF16(a.key, b.key) })
			for _, e := range es {
				x.out = append(x.out, " "+e.key+`="`+value{formAny, e.any}.jsString()+`"`...)
			}
			x.out = append(x.out, '>')
		}
		switch {
		case o.embed == 0:
			x.out = append(x.out, o.text...)
		case x.d.items.at(o.embed).kind() == kindType:
			x.element(int32(x.d.items.at(o.embed).body), depth+1)
		default:
			x.out = append(x.out, x.d.elementAt(x.d.items.at(o.embed), 0).jsString()...)
		}
		for _, a := range slices.Backward(as) {
			x.out = append(x.out, "</"+name(a)+">"...)
		}
	})
}

// properties returns what JavaScript's for-in visits: entries of objects, characters of strings.
func (v value) properties() []entry {
	if v.isObject() {
		return v.entries()
	}
	d := lib0.NewDecoder(v.appendAny(nil))
	if d.Byte() != lib0.AnyString {
		return nil
	}
	var out []entry
	for i, c := range utf16.Encode([]rune(string(d.String()))) {
		b := lib0.AppendString([]byte{lib0.AnyString}, string(utf16.Decode([]uint16{c})))
		out = append(out, entry{string(appendJSNumber(nil, float64(i))), b})
	}
	return out
}

// jsString returns what JavaScript's String() makes of a value.
func (v value) jsString() string {
	b := v.appendAny(nil)
	d := lib0.NewDecoder(b)
	switch d.Byte() {
	case lib0.AnyUndefined:
		return "undefined"
	case lib0.AnyString:
		return string(d.String())
	case lib0.AnyObject:
		return "[object Object]"
	case lib0.AnyArray, lib0.AnyBytes:
		var parts []string
		for _, e := range v.entries() {
			s := value{formAny, e.any}.jsString()
			if e.any[0] == lib0.AnyNull || e.any[0] == lib0.AnyUndefined {
				s = ""
			}
			parts = append(parts, s)
		}
		return strings.Join(parts, ",")
	}
	n := value{formAny, b}
	switch f := n.float(); {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return string(n.appendJSON(nil)) // null, booleans, numbers
}

// float returns the number that an any value of a float type is, else 0.
func (v value) float() float64 {
	d := lib0.NewDecoder(v.b)
	switch d.Byte() {
	case lib0.AnyFloat32:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(d.Raw(4))))
	case lib0.AnyFloat64:
		return math.Float64frombits(binary.BigEndian.Uint64(d.Raw(8)))
	}
	return 0
}

// compareUTF16 orders strings as JavaScript does, by UTF-16 code units.
func compareUTF16(a, b string) int {
	if a == b {
		return 0
	}
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}
