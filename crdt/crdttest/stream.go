package crdttest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// StreamInfo is an entry of the recorded streams' manifest. Counts of structs are those of the final state.
type StreamInfo struct {
	Name           string `json:"name"`
	Kind           string `json:"kind"` // text, xml or map: the type of Root
	Root           string `json:"root"`
	Updates        int    `json:"updates"`
	UpdateBytes    int    `json:"updateBytes"`
	Clients        int    `json:"clients"` // that have structs
	Structs        int    `json:"structs"`
	GCStructs      int    `json:"gcStructs"`
	DeletedStructs int    `json:"deletedStructs"`
}

// Stream is what a server received in one long recorded session, one update v1 per user action and never one
// before those it depends on, and what real Yjs made of it.
type Stream struct {
	StreamInfo
	Updates [][]byte // in the order of arrival; all share one buffer
	V1, V2  []byte   // the state of a gc:true Y.Doc without declared roots
	SV      []byte
	Content []byte // of Root: plain text, XML or JSON, by Kind
}

// Streams lists the recorded streams, or skips the test when there are none.
func Streams(t testing.TB) []StreamInfo {
	t.Helper()
	raw := readFile(t, filepath.Join(Fixtures(t), "streams", "manifest.json"))
	var list []StreamInfo
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatalf("manifest of streams: %v", err)
	}
	return list
}

// Load reads the stream. Errors fail the test.
func (i StreamInfo) Load(t testing.TB) *Stream {
	t.Helper()
	base := filepath.Join(Fixtures(t), "streams", i.Name)
	s := &Stream{StreamInfo: i, V1: readFile(t, base+".v1"), V2: readFile(t, base+".v2"), SV: readFile(t, base+".sv")}
	extension := map[string]string{"text": ".txt", "xml": ".xml", "map": ".json"}[i.Kind]
	s.Content = readFile(t, base+extension)
	var err error
	if s.Updates, err = splitStream(readFile(t, base+".u1s.gz")); err != nil {
		t.Fatalf("stream %s: %v", i.Name, err)
	}
	if len(s.Updates) != i.Updates {
		t.Fatalf("stream %s has %d updates, its manifest says %d", i.Name, len(s.Updates), i.Updates)
	}
	return s
}

// splitStream cuts repetitions of { u32 little-endian length; that many bytes }.
func splitStream(b []byte) ([][]byte, error) {
	var list [][]byte
	for off := 0; off < len(b); {
		if len(b)-off < 4 {
			return nil, fmt.Errorf("length of update %d at byte %d: %w", len(list), off, io.ErrUnexpectedEOF)
		}
		n := int(binary.LittleEndian.Uint32(b[off:]))
		off += 4
		if n > len(b)-off {
			return nil, fmt.Errorf("update %d of %d bytes at byte %d: %w", len(list), n, off, io.ErrUnexpectedEOF)
		}
		list = append(list, b[off:off+n:off+n])
		off += n
	}
	return list, nil
}

// Edit is one local edit of a trace: at position Pos, delete Delete characters, then insert Insert.
// Positions count characters, all of the basic plane, so they are UTF-16 units as well.
type Edit struct {
	Pos, Delete int
	Insert      string
}

// Trace reads the recorded local edits of that name, for example "b4", or skips the test without recordings.
func Trace(t testing.TB, name string) []Edit {
	t.Helper()
	edits, err := parseTrace(readFile(t, filepath.Join(Fixtures(t), "traces", name+".ops.gz")))
	if err != nil {
		t.Fatalf("trace %s: %v", name, err)
	}
	return edits
}

// parseTrace cuts repetitions of { u32 pos; u32 del; u32 n; n bytes of UTF-8 }, little-endian.
func parseTrace(b []byte) ([]Edit, error) {
	const header = 12 // bytes
	var list []Edit
	for off := 0; off < len(b); {
		if len(b)-off < header {
			return nil, fmt.Errorf("header of edit %d at byte %d: %w", len(list), off, io.ErrUnexpectedEOF)
		}
		word := func(i int) int { return int(binary.LittleEndian.Uint32(b[off+4*i:])) }
		e := Edit{Pos: word(0), Delete: word(1)}
		n := word(2)
		off += header
		if n > len(b)-off {
			return nil, fmt.Errorf("edit %d of %d bytes at byte %d: %w", len(list), n, off, io.ErrUnexpectedEOF)
		}
		e.Insert = string(b[off : off+n])
		list = append(list, e)
		off += n
	}
	return list, nil
}

// readFile reads a whole file, decompressed when its name ends in .gz.
func readFile(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := decompressed(path, bytes.NewReader(raw))
	if err == nil {
		raw, err = io.ReadAll(r)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return raw
}
