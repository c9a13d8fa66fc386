package persistence_test

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"maps"
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

// content is what rooms must hold.
type content map[string]*roomContent

// roomContent is the history of a room. Damage to the newest commit of rooms.db may lead back to the snapshot before, and to the
// records after it, which are the same document.
type roomContent struct {
	first, last uint64 // records of this life
	updates     map[uint64]string
	snaps       map[uint64]string
}

func snapText(s persistence.Snapshot) string {
	return string(s.State) + " with " + string(s.StateVector)
}

// holds tells what is wrong with st, if anything: from some snapshot on, every record must be there, and nothing else.
func (c *roomContent) holds(st persistence.Stored) error {
	at := c.first - 1
	if st.Gen > 0 {
		at = st.Snapshot.Pos.Seq
		if text, ok := c.snaps[at]; !ok || text != snapText(st.Snapshot) {
			return fmt.Errorf("snapshot at %s is none that was saved", st.Snapshot.Pos)
		}
	}
	for _, r := range st.Tail {
		if at++; r.Pos.Seq != at || string(r.Update) != c.updates[at] {
			return fmt.Errorf("record %s where %d should be, or its bytes differ", r.Pos, at)
		}
	}
	if at != c.last {
		return fmt.Errorf("ends at %d, want %d", at, c.last)
	}
	return nil
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
	all := make(content)
	name := func(i int) string { return fmt.Sprintf("room-%02d", i) }
	room := func(name string) *roomContent {
		if all[name] == nil {
			all[name] = &roomContent{first: seqs[name] + 1, last: seqs[name], updates: make(map[uint64]string), snaps: make(map[uint64]string)}
		}
		return all[name]
	}
	for round := range 12 {
		for range 15 {
			var recs []persistence.Record
			for range 1 + r.IntN(8) {
				n := name(r.IntN(rooms))
				c, update := room(n), randomBytes(r, 1+r.IntN(400))
				seqs[n]++
				c.last, c.updates[seqs[n]] = seqs[n], string(update)
				recs = append(recs, persistence.Record{Room: n, Pos: persistence.Position{Epoch: 1, Seq: seqs[n]}, Update: update})
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
			saveRoom(t, s, name(i), room(name(i)), randomBytes(r, size))
		}
		if gone := name(r.IntN(rooms)); round%3 == 1 && all[gone] != nil {
			if err := s.Delete(t.Context(), gone); err != nil {
				t.Fatalf("Delete(%s) = %v, want nil", gone, err)
			}
			delete(all, gone)
		}
	}
	for name, c := range all {
		st, err := s.Load(t.Context(), name)
		if err == nil {
			err = c.holds(st)
		}
		if err != nil {
			t.Fatalf("Load(%s) of a sound store: %v", name, err)
		}
	}
	return all
}

// saveRoom saves a snapshot of all records of the room, and notes it.
func saveRoom(t testing.TB, s *persistence.Store, name string, c *roomContent, state []byte) {
	t.Helper()
	snap := persistence.Snapshot{Pos: persistence.Position{Epoch: 1, Seq: c.last}, State: state, StateVector: []byte("sv of " + name)}
	c.snaps[c.last] = snapText(snap)
	if err := s.Save(t.Context(), name, snap); err != nil {
		t.Fatalf("Save(%s) = %v, want nil", name, err)
	}
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
	parked := fastDir(t)
	os.Remove(parked)
	for room := range want {
		if err := s.Park(t.Context(), room); err != nil {
			t.Fatalf("Park(%s) = %v, want nil", room, err)
		}
	}
	if b := s.Backlog(); b.ParkedRooms == 0 || b.LogHolder != "" {
		t.Fatalf("Backlog() = %+v, want parked rooms and none that holds the log", b)
	}
	if err := errors.Join(s.CopyTo(t.Context(), parked), s.Close()); err != nil {
		t.Fatalf("CopyTo, Close = %v, want nil", err)
	}
	dirs := []string{dir, live, parked} // dir has the parked records and, in a log that was not shortened, their first place
	rounds := 90
	if *long {
		rounds = 1000
	}
	var sum damageSum
	for i := range rounds {
		from := dirs[i%len(dirs)]
		work := fastDir(t)
		copyDir(t, from, work)
		what := hurt(t, filepath.Join(work, []string{"wal.db", "rooms.db"}[i/3%2]), i/6%damageKinds, r)
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
	for room, c := range want {
		st, err := s.Load(t.Context(), room)
		if d, ok := errors.AsType[*persistence.DamageError](err); ok {
			if d.Room != room {
				t.Errorf("%s: Load(%s) names %q: %v", what, room, d.Room, d)
			}
			named = append(named, room)
			continue
		}
		if _, _, gap := st.Gap(); err == nil && gap {
			named = append(named, room) // the room's owner sets it aside
			continue
		}
		if err == nil {
			err = c.holds(st)
		}
		if err != nil {
			t.Errorf("%s: Load(%s) is silently wrong: %v", what, room, err)
		}
	}
	return named
}

// useIntact appends to and saves rooms that are intact, and returns what there must be then. A page that only a write comes across
// may refuse a Save, with a DamageError; everything else must work.
func useIntact(t *testing.T, s *persistence.Store, what string, want content, named []string) content {
	t.Helper()
	out := make(content)
	i := 0
	for room, c := range want {
		c := &roomContent{first: c.first, last: c.last, updates: maps.Clone(c.updates), snaps: maps.Clone(c.snaps)}
		out[room] = c
		if slices.Contains(named, room) {
			continue
		}
		i++
		switch i % 3 {
		case 0:
			c.last++
			c.updates[c.last] = "more"
			appendWait(t, s, persistence.Record{Room: room, Pos: persistence.Position{Epoch: 1, Seq: c.last}, Update: []byte("more")})
		case 1:
			snap := persistence.Snapshot{Pos: persistence.Position{Epoch: 1, Seq: c.last}, State: []byte("saved"), StateVector: []byte("sv")}
			err := s.Save(t.Context(), room, snap)
			if _, ok := errors.AsType[*persistence.DamageError](err); err != nil && !ok {
				t.Errorf("%s: Save(%s) = %v, want nil or a DamageError", what, room, err)
			}
			if err == nil {
				c.snaps[c.last] = snapText(snap)
			}
		}
	}
	return out
}
