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
	var both, neither, stricter, hung, exact int
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
			hung++
		case err != nil && ourErr != nil:
			neither++
		case err != nil:
			t.Errorf("update %d, v%d %x: we accept what yjs refuses: %v", i, version, u, err)
		case ourErr != nil:
			stricter++
		default:
			both++
			if bytes.Equal(got.V1, ours.AppendDiff(nil, nil, crdt.V1)) {
				exact++
			}
			if sv := ours.AppendStateVector(nil); !bytes.Equal(sv, got.SV) {
				t.Errorf("update %d, v%d %x: state vector %x, yjs has %x", i, version, u, sv, got.SV)
				continue
			}
			if readable && !t.Run("view", func(t *testing.T) { checkView(t, ours, got.View) }) {
				t.Errorf("update %d, v%d %x: reads differently", i, version, u)
			}
		}
	}
	t.Logf("seed %d: of %d hostile updates both accept %d (same bytes %d), both refuse %d, only yjs accepts %d, yjs hung on %d",
		seed, *mutantCount, both, exact, neither, stricter, hung)
	if both < *mutantCount/10 || stricter+neither < *mutantCount/10 {
		t.Errorf("both accept %d and we refuse %d of %d: the mutants test too little", both, stricter+neither, *mutantCount)
	}
}
