package crdt_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/crdt"
)

// TestSharedReaders builds one of each type and reads it back in another document.
func TestSharedReaders(t *testing.T) {
	doc := crdt.Subdoc{GUID: "inner", KeepDeleted: true, AutoLoad: true, Meta: "m"}
	values := []any{nil, true, 1.5, "s", []byte{1, 2}, crdt.Undefined{}, crdt.BigInt(-5), []any{1.0}, map[string]any{"k": "v"}}
	d := crdt.New(crdt.Options{ClientID: 1})
	update, err := d.Edit(func(tx *crdt.Tx) error {
		if err := tx.Array("list").Insert(0, values...); err != nil {
			return err
		}
		if err := tx.Array("list").InsertDoc(len(values), doc); err != nil {
			return err
		}
		p, err := tx.XML("page").InsertElement(0, "p")
		if err != nil {
			return err
		}
		if err := p.SetAttribute("align", "left"); err != nil {
			return err
		}
		h, err := tx.XML("page").InsertHook(1, "chart")
		if err != nil {
			return err
		}
		if err := h.Set("rows", 3); err != nil {
			return err
		}
		text := tx.Text("text")
		if err := text.SetAttribute("lang", "en"); err != nil {
			return err
		}
		if err := text.SetAttribute("dir", "ltr"); err != nil {
			return err
		}
		text.RemoveAttribute("dir")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	e := crdt.New(crdt.Options{Types: map[string]crdt.Kind{"page": crdt.XMLFragment, "text": crdt.Text}})
	if _, err := e.Apply(update, crdt.V1); err != nil {
		t.Fatal(err)
	}
	e.View(func(tx *crdt.Tx) {
		list := tx.Array("list")
		for i, want := range append(slices.Clip(values), doc) {
			if got, ok := list.Get(i); !ok || !cmp.Equal(got, want) {
				t.Errorf("Get(%d) = %v, %v, want %v", i, got, ok, want)
			}
		}
		for _, i := range []int{-1, list.Len()} {
			if got, ok := list.Get(i); ok {
				t.Errorf("Get(%d) = %v, want none", i, got)
			}
		}
		if got, err := tx.Array("list").JSON(); err != nil || len(got) == 0 {
			t.Errorf("JSON = %s, %v", got, err)
		}

		page := tx.XML("page")
		children := maps.Collect(page.Children())
		p, hook := children[0].(crdt.SharedXML), children[1].(crdt.SharedHook)
		if p.Name() != "p" || page.Name() != "" || hook.Name() != "chart" {
			t.Errorf("names = %q, %q, %q, want p, none, chart", p.Name(), page.Name(), hook.Name())
		}
		if got := maps.Collect(p.Attributes()); !cmp.Equal(got, map[string]any{"align": "left"}) {
			t.Errorf("Attributes = %v", got)
		}
		if got, ok := p.Attribute("align"); !ok || got != "left" {
			t.Errorf("Attribute(align) = %v, %v, want left", got, ok)
		}
		if got, err := hook.JSON(); err != nil || string(got) != `{"rows":3}` || hook.Len() != 1 {
			t.Errorf("JSON = %s, %v of %d keys, want rows", got, err, hook.Len())
		}
		if got, ok := tx.Shared(p.ID()); !ok || got != any(p) {
			t.Errorf("Shared(%v) = %v, %v, want the element", p.ID(), got, ok)
		}
		if _, ok := tx.Shared(crdt.RootID("none")); ok {
			t.Error("Shared(root that does not exist) = true")
		}

		text := tx.Text("text")
		if got := maps.Collect(text.Attributes()); !cmp.Equal(got, map[string]any{"lang": "en"}) {
			t.Errorf("Attributes of the text = %v, want lang", got)
		}
		if _, ok := text.Attribute("dir"); ok {
			t.Error("Attribute(dir) = true after its removal")
		}
		if name, ok := text.ID().Root(); !ok || name != "text" {
			t.Errorf("Root = %q, %v, want text", name, ok)
		}
	})
	if got := e.Subdocs(); !slices.Equal(got, []string{"inner"}) {
		t.Errorf("Subdocs = %q, want inner", got)
	}
}
