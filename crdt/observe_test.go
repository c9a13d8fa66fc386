package crdt_test

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"testing"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// marked turns a value of a document into JSON with the markers of recorded
// views, and shared types into what their toJSON gives.
func marked(v any) any {
	switch v := v.(type) {
	case crdt.Undefined:
		return map[string]any{"$undef": 1}
	case crdt.BigInt:
		return map[string]any{"$bigint": strconv.FormatInt(int64(v), 10)}
	case []byte:
		return map[string]any{"$u8": base64.StdEncoding.EncodeToString(v)}
	case float64:
		switch {
		case v == 0 && math.Signbit(v):
			return map[string]any{"$negzero": 1}
		case math.IsNaN(v) || math.IsInf(v, 0):
			return nil
		}
		return v
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = marked(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = marked(e)
		}
		return out
	case crdt.Subdoc:
		return map[string]any{}
	case crdt.SharedText:
		// A text that is not the root is asked for its markup: that of a plain one is its characters.
		return v.Markup()
	case crdt.SharedXML:
		return v.String()
	case crdt.SharedHook:
		return marked(v.SharedMap)
	case crdt.SharedMap:
		out := map[string]any{}
		for k, e := range v.All() {
			out[k] = marked(e)
		}
		return out
	case crdt.SharedArray:
		out := []any{}
		for _, e := range v.All() {
			out = append(out, marked(e))
		}
		return out
	}
	return v
}

