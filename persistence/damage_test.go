package persistence_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"weft/persistence"
)

var (
	long = flag.Bool("long", false, "run the long form of the fault tests")
	seed = flag.Uint64("seed", 0, "seed of the randomised tests; 0 takes a new one")
)

// random returns a generator whose seed is printed when the test fails.
func random(t testing.TB) *rand.Rand {
	n := *seed
	if n == 0 {
		n = rand.Uint64()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("run again with -seed=%d", n)
		}
	})
	return rand.New(rand.NewPCG(n, 0))
}

// fastDir returns a directory in memory where the system has one: for tests that do not depend on a disk.
func fastDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "weft-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// content is what rooms must hold, as text.
type content map[string]string

func describe(st persistence.Stored) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%x %x %s", st.Snapshot.State, st.Snapshot.StateVector, st.Snapshot.Pos)
	for _, r := range st.Tail {
		fmt.Fprintf(&b, " %s=%x", r.Pos, r.Update)
	}
	return b.String()
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// fillStore writes rooms of all kinds: only in the log, only a snapshot, both; small and large; deleted and made again.
func fillStore(t testing.TB, s *persistence.Store, r *rand.Rand) content {
	t.Helper()
	const rooms = 60
	seqs := make(map[string]uint64)
	name := func(i int) string { return fmt.Sprintf("room-%02d", i) }
	next := func(room string) persistence.Record {
		seqs[room]++
		return persistence.Record{Room: room, Pos: persistence.Position{Epoch: 1, Seq: seqs[room]}, Update: randomBytes(r, 1+r.IntN(400))}
	}
	for round := range 12 {
		for range 15 {
			var recs []persistence.Record
			for range 1 + r.IntN(8) {
				recs = append(recs, next(name(r.IntN(rooms))))
			}
			appendWait(t, s, recs...)
		}
		for i := range rooms {
			if (i+round)%4 != 0 || i%5 == 0 {
				continue
			}
			size := 1 + r.IntN(3000)
			if i%9 == 0 {
				size = 40_000 + r.IntN(60_000)
			}
			snap := persistence.Snapshot{
				Pos:         persistence.Position{Epoch: 1, Seq: seqs[name(i)]},
				State:       randomBytes(r, size),
				StateVector: randomBytes(r, 20),
			}
			if err := s.Save(t.Context(), name(i), snap); err != nil {
				t.Fatalf("Save(%s) = %v, want nil", name(i), err)
			}
		}
		if gone := name(r.IntN(rooms)); round%3 == 1 && seqs[gone] > 0 {
			if err := s.Delete(t.Context(), gone); err != nil && !errors.Is(err, persistence.ErrNotFound) {
				t.Fatalf("Delete(%s) = %v, want nil", gone, err)
			}
		}
	}
	return readAll(t, s)
}

func readAll(t testing.TB, s *persistence.Store) content {
	t.Helper()
	infos, err := s.Rooms(t.Context(), "", 0)
	if err != nil {
		t.Fatalf("Rooms() = %v, want nil", err)
	}
	all := make(content)
	for _, i := range infos {
		st, err := s.Load(t.Context(), i.Room)
		if err != nil {
			t.Fatalf("Load(%s) = %v, want nil", i.Room, err)
		}
		all[i.Room] = describe(st)
	}
	return all
}

func copyDir(t testing.TB, from, to string) {
	t.Helper()
	for _, name := range []string{"wal.db", "rooms.db"} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			// A file has room to grow; the damage shall hit what is used.
			err = os.WriteFile(filepath.Join(to, name), usedPart(b), 0o600)
		}
		if err != nil {
			t.Fatalf("copy %s: %v", name, err)
		}
	}
}

// usedPart returns a bbolt file up to the highest page that either meta page knows.
func usedPart(b []byte) []byte {
	pages := uint64(0)
	for _, meta := range []int{0, 4096} {
		pages = max(pages, binary.NativeEndian.Uint64(b[meta+16+40:]))
	}
	return b[:min(len(b), int(pages)*4096)]
}

// hurt damages a file and says how.
func hurt(t testing.TB, path string, kind int, r *rand.Rand) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var what string
	switch kind {
	case 0:
		at, bit := r.IntN(len(b)), r.IntN(8)
		b[at] ^= 1 << bit
		what = fmt.Sprintf("bit %d of byte %d flipped", bit, at)
	case 1:
		page := r.IntN(len(b) / 4096)
		clear(b[page*4096 : (page+1)*4096])
		what = fmt.Sprintf("page %d zeroed", page)
	case 2:
		sector := r.IntN(len(b) / 512)
		copy(b[sector*512:], randomBytes(r, 512))
		what = fmt.Sprintf("sector %d of page %d random", sector, sector/8)
	case 3:
		size := r.IntN(len(b))
		b = b[:size]
		what = fmt.Sprintf("cut to %d bytes", size)
	case 4: // in the head of a page, where the structure is
		at, bit := r.IntN(len(b)/4096)*4096+r.IntN(128), r.IntN(8)
		b[at] ^= 1 << bit
		what = fmt.Sprintf("bit %d of byte %d of page %d flipped", bit, at%4096, at/4096)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Base(path) + ": " + what
}

