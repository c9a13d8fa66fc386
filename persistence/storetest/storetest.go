// Package storetest is the suite that every store of package persistence must pass: Store on files, and Memory.
//
// Run takes a Harness, which makes stores and ends them the way a power cut does. The tests use nothing but the exported
// behaviour, so that what room relies on with a Memory in its tests is what it gets from a Store.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weft/persistence"
)

// Store is what both implementations have in common.
type Store interface {
	Append(recs []persistence.Record, done func(error)) error
	Load(ctx context.Context, room string) (persistence.Stored, error)
	Save(ctx context.Context, room string, snap persistence.Snapshot) error
	Delete(ctx context.Context, room string) error
	Rooms(ctx context.Context, after string, limit int) ([]persistence.Info, error)
	Quarantined() []persistence.Info
	Space() <-chan struct{}
	Queued() int64
	Backlog() persistence.Backlog
	Health() error
	Close() error
}

// Harness makes the stores under test.
type Harness struct {
	// Open returns an empty store. The harness closes it when the test ends.
	Open func(t testing.TB, o persistence.Options) Store
	// Crash returns a store with what was durable in s at one moment during the call, as after a power cut, and closes s after.
	Crash func(t testing.TB, s Store) Store
	// Park has the store move the room's records to where a room's records are that cannot be saved; nil when it has no such place.
	Park func(ctx context.Context, s Store, room string) error
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"AppendLoad", testAppendLoad},
		{"DoneInOrder", testDoneInOrder},
		{"Full", testFull},
		{"CopiesBytes", testCopiesBytes},
		{"Save", testSave},
		{"SaveSizes", testSaveSizes},
		{"SaveStale", testSaveStale},
		{"SaveAhead", testSaveAhead},
		{"Delete", testDelete},
		{"DeleteCrash", testDeleteCrash},
		{"Backlog", testBacklog},
		{"Rooms", testRooms},
		{"Names", testNames},
		{"Invalid", testInvalid},
		{"Order", testOrder},
		{"Close", testClose},
		{"Cancelled", testCancelled},
		{"Crash", testCrash},
		{"Concurrent", testConcurrent},
		{"Model", testModel},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, h) })
	}
}

// reporter is what the helpers need of a testing.T or a rapid.T.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}

func pos(seq uint64) persistence.Position { return persistence.Position{Epoch: 1, Seq: seq} }

func rec(room string, seq uint64) persistence.Record {
	return persistence.Record{Room: room, Pos: pos(seq), Update: fmt.Appendf(nil, "%s/%d", room, seq)}
}

// put appends and waits for the disk.
func put(t reporter, s Store, recs ...persistence.Record) {
	t.Helper()
	done := make(chan error, 1)
	if err := s.Append(recs, func(err error) { done <- err }); err != nil {
		t.Fatalf("Append(%d records) = %v, want nil", len(recs), err)
	}
	if err := <-done; err != nil {
		t.Fatalf("done of %d records = %v, want nil", len(recs), err)
	}
}

func save(t reporter, s Store, room string, snap persistence.Snapshot) {
	t.Helper()
	if err := s.Save(t.Context(), room, snap); err != nil {
		t.Fatalf("Save(%q, %s) = %v, want nil", room, snap.Pos, err)
	}
}

func load(t reporter, s Store, room string) persistence.Stored {
	t.Helper()
	st, err := s.Load(t.Context(), room)
	if err != nil {
		t.Fatalf("Load(%q) = %v, want nil", room, err)
	}
	return st
}

func wantNotFound(t reporter, s Store, room string) {
	t.Helper()
	if st, err := s.Load(t.Context(), room); !errors.Is(err, persistence.ErrNotFound) {
		t.Fatalf("Load(%q) = %+v, %v, want ErrNotFound", room, st, err)
	}
}

