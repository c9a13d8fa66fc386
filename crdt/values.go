package crdt

import (
	"encoding/binary"
	"math"

	"weft/crdt/lib0"
)

// Values of documents are JavaScript values. In Go they are nil for null,
// bool, float64 for every number, string, []byte, []any, map[string]any,
// [Undefined] and [BigInt]; places that hold a shared type or a subdocument
// give a SharedText, SharedArray, SharedMap, SharedXML, SharedHook or Subdoc.

// Undefined is JavaScript's undefined as a value.
type Undefined struct{}

// BigInt is a JavaScript bigint as a value, which Yjs cuts to 64 bits.
type BigInt int64

// decode returns the value in Go. It shares no memory with the document.
func (v value) decode() any {
	dec := lib0.NewDecoder(v.appendAny(nil))
	return decodeAny(&dec)
}

// decodeAny reads the next any value, which was checked when it came in.
func decodeAny(d *lib0.Decoder) any {
	switch d.Byte() {
	case lib0.AnyNull:
		return nil
	case lib0.AnyFalse:
		return false
	case lib0.AnyTrue:
		return true
	case lib0.AnyInteger:
		m, negative := d.Int()
		if negative {
			return math.Copysign(float64(m), -1)
		}
		return float64(m)
	case lib0.AnyFloat32:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(d.Raw(4))))
	case lib0.AnyFloat64:
		return math.Float64frombits(binary.BigEndian.Uint64(d.Raw(8)))
	case lib0.AnyBigInt:
		return BigInt(binary.BigEndian.Uint64(d.Raw(8)))
	case lib0.AnyString:
		return string(d.String())
	case lib0.AnyBytes:
		return append([]byte{}, d.Bytes()...)
	case lib0.AnyArray:
		out := []any{}
		for n := d.Uint(); n > 0; n-- {
			out = append(out, decodeAny(d))
		}
		return out
	case lib0.AnyObject:
		out := map[string]any{}
		for n := d.Uint(); n > 0; n-- {
			key := string(d.String())
			out[key] = decodeAny(d)
		}
		return out
	}
	return Undefined{}
}

// appendBigInt encodes a bigint as any.
func appendBigInt(dst []byte, v BigInt) []byte {
	return binary.BigEndian.AppendUint64(append(dst, lib0.AnyBigInt), uint64(v))
}

// valuesOf appends what an item holds, one value a unit, to dst.
func (d *Doc) valuesOf(dst []any, it *item) []any {
	switch it.kind() {
	case kindType:
		return append(dst, d.handle(int32(it.body)))
	case kindDoc:
		return append(dst, d.subdocOf(it))
	}
	for _, v := range d.elements(it) {
		dst = append(dst, v.decode())
	}
	return dst
}

// valueAt returns the n-th value of an item.
func (d *Doc) valueAt(it *item, n uint32) any {
	switch it.kind() {
	case kindAny:
		b := d.contentOf(it)
		dec := lib0.NewDecoder(b[elementOffset(kindAny, b, n):])
		return decodeAny(&dec)
	case kindType, kindDoc:
		return d.valuesOf(nil, it)[0]
	}
	return d.elementAt(it, n).decode()
}

// handle returns a type as what reads and edits its kind. An undeclared root
// is read as an array.
func (d *Doc) handle(t int32) any {
	s := shared{d, t}
	switch d.types[t].kind {
	case Text, XMLText:
		return SharedText{s}
	case Map:
		return SharedMap{s}
	case XMLElement, XMLFragment:
		return SharedXML{s}
	case XMLHook:
		return SharedHook{SharedMap{s}}
	}
	return SharedArray{s}
}
