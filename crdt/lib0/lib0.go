// Package lib0 reads and writes the binary primitives that Yjs documents are
// made of: variable-length integers, strings, JavaScript values ("any") and
// the run-length columns of update format 2.
//
// It owns no state beyond the value at hand: a [Decoder] walks a byte slice
// that the caller keeps, encoders append to slices. Nothing here allocates
// from a number found in the input, and nothing recurses without a depth
// count, so every function is safe to feed with hostile bytes. All functions
// may be used from any goroutine, a single Decoder or column from one at a
// time.
//
// The formats are those of lib0 0.2.120 (encoding.js, decoding.js). Where
// JavaScript is lenient this package is strict: a varint must be canonical
// and at most 53 bits wide, a string must be valid UTF-8.
package lib0

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// MaxSafeInteger is the largest integer JavaScript represents exactly
// (2^53-1), the bound of every varint.
const MaxSafeInteger = 1<<53 - 1

// Errors that a decoder reports, wrapped with the offset at which they occurred.
var (
	ErrEnd       = errors.New("unexpected end of input")
	ErrRange     = errors.New("integer out of range")
	ErrCanonical = errors.New("integer is not in its shortest form")
	ErrUTF8      = errors.New("string is not valid UTF-8")
	ErrAny       = errors.New("unknown value type")
	ErrDepth     = errors.New("value nested too deeply")
	ErrSurrogate = errors.New("string ends inside a surrogate pair")
)

// A Decoder reads primitives from a byte slice. The first error sticks: from
// then on every read returns a zero value and consumes nothing, so callers may
// check Err once per step. The zero Decoder is empty; slices returned by it
// alias the input.
type Decoder struct {
	buf []byte
	pos int
	err error
}

// NewDecoder returns a Decoder over b, which it does not modify.
func NewDecoder(b []byte) Decoder { return Decoder{buf: b} }

// Err returns the first error, or nil.
func (d *Decoder) Err() error { return d.err }

// Pos returns the offset of the next byte to read.
func (d *Decoder) Pos() int { return d.pos }

// Len returns the number of bytes left.
func (d *Decoder) Len() int { return len(d.buf) - d.pos }

// Fail records err, with the current offset, unless an error is recorded already.
func (d *Decoder) Fail(err error) {
	if d.err == nil {
		d.err = fmt.Errorf("at byte %d: %w", d.pos, err)
		d.pos = len(d.buf)
	}
}

// Byte reads one byte.
func (d *Decoder) Byte() byte {
	if d.pos < len(d.buf) {
		c := d.buf[d.pos]
		d.pos++
		return c
	}
	d.Fail(ErrEnd)
	return 0
}

// Uint reads a varUint: 7 bits a byte, least significant first.
func (d *Decoder) Uint() uint64 {
	if d.pos < len(d.buf) {
		if c := d.buf[d.pos]; c < 0x80 {
			d.pos++
			return uint64(c)
		}
	}
	return d.uintSlow()
}

func (d *Decoder) uintSlow() uint64 {
	if v, n := uint8Bytes(d.buf[d.pos:]); n > 0 {
		d.pos += n
		return v
	}
	var v uint64
	for i, shift := d.pos, uint(0); i < len(d.buf); i, shift = i+1, shift+7 {
		c := d.buf[i]
		if shift > 49 {
			d.Fail(ErrRange)
			return 0
		}
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if c == 0 && shift > 0 {
				d.Fail(ErrCanonical)
				return 0
			}
			if v > MaxSafeInteger {
				d.Fail(ErrRange)
				return 0
			}
			d.pos = i + 1
			return v
		}
	}
	d.Fail(ErrEnd)
	return 0
}

// uint8Bytes reads a varUint from the first 8 bytes of b all at once, and
// returns n = 0 where that cannot be done or something is wrong.
func uint8Bytes(b []byte) (v uint64, n int) {
	if len(b) < 8 {
		return 0, 0
	}
	x := binary.LittleEndian.Uint64(b)
	n = bits.TrailingZeros64(^x&0x8080808080808080)/8 + 1 // bytes up to the first without the high bit
	if n > 8 || n > 1 && b[n-1] == 0 {
		return 0, 0
	}
	x &= 0x7f7f7f7f7f7f7f7f >> (8 * (8 - n))
	x = x&0x007f007f007f007f | x&0x7f007f007f007f00>>1
	x = x&0x00003fff00003fff | x&0x3fff00003fff0000>>2
	x = x&0x000000000fffffff | x&0x0fffffff00000000>>4
	if x > MaxSafeInteger {
		return 0, 0
	}
	return x, n
}

// Int reads a varInt: the first byte holds a sign bit (0x40) and 6 bits. The
// sign is returned apart from the magnitude because minus zero is a value of
// its own in the run-length columns.
func (d *Decoder) Int() (magnitude uint64, negative bool) {
	if d.pos >= len(d.buf) {
		d.Fail(ErrEnd)
		return 0, false
	}
	c := d.buf[d.pos]
	negative = c&0x40 != 0
	v := uint64(c & 0x3f)
	if c < 0x80 {
		d.pos++
		return v, negative
	}
	for i, shift := d.pos+1, uint(6); i < len(d.buf); i, shift = i+1, shift+7 {
		c := d.buf[i]
		if shift > 48 {
			d.Fail(ErrRange)
			return 0, false
		}
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if c == 0 {
				d.Fail(ErrCanonical)
				return 0, false
			}
			if v > MaxSafeInteger {
				d.Fail(ErrRange)
				return 0, false
			}
			d.pos = i + 1
			return v, negative
		}
	}
	d.Fail(ErrEnd)
	return 0, false
}

// Raw reads n bytes without a length prefix.
func (d *Decoder) Raw(n uint64) []byte {
	if n > uint64(len(d.buf)-d.pos) {
		d.Fail(ErrEnd)
		return nil
	}
	b := d.buf[d.pos : d.pos+int(n) : d.pos+int(n)]
	d.pos += int(n)
	return b
}

// Bytes reads a varUint8Array: a varUint length and that many bytes.
func (d *Decoder) Bytes() []byte { return d.Raw(d.Uint()) }

// String reads a varString, whose bytes must be UTF-8, and returns its bytes.
func (d *Decoder) String() []byte {
	start := d.pos
	b := d.Bytes()
	if !utf8.Valid(b) {
		d.pos = start
		d.Fail(ErrUTF8)
		return nil
	}
	return b
}

// AppendUint appends v as a varUint.
func AppendUint(dst []byte, v uint64) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// UintLen returns the number of bytes AppendUint appends for v.
func UintLen(v uint64) int {
	n := 1
	for v >= 0x80 {
		v >>= 7
		n++
	}
	return n
}

// AppendInt appends a varInt of the given magnitude and sign; minus zero keeps its sign.
func AppendInt(dst []byte, magnitude uint64, negative bool) []byte {
	c := byte(magnitude & 0x3f)
	if negative {
		c |= 0x40
	}
	magnitude >>= 6
	if magnitude > 0 {
		c |= 0x80
	}
	dst = append(dst, c)
	if magnitude > 0 {
		dst = AppendUint(dst, magnitude)
	}
	return dst
}

// AppendBytes appends b as a varUint8Array.
func AppendBytes(dst, b []byte) []byte {
	return append(AppendUint(dst, uint64(len(b))), b...)
}

// AppendString appends s as a varString.
func AppendString(dst []byte, s string) []byte {
	return append(AppendUint(dst, uint64(len(s))), s...)
}
