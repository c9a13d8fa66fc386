package crdt_test

import (
	"encoding/json"
	"flag"
	"slices"
	"strconv"
	"testing"

	"weft/crdt"
	"weft/crdt/crdttest"
)

var seedCount = flag.Int("seeds", 60, "number of live scenarios that TestOracle asks yjs for")

// keptDir holds scenarios that once failed; they are fixed cases from then on.
const keptDir = "testdata/scenarios"

// TestFixtures compares with recorded sessions and what yjs made of them.
func TestFixtures(t *testing.T) {
	crdttest.Each(t, crdttest.Fixture(t), "", checkScenario)
}

// TestOracle compares with sessions that yjs plays now. A failing one is kept as a case for TestKept.
func TestOracle(t *testing.T) {
	seed := crdttest.Seed(t, 700_000)
	crdttest.Each(t, crdttest.Oracle(t, crdttest.Request{Seed: seed, Count: *seedCount}), keptDir, checkScenario)
}

// TestKept replays scenarios that once failed.
func TestKept(t *testing.T) {
	crdttest.Each(t, crdttest.Dir(t, keptDir), "", checkScenario)
}

// roots are the types that a scenario's server declares.
var roots = map[string]crdt.Kind{"text": crdt.Text, "arr": crdt.Array, "map": crdt.Map, "xml": crdt.XMLFragment}

func checkScenario(t *testing.T, s *crdttest.Scenario) {
	v1, v2 := make([][]byte, len(s.Updates)), make([][]byte, len(s.Updates))
	for i, u := range s.Updates {
		v1[i], v2[i] = u.V1, u.V2
	}
	for v, updates := range map[crdt.Version][][]byte{crdt.V1: v1, crdt.V2: v2} {
		name := "v" + strconv.Itoa(int(v))
		t.Run("untyped "+name, func(t *testing.T) {
			d := applyAll(t, crdt.Options{}, updates, v)
			checkState(t, d, s.Untyped)
			checkState(t, d, crdttest.State{SV: s.Final.SV})
			checkView(t, d, untypedView(s))
		})
		t.Run("noGC "+name, func(t *testing.T) {
			d := applyAll(t, crdt.Options{Types: roots, KeepDeleted: true}, updates, v)
			checkState(t, d, s.NoGC)
			if s.NoGC.View.Delta != nil { // recordings have none
				checkView(t, d, s.NoGC.View)
				checkMarkedView(t, d, s.NoGC.View)
			}
		})
	}
	t.Run("returned", func(t *testing.T) { checkReturned(t, s) })
	t.Run("shuffled", func(t *testing.T) { checkShuffled(t, s) })
	t.Run("mid", func(t *testing.T) { checkMid(t, s) })
	t.Run("bytes", func(t *testing.T) { checkByteFunctions(t, s, v1, v2) })
}

// applyAll applies updates one by one and checks the invariants after each,
// and that what Apply reports to broadcast brings a second document along.
func applyAll(t *testing.T, o crdt.Options, updates [][]byte, v crdt.Version) *crdt.Doc {
	t.Helper()
	d, follower := crdt.New(o), crdt.New(o)
	for i, u := range updates {
		a, err := d.Apply(u, v)
		if err != nil {
			t.Fatalf("Apply(update %d) = %v", i, err)
		}
		if err := d.Check(); err != nil {
			t.Fatalf("after update %d: %v", i, err)
		}
		if a.Update == nil {
			continue
		}
		if _, err := follower.Apply(a.Update, v); err != nil {
			t.Fatalf("Apply(broadcast of update %d) = %v", i, err)
		}
	}
	if got, want := follower.AppendStateVector(nil), d.AppendStateVector(nil); !slices.Equal(got, want) {
		t.Errorf("document fed with broadcasts has state vector %x, want %x", got, want)
	}
	if diff := crdttest.DiffText(d.Text("text"), follower.Text("text")); diff != "" {
		t.Errorf("text of document fed with broadcasts: %s", diff)
	}
	return d
}

