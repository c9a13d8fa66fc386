package crdt_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// TestUndoOracle undoes and redoes what yjs does, byte for byte.
func TestUndoOracle(t *testing.T) {
	seed := crdttest.Seed(t, 900_000)
	crdttest.EachSession(t, crdttest.UndoSessions(t, seed, *seedCount), undoDir, checkUndo)
}

// undoDir holds sessions that once failed; they are fixed cases from then on.
const undoDir = "testdata/undo"

// TestUndoKept replays sessions that once failed.
func TestUndoKept(t *testing.T) {
	crdttest.EachSession(t, crdttest.KeptSessions[crdttest.UndoSession](t, undoDir), "", checkUndo)
}

func checkUndo(t *testing.T, s *crdttest.UndoSession) {
	d := crdt.New(crdt.Options{ClientID: 1, Types: roots, KeepDeleted: !s.GC})
	var updates [][]byte
	deltas := []any{}
	o := crdt.Observer{Update: func(c crdt.Change) { updates = append(updates, c.Update) }}
	if s.Events {
		o.Type = func(e *crdt.Event) {
			if e.Target() == crdt.RootID("text") {
				deltas = append(deltas, markedOps(e.Delta()))
			}
		}
	}
	d.Observe(o)
	options := undoOptions(s)
	var told []any
	tell := func(event string) func(crdt.StackEvent) {
		return func(e crdt.StackEvent) {
			told = append(told, []any{event, map[bool]string{false: "undo", true: "redo"}[e.Redo]})
		}
	}
	options.Added, options.Updated, options.Popped = tell("added"), tell("updated"), tell("popped")
	options.Cleared = func(undo, redo bool) { told = append(told, []any{"cleared", undo, redo}) }
	u := crdt.NewUndoManager(d, options)
	undone, redone := 0, 0
	for i, step := range s.Steps {
		updates, deltas, told = nil, []any{}, []any{}
		name := fmt.Sprintf("step %d, %s", i, step.Op)
		switch step.Op {
		case "apply":
			if _, err := d.ApplyFrom(step.Origin, step.Update, crdt.V1); err != nil {
				t.Fatalf("%s = %v", name, err)
			}
		case "undo":
			if _, ok := u.Undo(); ok {
				undone++
			}
		case "redo":
			if _, ok := u.Redo(); ok {
				redone++
			}
		case "stop":
			u.StopCapturing()
		case "clear":
			u.Clear()
		case "clearUndo":
			u.ClearUndo()
		case "clearRedo":
			u.ClearRedo()
		}
		if err := d.Check(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !slices.EqualFunc(updates, step.Updates, slices.Equal[[]byte]) {
			t.Fatalf("%s: updates %x, want %x", name, updates, step.Updates)
		}
		if diff := crdttest.DiffJSON(mustJSON(t, step.Deltas), mustJSON(t, deltas)); diff != "" {
			t.Fatalf("%s: deltas %s", name, diff)
		}
		if step.Told != nil {
			if diff := crdttest.DiffJSON(mustJSON(t, step.Told), mustJSON(t, told)); diff != "" {
				t.Fatalf("%s: told %s", name, diff)
			}
		}
		if undo, redo := u.Steps(); undo != step.Undo || redo != step.Redo {
			t.Fatalf("%s: Steps = %d, %d, want %d, %d", name, undo, redo, step.Undo, step.Redo)
		}
	}
	checkState(t, d, crdttest.State{V1: s.V1, V2: s.V2})
	checkMarkedView(t, d, s.View)
	t.Logf("%d steps undone, %d redone", undone, redone)
}

func undoOptions(s *crdttest.UndoSession) crdt.UndoOptions {
	o := crdt.UndoOptions{CaptureTimeout: -1, Origins: []any{"me"}, OverwriteRemote: s.Overwrite}
	if s.Join {
		o.CaptureTimeout = 24 * time.Hour
	}
	if s.Tidying {
		o.Origins = append(o.Origins, nil)
	}
	if s.KeepTypes {
		o.Keep = func(c crdt.Content) bool { return isShared(c.Value) }
	}
	if s.Scope != nil {
		o.Scope = []crdt.TypeID{}
		for _, root := range s.Scope {
			o.Scope = append(o.Scope, crdt.RootID(root))
		}
	}
	return o
}

// isShared tells shared types from other values.
func isShared(v any) bool {
	switch v.(type) {
	case crdt.SharedText, crdt.SharedArray, crdt.SharedMap, crdt.SharedXML, crdt.SharedHook:
		return true
	}
	return false
}
