package crdt_test

import (
	"errors"
	"slices"
	"testing"

	"weft/crdt"
)

func TestUpdateBounds(t *testing.T) {
	update, err := crdt.MergeUpdates(crdt.V1,
		one(1, 5, 3).raw(cString|withLeft).uint(5, 2).str("ab").end(),
		one(1, 5, 9).raw(cString|withLeft).uint(5, 8).str("c").end(),
		text(8, "xyz"), gone(7, 0, 1),
	)
	if err != nil {
		t.Fatal(err)
	}
	wantFrom := crdt.StateVector{{Client: 8, Next: 0}, {Client: 5, Next: 3}}
	wantTo := crdt.StateVector{{Client: 8, Next: 3}, {Client: 5, Next: 10}}
	for _, v := range []crdt.Version{crdt.V1, crdt.V2} {
		u := update
		if v == crdt.V2 {
			if u, err = crdt.ConvertUpdate(update, crdt.V1, crdt.V2); err != nil {
				t.Fatal(err)
			}
		}
		from, to, err := crdt.UpdateBounds(u, v)
		if err != nil || !slices.Equal(from, wantFrom) || !slices.Equal(to, wantTo) {
			t.Errorf("UpdateBounds(v%d) = %v, %v, %v, want %v, %v", v, from, to, err, wantFrom, wantTo)
		}
	}
	if _, _, err := crdt.UpdateBounds([]byte{1}, crdt.V1); !errors.Is(err, crdt.ErrInvalid) {
		t.Errorf("UpdateBounds(broken) = %v, want ErrInvalid", err)
	}
}
