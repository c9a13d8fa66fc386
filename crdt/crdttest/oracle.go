package crdttest

import (
	"bytes"
	"context"
	"io"
	"iter"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Request says which scenarios the live oracle makes.
type Request struct {
	Seed  uint64 // of the first scenario; scenario i has seed Seed+i, and ten seeds in a row have all ten kinds
	Count int
	// Fields limits what Yjs is asked, by the JSON names of Scenario's fields from final on; nil asks everything.
	// Asking only for untyped is twice as fast as asking everything (about 45 scenarios a second).
	Fields []string
}

// Oracle yields scenarios that Node generates with real Yjs while the test reads them. The same seed gives the same
// bytes on every machine. Node or its packages missing ends the test by the rule of [Require].
// The process ends with the iteration.
func Oracle(t testing.TB, q Request) iter.Seq[*Scenario] {
	t.Helper()
	var more []string
	if q.Fields != nil {
		more = []string{"--fields", strings.Join(q.Fields, ",")}
	}
	return runScript(t, "generate.mjs", q.Seed, q.Count, more, readScenarios)
}

// runScript yields what read finds in the output of a script of the oracle, while the script runs: count items, from a
// seed on. The process ends with the iteration.
func runScript[T any](t testing.TB, script string, seed uint64, count int, more []string, read func(io.Reader, func(*T) bool) error) iter.Seq[*T] {
	t.Helper()
	bin, dir := node(t)
	args := append([]string{script, "--seed", strconv.FormatUint(seed, 10), "--count", strconv.Itoa(count)}, more...)
	return func(yield func(*T) bool) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		cmd := exec.CommandContext(ctx, bin, args...)
		cmd.Dir = dir
		cmd.WaitDelay = 10 * time.Second
		var complaints bytes.Buffer
		cmd.Stderr = &complaints
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatalf("start oracle %s: %v", script, err)
		}
		got, stopped := 0, false
		err = read(out, func(item *T) bool {
			got++
			stopped = !yield(item)
			return !stopped
		})
		if stopped {
			// The reader has enough: the process is killed, and its exit status means nothing.
			cancel()
			_ = cmd.Wait()
			return
		}
		if waitErr := cmd.Wait(); waitErr != nil || err != nil || got != count {
			t.Fatalf("oracle %s, seed %d: %d of %d, read: %v, exit: %v\n%s", script, seed, got, count, err, waitErr, complaints.Bytes())
		}
	}
}
