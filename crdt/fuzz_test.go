package crdt_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"weft/crdt"
)

// The fuzz targets take either an update as it is or, with a first byte of 1
// or 2, numbers from which a dealer makes one: 1 well-formed, 2 the base
// document's state with a little damage.
func dealt(data, state []byte) []byte {
	if len(data) == 0 {
		return data
	}
	switch data[0] {
	case 1:
		return dealerFrom(data[1:]).update()
	case 2:
		return dealerFrom(data[1:]).damage(state)
	}
	return data
}

func addSeeds(f *testing.F, state []byte) {
	f.Add([]byte{})
	f.Add(state)
	for seed := range 40 {
		data := []byte{byte(1 + seed%2)}
		for i := range 120 {
			data = append(data, byte(seed*31+i*i*7+i>>2))
		}
		f.Add(data)
	}
}

func FuzzApplyV1(f *testing.F) {
	state := base(f)
	addSeeds(f, state)
	f.Fuzz(func(t *testing.T, data []byte) {
		u := dealt(data, state)
		checkHostile(t, crdt.Options{Types: roots}, state, u, crdt.V1)
		checkHostile(t, crdt.Options{ReturnPending: true, KeepDeleted: true}, nil, u, crdt.V1)
	})
}

func FuzzApplyV2(f *testing.F) {
	state := base(f)
	stateV2, err := crdt.ConvertUpdate(state, crdt.V1, crdt.V2)
	if err != nil {
		f.Fatal(err)
	}
	addSeeds(f, stateV2)
	f.Fuzz(func(t *testing.T, data []byte) {
		u := dealt(data, stateV2)
		if len(data) > 0 && data[0] == 1 {
			if u, err = crdt.ConvertUpdate(u, crdt.V1, crdt.V2); err != nil {
				return
			}
			if len(data)%2 == 1 {
				u = dealerFrom(data[len(data)/2:]).damage(u)
			}
		}
		checkHostile(t, crdt.Options{ReturnPending: true}, state, u, crdt.V2)
		checkHostile(t, crdt.Options{}, nil, u, crdt.V2)
	})
}

// checkHostile applies an update to a document with a state: an error must
// leave no trace, and what is accepted must survive each encoding.
func checkHostile(t *testing.T, o crdt.Options, state, u []byte, v crdt.Version) {
	t.Helper()
	d := crdt.New(o)
	if state != nil {
		d = load(t, o, state)
	}
	before := encodings(d)
	sent := bytes.Clone(u)
	a, err := d.Apply(u, v)
	if !bytes.Equal(sent, u) {
		t.Fatalf("Apply(%x) changed its input", sent)
	}
	if checkErr := d.Check(); checkErr != nil {
		t.Fatalf("Check after Apply(%x) = %v, %v", u, err, checkErr)
	}
	if bad := crdt.Unadmitted(d); bad != nil && err == nil {
		t.Fatalf("Apply(%x) let in a struct that does not fit: %v", u, bad)
	}
	if err != nil || !a.Changed && a.Rest == nil && !crdt.HasPending(d) {
		if after := encodings(d); before != after {
			t.Fatalf("Apply(%x) = %+v, %v changed the document\nfrom %v\nto   %v", u, a, err, before, after)
		}
		return
	}
	checkReloads(t, o, d)
	if a.Update != nil {
		follower := crdt.New(o)
		if state != nil {
			follower = load(t, o, state)
		}
		if _, err := follower.Apply(a.Update, v); err != nil {
			t.Fatalf("Apply(broadcast %x of %x) = %v", a.Update, u, err)
		}
		if got, want := follower.AppendStateVector(nil), d.AppendStateVector(nil); !bytes.Equal(got, want) {
			t.Fatalf("document fed with the broadcast has state vector %x, want %x", got, want)
		}
	}
	if a.Rest != nil {
		if _, err := crdt.StateVectorOf(a.Rest, crdt.V1); err != nil {
			t.Fatalf("rest %x of %x: %v", a.Rest, u, err)
		}
	}
}

// encodings returns all that a document says about itself.
func encodings(d *crdt.Doc) string {
	return fmt.Sprintf("%x %x %x", d.AppendDiff(nil, nil, crdt.V1), d.AppendDiff(nil, nil, crdt.V2), d.AppendStateVector(nil))
}

// checkReloads loads a document from its encodings and compares what a reader sees.
func checkReloads(t *testing.T, o crdt.Options, d *crdt.Doc) {
	t.Helper()
	o.ReturnPending = false // a document that was loaded with pending parts keeps them
	want := views(t, d)
	var again [2][]byte
	for i, v := range []crdt.Version{crdt.V1, crdt.V2} {
		state := d.AppendDiff(nil, nil, v)
		back := crdt.New(o)
		if _, err := back.Load(state, v); err != nil {
			t.Fatalf("Load(v%d %x) = %v", v, state, err)
		}
		if err := back.Check(); err != nil {
			t.Fatalf("Check after Load(v%d %x): %v", v, state, err)
		}
		if crdt.HasPending(d) {
			continue // what was given up may fit at the second attempt, in yjs too
		}
		if got := views(t, back); i == 1 && got != want && lossless(t, d) && !crdt.Crossed(d) {
			t.Fatalf("Load(v%d %x) reads\n%s\nwant\n%s", v, state, got, want)
		}
		if got := back.AppendStateVector(nil); !bytes.Equal(got, d.AppendStateVector(nil)) {
			t.Fatalf("Load(v%d %x) has state vector %x, want %x", v, state, got, d.AppendStateVector(nil))
		}
		again[i] = back.AppendDiff(nil, nil, crdt.V2)
	}
	if !crdt.HasPending(d) && !bytes.Equal(again[0], again[1]) && lossless(t, d) {
		t.Fatalf("documents loaded from v1 and v2 differ:\n%x\n%x", again[0], again[1])
	}
}

