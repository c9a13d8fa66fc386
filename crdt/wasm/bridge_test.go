// Package main_test runs Yjs' own tests beside the engine as JavaScript uses it.
package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"weft/crdt/crdttest"
)

// Of the 84 tests that yjs 13.0.0 published, the last to come with its tests,
// all can be reached but encoding: testStructReferences, which counts the
// content types of that version and makes no document.
const wantReached = 83

// TestBridge builds the engine for JavaScript and has Yjs' published tests
// send it every update of every document they make.
func TestBridge(t *testing.T) {
	seed := crdttest.Seed(t, 1)
	wasm := filepath.Join(t.TempDir(), "weft.wasm")
	build := exec.Command("go", "build", "-o", wasm, ".")
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	r := crdttest.Bridge(t, wasm, seed)
	t.Logf("%d of %d tests reached the engine with %d updates of %d documents; skipped: %q; not passed by yjs itself: %q",
		r.Reached, r.Tests, r.Updates, r.Docs, r.Skipped, r.Failing)
	for _, d := range r.Differences {
		t.Error(d)
	}
	if r.Reached < wantReached {
		t.Errorf("%d tests reached the engine, want at least %d", r.Reached, wantReached)
	}
}
