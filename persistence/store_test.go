package persistence_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weft/persistence"
)

// small are options for tests: no reserve, which would be written for each of them.
var small = persistence.Options{ReserveBytes: -1, ScrubEvery: -1}

func openStore(t testing.TB, dir string, o persistence.Options) *persistence.Store {
	t.Helper()
	s, err := persistence.Open(dir, o)
	if err != nil {
		t.Fatalf("Open(%s) = %v, want nil", dir, err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	})
	return s
}

func record(room string, seq uint64) persistence.Record {
	return persistence.Record{
		Room:   room,
		Pos:    persistence.Position{Epoch: 1, Seq: seq},
		Update: fmt.Appendf(nil, "update %d of %s", seq, room),
	}
}

func appendWait(t testing.TB, s interface {
	Append([]persistence.Record, func(error)) error
}, recs ...persistence.Record,
) {
	t.Helper()
	done := make(chan error, 1)
	if err := s.Append(recs, func(err error) { done <- err }); err != nil {
		t.Fatalf("Append(%d records) = %v, want nil", len(recs), err)
	}
	if err := <-done; err != nil {
		t.Fatalf("done(%d records) = %v, want nil", len(recs), err)
	}
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, small)
	for seq := range uint64(10) {
		appendWait(t, s, record("a", seq+1), record("b", seq+1))
	}
	snap := persistence.Snapshot{Pos: persistence.Position{Epoch: 1, Seq: 7}, State: []byte("seven"), StateVector: []byte("sv")}
	if err := s.Save(t.Context(), "a", snap); err != nil {
		t.Fatalf("Save(a) = %v, want nil", err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close() = %v, want nil", err)
	}
	s = openStore(t, dir, small)
	for room, want := range map[string]int{"a": 3, "b": 10} {
		st, err := s.Load(t.Context(), room)
		if err != nil || len(st.Tail) != want || st.Pos != (persistence.Position{Epoch: 1, Seq: 10}) {
			t.Errorf("Load(%s) = %d records to %s, %v, want %d to 1-10", room, len(st.Tail), st.Pos, err, want)
		}
	}
	st, _ := s.Load(t.Context(), "a")
	if string(st.Snapshot.State) != "seven" || string(st.Snapshot.StateVector) != "sv" {
		t.Errorf("Load(a).Snapshot = %+v, want %+v", st.Snapshot, snap)
	}
	if _, err := s.Load(t.Context(), "c"); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("Load(c) = %v, want ErrNotFound", err)
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	openStore(t, dir, small)
	before := hashFiles(t, dir)
	if _, err := persistence.Open(dir, small); !errors.Is(err, persistence.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("second Open = %v, want ErrLocked with the process", err)
	}
	if hashFiles(t, dir) != before {
		t.Error("the second Open changed the files")
	}
}

// noSalvage checks that opening dir found nothing to repair.
func noSalvage(t testing.TB, dir string) {
	t.Helper()
	kept, err := filepath.Glob(filepath.Join(dir, "*.damaged-*"))
	if err != nil || len(kept) > 0 {
		t.Errorf("Open(%s) set aside %v, %v, want none", dir, kept, err)
	}
}
