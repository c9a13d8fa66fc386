package crdt_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weft/crdt"
	"weft/crdt/crdttest"
	"weft/crdt/lib0"
)

// piece is a struct of a made-up update v1.
type piece struct {
	kind   byte // 0 collected, 4 text, 1 deleted, 10 gap
	length uint64
}

// appendSection writes the structs of one client from a clock on.
func appendSection(dst []byte, client, clock uint64, pieces []piece) []byte {
	dst = lib0.AppendUint(dst, uint64(len(pieces)))
	dst = lib0.AppendUint(lib0.AppendUint(dst, client), clock)
	for _, p := range pieces {
		switch {
		case p.kind == 0 || p.kind == 10:
			dst = lib0.AppendUint(append(dst, p.kind), p.length)
		case clock == 0:
			dst = lib0.AppendString(append(dst, p.kind, 1), "text")
		default:
			dst = lib0.AppendUint(lib0.AppendUint(append(dst, 0x80|p.kind), client), clock-1)
		}
		switch p.kind {
		case 1:
			dst = lib0.AppendUint(dst, p.length)
		case 4:
			var text strings.Builder
			for i := range p.length {
				text.WriteByte(byte('a' + (clock+i)%26))
			}
			dst = lib0.AppendString(dst, text.String())
		}
		clock += p.length
	}
	return dst
}

// randomUpdate draws an update with structs of some of the clients, cut
// anyhow: what is an item in one update may be collected in the next.
func randomUpdate(r *rand.Rand, clients, clocks, most int) []byte {
	ids := r.Perm(clients)[:1+r.IntN(min(clients, 3))]
	if r.IntN(10) > 0 {
		slices.Sort(ids)
		slices.Reverse(ids)
	}
	u := lib0.AppendUint(nil, uint64(len(ids)))
	for _, id := range ids {
		pieces := make([]piece, 1+r.IntN(most))
		for i := range pieces {
			pieces[i] = piece{[]byte{0, 4, 4, 1, 10}[r.IntN(5)], 1 + r.Uint64N(4)}
		}
		u = appendSection(u, uint64(id), r.Uint64N(uint64(clocks)), pieces)
	}
	u = lib0.AppendUint(u, 1) // deletions of one client
	u = lib0.AppendUint(lib0.AppendUint(u, uint64(ids[0])), 1)
	return lib0.AppendUint(lib0.AppendUint(u, r.Uint64N(uint64(clocks))), 1+r.Uint64N(9))
}

// TestMergeUpdatesLikeYjs merges updates that no session would make: of many,
// or few, overlapping and contradicting, in lists both shorter and longer than
// those that V8 sorts as one run.
func TestMergeUpdatesLikeYjs(t *testing.T) {
	judge := crdttest.NewJudge(t)
	r := rand.New(rand.NewPCG(crdttest.Seed(t, 1), 2))
	for i := range 200 {
		n := 2 + r.IntN([]int{4, 30, 100, 400}[i%4])
		clients, clocks, most := 1+r.IntN(4), 1+r.IntN(60), 1+r.IntN(6)
		var v1, v2 [][]byte
		for range n {
			u := randomUpdate(r, clients, clocks, most)
			converted, err := crdt.ConvertUpdate(u, crdt.V1, crdt.V2)
			if err != nil {
				t.Fatalf("ConvertUpdate(%x) = %v", u, err)
			}
			v1, v2 = append(v1, u), append(v2, converted)
		}
		for v, updates := range [][][]byte{crdt.V1: v1, crdt.V2: v2} {
			if updates == nil {
				continue
			}
			want, err := judge.Merge(v, updates...)
			if err != nil {
				t.Fatalf("case %d: yjs: %v", i, err)
			}
			got, err := crdt.MergeUpdates(crdt.Version(v), updates...)
			if err != nil {
				t.Fatalf("case %d: MergeUpdates = %v", i, err)
			}
			if diff := crdttest.DiffBytes(want, got); diff != "" {
				t.Fatalf("case %d: MergeUpdates(v%d, %d updates of %d clients): %s", i, v, n, clients, diff)
			}
		}
	}
}

func TestMergeUpdatesFew(t *testing.T) {
	text := append(appendSection([]byte{1}, 7, 0, []piece{{4, 3}}), 0)
	empty := []byte{0, 0}
	for _, c := range []struct {
		name    string
		updates [][]byte
		want    []byte
	}{
		{"none", nil, empty},
		{"one", [][]byte{text}, text},
		{"empty", [][]byte{empty, empty}, empty},
		{"twice", [][]byte{text, text}, text},
		{"empty and text", [][]byte{empty, text}, text},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := crdt.MergeUpdates(crdt.V1, c.updates...)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("MergeUpdates(%x) = %x, %v, want %x", c.updates, got, err, c.want)
			}
		})
	}
	if got, err := crdt.MergeUpdates(crdt.V1, text, []byte{1}); err == nil {
		t.Errorf("MergeUpdates(broken update) = %x, want an error", got)
	}
}

// TestMergeUpdatesAllocates checks that an update costs no allocation of its own.
func TestMergeUpdatesAllocates(t *testing.T) {
	count := func(n int) float64 {
		var updates [][]byte
		for i := range n {
			updates = append(updates, append(appendSection([]byte{1}, 7, uint64(i), []piece{{4, 1}}), 0))
		}
		return testing.AllocsPerRun(3, func() {
			if _, err := crdt.MergeUpdates(crdt.V1, updates...); err != nil {
				t.Fatal(err)
			}
		})
	}
	few, many := count(100), count(10_000)
	if many > few+40 {
		t.Errorf("MergeUpdates allocates %v times for 100 updates, %v times for 10,000", few, many)
	}
}
