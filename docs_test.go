package weft_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestDocComments(t *testing.T) {
	missing, err := missingDocs(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range missing {
		t.Error(m)
	}
}

// missingDocs returns what lacks the comment that it must have, sorted: each package needs exactly one, which
// starts with "Package name" or "Command folder", and each exported name one that starts with the name.
func missingDocs(fsys fs.FS) ([]string, error) {
	packages := map[string][]*ast.File{}
	positions := token.NewFileSet()
	err := walkGo(fsys, func(name string) error {
		if strings.HasSuffix(name, "_test.go") {
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(positions, name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		packages[path.Dir(name)] = append(packages[path.Dir(name)], file)
		return nil
	})
	var missing []string
	for dir, files := range packages {
		missing = append(missing, packageDocs(dir, files)...)
		for _, file := range files {
			if ast.IsGenerated(file) {
				continue
			}
			at := positions.Position(file.Package).Filename
			for _, name := range undocumented(file) {
				missing = append(missing, fmt.Sprintf("%s: %s has no comment that starts with its name", at, name))
			}
		}
	}
	slices.Sort(missing)
	return missing, err
}

func packageDocs(dir string, files []*ast.File) []string {
	want := "Package " + files[0].Name.Name
	if files[0].Name.Name == "main" {
		want = "Command " + path.Base(dir)
	}
	found := 0
	for _, file := range files {
		if file.Doc != nil {
			found++
			if !startsWithWords(file.Doc.Text(), want) {
				return []string{fmt.Sprintf("%s: the package comment does not start with %q", dir, want)}
			}
		}
	}
	if found != 1 {
		return []string{fmt.Sprintf("%s: %d files have a package comment, want one that starts with %q", dir, found, want)}
	}
	return nil
}

// undocumented returns the exported names of a file without a comment of their own. The names of a const or var
// block may share the block's comment, or have one at the end of their line.
func undocumented(file *ast.File) []string {
	var names []string
	check := func(doc *ast.CommentGroup, name string) {
		if ast.IsExported(name) && !startsWithWords(doc.Text(), name) {
			names = append(names, name)
		}
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				check(d.Doc, d.Name.Name)
			} else if receiver := receiverName(d); ast.IsExported(receiver) && !promised(d.Name.Name) {
				if ast.IsExported(d.Name.Name) && !startsWithWords(d.Doc.Text(), d.Name.Name) {
					names = append(names, receiver+"."+d.Name.Name)
				}
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					doc := spec.Doc
					if doc == nil {
						doc = d.Doc
					}
					check(doc, spec.Name.Name)
				case *ast.ValueSpec:
					if d.Lparen.IsValid() && (d.Doc != nil || spec.Doc != nil || spec.Comment != nil) {
						continue
					}
					for _, name := range spec.Names {
						check(d.Doc, name.Name)
					}
				}
			}
		}
	}
	return names
}

// promised reports methods whose contract is that of a well-known interface.
func promised(method string) bool {
	return slices.Contains([]string{"Error", "Unwrap", "Is", "As", "String", "ServeHTTP", "Len", "Less", "Swap"}, method)
}

func receiverName(d *ast.FuncDecl) string {
	expr := d.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

// startsWithWords reports whether text starts with the words, after an article and followed by no letter.
func startsWithWords(text, words string) bool {
	for _, article := range []string{"A ", "An ", "The "} {
		text = strings.TrimPrefix(text, article)
	}
	rest, ok := strings.CutPrefix(text, words)
	return ok && (rest == "" || !regexp.MustCompile(`^\w`).MatchString(rest))
}

func TestDocCommentsFindsWhatIsMissing(t *testing.T) {
	cases := []struct {
		name, source string
		want         []string
	}{
		{"complete", "// Package a is.\npackage a\n\n// F does.\nfunc F() {}\n\n// A T is.\ntype T struct{}\n\nfunc (T) Error() string { return \"\" }\n", nil},
		{"no package comment", "package a\n", []string{`a: 0 files have a package comment, want one that starts with "Package a"`}},
		{"wrong package comment", "// This package is.\npackage a\n", []string{`a: the package comment does not start with "Package a"`}},
		{"command", "// Command a runs.\npackage main\n", nil},
		{"command as package", "// Package main runs.\npackage main\n", []string{`a: the package comment does not start with "Command a"`}},
		{"bare function", "// Package a is.\npackage a\n\nfunc F() {}\n", []string{"a/a.go: F has no comment that starts with its name"}},
		{"other name", "// Package a is.\npackage a\n\n// Fetch does.\nfunc F() {}\n", []string{"a/a.go: F has no comment that starts with its name"}},
		{"bare method", "// Package a is.\npackage a\n\n// T is.\ntype T[P any] struct{}\n\nfunc (t *T[P]) Do() {}\n", []string{"a/a.go: T.Do has no comment that starts with its name"}},
		{"method of a hidden type", "// Package a is.\npackage a\n\ntype t struct{}\n\nfunc (t) Do() {}\n", nil},
		{"bare variable", "// Package a is.\npackage a\n\nvar ErrX error\n", []string{"a/a.go: ErrX has no comment that starts with its name"}},
		{"block", "// Package a is.\npackage a\n\n// Kinds of things.\nconst (\n\tX = 1\n\tY = 2\n)\n", nil},
		{"block of bare lines", "// Package a is.\npackage a\n\nconst (\n\tX = 1\n\tY = 2 // the second\n)\n", []string{"a/a.go: X has no comment that starts with its name"}},
		{"generated", "// Code generated by hand. DO NOT EDIT.\n\n// Package a is.\npackage a\n\nfunc F() {}\n", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := missingDocs(fstest.MapFS{"a/a.go": {Data: []byte(c.source)}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("missingDocs (-want +got):\n%s", diff)
			}
		})
	}
}

var markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinks fails for links of our pages that lead to no file of the repository.
func TestLinks(t *testing.T) {
	pages, err := fs.Glob(os.DirFS("."), "*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range markdownLink.FindAllStringSubmatch(string(text), -1) {
			target, _, _ := strings.Cut(link[1], "#")
			if target == "" || strings.Contains(target, ":") {
				continue
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", page, target, err)
			}
		}
	}
}

// TestLockFiles keeps npm's lock files free of download addresses, which tie a clone to one registry, and of
// versions that package.json leaves open.
func TestLockFiles(t *testing.T) {
	exact := regexp.MustCompile(`^(npm:[-@/.\w]+@)?\d+\.\d+\.\d+[-.\w]*$`) // perhaps under another name
	checked := 0
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git"):
			return fs.SkipDir
		case d.Name() != "package-lock.json":
			return nil
		}
		checked++
		lock, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if strings.Contains(string(lock), `"resolved"`) {
			t.Errorf("%s has download addresses: remove it and run npm install --omit-lockfile-registry-resolved", name)
		}
		manifest, err := os.ReadFile(path.Join(path.Dir(name), "package.json"))
		if err != nil {
			return err
		}
		var p struct{ Dependencies, DevDependencies map[string]string }
		if err := json.Unmarshal(manifest, &p); err != nil {
			return fmt.Errorf("package.json beside %s: %w", name, err)
		}
		for _, list := range []map[string]string{p.Dependencies, p.DevDependencies} {
			for dependency, version := range list {
				if !exact.MatchString(version) {
					t.Errorf("package.json beside %s: %s %s is not one exact version", name, dependency, version)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked == 0 {
		t.Error("found no package-lock.json, want that of the oracle at least")
	}
}
