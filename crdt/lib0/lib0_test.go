package lib0_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"

	"weft/crdt/lib0"
)

func TestRefusals(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		read func(*lib0.Decoder)
		want error
	}{
		{"uint empty", nil, func(d *lib0.Decoder) { d.Uint() }, lib0.ErrEnd},
		{"uint cut", []byte{0x80}, func(d *lib0.Decoder) { d.Uint() }, lib0.ErrEnd},
		{"uint with a zero too many", []byte{0x81, 0}, func(d *lib0.Decoder) { d.Uint() }, lib0.ErrCanonical},
		{"uint 2^53", lib0.AppendUint(nil, 1<<53), func(d *lib0.Decoder) { d.Uint() }, lib0.ErrRange},
		{"uint 2^63", lib0.AppendUint(nil, 1<<63), func(d *lib0.Decoder) { d.Uint() }, lib0.ErrRange},
		{"int empty", nil, func(d *lib0.Decoder) { d.Int() }, lib0.ErrEnd},
		{"int cut", []byte{0x80}, func(d *lib0.Decoder) { d.Int() }, lib0.ErrEnd},
		{"int with a zero too many", []byte{0x81, 0}, func(d *lib0.Decoder) { d.Int() }, lib0.ErrCanonical},
		{"int 2^53", lib0.AppendInt(nil, 1<<53, true), func(d *lib0.Decoder) { d.Int() }, lib0.ErrRange},
		{"bytes longer than the input", []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1}, func(d *lib0.Decoder) { d.Bytes() }, lib0.ErrEnd},
		{"string not UTF-8", []byte{1, 0xff}, func(d *lib0.Decoder) { d.String() }, lib0.ErrUTF8},
		{"string of a surrogate", []byte{3, 0xed, 0xa0, 0x80}, func(d *lib0.Decoder) { d.String() }, lib0.ErrUTF8},
		{"any of unknown type", []byte{115}, func(d *lib0.Decoder) { d.Any(9) }, lib0.ErrAny},
		{"any too deep", bytes.Repeat([]byte{lib0.AnyArray, 1}, 10), func(d *lib0.Decoder) { d.Any(9) }, lib0.ErrDepth},
		{"any of endless length", []byte{lib0.AnyArray, 0xff, 0xff, 0xff, 0xff, 0x0f, 126}, func(d *lib0.Decoder) { d.Any(9) }, lib0.ErrEnd},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := lib0.NewDecoder(tt.in)
			tt.read(&d)
			if !errors.Is(d.Err(), tt.want) {
				t.Errorf("Err = %v, want %v", d.Err(), tt.want)
			}
			if d.Uint() != 0 || d.Byte() != 0 || d.Len() != 0 || !errors.Is(d.Err(), tt.want) {
				t.Errorf("reading goes on after the error: %d left, %v", d.Len(), d.Err())
			}
		})
	}
}

func TestUintRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Uint64Max(lib0.MaxSafeInteger).Draw(t, "v")
		negative := rapid.Bool().Draw(t, "negative")
		d := lib0.NewDecoder(lib0.AppendInt(lib0.AppendUint(nil, v), v, negative))
		u := d.Uint()
		m, n := d.Int()
		if u != v || m != v || n != negative || d.Err() != nil || d.Len() != 0 {
			t.Errorf("read back %d, %d, %v, %v, want %d, %v", u, m, n, d.Err(), v, negative)
		}
	})
}

func TestColumnRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.OneOf(rapid.Uint64Max(3), rapid.Uint64Max(1<<40))).Draw(t, "values")
		var u lib0.UintRun
		var f lib0.DiffRun
		var b lib0.ByteRun
		for _, v := range values {
			u.Write(v)
			f.Write(v)
			b.Write(byte(v))
		}
		uc, dc, bc := lib0.NewUintColumn(u.Finish()), lib0.NewDiffColumn(f.Finish()), lib0.NewByteColumn(b.Finish())
		for i, v := range values {
			if x, y, z := uc.Read(), dc.Read(), bc.Read(); x != v || y != v || z != byte(v) {
				t.Fatalf("value %d of %v reads %d, %d, %d", i, values, x, y, z)
			}
		}
		if !uc.AtEnd() || !dc.AtEnd() || !bc.AtEnd() {
			t.Errorf("columns of %v are longer than their values", values)
		}
	})
}

func TestStringColumnRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.StringOf(rapid.SampledFrom([]rune("ab ü漢😀\x00")))).Draw(t, "values")
		var w lib0.StringRun
		for _, s := range values {
			w.Write([]byte(s), len(utf16.Encode([]rune(s))))
		}
		encoded := w.AppendTo(nil)
		d := lib0.NewDecoder(encoded)
		column := d.Bytes()
		r := lib0.NewStringColumn(column)
		for i, s := range values {
			start, end, units, ascii := r.Read()
			if string(column[start:end]) != s || units != len(utf16.Encode([]rune(s))) || ascii != isASCII(s) {
				t.Fatalf("string %d of %q reads %q", i, values, column[start:end])
			}
		}
		if !r.AtEnd() || r.Err() != nil {
			t.Errorf("column of %q: at end %v, %v", values, r.AtEnd(), r.Err())
		}
		if got := lib0.MendStrings(nil, column); !bytes.Equal(got, column) && len(column) > 0 {
			t.Errorf("MendStrings(%x) = %x, want it as it is", column, got)
		}
	})
}

