package lib0

// The columns of update format 2. A decoder column is started with its
// encoded bytes; reading past the end of a column is ErrEnd on its Decoder,
// except where the format lets the last value repeat.

// UintColumn decodes UintOptRle: a varInt value, and when it is negative
// (minus zero included) a varUint with the number of repetitions minus two.
type UintColumn struct {
	Decoder
	value uint64
	count uint64
}

// NewUintColumn starts a column at the first byte of b.
func NewUintColumn(b []byte) UintColumn { return UintColumn{Decoder: NewDecoder(b)} }

// Read returns the next value.
func (c *UintColumn) Read() uint64 {
	if c.count == 0 {
		v, negative := c.Int()
		c.value, c.count = v, 1
		if negative {
			c.count = c.Uint() + 2
		}
		if c.err != nil {
			c.value, c.count = 0, 0
			return 0
		}
	}
	c.count--
	return c.value
}

// AtEnd reports whether the column is used up: no bytes left and no repetition pending.
func (c *UintColumn) AtEnd() bool { return c.count == 0 && c.Len() == 0 }

// DiffColumn decodes IntDiffOptRle: differences to the previous value, shifted
// left by one, the low bit telling that a repetition count minus two follows.
type DiffColumn struct {
	Decoder
	value int64
	diff  int64
	count uint64
}

// NewDiffColumn starts a column at the first byte of b.
func NewDiffColumn(b []byte) DiffColumn { return DiffColumn{Decoder: NewDecoder(b)} }

// Read returns the next value; one below zero or above MaxSafeInteger is ErrRange.
func (c *DiffColumn) Read() uint64 {
	if c.count == 0 {
		m, negative := c.Int()
		d := int64(m)
		if negative {
			d = -d
		}
		c.diff, c.count = d>>1, 1
		if d&1 != 0 {
			c.count = c.Uint() + 2
		}
		if c.err != nil {
			c.count = 0
			return 0
		}
	}
	c.count--
	c.value += c.diff
	if c.value < 0 || c.value > MaxSafeInteger {
		c.Fail(ErrRange)
		c.value, c.diff = 0, 0
		return 0
	}
	return uint64(c.value)
}

// AtEnd reports whether the column is used up.
func (c *DiffColumn) AtEnd() bool { return c.count == 0 && c.Len() == 0 }

// ByteColumn decodes Rle over single bytes: a byte, then the number of its
// repetitions minus one; the last byte of a column has no count and repeats
// for ever.
type ByteColumn struct {
	Decoder
	value byte
	count uint64
	last  bool
}

// NewByteColumn starts a column at the first byte of b.
func NewByteColumn(b []byte) ByteColumn { return ByteColumn{Decoder: NewDecoder(b)} }

// Read returns the next value.
func (c *ByteColumn) Read() byte {
	if c.last {
		return c.value
	}
	if c.count == 0 {
		c.value = c.Byte()
		if c.err != nil {
			return 0
		}
		if c.Len() == 0 {
			c.last = true
			return c.value
		}
		c.count = c.Uint() + 1
	}
	c.count--
	return c.value
}

// AtEnd reports whether the column is used up; a last value that may repeat counts as used up.
func (c *ByteColumn) AtEnd() bool { return c.last || (c.count == 0 && c.Len() == 0) }

// StringColumn decodes the string column: all strings joined into one
// varString, then a UintOptRle column of their lengths in UTF-16 code units.
type StringColumn struct {
	lens UintColumn
	text []byte
	base int // offset of text in the column's bytes
	pos  int
}

// NewStringColumn starts a column at the first byte of b. An empty b is an empty column.
func NewStringColumn(b []byte) StringColumn {
	c := StringColumn{lens: NewUintColumn(b)}
	if len(b) > 0 {
		c.text = c.lens.String()
		c.base = c.lens.pos - len(c.text)
	}
	return c
}

// Err returns the first error, or nil.
func (c *StringColumn) Err() error { return c.lens.err }

// AtEnd reports whether every string has been read.
func (c *StringColumn) AtEnd() bool { return c.pos == len(c.text) && c.lens.AtEnd() }

// Read returns the next string as a range [start, end) of the column's bytes,
// with its length in UTF-16 code units. A length that ends inside a surrogate
// pair is ErrSurrogate: see MendStrings.
func (c *StringColumn) Read() (start, end, units int, ascii bool) {
	n := c.lens.Read()
	rest := c.text[c.pos:]
	if c.lens.err != nil || n > uint64(len(rest)) {
		c.lens.Fail(ErrEnd)
		return 0, 0, 0, false
	}
	size, ascii := int(n), true
	for i := range size {
		if rest[i] >= 0x80 {
			ascii = false
			var split bool
			size, split = UTF16Offset(rest, int(n))
			switch {
			case split:
				c.lens.Fail(ErrSurrogate)
				return 0, 0, 0, false
			case size > len(rest):
				c.lens.Fail(ErrEnd)
				return 0, 0, 0, false
			}
			break
		}
	}
	start = c.base + c.pos
	c.pos += size
	return start, start + size, int(n), ascii
}

