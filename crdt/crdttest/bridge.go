package crdttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// BridgeReport is what came of Yjs' own tests when a document of the engine stood beside each of theirs.
type BridgeReport struct {
	Tests       int      `json:"tests"`
	Reached     int      `json:"reached"` // tests that sent at least one update
	Skipped     []string `json:"skipped"` // by themselves: they are meant for long runs
	Failing     []string `json:"failing"` // on the pinned Yjs without us: they are older than it
	Docs        int      `json:"docs"`
	Updates     int      `json:"updates"`
	Differences []string `json:"differences"`
}

// Bridge runs Yjs' tests beside the engine that was built for JavaScript as the file wasm. Node or the npm packages
// missing ends the test by the rule of [Require].
func Bridge(t testing.TB, wasm string, seed uint64) BridgeReport {
	t.Helper()
	bin, dir := node(t)
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("go env GOROOT: %v", err)
	}
	shim := filepath.Join(strings.TrimSpace(string(goroot)), "lib", "wasm", "wasm_exec.js")
	cmd := exec.CommandContext(t.Context(), bin, "bridge.mjs", shim, wasm, strconv.FormatUint(seed, 10))
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w\n%s", err, exit.Stderr)
		}
		t.Fatalf("bridge on %s: %v", runtime.Version(), err)
	}
	// The tests print as they go; the report is the last line.
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	var r BridgeReport
	if err := json.Unmarshal(lines[len(lines)-1], &r); err != nil {
		t.Fatalf("bridge answered %q: %v", clip(lines[len(lines)-1]), err)
	}
	return r
}
