package crdt_test

import (
	"testing"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// TestVersionsOracle reads documents as they were, and how they changed, as yjs does.
func TestVersionsOracle(t *testing.T) {
	seed := crdttest.Seed(t, 850_000)
	q := crdttest.Request{Seed: seed, Count: *seedCount, Fields: []string{"versions"}}
	crdttest.Each(t, crdttest.Oracle(t, q), versionsDir, checkVersions)
}

// versionsDir holds scenarios that once failed; they are fixed cases from then on.
const versionsDir = "testdata/versions"

// TestVersionsKept replays scenarios that once failed.
func TestVersionsKept(t *testing.T) {
	crdttest.Each(t, crdttest.Dir(t, versionsDir), "", checkVersions)
}

func checkVersions(t *testing.T, s *crdttest.Scenario) {
	d := crdt.New(crdt.Options{Types: roots, KeepDeleted: true})
	snapshots := []crdt.Snapshot{d.Snapshot()}
	for i, u := range s.Updates {
		if _, err := d.Apply(u.V1, crdt.V1); err != nil {
			t.Fatalf("Apply(update %d) = %v", i, err)
		}
		snapshots = append(snapshots, d.Snapshot())
	}
	before := d.AppendDiff(nil, nil, crdt.V2)
	at := func(n *int) *crdt.Snapshot {
		if n == nil {
			return nil
		}
		return &snapshots[*n]
	}
	for i, v := range s.Versions {
		d.View(func(tx *crdt.Tx) {
			o := crdt.DeltaOptions{At: at(v.At), Since: at(v.Since)}
			if v.User {
				o.Mark = func(c crdt.YChange, author crdt.ClientID, _ uint64) any {
					return map[string]any{"user": float64(author), "type": string(c)}
				}
			}
			compare := func(what string, want []byte, got any) {
				t.Helper()
				if diff := crdttest.DiffJSON(want, mustJSON(t, got)); diff != "" {
					t.Errorf("version %d, %s: %s", i, what, diff)
				}
			}
			compare("delta", v.Delta, markedOps(tx.Text("text").DeltaAt(o)))
			then := snapshots[len(s.Updates)]
			if v.At != nil {
				then = snapshots[*v.At]
			}
			arr, entries := []any{}, map[string]any{}
			for _, e := range tx.Array("arr").ValuesAt(then) {
				arr = append(arr, shallow(e))
			}
			for k, e := range tx.Map("map").EntriesAt(then) {
				entries[k] = shallow(e)
			}
			compare("array", v.Arr, arr)
			compare("map", v.Map, entries)
		})
	}
	if diff := crdttest.DiffBytes(before, d.AppendDiff(nil, nil, crdt.V2)); diff != "" {
		t.Errorf("reading changed the document: %s", diff)
	}
}

// shallow is marked with the string type for each shared type.
func shallow(v any) any {
	if isShared(v) {
		return "type"
	}
	return marked(v)
}
