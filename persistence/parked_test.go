package persistence_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weft/persistence"
)

// rot inverts a bit in each place of a file where mark stands.
func rot(t testing.TB, dir, file, mark string) {
	t.Helper()
	path := filepath.Join(dir, file)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := false
	for at := 0; ; at++ {
		i := bytes.Index(b[at:], []byte(mark))
		if i < 0 {
			break
		}
		at += i
		if _, err := f.WriteAt([]byte{b[at] ^ 1}, int64(at)); err != nil {
			t.Fatal(err)
		}
		found = true
	}
	if !found {
		t.Fatalf("%s has no %q", file, mark)
	}
}

// mustSave saves the room at seq.
func mustSave(t testing.TB, s *persistence.Store, room string, seq uint64) {
	t.Helper()
	snap := persistence.Snapshot{Pos: persistence.Position{Epoch: 1, Seq: seq}, State: []byte("state of " + room), StateVector: []byte("sv")}
	if err := s.Save(t.Context(), room, snap); err != nil {
		t.Fatalf("Save(%s) = %v, want nil", room, err)
	}
}

// holdLog makes room "bad" hold the log: its snapshot is damaged, with records after it, and then the log grows over LogBytes by
// those of a room that is saved. It returns the last LSN before the growth.
func holdLog(t testing.TB, s *persistence.Store, dir string) uint64 {
	t.Helper()
	mustSave(t, s, "bad", 1)
	for seq := range uint64(10) {
		appendWait(t, s, record("bad", seq+2), record("other", seq+1))
	}
	mustSave(t, s, "other", 10)
	rot(t, dir, "rooms.db", "state of bad")
	if _, err := s.Load(t.Context(), "bad"); !isDamage(err) {
		t.Fatalf("Load(bad) = %v, want a DamageError", err)
	}
	_, held := s.LogRange()
	for seq := range uint64(12) {
		r := record("good", seq+1)
		r.Update = make([]byte, 200_000)
		appendWait(t, s, r)
	}
	mustSave(t, s, "good", 12)
	return held
}

// TestQuarantineFreesLog lets a room that is set aside hold a log that is over its bound.
func TestQuarantineFreesLog(t *testing.T) {
	s, dir, _, _, _ := logStore(t, persistence.Options{LogBytes: 1 << 20, LogAge: time.Hour})
	held := holdLog(t, s, dir)
	now := time.Now()
	for i := range 5 {
		s.Housekeep(now.Add(time.Duration(i) * 10 * time.Second))
		mustSave(t, s, "flush", uint64(i)) // what Housekeep asked of rooms.db is done then
		appendWait(t, s, record("flush", uint64(i)+1))
	}
	if first, last := s.LogRange(); first <= held {
		t.Errorf("the log has batches %d to %d, held by a room that is set aside; want none before %d", first, last, held+1)
	}
	if _, err := s.Load(t.Context(), "bad"); !isDamage(err) {
		t.Errorf("Load(bad) = %v, want a DamageError", err)
	}
	copied := filepath.Join(fastDir(t), "copy")
	if err := s.CopyTo(t.Context(), copied); err != nil {
		t.Fatalf("CopyTo = %v, want nil", err)
	}
	a := openArchive(t, copied)
	defer a.Close()
	st, err := a.Load("bad")
	if !isDamage(err) || len(st.Tail) != 10 || len(a.Records("bad")) != 10 {
		t.Fatalf("archive: Load(bad) = %d records, %v, Records = %d, want a DamageError and 10", len(st.Tail), err, len(a.Records("bad")))
	}
	for i, r := range st.Tail {
		if want := record("bad", uint64(i)+2); r.Pos != want.Pos || !bytes.Equal(r.Update, want.Update) {
			t.Errorf("archive: record %d of bad = %s %q, want %s %q", i, r.Pos, r.Update, want.Pos, want.Update)
		}
	}
}
