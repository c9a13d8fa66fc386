package crdt_test

import (
	"slices"
	"testing"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// TestEventOracle compares all that observers are told with yjs: path, delta
// and keys of every type's events, updates of both versions, subdocuments.
func TestEventOracle(t *testing.T) {
	seed := crdttest.Seed(t, 950_000)
	crdttest.EachSession(t, crdttest.EventSessions(t, seed, *seedCount), eventDir, checkEvents)
}

// eventDir holds sessions that once failed; they are fixed cases from then on.
const eventDir = "testdata/events"

// TestEventKept replays sessions that once failed.
func TestEventKept(t *testing.T) {
	crdttest.EachSession(t, crdttest.KeptSessions[crdttest.EventSession](t, eventDir), "", checkEvents)
}

func checkEvents(t *testing.T, s *crdttest.EventSession) {
	d := crdt.New(crdt.Options{ClientID: 1, Types: roots})
	var updates, updatesV2 [][]byte
	var events, subdocs []any
	var deep map[string][]any
	d.Observe(crdt.Observer{
		Types: func(events []*crdt.Event) {
			for _, e := range events {
				root := e.Path()[0].(string)
				deep[root] = append(deep[root], e.Path())
			}
		},
		Type:     func(e *crdt.Event) { events = append(events, markedEvent(e)) },
		Update:   func(c crdt.Change) { updates = append(updates, c.Update) },
		UpdateV2: func(c crdt.Change) { updatesV2 = append(updatesV2, c.Update) },
		Subdocs: func(e crdt.SubdocsEvent) {
			subdocs = append(subdocs, map[string]any{"added": guids(e.Added), "removed": guids(e.Removed), "loaded": guids(e.Loaded)})
		},
	})
	for i, step := range s.Steps {
		updates, updatesV2, events, subdocs, deep = nil, nil, []any{}, []any{}, map[string][]any{}
		if _, err := d.ApplyFrom("network", step.Update, crdt.V1); err != nil {
			t.Fatalf("Apply(update %d) = %v", i, err)
		}
		if err := d.Check(); err != nil {
			t.Fatalf("after update %d: %v", i, err)
		}
		if diff := crdttest.DiffJSON(mustJSON(t, step.Events), mustJSON(t, events)); diff != "" {
			t.Fatalf("events of update %d: %s", i, diff)
		}
		if diff := crdttest.DiffJSON(step.Deep, mustJSON(t, deep)); diff != "" {
			t.Fatalf("deep events of update %d: %s", i, diff)
		}
		if diff := crdttest.DiffJSON(mustJSON(t, step.Subdocs), mustJSON(t, subdocs)); diff != "" {
			t.Fatalf("subdocs of update %d: %s", i, diff)
		}
		if !slices.EqualFunc(updates, step.Updates, slices.Equal[[]byte]) {
			t.Fatalf("update %d: updates %x, want %x", i, updates, step.Updates)
		}
		if !slices.EqualFunc(updatesV2, step.UpdatesV2, slices.Equal[[]byte]) {
			t.Fatalf("update %d: V2 updates %x, want %x", i, updatesV2, step.UpdatesV2)
		}
	}
	checkState(t, d, crdttest.State{V1: s.V1})
	checkMarkedView(t, d, s.View)
}

func markedEvent(e *crdt.Event) any {
	keys := map[string]any{}
	for k, c := range e.Keys() {
		change := map[string]any{"action": c.Action}
		if c.Action != crdt.Added {
			change["old"] = marked(c.Old)
		}
		keys[k] = change
	}
	return map[string]any{"path": e.Path(), "delta": markedOps(e.Delta()), "keys": keys}
}

func guids(docs []crdt.Subdoc) []string {
	out := []string{}
	for _, d := range docs {
		out = append(out, d.GUID)
	}
	slices.Sort(out)
	return out
}
