package crdttest_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"weft/crdt/crdttest"
)

// recorder is a test that notes how it was ended instead of ending.
type recorder struct {
	testing.TB
	outcome string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.end("failed: " + fmt.Sprintf(format, args...))
}

func (r *recorder) Skipf(format string, args ...any) {
	r.end("skipped: " + fmt.Sprintf(format, args...))
}

func (r *recorder) end(outcome string) {
	r.outcome = outcome
	runtime.Goexit()
}

func TestRequire(t *testing.T) {
	cause := errors.New("not in PATH")
	cases := []struct {
		name, ci, weftCI string
		err              error
		want             string
	}{
		{"present", "true", "", nil, ""},
		{"missing at a desk", "", "", cause, "skipped: missing node: not in PATH"},
		{"missing in CI", "true", "", cause, "failed: missing node: not in PATH"},
		{"missing in our CI", "", "1", cause, "failed: missing node: not in PATH"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("CI", c.ci)
			t.Setenv("WEFT_CI", c.weftCI)
			r := &recorder{TB: t}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				crdttest.Require(r, "node", c.err)
			}()
			<-ended
			if r.outcome != c.want {
				t.Errorf("Require(%v) = %q, want %q", c.err, r.outcome, c.want)
			}
		})
	}
}

func TestFixturesAbsent(t *testing.T) {
	t.Setenv("CI", "true")
	t.Setenv("WEFT_FIXTURES", t.TempDir()+"/none")
	r := &recorder{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		crdttest.Fixtures(r)
	}()
	<-ended
	if !strings.HasPrefix(r.outcome, "skipped: no recorded fixtures") {
		t.Errorf("Fixtures() without the folder = %q, want a skip, in CI too", r.outcome)
	}
}
