package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weft/crdt"
	"weft/persistence"
)

func TestExportName(t *testing.T) {
	pos := persistence.Position{Epoch: 3, Seq: 12}
	for _, c := range []struct{ room, want string }{
		{"notes", "rooms/notes/update@3-12.v2"},
		{"team a/notes.md", "rooms/team%20a%2Fnotes.md/update@3-12.v2"},
		{"..", "rooms/%2E./update@3-12.v2"},
		{"%41", "rooms/%2541/update@3-12.v2"},
		{strings.Repeat("x", 201), "rooms/" + strings.Repeat("x", 200) + "/x/update@3-12.v2"},
		{strings.Repeat("x", 200) + ".", "rooms/" + strings.Repeat("x", 200) + "/%2E/update@3-12.v2"},
	} {
		if got := exportName(c.room, pos); got != c.want {
			t.Errorf("exportName(%q) = %s, want %s", c.room, got, c.want)
		}
	}
	for _, bad := range []string{
		"", "rooms/notes", "rooms//update@1-1.v2", "rooms/../update@1-1.v2", "rooms/a b/update@1-1.v2", "rooms/%41/update@1-1.v2",
		"rooms/a/update@1-1.v2/", "rooms/a/update@01-1.v2", "rooms/a/b/update@1-1.v2", "rooms/%zz/update@1-1.v2",
		"rooms/a/update@99999999999999999999-1.v2", exportName(strings.Repeat("x", 257), pos),
	} {
		if room, pos, err := parseExportName(bad); err == nil {
			t.Errorf("parseExportName(%q) = %q, %v, want an error", bad, room, pos)
		}
	}
}

func TestExportNameRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room := string(rapid.SliceOfN(rapid.Byte(), 1, persistence.MaxRoomName).Draw(t, "room"))
		pos := persistence.Position{Epoch: rapid.Uint64().Draw(t, "epoch"), Seq: rapid.Uint64().Draw(t, "seq")}
		name := exportName(room, pos)
		gotRoom, gotPos, err := parseExportName(name)
		if err != nil || gotRoom != room || gotPos != pos {
			t.Fatalf("parseExportName(%s) = %q, %v, %v, want %q, %v, nil", name, gotRoom, gotPos, err, room, pos)
		}
		for part := range strings.SplitSeq(name, "/") {
			if len(part) > 255 || part == "" || part[0] == '.' {
				t.Fatalf("exportName(%q) = %s has a part that is no file name", room, name)
			}
		}
	})
}

