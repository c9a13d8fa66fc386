package crdttest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Fixture yields the recorded scenarios, or skips the test when the recordings are absent.
func Fixture(t testing.TB) iter.Seq[*Scenario] {
	t.Helper()
	return File(t, filepath.Join(Fixtures(t), "rich", "scenarios.ndjson.gz"))
}

// File yields the scenarios of an NDJSON file, gzipped when its name ends in .gz. An unreadable file fails the test.
func File(t testing.TB, path string) iter.Seq[*Scenario] {
	return func(yield func(*Scenario) bool) {
		t.Helper()
		withFile(t, path, func(r io.Reader) error { return readScenarios(r, yield) })
	}
}

// withFile has f read a file, gzipped when its name ends in .gz.
func withFile(t testing.TB, path string, f func(io.Reader) error) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	// A file only read from has nothing to lose at Close.
	defer func() { _ = file.Close() }()
	r, err := decompressed(path, file)
	if err != nil {
		t.Fatal(err)
	}
	if err := f(r); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// Dir yields the scenarios of all .ndjson and .ndjson.gz files of a folder, by file name; none when it is absent.
func Dir(t testing.TB, dir string) iter.Seq[*Scenario] {
	return func(yield func(*Scenario) bool) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !strings.HasSuffix(strings.TrimSuffix(e.Name(), ".gz"), ".ndjson") {
				continue
			}
			for s := range File(t, filepath.Join(dir, e.Name())) {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// Each runs f as a subtest for each scenario, named after it. With a keepDir, a scenario whose subtest fails is
// stored there with [Keep], so that [Dir] makes it a fixed case.
func Each(t *testing.T, scenarios iter.Seq[*Scenario], keepDir string, f func(*testing.T, *Scenario)) {
	t.Helper()
	for s := range scenarios {
		passed := t.Run(s.Name(), func(t *testing.T) { f(t, s) })
		if !passed && keepDir != "" {
			Keep(t, keepDir, s)
		}
	}
}

// Keep writes the scenario to dir/<seed>.ndjson and logs where.
func Keep(t testing.TB, dir string, s *Scenario) {
	t.Helper()
	keep(t, dir, s.Seed, s.Raw)
}

func keep(t testing.TB, dir string, seed uint64, line []byte) {
	t.Helper()
	path := filepath.Join(dir, fmt.Sprintf("%d.ndjson", seed))
	err := os.MkdirAll(dir, 0o777)
	if err == nil {
		err = os.WriteFile(path, append(slices.Clip(line), '\n'), 0o666)
	}
	if err != nil {
		t.Errorf("keep session %d: %v", seed, err)
		return
	}
	t.Logf("session %d kept as %s", seed, path)
}

func decompressed(name string, r io.Reader) (io.Reader, error) {
	if !strings.HasSuffix(name, ".gz") {
		return r, nil
	}
	return gzip.NewReader(r)
}

// maxLine bounds one scenario; the largest seen had 1.4 MB.
const maxLine = 64 << 20 // bytes

func readScenarios(r io.Reader, yield func(*Scenario) bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 1<<20), maxLine)
	for lines.Scan() {
		s, err := parseScenario(bytes.Clone(lines.Bytes()))
		if err != nil {
			return err
		}
		if !yield(s) {
			return nil
		}
	}
	return lines.Err()
}
