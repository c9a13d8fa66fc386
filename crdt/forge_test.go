package crdt_test

import (
	"math/rand/v2"
	"testing"

	"weft/crdt"
	"weft/crdt/lib0"
)

// forge writes updates of format 1 that no honest peer would write.
type forge struct{ b []byte }

func (f *forge) uint(vs ...uint64) *forge {
	for _, v := range vs {
		f.b = lib0.AppendUint(f.b, v)
	}
	return f
}

func (f *forge) str(s string) *forge {
	f.b = lib0.AppendString(f.b, s)
	return f
}

func (f *forge) raw(b ...byte) *forge {
	f.b = append(f.b, b...)
	return f
}

// Info bytes of structs.
const (
	cGC, cDeleted, cJSON, cBinary, cString, cEmbed, cFormat, cType, cAny, cDoc, cSkip = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10

	withLeft, withRight, withKey = 0x80, 0x40, 0x20
)

// one starts an update with one section.
func one(structs, client, clock uint64) *forge { return new(forge).uint(1, structs, client, clock) }

// end closes an update without deleted ranges.
func (f *forge) end() []byte { return f.uint(0).b }

// base returns the state of a document with everything in it, by clients 1 and
// 2, and the document's roots.
func base(t testing.TB) []byte {
	t.Helper()
	d := crdt.New(crdt.Options{ClientID: 1})
	edit := func(f func(*crdt.Tx) error) {
		t.Helper()
		if _, err := d.Edit(f); err != nil {
			t.Fatalf("Edit = %v", err)
		}
	}
	edit(func(tx *crdt.Tx) error { return tx.Text("text").Insert(0, "he😀llo wörld") })
	edit(func(tx *crdt.Tx) error { return tx.Text("text").Format(1, 5, crdt.Format{Name: "b", Value: true}) })
	edit(func(tx *crdt.Tx) error { return tx.Text("text").InsertEmbed(2, map[string]any{"a": 1.5}) })
	edit(func(tx *crdt.Tx) error { return tx.Text("text").Delete(4, 3) })
	edit(func(tx *crdt.Tx) error { return tx.Array("arr").Insert(0, 1, "two", nil, []byte{3}, []any{4}) })
	edit(func(tx *crdt.Tx) error {
		m, err := tx.Array("arr").InsertMap(1)
		if err != nil {
			return err
		}
		x, err := m.SetText("x")
		if err != nil {
			return err
		}
		return x.Insert(0, "nested")
	})
	edit(func(tx *crdt.Tx) error { return tx.Map("map").Set("k", "v") })
	edit(func(tx *crdt.Tx) error { return tx.Map("map").Set("k", 2) })
	edit(func(tx *crdt.Tx) error {
		e, err := tx.XML("xml").InsertElement(0, "p")
		if err != nil {
			return err
		}
		if err := e.SetAttribute("id", "7"); err != nil {
			return err
		}
		x, err := e.InsertText(0)
		if err != nil {
			return err
		}
		return x.Insert(0, "abc")
	})
	edit(func(tx *crdt.Tx) error { return tx.Array("arr").Delete(1, 1) })
	other := crdt.New(crdt.Options{ClientID: 2})
	if _, err := other.Apply(d.AppendDiff(nil, nil, crdt.V1), crdt.V1); err != nil {
		t.Fatalf("Apply(base) = %v", err)
	}
	if _, err := other.Edit(func(tx *crdt.Tx) error { return tx.Text("text").Insert(3, "zwei") }); err != nil {
		t.Fatalf("Edit = %v", err)
	}
	return other.AppendDiff(nil, nil, crdt.V1)
}

// load returns a document with a state.
func load(t testing.TB, o crdt.Options, state []byte) *crdt.Doc {
	t.Helper()
	d := crdt.New(o)
	if _, err := d.Load(state, crdt.V1); err != nil {
		t.Fatalf("Load(base) = %v", err)
	}
	return d
}

// A dealer makes updates out of numbers: well-formed as a rule, with clients,
// clocks and kinds that meet what the base document holds.
type dealer struct{ next func(n int) int } // a number below n

func dealerOf(r *rand.Rand) dealer { return dealer{r.IntN} }

// dealerFrom draws its numbers from bytes, zeros when they run out.
func dealerFrom(data []byte) dealer {
	return dealer{func(n int) int {
		if len(data) == 0 {
			return 0
		}
		c := data[0]
		data = data[1:]
		return int(c) % n
	}}
}

func (d dealer) pick(vs ...uint64) uint64 { return vs[d.next(len(vs))] }

func (d dealer) client() uint64 {
	return d.pick(1, 1, 1, 2, 2, 3, 3, 4, 1<<31, 1<<53-1)
}

func (d dealer) clock() uint64 { return uint64(d.next(64)) }

func (d dealer) length() uint64 { return d.pick(1, 1, 1, 2, 3, 5, 17) }

