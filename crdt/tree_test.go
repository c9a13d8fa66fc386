package crdt_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/crdt"
)

// page edits a document with the markup of a small page and returns it.
func page(t *testing.T) *crdt.Doc {
	t.Helper()
	d := crdt.New(crdt.Options{ClientID: 1})
	if _, err := d.Edit(func(tx *crdt.Tx) error {
		x := tx.XML("page")
		list, err := x.InsertElement(0, "ul")
		if err != nil {
			return err
		}
		for i, text := range []string{"one", "two", "gone"} {
			li, err := list.InsertElement(i, "li")
			if err != nil {
				return err
			}
			content, err := li.InsertText(0)
			if err != nil {
				return err
			}
			if err := content.Insert(0, text); err != nil {
				return err
			}
		}
		if err := list.Delete(2, 1); err != nil {
			return err
		}
		if _, err := x.InsertHook(1, "chart"); err != nil {
			return err
		}
		_, err = x.InsertElement(2, "P")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return d
}

func nodeNames(nodes []any) (out []string) {
	for _, n := range nodes {
		switch n := n.(type) {
		case crdt.SharedXML:
			out = append(out, n.Name())
		case crdt.SharedHook:
			out = append(out, "#"+n.Name())
		case crdt.SharedText:
			out = append(out, n.String())
		}
	}
	return out
}

// TestWalk goes through a fragment in the order of its markup and finds elements.
func TestWalk(t *testing.T) {
	page(t).View(func(tx *crdt.Tx) {
		x := tx.XML("page")
		if got, want := nodeNames(slices.Collect(x.Walk())), []string{"ul", "li", "one", "li", "two", "#chart", "P"}; !slices.Equal(got, want) {
			t.Errorf("Walk = %q, want %q", got, want)
		}
		for name, want := range map[string]int{"LI": 2, "p": 1, "chart": 0, "": 0} {
			if got := slices.Collect(x.Elements(name)); len(got) != want {
				t.Errorf("Elements(%q) = %d, want %d", name, len(got), want)
			}
		}
		list, ok := x.Element("ul")
		if !ok || list.Len() != 2 {
			t.Fatalf("Element(ul) = %d children, %v", list.Len(), ok)
		}
		if _, ok := list.Element("ul"); ok {
			t.Error("Element(ul) of itself = true")
		}
		for n := range x.Walk() {
			if parent, ok := n.(interface{ Parent() (any, bool) }).Parent(); !ok || parent == nil {
				t.Errorf("Parent of %v = none", nodeNames([]any{n}))
			}
		}
		if _, ok := x.Parent(); ok {
			t.Error("Parent of a root = true")
		}
	})
}

// TestSiblings steps along the children and past what is deleted.
func TestSiblings(t *testing.T) {
	page(t).View(func(tx *crdt.Tx) {
		x := tx.XML("page")
		first, ok := x.FirstChild()
		if !ok {
			t.Fatal("FirstChild = none")
		}
		list := first.(crdt.SharedXML)
		hook, _ := list.NextSibling()
		last, _ := hook.(crdt.SharedHook).NextSibling()
		if got := nodeNames([]any{list, hook, last}); !slices.Equal(got, []string{"ul", "#chart", "P"}) {
			t.Errorf("siblings = %q", got)
		}
		if before, _ := last.(crdt.SharedXML).PrevSibling(); before != hook {
			t.Errorf("PrevSibling = %v, want the hook", before)
		}
		if before, _ := hook.(crdt.SharedHook).PrevSibling(); before != first {
			t.Errorf("PrevSibling of the hook = %v, want the list", before)
		}
		item, _ := list.Child(1)
		if next, ok := item.(crdt.SharedXML).NextSibling(); ok {
			t.Errorf("NextSibling of the last that is not deleted = %v, want none", next)
		}
		text, _ := item.(crdt.SharedXML).FirstChild()
		if _, ok := text.(crdt.SharedText).NextSibling(); ok {
			t.Error("NextSibling of an only child = true")
		}
		if _, ok := text.(crdt.SharedText).PrevSibling(); ok {
			t.Error("PrevSibling of an only child = true")
		}
		if parent, ok := text.(crdt.SharedText).Parent(); !ok || parent != item {
			t.Errorf("Parent = %v, %v, want the element", parent, ok)
		}
		if got := nodeNames(x.Slice(-2, 3)); !slices.Equal(got, []string{"#chart", "P"}) {
			t.Errorf("Slice(-2, 3) = %q", got)
		}
	})
}

// TestInsertAfterOther refuses a place behind what is no child.
func TestInsertAfterOther(t *testing.T) {
	d := page(t)
	if _, err := d.Edit(func(tx *crdt.Tx) error {
		x := tx.XML("page")
		list, _ := x.Element("ul")
		item, _ := x.Element("li")
		for name, ref := range map[string]any{"grandchild": item, "number": 5, "itself": x} {
			if _, err := x.InsertAfter(ref, crdt.XMLElement, "b"); !errors.Is(err, crdt.ErrIndex) {
				t.Errorf("InsertAfter(%s) = %v, want ErrIndex", name, err)
			}
		}
		if _, err := x.InsertAfter(nil, crdt.Untyped, ""); !errors.Is(err, crdt.ErrValue) {
			t.Errorf("InsertAfter(untyped) = %v, want ErrValue", err)
		}
		_, err := x.InsertAfter(list, crdt.XMLElement, "hr")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if got, want := d.XML("page"), "<ul><li>one</li><li>two</li></ul><hr></hr>[object Object]<p></p>"; got != want {
		t.Errorf("XML = %s, want %s", got, want)
	}
}

// TestArrayEnds puts values at both ends and reads parts.
func TestArrayEnds(t *testing.T) {
	d := crdt.New(crdt.Options{})
	if _, err := d.Edit(func(tx *crdt.Tx) error {
		a := tx.Array("a")
		if err := errors.Join(a.Push(2, 3), a.Unshift(0, 1), a.Push("x"), a.Delete(4, 1), a.Push(4)); err != nil {
			return err
		}
		for _, c := range []struct {
			start, end int
			want       []any
		}{
			{0, 5, []any{0.0, 1.0, 2.0, 3.0, 4.0}}, {1, 3, []any{1.0, 2.0}}, {-2, 5, []any{3.0, 4.0}}, {3, 9, []any{3.0, 4.0}}, {0, -4, []any{0.0}}, {4, 2, nil},
		} {
			if got := a.Slice(c.start, c.end); !cmp.Equal(got, c.want) {
				t.Errorf("Slice(%d, %d) = %v, want %v", c.start, c.end, got, c.want)
			}
		}
		m := tx.Map("m")
		if err := errors.Join(m.Set("k", nil), m.Set("l", 1)); err != nil {
			return err
		}
		if !m.Has("k") || m.Has("none") {
			t.Errorf("Has(k), Has(none) = %v, %v, want true, false", m.Has("k"), m.Has("none"))
		}
		if got := slices.Sorted(m.Keys()); !slices.Equal(got, []string{"k", "l"}) {
			t.Errorf("Keys = %q, want k and l", got)
		}
		m.Clear()
		if m.Len() != 0 || m.Has("k") {
			t.Errorf("%d keys after Clear", m.Len())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestEmbedTooDeep: what cannot be embedded leaves no formats behind.
func TestEmbedTooDeep(t *testing.T) {
	d := crdt.New(crdt.Options{Limits: crdt.Limits{Types: 1}})
	update, err := d.Edit(func(tx *crdt.Tx) error {
		v, err := tx.Text("t").EmbedType(0, crdt.Text, "")
		if err != nil {
			return err
		}
		inner := v.(crdt.SharedText)
		_, err = inner.EmbedType(0, crdt.Map, "", crdt.Format{Name: "b", Value: true})
		if !errors.Is(err, crdt.ErrValue) {
			t.Errorf("EmbedType in a text that is too deep = %v, want ErrValue", err)
		}
		if _, err := tx.Text("t").EmbedType(0, crdt.Untyped, "", crdt.Format{Name: "b", Value: true}); !errors.Is(err, crdt.ErrValue) {
			t.Errorf("EmbedType(untyped) = %v, want ErrValue", err)
		}
		return nil
	})
	if err != nil || update == nil || d.Stats().Structs != 1 {
		t.Errorf("Edit = %v with %d structs, want the one text", err, d.Stats().Structs)
	}
}