// lossless tells whether each format holds all of a document: embeds and
// formats are JSON in the one and any values in the other.
func lossless(t *testing.T, d *crdt.Doc) bool {
	t.Helper()
	for from, to := range map[crdt.Version]crdt.Version{crdt.V1: crdt.V2, crdt.V2: crdt.V1} {
		state := d.AppendDiff(nil, nil, from)
		there, err := crdt.ConvertUpdate(state, from, to)
		if err != nil {
			t.Fatalf("ConvertUpdate(%x) = %v", state, err)
		}
		back, err := crdt.ConvertUpdate(there, to, from)
		if err != nil {
			t.Fatalf("ConvertUpdate(%x) = %v", there, err)
		}
		if !bytes.Equal(back, state) {
			return false
		}
	}
	return true
}

func views(t *testing.T, d *crdt.Doc) string {
	t.Helper()
	var out strings.Builder
	for _, root := range []string{"text", "arr", "map", "xml", ""} {
		js, err := d.JSON(root)
		if err != nil {
			t.Fatalf("JSON(%q) = %v", root, err)
		}
		delta, err := d.Delta(root)
		if err != nil {
			t.Fatalf("Delta(%q) = %v", root, err)
		}
		out.WriteString(fmt.Sprintf("%q: %q %s %s %q\n", root, d.Text(root), js, delta, d.XML(root)))
	}
	return out.String()
}

func FuzzStateVector(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{2, 5, 1, 3, 9})
	f.Fuzz(func(t *testing.T, data []byte) {
		sv, err := crdt.DecodeStateVector(data)
		if err != nil {
			return
		}
		again, err := crdt.DecodeStateVector(sv.Append(nil))
		if err != nil || !slices.Equal(sv, again) {
			t.Fatalf("DecodeStateVector(%x) = %v, encoded and decoded %v, %v", data, sv, again, err)
		}
		load(t, crdt.Options{}, base(t)).AppendDiff(nil, sv, crdt.V1)
	})
}

func FuzzMergeUpdates(f *testing.F) {
	state := base(f)
	for seed := range 30 {
		data := []byte{1}
		for i := range 100 {
			data = append(data, byte(seed*17+i*i*5))
		}
		f.Add(data, append([]byte{1}, data[30:]...))
		f.Add(data, append([]byte{2}, data[30:]...))
	}
	f.Fuzz(func(t *testing.T, x, y []byte) {
		a, b := dealt(x, state), dealt(y, state)
		merged, err := crdt.MergeUpdates(crdt.V1, a, b, state)
		if err != nil || !crdt.IsOrdered(a, crdt.V1) || !crdt.IsOrdered(b, crdt.V1) {
			return
		}
		if _, err := crdt.StateVectorOf(merged, crdt.V1); err != nil {
			t.Fatalf("MergeUpdates(%x, %x, base) = %x, which does not decode: %v", a, b, merged, err)
		}
		checkHostile(t, crdt.Options{}, nil, merged, crdt.V1)
		a2, err := crdt.ConvertUpdate(a, crdt.V1, crdt.V2)
		if err != nil {
			t.Fatalf("ConvertUpdate(%x) = %v", a, err)
		}
		b2, err := crdt.ConvertUpdate(b, crdt.V1, crdt.V2)
		if err != nil {
			t.Fatalf("ConvertUpdate(%x) = %v", b, err)
		}
		merged2, err := crdt.MergeUpdates(crdt.V2, a2, b2)
		if err != nil {
			t.Fatalf("MergeUpdates(v2 %x, %x) = %v", a2, b2, err)
		}
		if _, err := crdt.StateVectorOf(merged2, crdt.V2); err != nil {
			t.Fatalf("MergeUpdates(v2 %x, %x) = %x, which does not decode: %v", a2, b2, merged2, err)
		}
	})
}

func FuzzDiffUpdate(f *testing.F) {
	state := base(f)
	for seed := range 30 {
		data := []byte{byte(1 + seed%2)}
		for i := range 100 {
			data = append(data, byte(seed*13+i*i*3))
		}
		f.Add(data, []byte{2, 2, byte(seed % 5), 1, byte(seed)})
	}
	f.Fuzz(func(t *testing.T, data, vector []byte) {
		sv, err := crdt.DecodeStateVector(vector)
		if err != nil {
			return
		}
		u := dealt(data, state)
		diff, err := crdt.DiffUpdate(u, sv, crdt.V1)
		if err != nil {
			return
		}
		if _, err := crdt.StateVectorOf(diff, crdt.V1); err != nil {
			t.Fatalf("DiffUpdate(%x, %v) = %x, which does not decode: %v", u, sv, diff, err)
		}
	})
}

func FuzzConvert(f *testing.F) {
	state := base(f)
	addSeeds(f, state)
	f.Fuzz(func(t *testing.T, data []byte) {
		u := dealt(data, state)
		from, to := crdt.V1, crdt.V2
		// After two rounds everything has the form that JSON and any values share.
		var was []byte
		for round := range 7 {
			c, err := crdt.ConvertUpdate(u, from, to)
			if err != nil {
				if round == 0 {
					return
				}
				t.Fatalf("ConvertUpdate(%x, %d, %d) = %v", u, from, to, err)
			}
			if round >= 4 && round%2 == 0 {
				if was != nil && !bytes.Equal(was, c) {
					t.Fatalf("converted back and forth %x becomes %x", was, c)
				}
				was = c
			}
			u, from, to = c, to, from
		}
	})
}
