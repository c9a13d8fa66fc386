package crdt_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// TestLocalJumps edits a long text at places far apart, where each edit is
// found from what was remembered of others, and compares with a string.
func TestLocalJumps(t *testing.T) {
	r := rand.New(rand.NewPCG(crdttest.Seed(t, 1), 0))
	d := crdt.New(crdt.Options{ClientID: 1})
	want := ""
	place := 0
	for i := range 4000 {
		if r.IntN(4) == 0 {
			place = r.IntN(len(want) + 1)
		}
		place = min(place, len(want))
		n := min(r.IntN(4), len(want)-place)
		insert := strings.Repeat(string(rune('a'+i%26)), r.IntN(4)+1)
		if _, err := d.Edit(func(tx *crdt.Tx) error {
			text := tx.Text("t")
			if err := text.Delete(place, n); err != nil {
				return err
			}
			return text.Insert(place, insert)
		}); err != nil {
			t.Fatal(err)
		}
		want = want[:place] + insert + want[place+n:]
		place += len(insert)
		if i%200 != 0 {
			continue
		}
		if err := d.Check(); err != nil {
			t.Fatalf("after edit %d: %v", i, err)
		}
		if got := d.Text("t"); got != want {
			t.Fatalf("Text after edit %d = %q, want %q", i, got, want)
		}
	}
}

// TestMarksElsewhere writes at places that no index names, beside those whose index is remembered.
func TestMarksElsewhere(t *testing.T) {
	inArray := func(tx *crdt.Tx, index int) error {
		_, err := tx.Array("a").InsertText(index)
		return err
	}
	inXML := func(tx *crdt.Tx, index int) error {
		_, err := tx.XML("x").InsertElement(index, "p")
		return err
	}
	for _, c := range []struct {
		name   string
		insert func(*crdt.Tx, int) error
		edit   func(*crdt.Tx) error
	}{
		{"push", inArray, func(tx *crdt.Tx) error { return tx.Array("a").Push("last") }},
		{"insert after", inXML, func(tx *crdt.Tx) error {
			child, _ := tx.XML("x").Child(150)
			_, err := tx.XML("x").InsertAfter(child, crdt.XMLText, "")
			return err
		}},
		{"insert first", inXML, func(tx *crdt.Tx) error {
			_, err := tx.XML("x").InsertAfter(nil, crdt.XMLText, "")
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := crdt.New(crdt.Options{ClientID: 1})
			if _, err := d.Edit(func(tx *crdt.Tx) error {
				for i := range 200 {
					if err := c.insert(tx, i); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			for _, step := range []func(*crdt.Tx) error{
				func(tx *crdt.Tx) error { return c.insert(tx, 100) }, // leaves a mark
				c.edit,
				func(tx *crdt.Tx) error { return c.insert(tx, 140) },
			} {
				if _, err := d.Edit(step); err != nil {
					t.Fatal(err)
				}
				if err := d.Check(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
