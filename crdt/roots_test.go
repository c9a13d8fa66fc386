package crdt_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/crdt"
)

// TestRoots names what a document has, with a guess where nobody declared it.
func TestRoots(t *testing.T) {
	author := crdt.New(crdt.Options{ClientID: 1})
	update, err := author.Edit(func(tx *crdt.Tx) error {
		if err := tx.Text("text").Insert(0, "a"); err != nil {
			return err
		}
		if err := tx.Array("array").Insert(0, 1); err != nil {
			return err
		}
		if err := tx.Map("map").Set("k", 1); err != nil {
			return err
		}
		if _, err := tx.XML("xml").InsertElement(0, "p"); err != nil {
			return err
		}
		if _, err := tx.Array("types").InsertMap(0); err != nil {
			return err
		}
		if err := tx.Text("gone").Insert(0, "a"); err != nil {
			return err
		}
		return tx.Text("gone").Delete(0, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	d := crdt.New(crdt.Options{Types: map[string]crdt.Kind{"declared": crdt.Map, "text": crdt.Text}})
	if _, err := d.Apply(update, crdt.V1); err != nil {
		t.Fatal(err)
	}
	d.View(func(tx *crdt.Tx) { tx.Text("read only") })
	want := []crdt.Root{
		{Name: "array", Kind: crdt.Untyped, Likely: crdt.Array},
		{Name: "declared", Kind: crdt.Map, Likely: crdt.Map},
		{Name: "gone", Kind: crdt.Untyped, Likely: crdt.Array},
		{Name: "map", Kind: crdt.Untyped, Likely: crdt.Map},
		{Name: "read only", Kind: crdt.Untyped, Likely: crdt.Untyped},
		{Name: "text", Kind: crdt.Text, Likely: crdt.Text},
		{Name: "types", Kind: crdt.Untyped, Likely: crdt.Array},
		{Name: "xml", Kind: crdt.Untyped, Likely: crdt.XMLFragment},
	}
	if diff := cmp.Diff(want, d.Roots()); diff != "" {
		t.Errorf("Roots (-want +got):\n%s", diff)
	}
	got, err := d.AllJSON()
	if want := `{"array":[1],"declared":{},"gone":[],"map":{"k":1},"read only":[],"text":"a","types":[{}],"xml":["<p></p>"]}`; err != nil || string(got) != want {
		t.Errorf("AllJSON = %s, %v, want %s", got, err, want)
	}
	if got := crdt.XMLFragment.String() + " " + crdt.Untyped.String(); got != "XmlFragment Untyped" {
		t.Errorf("Kind.String = %q", got)
	}
}

// TestRootElement: a root may be an element, which has no name of its own.
func TestRootElement(t *testing.T) {
	d := crdt.New(crdt.Options{Types: map[string]crdt.Kind{"e": crdt.XMLElement}})
	if _, err := d.Edit(func(tx *crdt.Tx) error { return tx.XML("e").SetAttribute("a", "1") }); err != nil {
		t.Fatal(err)
	}
	if got, want := d.XML("e"), `<undefined a="1"></undefined>`; got != want { // as in yjs
		t.Errorf("XML = %s, want %s", got, want)
	}
}

// TestLoadSubdoc tells observers what to load, once, and what is given up.
func TestLoadSubdoc(t *testing.T) {
	author := crdt.New(crdt.Options{ClientID: 1})
	update, err := author.Edit(func(tx *crdt.Tx) error {
		if err := tx.Map("m").SetDoc("a", crdt.Subdoc{GUID: "a"}); err != nil {
			return err
		}
		return tx.Map("m").SetDoc("b", crdt.Subdoc{GUID: "b", AutoLoad: true})
	})
	if err != nil {
		t.Fatal(err)
	}
	d := crdt.New(crdt.Options{ClientID: 2})
	type event struct{ Added, Removed, Loaded []string }
	var got []event
	d.Observe(crdt.Observer{Subdocs: func(e crdt.SubdocsEvent) {
		got = append(got, event{guids(e.Added), guids(e.Removed), guids(e.Loaded)})
	}})
	if _, err := d.Apply(update, crdt.V1); err != nil {
		t.Fatal(err)
	}
	for _, step := range []bool{
		d.LoadSubdoc("a"), d.LoadSubdoc("a"), d.LoadSubdoc("b"), // the second and third are no news
		d.UnloadSubdoc("a"), d.LoadSubdoc("a"), !d.LoadSubdoc("none"), !d.UnloadSubdoc("none"),
	} {
		if !step {
			t.Error("LoadSubdoc or UnloadSubdoc does not know what the document has")
		}
	}
	for s := range d.AllSubdocs() {
		if s.AutoLoad != (s.GUID == "b") {
			t.Errorf("AllSubdocs has %+v", s)
		}
	}
	none := []string{}
	want := []event{
		{[]string{"a", "b"}, none, []string{"b"}},
		{none, none, []string{"a"}},
		{[]string{"a"}, []string{"a"}, none},
		{none, none, []string{"a"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestItemSize: Stats counts the memory of items by a constant.
func TestItemSize(t *testing.T) {
	if counted, real := crdt.ItemSize(); counted != real {
		t.Errorf("an item takes %d bytes, counted as %d", real, counted)
	}
}
