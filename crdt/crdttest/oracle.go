package crdttest

import (
	"bytes"
	"context"
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
	bin, dir := node(t)
	args := []string{"generate.mjs", "--seed", strconv.FormatUint(q.Seed, 10), "--count", strconv.Itoa(q.Count)}
	if q.Fields != nil {
		args = append(args, "--fields", strings.Join(q.Fields, ","))
	}
	return func(yield func(*Scenario) bool) {
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
			t.Fatalf("start oracle: %v", err)
		}
		got, stopped := 0, false
		err = readScenarios(out, func(s *Scenario) bool {
			got++
			stopped = !yield(s)
			return !stopped
		})
		if stopped {
			// The reader has enough: the process is killed, and its exit status means nothing.
			cancel()
			_ = cmd.Wait()
			return
		}
		if waitErr := cmd.Wait(); waitErr != nil || err != nil || got != q.Count {
			t.Fatalf("oracle seed %d: %d of %d scenarios, read: %v, exit: %v\n%s", q.Seed, got, q.Count, err, waitErr, complaints.Bytes())
		}
	}
}
