package persistence_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestLostVerdicts damages the log, and then the page of rooms.db that says which rooms it hurt: none of them may be served as if
// nothing had happened.
func TestLostVerdicts(t *testing.T) {
	dir := fastDir(t)
	s := openStore(t, dir, small)
	const rooms = 20
	name := func(i int) string { return fmt.Sprintf("room-%02d", i) }
	for i := range rooms {
		mustSave(t, s, name(i), 1)
		appendWait(t, s, record(name(i), 2))
	}
	mustClose(t, s)
	for i := range rooms {
		rot(t, dir, "wal.db", "update 2 of "+name(i))
	}
	s = openStore(t, dir, small)
	if q := s.Quarantined(); len(q) != rooms {
		t.Fatalf("Quarantined() = %d rooms, want %d", len(q), rooms)
	}
	mustClose(t, s)

	path := filepath.Join(dir, "rooms.db")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	zeroed := 0
	for page := 0; page+4096 <= len(b); page += 4096 {
		if bytes.Contains(b[page:page+4096], []byte("wal.db\x00batch")) {
			clear(b[page : page+4096])
			zeroed++
		}
	}
	if zeroed == 0 {
		t.Fatal("no page of the quarantine")
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	a := openArchive(t, dir)
	for i := range rooms {
		if _, err := a.Load(name(i)); !isDamage(err) {
			t.Errorf("archive: Load(%s) = %v, want a DamageError", name(i), err)
		}
	}
	a.Close()
	for range 2 {
		s = openStore(t, dir, small)
		for i := range rooms {
			if _, err := s.Load(t.Context(), name(i)); !isDamage(err) {
				t.Errorf("Load(%s) = %v, want a DamageError", name(i), err)
			}
		}
		mustClose(t, s)
	}
}