// tail writes the sequence numbers of a tail as text, after checking their bytes.
func tail(t reporter, st persistence.Stored) string {
	t.Helper()
	var seqs []string
	for _, r := range st.Tail {
		if want := rec(r.Room, r.Pos.Seq); !bytes.Equal(r.Update, want.Update) {
			t.Errorf("record %s of %q = %q, want %q", r.Pos, r.Room, r.Update, want.Update)
		}
		seqs = append(seqs, fmt.Sprint(r.Pos.Seq))
	}
	return strings.Join(seqs, " ")
}

func testAppendLoad(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	wantNotFound(t, s, "a")
	put(t, s, rec("a", 1), rec("b", 1), rec("a", 2))
	put(t, s, rec("a", 3))
	st := load(t, s, "a")
	if got := tail(t, st); got != "1 2 3" || st.Pos != pos(3) || st.Gen != 0 {
		t.Errorf("Load(a) = tail %q, pos %s, gen %d, want 1 2 3, 1-3, 0", got, st.Pos, st.Gen)
	}
	if got := tail(t, load(t, s, "b")); got != "1" {
		t.Errorf("Load(b) = tail %q, want 1", got)
	}
}

func testDoneInOrder(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	const n = 500
	var got []int
	var wg sync.WaitGroup
	wg.Add(n)
	for i := range n {
		err := s.Append([]persistence.Record{rec(fmt.Sprint("room", i%7), uint64(i+1))}, func(err error) {
			if err != nil {
				t.Errorf("done(%d) = %v, want nil", i, err)
			}
			got = append(got, i) // all on one goroutine: the race detector checks it
			wg.Done()
		})
		if err != nil {
			t.Fatalf("Append(%d) = %v, want nil", i, err)
		}
	}
	wg.Wait()
	if !slices.IsSorted(got) || len(got) != n {
		t.Errorf("done functions ran in order %v", got)
	}
}

func testFull(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{QueueBytes: 1000})
	big := persistence.Record{Room: "big", Pos: pos(1), Update: make([]byte, 5000)}
	hold := make(chan struct{})
	entered := make(chan struct{})
	// The committer is held in a done function, so that nothing drains.
	if err := s.Append([]persistence.Record{big}, func(error) { close(entered); <-hold }); err != nil {
		t.Fatalf("Append(more than the bound) to an empty queue = %v, want nil", err)
	}
	<-entered
	queued := 0
	var err error
	for range 100 {
		if err = s.Append([]persistence.Record{rec("a", uint64(queued+1))}, nil); err != nil {
			break
		}
		queued++
	}
	if !errors.Is(err, persistence.ErrFull) || queued < 10 || s.Queued() > 1000 {
		t.Errorf("after %d appends: %v with %d bytes queued, want ErrFull before 1000", queued, err, s.Queued())
	}
	space := s.Space()
	select {
	case <-space:
		t.Error("Space() is closed while the queue is full")
	default:
	}
	close(hold)
	<-space
	put(t, s, rec("a", uint64(queued+1)))
	if st := load(t, s, "a"); len(st.Tail) != queued+1 {
		t.Errorf("Load(a) = %d records, want %d", len(st.Tail), queued+1)
	}
}

func testCopiesBytes(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	r := rec("a", 1)
	done := make(chan error, 1)
	if err := s.Append([]persistence.Record{r}, func(err error) { done <- err }); err != nil {
		t.Fatalf("Append = %v, want nil", err)
	}
	clear(r.Update)
	<-done
	st := load(t, s, "a")
	if got := tail(t, st); got != "1" {
		t.Errorf("Load(a) = tail %q, want 1", got)
	}
	clear(st.Tail[0].Update)
	if got := tail(t, load(t, s, "a")); got != "1" {
		t.Errorf("second Load(a) = tail %q, want 1", got)
	}
}

