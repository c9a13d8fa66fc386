package crdt_test

import (
	"bytes"
	"testing"

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

// checkLoad loads a state twice; somebody who looks on keeps one document from the short way.
func checkLoad(t *testing.T, state []byte, v crdt.Version) {
	t.Helper()
	for _, o := range []crdt.Options{{ClientID: 1}, {ClientID: 1, KeepDeleted: true}} {
		d, watched := crdt.New(o), crdt.New(o)
		stop := watched.Observe(crdt.Observer{})
		got, gotErr := d.Load(state, v)
		want, wantErr := watched.Load(state, v)
		stop()
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("Load(%d bytes) = %v, want %v", len(state), gotErr, wantErr)
		}
		if got.Changed != want.Changed || !bytes.Equal(got.Update, want.Update) || got.Missing != nil {
			t.Errorf("Load(%d bytes) = %+v, want %+v", len(state), got, want)
		}
		if err := d.Check(); err != nil {
			t.Errorf("after Load(%d bytes): %v", len(state), err)
		}
		for _, w := range []crdt.Version{crdt.V1, crdt.V2} {
			if diff := crdttest.DiffBytes(watched.AppendDiff(nil, nil, w), d.AppendDiff(nil, nil, w)); diff != "" {
				t.Errorf("state v%d after Load(%d bytes): %s", w, len(state), diff)
			}
		}
	}
}
