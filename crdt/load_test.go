package crdt_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// TestLoad loads states into empty documents, which has a way of its own, and
// compares with the way that all other updates go.
func TestLoad(t *testing.T) {
	crdttest.Each(t, crdttest.Fixture(t), "", func(t *testing.T, s *crdttest.Scenario) {
		for _, state := range []crdttest.State{s.Final, s.Untyped, s.NoGC} {
			checkLoad(t, state.V1, crdt.V1)
			checkLoad(t, state.V2, crdt.V2)
		}
		checkLoad(t, s.Shuffled.V1, crdt.V1)
		checkLoad(t, s.Shuffled.Half.V1, crdt.V1) // with what is pending
		checkLoad(t, s.Merged.V1, crdt.V1)
		for _, u := range s.Updates {
			checkLoad(t, u.V1, crdt.V1)
			checkLoad(t, u.V2, crdt.V2)
		}
	})
}

func TestLoadStreams(t *testing.T) {
	for _, info := range crdttest.Streams(t) {
		t.Run(info.Name, func(t *testing.T) {
			s := info.Load(t)
			checkLoad(t, s.V1, crdt.V1)
			checkLoad(t, s.V2, crdt.V2)
			// Nothing is merged or collected in this one.
			all, err := crdt.MergeUpdates(crdt.V1, s.Updates[:min(len(s.Updates), 20_000)]...)
			if err != nil {
				t.Fatal(err)
			}
			checkLoad(t, all, crdt.V1)
		})
	}
}

// TestLoadCircle applies a state in which a block waits for a later one of its author.
func TestLoadCircle(t *testing.T) {
	u := new(forge).uint(2, 2, 20, 0).raw(cString|withLeft).uint(10, 0).str("a").raw(cString).uint(1).str("t").str("b").
		uint(1, 10, 0).raw(cString|withLeft).uint(20, 1).str("c").end()
	if checkLoad(t, u, crdt.V1) {
		t.Error("a state that goes round in a circle came in")
	}
}

// TestLoadCollected applies a state with collected ranges side by side, which
// become one in the document and stay apart in what waits for a third author.
func TestLoadCollected(t *testing.T) {
	for _, waits := range []uint64{10, 9} {
		u := new(forge).uint(2, 5, 20, 0).raw(cGC).uint(1).raw(cGC).uint(2).
			raw(cString|withLeft).uint(waits, 0).str("b").raw(cGC).uint(3).raw(cGC).uint(1).
			uint(3, 10, 0).raw(cString).uint(1).str("t").str("a").raw(cGC).uint(1).raw(cGC).uint(1).end()
		checkLoad(t, u, crdt.V1)
		v2, err := crdt.ConvertUpdate(u, crdt.V1, crdt.V2)
		if err != nil {
			t.Fatal(err)
		}
		checkLoad(t, v2, crdt.V2)
		d := crdt.New(crdt.Options{})
		if _, err := d.Apply(u, crdt.V1); err != nil {
			t.Fatal(err)
		}
		want := 5 // a, its author's range, and the other's three
		if waits == 9 {
			want = 3
		}
		if got := d.Stats().Structs; got != want {
			t.Errorf("%d structs where b waits for %d, want %d", got, waits, want)
		}
	}
}

// TestLoadNested applies a state in which a type that comes behind something lies too deep.
func TestLoadNested(t *testing.T) {
	u := one(3, 20, 0).raw(cType).uint(1).str("t").uint(0).raw(cString).uint(0, 20, 0).str("a").raw(cType|withLeft).uint(20, 1, 0).end()
	for limit := range 3 {
		o := crdt.Options{ClientID: 99, Limits: crdt.Limits{Types: 1 + limit}}
		checkWays(t, o, u, crdt.V1)
		if _, err := crdt.New(o).Apply(u, crdt.V1); (err == nil) != (limit > 0) {
			t.Errorf("Apply in a document of %d types at most = %v", 1+limit, err)
		}
	}
}