// damageKinds is the number of kinds of hurt.
const damageKinds = 5

// TestDamage damages files in many ways. Every room must then be intact or named, never silently wrong, and the process must live.
func TestDamage(t *testing.T) {
	r := random(t)
	dir := fastDir(t)
	s := openStore(t, dir, small)
	want := fillStore(t, s, r)
	live := fastDir(t) // as a crash would leave it
	os.Remove(live)
	if err := s.CopyTo(t.Context(), live); err != nil {
		t.Fatalf("CopyTo = %v, want nil", err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close() = %v, want nil", err)
	}
	rounds := 80
	if *long {
		rounds = 1000
	}
	var sum damageSum
	for i := range rounds {
		from := []string{dir, live}[i%2]
		work := fastDir(t)
		copyDir(t, from, work)
		what := hurt(t, filepath.Join(work, []string{"wal.db", "rooms.db"}[i/2%2]), i/4%damageKinds, r)
		sum.add(checkDamaged(t, work, what, want))
		os.RemoveAll(work)
		if t.Failed() {
			t.Fatalf("round %d", i)
		}
	}
	t.Logf("%d damaged files: %d left everything intact, %d named %d rooms in all, %d refused to open", rounds, sum.intact, sum.named, sum.rooms, sum.refused)
}

type damageSum struct{ intact, named, rooms, refused int }

func (a *damageSum) add(b damageSum) {
	a.intact += b.intact
	a.named += b.named
	a.rooms += b.rooms
	a.refused += b.refused
}

// checkDamaged opens a damaged directory twice, using it in between, and compares.
func checkDamaged(t *testing.T, dir, what string, want content) damageSum {
	t.Helper()
	s, err := persistence.Open(dir, small)
	if err != nil {
		if _, ok := errors.AsType[*persistence.DamageError](err); !ok {
			t.Errorf("%s: Open = %v, want nil or a DamageError", what, err)
		}
		return damageSum{refused: 1}
	}
	named := compare(t, s, what, want)
	want = useIntact(t, s, what, want, named)
	if err := s.Close(); err != nil {
		t.Errorf("%s: Close() = %v, want nil", what, err)
	}
	if s, err = persistence.Open(dir, small); err != nil {
		t.Errorf("%s: second Open = %v, want nil", what, err)
		return damageSum{}
	}
	again := compare(t, s, what+", opened again", want)
	for _, room := range named {
		if !slices.Contains(again, room) {
			t.Errorf("%s: room %s was named and is no more", what, room)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("%s: second Close() = %v, want nil", what, err)
	}
	if len(again) == 0 {
		return damageSum{intact: 1}
	}
	return damageSum{named: 1, rooms: len(again)}
}

// compare loads every room and returns those that are named as damaged.
func compare(t *testing.T, s *persistence.Store, what string, want content) (named []string) {
	t.Helper()
	for room, text := range want {
		st, err := s.Load(t.Context(), room)
		if d, ok := errors.AsType[*persistence.DamageError](err); ok {
			if d.Room != room {
				t.Errorf("%s: Load(%s) names %q: %v", what, room, d.Room, d)
			}
			named = append(named, room)
			continue
		}
		if err != nil || describe(st) != text {
			t.Errorf("%s: Load(%s) = %v, silently wrong: snapshot at %s, %d records to %s", what, room, err, st.Snapshot.Pos, len(st.Tail), st.Pos)
		}
	}
	return named
}

// useIntact appends to, saves and deletes rooms that are intact, and returns what there must be then. A page that only a write
// comes across may refuse a Save, with a DamageError; everything else must work.
func useIntact(t *testing.T, s *persistence.Store, what string, want content, named []string) content {
	t.Helper()
	out := make(content)
	i := 0
	for room, text := range want {
		out[room] = text
		if slices.Contains(named, room) {
			continue
		}
		st, err := s.Load(t.Context(), room)
		if err != nil {
			t.Errorf("%s: Load(%s) = %v, want nil", what, room, err)
			continue
		}
		i++
		if i%3 == 0 {
			appendWait(t, s, persistence.Record{Room: room, Pos: persistence.Position{Epoch: 9, Seq: 1}, Update: []byte("more")})
		}
		if i%3 == 1 {
			err = s.Save(t.Context(), room, persistence.Snapshot{Pos: st.Pos, State: []byte("saved"), StateVector: []byte("sv")})
			if _, ok := errors.AsType[*persistence.DamageError](err); err != nil && !ok {
				t.Errorf("%s: Save(%s) = %v, want nil or a DamageError", what, room, err)
			}
		}
		if st, err = s.Load(t.Context(), room); err != nil {
			if _, ok := errors.AsType[*persistence.DamageError](err); !ok {
				t.Errorf("%s: Load(%s) after use = %v, want nil", what, room, err)
			}
			continue
		}
		out[room] = describe(st)
	}
	return out
}