// update writes an update of format 1.
func (d dealer) update() []byte {
	f := new(forge)
	clients := []uint64{1<<53 - 1, 1 << 31, 4, 3, 2, 1}
	n := 1 + d.next(3)
	f.uint(uint64(n))
	at := d.next(len(clients))
	for range n {
		client := clients[at%len(clients)]
		at++
		structs := 1 + d.next(5)
		clock := d.pick(0, 0, 0, d.clock())
		switch client {
		case 1:
			clock = d.pick(44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, d.clock())
		case 2:
			clock = d.pick(4, 4, 4, d.clock())
		}
		f.uint(uint64(structs), client, clock)
		for range structs {
			clock += d.structure(f, client, clock)
		}
	}
	d.deletes(f)
	return f.b
}

func (d dealer) structure(f *forge, client, clock uint64) uint64 {
	kind := byte(d.pick(cGC, cDeleted, cJSON, cBinary, cString, cString, cString, cString, cEmbed, cFormat, cType, cType, cAny, cAny, cDoc, cSkip))
	if kind == cGC || kind == cSkip {
		n := d.length()
		f.raw(kind).uint(n)
		return n
	}
	info := kind | byte(d.pick(0, withLeft, withLeft, withLeft, withRight, withLeft|withRight, withLeft|withRight, withKey))
	f.raw(info)
	id := func() {
		if d.next(3) > 0 && clock > 0 {
			f.uint(client, clock-1-min(clock-1, uint64(d.next(3))))
		} else {
			f.uint(d.client(), d.clock())
		}
	}
	if info&withLeft != 0 {
		id()
	}
	if info&withRight != 0 {
		f.uint(d.client(), d.clock())
	}
	if info&(withLeft|withRight) == 0 {
		if d.next(2) == 0 {
			f.uint(1).str([]string{"text", "arr", "map", "xml", ""}[d.next(5)])
		} else {
			f.uint(0)
			id()
		}
		if info&withKey != 0 {
			f.str([]string{"k", "l", ""}[d.next(3)])
		}
	}
	return d.content(f, kind)
}

var (
	texts  = []string{"a", "bc", "ü", "😀", "x😀y", "\uFFFD", "longer text", "\x00", "e\u0301"}
	jsons  = []string{`null`, `1`, `-0`, `1e21`, `"s"`, `{"a":1}`, `[1,{"b":[]}]`, `true`, `"\ud83d"`, `{"2":1,"1":2,"x":{}}`, `1.50`, ` {"a" : 1}`}
	values = [][]byte{
		{127},
		{126},
		{125, 5},
		{125, 0x40},
		{124, 0x3f, 0x80, 0, 0},
		{123, 0x3f, 0xf0, 0, 0, 0, 0, 0, 1},
		{122, 0, 0, 0, 0, 0, 0, 0, 9},
		{121},
		{120},
		{119, 1, 'q'},
		{118, 1, 1, 'k', 126},
		{117, 2, 120, 117, 0},
		{116, 2, 1, 2},
		{118, 0},
	}
)

func (d dealer) content(f *forge, kind byte) uint64 {
	n := d.length()
	switch kind {
	case cDeleted:
		f.uint(n)
		return n
	case cJSON:
		f.uint(n)
		for range n {
			f.str(append(jsons, "undefined")[d.next(len(jsons)+1)])
		}
		return n
	case cBinary:
		f.str("bin")
	case cString:
		s := texts[d.next(len(texts))]
		f.str(s)
		units, _ := lib0.UTF16Len([]byte(s))
		return uint64(units)
	case cEmbed:
		f.str(jsons[d.next(len(jsons))])
	case cFormat:
		f.str([]string{"b", "i"}[d.next(2)]).str(jsons[d.next(len(jsons))])
	case cType:
		t := d.pick(0, 1, 2, 3, 4, 5, 6)
		f.uint(t)
		if t == 3 || t == 5 {
			f.str("P")
		}
	case cAny:
		f.uint(n)
		for range n {
			f.raw(values[d.next(len(values))]...)
		}
		return n
	case cDoc:
		f.str("guid").raw(values[10+3*d.next(2)]...)
	}
	return 1
}

func (d dealer) deletes(f *forge) {
	n := d.next(3)
	f.uint(uint64(n))
	for range n {
		k := 1 + d.next(2)
		f.uint(d.client(), uint64(k))
		for range k {
			f.uint(d.clock(), d.length())
		}
	}
}

// damage changes a few bytes of an update.
func (d dealer) damage(u []byte) []byte {
	u = append([]byte(nil), u...)
	for range 1 + d.next(3) {
		if len(u) == 0 {
			return u
		}
		i := (d.next(256)<<8 | d.next(256)) % len(u)
		switch d.next(5) {
		case 0:
			u[i] ^= 1 << d.next(8)
		case 1:
			u[i] = byte(d.pick(0, 1, 2, 0x7f, 0x80, 0xff, uint64(d.next(256))))
		case 2:
			u = append(u[:i], u[i+1:]...)
		case 3:
			u = append(u[:i], append([]byte{byte(d.next(256))}, u[i:]...)...)
		case 4:
			u[i]++
		}
	}
	return u
}