// TestLoadCost applies a state whose client 20 writes often beside the first of
// many characters of client 10, which are one run in the general way and cost
// nothing there.
func TestLoadCost(t *testing.T) {
	const length, n = 500, 100
	f := new(forge).uint(2, n+1, 20, 0)
	f.raw(cString|withLeft).uint(10, length).str("z")
	f.raw(cString|withLeft).uint(10, 0).str("b")
	for i := range uint64(n - 1) {
		f.raw(cString|withLeft|withRight).uint(10, 0, 20, i+1).str("b")
	}
	f.uint(length+1, 10, 0).raw(cString).uint(1).str("t").str("x")
	for i := range uint64(length) {
		f.raw(cString|withLeft).uint(10, i).str("a")
	}
	u := f.end()
	limits := crdt.Limits{Steps: length * (n - 10)}
	for _, types := range []map[string]crdt.Kind{nil, {"nothing in here": crdt.Text}} {
		d := crdt.New(crdt.Options{Limits: limits, Types: types})
		if _, err := d.Apply(u, crdt.V1); err != nil || len(d.Text("t")) != length+n+2 {
			t.Errorf("Apply in a document of types %v = %v, text of %d bytes, want %d", types, err, len(d.Text("t")), length+n+2)
		}
	}
}

// TestLoadFar applies a state in which one author names the ends of many short
// structs of another that lie close together behind a long one.
func TestLoadFar(t *testing.T) {
	const n, names, long = 32_000, 450_000, 1 << 31
	f := new(forge).uint(2, names, 20, 0)
	for i := range uint64(names) {
		f.raw(cString).uint(0, 10, long+n-1-i%n).str("b")
	}
	f.uint(n+1, 10, 0).raw(cGC).uint(long)
	for range n {
		f.raw(cType).uint(1).str("t").uint(0)
	}
	u := f.end()
	start := cpuTime(t)
	if _, err := crdt.New(crdt.Options{}).Apply(u, crdt.V1); err != nil {
		t.Errorf("Apply = %v", err)
	}
	if took := cpuTime(t) - start; took > 3*time.Second { // half a second as a rule
		t.Errorf("took %v, want less than 3 s", took)
	}
}

// TestLoadRandom applies whole states whose structs name each other at random.
func TestLoadRandom(t *testing.T) {
	seed := crdttest.Seed(t, 1)
	whole := 0
	for round := range uint64(3000) {
		d := dealerOf(rand.New(rand.NewPCG(seed, round)))
		if checkLoad(t, d.state(), crdt.V1) {
			whole++
		}
		checkLoad(t, d.update(), crdt.V1)
		if t.Failed() {
			t.Fatalf("seed %d, round %d", seed, round)
		}
	}
	if whole < 300 {
		t.Errorf("%d of 3000 states fit together, want 300", whole)
	}
}

// state writes an update of format 1 that holds all clocks from 0. One unit is
// one clock, so that most of what it names is there.
func (d dealer) state() []byte {
	f := new(forge)
	lengths := make([]int, 1+d.next(3))
	for c := range lengths {
		lengths[c] = 1 + d.next(5)
	}
	f.uint(uint64(len(lengths)))
	for c, n := range lengths {
		f.uint(uint64(n), uint64(c+1), 0)
		for k := range n {
			d.unit(f, lengths, c, k)
		}
	}
	deletes := d.next(len(lengths) + 1)
	f.uint(uint64(deletes))
	for c := range deletes {
		f.uint(uint64(c+1), 1, uint64(d.next(lengths[c])), 1)
	}
	return f.b
}

