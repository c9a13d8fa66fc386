package crdt

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"weft/crdt/lib0"
)

// value is one JavaScript value in one of its two encodings. It aliases a slab
// or a message.
type value struct {
	form byte
	b    []byte
}

// isNull tells whether the value is null.
func (v value) isNull() bool {
	if v.form == formAny {
		return v.b[0] == lib0.AnyNull
	}
	return string(v.b) == "null"
}

// appendAny appends the value as any.
func (v value) appendAny(dst []byte) []byte {
	if v.form == formAny {
		return append(dst, v.b...)
	}
	dec := json.NewDecoder(bytes.NewReader(v.b))
	dec.UseNumber()
	return appendAnyTokens(dst, dec)
}

// appendJSON appends the value as a JSON text.
func (v value) appendJSON(dst []byte) []byte {
	if v.form == formJSON {
		return append(dst, v.b...)
	}
	d := lib0.NewDecoder(v.b)
	return appendAnyJSON(dst, &d)
}

// appendAnyTokens converts the next JSON value to any, numbers as
// lib0/src/encoding.js writeAny writes them. The text was checked to be valid.
func appendAnyTokens(dst []byte, dec *json.Decoder) []byte {
	tok, _ := dec.Token() // the text was checked when it was decoded
	switch t := tok.(type) {
	case nil:
		return append(dst, lib0.AnyNull)
	case bool:
		if t {
			return append(dst, lib0.AnyTrue)
		}
		return append(dst, lib0.AnyFalse)
	case string:
		return lib0.AppendString(append(dst, lib0.AnyString), t)
	case json.Number:
		f, _ := strconv.ParseFloat(string(t), 64) // out of range is an infinity, as in JavaScript
		return appendNumber(dst, f)
	case json.Delim:
		return appendAnyContainer(dst, dec, t)
	}
	return append(dst, lib0.AnyUndefined)
}

func appendAnyContainer(dst []byte, dec *json.Decoder, open json.Delim) []byte {
	var entries []entry
	places := map[string]int{} // of keys
	for dec.More() {
		var e entry
		if open == '{' {
			tok, _ := dec.Token() // as above
			e.key, _ = tok.(string)
		}
		e.any = appendAnyTokens(nil, dec)
		if open == '{' {
			if i, ok := places[e.key]; ok {
				entries[i] = e // a repeated key keeps its place and takes the last value
				continue
			}
			places[e.key] = len(entries)
		}
		entries = append(entries, e)
	}
	_, _ = dec.Token() // the closing bracket
	t := byte(lib0.AnyArray)
	if open == '{' {
		t = lib0.AnyObject
		slices.SortStableFunc(entries, func(a, b entry) int { return compareKeys(a.key, b.key) })
	}
	dst = lib0.AppendUint(append(dst, t), uint64(len(entries)))
	for _, e := range entries {
		if open == '{' {
			dst = lib0.AppendString(dst, e.key)
		}
		dst = append(dst, e.any...)
	}
	return dst
}

// compareKeys orders the keys of an object as JavaScript does: array indexes
// first, ascending; the others stay where they were inserted.
func compareKeys(a, b string) int {
	i, aok := arrayIndex(a)
	j, bok := arrayIndex(b)
	switch {
	case aok && bok:
		return int(i - j)
	case aok:
		return -1
	case bok:
		return 1
	}
	return 0
}

// arrayIndex tells whether a key is an array index of ECMAScript: the decimal
// form of an integer below 2^32-1.
func arrayIndex(s string) (int64, bool) {
	if s == "" || len(s) > 10 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return int64(n), err == nil && n < math.MaxUint32
}

// appendNumber appends a JavaScript number as lib0 writes it.
func appendNumber(dst []byte, f float64) []byte {
	switch {
	case f == math.Trunc(f) && math.Abs(f) <= math.MaxInt32:
		return lib0.AppendInt(append(dst, lib0.AnyInteger), uint64(math.Abs(f)), math.Signbit(f))
	case float64(float32(f)) == f:
		return binary.BigEndian.AppendUint32(append(dst, lib0.AnyFloat32), math.Float32bits(float32(f)))
	}
	return binary.BigEndian.AppendUint64(append(dst, lib0.AnyFloat64), math.Float64bits(f))
}

// appendAnyJSON converts the next any value as JSON.stringify does: undefined
// is left out of objects and null in arrays, numbers that are not finite are
// null, byte arrays are objects with their indexes as keys.
func appendAnyJSON(dst []byte, d *lib0.Decoder) []byte {
	switch d.Byte() {
	case lib0.AnyFalse:
		return append(dst, "false"...)
	case lib0.AnyTrue:
		return append(dst, "true"...)
	case lib0.AnyInteger:
		m, negative := d.Int()
		if negative && m != 0 {
			dst = append(dst, '-')
		}
		return strconv.AppendUint(dst, m, 10)
	case lib0.AnyFloat32:
		return appendJSNumber(dst, float64(math.Float32frombits(binary.BigEndian.Uint32(d.Raw(4)))))
	case lib0.AnyFloat64:
		return appendJSNumber(dst, math.Float64frombits(binary.BigEndian.Uint64(d.Raw(8))))
	case lib0.AnyBigInt:
		// JSON.stringify refuses a bigint; its digits are the nearest thing.
		return strconv.AppendInt(dst, int64(binary.BigEndian.Uint64(d.Raw(8))), 10)
	case lib0.AnyString:
		return appendJSString(dst, d.String())
	case lib0.AnyBytes:
		return appendByteObject(dst, d.Bytes())
	case lib0.AnyArray:
		dst = append(dst, '[')
		for i, n := uint64(0), d.Uint(); i < n; i++ {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendAnyJSON(dst, d)
		}
		return append(dst, ']')
	case lib0.AnyObject:
		dst = append(dst, '{')
		first := true
		for n := d.Uint(); n > 0; n-- {
			key := d.String()
			if v := *d; v.Byte() == lib0.AnyUndefined {
				d.Byte()
				continue
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(appendJSString(dst, key), ':')
			dst = appendAnyJSON(dst, d)
		}
		return append(dst, '}')
	}
	return append(dst, "null"...) // null and undefined
}

func appendByteObject(dst, b []byte) []byte {
	dst = append(dst, '{')
	for i, c := range b {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(strconv.AppendInt(append(dst, '"'), int64(i), 10), '"', ':')
		dst = strconv.AppendUint(dst, uint64(c), 10)
	}
	return append(dst, '}')
}

// appendJSNumber appends f as ECMAScript's Number::toString writes it, and
// null when it is not finite.
func appendJSNumber(dst []byte, f float64) []byte {
	switch abs := math.Abs(f); {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return append(dst, "null"...)
	case f == 0:
		return append(dst, '0')
	case abs >= 1e21 || abs < 1e-6:
		b := strconv.AppendFloat(nil, f, 'e', -1, 64)
		// Go pads the exponent to two digits, JavaScript does not.
		if i := bytes.IndexByte(b, 'e'); b[i+2] == '0' {
			b = slices.Delete(b, i+2, i+3)
		}
		return append(dst, b...)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

const hexDigits = "0123456789abcdef"

// appendJSString appends a JSON string as JSON.stringify writes it: only
// quotes, backslashes and control characters are escaped.
func appendJSString(dst, s []byte) []byte {
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= 0x20:
			dst = append(dst, c)
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(dst, '"')
}

// isJSONUndefined tells whether a kindJSON element stands for undefined.
func isJSONUndefined(b []byte) bool { return string(b) == "undefined" }
