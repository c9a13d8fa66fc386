package crdt_test

import (
	"testing"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// TestAllocations: encoding a state, and the updates that servers receive most, allocate nothing.
func TestAllocations(t *testing.T) {
	for _, info := range crdttest.Streams(t) {
		if info.Name != "friendsforever" {
			continue
		}
		s := info.Load(t)
		d := crdt.New(crdt.Options{})
		if _, err := d.Load(s.V1, crdt.V1); err != nil {
			t.Fatal(err)
		}
		dst := make([]byte, 0, 2*len(s.V1))
		encode := func() { dst = d.AppendDiff(dst[:0], nil, crdt.V1) }
		if n := testing.AllocsPerRun(10, encode); n != 0 {
			t.Errorf("AppendDiff allocates %v times, want 0", n)
		}
	}
	// A writer who types one character after the other.
	typed := make([][]byte, 2001)
	typed[0] = one(1, 9, 0).raw(cString).uint(1).str("text").str("a").end()
	for i := uint64(1); i < uint64(len(typed)); i++ {
		typed[i] = one(1, 9, i).raw(cString|withLeft).uint(9, i-1).str("a").end()
	}
	d, i := crdt.New(crdt.Options{}), 0
	apply := func() {
		if _, err := d.Apply(typed[i], crdt.V1); err != nil {
			t.Fatal(err)
		}
		i++
	}
	apply()
	if n := testing.AllocsPerRun(len(typed)-2, apply); n != 0 {
		t.Errorf("Apply of a typed character allocates %v times on average, want 0", n)
	}
}
