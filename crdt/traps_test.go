package crdt_test

import (
	"bytes"
	"slices"
	"testing"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// A trap is a place where engines that read the format of Yjs go astray. The
// updates are given to yjs and to us in this order, and both must come to the
// same bytes; check makes sure that the trap was met.
type trap struct {
	name    string
	updates [][]byte
	typed   bool // the four roots are declared
	keep    bool // deleted content is kept
	check   func(*testing.T, *crdt.Doc)
}

// text returns an update of a client that starts a root text.
func text(client uint64, s string) []byte {
	return one(1, client, 0).raw(cString).uint(1).str("text").str(s).end()
}

// gone returns an update that deletes clocks of a client.
func gone(client, clock, n uint64) []byte { return new(forge).uint(0, 1, client, 1, clock, n).b }

func wantText(want string) func(*testing.T, *crdt.Doc) {
	return func(t *testing.T, d *crdt.Doc) {
		t.Helper()
		if got := d.Text("text"); got != want {
			t.Errorf("Text = %q, want %q", got, want)
		}
	}
}

func wantJSON(root, want string) func(*testing.T, *crdt.Doc) {
	return func(t *testing.T, d *crdt.Doc) {
		t.Helper()
		if got, err := d.JSON(root); err != nil || string(got) != want {
			t.Errorf("JSON(%q) = %s, %v, want %s", root, got, err, want)
		}
	}
}

func wantStructs(structs, deleted int) func(*testing.T, *crdt.Doc) {
	return func(t *testing.T, d *crdt.Doc) {
		t.Helper()
		if s := d.Stats(); s.Structs != structs || s.Deleted != deleted {
			t.Errorf("%d structs, %d of them deleted, want %d and %d", s.Structs, s.Deleted, structs, deleted)
		}
	}
}

func wantPending(want bool) func(*testing.T, *crdt.Doc) {
	return func(t *testing.T, d *crdt.Doc) {
		t.Helper()
		if got := crdt.HasPending(d); got != want {
			t.Errorf("pending = %v, want %v", got, want)
		}
	}
}

// redundant is bold set twice, by two authors.
var redundant = [][]byte{
	one(3, 5, 0).raw(cFormat).uint(1).str("text").str("bold").str("true").
		raw(cString|withLeft).uint(5, 0).str("ab").
		raw(cFormat|withLeft).uint(5, 2).str("bold").str("null").end(),
	one(1, 6, 0).raw(cFormat|withLeft|withRight).uint(5, 0, 5, 1).str("bold").str("true").end(),
	one(1, 7, 0).raw(cFormat|withRight).uint(5, 0).str("bold").str("true").end(),
}

// nested is a map under key k of the root map, with a key of its own, by client 5.
var nested = one(2, 5, 0).raw(cType|withKey).uint(1).str("map").str("k").uint(1).
	raw(cAny|withKey).uint(0, 5, 0).str("in").uint(1).raw(125, 1).end()

// value returns an update that sets key k of the root map, behind origin if that is not 0.
func value(client, origin uint64, content ...byte) []byte {
	f := one(1, client, 0)
	if origin == 0 {
		f.raw(cAny | withKey).uint(1).str("map").str("k")
	} else {
		f.raw(cAny|withKey|withLeft).uint(origin, 0)
	}
	return f.uint(1).raw(content...).end()
}

// sized returns an update of a client that appends one element of a kind to the root array.
func sized(kind byte, client, clock uint64, content ...byte) []byte {
	f := one(1, client, clock)
	if clock == 0 {
		f.raw(kind).uint(1).str("arr")
	} else {
		f.raw(kind|withLeft).uint(client, clock-1)
	}
	return f.raw(content...).end()
}

var traps = []trap{
	{name: "surrogates: insert between halves", updates: [][]byte{text(5, "a😀b"), one(1, 6, 0).raw(cString|withLeft|withRight).uint(5, 1, 5, 2).str("x").end()}, check: wantText("a�x�b")},
	{name: "surrogates: delete half", updates: [][]byte{text(5, "a😀b"), gone(5, 1, 1)}, check: wantText("a�b")},
	{name: "surrogates: lone half on the wire", updates: [][]byte{text(5, "a�b")}, check: wantText("a�b")},
	{name: "surrogates: resent from the middle", updates: [][]byte{text(5, "a😀"), one(1, 5, 2).raw(cString|withLeft).uint(5, 1).str("�z").end()}, check: wantText("a��z")},

	{name: "roots: untyped ones are not tidied", updates: redundant, check: wantStructs(5, 0)},
	{name: "roots: typed ones are", updates: redundant, typed: true, check: func(t *testing.T, d *crdt.Doc) {
		t.Helper()
		if d.Stats().Deleted == 0 {
			t.Error("no format was deleted")
		}
	}},

	{name: "structs: collected range", updates: [][]byte{one(1, 5, 0).raw(cGC).uint(3).end(), one(1, 5, 3).raw(cGC).uint(2).end()}, check: wantStructs(1, 1)},
	{name: "structs: collected and deleted do not merge", updates: [][]byte{
		one(2, 5, 0).raw(cGC).uint(3).raw(cDeleted).uint(1).str("arr").uint(2).end(),
	}, check: wantStructs(2, 2)},
	{name: "structs: skip", updates: [][]byte{one(2, 5, 0).raw(cSkip).uint(3).raw(cString|withLeft).uint(5, 2).str("x").end()}, check: wantPending(true)},
	{name: "structs: children of a deleted type", updates: [][]byte{nested, gone(5, 0, 1)}, check: wantStructs(2, 2)},
	{name: "structs: into a collected type", updates: [][]byte{
		nested, gone(5, 0, 1), one(1, 6, 0).raw(cAny|withKey).uint(0, 5, 0).str("late").uint(1).raw(125, 2).end(),
	}, check: wantStructs(3, 3)},
	{name: "structs: behind a collected item", updates: [][]byte{
		nested, gone(5, 0, 1), one(1, 6, 0).raw(cAny|withKey|withLeft).uint(5, 1).uint(1).raw(125, 2).end(),
	}, check: wantStructs(3, 3)},

	{name: "pending: structs in the answer", updates: [][]byte{one(1, 5, 1).raw(cString|withLeft).uint(5, 0).str("b").end()}, check: wantPending(true)},
	{name: "pending: deletions in the answer", updates: [][]byte{text(5, "a"), gone(5, 0, 4), gone(9, 3, 2)}, check: wantPending(true)},
	{name: "pending: until what is missing comes", updates: [][]byte{
		one(1, 5, 1).raw(cString|withLeft).uint(5, 0).str("b").end(), one(1, 6, 0).raw(cString|withLeft).uint(7, 0).str("c").end(), text(5, "a"),
	}, check: wantText("ab")},
	{name: "pending: all of it", updates: [][]byte{
		one(1, 5, 1).raw(cString|withLeft).uint(5, 0).str("b").end(), gone(5, 0, 1), text(5, "a"),
	}, check: wantPending(false)},

	{name: "order: clients by number", updates: [][]byte{text(9, "a"), text(10, "b"), text(1<<40, "c"), text(1<<53-1, "d"), gone(9, 0, 1), gone(1<<40, 0, 1)}, check: wantStructs(4, 2)},

	{name: "deletions: overlapping", updates: [][]byte{text(5, "abcdef"), new(forge).uint(0, 1, 5, 3, 3, 2, 0, 2, 1, 3).b}, check: wantText("f")},
	{name: "deletions: client without structs", updates: [][]byte{text(5, "abc"), new(forge).uint(0, 2, 5, 1, 1, 1, 77, 1, 0, 5).b}, check: wantPending(true)},

	{name: "parent: cut struct gets an origin", updates: [][]byte{text(5, "ab"), text(5, "abcd")}, check: wantText("abcd")},
	{name: "parent: key copied from the left", updates: [][]byte{value(5, 0, 125, 1), value(6, 5, 125, 2)}, check: wantJSON("map", `{"k":2}`)},

	{name: "map: newcomer that is deleted", updates: [][]byte{
		value(5, 0, 125, 1), one(1, 6, 0).raw(cDeleted|withKey|withLeft).uint(5, 0, 1).uint(1, 6, 1, 0, 1).b,
	}, check: wantJSON("map", `{}`)},
	{name: "map: newcomer left of another", updates: [][]byte{value(9, 0, 125, 9), value(4, 0, 125, 4)}, check: wantJSON("map", `{"k":9}`)},
	{name: "map: undefined is a value", updates: [][]byte{value(5, 0, 127)}, check: func(t *testing.T, d *crdt.Doc) {
		t.Helper()
		wantJSON("map", `{}`)(t, d)
		d.View(func(tx *crdt.Tx) {
			if v, ok := tx.Map("map").Get("k"); !ok || v != (crdt.Undefined{}) {
				t.Errorf("Get = %v, %v, want undefined", v, ok)
			}
		})
	}},
	{name: "map: values of one author merge when deleted", updates: [][]byte{
		value(5, 0, 125, 1), one(1, 5, 1).raw(cAny|withKey|withLeft).uint(5, 0, 1).raw(125, 2).end(), one(1, 5, 2).raw(cAny|withKey|withLeft).uint(5, 1, 1).raw(125, 3).end(),
	}, check: wantStructs(2, 1)},

	{name: "merging: any", updates: [][]byte{sized(cAny, 5, 0, 1, 125, 1), sized(cAny, 5, 1, 1, 125, 2)}, check: wantStructs(1, 0)},
	{name: "merging: JSON", updates: [][]byte{sized(cJSON, 5, 0, 1, 1, '1'), sized(cJSON, 5, 1, 1, 1, '2')}, check: wantStructs(1, 0)},
	{name: "merging: not bytes", updates: [][]byte{sized(cBinary, 5, 0, 1, 7), sized(cBinary, 5, 1, 1, 8)}, check: wantStructs(2, 0)},
	{name: "merging: not embeds", updates: [][]byte{sized(cEmbed, 5, 0, 1, '1'), sized(cEmbed, 5, 1, 1, '2')}, check: wantStructs(2, 0)},
	{name: "merging: not types", updates: [][]byte{sized(cType, 5, 0, 0), sized(cType, 5, 1, 0)}, check: wantStructs(2, 0)},
	{name: "merging: not documents", updates: [][]byte{sized(cDoc, 5, 0, 1, 'g', 118, 0), sized(cDoc, 5, 1, 1, 'g', 118, 0)}, check: wantStructs(2, 0)},
	{name: "merging: not kept and deleted", updates: [][]byte{text(5, "abc"), gone(5, 1, 1)}, keep: true, check: wantStructs(3, 1)},

	{name: "any: every sort", updates: [][]byte{
		one(1, 5, 0).raw(cAny).uint(1).str("arr").uint(12).raw(
			127, 126, 125, 0x40, 125, 0xbf, 0xff, 0xff, 0xff, 0x0f, 124, 0x4f, 0, 0, 0, 123, 0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a,
			122, 0x80, 0, 0, 0, 0, 0, 0, 0, 121, 120, 119, 1, 'x', 118, 1, 1, 'k', 117, 1, 126, 116, 1, 255,
		).end(),
	}, check: wantJSON("arr", `[null,null,0,2147483647,2147483648,0.1,-9223372036854775808,false,true,"x",{"k":[null]},{"0":255}]`)},
	{name: "any: numbers of the other encoding", updates: [][]byte{
		sized(cEmbed, 5, 0, append([]byte{10}, "2147483648"...)...), sized(cEmbed, 5, 1, append([]byte{5}, "1e+21"...)...),
		sized(cEmbed, 5, 2, append([]byte{4}, "-0.5"...)...), sized(cEmbed, 5, 3, append([]byte{13}, `{"1":2,"b":1}`...)...),
	}, check: wantStructs(4, 0)},
	{name: "v2: key written anew each time", updates: redundant, check: wantStructs(5, 0)},
	{name: "v2: strings cut inside the column", updates: [][]byte{text(5, "😀"), text(6, "𝒳y"), one(1, 5, 2).raw(cString|withLeft).uint(5, 1).str("é漢😀").end()}, check: wantStructs(2, 0)},

	{name: "subdocument: options and replacement", updates: [][]byte{
		one(1, 5, 0).raw(cDoc|withKey).uint(1).str("map").str("k").str("g").raw(118, 2, 8, 'a', 'u', 't', 'o', 'L', 'o', 'a', 'd', 120, 2, 'g', 'c', 121).end(),
		one(1, 6, 0).raw(cDoc|withKey|withLeft).uint(5, 0).str("g").raw(118, 0).end(),
	}, check: func(t *testing.T, d *crdt.Doc) {
		t.Helper()
		if got := d.Subdocs(); !slices.Equal(got, []string{"g"}) {
			t.Errorf("Subdocs = %q, want g once", got)
		}
	}},
}

// TestTraps holds what README.md of crdttest lists, each judged by yjs.
func TestTraps(t *testing.T) {
	judge := crdttest.NewJudge(t)
	for _, c := range traps {
		t.Run(c.name, func(t *testing.T) {
			o := crdt.Options{KeepDeleted: c.keep}
			if c.typed {
				o.Types = roots
			}
			d := crdt.New(o)
			for i, u := range c.updates {
				if _, err := d.Apply(u, crdt.V1); err != nil {
					t.Fatalf("Apply(update %d, %x) = %v", i, u, err)
				}
				if err := d.Check(); err != nil {
					t.Fatalf("Check after update %d: %v", i, err)
				}
			}
			v, err := judge.Apply(crdttest.Question{Updates: c.updates, Version: 1, KeepGC: c.keep, Typed: c.typed})
			if err != nil {
				t.Fatal(err)
			}
			checkState(t, d, crdttest.State{V1: v.V1, V2: v.V2, SV: v.SV})
			if v.Pending != crdt.HasPending(d) {
				t.Errorf("pending = %v, yjs says %v", crdt.HasPending(d), v.Pending)
			}
			c.check(t, d)
		})
	}
}

// TestTrapFormatOfHalf: a format that changes nothing but falls between the
// halves of a pair replaces them here, and tells nobody, as in yjs.
func TestTrapFormatOfHalf(t *testing.T) {
	d := crdt.New(crdt.Options{ClientID: 1})
	if _, err := d.Apply(text(5, "😀"), crdt.V1); err != nil {
		t.Fatal(err)
	}
	update, err := d.Edit(func(tx *crdt.Tx) error {
		return tx.Text("text").Format(1, 1, crdt.Format{Name: "bold", Value: nil})
	})
	if err != nil || update != nil {
		t.Errorf("Edit = %x, %v, want no update", update, err)
	}
	wantText("��")(t, d)
}

// TestTrapMerge: merged bytes are joined less than a document's, and no two
// structs of one update are.
func TestTrapMerge(t *testing.T) {
	judge := crdttest.NewJudge(t)
	updates := [][]byte{
		one(2, 5, 0).raw(cString).uint(1).str("text").str("a").raw(cString|withLeft).uint(5, 0).str("b").end(),
		one(1, 5, 2).raw(cString|withLeft).uint(5, 1).str("c").end(),
		one(1, 5, 4).raw(cString|withLeft).uint(5, 3).str("e").end(),
		gone(5, 0, 1),
	}
	want, err := judge.Merge(1, updates...)
	if err != nil {
		t.Fatal(err)
	}
	got, err := crdt.MergeUpdates(crdt.V1, updates...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := crdttest.DiffBytes(want, got); diff != "" {
		t.Errorf("MergeUpdates: %s", diff)
	}
	d := crdt.New(crdt.Options{})
	for _, u := range updates {
		if _, err := d.Apply(u, crdt.V1); err != nil {
			t.Fatal(err)
		}
	}
	if bytes.Equal(got, d.AppendDiff(nil, nil, crdt.V1)) {
		t.Error("merged bytes are those of the document: the trap was not met")
	}
}

// TestTrapOwnID: an author that hears of another one under its id takes a new one.
func TestTrapOwnID(t *testing.T) {
	d := crdt.New(crdt.Options{ClientID: 5})
	if _, err := d.Apply(text(5, "a"), crdt.V1); err != nil {
		t.Fatal(err)
	}
	if d.ClientID() == 5 {
		t.Error("ClientID = 5, which somebody else uses")
	}
}
