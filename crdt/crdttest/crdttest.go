// Package crdttest brings real Yjs, and recorded work of it, into the tests of package crdt.
//
// It owns the scenarios (small sessions of several authors, with every byte that Yjs 13.6.33 answered for them),
// the recorded streams and traces, the process of the live oracle in oracle/, and the comparison of what they say.
// It knows nothing of package crdt, so that crdt's own external tests can import it.
//
// A scenario comes from one of three places, all in one schema: [Fixture] reads the recorded ones beside the
// repository, [Oracle] has Node generate some from a seed, [Dir] reads the failures that [Each] kept. The
// recordings may be absent and then their tests skip. Node and the oracle's npm packages may be missing on a
// developer's machine, where [Require] skips too, but not in CI, where it fails.
//
// Every function takes the test it serves and must be called from that test's goroutine.
package crdttest

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// seedFlag is registered once for each test binary that imports the package.
var seedFlag = flag.Uint64("seed", 0, "first seed of randomised tests; 0: each test's own")

// Seed returns the seed that was given with -seed, or fallback without one, and logs it.
func Seed(t testing.TB, fallback uint64) uint64 {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = fallback
	}
	t.Logf("seed %d (choose with -seed)", seed)
	return seed
}

// Require is the one rule for what a test needs and the machine may lack: without err it returns, in CI (CI or
// WEFT_CI set) it fails the test, elsewhere it skips the test. what names the missing thing and how to get it.
func Require(t testing.TB, what string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case inCI():
		t.Fatalf("missing %s: %v", what, err)
	default:
		t.Skipf("missing %s: %v", what, err)
	}
}

func inCI() bool { return os.Getenv("CI") != "" || os.Getenv("WEFT_CI") != "" }

// root is the folder of go.mod, found upwards from the working directory of the test.
func root(t testing.TB) string {
	t.Helper()
	dir, err := repositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var repositoryRoot = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", os.ErrNotExist
		}
		dir = up
	}
})

// Fixtures returns the folder of recorded work: $WEFT_FIXTURES, or shared/fixtures beside the repository.
// It skips the test when there is none, in CI as well: the recordings are no part of the repository.
func Fixtures(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("WEFT_FIXTURES")
	if dir == "" {
		dir = filepath.Join(root(t), "..", "shared", "fixtures")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no recorded fixtures (set WEFT_FIXTURES to their folder): %v", err)
	}
	return dir
}

// node returns the Node binary and the folder of the oracle's scripts, or ends the test by the rule of Require.
func node(t testing.TB) (bin, dir string) {
	t.Helper()
	bin, err := exec.LookPath("node")
	Require(t, "node, which runs the Yjs oracle (.ci/setup installs it)", err)
	dir = filepath.Join(root(t), "crdt", "crdttest", "oracle")
	_, err = os.Stat(filepath.Join(dir, "node_modules", "yjs", "package.json"))
	Require(t, "the oracle's npm packages (npm ci in crdt/crdttest/oracle, or .ci/setup)", err)
	return bin, dir
}
