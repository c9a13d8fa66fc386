package crdt_test

import (
	"testing"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// TestStreams applies long recorded sessions update by update and compares
// every encoding with what real Yjs made of them.
func TestStreams(t *testing.T) {
	for _, info := range crdttest.Streams(t) {
		t.Run(info.Name, func(t *testing.T) {
			s := info.Load(t)
			d := crdt.New(crdt.Options{})
			for i, u := range s.Updates {
				a, err := d.Apply(u, crdt.V1)
				if err != nil {
					t.Fatalf("Apply(update %d) = %v", i, err)
				}
				if !a.Changed || len(a.Update) != len(u) || &a.Update[0] != &u[0] {
					t.Fatalf("Apply(update %d) = changed %v with %d bytes, want the %d bytes of the input", i, a.Changed, len(a.Update), len(u))
				}
			}
			if err := d.Check(); err != nil {
				t.Fatal(err)
			}
			checkState(t, d, crdttest.State{V1: s.V1, V2: s.V2, SV: s.SV})
			for v, state := range map[crdt.Version][]byte{crdt.V1: s.V1, crdt.V2: s.V2} {
				loaded := crdt.New(crdt.Options{})
				if _, err := loaded.Load(state, v); err != nil {
					t.Fatalf("Load(v%d) = %v", v, err)
				}
				if err := loaded.Check(); err != nil {
					t.Fatal(err)
				}
				// Loading merges more than the stream did, so only what is read is the same.
				checkState(t, loaded, crdttest.State{SV: s.SV})
				checkContent(t, loaded, s)
			}
			checkContent(t, d, s)
		})
	}
}

func checkContent(t *testing.T, d *crdt.Doc, s *crdttest.Stream) {
	t.Helper()
	switch s.Kind {
	case "text":
		if diff := crdttest.DiffText(string(s.Content), d.Text(s.Root)); diff != "" {
			t.Errorf("Text(%q): %s", s.Root, diff)
		}
	case "xml":
		if diff := crdttest.DiffText(string(s.Content), d.XML(s.Root)); diff != "" {
			t.Errorf("XML(%q): %s", s.Root, diff)
		}
	case "map":
		got, err := d.JSON(s.Root)
		if err != nil {
			t.Fatalf("JSON(%q) = %v", s.Root, err)
		}
		if diff := crdttest.DiffJSON(s.Content, got); diff != "" {
			t.Errorf("JSON(%q): %s", s.Root, diff)
		}
	default:
		t.Fatalf("stream of unknown kind %q", s.Kind)
	}
}

// checkState compares the encodings of a document with those in want that are not nil.
func checkState(t *testing.T, d *crdt.Doc, want crdttest.State) {
	t.Helper()
	compare := func(what string, want, got []byte) {
		t.Helper()
		if want == nil {
			return
		}
		if diff := crdttest.DiffBytes(want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	compare("state v1", want.V1, d.AppendDiff(nil, nil, crdt.V1))
	compare("state v2", want.V2, d.AppendDiff(nil, nil, crdt.V2))
	compare("state vector", want.SV, d.AppendStateVector(nil))
}
