package crdt

import (
	"encoding/binary"
	"math"

	"weft/crdt/lib0"
)

// The contents of one client's items lie in its slab, in clock order as long
// as nothing moved, so that runs that merge are already side by side:
//
//	kindString        UTF-8 text, item.length UTF-16 code units of it
//	kindAny           item.length any values
//	kindJSON          item.length varStrings
//	kindBinary        varUint8Array
//	kindEmbed         form, value
//	kindFormat        varUint name, form, value
//	kindDoc           varString guid, any object of options
//	kindType          nothing: item.body is the index of the type
//
// A value keeps the encoding it came in, told by its form; it is converted
// only when it leaves in the other one.
const (
	formJSON = 0 // varString, a JSON text
	formAny  = 1 // any
)

// replacement stands for each half of a surrogate pair that was cut in two.
const replacement = "\uFFFD"

// storeContent appends the content of b, without its first skip units, to the
// slab of client c and returns its place and the flags of the item.
func (d *Doc) storeContent(c *client, m *message, b *block, skip uint32) (body uint32, flags uint32) {
	body = uint32(len(c.slab))
	switch b.kind {
	case kindGC, kindDeleted, kindType:
		return 0, 0
	case kindString:
		text := m.content(b)
		if b.flags&isWide != 0 {
			off, split := lib0.UTF16Offset(text, int(skip))
			if split {
				c.slab = append(c.slab, replacement...)
				off += 4
			}
			c.slab = append(c.slab, text[off:]...)
			if off == 0 {
				return body, flagWide
			}
			if _, ascii := lib0.UTF16Len(c.slab[body:]); ascii {
				return body, 0
			}
			return body, flagWide
		}
		c.slab = append(c.slab, text[skip:]...)
	case kindAny, kindJSON:
		values := m.content(b)
		c.slab = append(c.slab, values[elementOffset(b.kind, values, skip):]...)
	case kindBinary:
		c.slab = lib0.AppendBytes(c.slab, m.content(b))
	case kindEmbed, kindFormat:
		if b.kind == kindFormat {
			c.slab = lib0.AppendUint(c.slab, uint64(d.names.intern(m.aux(b))))
		}
		if m.version == V1 {
			c.slab = lib0.AppendBytes(append(c.slab, formJSON), m.content(b))
		} else {
			c.slab = append(append(c.slab, formAny), m.content(b)...)
		}
	case kindDoc:
		c.slab = append(lib0.AppendBytes(c.slab, m.aux(b)), m.content(b)...)
	}
	return body, 0
}

// elementOffset returns where the n-th value of a kindAny or kindJSON content starts.
func elementOffset(kind uint8, values []byte, n uint32) int {
	dec := lib0.NewDecoder(values)
	for ; n > 0; n-- {
		if kind == kindAny {
			dec.Any(anyDepth)
		} else {
			dec.Bytes()
		}
	}
	return dec.Pos()
}

// anyDepth bounds walks over values that were checked when they came in.
const anyDepth = 1 << 30

// contentLen returns the number of slab bytes the first units of an item use.
func (d *Doc) contentLen(it *item, units uint32) int {
	c := &d.clients[it.client()]
	switch it.kind() {
	case kindString:
		if !it.wide() {
			return int(units)
		}
		off, _ := lib0.UTF16Offset(c.slab[it.body:], int(units))
		return off
	case kindAny, kindJSON:
		return elementOffset(it.kind(), c.slab[it.body:], units)
	case kindGC, kindDeleted, kindType:
		return 0
	}
	dec := lib0.NewDecoder(c.slab[it.body:])
	switch it.kind() {
	case kindBinary:
		dec.Bytes()
	case kindEmbed, kindFormat:
		if it.kind() == kindFormat {
			dec.Uint()
		}
		skipValue(&dec)
	case kindDoc:
		dec.Bytes()
		dec.Any(anyDepth)
	}
	return dec.Pos()
}

// skipValue reads a form byte and its value.
func skipValue(dec *lib0.Decoder) (form byte, value []byte) {
	form = dec.Byte()
	if form == formJSON {
		return form, dec.Bytes()
	}
	return form, dec.Any(anyDepth)
}

// contentOf returns the slab bytes of an item; they alias the slab.
func (d *Doc) contentOf(it *item) []byte {
	n := d.contentLen(it, it.length)
	if n == 0 {
		return nil // the body of a type is not in the slab
	}
	return d.clients[it.client()].slab[it.body : it.body+uint32(n)]
}

// format returns the key and value of a kindFormat item.
func (d *Doc) format(it *item) (name int32, v value) {
	dec := lib0.NewDecoder(d.clients[it.client()].slab[it.body:])
	name = int32(dec.Uint())
	form, b := skipValue(&dec)
	return name, value{form, b}
}

// splitContent divides the content of left at units, for right, the new item
// behind it, whose tag has been copied from left.
func (d *Doc) splitContent(left, right *item, units uint32, rightRef ref) {
	c := &d.clients[left.client()]
	switch left.kind() {
	case kindString:
		if !left.wide() {
			right.body = left.body + units
			break
		}
		d.splitWide(c, left, right, units, rightRef)
		return
	case kindAny, kindJSON:
		right.body = left.body + uint32(elementOffset(left.kind(), c.slab[left.body:], units))
	}
	if c.tail != 0 && d.items.at(c.tail) == left {
		c.tail = rightRef
	}
}

