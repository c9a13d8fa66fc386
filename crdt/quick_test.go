package crdt_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// TestQuick applies sessions to two documents. Somebody who looks on keeps one
// of them from the short ways of frequent updates.
func TestQuick(t *testing.T) {
	for _, info := range crdttest.Streams(t) {
		t.Run(info.Name, func(t *testing.T) {
			updates := info.Load(t).Updates
			checkTwins(t, updates[:min(len(updates), 12_000)], 3_000)
		})
	}
	crdttest.Each(t, crdttest.Fixture(t), "", func(t *testing.T, s *crdttest.Scenario) {
		updates := make([][]byte, len(s.Updates))
		for i, u := range s.Updates {
			updates[i] = u.V1
		}
		checkTwins(t, updates, 10)
	})
}

// TestQuickTyping types and deletes backwards in two documents that exchange
// what they do, with some characters outside ASCII between.
func TestQuickTyping(t *testing.T) {
	seed := crdttest.Seed(t, 1)
	for round := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, round))
		docs := []*crdt.Doc{crdt.New(crdt.Options{ClientID: 1}), crdt.New(crdt.Options{ClientID: 1 << 40})}
		at := []int{0, 0}
		var updates [][]byte
		for range 300 {
			n := r.IntN(2)
			u, err := docs[n].Edit(func(tx *crdt.Tx) error {
				text := tx.Text("t")
				if at[n] > text.Len() || r.IntN(10) == 0 {
					at[n] = r.IntN(text.Len() + 1)
				}
				if k := r.IntN(3); k > 0 && k <= at[n] && r.IntN(2) == 0 {
					at[n] -= k
					return text.Delete(at[n], k)
				}
				word := [...]string{"a", "bc", "def", "\u00e9", "\U0001f600", "word "}[r.IntN(6)]
				err := text.Insert(at[n], word)
				at[n] += len([]rune(word))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if u == nil {
				continue
			}
			updates = append(updates, u)
			if r.IntN(3) > 0 {
				if _, err := docs[1-n].Apply(u, crdt.V1); err != nil {
					t.Fatal(err)
				}
			}
		}
		checkTwins(t, updates, 20)
	}
}

// TestQuickInsideView applies what would go a short way while somebody reads.
func TestQuickInsideView(t *testing.T) {
	hello := one(1, 1, 0).raw(cString).uint(1).str("t").str("hello").end()
	deletes := func(clock uint64) []byte { return new(forge).uint(0, 1, 1, 1, clock, 1).b }
	for _, c := range []struct {
		name          string
		before, quick []byte
	}{
		{"typed", nil, one(1, 1, 5).raw(cString|withLeft).uint(1, 4).str("!").end()},
		{"deleted the end", deletes(4), deletes(3)},
		{"deleted the start", deletes(0), deletes(1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := load(t, crdt.Options{}, hello)
			if c.before != nil {
				if _, err := d.Apply(c.before, crdt.V1); err != nil {
					t.Fatalf("Apply = %v", err)
				}
			}
			before := encodings(d)
			var caught any
			d.View(func(*crdt.Tx) {
				defer func() { caught = recover() }()
				_, _ = d.Apply(c.quick, crdt.V1) // panics
			})
			if caught == nil {
				t.Error("Apply inside View did not panic")
			}
			if after := encodings(d); after != before {
				t.Errorf("document after a refused Apply = %s, want %s", after, before)
			}
			if err := d.Check(); err != nil {
				t.Errorf("Check = %v", err)
			}
		})
	}
}

// checkTwins compares the documents every few updates.
func checkTwins(t *testing.T, updates [][]byte, every int) {
	t.Helper()
	d, watched := crdt.New(crdt.Options{ClientID: 7}), crdt.New(crdt.Options{ClientID: 7})
	watched.Observe(crdt.Observer{})
	for i, u := range updates {
		got, gotErr := d.Apply(u, crdt.V1)
		want, wantErr := watched.Apply(u, crdt.V1)
		if (gotErr == nil) != (wantErr == nil) || got.Changed != want.Changed || !slices.Equal(got.Update, want.Update) {
			t.Fatalf("Apply(update %d, %x) = %+v, %v, want %+v, %v", i, u, got, gotErr, want, wantErr)
		}
		if i%every != 0 && i != len(updates)-1 {
			continue
		}
		if err := d.Check(); err != nil {
			t.Fatalf("after update %d: %v", i, err)
		}
		if diff := crdttest.DiffBytes(watched.AppendDiff(nil, nil, crdt.V1), d.AppendDiff(nil, nil, crdt.V1)); diff != "" {
			t.Fatalf("state after update %d: %s", i, diff)
		}
	}
}
