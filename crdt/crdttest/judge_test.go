package crdttest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weft/crdt/crdttest"
)

// TestJudgeDescribesRecordings has the oracle's scripts answer again for every recorded scenario: they mean the
// same by each field as those that made the recordings.
func TestJudgeDescribesRecordings(t *testing.T) {
	judge := crdttest.NewJudge(t)
	options := []cmp.Option{
		cmpopts.IgnoreFields(crdttest.Scenario{}, "Seed", "Kind", "Astral", "GC", "Undo", "Clients", "Updates", "Raw"),
		// It serves all byte slices: those that are no JSON must be equal.
		cmp.Comparer(func(a, b json.RawMessage) bool { return bytes.Equal(a, b) || crdttest.DiffJSON(a, b) == "" }),
	}
	for s := range crdttest.Fixture(t) {
		got, err := judge.Describe(s)
		if err != nil {
			t.Fatalf("Describe(%s) = %v, want fields", s.Name(), err)
		}
		// Recordings have no view and vector of these two.
		got.Untyped.View, got.Untyped.SV = crdttest.View{}, nil
		got.NoGC.View, got.NoGC.SV = crdttest.View{}, nil
		if diff := cmp.Diff(s, got, options...); diff != "" {
			t.Errorf("Describe(%s) differs (-recorded +now):\n%s", s.Name(), diff)
		}
	}
}

func TestJudge(t *testing.T) {
	judge := crdttest.NewJudge(t)
	for s := range crdttest.Oracle(t, crdttest.Request{Seed: 21, Count: 10, Fields: []string{"untyped", "final", "merged", "convert", "mid"}}) {
		var v1, v2 [][]byte
		for _, u := range s.Updates {
			v1, v2 = append(v1, u.V1), append(v2, u.V2)
		}
		want := crdttest.Verdict{V1: s.Untyped.V1, V2: s.Untyped.V2, SV: s.Untyped.SV, View: s.Untyped.View}
		for version, updates := range map[int][][]byte{1: v1, 2: v2} {
			got, err := judge.Apply(crdttest.Question{Updates: updates, Version: version, View: true})
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("Apply(%s, v%d) = %v, want no error and (-want +got):\n%s", s.Name(), version, err, diff)
			}
		}
		merged, err := judge.Merge(2, v2...)
		if diff := crdttest.DiffBytes(s.Merged.V2, merged); err != nil || diff != "" {
			t.Errorf("Merge(%s) = %v, %s", s.Name(), err, diff)
		}
		converted, err := judge.Convert(1, s.Final.V1)
		if diff := crdttest.DiffBytes(s.Convert.V1toV2, converted); err != nil || diff != "" {
			t.Errorf("Convert(%s) = %v, %s", s.Name(), err, diff)
		}
		difference, err := judge.Diff(1, s.Final.V1, s.Mid.SV)
		if diff := crdttest.DiffBytes(s.Mid.DiffUpdate, difference); err != nil || diff != "" {
			t.Errorf("Diff(%s) = %v, %s", s.Name(), err, diff)
		}
	}
}

func TestJudgeRefusesAndGoesOn(t *testing.T) {
	judge := crdttest.NewJudge(t)
	if _, err := judge.Apply(crdttest.Question{Updates: [][]byte{{9, 9, 9}}, Version: 1}); !errors.Is(err, crdttest.ErrRefused) {
		t.Errorf("Apply(broken) = %v, want ErrRefused", err)
	}
	got, err := judge.Apply(crdttest.Question{Updates: [][]byte{{0, 0}}, Version: 1})
	if err != nil || !cmp.Equal(got.V1, []byte{0, 0}) || got.Pending {
		t.Errorf("Apply(empty) after a refusal = %+v, %v, want the empty update", got, err)
	}
}

func TestJudgeHangsAndGoesOn(t *testing.T) {
	judge := crdttest.NewJudge(t)
	judge.Limit = time.Nanosecond // less than Node needs to start
	if _, err := judge.Apply(crdttest.Question{Updates: [][]byte{{0, 0}}, Version: 1}); !errors.Is(err, crdttest.ErrHung) {
		t.Errorf("Apply within %v = %v, want ErrHung", judge.Limit, err)
	}
	judge.Limit = 0
	if _, err := judge.Apply(crdttest.Question{Updates: [][]byte{{0, 0}}, Version: 1}); err != nil {
		t.Errorf("Apply after a hang = %v, want an answer", err)
	}
}