func testSave(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	put(t, s, rec("a", 1), rec("a", 2))
	put(t, s, rec("a", 3), rec("a", 4))
	save(t, s, "a", persistence.Snapshot{Pos: pos(3), State: []byte("state 3"), StateVector: []byte("sv 3")})
	check := func(s Store, when string) persistence.Stored {
		t.Helper()
		st := load(t, s, "a")
		if string(st.Snapshot.State) != "state 3" || string(st.Snapshot.StateVector) != "sv 3" || st.Snapshot.Pos != pos(3) {
			t.Errorf("%s: Load(a).Snapshot = %+v", when, st.Snapshot)
		}
		if got := tail(t, st); got != "4" || st.Pos != pos(4) {
			t.Errorf("%s: Load(a) = tail %q to %s, want 4 to 1-4", when, got, st.Pos)
		}
		return st
	}
	gen := check(s, "live").Gen
	s = h.Crash(t, s)
	check(s, "after a crash")
	save(t, s, "a", persistence.Snapshot{Pos: pos(4), State: []byte("state 4")})
	st := load(t, s, "a")
	if string(st.Snapshot.State) != "state 4" || len(st.Snapshot.StateVector) != 0 || len(st.Tail) != 0 || st.Gen <= gen || st.Pos != pos(4) {
		t.Errorf("Load(a) after the second Save = %+v, want state 4 and a generation over %d", st, gen)
	}
}

func testSaveSizes(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	sizes := []int{0, 1, 15999, 16000, 16001, 32000, 100_000, 3 << 20}
	want := func(size int) persistence.Snapshot {
		b := bytes.Repeat([]byte{byte(size), byte(size >> 8), 'x'}, size/3+1)
		return persistence.Snapshot{Pos: pos(uint64(size + 1)), State: b[:size], StateVector: b[:size/7]}
	}
	check := func(room string, size int) {
		t.Helper()
		st, w := load(t, s, room), want(size)
		if !bytes.Equal(st.Snapshot.State, w.State) || !bytes.Equal(st.Snapshot.StateVector, w.StateVector) {
			t.Errorf("Load(%s) differs from the snapshot of %d bytes", room, size)
		}
	}
	for _, size := range sizes {
		save(t, s, "grows", want(size))
		save(t, s, fmt.Sprint("of ", size), want(size))
		check("grows", size)
	}
	small := want(7)
	small.Pos = pos(1 << 30)
	save(t, s, "grows", small)
	s = h.Crash(t, s)
	check("grows", 7)
	for _, size := range sizes {
		check(fmt.Sprint("of ", size), size)
	}
}

func testSaveStale(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	save(t, s, "a", persistence.Snapshot{Pos: pos(9), State: []byte("nine")})
	err := s.Save(t.Context(), "a", persistence.Snapshot{Pos: pos(8), State: []byte("eight")})
	if !errors.Is(err, persistence.ErrStale) {
		t.Errorf("Save(1-8 over 1-9) = %v, want ErrStale", err)
	}
	save(t, s, "a", persistence.Snapshot{Pos: pos(9), State: []byte("nine again")})
	if st := load(t, s, "a"); string(st.Snapshot.State) != "nine again" {
		t.Errorf("Load(a) = %q, want nine again", st.Snapshot.State)
	}
}

// testSaveAhead saves a snapshot whose records are not yet in the log.
func testSaveAhead(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	save(t, s, "a", persistence.Snapshot{Pos: pos(5), State: []byte("five")})
	put(t, s, rec("a", 4), rec("a", 5), rec("a", 6))
	s = h.Crash(t, s)
	if got := tail(t, load(t, s, "a")); got != "6" {
		t.Errorf("Load(a) = tail %q, want 6", got)
	}
}

