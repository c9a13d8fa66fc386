package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"weft/persistence"
)

// TestInspect runs testdata/inspect/*.txtar. They use the commands of TestScripts and:
//
//	plant DIR               makes a data directory with rooms of every kind, see plant
//	park DIR ROOM           opens DIR until the log has no records of ROOM any more, which must be damaged
//	flip FILE WORD          inverts a bit in each place where WORD stands in FILE
//	cut FILE BYTES          shortens FILE to that many bytes
//	type ROOM TEXT          writes TEXT into the root text codemirror of a room of the server at $LISTEN, until it is saved
//	untar URL DIR           unpacks the tar that a server answers with into a new directory
//	exits CODE WEFT ARGS    runs weft and fails when it does not exit with CODE
//	shape WANT              fails when the last stdout is not JSON of this shape: the kinds of all its members
func TestInspect(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/inspect",
		RequireExplicitExec: true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"ready":  scriptReady,
			"signal": scriptSignal,
			"plant":  func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(plant(ts.MkAbs(args[0]))) },
			"park":   scriptPark,
			"flip":   scriptFlip,
			"cut":    scriptCut,
			"type":   scriptType,
			"get":    scriptGet,
			"untar":  scriptUntar,
			"exits":  scriptExits,
			"shape":  scriptShape,
		},
	})
}

func scriptUntar(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[1])
	ts.Check(os.Mkdir(dir, 0o700))
	resp, err := http.Get(args[0])
	ts.Check(err)
	defer resp.Body.Close()
	for archive := tar.NewReader(resp.Body); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		ts.Check(err)
		b, err := io.ReadAll(archive)
		ts.Check(err)
		ts.Check(os.WriteFile(filepath.Join(dir, filepath.Base(h.Name)), b, 0o600))
	}
}

func scriptPark(ts *testscript.TestScript, _ bool, args []string) {
	parked := make(chan string, 1)
	o := persistence.Options{ReserveBytes: -1, ScrubEvery: -1, LogAge: 1} // everything is too old
	o.Events.Parked = func(p persistence.Parked) { parked <- p.Room }
	s, err := persistence.Open(ts.MkAbs(args[0]), o)
	ts.Check(err)
	if room := <-parked; room != args[1] {
		ts.Fatalf("room %q was parked, want %q", room, args[1])
	}
	ts.Check(s.Close())
}

func scriptFlip(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	b, err := os.ReadFile(file)
	ts.Check(err)
	found := 0
	for at := 0; ; at++ {
		i := bytes.Index(b[at:], []byte(args[1]))
		if i < 0 {
			break
		}
		at += i
		b[at] ^= 1
		found++
	}
	if found == 0 {
		ts.Fatalf("%s is not in %s", args[1], args[0])
	}
	ts.Check(os.WriteFile(file, b, 0o600))
}

func scriptCut(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(file, n))
}

func scriptExits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("%s exits with %d, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

func scriptShape(ts *testscript.TestScript, _ bool, args []string) {
	var v any
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	ts.Check(d.Decode(&v))
	if d.More() {
		ts.Fatalf("more than one JSON value")
	}
	want := strings.TrimSpace(ts.ReadFile(args[0]))
	if got := strings.Join(shape(v, ""), "\n"); got != want {
		ts.Fatalf("shape (-want +got):\n%s", cmp.Diff(want, got))
	}
}

// shape lists the paths of a JSON value with the kinds that stand there, each once, sorted.
func shape(v any, path string) (lines []string) {
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			lines = append(lines, shape(m, path+"."+k)...)
		}
	case []any:
		lines = append(lines, path+" list")
		for _, e := range v {
			lines = append(lines, shape(e, path+"[]")...)
		}
	default:
		lines = append(lines, fmt.Sprintf("%s %T", path, v))
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

func TestPrintable(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"plain", "plain"},
		{"two words", "two words"},
		{"a/b:ü.😀", "a/b:ü.😀"},
		{"", `""`},
		{" led", `" led"`},
		{`"quoted"`, `"\"quoted\""`},
		{"line\nbreak", `"line\nbreak"`},
		{"\x1b[31mred", `"\x1b[31mred"`},
		{"not\xffutf8", `"not\xffutf8"`},
		{"right\u202eleft", `"right\u202eleft"`},
	} {
		if got := printable(c.name); got != c.want {
			t.Errorf("printable(%q) = %s, want %s", c.name, got, c.want)
		}
	}
}

func TestOneLine(t *testing.T) {
	if got, want := oneLine("lost\ntoo short \x1b[31m"), "lost; too short \ufffd[31m"; got != want {
		t.Errorf("oneLine = %q, want %q", got, want)
	}
}
