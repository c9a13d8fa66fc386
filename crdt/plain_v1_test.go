package crdt_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// padding ends an update with deleted ranges, so that plainV1 does not leave a short update alone.
func padding(f *forge) []byte { return f.uint(1, 7, 20).raw(bytes.Repeat([]byte{0, 1}, 20)...).b }

// TestPlain decodes structs that only just are, or are not, of the kinds that
// are read straight from the bytes.
func TestPlain(t *testing.T) {
	const left, both = cDeleted | withLeft, cDeleted | withLeft | withRight
	long := []byte{0x85, 0x80, 0x00} // 5, not in its shortest form
	for _, c := range []struct {
		name string
		f    *forge
	}{
		{"collected", one(2, 7, 0).raw(cGC).uint(1).raw(cGC).uint(2)},
		{"collected, origin", one(1, 7, 0).raw(cGC|withLeft).uint(7, 0, 1)},
		{"behind", one(1, 7, 3).raw(left).uint(7, 2, 1)},
		{"before", one(1, 7, 3).raw(cDeleted|withRight).uint(7, 2, 1)},
		{"between", one(2, 7, 9).raw(both).uint(7, 2, 8, 300, 1).raw(both).uint(8, 3, 7, 1, 70)},
		{"key", one(1, 7, 3).raw(left|withKey).uint(7, 2, 1)},
		{"no origin", one(1, 7, 3).raw(cDeleted | withKey).uint(1).str("r").str("k").uint(1)},
		{"other kind", one(1, 7, 3).raw(17|withLeft).uint(7, 2, 1)},
		{"gap with origin", one(1, 7, 3).raw(cSkip|withLeft).uint(7, 2, 1)},
		{"empty", one(1, 7, 3).raw(left).uint(7, 2, 0)},
		{"empty text", one(1, 7, 3).raw(cString|withLeft).uint(7, 2, 0)},
		{"text", one(2, 7, 3).raw(cString|withLeft).uint(7, 2).str("ab").raw(cString|withRight).uint(7, 2).str("wö😀")},
		{"no text", one(1, 7, 3).raw(cString|withLeft).uint(7, 2, 3).raw(0xff, 0xfe, 0xfd)},
		{"more text than there is", one(1, 7, 3).raw(cString|withLeft).uint(7, 2, 4000)},
		{"itself", one(1, 7, 3).raw(left).uint(7, 3, 1)},
		{"right of itself", one(1, 7, 3).raw(both).uint(7, 2, 7, 4, 1)},
		{"large client", one(1, 7, 3).raw(left).uint(1<<48, 2, 1)},
		{"larger client", one(1, 7, 3).raw(left).uint(1<<53-1, 2, 1)},
		{"client that begins like another", one(2, 7, 3).raw(left).uint(1, 2, 1).raw(left).uint(129, 2, 1)},
		{"client that begins like another of its length", one(2, 7, 3).raw(left).uint(129, 2, 1).raw(left).uint(257, 2, 1)},
		{"clock of four bytes", one(1, 7, 3).raw(left).uint(8, 1<<28-1, 1)},
		{"clock of five bytes", one(1, 7, 3).raw(left).uint(8, 1<<28, 1)},
		{"length of five bytes", one(2, 7, 3).raw(left).uint(8, 1, 1<<28).raw(cGC).uint(1)},
		{"last clock", one(1, 7, 1<<32-3).raw(left).uint(8, 1, 1)},
		{"too large a clock", one(1, 7, 1<<32-2).raw(left).uint(8, 1, 1)},
		{"long client", one(1, 7, 3).raw(left).raw(long...).uint(1, 1)},
		{"long clock", one(1, 7, 3).raw(left).uint(8).raw(long...).uint(1)},
		{"long length", one(1, 7, 3).raw(left).uint(8, 1).raw(long...)},
		{"too many", one(6, 7, 3).raw(bytes.Repeat([]byte{cGC, 1}, 6)...)},
		{"too many clients", one(2, 7, 3).raw(both).uint(1, 1, 2, 1, 1).raw(both).uint(3, 1, 4, 1, 1)},
		{"too many clients, then worse", one(3, 7, 3).raw(both).uint(1, 1, 2, 1, 1).raw(both).uint(3, 1, 4, 1, 1).raw(left).uint(1, 1, 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkPlain(t, padding(c.f), crdt.Limits{Structs: 5, Clients: 4})
		})
	}
}

// TestPlainStates decodes recorded states, whole and with bytes changed at random.
func TestPlainStates(t *testing.T) {
	seed := crdttest.Seed(t, 1)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, info := range crdttest.Streams(t) {
		checkPlain(t, info.Load(t).V1, crdt.Limits{Structs: 1 << 20})
	}
	crdttest.Each(t, crdttest.Fixture(t), "", func(t *testing.T, s *crdttest.Scenario) {
		for _, state := range []crdttest.State{s.Final, s.NoGC} {
			checkPlain(t, state.V1, crdt.Limits{})
			for range 50 {
				u := bytes.Clone(state.V1)
				for range 1 + r.IntN(3) {
					u[r.IntN(len(u))] = byte(r.IntN(256))
				}
				checkPlain(t, u, crdt.Limits{})
			}
		}
	})
}

func checkPlain(t *testing.T, u []byte, lim crdt.Limits) {
	t.Helper()
	for _, join := range []bool{false, true} {
		if got, want := crdt.DecodeBothWays(u, lim, join); got != want {
			t.Errorf("decode(%s), joining %t = %s, want %s", short(u), join, cut(got), cut(want))
		}
	}
}

// cut shortens what was decoded for a failure text.
func cut(s string) string {
	if len(s) > 1000 {
		return fmt.Sprintf("%s... (%d bytes)", s[:1000], len(s))
	}
	return s
}
