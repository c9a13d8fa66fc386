package crdttest

import (
	"encoding/json"
	"iter"
	"testing"
)

// EventSession is what observers of real Yjs were told while a doc applied the updates of others. The doc declares
// the four roots and has client id 1, and each shared type has an observer that reads all of each event.
type EventSession struct {
	Played

	Steps []EventStep `json:"steps"`

	// The doc at the end.
	V1   []byte `json:"v1"`
	View View   `json:"view"`
}

// EventStep is one update and the events that it caused.
type EventStep struct {
	Update    []byte            `json:"update"`
	Events    []json.RawMessage `json:"events"`  // {path, delta, keys: {key: {action, old}}}, path from the root's name
	Deep      json.RawMessage   `json:"deep"`    // {root: paths}, as observeDeep of each root got them
	Updates   [][]byte          `json:"updates"` // each update event, in V1
	UpdatesV2 [][]byte          `json:"updatesV2"`
	Subdocs   []json.RawMessage `json:"subdocs"` // {added, removed, loaded}, sorted guids
}

// EventSessions yields sessions that Node plays with real Yjs; session i has seed+i. Node or its packages missing
// ends the test by the rule of [Require].
func EventSessions(t testing.TB, seed uint64, count int) iter.Seq[*EventSession] {
	t.Helper()
	return sessions[EventSession](t, "events.mjs", seed, count)
}
