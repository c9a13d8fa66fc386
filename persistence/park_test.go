package persistence

import (
	"testing"
	"time"
)

// commit puts a record of any kind and waits for the disk.
func commit(t *testing.T, s *Store, kind byte, r Record) {
	t.Helper()
	done := make(chan error, 1)
	if err := s.queue.put(kind, []Record{r}, func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// parkedAndDeleted returns a store with a parked room "a" whose tombstone is in the log, while rooms.db has not followed it: a
// crash or a full disk may end Delete there.
func parkedAndDeleted(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for seq := range uint64(5) {
		commit(t, s, kindUpdate, Record{Room: "a", Pos: Position{1, seq + 1}, Update: []byte("former")})
	}
	if err := s.Park(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	commit(t, s, kindTombstone, Record{Room: "a"})
	return s
}

// TestParkDeleteCrash opens a directory after a crash in the middle of a Delete: the deletion is followed, and there is no room.
func TestParkDeleteCrash(t *testing.T) {
	s := parkedAndDeleted(t, t.TempDir())
	dir := t.TempDir()
	if err := s.CopyTo(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	s, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Save(t.Context(), "flush", Snapshot{}); err != nil { // behind what Open has begun
		t.Fatal(err)
	}
	if infos, err := s.Rooms(t.Context(), "", 0); err != nil || len(infos) != 1 || infos[0].Room != "flush" {
		t.Errorf("Rooms() = %+v, %v, want only flush", infos, err)
	}
	if b := s.Backlog(); b.LogHolder != "" || b.ParkedRooms != 0 {
		t.Errorf("Backlog() = %+v, want nothing", b)
	}
	mustClose(t, s)
}

// TestParkVoid saves a room anew while rooms.db has not followed the deletion of its former life, which was parked: nothing of that
// comes back, also at higher positions, and not when the deletion is followed at last.
func TestParkVoid(t *testing.T) {
	dir := t.TempDir()
	s := parkedAndDeleted(t, dir)
	commit(t, s, kindUpdate, Record{Room: "a", Pos: Position{1, 1}, Update: []byte("anew")})
	want := func(when string, records int, gen bool) {
		t.Helper()
		st, err := s.Load(t.Context(), "a")
		if err != nil || len(st.Tail) != records || st.Pos != (Position{1, 1}) || (st.Gen > 0) != gen {
			t.Errorf("%s: Load(a) = %d records to %s, generation %d, %v, want only the new life", when, len(st.Tail), st.Pos, st.Gen, err)
		}
	}
	want("appended", 1, false)
	if err := s.Save(t.Context(), "a", Snapshot{Pos: Position{1, 1}, State: []byte("anew")}); err != nil {
		t.Fatal(err)
	}
	want("saved", 0, true)
	if b := s.Backlog(); b.LogHolder != "a" {
		t.Errorf("Backlog() = %+v, want the deletion of a to hold the log", b)
	}
	s.Housekeep(time.Now().Add(2 * time.Minute)) // follows the deletion
	if err := s.Save(t.Context(), "flush", Snapshot{}); err != nil {
		t.Fatal(err)
	}
	want("buried", 0, true)
	if b := s.Backlog(); b.LogHolder != "" || b.ParkedRooms != 0 {
		t.Errorf("Backlog() = %+v, want nothing", b)
	}
	mustClose(t, s)
	s, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	want("opened again", 0, true)
	mustClose(t, s)
}
