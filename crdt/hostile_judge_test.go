package crdt_test

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"weft/crdt"
	"weft/crdt/crdttest"
)

var mutantCount = flag.Int("mutants", 3000, "number of hostile updates that TestHostileOracle shows to yjs")

// TestHostileOracle sends updates that no honest peer would write to yjs and
// to us. What both accept they must make the same of; what yjs throws on we
// must refuse; what we refuse and yjs takes is counted.
func TestHostileOracle(t *testing.T) {
	judge := crdttest.NewJudge(t)
	judge.Limit = 5 * time.Second
	seed := crdttest.Seed(t, 1)
	r := rand.New(rand.NewPCG(seed, 2))
	d := dealerOf(r)
	state := base(t)
	var seen [outcomes]int
	exact := 0
	for i := range *mutantCount {
		u := d.update()
		if i%3 == 0 {
			u = d.damage(u)
		}
		version := crdt.V1
		if i%4 == 1 {
			if c, err := crdt.ConvertUpdate(u, crdt.V1, crdt.V2); err == nil {
				u, version = c, crdt.V2
				if i%8 == 1 {
					u = d.damage(u)
				}
			}
		}
		o, same := checkJudged(t, judge, state, u, version)
		seen[o]++
		if same {
			exact++
		}
	}
	t.Logf("seed %d: of %d hostile updates both accept %d (same bytes %d), both refuse %d, only yjs accepts %d, yjs hung on %d",
		seed, *mutantCount, seen[bothAccept], exact, seen[bothRefuse], seen[onlyYjs], seen[yjsHung])
	if seen[bothAccept] < *mutantCount/10 || seen[onlyYjs]+seen[bothRefuse] < *mutantCount/10 {
		t.Errorf("both accept %d and we refuse %d of %d: the mutants test too little", seen[bothAccept], seen[onlyYjs]+seen[bothRefuse], *mutantCount)
	}
}

// outcome is what became of an update that yjs and we were given.
type outcome int

const (
	bothAccept outcome = iota
	bothRefuse
	onlyYjs
	onlyWe // an error of the test
	yjsHung
	outcomes
)

// checkJudged gives an update to a typed document with a V1 state, here and in
// yjs, and compares what both accept; same tells that the bytes are equal too.
func checkJudged(t *testing.T, judge *crdttest.Judge, state, u []byte, version crdt.Version) (o outcome, same bool) {
	t.Helper()
	first := state
	if version == crdt.V2 {
		first, _ = crdt.ConvertUpdate(state, crdt.V1, crdt.V2)
	}
	ours := crdt.New(crdt.Options{Types: roots})
	if _, err := ours.Apply(first, version); err != nil {
		t.Fatalf("Apply(base) = %v", err)
	}
	_, ourErr := ours.Apply(u, version)
	q := crdttest.Question{Updates: [][]byte{first, u}, Version: int(version), Typed: true, View: true}
	got, err := judge.Apply(q)
	readable := err == nil
	if err != nil && ourErr == nil {
		// Some of what yjs applies it cannot show, such as null as a child of XML.
		q.View = false
		got, err = judge.Apply(q)
	}
	switch {
	case errors.Is(err, crdttest.ErrHung):
		return yjsHung, false
	case err != nil && ourErr != nil:
		return bothRefuse, false
	case err != nil:
		t.Errorf("v%d %x: we accept what yjs refuses: %v", version, u, err)
		return onlyWe, false
	case ourErr != nil:
		return onlyYjs, false
	}
	if sv := ours.AppendStateVector(nil); !bytes.Equal(sv, got.SV) {
		t.Errorf("v%d %x: state vector %x, yjs has %x", version, u, sv, got.SV)
		return bothAccept, false
	}
	if failed := t.Failed(); readable {
		checkView(t, ours, got.View)
		if !failed && t.Failed() {
			t.Errorf("v%d %x: reads differently", version, u)
		}
	}
	return bothAccept, bytes.Equal(got.V1, ours.AppendDiff(nil, nil, crdt.V1))
}

