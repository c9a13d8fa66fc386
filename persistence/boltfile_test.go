package persistence_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"

	"weft/persistence"
)

// TestRollbackPanics damages the list of free pages, which bbolt reads when it rolls back: it panics then with its locks held.
// Whoever comes later gets an error and does not wait, and the file can be closed and is free for the next.
func TestRollbackPanics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	b, err := persistence.OpenFile(path)
	if err != nil {
		t.Fatalf("OpenFile = %v, want nil", err)
	}
	refused := errors.New("refused")
	if err := b.Update(func(*bolt.Tx) error { return refused }); !errors.Is(err, refused) {
		t.Fatalf("Update(refused) = %v, want its error", err)
	}
	if err := b.Update(func(*bolt.Tx) error { panic("a page") }); !persistence.IsPageFault(err) {
		t.Fatalf("Update(panic) = %v, want a page fault", err)
	}
	if err := b.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("b")); return err }); err != nil {
		t.Fatalf("Update after both = %v, want nil", err)
	}
	clearPages(t, path, int64(b.Info().PageSize))

	if err := b.Update(func(*bolt.Tx) error { panic("a page") }); !persistence.IsPageFault(err) {
		t.Errorf("Update(panic) over a damaged list = %v, want a page fault", err)
	}
	if err := b.Update(func(*bolt.Tx) error { return nil }); !persistence.IsPageFault(err) {
		t.Errorf("the next Update = %v, want a page fault", err)
	}
	if err := b.View(func(*bolt.Tx) error { return nil }); !persistence.IsPageFault(err) {
		t.Errorf("the next View = %v, want a page fault", err)
	}
	if _, err := b.Begin(); !persistence.IsPageFault(err) {
		t.Errorf("the next Begin = %v, want a page fault", err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("Close() = %v, want nil", err)
	}
	if _, err := persistence.OpenFile(path); errors.Is(err, persistence.ErrLocked) {
		t.Errorf("OpenFile after Close = %v, want a file that is not locked", err)
	}
}

// TestBeginPanics damages both meta pages, which every transaction reads first, with a lock held.
func TestBeginPanics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	b, err := persistence.OpenFile(path)
	if err != nil {
		t.Fatalf("OpenFile = %v, want nil", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for page := range int64(2) {
		if _, err := f.WriteAt(make([]byte, 100), page*int64(b.Info().PageSize)); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for i := range 64 { // whoever waits while another panics comes out, too
		all.Go(func() {
			run := b.View
			if i%16 == 9 {
				run = b.Update
			}
			if err := run(func(*bolt.Tx) error { return nil }); !persistence.IsPageFault(err) {
				t.Errorf("transaction %d = %v, want a page fault", i, err)
			}
		})
	}
	all.Wait()
	if err := b.Close(); err != nil {
		t.Errorf("Close() = %v, want nil", err)
	}
}

// clearPages overwrites all pages of a file but the two meta pages.
func clearPages(t *testing.T, path string, size int64) {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, fi.Size()-2*size), 2*size); err != nil {
		t.Fatal(err)
	}
}