func TestUTF16(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.SampledFrom([]rune("abcdefgh ü漢😀"))).Draw(t, "s")
		s += rapid.StringOf(rapid.SampledFrom([]rune("ü漢😀"))).Draw(t, "tail")
		units := utf16.Encode([]rune(s))
		if n, _ := lib0.UTF16Len([]byte(s)); n != len(units) {
			t.Fatalf("UTF16Len(%q) = %d, want %d", s, n, len(units))
		}
		// Walk the runes and say where each unit lies.
		var offsets []int
		var splits []bool
		for i, c := range s {
			offsets, splits = append(offsets, i), append(splits, false)
			if c > 0xffff {
				offsets, splits = append(offsets, i), append(splits, true)
			}
		}
		offsets, splits = append(offsets, len(s)), append(splits, false)
		for n := range offsets {
			if off, split := lib0.UTF16Offset([]byte(s), n); off != offsets[n] || split != splits[n] {
				t.Fatalf("UTF16Offset(%q, %d) = %d, %v, want %d, %v", s, n, off, split, offsets[n], splits[n])
			}
		}
		if off, _ := lib0.UTF16Offset([]byte(s), len(units)+1); off != len(s)+1 {
			t.Errorf("UTF16Offset past the end of %q = %d, want %d", s, off, len(s)+1)
		}
	})
}

func FuzzDecoder(f *testing.F) {
	g := readGolden(f)
	for _, c := range g.Anys {
		f.Add(append([]byte{byte(len(c.Hex))}, c.Hex...), []byte{5, 0, 1})
	}
	f.Add([]byte{0x80, 1, 0x41, 3, 'a', 'b', 'c'}, []byte{1, 2, 4})
	f.Fuzz(func(t *testing.T, data, reads []byte) {
		d := lib0.NewDecoder(data)
		for _, r := range reads {
			start := d.Pos()
			switch r % 6 {
			case 0:
				d.Byte()
			case 1:
				if v := d.Uint(); d.Err() == nil && !bytes.Equal(lib0.AppendUint(nil, v), data[start:d.Pos()]) {
					t.Fatalf("Uint(%x) = %d, which is written otherwise", data[start:d.Pos()], v)
				}
			case 2:
				if m, negative := d.Int(); d.Err() == nil && !bytes.Equal(lib0.AppendInt(nil, m, negative), data[start:d.Pos()]) {
					t.Fatalf("Int(%x) = %d, %v, which is written otherwise", data[start:d.Pos()], m, negative)
				}
			case 3:
				d.Bytes()
			case 4:
				if s := d.String(); !utf8.Valid(s) {
					t.Fatalf("String = %x, which is not UTF-8", s)
				}
			case 5:
				if b := d.Any(20); d.Err() == nil && !bytes.Equal(b, data[start:d.Pos()]) {
					t.Fatalf("Any = %x, read %x", b, data[start:d.Pos()])
				}
			}
			if d.Pos() < start || d.Pos() > len(data) {
				t.Fatalf("position %d after %d of %d", d.Pos(), start, len(data))
			}
		}
	})
}

func FuzzColumns(f *testing.F) {
	for _, c := range readGolden(f).Columns {
		f.Add([]byte(c.Uint))
		f.Add([]byte(c.Diff))
		f.Add([]byte(c.Byte))
	}
	for _, c := range readGolden(f).StringColumns {
		f.Add([]byte(c.Hex))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const reads = 1000 // a column may repeat for ever
		u, d, b := lib0.NewUintColumn(data), lib0.NewDiffColumn(data), lib0.NewByteColumn(data)
		var us, ds []uint64
		for range reads {
			if v := u.Read(); u.Err() == nil {
				us = append(us, v)
			}
			if v := d.Read(); d.Err() == nil {
				ds = append(ds, v)
			}
			b.Read()
		}
		if all := append(us, ds...); len(all) > 0 && slices.Max(all) > lib0.MaxSafeInteger {
			t.Fatalf("columns of %x hold more than 53 bits", data)
		}
		fuzzStrings(t, data, reads)
		mended := lib0.MendStrings(nil, data)
		if len(mended) > 2*len(data)+16 {
			t.Fatalf("MendStrings makes %d of %d bytes", len(mended), len(data))
		}
		if r := fuzzStrings(t, mended, reads); errors.Is(r, lib0.ErrSurrogate) {
			t.Fatalf("MendStrings(%x) = %x still has halves", data, mended)
		}
	})
}

// fuzzStrings reads a string column and returns its error.
func fuzzStrings(t *testing.T, column []byte, reads int) error {
	r := lib0.NewStringColumn(column)
	for range reads {
		start, end, units, ascii := r.Read()
		if r.Err() != nil {
			return r.Err()
		}
		s := column[start:end]
		if n, a := lib0.UTF16Len(s); n != units || a != ascii || !utf8.Valid(s) {
			t.Fatalf("string %x of column %x has %d units, %v, want %d, %v", s, column, units, ascii, n, a)
		}
	}
	return nil
}