// export returns an export of three rooms.
func export(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	e := newExportWriter(&b)
	for i := range 3 {
		p := &plantedRoom{n: 1}
		p.insert(1, fmt.Sprint("text ", i))
		if err := e.add(fmt.Sprint("room-", i), persistence.Position{Epoch: 1, Seq: 1}, time.Time{}, p.snapshot().State); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestReadExportDamaged reads an export with each single byte changed, and each cut off copy: none passes for the whole, unless
// what was changed is not part of the content.
func TestReadExportDamaged(t *testing.T) {
	whole := export(t)
	type room struct {
		Name  string
		Pos   persistence.Position
		State string
	}
	read := func(b []byte) ([]room, error) {
		var rooms []room
		_, err := readExport(bytes.NewReader(b), func(e exportedRoom) error {
			rooms = append(rooms, room{e.room, e.pos, string(e.state)})
			return nil
		})
		return rooms, err
	}
	want, err := read(whole)
	if err != nil || len(want) != 3 {
		t.Fatalf("readExport = %d rooms, %v, want 3, nil", len(want), err)
	}
	refused := 0
	for at := range whole {
		b := bytes.Clone(whole)
		b[at] ^= 0x10
		got, err := read(b)
		if err != nil {
			refused++
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("readExport with byte %d changed (-want +got):\n%s", at, diff)
		}
	}
	if refused < 512 { // one header at least
		t.Errorf("%d of %d changes were refused, want most that matter", refused, len(whole))
	}
	end := bytes.Index(whole, []byte("}\n")) // of export.json; behind it is padding
	for n := range end {
		if got, err := read(whole[:n]); err == nil {
			t.Fatalf("readExport of %d bytes of %d = %d rooms, want an error", n, len(whole), len(got))
		}
	}
}

// FuzzReadExport checks that nothing in a file makes the reader panic or take more memory than the file is long.
func FuzzReadExport(f *testing.F) {
	p := &plantedRoom{n: 1}
	p.insert(1, "text")
	var b bytes.Buffer
	e := newExportWriter(&b)
	if err := e.add("room", persistence.Position{Epoch: 1, Seq: 1}, time.Time{}, p.snapshot().State); err != nil {
		f.Fatal(err)
	}
	if err := e.close(); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	var claim bytes.Buffer
	if err := tar.NewWriter(&claim).WriteHeader(&tar.Header{Name: "rooms/a/update@1-1.v2", Size: 1 << 30}); err != nil {
		f.Fatal(err)
	}
	f.Add(claim.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		size := 0
		_, err := readExport(bytes.NewReader(b), func(e exportedRoom) error {
			size += len(e.state)
			_, err := e.snapshot()
			return err
		})
		if size > len(b) {
			t.Errorf("readExport = %d bytes of documents, %v, want at most %d", size, err, len(b))
		}
	})
}

// weft runs a verb in this process.
func weft(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(args, streams{&out, &errs}); code != exitOK {
		t.Fatalf("weft %q = %d, want 0\n%s", args, code, &errs)
	}
	return out.String()
}

// TestExportImport exports planted and random rooms, imports them, and compares what every format of dump prints.
func TestExportImport(t *testing.T) {
	dir := t.TempDir()
	from, to, file := filepath.Join(dir, "from"), filepath.Join(dir, "to"), filepath.Join(dir, "rooms.tar")
	rooms := append(plantedRooms(), randomRooms(rand.New(rand.NewPCG(1, 2)), 12)...)
	if err := storeRooms(from, rooms...); err != nil {
		t.Fatal(err)
	}
	weft(t, "inspect", "export", from, file)
	weft(t, "inspect", "import", to, file)
	weft(t, "inspect", "check", to)
	want, got := dumps(t, from), dumps(t, to)
	if len(want) < 12*len(rooms)-4 {
		t.Errorf("%d rooms have %d dumps, want two updates under four names for each, and a root for all but the one that waits", len(rooms), len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("dumps after export and import (-want +got):\n%s", diff)
	}
	again := filepath.Join(dir, "again.tar")
	weft(t, "inspect", "export", to, again)
	compareExports(t, file, again)
}

// dumps returns everything that dump can print of the rooms of a directory.
func dumps(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := withArchive(dir, func(a *persistence.Archive) error {
		for _, i := range a.Rooms() {
			r, err := readRoom(a, i.Room, asStored)
			if err != nil {
				return err
			}
			for _, format := range []string{"update", "update-v2", "text", "xml", "json", "delta"} {
				for _, root := range []string{"codemirror", "default", "data", "quill"} {
					c := inspectDump{Room: i.Room, Format: format, Root: root}
					b, err := c.content(io.Discard, r.doc)
					if err == nil { // else the room has no such root
						all[fmt.Sprintf("%q as %s of %s", i.Room, format, root)] = string(b)
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// compareExports compares the documents of two files, whose times differ.
func compareExports(t *testing.T, a, b string) {
	t.Helper()
	var rooms [2][]string
	for i, file := range []string{a, b} {
		f := bytes.NewReader(mustRead(t, file))
		if _, err := readExport(f, func(e exportedRoom) error {
			rooms[i] = append(rooms[i], fmt.Sprintf("%q %v %x", e.room, e.pos, e.state))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(rooms[0], rooms[1]); diff != "" {
		t.Errorf("export of what was imported (-want +got):\n%s", diff)
	}
}

// randomRooms are texts of several authors, with deletions and formats, stored partly as snapshot and partly as records.
func randomRooms(r *rand.Rand, n int) (rooms []*plantedRoom) {
	for i := range n {
		p := &plantedRoom{name: fmt.Sprintf("random/%d", i)}
		for range 1 + r.IntN(30) {
			p.write(crdt.ClientID(1+r.IntN(4)), func(tx *crdt.Tx) error {
				t := tx.Text("quill")
				switch at := r.IntN(t.Len() + 1); {
				case r.IntN(3) > 0 || at == t.Len():
					return t.Insert(at, strings.Repeat("word ", 1+r.IntN(4)))
				case r.IntN(2) > 0:
					return t.Format(at, 1+r.IntN(t.Len()-at), crdt.Format{Name: "bold", Value: r.IntN(2) > 0})
				default:
					return t.Delete(at, 1+r.IntN(t.Len()-at))
				}
			})
		}
		p.n = r.IntN(len(p.updates) + 1)
		rooms = append(rooms, p)
	}
	return rooms
}

func mustRead(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
