package persistence_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"weft/persistence"
)

// untar writes the files of an archive into a new directory and returns it with their names.
func untar(t *testing.T, r io.Reader) (dir string, names []string) {
	t.Helper()
	dir = fastDir(t)
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return dir, names
		}
		if err != nil {
			t.Fatalf("tar: %v", err)
		}
		b, err := io.ReadAll(archive)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, h.Name), b, 0o600)
		}
		if err != nil {
			t.Fatalf("untar %s: %v", h.Name, err)
		}
		names = append(names, h.Name)
	}
}

// TestWriteTar backs a store up while it is being written to. The backup opens, has everything that was confirmed before it began,
// and nothing that was not written.
func TestWriteTar(t *testing.T) {
	dir := fastDir(t)
	s := openStore(t, dir, small)
	want := fillStore(t, s, random(t))
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() { // ends with ctx
		for seq := uint64(1); ctx.Err() == nil; seq++ {
			room := "busy"
			appendWait(t, s, persistence.Record{Room: room, Pos: persistence.Position{Epoch: 1, Seq: seq}, Update: writerUpdate(room, seq)})
		}
	})
	var b bytes.Buffer
	err := s.WriteTar(t.Context(), &b)
	stop()
	writing.Wait()
	if err != nil {
		t.Fatalf("WriteTar = %v, want nil", err)
	}
	copied, names := untar(t, &b)
	if !slices.Equal(names, []string{"rooms.db", "wal.db"}) {
		t.Errorf("WriteTar wrote %q", names)
	}
	c := openStore(t, copied, small)
	for room, content := range want {
		st, err := c.Load(t.Context(), room)
		if err == nil {
			err = content.holds(st)
		}
		if err != nil {
			t.Errorf("Load(%s) of the backup: %v", room, err)
		}
	}
	told := newConfirmed()
	if err := told.check(c); err != nil {
		t.Error(err)
	}
	st, err := c.Load(t.Context(), "busy")
	for i, r := range st.Tail {
		if seq := uint64(i) + 1; r.Pos.Seq != seq || !bytes.Equal(r.Update, writerUpdate("busy", seq)) {
			t.Errorf("Load(busy) of the backup: record %d is %v", seq, r)
		}
	}
	if err != nil && !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("Load(busy) of the backup = %v", err)
	}
}

// failingWriter takes n bytes.
type failingWriter struct{ n int }

var errWriter = errors.New("gone")

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.n -= len(p); w.n < 0 {
		return 0, errWriter
	}
	return len(p), nil
}

func TestWriteTarGivesUp(t *testing.T) {
	s := openStore(t, fastDir(t), small)
	fillStore(t, s, random(t))
	for _, n := range []int{0, 512, 5000, 100_000} {
		if err := s.WriteTar(t.Context(), &failingWriter{n}); err == nil || !strings.Contains(err.Error(), errWriter.Error()) { // bbolt keeps only the text
			t.Errorf("WriteTar(a writer that takes %d bytes) = %v, want its error", n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.WriteTar(ctx, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("WriteTar(a context that has ended) = %v, want Canceled", err)
	}
	appendWait(t, s, record("after", 1)) // no transaction was left open that would be in its way
}