func testDelete(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	if err := s.Delete(t.Context(), "a"); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("Delete(never stored) = %v, want ErrNotFound", err)
	}
	remove := func(room string) {
		t.Helper()
		if err := s.Delete(t.Context(), room); err != nil {
			t.Fatalf("Delete(%s) = %v, want nil", room, err)
		}
		wantNotFound(t, s, room)
	}
	put(t, s, rec("a", 1), rec("b", 1))
	remove("a")
	put(t, s, rec("a", 1))
	if got := tail(t, load(t, s, "a")); got != "1" {
		t.Errorf("Load(a) after Delete and Append = tail %q, want 1", got)
	}
	save(t, s, "a", persistence.Snapshot{Pos: pos(1), State: make([]byte, 2<<20)})
	put(t, s, rec("a", 2))
	remove("a")
	save(t, s, "a", persistence.Snapshot{Pos: pos(1), State: []byte("anew")})
	s = h.Crash(t, s)
	if st := load(t, s, "a"); string(st.Snapshot.State) != "anew" || len(st.Tail) != 0 {
		t.Errorf("Load(a) after Delete and Save = %+v, want anew", st)
	}
	remove("a")
	s = h.Crash(t, s)
	wantNotFound(t, s, "a")
	if got := tail(t, load(t, s, "b")); got != "1" {
		t.Errorf("Load(b) = tail %q, want 1", got)
	}
}

func testDeleteCrash(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	for i := range 5 {
		save(t, s, "a", persistence.Snapshot{Pos: pos(1), State: fmt.Append(nil, "life ", i)})
		put(t, s, rec("a", 2))
		if err := s.Delete(t.Context(), "a"); err != nil {
			t.Fatalf("Delete(a) = %v, want nil", err)
		}
		s = h.Crash(t, s)
		wantNotFound(t, s, "a")
	}
	infos, err := s.Rooms(t.Context(), "", 0)
	if err != nil || len(infos) != 0 {
		t.Errorf("Rooms() = %v, %v, want none", infos, err)
	}
}

func testBacklog(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	if b := s.Backlog(); b.LogHolder != "" || b.LogAge != 0 || b.ParkedRooms != 0 || b.ParkedBytes != 0 {
		t.Errorf("Backlog() of an empty store = %+v, want nobody to hold the log", b)
	}
	began := time.Now()
	put(t, s, rec("a", 1))
	put(t, s, rec("b", 1))
	put(t, s, rec("a", 2))
	stored := time.Now()
	holder := func(when, want string) {
		t.Helper()
		least := time.Since(stored)
		b := s.Backlog()
		if b.LogHolder != want {
			t.Errorf("Backlog() %s = %+v, want %q to hold the log", when, b, want)
		}
		if want != "" && (b.LogBytes < int64(len(rec(want, 1).Update)) || b.LogAge < least || b.LogAge > time.Since(began)) {
			t.Errorf("Backlog() %s = %+v, want its record's bytes, and an age of %v to %v", when, b, least, time.Since(began))
		}
	}
	holder("after three records", "a")
	save(t, s, "a", persistence.Snapshot{Pos: pos(1)})
	holder("after a Save of the oldest", "b")
	if err := s.Delete(t.Context(), "b"); err != nil {
		t.Fatalf("Delete(b) = %v, want nil", err)
	}
	holder("after a Delete of the oldest", "a")
	s = h.Crash(t, s)
	stored = time.Now()
	holder("after a crash", "a")
	save(t, s, "a", persistence.Snapshot{Pos: pos(2)})
	holder("after a Save of all", "")
}

