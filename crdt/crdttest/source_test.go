package crdttest_test

import (
	"bytes"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/crdt/crdttest"
)

// checkComplete fails unless every field that a full scenario has is there and fits the others.
func checkComplete(t *testing.T, s *crdttest.Scenario) {
	t.Helper()
	for i, u := range s.Updates {
		if len(u.V1) < 2 || len(u.V2) < 2 || u.Author < 0 || u.Author >= len(s.Clients) {
			t.Fatalf("update %d = author %d, %d and %d bytes, want an author below %d and bytes", i, u.Author, len(u.V1), len(u.V2), len(s.Clients))
		}
	}
	for name, b := range map[string][]byte{
		"final.v1": s.Final.V1, "final.v2": s.Final.V2, "final.sv": s.Final.SV, "final.snapshot": s.Final.Snapshot,
		"final.svFromUpdate": s.Final.SVFromUpdate, "untyped.v1": s.Untyped.V1, "untyped.v2": s.Untyped.V2,
		"noGC.v1": s.NoGC.V1, "noGC.v2": s.NoGC.V2, "shuffled.v1": s.Shuffled.V1, "shuffled.v2": s.Shuffled.V2,
		"half.sv": s.Shuffled.Half.SV, "half.v1": s.Shuffled.Half.V1, "half.v2": s.Shuffled.Half.V2,
		"mid.sv": s.Mid.SV, "mid.v1": s.Mid.V1, "mid.diffFromFinal": s.Mid.DiffFromFinal,
		"mid.diffFromFinalV2": s.Mid.DiffFromFinalV2, "mid.diffUpdate": s.Mid.DiffUpdate,
		"merged.v1": s.Merged.V1, "merged.v2": s.Merged.V2, "merged.v1Shuffled": s.Merged.V1Shuffled,
		"convert.v1toV2": s.Convert.V1toV2, "convert.v2toV1": s.Convert.V2toV1,
		"snapshotMid.v1": s.SnapshotMid.V1, "snapshotMid.v2": s.SnapshotMid.V2,
	} {
		if len(b) == 0 {
			t.Errorf("%s is empty", name)
		}
	}
	for name, v := range map[string]crdttest.View{
		"final": s.Final.View, "half": s.Shuffled.Half.View, "snapshotMid": s.SnapshotMid.View,
	} {
		for part, raw := range map[string][]byte{"delta": v.Delta, "arr": v.Arr, "map": v.Map} {
			if _, err := crdttest.Canonical(raw); err != nil {
				t.Errorf("Canonical(%s.view.%s) = %v, want a value", name, part, err)
			}
		}
	}
	order := slices.Sorted(slices.Values(s.Shuffled.Order))
	if len(order) != len(s.Updates) || order[0] != 0 || order[len(order)-1] != len(order)-1 || len(slices.Compact(order)) != len(s.Updates) {
		t.Errorf("shuffled.order = %v, want a permutation of %d", s.Shuffled.Order, len(s.Updates))
	}
	if len(s.TextEvents) != len(s.Updates) || len(s.RelPos) == 0 {
		t.Errorf("%d text events, %d relative positions, want %d and some", len(s.TextEvents), len(s.RelPos), len(s.Updates))
	}
}

func TestFixture(t *testing.T) {
	kinds, pending := map[string]int{}, 0
	for s := range crdttest.Fixture(t) {
		checkComplete(t, s)
		kinds[s.Name()[len("1000/"):]]++
		if s.Shuffled.Half.Missing != nil {
			pending++
		}
	}
	if len(kinds) != 10 || kinds["text"] != 11 || pending < 50 {
		t.Errorf("Fixture: kinds %v, %d with pending structs, want 10 kinds of 11 and most pending", kinds, pending)
	}
}

func collect(scenarios iter.Seq[*crdttest.Scenario]) []*crdttest.Scenario {
	return slices.Collect(scenarios)
}

func TestOracle(t *testing.T) {
	request := crdttest.Request{Seed: 40, Count: 20}
	first := collect(crdttest.Oracle(t, request))
	for i, s := range first {
		checkComplete(t, s)
		if want := request.Seed + uint64(i); s.Seed != want {
			t.Errorf("scenario %d has seed %d, want %d", i, s.Seed, want)
		}
		if len(s.Untyped.SV) == 0 || len(s.NoGC.SV) == 0 || s.Untyped.View.Delta == nil || s.NoGC.View.Delta == nil {
			t.Errorf("scenario %d lacks a view or state vector of untyped or noGC", s.Seed)
		}
	}
	alone := collect(crdttest.Oracle(t, crdttest.Request{Seed: 47, Count: 1}))
	if len(alone) != 1 || !bytes.Equal(alone[0].Raw, first[7].Raw) {
		t.Error("Oracle(seed 47) alone differs from seed 47 in a row, want the same bytes")
	}
}

func TestOracleStopsEarly(t *testing.T) {
	for s := range crdttest.Oracle(t, crdttest.Request{Seed: 1, Count: 1_000_000, Fields: []string{"untyped"}}) {
		if len(s.Untyped.V1) == 0 || s.Final.V1 != nil {
			t.Errorf("Oracle(untyped) = untyped %d bytes, final %d bytes, want untyped only", len(s.Untyped.V1), len(s.Final.V1))
		}
		break
	}
}

func TestKeepAndDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "testdata", "scenarios")
	if got := collect(crdttest.Dir(t, dir)); got != nil {
		t.Errorf("Dir(absent) = %d scenarios, want none", len(got))
	}
	made := collect(crdttest.Oracle(t, crdttest.Request{Seed: 3, Count: 2}))
	for _, s := range made {
		crdttest.Keep(t, dir, s)
	}
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte("not a scenario"), 0o666); err != nil {
		t.Fatal(err)
	}
	got := collect(crdttest.Dir(t, dir))
	if diff := cmp.Diff(made, got); diff != "" {
		t.Errorf("Dir after Keep differs (-want +got):\n%s", diff)
	}
}

func TestEach(t *testing.T) {
	dir := t.TempDir()
	made := collect(crdttest.Oracle(t, crdttest.Request{Seed: 10, Count: 3, Fields: []string{"untyped"}}))
	var seen []string
	crdttest.Each(t, slices.Values(made), dir, func(t *testing.T, s *crdttest.Scenario) { seen = append(seen, t.Name()) })
	want := []string{"TestEach/10/text", "TestEach/11/fmt", "TestEach/12/arr"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("Each ran other subtests (-want +got):\n%s", diff)
	}
	if kept := collect(crdttest.Dir(t, dir)); kept != nil {
		t.Errorf("Each kept %d scenarios of passing subtests, want none", len(kept))
	}
}
