package crdttest

import (
	"encoding/json"
	"iter"
	"testing"
)

// LocalSession is what real Yjs wrote when a doc that declares the four roots was edited through its own types, with
// an UndoManager over the roots, and applied what another author did in between.
type LocalSession struct {
	Played

	Client uint64      `json:"client"` // id of the doc
	GC     bool        `json:"gc"`
	Join   bool        `json:"join"`   // all edits join into one step of undo; else none do
	Events bool        `json:"events"` // the root text is observed by one that reads each event's delta
	Steps  []LocalStep `json:"steps"`

	// The doc at the end.
	V1   []byte `json:"v1"`
	View View   `json:"view"`
}

// LocalStep is one transaction and what came of it.
type LocalStep struct {
	UndoStep // Op: edit, apply, undo, redo, stop

	Edits []LocalEdit `json:"edits"` // edit: the edits of the transaction
}

// LocalEdit is one call on a shared type.
type LocalEdit struct {
	Path []any             `json:"path"` // name of a root, then keys (string) and indexes (float64)
	Edit []json.RawMessage `json:"edit"` // name of the edit, then its arguments: see textEdit and others in local.mjs
}

// LocalSessions yields sessions that Node plays with real Yjs; session i has seed+i. Node or its packages missing
// ends the test by the rule of [Require].
func LocalSessions(t testing.TB, seed uint64, count int) iter.Seq[*LocalSession] {
	t.Helper()
	return sessions[LocalSession](t, "local.mjs", seed, count)
}
