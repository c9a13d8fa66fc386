package crdt_test

import (
	"fmt"
	"math"
	"testing"

	"weft/crdt"
	"weft/crdt/lib0"
)

// TestTypingUnderAnotherName: an empty section in front must not lend its author to the next one's text.
func TestTypingUnderAnotherName(t *testing.T) {
	d := crdt.New(crdt.Options{ClientID: 7})
	update, err := d.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Insert(0, "abc") })
	if err != nil {
		t.Fatal(err)
	}
	server := crdt.New(crdt.Options{ReturnPending: true})
	if _, err := server.Apply(update, crdt.V1); err != nil {
		t.Fatal(err)
	}
	forged := []byte{2, 0, 7, 3, 1, 9, 3, 0x84, 7, 2}
	forged = append(lib0.AppendString(forged, "EVIL"), 0)
	a, err := server.Apply(forged, crdt.V1)
	if err != nil || a.Changed {
		t.Errorf("Apply = changed %v, %v, want it to wait for client 9", a.Changed, err)
	}
	if got := server.Text("t"); got != "abc" {
		t.Errorf("Text = %q, want %q", got, "abc")
	}
}

// TestIndexOverflow: a length near the largest int must not wrap past the check.
func TestIndexOverflow(t *testing.T) {
	d := crdt.New(crdt.Options{})
	for name, edit := range map[string]func(crdt.SharedText) error{
		"delete": func(s crdt.SharedText) error { return s.Delete(1, math.MaxInt) },
		"format": func(s crdt.SharedText) error { return s.Format(1, math.MaxInt, crdt.Format{Name: "b", Value: true}) },
		"delta": func(s crdt.SharedText) error {
			return s.ApplyDelta([]crdt.Op{{Retain: math.MaxInt}, {Delete: math.MaxInt}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := d.Edit(func(tx *crdt.Tx) error { return edit(tx.Text("t")) }); err == nil {
				t.Error("Edit = nil, want ErrIndex")
			}
			if got := d.Text("t"); got != "" {
				t.Errorf("Text = %q, want it unchanged", got)
			}
		})
	}
}

// TestPrependersLoad: what several authors put in front of each other's text,
// cheap when it comes in turn, must load as a whole and stay acceptable to a server.
func TestPrependersLoad(t *testing.T) {
	const authors, rounds = 3, 3000
	docs := make([]*crdt.Doc, authors)
	for i := range docs {
		docs[i] = crdt.New(crdt.Options{ClientID: crdt.ClientID(100 + i)})
	}
	for range rounds {
		updates := make([][]byte, authors)
		for i, d := range docs {
			u, err := d.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Insert(0, fmt.Sprint(i)) })
			if err != nil {
				t.Fatal(err)
			}
			updates[i] = u
		}
		for i, d := range docs {
			for j, u := range updates {
				if i == j {
					continue
				}
				if _, err := d.Apply(u, crdt.V1); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	state := docs[0].AppendDiff(nil, nil, crdt.V1)
	for name, apply := range map[string]func(*crdt.Doc) error{
		"load":  func(d *crdt.Doc) error { _, err := d.Load(state, crdt.V1); return err },
		"apply": func(d *crdt.Doc) error { _, err := d.Apply(state, crdt.V1); return err },
	} {
		d := crdt.New(crdt.Options{})
		if err := apply(d); err != nil {
			t.Fatalf("%s = %v", name, err)
		}
		if got, want := d.Text("t"), docs[0].Text("t"); got != want {
			t.Errorf("%s: text of %d bytes differs from the author's of %d", name, len(got), len(want))
		}
	}
}
