package crdttest

import (
	"encoding/json"
	"iter"
	"testing"
)

// UndoSession is what an UndoManager of real Yjs did in a doc that applied the updates of others. The doc declares
// the four roots and has client id 1.
type UndoSession struct {
	Played

	GC        bool       `json:"gc"`
	Scope     []string   `json:"scope"`     // roots of the UndoManager; nil: the whole doc
	Join      bool       `json:"join"`      // all transactions join into one step; else none do
	Overwrite bool       `json:"overwrite"` // ignoreRemoteMapChanges
	Tidying   bool       `json:"tidying"`   // transactions without an origin are tracked as well as those from "me"
	Events    bool       `json:"events"`    // the root text is observed by one that reads each event's delta
	KeepTypes bool       `json:"keepTypes"` // nested types are not deleted by undoing
	Steps     []UndoStep `json:"steps"`

	// The doc at the end.
	V1   []byte `json:"v1"`
	V2   []byte `json:"v2"`
	View View   `json:"view"`
}

// UndoStep is one call and what came of it.
type UndoStep struct {
	Op     string `json:"op"`     // apply, undo, redo, stop, clear, clearUndo, clearRedo
	Update []byte `json:"update"` // apply: the update
	Origin string `json:"origin"` // apply: me or other

	Updates [][]byte          `json:"updates"` // each update event of the doc, V1
	Deltas  []json.RawMessage `json:"deltas"`  // each delta of the root text
	Told    [][]any           `json:"told"`    // each event of the UndoManager: its name and flags; nil in old recordings
	Undo    int               `json:"undo"`    // steps that can be undone afterwards
	Redo    int               `json:"redo"`
}

// UndoSessions yields sessions that Node plays with real Yjs; session i has seed+i. Node or its packages missing
// ends the test by the rule of [Require].
func UndoSessions(t testing.TB, seed uint64, count int) iter.Seq[*UndoSession] {
	t.Helper()
	return sessions[UndoSession](t, "undo.mjs", seed, count)
}
