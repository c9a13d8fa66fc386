package crdt_test

import (
	"testing"

	"weft/crdt"
)

func TestSnapshotOfAnother(t *testing.T) {
	d := crdt.New(crdt.Options{KeepDeleted: true, ClientID: 1})
	if _, err := d.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Insert(0, "abc") }); err != nil {
		t.Fatal(err)
	}
	later := crdt.Snapshot{StateVector: crdt.StateVector{{Client: 1, Next: 4}}}
	if _, err := crdt.DocFromSnapshot(d, later, crdt.Options{}); err == nil {
		t.Error("DocFromSnapshot(state of the future) = nil error")
	}
	if _, err := crdt.DocFromSnapshot(crdt.New(crdt.Options{}), crdt.Snapshot{}, crdt.Options{}); err != crdt.ErrCollected {
		t.Errorf("DocFromSnapshot(collecting document) = %v, want ErrCollected", err)
	}
	if restored, err := crdt.DocFromSnapshot(d, crdt.Snapshot{}, crdt.Options{}); err != nil || restored.Text("t") != "" {
		t.Errorf("DocFromSnapshot(zero) = %v, want the empty document", err)
	}
	// A snapshot may cut what was typed later in one run.
	early := crdt.Snapshot{StateVector: crdt.StateVector{{Client: 1, Next: 2}}}
	restored, err := crdt.DocFromSnapshot(d, early, crdt.Options{})
	if err != nil || restored.Text("t") != "ab" {
		t.Errorf("DocFromSnapshot(first two units) = %q, %v, want ab", restored.Text("t"), err)
	}
	if got := d.Stats().Structs; got != 1 {
		t.Errorf("the document has %d structs afterwards, want 1", got)
	}
}

func FuzzDecodeSnapshot(f *testing.F) {
	f.Add([]byte{0, 0}, true)
	f.Add([]byte{1, 5, 2, 0, 3, 7, 1, 1, 5, 9}, true)
	f.Add([]byte{1, 5, 2, 0, 3, 7, 0, 1, 5, 19}, false)
	f.Fuzz(func(t *testing.T, b []byte, first bool) {
		v := crdt.V2
		if first {
			v = crdt.V1
		}
		s, err := crdt.DecodeSnapshot(b, v)
		if err != nil {
			return
		}
		again, err := crdt.DecodeSnapshot(s.Append(nil, v), v)
		if err != nil || !again.Equal(s) {
			t.Errorf("snapshot %v comes back as %v, %v", s, again, err)
		}
	})
}
