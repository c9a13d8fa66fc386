package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

var quiet = Options{ReserveBytes: -1, ScrubEvery: -1}

func mustClose(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Close() = %v, want nil", err)
	}
}

// TestNewer opens directories that a newer version wrote: they stay as they are, byte for byte.
func TestNewer(t *testing.T) {
	for name, known := range map[string]uint32{roomsFile: schemaParked, logFile: schemaPlain} {
		dir := t.TempDir()
		s, err := Open(dir, quiet)
		if err != nil {
			t.Fatal(err)
		}
		mustClose(t, s)
		db, err := openBolt(filePath(dir, name), 0)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bolt.Tx) error {
			v := seal(0).stamp(binary.BigEndian.AppendUint32(nil, known+1), 0, keySchema)
			return tx.Bucket(bucketNode).Put(keySchema, v)
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		read := func() string {
			var all strings.Builder
			for _, n := range []string{roomsFile, logFile} {
				b, err := os.ReadFile(filePath(dir, n))
				if err != nil {
					t.Fatal(err)
				}
				all.Write(b)
			}
			return all.String()
		}
		before := read()
		if _, err := Open(dir, quiet); !errors.Is(err, ErrNewer) {
			t.Errorf("Open with a newer %s = %v, want ErrNewer", name, err)
		}
		if read() != before {
			t.Errorf("Open with a newer %s changed the files", name)
		}
	}
}

// TestForeign opens a directory whose files come from two, and one that lacks a file.
func TestForeign(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	for _, dir := range dirs {
		s, err := Open(dir, quiet)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		if err := s.Append([]Record{{Room: "a", Pos: Position{1, 1}, Update: []byte("x")}}, func(err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(<-done, s.Save(t.Context(), "a", Snapshot{Pos: Position{1, 1}})); err != nil {
			t.Fatal(err)
		}
		mustClose(t, s)
	}
	if err := os.Rename(filePath(dirs[0], logFile), filePath(dirs[1], logFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dirs[1], quiet); err == nil {
		t.Error("Open with another directory's log = nil, want an error")
	}
	if _, err := Open(dirs[0], quiet); err == nil {
		t.Error("Open without the log = nil, want an error")
	}
}

// TestManyRooms opens a directory with 100,000 rooms.
func TestManyRooms(t *testing.T) {
	const rooms = 100_000
	dir := t.TempDir()
	s, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	db, err := openBolt(filePath(dir, roomsFile), 0)
	if err != nil {
		t.Fatal(err)
	}
	db.NoSync = true
	state := make([]byte, 1500)
	for i := 0; i < rooms; {
		err := db.Update(func(tx *bolt.Tx) error {
			for range 5000 {
				room := fmt.Sprintf("room %06d", i)
				i++
				snap := Snapshot{State: state}
				key := appendChunkKey(nil, room, uint64(i), 0)
				m := meta{gen: uint64(i), chunks: 1, stateLen: uint64(len(state)), sum: s.seal.sum(state), dirty: 1}
				_, data := snapshotChunk(&snap, 0)
				if err := errors.Join(
					tx.Bucket(bucketChunks).Put(key, s.seal.appendChunk(nil, key, data)),
					tx.Bucket(bucketRooms).Put([]byte(room), s.seal.appendMeta(nil, room, m)),
				); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(db.Sync(), db.Close()); err != nil {
		t.Fatal(err)
	}
	best := time.Duration(math.MaxInt64)
	for range 3 { // the machine may be busy: the best of three counts
		start := time.Now()
		if s, err = Open(dir, quiet); err != nil {
			t.Fatalf("Open = %v, want nil", err)
		}
		best = min(best, time.Since(start))
		st, err := s.Load(t.Context(), "room 099999")
		if err != nil || len(st.Snapshot.State) != len(state) {
			t.Errorf("Load = %d bytes, %v, want %d", len(st.Snapshot.State), err, len(state))
		}
		infos, err := s.Rooms(t.Context(), "room 050000", 10)
		if err != nil || len(infos) != 10 || infos[0].Room != "room 050001" {
			t.Errorf("Rooms(after room 050000) = %+v, %v", infos, err)
		}
		mustClose(t, s)
	}
	if best > time.Second && !raceEnabled {
		t.Errorf("Open with %d rooms took %v, want 1 s at most", rooms, best)
	}
	t.Logf("Open with %d rooms took %v", rooms, best)
}
