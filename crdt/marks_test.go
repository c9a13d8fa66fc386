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
