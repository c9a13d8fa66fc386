package crdt_test

import (
	"encoding/json"
	"errors"
	"testing"

	"weft/crdt"
)

// TestPositionInNested follows a position through edits, in a text that is no root.
func TestPositionInNested(t *testing.T) {
	d := crdt.New(crdt.Options{ClientID: 1})
	var text crdt.TypeID
	change := func(f func(crdt.SharedText) error) {
		t.Helper()
		_, err := d.Edit(func(tx *crdt.Tx) error {
			v, ok := tx.Shared(text)
			if !ok {
				t.Fatalf("Shared(%v) = false", text)
			}
			return f(v.(crdt.SharedText))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Edit(func(tx *crdt.Tx) error {
		n, err := tx.Map("m").SetText("k")
		text = n.ID()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	change(func(x crdt.SharedText) error { return x.Insert(0, "0123456789") })
	position := func(index, assoc int) crdt.RelativePosition {
		t.Helper()
		p, err := d.RelativePosition(text, index, assoc)
		if err != nil {
			t.Fatalf("RelativePosition(%d, %d) = %v", index, assoc, err)
		}
		if got, err := crdt.DecodeRelativePosition(p.Append(nil)); err != nil || got != p {
			t.Fatalf("DecodeRelativePosition(%x) = %v, %v, want %v", p.Append(nil), got, err, p)
		}
		return p
	}
	before, behind, end, start := position(5, 0), position(5, -1), position(10, 0), position(0, -1)
	change(func(x crdt.SharedText) error { return x.Insert(5, "abc") })
	change(func(x crdt.SharedText) error { return x.Insert(13, "!") })
	change(func(x crdt.SharedText) error { return x.Delete(0, 2) })
	for _, c := range []struct {
		name string
		p    crdt.RelativePosition
		want int
	}{{"before", before, 6}, {"behind", behind, 3}, {"end", end, 12}, {"start", start, 0}} {
		if in, index, ok := d.Resolve(c.p); in != text || index != c.want || !ok {
			t.Errorf("Resolve(%s) = %v, %d, %v, want %v, %d, true", c.name, in, index, ok, text, c.want)
		}
	}
	if _, _, ok := crdt.New(crdt.Options{}).Resolve(before); ok {
		t.Error("Resolve in a document without the unit = true")
	}
	if _, _, ok := crdt.New(crdt.Options{}).Resolve(end); ok {
		t.Error("Resolve in a document without the type = true")
	}
	if _, err := d.RelativePosition(text, -1, 0); err == nil {
		t.Error("RelativePosition(-1) = nil error")
	}
}

func FuzzDecodeRelativePosition(f *testing.F) {
	f.Add([]byte{0, 5, 3, 0})
	f.Add([]byte{1, 1, 't', 0x41})
	f.Add([]byte{2, 5, 3})
	d := crdt.New(crdt.Options{ClientID: 5})
	if _, err := d.Edit(func(tx *crdt.Tx) error {
		n, err := tx.Array("t").InsertText(0)
		if err != nil {
			return err
		}
		return n.Insert(0, "text")
	}); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := crdt.DecodeRelativePosition(b)
		if err != nil {
			return
		}
		again, err := crdt.DecodeRelativePosition(p.Append(nil))
		if err != nil || again != p {
			t.Errorf("position %v comes back as %v, %v", p, again, err)
		}
		if _, index, ok := d.Resolve(p); ok && (index < 0 || index > 4) {
			t.Errorf("Resolve(%v) = %d, want an index of a text of 4", p, index)
		}
	})
}

// TestPositionJSON reads and writes the form in which cursors travel.
func TestPositionJSON(t *testing.T) {
	for _, c := range []struct {
		name, json string
		same       bool // written as it was read
	}{
		{"unit", `{"item":{"client":5,"clock":3},"assoc":-1}`, true},
		{"root", `{"tname":"t","assoc":0}`, true},
		{"type", `{"type":{"client":9007199254740991,"clock":0},"assoc":0}`, true},
		{"yjs", `{"tname":"t","item":{"client":5,"clock":3},"assoc":0}`, false},
		{"no assoc", `{"type":null,"tname":"t","item":null}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p crdt.RelativePosition
			if err := json.Unmarshal([]byte(c.json), &p); err != nil {
				t.Fatal(err)
			}
			if b, err := json.Marshal(p); err != nil || (string(b) == c.json) != c.same {
				t.Errorf("%s comes back as %s, %v", c.json, b, err)
			}
			if again, err := crdt.DecodeRelativePosition(p.Append(nil)); err != nil || again != p {
				t.Errorf("DecodeRelativePosition = %v, %v, want %v", again, err, p)
			}
		})
	}
	for _, bad := range []string{`{}`, `{"assoc":0}`, `{"item":{"client":-1,"clock":0}}`, `{"item":{"client":1,"clock":4294967296}}`, `{"type":{"client":9007199254740992,"clock":0}}`, `{"tname":"t","assoc":1e10}`, `{"tname":"t","assoc":9999999999}`} {
		var p crdt.RelativePosition
		if err := json.Unmarshal([]byte(bad), &p); !errors.Is(err, crdt.ErrInvalid) {
			t.Errorf("Unmarshal(%s) = %v, want ErrInvalid", bad, err)
		}
	}
}

// TestPositionAfterUndo: only who undid knows where a unit lives on.
func TestPositionAfterUndo(t *testing.T) {
	d := crdt.New(crdt.Options{ClientID: 1})
	u := crdt.NewUndoManager(d, crdt.UndoOptions{CaptureTimeout: -1})
	for _, edit := range []func(crdt.SharedText) error{
		func(x crdt.SharedText) error { return x.Insert(0, "abcd") },
		func(x crdt.SharedText) error { return x.Delete(1, 2) },
	} {
		if _, err := d.Edit(func(tx *crdt.Tx) error { return edit(tx.Text("t")) }); err != nil {
			t.Fatal(err)
		}
	}
	deleted, err := crdt.DecodeRelativePosition([]byte{0, 1, 2, 0}) // before c
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := u.Undo(); !ok {
		t.Fatal("Undo = false")
	}
	if _, index, ok := d.Resolve(deleted); index != 2 || !ok {
		t.Errorf("Resolve = %d, %v, want 2, before the c that came back", index, ok)
	}
	// The deleted c stands behind its copy.
	if _, index, ok := d.ResolveShared(deleted); index != 3 || !ok {
		t.Errorf("ResolveShared = %d, %v, want 3, the place of the deleted c", index, ok)
	}
}
