// Package weft_test holds the rules of the repository as a whole: who may import whom, what must be documented,
// what a committed file may say.
package weft_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const module = "weft"

// levels is the law of who may import whom: code imports only packages of lower levels, tests also those of their
// own. A change here is a design decision.
var levels = map[string]int{
	"client-demo/web":       1,
	"crdt/crdttest":         1, // must not know crdt, whose tests import it
	"crdt/crdttest/naive":   1,
	"crdt/lib0":             1,
	"internal/faultproxy":   1,
	"internal/redistest":    1,
	"internal/weftbin":      1,
	"persistence":           1,
	"protocol/weftv1":       1, // generated from protocol/weft.proto
	"crdt":                  2,
	"persistence/storetest": 2,
	"presence":              2,
	"protocol":              2,
	"crdt/wasm":             3, // the engine for JavaScript: a program of its own
	"gateway/adminpage":     3, // knows nothing of sockets and rooms
	"gateway/auth":          3, // likewise
	"protocol/client":       3,
	"protocol/conformance":  3, // runs the native protocol's transcripts against any server
	"room":                  3,
	"cluster":               4,
	"cluster/model":         1, // the protocol alone, as a search
	"cmd/weft/bench":        4, // knows no server; its tests start ours
	"gateway":               4,
	"client-demo/terminal":  5,
	"cmd/weft":              5,
}

// support are the packages that serve tests: only tests import them, and they may import what only tests may.
var support = []string{"cluster/model", "crdt/crdttest", "crdt/crdttest/naive", "internal/faultproxy", "internal/redistest", "internal/weftbin", "persistence/storetest", "protocol/conformance"}

// anywhere as a home: small modules without types that would spread through our interfaces.
var anywhere = []string{"*"}

// testsOnly as a home.
var testsOnly = []string{}

// homes names the packages that may import a third-party module. Tests may import those of their own package and
// those that only tests may.
var homes = map[string][]string{
	"charm.land/bubbletea/v2":                 {"client-demo/terminal"},
	"charm.land/lipgloss/v2":                  {"client-demo/terminal"},
	"github.com/HdrHistogram/hdrhistogram-go": {"cmd/weft/bench"},
	"github.com/MicahParks/keyfunc/v3":        {"gateway/auth"},
	"github.com/alecthomas/kong":              {"cmd/weft"},
	"github.com/alicebob/miniredis/v2":        testsOnly,
	"github.com/cespare/xxhash/v2":            anywhere,
	"github.com/golang-jwt/jwt/v5":            {"gateway/auth"},
	"github.com/google/go-cmp":                testsOnly,
	"github.com/gorilla/websocket":            {"cluster", "gateway", "protocol/client", "protocol/conformance"},
	"github.com/klauspost/compress":           {"client-demo/web", "gateway", "persistence"},
	"github.com/prometheus/client_golang":     {"cmd/weft"},
	"github.com/redis/go-redis/v9":            {"cluster"},
	"github.com/rivo/uniseg":                  {"client-demo/terminal"},
	"github.com/rogpeppe/go-internal":         testsOnly,
	"go.etcd.io/bbolt":                        {"persistence"},
	"go.uber.org/goleak":                      testsOnly,
	"golang.org/x/sync":                       anywhere,
	"golang.org/x/sys":                        anywhere,
	"golang.org/x/time":                       anywhere,
	"google.golang.org/protobuf":              {"protocol", "protocol/client", "protocol/conformance", "protocol/weftv1"},
	"pgregory.net/rapid":                      testsOnly,
}

// emptyNames say nothing about what a package owns.
var emptyNames = []string{"base", "common", "helper", "helpers", "manager", "misc", "shared", "types", "util", "utils"}

