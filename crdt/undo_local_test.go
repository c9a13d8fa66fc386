package crdt_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weft/crdt"
)

func typeIn(t *testing.T, d *crdt.Doc, text string) {
	t.Helper()
	if _, err := d.Edit(func(tx *crdt.Tx) error {
		x := tx.Text("t")
		return x.Insert(x.Len(), text)
	}); err != nil {
		t.Fatal(err)
	}
}

// TestUndoCaptureTimeout joins what follows within half a second of the edit before.
func TestUndoCaptureTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := crdt.New(crdt.Options{})
		u := crdt.NewUndoManager(d, crdt.UndoOptions{})
		typeIn(t, d, "a")
		time.Sleep(499 * time.Millisecond)
		typeIn(t, d, "b")
		time.Sleep(499 * time.Millisecond)
		typeIn(t, d, "c")
		time.Sleep(500 * time.Millisecond)
		typeIn(t, d, "d")
		u.StopCapturing()
		typeIn(t, d, "e")
		for _, want := range []string{"abcd", "abc", ""} {
			if _, ok := u.Undo(); !ok || d.Text("t") != want {
				t.Errorf("Undo = %v with text %q, want %q", ok, d.Text("t"), want)
			}
		}
		if _, ok := u.Undo(); ok {
			t.Error("Undo with an empty stack = true")
		}
		for _, want := range []string{"abc", "abcd", "abcde"} {
			if _, ok := u.Redo(); !ok || d.Text("t") != want {
				t.Errorf("Redo = %v with text %q, want %q", ok, d.Text("t"), want)
			}
		}
	})
}

// TestUndoKeeps holds deleted text while it can come back, and lets it go with Clear.
func TestUndoKeeps(t *testing.T) {
	d := crdt.New(crdt.Options{ClientID: 1})
	typeIn(t, d, "hello")
	u := crdt.NewUndoManager(d, crdt.UndoOptions{Scope: []crdt.TypeID{crdt.RootID("t")}})
	remove := func() {
		t.Helper()
		if _, err := d.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Delete(0, tx.Text("t").Len()) }); err != nil {
			t.Fatal(err)
		}
	}
	remove()
	if _, ok := u.Undo(); !ok || d.Text("t") != "hello" {
		t.Fatalf("Undo = %v with text %q, want hello", ok, d.Text("t"))
	}
	remove()
	u.Clear()
	if undo, redo := u.Steps(); undo != 0 || redo != 0 {
		t.Errorf("Steps after Clear = %d, %d, want 0, 0", undo, redo)
	}
	if _, ok := u.Undo(); ok {
		t.Error("Undo after Clear = true")
	}
	u.Close()
	typeIn(t, d, "x")
	if undo, _ := u.Steps(); undo != 0 {
		t.Errorf("Steps after Close = %d, want 0", undo)
	}
	if err := d.Check(); err != nil {
		t.Error(err)
	}
}

// TestUndoLeavesOthers takes back what the user wrote and not what a peer did between.
func TestUndoLeavesOthers(t *testing.T) {
	d, peer := crdt.New(crdt.Options{ClientID: 1}), crdt.New(crdt.Options{ClientID: 2})
	var steps []string
	u := crdt.NewUndoManager(d, crdt.UndoOptions{
		Added:  func(e crdt.StackEvent) { e.Item.Meta["n"] = len(steps); steps = append(steps, "added") },
		Popped: func(e crdt.StackEvent) { steps = append(steps, "popped") },
	})
	typeIn(t, d, "mine")
	if _, err := peer.Apply(d.AppendDiff(nil, nil, crdt.V1), crdt.V1); err != nil {
		t.Fatal(err)
	}
	theirs, err := peer.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Insert(2, "THEIRS") })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Apply(theirs, crdt.V1); err != nil {
		t.Fatal(err)
	}
	update, ok := u.Undo()
	if !ok || d.Text("t") != "THEIRS" {
		t.Fatalf("Undo = %v with text %q, want THEIRS", ok, d.Text("t"))
	}
	if _, err := peer.Apply(update, crdt.V1); err != nil || peer.Text("t") != "THEIRS" {
		t.Errorf("peer has %q, %v, want THEIRS", peer.Text("t"), err)
	}
	if len(steps) != 3 { // the edit, what can be redone, and the pop
		t.Errorf("told of %v, want two steps added and one popped", steps)
	}
}

// TestUndoOrigins records only the origins that it was told to.
func TestUndoOrigins(t *testing.T) {
	d := crdt.New(crdt.Options{})
	u := crdt.NewUndoManager(d, crdt.UndoOptions{Origins: []any{"editor"}, CaptureTimeout: -1})
	for _, origin := range []any{"editor", nil, "import"} {
		if _, err := d.EditFrom(origin, func(tx *crdt.Tx) error { return tx.Text("t").Insert(0, "x") }); err != nil {
			t.Fatal(err)
		}
	}
	if undo, _ := u.Steps(); undo != 1 {
		t.Errorf("Steps = %d, want the one of the editor", undo)
	}
}

