package bench

import (
	"slices"
	"strings"
	"testing"

	"weft/crdt"
)

// TestUpdatesAreYjsUpdates checks the template with the document engine: what writers sent one by one, in any
// interleaving, is a document with all of it, and what that document sends is read as what they wrote.
func TestUpdatesAreYjsUpdates(t *testing.T) {
	for _, size := range []int64{1, 7, patternLen + 100} {
		d := crdt.New(crdt.Options{})
		var updates [][]byte
		ids := []uint64{1<<31 + 5, 1<<31 + 6}
		const records = 6
		for i := range int64(records) {
			for _, id := range ids {
				u := appendUpdate(nil, id, rootName(id), i*size, size)
				updates = append(updates, u)
				if _, err := d.Apply(u, crdt.V1); err != nil {
					t.Fatalf("Apply of record %d of %d clocks = %v, want nil", i, size, err)
				}
			}
		}
		for _, id := range ids {
			if text := d.Text(rootName(id)); int64(len(text)) != records*size || !typed([]byte(text), 0) {
				t.Errorf("Text(%q) has %d bytes, want %d of the pattern", rootName(id), len(text), records*size)
			}
		}
		merged, err := crdt.MergeUpdates(crdt.V1, updates...)
		if err != nil {
			t.Fatal(err)
		}
		since := crdt.StateVector{{Client: crdt.ClientID(ids[0]), Next: uint64(size + 1)}}
		for _, c := range []struct {
			name   string
			update []byte
			from   [2]int64 // first clock of each writer
		}{
			{"merged", merged, [2]int64{0, 0}},
			{"state", d.AppendDiff(nil, nil, crdt.V1), [2]int64{0, 0}},
			{"difference", d.AppendDiff(nil, since, crdt.V1), [2]int64{size + 1, 0}},
		} {
			l := newLedger(2)
			copy(l.next, c.from[:])
			wrong, err := readUpdate(c.update, func(r run) {
				if _, _, gap := l.note(slices.Index(ids, r.id), r.clock, r.n); gap {
					t.Errorf("%s of %d clocks: a gap before clock %d of %d", c.name, size, r.clock, r.id)
				}
			})
			if wrong != "" || err != nil {
				t.Errorf("readUpdate(%s of %d clocks) = %q, %v, want nothing wrong", c.name, size, wrong, err)
			}
			if want := []int64{records * size, records * size}; !slices.Equal(l.next, want) {
				t.Errorf("%s of %d clocks brings clocks up to %v, want %v", c.name, size, l.next, want)
			}
		}
	}
}

func TestReadUpdateFindsWhatNobodyWrote(t *testing.T) {
	const id = 77
	edit := func(f func(tx *crdt.Tx) error) []byte {
		d := crdt.New(crdt.Options{})
		u, err := d.Edit(f)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	good := appendUpdate(nil, id, rootName(id), 5, 3)
	altered := slices.Clone(good)
	altered[len(altered)-2]++ // the last letter
	moved := slices.Clone(good)
	moved[6]++ // the clock of the left neighbour
	deleted := append(slices.Clone(good[:len(good)-1]), 1, id, 1, 0, 1)
	for _, c := range []struct {
		name   string
		update []byte
		want   string
	}{
		{"good", good, ""},
		{"empty", []byte{0, 0}, ""},
		{"altered text", altered, "another text"},
		{"moved", moved, "another place"},
		{"another root", appendUpdate(nil, id, "elsewhere", 0, 3), "another place"},
		{"a map's value", edit(func(tx *crdt.Tx) error { return tx.Map("m").Set("k", "v") }), "another"},
		{"something deleted", deleted, "deleted"},
	} {
		wrong, err := readUpdate(c.update, func(run) {})
		if err != nil || c.want == "" && wrong != "" || !strings.Contains(wrong, c.want) {
			t.Errorf("readUpdate(%s) = %q, %v, want something with %q", c.name, wrong, err, c.want)
		}
	}
	for n := range len(good) {
		if _, err := readUpdate(good[:n], func(run) {}); err == nil {
			t.Errorf("readUpdate(the first %d of %d bytes) = nil, want an error", n, len(good))
		}
	}
}

func TestReadUpdateDoesNotAllocate(t *testing.T) {
	u := appendUpdate(nil, 77, rootName(77), 5, 3)
	l := newLedger(1)
	f := func(r run) { l.note(0, r.clock, r.n) }
	l.next[0] = 5
	if n := testing.AllocsPerRun(100, func() { _, _ = readUpdate(u, f) }); n != 0 { // good, see above
		t.Errorf("readUpdate makes %v allocations, want 0", n)
	}
}

func TestLedger(t *testing.T) {
	type step struct {
		clock, n    int64
		first, last int64
		gap         bool
	}
	for _, c := range []struct {
		name  string
		steps []step
		next  int64
	}{
		{"in order", []step{{0, 2, 0, 2, false}, {2, 1, 2, 3, false}}, 3},
		{"again", []step{{0, 2, 0, 2, false}, {0, 2, 2, 2, false}, {1, 1, 2, 2, false}}, 2},
		{"overlap", []step{{0, 2, 0, 2, false}, {1, 4, 2, 5, false}}, 5},
		{"hole", []step{{2, 1, 0, 0, true}}, 0},
		{"hole filled", []step{{2, 1, 0, 0, true}, {0, 2, 0, 3, false}}, 3},
		{"two holes", []step{{4, 1, 0, 0, true}, {2, 1, 0, 0, true}, {0, 2, 0, 3, false}, {3, 1, 3, 5, false}}, 5},
		{"hole filled twice", []step{{2, 1, 0, 0, true}, {2, 2, 0, 0, true}, {0, 5, 0, 5, false}}, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLedger(1)
			for _, s := range c.steps {
				first, last, gap := l.note(0, s.clock, s.n)
				if got := (step{s.clock, s.n, first, last, gap}); got != s {
					t.Errorf("note(%d, %d) = %d, %d, %v, want %d, %d, %v", s.clock, s.n, first, last, gap, s.first, s.last, s.gap)
				}
			}
			if l.next[0] != c.next {
				t.Errorf("next = %d, want %d", l.next[0], c.next)
			}
		})
	}
}