// replacement stands for a surrogate that lost its other half (U+FFFD).
const replacement = "\uFFFD"

// MendStrings appends to dst a string column in which no length ends inside a
// surrogate pair. Yjs writes such lengths when two of a document's strings
// meet in halves that it holds as lone surrogates: joined they look like one
// character. Each half becomes U+FFFD, one code unit as before, which is also
// what a format without columns carries. What cannot be decoded is left as it
// is.
func MendStrings(dst, column []byte) []byte {
	c := NewStringColumn(column)
	text := make([]byte, 0, len(c.text))
	half := false // the next string starts with the second half of a pair
	rest := c.text
	for len(rest) > 0 {
		n := c.lens.Read()
		if c.lens.err != nil {
			break
		}
		if n == 0 {
			c.lens.count = 0 // a run of empty strings may be as long as it likes
			continue
		}
		if half {
			n--
		}
		size, split := UTF16Offset(rest, int(min(n, uint64(len(rest)))))
		if size > len(rest) {
			break
		}
		text = append(text, rest[:size]...)
		rest = rest[size:]
		if half = split; split {
			text = append(append(text, replacement...), replacement...)
			rest = rest[4:]
		}
	}
	text = append(text, rest...)
	return append(AppendBytes(dst, text), column[c.base+len(c.text):]...)
}

// A UintRun encodes UintOptRle. The zero value is an empty column.
type UintRun struct {
	buf   []byte
	value uint64
	count uint64
}

// Write appends v to the column.
func (c *UintRun) Write(v uint64) {
	if c.value == v {
		c.count++
		return
	}
	c.flush()
	c.value, c.count = v, 1
}

func (c *UintRun) flush() {
	switch {
	case c.count == 1:
		c.buf = AppendInt(c.buf, c.value, false)
	case c.count > 1:
		c.buf = AppendUint(AppendInt(c.buf, c.value, true), c.count-2)
	}
}

// Finish ends the column and returns its bytes, valid until Reset.
func (c *UintRun) Finish() []byte {
	c.flush()
	c.count = 0
	return c.buf
}

// Reset empties the column and keeps its memory.
func (c *UintRun) Reset() { *c = UintRun{buf: c.buf[:0]} }

// A DiffRun encodes IntDiffOptRle. The zero value is an empty column.
type DiffRun struct {
	buf   []byte
	value int64
	diff  int64
	count uint64
}

// Write appends v to the column.
func (c *DiffRun) Write(v uint64) {
	d := int64(v) - c.value
	c.value = int64(v)
	if d == c.diff {
		c.count++
		return
	}
	c.flush()
	c.diff, c.count = d, 1
}

func (c *DiffRun) flush() {
	if c.count == 0 {
		return
	}
	d := c.diff * 2
	if c.count > 1 {
		d++
	}
	if d < 0 {
		c.buf = AppendInt(c.buf, uint64(-d), true)
	} else {
		c.buf = AppendInt(c.buf, uint64(d), false)
	}
	if c.count > 1 {
		c.buf = AppendUint(c.buf, c.count-2)
	}
}

// Finish ends the column and returns its bytes, valid until Reset.
func (c *DiffRun) Finish() []byte {
	c.flush()
	c.count = 0
	return c.buf
}

// Reset empties the column and keeps its memory.
func (c *DiffRun) Reset() { *c = DiffRun{buf: c.buf[:0]} }

// A ByteRun encodes Rle over single bytes. The zero value is an empty column.
type ByteRun struct {
	buf   []byte
	value byte
	count uint64
}

// Write appends v to the column.
func (c *ByteRun) Write(v byte) {
	if c.count > 0 && c.value == v {
		c.count++
		return
	}
	if c.count > 0 {
		c.buf = AppendUint(c.buf, c.count-1)
	}
	c.buf = append(c.buf, v)
	c.value, c.count = v, 1
}

// Finish returns the column's bytes, valid until Reset: the count of the last run is not written.
func (c *ByteRun) Finish() []byte { return c.buf }

// Reset empties the column and keeps its memory.
func (c *ByteRun) Reset() { *c = ByteRun{buf: c.buf[:0]} }

// A StringRun encodes the string column. The zero value is an empty column.
type StringRun struct {
	text []byte
	lens UintRun
}

// Write appends the UTF-8 string s of the given length in UTF-16 code units.
func (c *StringRun) Write(s []byte, units int) {
	c.text = append(c.text, s...)
	c.lens.Write(uint64(units))
}

// AppendTo ends the column and appends its bytes to dst with their length in front.
func (c *StringRun) AppendTo(dst []byte) []byte {
	lens := c.lens.Finish()
	n := UintLen(uint64(len(c.text))) + len(c.text) + len(lens)
	dst = AppendUint(dst, uint64(n))
	dst = AppendBytes(dst, c.text)
	return append(dst, lens...)
}

// Reset empties the column and keeps its memory.
func (c *StringRun) Reset() {
	c.text = c.text[:0]
	c.lens.Reset()
}