func testRooms(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	var want []string
	for i := range 50 {
		name := fmt.Sprintf("room %02d", i)
		want = append(want, name)
		if i%3 != 1 {
			put(t, s, rec(name, 1))
			put(t, s, rec(name, 2))
		}
		if i%3 != 0 {
			save(t, s, name, persistence.Snapshot{Pos: pos(1), State: make([]byte, i)})
		}
	}
	var got []string
	after := ""
	for {
		page, err := s.Rooms(t.Context(), after, 7)
		if err != nil {
			t.Fatalf("Rooms(%q, 7) = %v, want nil", after, err)
		}
		for _, i := range page {
			got = append(got, i.Room)
			after = i.Room
		}
		if len(page) < 7 {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("Rooms, page by page = %q, want %q", got, want)
	}
	infos, err := s.Rooms(t.Context(), "room 01", 1)
	if err != nil || len(infos) != 1 {
		t.Fatalf("Rooms(after room 01, 1) = %v, %v, want one", infos, err)
	}
	i := infos[0]
	if i.Pos != pos(2) || i.Checkpoint != pos(1) || i.Size != 2 || i.LogRecords != 1 || i.LogBytes == 0 || i.Saved.IsZero() || i.Gen == 0 {
		t.Errorf("Rooms(after room 01, 1) = %+v, want records to 1-2, snapshot of 2 bytes at 1-1", i)
	}
}

func testNames(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	names := []string{
		"\x00", "../../etc/passwd", ".", "a", "a\x00", "a\x00b", "\xff", "\xff\xff", "日本", strings.Repeat("n", persistence.MaxRoomName),
		strings.Repeat("n", persistence.MaxRoomName-1), "a/b", "{}:*", "new\nline",
	}
	for _, n := range names {
		put(t, s, rec(n, 1))
		save(t, s, n, persistence.Snapshot{Pos: pos(1), State: []byte(n)})
		put(t, s, rec(n, 2))
	}
	s = h.Crash(t, s)
	for _, n := range names {
		st := load(t, s, n)
		if string(st.Snapshot.State) != n || tail(t, st) != "2" {
			t.Errorf("Load(%q) = %+v", n, st)
		}
	}
	infos, err := s.Rooms(t.Context(), "", 0)
	if err != nil || len(infos) != len(names) {
		t.Errorf("Rooms() = %d rooms, %v, want %d", len(infos), err, len(names))
	}
}

func testInvalid(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	for _, name := range []string{"", strings.Repeat("n", persistence.MaxRoomName+1)} {
		if err := s.Append([]persistence.Record{rec("ok", 1), rec(name, 1)}, func(error) { t.Error("done was called") }); !errors.Is(err, persistence.ErrInvalid) {
			t.Errorf("Append(name of %d bytes) = %v, want ErrInvalid", len(name), err)
		}
		if err := s.Save(t.Context(), name, persistence.Snapshot{}); !errors.Is(err, persistence.ErrInvalid) {
			t.Errorf("Save(name of %d bytes) = %v, want ErrInvalid", len(name), err)
		}
		if _, err := s.Load(t.Context(), name); !errors.Is(err, persistence.ErrInvalid) {
			t.Errorf("Load(name of %d bytes) = %v, want ErrInvalid", len(name), err)
		}
		if err := s.Delete(t.Context(), name); !errors.Is(err, persistence.ErrInvalid) {
			t.Errorf("Delete(name of %d bytes) = %v, want ErrInvalid", len(name), err)
		}
	}
	put(t, s, rec("b", 1))
	wantNotFound(t, s, "ok")
}

// testOrder appends positions out of order and twice: a room may re-append what it is not sure about.
func testOrder(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	late := persistence.Record{Room: "a", Pos: persistence.Position{Epoch: 2, Seq: 1}, Update: []byte("a/1")}
	put(t, s, rec("a", 2), rec("a", 1))
	put(t, s, rec("a", 1), late, rec("a", 3))
	st := load(t, s, "a")
	if got := tail(t, st); got != "1 2 3 1" || st.Pos != late.Pos {
		t.Errorf("Load(a) = tail %q to %s, want 1 2 3 1 to 2-1", got, st.Pos)
	}
}

func testClose(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	const n = 200
	answered := 0
	for i := range n {
		err := s.Append([]persistence.Record{rec("a", uint64(i+1))}, func(err error) {
			if err == nil {
				answered++
			}
		})
		if err != nil {
			t.Fatalf("Append(%d) = %v, want nil", i, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close() = %v, want nil", err)
	}
	if answered != n {
		t.Errorf("Close() returned after %d of %d done functions", answered, n)
	}
	if err := s.Append([]persistence.Record{rec("a", n+1)}, nil); !errors.Is(err, persistence.ErrClosed) {
		t.Errorf("Append after Close = %v, want ErrClosed", err)
	}
	if err := s.Save(t.Context(), "a", persistence.Snapshot{}); !errors.Is(err, persistence.ErrClosed) {
		t.Errorf("Save after Close = %v, want ErrClosed", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close() = %v, want nil", err)
	}
}

func testCancelled(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	put(t, s, rec("a", 1))
	reason := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	if err := s.Save(ctx, "a", persistence.Snapshot{Pos: pos(1)}); !errors.Is(err, reason) {
		t.Errorf("Save(cancelled) = %v, want its cause", err)
	}
	if _, err := s.Load(ctx, "a"); !errors.Is(err, reason) {
		t.Errorf("Load(cancelled) = %v, want its cause", err)
	}
	if _, err := s.Rooms(ctx, "", 0); !errors.Is(err, reason) {
		t.Errorf("Rooms(cancelled) = %v, want its cause", err)
	}
	if err := s.Delete(ctx, "a"); !errors.Is(err, reason) {
		t.Errorf("Delete(cancelled) = %v, want its cause", err)
	}
	if st := load(t, s, "a"); st.Gen != 0 || tail(t, st) != "1" {
		t.Errorf("Load(a) = %+v, want one record and no snapshot", st)
	}
}

// testCrash crashes with records in flight: those that were confirmed are there, and no others than those appended.
func testCrash(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	var mu sync.Mutex
	confirmed := uint64(0)
	const n = 2000
	for i := range uint64(n) {
		err := s.Append([]persistence.Record{rec("a", i+1)}, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				confirmed = i + 1
			}
		})
		if err != nil {
			t.Fatalf("Append(%d) = %v, want nil", i, err)
		}
	}
	mu.Lock()
	want := confirmed
	mu.Unlock()
	s = h.Crash(t, s)
	st, err := s.Load(t.Context(), "a")
	if err != nil && (want > 0 || !errors.Is(err, persistence.ErrNotFound)) {
		t.Fatalf("Load(a) = %v with %d confirmed", err, want)
	}
	tail(t, st)
	if uint64(len(st.Tail)) < want || st.Pos.Seq != uint64(len(st.Tail)) {
		t.Errorf("Load(a) = %d records to %s, want a row of at least %d", len(st.Tail), st.Pos, want)
	}
}

func testConcurrent(t *testing.T, h Harness) {
	s := h.Open(t, persistence.Options{})
	const rooms, rounds = 8, 30
	var wg sync.WaitGroup
	for i := range rooms {
		wg.Go(func() {
			room := fmt.Sprint("room ", i)
			for n := range uint64(rounds) {
				put(t, s, rec(room, 2*n+1), rec(room, 2*n+2))
				if n%5 == uint64(i%5) {
					save(t, s, room, persistence.Snapshot{Pos: pos(2*n + 1), State: make([]byte, 1000*i)})
				}
				st := load(t, s, room)
				if st.Pos != pos(2*n+2) {
					t.Errorf("Load(%s) ends at %s, want 1-%d", room, st.Pos, 2*n+2)
				}
				if next := st.Snapshot.Pos.Seq + 1; len(st.Tail) > 0 && st.Gen > 0 && st.Tail[0].Pos.Seq != next {
					t.Errorf("Load(%s) = snapshot %s and a tail from %s", room, st.Snapshot.Pos, st.Tail[0].Pos)
				}
			}
		})
	}
	wg.Wait()
	if infos, err := s.Rooms(t.Context(), "", 0); err != nil || len(infos) != rooms {
		t.Errorf("Rooms() = %d rooms, %v, want %d", len(infos), err, rooms)
	}
	if q := s.Quarantined(); len(q) != 0 {
		t.Errorf("Quarantined() = %v, want none", q)
	}
}