// checkReturned shuffles updates through a document that hands back what it cannot use yet.
func checkReturned(t *testing.T, s *crdttest.Scenario) {
	d := crdt.New(crdt.Options{ReturnPending: true})
	var waiting [][]byte
	for _, n := range s.Shuffled.Order {
		queue := append(waiting, s.Updates[n].V1)
		waiting = nil
		for progress := true; progress; {
			progress = false
			var rest [][]byte
			for _, u := range queue {
				a, err := d.Apply(u, crdt.V1)
				if err != nil {
					t.Fatalf("Apply(update %d) = %v", n, err)
				}
				progress = progress || a.Changed
				if a.Rest != nil {
					rest = append(rest, a.Rest)
				}
			}
			queue = rest
		}
		waiting = queue
	}
	if len(waiting) > 0 {
		t.Fatalf("%d updates are left over", len(waiting))
	}
	if err := d.Check(); err != nil {
		t.Fatal(err)
	}
	checkState(t, d, crdttest.State{SV: s.Final.SV})
	if !s.Astral { // where a surrogate pair is cut depends on the order
		checkView(t, d, untypedView(s))
	}
}

// untypedView returns what a reader of an untyped server sees. Recordings have
// only that of the typed one, whose formats differ where it tidied up.
func untypedView(s *crdttest.Scenario) crdttest.View {
	if s.Untyped.View.Delta != nil {
		return s.Untyped.View
	}
	v := s.Final.View
	if !slices.Equal(s.Final.V1, s.Untyped.V1) {
		v.Delta = nil
	}
	return v
}

func checkShuffled(t *testing.T, s *crdttest.Scenario) {
	d := crdt.New(crdt.Options{Types: roots})
	for i, n := range s.Shuffled.Order {
		if _, err := d.Apply(s.Updates[n].V1, crdt.V1); err != nil {
			t.Fatalf("Apply(update %d) = %v", n, err)
		}
		if err := d.Check(); err != nil {
			t.Fatalf("after update %d: %v", n, err)
		}
		if h := s.Shuffled.Half; i == h.At && h.V1 != nil {
			checkState(t, d, crdttest.State{V1: h.V1, V2: h.V2, SV: h.SV})
			checkView(t, d, h.View)
			checkPending(t, d, h)
		}
	}
	// The state vector may stay behind that of the final state: yjs retries pending structs only under some conditions.
	checkState(t, d, crdttest.State{V1: s.Shuffled.V1, V2: s.Shuffled.V2})
}

// checkPending compares what waits in a document with yjs' own pending updates.
func checkPending(t *testing.T, d *crdt.Doc, h crdttest.Half) {
	t.Helper()
	structs, missing, deletes := crdt.Pending(d)
	if diff := crdttest.DiffBytes(h.PendingStructsV2, structs); diff != "" {
		t.Errorf("pending structs: %s", diff)
	}
	if diff := crdttest.DiffBytes(h.PendingDeletesV2, deletes); diff != "" {
		t.Errorf("pending deletes: %s", diff)
	}
	want := crdt.StateVector{}
	for _, m := range slices.Backward(h.Missing) {
		want = append(want, crdt.Clock{Client: crdt.ClientID(m[0]), Next: m[1]})
	}
	if !slices.Equal(missing, want) {
		t.Errorf("missing = %v, want %v", missing, want)
	}
}

func checkMid(t *testing.T, s *crdttest.Scenario) {
	sv, err := crdt.DecodeStateVector(s.Mid.SV)
	if err != nil {
		t.Fatalf("DecodeStateVector(%x) = %v", s.Mid.SV, err)
	}
	if got := sv.Append(nil); !slices.Equal(got, s.Mid.SV) {
		t.Errorf("state vector %x comes back as %x", s.Mid.SV, got)
	}
	got, err := crdt.DiffUpdate(s.Final.V1, sv, crdt.V1)
	if err != nil {
		t.Fatalf("DiffUpdate = %v", err)
	}
	if diff := crdttest.DiffBytes(s.Mid.DiffUpdate, got); diff != "" {
		t.Errorf("DiffUpdate: %s", diff)
	}
	mid := crdt.New(crdt.Options{})
	if _, err := mid.Apply(s.Mid.V1, crdt.V1); err != nil {
		t.Fatalf("Apply(mid) = %v", err)
	}
	if _, err := mid.Apply(s.Mid.DiffFromFinal, crdt.V1); err != nil {
		t.Fatalf("Apply(diff) = %v", err)
	}
	checkView(t, mid, s.Final.View)
}

