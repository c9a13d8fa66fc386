package lib0_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"weft/crdt/lib0"
)

// golden is testdata/golden.json: what lib0 itself makes of values. It is
// written by testdata/golden.mjs.
type golden struct {
	Uints []struct {
		Value uint64
		Hex   hexBytes
	}
	Ints []struct {
		Magnitude uint64
		Negative  bool
		Hex       hexBytes
	}
	Strings []struct {
		Value string
		Units int
		Hex   hexBytes
	}
	Anys []struct {
		Name string
		Hex  hexBytes
	}
	Columns []struct {
		Values           []uint64
		Uint, Diff, Byte hexBytes
	}
	StringColumns []struct {
		Values []string
		Hex    hexBytes
	}
	BrokenColumn struct {
		Want []string
		Hex  hexBytes
	}
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func readGolden(t testing.TB) (g golden) {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGoldenUint(t *testing.T) {
	for _, c := range readGolden(t).Uints {
		if got := lib0.AppendUint(nil, c.Value); !bytes.Equal(got, c.Hex) {
			t.Errorf("AppendUint(%d) = %x, want %x", c.Value, got, c.Hex)
		}
		if got := lib0.UintLen(c.Value); got != len(c.Hex) {
			t.Errorf("UintLen(%d) = %d, want %d", c.Value, got, len(c.Hex))
		}
		d := lib0.NewDecoder(c.Hex)
		if got := d.Uint(); got != c.Value || d.Err() != nil || d.Len() != 0 {
			t.Errorf("Uint(%x) = %d, %v, %d left, want %d", c.Hex, got, d.Err(), d.Len(), c.Value)
		}
	}
}

func TestGoldenInt(t *testing.T) {
	for _, c := range readGolden(t).Ints {
		if got := lib0.AppendInt(nil, c.Magnitude, c.Negative); !bytes.Equal(got, c.Hex) {
			t.Errorf("AppendInt(%d, %v) = %x, want %x", c.Magnitude, c.Negative, got, c.Hex)
		}
		d := lib0.NewDecoder(c.Hex)
		if m, negative := d.Int(); m != c.Magnitude || negative != c.Negative || d.Err() != nil || d.Len() != 0 {
			t.Errorf("Int(%x) = %d, %v, %v, want %d, %v", c.Hex, m, negative, d.Err(), c.Magnitude, c.Negative)
		}
	}
}

func TestGoldenString(t *testing.T) {
	for _, c := range readGolden(t).Strings {
		if got := lib0.AppendString(nil, c.Value); !bytes.Equal(got, c.Hex) {
			t.Errorf("AppendString(%q) = %x, want %x", c.Value, got, c.Hex)
		}
		d := lib0.NewDecoder(c.Hex)
		if got := d.String(); string(got) != c.Value || d.Err() != nil {
			t.Errorf("String(%x) = %q, %v, want %q", c.Hex, got, d.Err(), c.Value)
		}
		if units, ascii := lib0.UTF16Len([]byte(c.Value)); units != c.Units || ascii != (len(c.Value) == units && isASCII(c.Value)) {
			t.Errorf("UTF16Len(%q) = %d, %v, want %d", c.Value, units, ascii, c.Units)
		}
	}
}

func isASCII(s string) bool {
	return !slices.ContainsFunc([]byte(s), func(c byte) bool { return c >= 0x80 })
}

func TestGoldenAny(t *testing.T) {
	for _, c := range readGolden(t).Anys {
		d := lib0.NewDecoder(append(slices.Clone(c.Hex), 0))
		if got := d.Any(100); !bytes.Equal(got, c.Hex) || d.Err() != nil || d.Len() != 1 {
			t.Errorf("Any(%s) = %x, %v, want %x", c.Name, got, d.Err(), c.Hex)
		}
		for n := range c.Hex {
			d := lib0.NewDecoder(c.Hex[:n])
			if got := d.Any(100); d.Err() == nil {
				t.Errorf("Any(%d bytes of %s) = %x, want an error", n, c.Name, got)
			}
		}
	}
}

func TestGoldenColumns(t *testing.T) {
	for _, c := range readGolden(t).Columns {
		var u lib0.UintRun
		var f lib0.DiffRun
		var b lib0.ByteRun
		for _, v := range c.Values {
			u.Write(v)
			f.Write(v)
			b.Write(byte(v % 256))
		}
		for name, pair := range map[string][2][]byte{
			"UintRun": {u.Finish(), c.Uint}, "DiffRun": {f.Finish(), c.Diff}, "ByteRun": {b.Finish(), c.Byte},
		} {
			if !bytes.Equal(pair[0], pair[1]) {
				t.Errorf("%s of %v = %x, want %x", name, c.Values, pair[0], pair[1])
			}
		}
		uc, dc, bc := lib0.NewUintColumn(c.Uint), lib0.NewDiffColumn(c.Diff), lib0.NewByteColumn(c.Byte)
		for i, v := range c.Values {
			if got := uc.Read(); got != v || uc.Err() != nil {
				t.Errorf("UintColumn %x: value %d = %d, %v, want %d", c.Uint, i, got, uc.Err(), v)
			}
			if got := dc.Read(); got != v || dc.Err() != nil {
				t.Errorf("DiffColumn %x: value %d = %d, %v, want %d", c.Diff, i, got, dc.Err(), v)
			}
			if got := bc.Read(); got != byte(v%256) || bc.Err() != nil {
				t.Errorf("ByteColumn %x: value %d = %d, %v, want %d", c.Byte, i, got, bc.Err(), v%256)
			}
		}
		if !uc.AtEnd() || !dc.AtEnd() || !bc.AtEnd() {
			t.Errorf("columns of %v at end: %v, %v, %v, want all", c.Values, uc.AtEnd(), dc.AtEnd(), bc.AtEnd())
		}
		if uc.Read(); uc.Err() == nil {
			t.Errorf("UintColumn %x: read past the end", c.Uint)
		}
		if dc.Read(); dc.Err() == nil {
			t.Errorf("DiffColumn %x: read past the end", c.Diff)
		}
	}
}

func TestGoldenStringColumn(t *testing.T) {
	for _, c := range readGolden(t).StringColumns {
		var w lib0.StringRun
		for _, s := range c.Values {
			units, _ := lib0.UTF16Len([]byte(s))
			w.Write([]byte(s), units)
		}
		if got, want := w.AppendTo(nil), lib0.AppendBytes(nil, c.Hex); !bytes.Equal(got, want) {
			t.Errorf("StringRun of %q = %x, want %x", c.Values, got, want)
		}
		checkStrings(t, c.Hex, c.Values)
	}
}

// checkStrings reads a string column to its end.
func checkStrings(t *testing.T, column []byte, want []string) {
	t.Helper()
	r := lib0.NewStringColumn(column)
	for i, s := range want {
		start, end, units, ascii := r.Read()
		n, a := lib0.UTF16Len([]byte(s))
		if r.Err() != nil || string(column[start:end]) != s || units != n || ascii != a {
			t.Errorf("StringColumn %x: string %d = %q of %d units, %v, want %q", column, i, column[start:end], units, r.Err(), s)
			return
		}
	}
	if !r.AtEnd() {
		t.Errorf("StringColumn %x is not at its end after %q", column, want)
	}
}

func TestGoldenBrokenStrings(t *testing.T) {
	c := readGolden(t).BrokenColumn
	r := lib0.NewStringColumn(c.Hex)
	if r.Read(); r.Err() == nil {
		t.Errorf("StringColumn %x gives half a character", c.Hex)
	}
	checkStrings(t, lib0.MendStrings(nil, c.Hex), c.Want)
}