// splitWide divides text that is not all ASCII. A surrogate pair that is cut
// becomes two replacement characters, as in yjs (ContentString.splice).
func (d *Doc) splitWide(c *client, left, right *item, units uint32, rightRef ref) {
	total := left.length + right.length
	isTail := c.tail != 0 && d.items.at(c.tail) == left
	off, split := lib0.UTF16Offset(c.slab[left.body:], int(units))
	right.body = left.body + uint32(off)
	if split {
		end, _ := lib0.UTF16Offset(c.slab[left.body:], int(total))
		body := uint32(len(c.slab))
		// Four bytes become six: the shorter side moves.
		if first, rest := c.slab[left.body:right.body], c.slab[right.body+4:left.body+uint32(end)]; len(first) < len(rest) {
			c.slab = append(append(c.slab, first...), replacement...)
			copy(c.slab[right.body+1:], replacement)
			c.dead += len(first) + 1
			left.body, right.body = body, right.body+1
			c.tail, isTail = right.left, false
		} else {
			c.slab = append(append(c.slab, replacement...), rest...)
			copy(c.slab[right.body:], replacement)
			c.dead += len(rest) + 1
			right.body = body
			isTail = true
		}
	}
	if isTail {
		c.tail = rightRef
	}
	d.setWide(c, left, units)
	d.setWide(c, right, total-units)
}

// setWide sets flagWide as the text of an item demands.
func (d *Doc) setWide(c *client, it *item, units uint32) {
	it.tag &^= flagWide
	for _, ch := range c.slab[it.body : it.body+units] {
		if ch >= 0x80 {
			it.tag |= flagWide
			return
		}
	}
}

// maxMoved is what one transaction copies to bring runs together that merge;
// after that they stay apart, which only wastes memory.
const maxMoved = 16 << 20 // bytes

// joinContent puts the content of right behind that of left and tells whether
// it could. Both have the same kind, one that merges.
func (d *Doc) joinContent(left, right *item, leftRef, rightRef ref) bool {
	c := &d.clients[left.client()]
	switch left.kind() {
	case kindString, kindAny, kindJSON:
	default:
		return true
	}
	end := left.body + uint32(d.contentLen(left, left.length))
	if end != right.body {
		// One of them moved when a surrogate pair was cut: bring both to the end.
		if d.tx.moved > maxMoved {
			return false
		}
		l, r := d.contentOf(left), d.contentOf(right)
		d.tx.moved += len(l) + len(r)
		body := uint32(len(c.slab))
		c.dead += len(l) + len(r)
		c.slab = append(append(c.slab, l...), r...)
		left.body = body
		c.tail = leftRef
	} else if c.tail == rightRef {
		c.tail = leftRef
	}
	left.tag |= right.tag & flagWide
	return true
}

// dropContent gives up the slab bytes of an item that is collected.
func (d *Doc) dropContent(it *item) {
	c := &d.clients[it.client()]
	if n := d.contentLen(it, it.length); n > 0 {
		c.dead += n
		if c.tail != 0 && d.items.at(c.tail) == it {
			c.tail = 0
		}
	}
	it.tag &^= flagWide
	it.body = 0
}

// compactMin is the number of unused bytes below which a slab is left alone.
const compactMin = 1024

// compact rewrites a client's slab without its unused bytes.
func (d *Doc) compact(c *client) {
	slab := make([]byte, 0, (len(c.slab)-c.dead)*9/8+16)
	c.tail = 0
	for p := c.index.start(); p.ok(); p = p.next() {
		it := d.items.at(p.ref())
		if b := d.contentOf(it); len(b) > 0 {
			it.body = uint32(len(slab))
			slab = append(slab, b...)
			c.tail = p.ref()
		}
	}
	c.slab, c.dead = slab, 0
}

// docOptions brings the options of a subdocument into the form in which yjs
// writes them (yjs/src/structs/ContentDoc.js): gc when false, autoLoad when
// true, meta when set, in this order, nothing else.
func (m *message) docOptions(b *block) {
	p := &m.pairs[b.body.start]
	dec := lib0.NewDecoder(m.bytes(p.body))
	var noGC, autoLoad bool
	var meta []byte
	if dec.Byte() == lib0.AnyObject {
		for n := dec.Uint(); n > 0; n-- {
			key, v := dec.String(), dec.Any(anyDepth)
			switch string(key) {
			case "gc":
				noGC = v[0] != lib0.AnyUndefined && !truthy(v)
			case "autoLoad":
				autoLoad = truthy(v)
			case "meta":
				meta = v
				if v[0] == lib0.AnyUndefined || v[0] == lib0.AnyNull {
					meta = nil
				}
			}
		}
	}
	start := len(m.extra)
	m.extra = append(m.extra, lib0.AnyObject, 0)
	add := func(key string, v ...byte) {
		m.extra[start+1]++
		m.extra = append(lib0.AppendString(m.extra, key), v...)
	}
	if noGC {
		add("gc", lib0.AnyFalse)
	}
	if autoLoad {
		add("autoLoad", lib0.AnyTrue)
	}
	if meta != nil {
		add("meta", meta...)
	}
	p.body = span{uint32(start), uint32(len(m.extra))}
	b.flags |= inExtra
}

// truthy tells whether JavaScript takes an any value for true.
func truthy(v []byte) bool {
	d := lib0.NewDecoder(v)
	switch d.Byte() {
	case lib0.AnyUndefined, lib0.AnyNull, lib0.AnyFalse:
		return false
	case lib0.AnyInteger:
		n, _ := d.Int()
		return n != 0
	case lib0.AnyString:
		return len(d.Bytes()) > 0
	case lib0.AnyFloat32, lib0.AnyFloat64:
		f := value{formAny, v}.float()
		return f != 0 && !math.IsNaN(f)
	case lib0.AnyBigInt:
		return binary.BigEndian.Uint64(d.Raw(8)) != 0
	}
	return true
}
