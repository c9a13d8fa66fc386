// Package main_test runs Yjs' own tests beside the engine as JavaScript uses it.
package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"weft/crdt/crdttest"
)

// wantReached guards against a bridge that breaks unnoticed.
const wantReached = 70

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
	t.Logf("%d of %d tests reached the engine with %d updates of %d documents; %d skip themselves, not passed by yjs: %q",
		r.Reached, r.Tests, r.Updates, r.Docs, len(r.Skipped), r.Failing)
	for _, d := range r.Differences {
		t.Error(d)
	}
	if r.Reached < wantReached {
		t.Errorf("%d tests reached the engine, want at least %d", r.Reached, wantReached)
	}
}
