package crdttest_test

import (
	"slices"
	"testing"
	"unicode/utf8"

	"weft/crdt/crdttest"
)

func TestStreams(t *testing.T) {
	list := crdttest.Streams(t)
	if len(list) == 0 {
		t.Fatal("Streams() is empty, want those of the manifest")
	}
	for _, info := range list {
		t.Run(info.Name, func(t *testing.T) {
			s := info.Load(t)
			bytes := 0
			for _, u := range s.Updates {
				bytes += len(u)
			}
			if bytes != info.UpdateBytes {
				t.Errorf("Load(%s) has %d bytes of updates, want %d", info.Name, bytes, info.UpdateBytes)
			}
			if len(s.V1) == 0 || len(s.V2) == 0 || len(s.SV) == 0 || len(s.Content) == 0 {
				t.Errorf("Load(%s) = v1 %d, v2 %d, sv %d, content %d bytes, want all", info.Name, len(s.V1), len(s.V2), len(s.SV), len(s.Content))
			}
		})
	}
}

func TestTrace(t *testing.T) {
	edits := crdttest.Trace(t, "b4")
	length := 0
	for i, e := range edits {
		if e.Pos+e.Delete > length {
			t.Fatalf("edit %d = %+v reaches past the %d characters there are", i, e, length)
		}
		length += utf8.RuneCountInString(e.Insert) - e.Delete
	}
	streams := crdttest.Streams(t)
	at := slices.IndexFunc(streams, func(i crdttest.StreamInfo) bool { return i.Name == "b4" })
	if at < 0 {
		t.Fatal("no stream b4 beside trace b4")
	}
	if want := utf8.RuneCount(streams[at].Load(t).Content); length != want {
		t.Errorf("trace b4 ends with %d characters, want %d", length, want)
	}
}