// TestUndoTracks widens and narrows what is recorded, and names what changed.
func TestUndoTracks(t *testing.T) {
	type editor struct{ n int }
	d := crdt.New(crdt.Options{})
	from := func(origin any, root string) {
		t.Helper()
		if _, err := d.EditFrom(origin, func(tx *crdt.Tx) error { return tx.Text(root).Insert(0, "x") }); err != nil {
			t.Fatal(err)
		}
	}
	var asked []crdt.Transaction
	u := crdt.NewUndoManager(d, crdt.UndoOptions{
		Scope:          []crdt.TypeID{crdt.RootID("t")},
		CaptureTimeout: -1,
		Origins:        []any{"first"},
		Tracks:         func(origin any) bool { _, ok := origin.(editor); return ok },
		Capture:        func(c crdt.Transaction) bool { asked = append(asked, c); return c.Origin != editor{3} },
	})
	steps := func(want int) {
		t.Helper()
		if undo, _ := u.Steps(); undo != want {
			t.Errorf("Steps = %d, want %d", undo, want)
		}
	}
	from("first", "t")
	from(editor{1}, "t")
	from(editor{3}, "t")
	from("second", "t")
	from("first", "other")
	steps(2)
	u.AddOrigin("second")
	u.AddScope(crdt.RootID("other"))
	from("second", "other")
	steps(3)
	u.RemoveOrigin("second")
	from("second", "t")
	steps(3)
	if last := asked[5]; last.Origin != "second" || !last.Local || len(last.Changed) != 1 || last.Changed[0] != crdt.RootID("other") {
		t.Errorf("Capture was asked about %+v, want a local change of other", last)
	}
}

// TestUndoKeepsContent spares what the program names.
func TestUndoKeepsContent(t *testing.T) {
	d := crdt.New(crdt.Options{})
	var seen []crdt.Content
	u := crdt.NewUndoManager(d, crdt.UndoOptions{Keep: func(c crdt.Content) bool {
		seen = append(seen, c)
		return c.Value == "keep"
	}})
	if _, err := d.Edit(func(tx *crdt.Tx) error {
		if err := tx.Text("t").Insert(0, "keep"); err != nil {
			return err
		}
		if err := tx.Map("m").Set("k", 5); err != nil {
			return err
		}
		return tx.Text("f").InsertFormatted(0, "go", crdt.Format{Name: "b", Value: true})
	}); err != nil {
		t.Fatal(err)
	}
	if _, ok := u.Undo(); !ok || d.Text("t") != "keep" || d.Text("f") != "" {
		t.Errorf("Undo = %v with texts %q and %q, want the first kept", ok, d.Text("t"), d.Text("f"))
	}
	want := []crdt.Content{
		{In: crdt.RootID("f"), Value: crdt.Format{Name: "b"}},
		{In: crdt.RootID("f"), Value: "go"},
		{In: crdt.RootID("f"), Value: crdt.Format{Name: "b", Value: true}},
		{In: crdt.RootID("m"), Key: "k", Value: []any{5.0}},
		{In: crdt.RootID("t"), Value: "keep"},
	}
	if diff := cmp.Diff(want, seen, cmp.Comparer(func(a, b crdt.TypeID) bool { return a == b })); diff != "" {
		t.Errorf("Keep was asked about other content (-want +got):\n%s", diff)
	}
}

// TestObserverMustNotEdit catches a program that changes a document while it is told of a change.
func TestObserverMustNotEdit(t *testing.T) {
	for name, f := range map[string]func(*crdt.Doc){
		"edit":  func(d *crdt.Doc) { _, _ = d.Edit(func(*crdt.Tx) error { return nil }) },
		"apply": func(d *crdt.Doc) { _, _ = d.Apply([]byte{0, 0}, crdt.V1) },
		"view":  func(d *crdt.Doc) { d.View(func(tx *crdt.Tx) { tx.Map("m").Delete("k") }) },
	} {
		t.Run(name, func(t *testing.T) {
			d := crdt.New(crdt.Options{})
			caught := false
			d.Observe(crdt.Observer{Update: func(crdt.Change) {
				defer func() { caught = recover() != nil }()
				f(d)
			}})
			typeIn(t, d, "a")
			if !caught {
				t.Error("no panic")
			}
		})
	}
}

// TestObserveStops ends the calls, and the extra work, with the last observer.
func TestObserveStops(t *testing.T) {
	d := crdt.New(crdt.Options{Types: map[string]crdt.Kind{"t": crdt.Text}})
	calls := 0
	stop := d.Observe(crdt.Observer{Type: func(*crdt.Event) { calls++ }})
	typeIn(t, d, "a")
	stop()
	stop()
	typeIn(t, d, "b")
	if calls != 1 {
		t.Errorf("%d calls, want 1", calls)
	}
	var inside func()
	inside = d.Observe(crdt.Observer{Update: func(crdt.Change) { calls++; inside() }})
	typeIn(t, d, "c")
	typeIn(t, d, "d")
	if calls != 2 {
		t.Errorf("%d calls, want 2", calls)
	}
}
