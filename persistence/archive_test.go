package persistence_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"weft/persistence"
)

// hashFiles returns the bytes of both files.
func hashFiles(t testing.TB, dir string) string {
	t.Helper()
	var all []byte
	for _, name := range []string{"wal.db", "rooms.db"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return string(all)
}

func openArchive(t testing.TB, dir string) *persistence.Archive {
	t.Helper()
	a, err := persistence.OpenArchive(dir)
	if err != nil {
		t.Fatalf("OpenArchive = %v, want nil", err)
	}
	return a
}

func TestArchive(t *testing.T) {
	dir := fastDir(t)
	s := openStore(t, dir, small)
	want := fillStore(t, s, random(t))
	if _, err := persistence.OpenArchive(dir); !errors.Is(err, persistence.ErrLocked) {
		t.Errorf("OpenArchive(in use) = %v, want ErrLocked", err)
	}
	infos, err := s.Rooms(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(fastDir(t), "copy")
	if err := s.CopyTo(t.Context(), copied); err != nil {
		t.Fatalf("CopyTo = %v, want nil", err)
	}
	before := hashFiles(t, copied)
	a := openArchive(t, copied)
	defer a.Close()
	rooms := a.Rooms()
	if len(rooms) != len(infos) || len(a.Problems()) > 0 {
		t.Fatalf("Rooms() = %d rooms, problems %v, want %d and none", len(rooms), a.Problems(), len(infos))
	}
	for i, info := range rooms {
		if info.Room != infos[i].Room || info.Pos != infos[i].Pos || info.Size != infos[i].Size || info.Damage != "" {
			t.Errorf("Rooms()[%d] = %+v, want %+v", i, info, infos[i])
		}
		st, err := a.Load(info.Room)
		if err == nil {
			err = want[info.Room].holds(st)
		}
		if err != nil {
			t.Errorf("Load(%s): %v", info.Room, err)
		}
		var data []byte
		for _, c := range a.Chunks(info.Room) {
			if c.Gen == st.Gen && c.Err == nil {
				data = append(data, c.Data...)
			}
		}
		if !bytes.Equal(data, append(st.Snapshot.StateVector, st.Snapshot.State...)) {
			t.Errorf("Chunks(%s) = %d bytes, want those of the snapshot", info.Room, len(data))
		}
		if len(a.Records(info.Room)) < len(st.Tail) {
			t.Errorf("Records(%s) = %d, want at least the tail's %d", info.Room, len(a.Records(info.Room)), len(st.Tail))
		}
	}
	if _, err := a.Load("never"); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("Load(never) = %v, want ErrNotFound", err)
	}
	if hashFiles(t, copied) != before {
		t.Error("the archive changed the files")
	}
}

// TestRepair damages directories and repairs them: what was right is still right, every room that was damaged is either restored
// or named as lost, and restored rooms have only what they once had.
func TestRepair(t *testing.T) {
	r := random(t)
	dir := fastDir(t)
	s := openStore(t, dir, small)
	want := fillStore(t, s, r)
	s.Close()
	rounds := 30
	if *long {
		rounds = 400
	}
	restored, lost := 0, 0
	for i := range rounds {
		work := fastDir(t)
		copyDir(t, dir, work)
		what := hurt(t, filepath.Join(work, []string{"wal.db", "rooms.db"}[i%2]), i/2%damageKinds, r)
		intact := make(map[string]bool)
		a, err := persistence.OpenArchive(work)
		if err != nil {
			t.Errorf("%s: OpenArchive = %v, want nil", what, err)
			continue
		}
		for room, c := range want {
			st, err := a.Load(room)
			intact[room] = err == nil
			if err == nil && c.holds(st) != nil {
				t.Errorf("%s: archive: Load(%s) is silently wrong: %v", what, room, c.holds(st))
			}
		}
		a.Close()
		rep, err := persistence.Repair(t.Context(), work)
		if err != nil {
			t.Errorf("%s: Repair = %v, want nil", what, err)
			continue
		}
		named := make(map[string]bool)
		for _, x := range rep.Restored {
			named[x.Room] = true
		}
		for _, x := range rep.Lost {
			named[x.Room] = true
		}
		restored, lost = restored+len(rep.Restored), lost+len(rep.Lost)
		s := openStore(t, work, small)
		for room, c := range want {
			st, err := s.Load(t.Context(), room)
			if err == nil {
				err = c.holds(st)
			}
			// A room whose very name was in a lost part cannot be named; the part is, in Accepted.
			unnamed := errors.Is(err, persistence.ErrNotFound) && len(rep.Accepted) > 0
			if err != nil && !named[room] && !unnamed {
				t.Errorf("%s: after Repair Load(%s) is not named: %v", what, room, err)
			}
			if err != nil && intact[room] {
				t.Errorf("%s: Repair broke %s: %v", what, room, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: Close() = %v, want nil", what, err)
		}
		os.RemoveAll(work)
	}
	t.Logf("%d damaged directories: %d rooms restored, %d lost and named", rounds, restored, lost)
}

func TestCompact(t *testing.T) {
	dir := fastDir(t)
	s := openStore(t, dir, small)
	want := make(content)
	for i := range uint64(30) {
		for _, room := range []string{"a", "b", "c"} {
			want[room] = &roomContent{first: 1, last: i + 1, updates: make(map[uint64]string), snaps: make(map[uint64]string)}
			saveRoom(t, s, room, want[room], make([]byte, 200_000+i))
		}
	}
	appendWait(t, s, record("a", 31))
	want["a"].last, want["a"].updates[31] = 31, string(record("a", 31).Update)
	if err := s.Delete(t.Context(), "c"); err != nil {
		t.Fatalf("Delete(c) = %v, want nil", err)
	}
	delete(want, "c")
	if _, err := persistence.Compact(t.Context(), dir); !errors.Is(err, persistence.ErrLocked) {
		t.Errorf("Compact(in use) = %v, want ErrLocked", err)
	}
	s.Close()
	c, err := persistence.Compact(t.Context(), dir)
	if err != nil || c.RoomsAfter >= c.RoomsBefore || c.LogAfter > c.LogBefore {
		t.Errorf("Compact = %+v, %v, want smaller files", c, err)
	}
	s = openStore(t, dir, small)
	compare(t, s, "compacted", want)
	appendWait(t, s, record("a", 32))
	s.Close()
	s = openStore(t, dir, persistence.Options{ReserveBytes: -1, ScrubEvery: -1, CompactFree: 1, CompactRatio: 0.01})
	if st, err := s.Load(t.Context(), "a"); err != nil || len(st.Tail) != 2 {
		t.Errorf("Load(a) = %d records, %v, want 2", len(st.Tail), err)
	}
	noSalvage(t, dir)
}
