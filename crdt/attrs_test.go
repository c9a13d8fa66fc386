package crdt_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weft/crdt"
)

// TestManyFormats: a text with a format of its own for each character costs in
// proportion to what is written and read, not to its square.
func TestManyFormats(t *testing.T) {
	const n = 20_000
	f := one(2*n+1, 9, 0).raw(cType).uint(1).str("text").raw(2)
	f.raw(cFormat).uint(0, 9, 0).str("k0").str("true")
	for i := 1; i < n; i++ {
		f.raw(cFormat|withLeft).uint(9, uint64(i)).str(fmt.Sprint("k", i)).str("true")
	}
	for i := range n {
		f.raw(cString|withLeft).uint(9, uint64(n+i)).str("x")
	}
	start := cpuTime(t)
	d := crdt.New(crdt.Options{ClientID: 1, Types: map[string]crdt.Kind{"text": crdt.Array}})
	if _, err := d.Apply(f.end(), crdt.V1); err != nil {
		t.Fatal(err)
	}
	d.View(func(tx *crdt.Tx) {
		v, _ := tx.Array("text").Get(0)
		x := v.(crdt.SharedText)
		ops := x.Delta()
		if len(ops) != 1 || ops[0].Insert != strings.Repeat("x", n) || len(ops[0].Attributes) != n {
			t.Errorf("Delta = %d ops", len(ops))
		}
		if got := len(x.DeltaAt(crdt.DeltaOptions{})); got != 1 {
			t.Errorf("DeltaAt = %d ops, want 1", got)
		}
	})
	if _, err := d.Edit(func(tx *crdt.Tx) error {
		v, _ := tx.Array("text").Get(0)
		return v.(crdt.SharedText).InsertFormatted(n, "y", crdt.Format{Name: "k5", Value: true})
	}); err != nil {
		t.Fatal(err)
	}
	if took := cpuTime(t) - start; took > 20*time.Second { // half a second as a rule
		t.Errorf("took %v", took)
	}
	if err := d.Check(); err != nil {
		t.Error(err)
	}
}