// TestTypedAndCutOracle has one message go on with a run of text and then name an origin
// in it that lies at or behind the right origin. To yjs, which merges at the
// end of a transaction, they are in different items.
func TestTypedAndCutOracle(t *testing.T) {
	judge := crdttest.NewJudge(t)
	typed := func(n, first uint64) *forge { // client 3 writes n characters one by one
		f := new(forge)
		for i := range n {
			if first+i == 0 {
				f.raw(cString).uint(1).str("text")
			} else {
				f.raw(cString|withLeft).uint(3, first+i-1)
			}
			f.str(string(rune('a' + first + i)))
		}
		return f
	}
	between := func(origin, ror uint64) *forge { // client 1
		return new(forge).uint(1, 1, 0).raw(cString|withLeft|withRight).uint(3, origin, 3, ror).str("y")
	}
	for first := range uint64(3) {
		for n := uint64(1); n <= 4; n++ {
			for origin := range first + n {
				for ror := range first + n {
					var updates [][]byte
					if first > 0 {
						updates = append(updates, new(forge).uint(1, first, 3, 0).raw(typed(first, 0).b...).end())
					}
					updates = append(updates, new(forge).uint(2, n, 3, first).raw(typed(n, first).b...).raw(between(origin, ror).b...).end())
					checkText(t, judge, updates)
				}
			}
		}
	}
	checkText(t, judge, [][]byte{one(5, 1, 0).raw(cString).uint(1).str("text").str("x").raw(cString|withLeft).uint(1, 0).str("x").raw(cGC).uint(1).
		raw(cFormat|withLeft|withRight).uint(1, 1, 1, 1).str("b").str("true").raw(cString|withLeft|withRight).uint(1, 3, 1, 2).str("x").
		uint(1, 1, 1, 3, 1).b})
	// What client 3 goes on with waits with the one that names it.
	checkText(t, judge, [][]byte{
		new(forge).uint(2, 2, 3, 1).raw(typed(2, 1).b...).raw(between(2, 1).b...).end(),
		one(1, 3, 0).raw(typed(1, 0).b...).end(),
	})
	// Only the one that names it waits, for a client that comes in the same message.
	checkText(t, judge, [][]byte{
		new(forge).raw(1).raw(between(2, 1).b...).end(),
		one(3, 3, 0).raw(typed(3, 0).b...).end(),
	})
}

// checkText applies updates here, typed, untyped and watched, and in yjs, and compares the states.
func checkText(t *testing.T, judge *crdttest.Judge, updates [][]byte) {
	t.Helper()
	want, err := judge.Apply(crdttest.Question{Updates: updates, Version: 1, Typed: true})
	if err != nil {
		t.Fatalf("yjs: %x: %v", updates, err)
	}
	untyped, err := judge.Apply(crdttest.Question{Updates: updates, Version: 1})
	if err != nil {
		t.Fatalf("yjs: %x: %v", updates, err)
	}
	watched := crdt.New(crdt.Options{})
	watched.Observe(crdt.Observer{})
	for _, c := range []struct {
		name string
		d    *crdt.Doc
		want []byte
	}{
		{"typed", crdt.New(crdt.Options{Types: roots}), want.V1},
		{"untyped", crdt.New(crdt.Options{}), untyped.V1},
		{"watched", watched, untyped.V1},
	} {
		for _, u := range updates {
			if _, err := c.d.Apply(u, crdt.V1); err != nil {
				t.Fatalf("Apply(%x) = %v", u, err)
			}
		}
		if got := c.d.AppendDiff(nil, nil, crdt.V1); !bytes.Equal(got, c.want) {
			t.Errorf("%s document after %x = %x, text %q, want %x", c.name, updates, got, c.d.Text("text"), c.want)
		}
	}
}

// FuzzYjs has yjs judge what both accept. A hundred updates a second are what
// its process takes.
func FuzzYjs(f *testing.F) {
	state := base(f)
	addSeeds(f, state)
	judge := crdttest.NewJudge(f)
	judge.Limit = 5 * time.Second
	f.Fuzz(func(t *testing.T, data []byte) {
		u, version := dealt(data, state), crdt.V1
		if len(data)%4 == 3 {
			if c, err := crdt.ConvertUpdate(u, crdt.V1, crdt.V2); err == nil {
				u, version = c, crdt.V2
			}
		}
		checkJudged(t, judge.For(t), state, u, version)
	})
}