func TestLayers(t *testing.T) {
	broken, err := brokenLayers(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range broken {
		t.Error(b)
	}
}

// brokenLayers returns every import and package name in fsys that the tables do not allow, sorted.
func brokenLayers(fsys fs.FS) ([]string, error) {
	var broken []string
	err := walkGo(fsys, func(name string) error {
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Dir(name)
		if pkg == "." {
			return nil
		}
		if slices.Contains(emptyNames, path.Base(pkg)) {
			broken = append(broken, fmt.Sprintf("%s: the name says nothing about what the package owns", pkg))
		}
		if _, known := levels[pkg]; !known {
			broken = append(broken, fmt.Sprintf("%s: has no level in layers_test.go", pkg))
			return nil
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if why := refusal(pkg, imported, strings.HasSuffix(name, "_test.go")); why != "" {
				broken = append(broken, fmt.Sprintf("%s: imports %s, %s", name, imported, why))
			}
		}
		return nil
	})
	slices.Sort(broken)
	return slices.Compact(broken), err
}

// refusal says why a file of pkg may not import that path, or "".
func refusal(pkg, imported string, test bool) string {
	if inner, ours := strings.CutPrefix(imported, module+"/"); ours {
		return innerRefusal(pkg, inner, test)
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return "" // the standard library
	}
	for home, packages := range homes {
		if imported != home && !strings.HasPrefix(imported, home+"/") {
			continue
		}
		onlyTests := len(packages) == 0 && (test || slices.Contains(support, pkg))
		if onlyTests || slices.Contains(packages, "*") || slices.Contains(packages, pkg) {
			return ""
		}
		if len(packages) == 0 {
			return "which is for tests only"
		}
		return "whose home is " + strings.Join(packages, ", ")
	}
	return "which has no home in layers_test.go"
}

func innerRefusal(pkg, imported string, test bool) string {
	level, known := levels[imported]
	switch {
	case !known:
		return "which has no level in layers_test.go"
	case test && (imported == pkg || slices.Contains(support, imported)):
		return ""
	case slices.Contains(support, imported) && !slices.Contains(support, pkg):
		return "which is for tests only"
	case test && level <= levels[pkg], level < levels[pkg]:
		return ""
	default:
		return fmt.Sprintf("level %d into %d: imports only go down", levels[pkg], level)
	}
}

// walkGo calls visit for every Go file of the module: not those of testdata, of npm or of hidden folders.
func walkGo(fsys fs.FS, visit func(name string) error) error {
	return fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if d.IsDir() {
			if name != "." && (base == "testdata" || base == "node_modules" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(base, ".go") {
			return visit(name)
		}
		return nil
	})
}

func TestLayersFindsWhatIsBroken(t *testing.T) {
	source := func(pkg string, imports ...string) *fstest.MapFile {
		var text strings.Builder
		text.WriteString("package " + pkg + "\n")
		for _, i := range imports {
			text.WriteString("import " + strconv.Quote(i) + "\n")
		}
		return &fstest.MapFile{Data: []byte(text.String())}
	}
	cases := []struct {
		name  string
		files fstest.MapFS
		want  []string
	}{
		{"down", fstest.MapFS{"room/room.go": source("room", "weft/crdt", "weft/persistence", "io")}, nil},
		{"up", fstest.MapFS{"crdt/crdt.go": source("crdt", "weft/room")}, []string{"crdt/crdt.go: imports weft/room, level 2 into 3: imports only go down"}},
		{"sideways", fstest.MapFS{"gateway/gateway.go": source("gateway", "weft/cluster")}, []string{"gateway/gateway.go: imports weft/cluster, level 4 into 4: imports only go down"}},
		{"test sideways", fstest.MapFS{"presence/presence_test.go": source("presence_test", "weft/protocol", "weft/presence")}, nil},
		{"test up", fstest.MapFS{"crdt/crdt_test.go": source("crdt_test", "weft/room")}, []string{"crdt/crdt_test.go: imports weft/room, level 2 into 3: imports only go down"}},
		{"support in a test", fstest.MapFS{"persistence/store_test.go": source("persistence_test", "weft/persistence/storetest")}, nil},
		{"support in code", fstest.MapFS{"room/room.go": source("room", "weft/crdt/crdttest")}, []string{"room/room.go: imports weft/crdt/crdttest, which is for tests only"}},
		{"at home", fstest.MapFS{"persistence/open.go": source("persistence", "go.etcd.io/bbolt/errors")}, nil},
		{"not at home", fstest.MapFS{"room/room.go": source("room", "go.etcd.io/bbolt")}, []string{"room/room.go: imports go.etcd.io/bbolt, whose home is persistence"}},
		{"not at home in a test", fstest.MapFS{"room/room_test.go": source("room_test", "go.etcd.io/bbolt")}, []string{"room/room_test.go: imports go.etcd.io/bbolt, whose home is persistence"}},
		{"no home", fstest.MapFS{"room/room.go": source("room", "github.com/pkg/errors")}, []string{"room/room.go: imports github.com/pkg/errors, which has no home in layers_test.go"}},
		{"prefix is no home", fstest.MapFS{"persistence/open.go": source("persistence", "go.etcd.io/bboltish")}, []string{"persistence/open.go: imports go.etcd.io/bboltish, which has no home in layers_test.go"}},
		{"test library in code", fstest.MapFS{"room/room.go": source("room", "github.com/google/go-cmp/cmp")}, []string{"room/room.go: imports github.com/google/go-cmp/cmp, which is for tests only"}},
		{"test library in a test", fstest.MapFS{"room/room_test.go": source("room", "github.com/google/go-cmp/cmp")}, nil},
		{"unknown package", fstest.MapFS{"billing/billing.go": source("billing")}, []string{"billing: has no level in layers_test.go"}},
		{"unknown import", fstest.MapFS{"room/room.go": source("room", "weft/billing")}, []string{"room/room.go: imports weft/billing, which has no level in layers_test.go"}},
		{"empty name", fstest.MapFS{"room/util/util.go": source("util")}, []string{"room/util: has no level in layers_test.go", "room/util: the name says nothing about what the package owns"}},
		{"not ours", fstest.MapFS{"x/node_modules/y/y.go": source("y", "weft/room"), "room/testdata/z.go": source("z")}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := brokenLayers(c.files)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("brokenLayers (-want +got):\n%s", diff)
			}
		})
	}
}
