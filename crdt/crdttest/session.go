package crdttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Played is what the sessions of all scripts of the oracle have.
type Played struct {
	Seed uint64 `json:"seed"`
	// Raw is the line that the session was read from, without its newline.
	Raw []byte `json:"-"`
}

func (p *Played) played() *Played { return p }

// session is a pointer to a type that embeds Played.
type session[S any] interface {
	*S
	played() *Played
}

// sessions yields what a script of the oracle writes, one JSON object a line.
func sessions[S any, P session[S]](t testing.TB, script string, seed uint64, count int) iter.Seq[*S] {
	t.Helper()
	return runScript(t, script, seed, count, nil, readSessions[S, P])
}

func readSessions[S any, P session[S]](r io.Reader, yield func(*S) bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 1<<20), maxLine)
	for lines.Scan() {
		s := new(S)
		if err := json.Unmarshal(lines.Bytes(), s); err != nil {
			return fmt.Errorf("session %q: %w", clip(lines.Bytes()), err)
		}
		P(s).played().Raw = bytes.Clone(lines.Bytes())
		if !yield(s) {
			return nil
		}
	}
	return lines.Err()
}

// EachSession runs f as a subtest for each session, named after its seed. With a keepDir, a session whose subtest
// fails is stored there, so that KeptSessions makes it a fixed case.
func EachSession[S any, P session[S]](t *testing.T, sessions iter.Seq[*S], keepDir string, f func(*testing.T, *S)) {
	t.Helper()
	for s := range sessions {
		p := P(s).played()
		passed := t.Run(strconv.FormatUint(p.Seed, 10), func(t *testing.T) { f(t, s) })
		if !passed && keepDir != "" {
			keep(t, keepDir, p.Seed, p.Raw)
		}
	}
}

// KeptSessions yields the sessions of all .ndjson and .ndjson.gz files of a folder, by file name; none when it is absent.
func KeptSessions[S any, P session[S]](t testing.TB, dir string) iter.Seq[*S] {
	return func(yield func(*S) bool) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		stopped := false
		for _, e := range entries {
			if stopped || !strings.HasSuffix(strings.TrimSuffix(e.Name(), ".gz"), ".ndjson") {
				continue
			}
			withFile(t, filepath.Join(dir, e.Name()), func(r io.Reader) error {
				return readSessions[S, P](r, func(s *S) bool {
					stopped = !yield(s)
					return !stopped
				})
			})
		}
	}
}
