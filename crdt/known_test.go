package crdt_test

import (
	"testing"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// TestKnownHalves: a peer that cut a surrogate pair sends what is known here
// with the pair whole. What is deleted but kept is then cut here too, as in yjs; what is visible is not changed by news that bring none.
func TestKnownHalves(t *testing.T) {
	write := one(1, 5, 0).raw(cString).uint(1).str("t").str("a😀b").end()
	remove := new(forge).uint(0, 1, 5, 1, 0, 4).b
	halves := one(2, 5, 0).raw(cString).uint(1).str("t").str("a�").
		raw(cString|withLeft).uint(5, 1).str("�b").end()
	judge := crdttest.NewJudge(t)
	for name, c := range map[string]struct {
		updates [][]byte
		asYjs   bool
	}{
		"deleted": {[][]byte{write, remove, halves}, true},
		"visible": {[][]byte{write, halves}, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := crdt.New(crdt.Options{KeepDeleted: true})
			for i, u := range c.updates {
				a, err := d.Apply(u, crdt.V1)
				if err != nil || a.Changed != (i < len(c.updates)-1) {
					t.Fatalf("Apply(update %d) = %+v, %v", i, a, err)
				}
			}
			v, err := judge.Apply(crdttest.Question{Updates: c.updates, Version: 1, KeepGC: true})
			if err != nil {
				t.Fatal(err)
			}
			diff := crdttest.DiffBytes(v.V1, d.AppendDiff(nil, nil, crdt.V1))
			if c.asYjs && diff != "" {
				t.Errorf("state: %s", diff)
			}
			if !c.asYjs && d.Text("t") != "a😀b" {
				t.Errorf("Text = %q, want it as it was", d.Text("t"))
			}
		})
	}
}