func markedOps(ops []crdt.Op) any {
	out := []any{}
	for _, o := range ops {
		op := map[string]any{}
		switch {
		case o.Retain > 0:
			op["retain"] = o.Retain
		case o.Delete > 0:
			op["delete"] = o.Delete
		default:
			op["insert"] = marked(o.Insert)
		}
		if o.Attributes != nil {
			op["attributes"] = marked(o.Attributes)
		}
		out = append(out, op)
	}
	return out
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFinal plays the server that declares its roots and reads the delta of
// each event of the root text, for recorded sessions.
func TestFinal(t *testing.T) {
	crdttest.Each(t, crdttest.Fixture(t), "", checkFinal)
}

// TestFinalOracle is TestFinal for sessions that yjs plays now.
func TestFinalOracle(t *testing.T) {
	seed := crdttest.Seed(t, 800_000)
	fields := []string{"final", "textEvents", "mid", "relpos", "snapshotMid", "noGC"}
	crdttest.Each(t, crdttest.Oracle(t, crdttest.Request{Seed: seed, Count: *seedCount, Fields: fields}), finalDir, checkFinal)
}

// finalDir holds scenarios that once failed; they are fixed cases from then on.
const finalDir = "testdata/final"

// TestFinalKept replays scenarios that once failed.
func TestFinalKept(t *testing.T) {
	crdttest.Each(t, crdttest.Dir(t, finalDir), "", checkFinal)
}

func checkFinal(t *testing.T, s *crdttest.Scenario) {
	for _, v := range []crdt.Version{crdt.V1, crdt.V2} {
		t.Run("v"+strconv.Itoa(int(v)), func(t *testing.T) { checkWatched(t, s, v) })
	}
	t.Run("snapshot", func(t *testing.T) { checkSnapshotMid(t, s) })
}

func checkWatched(t *testing.T, s *crdttest.Scenario, v crdt.Version) {
	d := crdt.New(crdt.Options{Types: roots})
	follower := crdt.New(crdt.Options{}) // untyped: deletes only what it is told to
	var deltas []any
	d.Observe(crdt.Observer{
		Type: func(e *crdt.Event) {
			if e.Target() == crdt.RootID("text") {
				deltas = append(deltas, markedOps(e.Delta()))
			}
		},
		Update: func(c crdt.Change) {
			if _, err := follower.Apply(c.Update, crdt.V1); err != nil {
				t.Errorf("Apply(observed update) = %v", err)
			}
		},
	})
	for i, u := range s.Updates {
		if i == s.Mid.After {
			checkState(t, d, crdttest.State{V1: s.Mid.V1, SV: s.Mid.SV})
		}
		deltas = nil
		update := u.V1
		if v == crdt.V2 {
			update = u.V2
		}
		if _, err := d.Apply(update, v); err != nil {
			t.Fatalf("Apply(update %d) = %v", i, err)
		}
		if err := d.Check(); err != nil {
			t.Fatalf("after update %d: %v", i, err)
		}
		if diff := crdttest.DiffJSON(mustJSON(t, s.TextEvents[i]), mustJSON(t, deltas)); diff != "" {
			t.Errorf("deltas of update %d: %s", i, diff)
		}
	}
	checkState(t, d, s.Final)
	checkView(t, d, s.Final.View)
	checkMarkedView(t, d, s.Final.View)
	if diff := crdttest.DiffBytes(s.Final.Snapshot, d.Snapshot().Append(nil, crdt.V1)); diff != "" {
		t.Errorf("Snapshot: %s", diff)
	}
	checkDiff(t, d, s.Mid)
	checkPositions(t, d, s.RelPos)
	if got, want := follower.Snapshot(), d.Snapshot(); !got.Equal(want) {
		t.Errorf("document fed with observed updates is at %v, want %v", got, want)
	}
}

// checkDiff asks the final document for what it has beyond the middle one.
func checkDiff(t *testing.T, d *crdt.Doc, mid crdttest.Mid) {
	t.Helper()
	sv, err := crdt.DecodeStateVector(mid.SV)
	if err != nil {
		t.Fatalf("DecodeStateVector(%x) = %v", mid.SV, err)
	}
	for v, want := range map[crdt.Version][]byte{crdt.V1: mid.DiffFromFinal, crdt.V2: mid.DiffFromFinalV2} {
		if diff := crdttest.DiffBytes(want, d.AppendDiff(nil, sv, v)); want != nil && diff != "" {
			t.Errorf("AppendDiff(middle, v%d): %s", v, diff)
		}
	}
}

// checkMarkedView compares what the readers of shared types give, value by value.
func checkMarkedView(t *testing.T, d *crdt.Doc, want crdttest.View) {
	t.Helper()
	d.View(func(tx *crdt.Tx) {
		for what, c := range map[string]struct {
			want json.RawMessage
			got  any
		}{
			"text":  {want.Delta, markedOps(tx.Text("text").Delta())},
			"array": {want.Arr, marked(tx.Array("arr"))},
			"map":   {want.Map, marked(tx.Map("map"))},
		} {
			if diff := crdttest.DiffJSON(c.want, mustJSON(t, c.got)); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
		if diff := crdttest.DiffText(want.XML, tx.XML("xml").String()); diff != "" {
			t.Errorf("xml: %s", diff)
		}
	})
	if diff := crdttest.DiffJSON(mustJSON(t, want.Subdocs), mustJSON(t, append([]string{}, d.Subdocs()...))); diff != "" {
		t.Errorf("Subdocs: %s", diff)
	}
}

func checkPositions(t *testing.T, d *crdt.Doc, positions []crdttest.RelPos) {
	t.Helper()
	for _, p := range positions {
		pos, err := d.RelativePosition(crdt.RootID("text"), p.Index, p.Assoc)
		if err != nil {
			t.Errorf("RelativePosition(%d, %d) = %v", p.Index, p.Assoc, err)
			continue
		}
		if diff := crdttest.DiffBytes(p.Encoded, pos.Append(nil)); diff != "" {
			t.Errorf("RelativePosition(%d, %d): %s", p.Index, p.Assoc, diff)
		}
		decoded, err := crdt.DecodeRelativePosition(p.Encoded)
		if err != nil || decoded != pos {
			t.Errorf("DecodeRelativePosition(%x) = %v, %v, want %v", p.Encoded, decoded, err, pos)
		}
		in, index, ok := d.Resolve(decoded)
		if in != crdt.RootID("text") || index != p.Abs || !ok {
			t.Errorf("Resolve(%x) = %v, %d, %v, want text, %d, true", p.Encoded, in, index, ok, p.Abs)
		}
	}
}

// checkSnapshotMid takes a snapshot on the way and restores it at the end.
func checkSnapshotMid(t *testing.T, s *crdttest.Scenario) {
	d := crdt.New(crdt.Options{Types: roots, KeepDeleted: true})
	var snap crdt.Snapshot
	for i, u := range s.Updates {
		if i == s.SnapshotMid.After {
			snap = d.Snapshot()
		}
		if _, err := d.Apply(u.V1, crdt.V1); err != nil {
			t.Fatalf("Apply(update %d) = %v", i, err)
		}
	}
	if s.SnapshotMid.After == len(s.Updates) {
		snap = d.Snapshot()
	}
	for v, want := range map[crdt.Version][]byte{crdt.V1: s.SnapshotMid.V1, crdt.V2: s.SnapshotMid.V2} {
		if diff := crdttest.DiffBytes(want, snap.Append(nil, v)); diff != "" {
			t.Errorf("Snapshot v%d: %s", v, diff)
		}
		got, err := crdt.DecodeSnapshot(want, v)
		if err != nil || !got.Equal(snap) {
			t.Errorf("DecodeSnapshot(%x) = %v, %v, want %v", want, got, err, snap)
		}
	}
	before := d.AppendDiff(nil, nil, crdt.V1)
	restored, err := crdt.DocFromSnapshot(d, snap, crdt.Options{Types: roots})
	if err != nil {
		t.Fatalf("DocFromSnapshot = %v", err)
	}
	checkView(t, restored, s.SnapshotMid.View)
	checkMarkedView(t, restored, s.SnapshotMid.View)
	if got := clip(restored.Snapshot(), snap.StateVector); !got.Equal(snap) {
		t.Errorf("restored document is at %v, want %v", got, snap)
	}
	if err := d.Check(); err != nil {
		t.Error(err)
	}
	if diff := crdttest.DiffBytes(before, d.AppendDiff(nil, nil, crdt.V1)); diff != "" {
		t.Errorf("document after DocFromSnapshot: %s", diff)
	}
	checkState(t, d, s.NoGC)
}

// clip cuts off what a snapshot has beyond a state vector, if all of it is
// deleted: a collected range is restored whole, as in yjs.
func clip(s crdt.Snapshot, sv crdt.StateVector) crdt.Snapshot {
	deleted := slices.Clone(s.Deleted)
	for i, c := range s.StateVector {
		next := sv.Next(c.Client)
		if c.Next <= next {
			continue
		}
		for j, r := range deleted {
			if r.Client == c.Client && r.Clock < next && r.Clock+r.Len == c.Next {
				deleted[j].Len = next - r.Clock
				s.StateVector = slices.Clone(s.StateVector)
				s.StateVector[i].Next = next
			}
		}
	}
	return crdt.Snapshot{StateVector: s.StateVector, Deleted: deleted}
}
