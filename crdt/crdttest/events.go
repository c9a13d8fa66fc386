package crdttest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"os/exec"
	"strconv"
	"testing"
)

// EventSession is what observers of real Yjs were told while a doc applied the updates of others. The doc declares
// the four roots and has client id 1, and each shared type has an observer that reads all of each event.
type EventSession struct {
	Seed  uint64      `json:"seed"`
	Steps []EventStep `json:"steps"`

	// The doc at the end.
	V1   []byte `json:"v1"`
	View View   `json:"view"`
}

// EventStep is one update and the events that it caused.
type EventStep struct {
	Update    []byte            `json:"update"`
	Events    []json.RawMessage `json:"events"`  // {path, delta, keys: {key: {action, old}}}, path from the root's name
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

// sessions yields what a script of the oracle writes, one JSON object a line.
func sessions[S any](t testing.TB, script string, seed uint64, count int) iter.Seq[*S] {
	t.Helper()
	bin, dir := node(t)
	return func(yield func(*S) bool) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		cmd := exec.CommandContext(ctx, bin, script, "--seed", strconv.FormatUint(seed, 10), "--count", strconv.Itoa(count))
		cmd.Dir = dir
		var complaints bytes.Buffer
		cmd.Stderr = &complaints
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatalf("start oracle %s: %v", script, err)
		}
		lines := bufio.NewScanner(out)
		lines.Buffer(make([]byte, 0, 1<<20), maxLine)
		n := 0
		for lines.Scan() {
			s := new(S)
			if err := json.Unmarshal(lines.Bytes(), s); err != nil {
				t.Fatalf("oracle %s answered %q: %v", script, clip(lines.Bytes()), err)
			}
			if n++; !yield(s) {
				// The reader has enough: the process is killed, and its exit status means nothing.
				cancel()
				_ = cmd.Wait()
				return
			}
		}
		if err := errors.Join(lines.Err(), cmd.Wait()); err != nil || n != count {
			t.Fatalf("oracle %s, seed %d: %d of %d sessions: %v\n%s", script, seed, n, count, err, complaints.Bytes())
		}
	}
}
