package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"weft/gateway"
	"weft/persistence"
	"weft/room"
)

var update = flag.Bool("update", false, "write the golden files in testdata")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait.
const patience = time.Minute

// startWeft serves rooms over a store in memory until the test has ended, and returns the URL for native clients.
func startWeft(t *testing.T) string {
	t.Helper()
	store := persistence.NewMemory(persistence.Options{})
	rooms := room.NewRegistry(room.Options{Store: store})
	s, err := gateway.New(gateway.Options{Rooms: gateway.Local(rooms)})
	if err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(s)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		hs.Close()
		if err := s.Drain(ctx); err != nil {
			t.Errorf("Drain = %v, want nil", err)
		}
		if err := rooms.Close(ctx); err != nil {
			t.Errorf("close rooms: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return "ws" + strings.TrimPrefix(hs.URL, "http") + "/native"
}

// golden compares got with a file, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// Two people edit one room, one of them without a connection for a while; each sees the other. In
// testdata/session.script each line begins with who does it; session.golden, written by go test -run TestSession
// -update, is what they saw.
func TestSession(t *testing.T) {
	url := startWeft(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	lines, err := os.ReadFile(filepath.Join("testdata", "session.script"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	people := map[string]script{}
	for _, name := range []string{"Ada", "Bob"} {
		people[name] = script{newPerson(t, url, name), &out}
	}
	for line := range strings.Lines(string(lines)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		fmt.Fprintln(&out, line)
		words := strings.SplitN(line, " ", 3)
		if err := people[words[0]].do(ctx, words[1], strings.Join(words[2:], "")); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, &out)
		}
	}
	golden(t, "session.golden", out.String())
}

// newPerson opens an editor, which is closed with everything saved at the end of the test.
func newPerson(t *testing.T, url, name string) *editor {
	t.Helper()
	e, err := newEditor(settings{url: url, room: "r", name: name, color: "#1d6fb8"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := e.close(ctx); err != nil {
			t.Errorf("close %s = %v, want nil", name, err)
		}
	})
	return e
}

func TestScriptErrors(t *testing.T) {
	url := startWeft(t)
	for line, want := range map[string]string{
		"dance":          "no such command",
		"move up":        "no place to move to",
		"wait lunch":     "nothing is known",
		"delete many":    "invalid syntax",
		`type "unclosed`: "invalid syntax",
	} {
		var out bytes.Buffer
		err := run(t.Context(), []string{"--url", url, "--script", "-"}, strings.NewReader("type x\n"+line+"\n"), &out)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "line 2: ") {
			t.Errorf("run(%q) = %v, want line 2 and %q", line, err, want)
		}
	}
}
