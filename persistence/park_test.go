package persistence

import (
	"testing"
	"time"
)

// TestParkVoid saves a room anew while rooms.db has not followed the deletion of its former life, which was parked: nothing of that
// comes back, also at higher positions, and not when the deletion is followed at last.
func TestParkVoid(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	commit := func(kind byte, r Record) {
		t.Helper()
		done := make(chan error, 1)
		if err := s.queue.put(kind, []Record{r}, func(err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for seq := range uint64(5) {
		commit(kindUpdate, Record{Room: "a", Pos: Position{1, seq + 1}, Update: []byte("former")})
	}
	if err := s.Park(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	commit(kindTombstone, Record{Room: "a"}) // as Delete begins; a full disk may end it here
	commit(kindUpdate, Record{Room: "a", Pos: Position{1, 1}, Update: []byte("anew")})
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
	if s, err = Open(dir, quiet); err != nil {
		t.Fatal(err)
	}
	want("opened again", 0, true)
	mustClose(t, s)
}
