package weft_test

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var planted = flag.Bool("planted", false, "plant the bugs of TestPlanted")

// plant is a bug that a suite must find.
type plant struct {
	name  string
	file  string   // of the module, where it is planted
	edits []string // pairs: a text that stands there exactly once, and what takes its place
	tests []string // arguments of go test: the package and what to run
}

// plants are mistakes which a store or room could make without anybody noticing, until a crash or a damaged disk.
var plants = []plant{
	{
		name: "skip a checksum", file: "persistence/seal.go",
		edits: []string{
			"if s.sum(append(prefix, body)...) != binary.BigEndian.Uint32(tail) {",
			"if s.sum(append(prefix, body)...) != binary.BigEndian.Uint32(tail) && len(body) < 0 {",
		},
		tests: []string{"./persistence", "-run", "^TestDamage$"},
	},
	{
		name: "acknowledge before the commit", file: "persistence/committer.go",
		edits: []string{"var c Commit\n", "s.queue.finish(g, nil)\nvar c Commit\n", "s.queue.finish(g, s.fenced())", ""},
		tests: []string{"./persistence", "-run", "^TestPowerLoss$"},
	},
	{
		name: "acknowledge before the commit, seen from outside", file: "persistence/committer.go",
		edits: []string{"var c Commit\n", "s.queue.finish(g, nil)\nvar c Commit\n", "s.queue.finish(g, s.fenced())", ""},
		tests: []string{"./cmd/weft", "-run", "^TestAcknowledgedAfterSync$"},
	},
	{
		name: "commit without syncing", file: "persistence/boltfile.go",
		edits: []string{"bolt.Options{\n", "bolt.Options{\n\t\t\tNoSync: true,\n"},
		tests: []string{"./persistence", "-run", "^TestPowerLoss$"},
	},
	{
		name: "drop one update of a batch", file: "persistence/committer.go",
		edits: []string{"start := time.Now()\n\tlsn := s.nextLSN()\n", "start := time.Now()\n\tlsn := s.nextLSN()\n\tif len(g.refs) > 2 {\n\t\tg.refs = g.refs[1:]\n\t}\n"},
		tests: []string{"./persistence", "-run", "^TestStore", "-rapid.nofailfile"},
	},
	{
		name: "go on after a failed sync", file: "persistence/committer.go",
		edits: []string{"s.fenceOff(logFile, err)\n\t\t\t\terr = s.fenced()", "s.queue.finish(g, nil)\n\t\t\t\treturn"},
		tests: []string{"./persistence", "-run", "^TestSyncError$"},
	},
	{
		name: "store half an update", file: "room/ledger.go",
		edits: []string{"Record{Room: r.name, Pos: pos, Update: u}", "Record{Room: r.name, Pos: pos, Update: u[:len(u)/2]}"},
		tests: []string{"./room"},
	},
	{
		name: "apply half a message", file: "crdt/rollback.go",
		edits: []string{"func (d *Doc) restore(s *saved) {\n", "func (d *Doc) restore(s *saved) {\n\tif s != nil {\n\t\treturn\n\t}\n"},
		tests: []string{"./crdt", "-run", "Hostile|Refused|TooCostly|Budget"},
	},
	{
		name: "leave what waits joined", file: "crdt/load.go",
		edits: []string{"if m.join = false; !m.fewer {", "if m.join = false; true {"},
		tests: []string{"./crdt", "-run", "TestLoadCollected"},
	},
	{
		name: "remember a wrong place", file: "crdt/edit.go",
		edits: []string{"at: r, index: c.index}", "at: r, index: c.index + 1}"},
		tests: []string{"./crdt", "-run", "^TestLocalTwins$"},
	},
	{
		name: "leave deleted text behind", file: "crdt/erase.go",
		edits: []string{"t.erased == len(t.deletes) && ", ""},
		tests: []string{"./crdt", "-run", "^TestLocalTwins$"},
	},
	{
		name: "take one author for another", file: "crdt/plain_v1.go",
		edits: []string{"1<<(8*a.size) - 1", "1<<(8*a.size-8) - 1"},
		tests: []string{"./crdt", "-run", "TestPlain$"},
	},
}

// TestPlanted plants one bug after another in a copy of its file and runs the tests that are there to find it: every one
// must make them fail.
func TestPlanted(t *testing.T) {
	if !*planted {
		t.Skip("only with -planted, see make planted: it compiles and runs other packages' tests once for each bug")
	}
	for _, p := range plants {
		t.Run(p.name, func(t *testing.T) {
			args := append([]string{"test", "-count=1", "-overlay", p.overlay(t)}, p.tests...)
			out, err := exec.Command("go", args...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL") {
				t.Errorf("go %s = %v, want failing tests\n%s", strings.Join(args, " "), err, out)
			}
		})
	}
}

// overlay writes the spoilt file and the description by which go build takes it instead of the right one.
func (p plant) overlay(t *testing.T) string {
	t.Helper()
	file, err := filepath.Abs(p.file)
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(src)
	for i := 0; i < len(p.edits); i += 2 {
		if n := strings.Count(text, p.edits[i]); n != 1 {
			t.Fatalf("%s holds %q %d times, want once: the bug must be planted elsewhere", p.file, p.edits[i], n)
		}
		text = strings.Replace(text, p.edits[i], p.edits[i+1], 1)
	}
	spoilt := filepath.Join(t.TempDir(), filepath.Base(p.file))
	if err := os.WriteFile(spoilt, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	description, err := json.Marshal(map[string]any{"Replace": map[string]string{file: spoilt}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(path, description, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