// unit writes struct k of client c+1, one unit long.
func (d dealer) unit(f *forge, lengths []int, c, k int) {
	kind := byte(d.pick(cGC, cDeleted, cString, cString, cString, cFormat, cType, cAny))
	if kind == cGC {
		f.raw(cGC).uint(1)
		return
	}
	id := func() { // another unit, an earlier one if it is the same client's
		other := d.next(len(lengths))
		if other == c && k == 0 {
			other = (c + 1) % len(lengths)
		}
		switch {
		case other != c:
			f.uint(uint64(other+1), uint64(d.next(lengths[other])))
		case k > 0:
			f.uint(uint64(c+1), uint64(d.next(k)))
		default:
			f.uint(9, 0) // nobody's
		}
	}
	origins := byte(d.pick(0, withLeft, withRight, withLeft|withRight))
	key := byte(0)
	if origins == 0 {
		key = byte(d.pick(0, withKey))
	}
	f.raw(kind | origins | key)
	if origins&withLeft != 0 {
		id()
	}
	if origins&withRight != 0 {
		id()
	}
	if origins == 0 {
		if d.next(3) > 0 {
			f.uint(1).str("t")
		} else {
			f.uint(0)
			id()
		}
		if key != 0 {
			f.str("k")
		}
	}
	switch kind {
	case cDeleted:
		f.uint(1)
	case cString:
		f.str("x")
	case cFormat:
		f.str("b").str("true")
	case cType:
		f.uint(d.pick(0, 1, 2))
	case cAny:
		f.uint(1).raw(values[1]...)
	}
}

// FuzzLoad compares the ways into an empty document.
func FuzzLoad(f *testing.F) {
	state := base(f)
	addSeeds(f, state)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, u := range [][]byte{dealt(data, state), dealerFrom(data).state()} {
			checkLoad(t, u, crdt.V1)
			checkPlain(t, u, crdt.Limits{})
			checkPlain(t, append(u, make([]byte, 64)...), crdt.Limits{})
		}
	})
}

// checkLoad brings a state into empty documents and tells whether that went well.
func checkLoad(t *testing.T, state []byte, v crdt.Version) bool {
	t.Helper()
	ok := checkWays(t, crdt.Options{ClientID: 99}, state, v)
	return checkWays(t, crdt.Options{ClientID: 99, KeepDeleted: true}, state, v) && ok
}

// checkWays compares Load and Apply with the same on documents that do not go
// the short way: one is watched, one has a text that may have formats to tidy up.
func checkWays(t *testing.T, o crdt.Options, state []byte, v crdt.Version) (ok bool) {
	t.Helper()
	ok = true
	typed := o
	typed.Types = map[string]crdt.Kind{"nothing in here": crdt.Text}
	for name, bring := range map[string]func(*crdt.Doc, []byte, crdt.Version) (crdt.Applied, error){
		"Load": (*crdt.Doc).Load, "Apply": (*crdt.Doc).Apply,
	} {
		d, watched := crdt.New(o), crdt.New(o)
		watched.Observe(crdt.Observer{})
		got, gotErr := bring(d, state, v)
		ok = ok && gotErr == nil && got.Changed
		for _, other := range []*crdt.Doc{watched, crdt.New(typed)} {
			want, wantErr := bring(other, state, v)
			if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
				t.Fatalf("%s(%s) = %v, want %v", name, short(state), gotErr, wantErr)
			}
			if got.Changed != want.Changed || !bytes.Equal(got.Update, want.Update) || got.Missing != nil {
				t.Errorf("%s(%s) = %+v, want %+v", name, short(state), got, want)
			}
			for _, w := range []crdt.Version{crdt.V1, crdt.V2} {
				if diff := crdttest.DiffBytes(other.AppendDiff(nil, nil, w), d.AppendDiff(nil, nil, w)); diff != "" {
					t.Errorf("state v%d after %s(%s): %s", w, name, short(state), diff)
				}
			}
		}
		if err := d.Check(); err != nil {
			t.Errorf("after %s(%s): %v", name, short(state), err)
		}
	}
	return ok
}

// short returns an update for a failure text, or its length when it is long.
func short(u []byte) string {
	if len(u) > 500 {
		return fmt.Sprintf("%d bytes", len(u))
	}
	return fmt.Sprintf("%x", u)
}
