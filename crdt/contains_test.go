package crdt_test

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// contains asks the three ways to tell whether an update is known already.
func contains(t *testing.T, d *crdt.Doc, update []byte) bool {
	t.Helper()
	inDoc, err := d.Contains(update, crdt.V1)
	if err != nil {
		t.Fatalf("Doc.Contains(%x) = %v", update, err)
	}
	inSnapshot, err := d.Snapshot().Contains(update, crdt.V1)
	if err != nil || inSnapshot != inDoc {
		t.Fatalf("Snapshot.Contains(%x) = %v, %v, want %v", update, inSnapshot, err, inDoc)
	}
	inState, err := crdt.UpdateContains(d.AppendDiff(nil, nil, crdt.V1), update, crdt.V1)
	if err != nil || inState != inDoc {
		t.Fatalf("UpdateContains(state, %x) = %v, %v, want %v", update, inState, err, inDoc)
	}
	return inDoc
}

// TestContains applies what authors wrote in another order and asks before
// each whether it is new; what Apply says it did is the judge.
func TestContains(t *testing.T) {
	seed := crdttest.Seed(t, 1)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var updates [][]byte
	docs := []*crdt.Doc{crdt.New(crdt.Options{ClientID: 1}), crdt.New(crdt.Options{ClientID: 2})}
	for range 120 {
		d := docs[rnd.IntN(2)]
		u, err := d.Edit(func(tx *crdt.Tx) error { return randomEdit(tx, rnd) })
		if err != nil {
			t.Fatal(err)
		}
		if u == nil {
			continue
		}
		updates = append(updates, u)
		for _, o := range docs {
			if _, err := o.Apply(u, crdt.V1); err != nil {
				t.Fatal(err)
			}
		}
	}
	d := crdt.New(crdt.Options{ReturnPending: true})
	known := 0
	for i, u := range updates {
		for range 2 {
			was := contains(t, d, u)
			a, err := d.Apply(u, crdt.V1)
			if err != nil {
				t.Fatal(err)
			}
			if was == a.Changed {
				t.Fatalf("Contains(update %d) = %v, but Apply changed the document: %v", i, was, a.Changed)
			}
			if was {
				known++
			}
			if rnd.IntN(2) == 0 {
				u = updates[rnd.IntN(i+1)]
			}
		}
	}
	if known == 0 {
		t.Error("no update was known")
	}
	all, err := crdt.MergeUpdates(crdt.V1, updates...)
	if err != nil || !contains(t, d, all) {
		t.Errorf("Contains(all) = false, %v, want true", err)
	}
	if empty := crdt.New(crdt.Options{}); contains(t, empty, all) || !contains(t, empty, []byte{0, 0}) {
		t.Error("an empty document contains an update, or not the empty one")
	}
}

// TestContainsDeletion tells a deletion apart that the writing already knows.
func TestContainsDeletion(t *testing.T) {
	a := crdt.New(crdt.Options{ClientID: 1})
	write, err := a.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Insert(0, "abcd") })
	if err != nil {
		t.Fatal(err)
	}
	b := crdt.New(crdt.Options{})
	if _, err := b.Apply(write, crdt.V1); err != nil {
		t.Fatal(err)
	}
	var cuts [][]byte
	for range 2 {
		cut, err := a.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Delete(1, 1) })
		if err != nil {
			t.Fatal(err)
		}
		cuts = append(cuts, cut)
	}
	if contains(t, b, cuts[0]) {
		t.Error("Contains(deletion) = true before it was applied")
	}
	if _, err := b.Apply(cuts[0], crdt.V1); err != nil {
		t.Fatal(err)
	}
	both, err := crdt.MergeUpdates(crdt.V1, cuts...)
	if err != nil {
		t.Fatal(err)
	}
	if !contains(t, b, cuts[0]) || contains(t, b, cuts[1]) || contains(t, b, both) {
		t.Error("Contains mistakes one deletion for another")
	}
}

// TestContainsHostile asks about updates that unfold: refusing one costs little
// memory, and a document refuses what it would not apply.
func TestContainsHostile(t *testing.T) {
	d := load(t, crdt.Options{}, base(t))
	state := d.AppendDiff(nil, nil, crdt.V2)
	for name, update := range map[string][]byte{
		"collected": collectedRun(100_000_000),
		"deleted":   append(deletedRun(400_000), 0),
	} {
		for way, ask := range map[string]func() (bool, error){
			"document": func() (bool, error) { return d.Contains(update, crdt.V2) },
			"snapshot": func() (bool, error) { return d.Snapshot().Contains(update, crdt.V2) },
			"update":   func() (bool, error) { return crdt.UpdateContains(state, update, crdt.V2) },
			"state":    func() (bool, error) { return crdt.UpdateContains(update, state, crdt.V2) },
		} {
			t.Run(name+"/"+way, func(t *testing.T) {
				var m0, m1 runtime.MemStats
				runtime.ReadMemStats(&m0)
				known, err := ask()
				runtime.ReadMemStats(&m1)
				if known || !errors.Is(err, crdt.ErrInvalid) && !errors.Is(err, crdt.ErrLimit) {
					t.Errorf("Contains = %v, %v, want an error", known, err)
				}
				// Half of what a growing slice allocates is held at its end.
				if got, most := m1.TotalAlloc-m0.TotalAlloc, uint64(2*(8*len(update)+16<<20)); got > most {
					t.Errorf("allocated %d bytes, want at most %d", got, most)
				}
			})
		}
	}
	small := crdt.New(crdt.Options{Limits: crdt.Limits{Structs: 10}})
	if _, err := small.Contains(state, crdt.V2); !errors.Is(err, crdt.ErrLimit) {
		t.Errorf("Contains(state) beyond the limits of the document = %v, want ErrLimit", err)
	}
}
