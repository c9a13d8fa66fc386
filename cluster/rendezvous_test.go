package cluster_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weft/cluster"
)

func candidates(n int) []cluster.Candidate {
	list := make([]cluster.Candidate, n)
	for i := range list {
		list[i].Node = cluster.NodeID(fmt.Sprintf("node-%d", i+1))
	}
	return list
}

// spread counts the rooms of each node.
func spread(t *testing.T, r cluster.Ring, rooms int) map[cluster.NodeID]int {
	t.Helper()
	counts := map[cluster.NodeID]int{}
	for i := range rooms {
		node, ok := r.Prefer(fmt.Sprintf("room %d", i))
		if !ok {
			t.Fatalf("Prefer(room %d) found no node, want one", i)
		}
		counts[node]++
	}
	return counts
}

func TestRingBalance(t *testing.T) {
	const rooms = 100_000
	for _, c := range []struct {
		nodes int
		most  float64 // of the fullest node, beside the mean
	}{{1, 1}, {3, 1.02}, {10, 1.04}, {50, 1.1}} {
		counts := spread(t, cluster.NewRing(candidates(c.nodes)), rooms)
		fullest := 0
		for _, n := range counts {
			fullest = max(fullest, n)
		}
		if got := float64(fullest) * float64(c.nodes) / rooms; got > c.most || len(counts) != c.nodes {
			t.Errorf("Ring of %d nodes: %d have rooms, the fullest %.3f of the mean, want all and at most %.3f", c.nodes, len(counts), got, c.most)
		}
	}
}

func TestRingWeights(t *testing.T) {
	const rooms = 100_000
	list := candidates(4)
	for i := range list {
		list[i].Weight = float64(i + 1)
	}
	counts := spread(t, cluster.NewRing(list), rooms)
	for i, c := range list {
		want := rooms * (i + 1) / 10
		if got := counts[c.Node]; got < want*96/100 || got > want*104/100 {
			t.Errorf("node of weight %d of 10 has %d rooms, want %d within 4 %%", i+1, got, want)
		}
	}
}

func TestRingMovesOnlyWhatItMust(t *testing.T) {
	old, grown := cluster.NewRing(candidates(10)), cluster.NewRing(candidates(11))
	const rooms = 20_000
	moved := 0
	for i := range rooms {
		room := fmt.Sprintf("room %d", i)
		before, after := old.Order(room), grown.Order(room)
		if before[0] != after[0] {
			moved++
		}
		rest := slices.DeleteFunc(after, func(n cluster.NodeID) bool { return n == "node-11" })
		if diff := cmp.Diff(before, rest); diff != "" {
			t.Fatalf("Order(%s) without the new node (-before +after):\n%s", room, diff)
		}
	}
	if ideal := rooms / 11; moved < ideal*9/10 || moved > ideal*11/10 {
		t.Errorf("a new node took %d of %d rooms, want about %d", moved, rooms, ideal)
	}
}

func TestRingOverload(t *testing.T) {
	list := candidates(5)
	for i := range list {
		list[i].Load = 100
	}
	even := cluster.NewRing(list)
	list[2].Load = 130 // the mean is 106
	uneven := cluster.NewRing(list)
	list[2].Weight = 2 // stronger than the others, so 130 is little
	strong := cluster.NewRing(list)
	for i := range 1000 {
		room := fmt.Sprintf("room %d", i)
		before, after := even.Order(room), uneven.Order(room)
		want := append(slices.DeleteFunc(slices.Clone(before), func(n cluster.NodeID) bool { return n == "node-3" }), "node-3")
		if diff := cmp.Diff(want, after); diff != "" {
			t.Fatalf("Order(%s) with an overloaded node (-want +got):\n%s", room, diff)
		}
	}
	if got := spread(t, strong, 1000)["node-3"]; got < 250 {
		t.Errorf("a node with load 130 and weight 2 has %d of 1000 rooms, want about 333", got)
	}
}

func TestRingDraining(t *testing.T) {
	list := candidates(3)
	list[0].Draining = true
	list[1].Load = 1000
	r := cluster.NewRing(list)
	if got, want := r.Order("a room"), []cluster.NodeID{"node-3", "node-2", "node-1"}; !slices.Equal(got, want) {
		t.Errorf("Order = %v, want %v: the free one, the overloaded one, the draining one", got, want)
	}
	for i := range list {
		list[i].Draining = true
	}
	if got := spread(t, cluster.NewRing(list), 1000); len(got) != 3 {
		t.Errorf("while all drain %d of 3 nodes have rooms, want 3", len(got))
	}
}

// TestRingGolden holds the order itself: nodes of different versions must not disagree about every room.
func TestRingGolden(t *testing.T) {
	list := candidates(3)
	list[1].Weight = 2
	r := cluster.NewRing(list)
	for room, want := range golden {
		if got := fmt.Sprint(r.Order(room)); got != want {
			t.Errorf("Order(%q) = %s, want %s", room, got, want)
		}
	}
}

var golden = map[string]string{
	"":             "[node-1 node-2 node-3]",
	"a room":       "[node-2 node-1 node-3]",
	"another room": "[node-2 node-3 node-1]",
	"räume/ß":      "[node-3 node-1 node-2]",
	"{x}:*":        "[node-2 node-1 node-3]",
}

func TestRingEmpty(t *testing.T) {
	var r cluster.Ring
	if node, ok := r.Prefer("a room"); ok || r.Len() != 0 || len(r.Order("a room")) != 0 {
		t.Errorf("Prefer in an empty ring = %q, %v, want none", node, ok)
	}
}

func TestRingProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) cluster.Candidate {
			return cluster.Candidate{
				Node:     cluster.NodeID(rapid.StringN(1, 8, -1).Draw(t, "node")),
				Weight:   rapid.Float64Range(-1, 10).Draw(t, "weight"),
				Load:     rapid.Float64Range(-1, 1e9).Draw(t, "load"),
				Draining: rapid.Bool().Draw(t, "draining"),
			}
		}), 1, 8, func(c cluster.Candidate) cluster.NodeID { return c.Node }).Draw(t, "candidates")
		room := rapid.String().Draw(t, "room")
		order := cluster.NewRing(list).Order(room)
		shuffled := rapid.Permutation(list).Draw(t, "shuffled")
		again := cluster.NewRing(append(shuffled, shuffled[0]))
		if got := again.Order(room); !slices.Equal(got, order) {
			t.Fatalf("Order(%q) = %v after a shuffle, %v before", room, got, order)
		}
		if first, _ := again.Prefer(room); first != order[0] {
			t.Fatalf("Prefer(%q) = %s, Order begins with %s", room, first, order[0])
		}
		var want []cluster.NodeID
		for _, c := range list {
			want = append(want, c.Node)
		}
		slices.Sort(want)
		if got := slices.Sorted(slices.Values(order)); !slices.Equal(got, want) {
			t.Fatalf("Order(%q) has %v, want %v", room, got, want)
		}
	})
}

func TestRingPreferAllocatesNothing(t *testing.T) {
	r := cluster.NewRing(candidates(10))
	if n := testing.AllocsPerRun(100, func() { r.Prefer("a room") }); n != 0 {
		t.Errorf("Prefer allocates %v times, want 0", n)
	}
}

func BenchmarkRing(b *testing.B) {
	for _, n := range []int{3, 10, 50} {
		b.Run(fmt.Sprintf("%d-nodes", n), func(b *testing.B) {
			r := cluster.NewRing(candidates(n))
			b.ReportAllocs()
			for b.Loop() {
				r.Prefer("a room of some length")
			}
		})
	}
}