func checkByteFunctions(t *testing.T, s *crdttest.Scenario, v1, v2 [][]byte) {
	compare := func(what string, want []byte, f func() ([]byte, error)) {
		t.Helper()
		got, err := f()
		if err != nil {
			t.Errorf("%s = %v", what, err)
		} else if diff := crdttest.DiffBytes(want, got); want != nil && diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	shuffled := make([][]byte, len(v1))
	for i, n := range s.Shuffled.Order {
		shuffled[i] = v1[n]
	}
	compare("MergeUpdates v1", s.Merged.V1, func() ([]byte, error) { return crdt.MergeUpdates(crdt.V1, v1...) })
	compare("MergeUpdates v2", s.Merged.V2, func() ([]byte, error) { return crdt.MergeUpdates(crdt.V2, v2...) })
	compare("MergeUpdates shuffled", s.Merged.V1Shuffled, func() ([]byte, error) { return crdt.MergeUpdates(crdt.V1, shuffled...) })
	compare("ConvertUpdate v1 to v2", s.Convert.V1toV2, func() ([]byte, error) { return crdt.ConvertUpdate(s.Final.V1, crdt.V1, crdt.V2) })
	compare("ConvertUpdate v2 to v1", s.Convert.V2toV1, func() ([]byte, error) { return crdt.ConvertUpdate(s.Final.V2, crdt.V2, crdt.V1) })
	compare("StateVectorOf", s.Final.SVFromUpdate, func() ([]byte, error) {
		sv, err := crdt.StateVectorOf(s.Final.V1, crdt.V1)
		return sv.Append(nil), err
	})
}

// joinInserts joins neighbouring texts with equal formats: redundant formats
// between them depend on when a server tidied up.
func joinInserts(t *testing.T, delta []byte) []byte {
	t.Helper()
	type op struct {
		Insert     json.RawMessage `json:"insert"`
		Attributes json.RawMessage `json:"attributes,omitempty"`
	}
	var ops, out []op
	if err := json.Unmarshal(delta, &ops); err != nil {
		t.Fatalf("delta %s: %v", delta, err)
	}
	for _, o := range ops {
		var text, last string
		if n := len(out); n > 0 && json.Unmarshal(o.Insert, &text) == nil && json.Unmarshal(out[n-1].Insert, &last) == nil &&
			len(o.Attributes) == len(out[n-1].Attributes) &&
			(len(o.Attributes) == 0 || crdttest.DiffJSON(o.Attributes, out[n-1].Attributes) == "") {
			out[n-1].Insert, _ = json.Marshal(last + text)
			continue
		}
		out = append(out, o)
	}
	joined, err := json.Marshal(out)
	if err != nil || out == nil {
		return []byte("[]")
	}
	return joined
}

func checkView(t *testing.T, d *crdt.Doc, want crdttest.View) {
	t.Helper()
	if diff := crdttest.DiffText(want.Text, d.Text("text")); diff != "" {
		t.Errorf("Text: %s", diff)
	}
	if diff := crdttest.DiffText(want.XML, d.XML("xml")); diff != "" {
		t.Errorf("XML: %s", diff)
	}
	check := func(what string, want json.RawMessage, empty string, f func(string) ([]byte, error), root string) {
		t.Helper()
		got, err := f(root)
		if err != nil {
			t.Errorf("%s(%q) = %v", what, root, err)
			return
		}
		if string(got) == "null" {
			got = []byte(empty) // a root that nobody wrote to
		}
		if diff := crdttest.DiffJSON(plainJSON(t, want), got); diff != "" {
			t.Errorf("%s(%q): %s", what, root, diff)
		}
	}
	if want.Delta != nil {
		check("Delta", joinInserts(t, want.Delta), "[]", func(root string) ([]byte, error) {
			got, err := d.Delta(root)
			return joinInserts(t, got), err
		}, "text")
	}
	check("JSON", want.Arr, "[]", d.JSON, "arr")
	check("JSON", want.Map, "{}", d.JSON, "map")
}
