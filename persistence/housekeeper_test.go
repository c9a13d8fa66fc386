package persistence_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"weft/persistence"
)

// logStore opens a store whose events are told to channels.
func logStore(t *testing.T, o persistence.Options) (s *persistence.Store, dir string, due chan string, truncated chan uint64, renewed chan int64) {
	dir = fastDir(t)
	due, truncated, renewed = make(chan string, 10_000), make(chan uint64, 10_000), make(chan int64, 100)
	o.ReserveBytes, o.ScrubEvery = -1, -1
	o.Events = persistence.Events{
		CheckpointDue: func(room string) { due <- room },
		Truncated:     func(floor uint64) { truncated <- floor },
		Renewed:       func(size int64) { renewed <- size },
	}
	return openStore(t, dir, o), dir, due, truncated, renewed
}

func drain[T any](c chan T) []T {
	var out []T
	for {
		select {
		case v := <-c:
			out = append(out, v)
		default:
			return out
		}
	}
}

// TestLogBytes lets the log grow over its bound: the oldest rooms are asked to checkpoint, and when they have, the log is shortened
// and its file renewed.
func TestLogBytes(t *testing.T) {
	s, dir, due, truncated, renewed := logStore(t, persistence.Options{LogBytes: 8 << 20, LogAge: time.Hour})
	const rooms, rounds = 10, 12
	name := func(i int) string { return fmt.Sprint("room ", i) }
	for seq := range uint64(rounds) {
		for i := range rooms {
			r := record(name(i), seq+1)
			r.Update = make([]byte, 200_000)
			appendWait(t, s, r)
		}
	}
	now := time.Now()
	s.Housekeep(now)
	asked := drain(due)
	if len(asked) != rooms || !slices.IsSorted(asked) { // all of them hold the beginning
		t.Fatalf("CheckpointDue was told for %q, want all %d rooms, the oldest first", asked, rooms)
	}
	s.Housekeep(now.Add(5 * time.Second))
	if again := drain(due); len(again) > 0 {
		t.Errorf("CheckpointDue was told again after 5 s for %q", again)
	}
	for _, room := range asked {
		snap := persistence.Snapshot{Pos: persistence.Position{Epoch: 1, Seq: rounds}, State: []byte("all")}
		if err := s.Save(t.Context(), room, snap); err != nil {
			t.Fatalf("Save(%s) = %v, want nil", room, err)
		}
	}
	s.Housekeep(now.Add(20 * time.Second))
	if again := drain(due); len(again) > 0 {
		t.Errorf("CheckpointDue was told for %q, which are saved", again)
	}
	<-truncated
	if size := <-renewed; size > 1<<20 {
		t.Errorf("wal.db has %d bytes after it was renewed, want less than 1 MiB", size)
	}
	if first, last := s.LogRange(); first < rooms*rounds || last < first {
		t.Errorf("the log has batches %d to %d, want none before %d", first, last, rooms*rounds)
	}
	appendWait(t, s, record("after", 1))
	if err := s.Close(); err != nil {
		t.Fatalf("Close() = %v, want nil", err)
	}
	s = openStore(t, dir, small)
	noSalvage(t, dir)
	for i := range rooms {
		if st, err := s.Load(t.Context(), name(i)); err != nil || st.Pos.Seq != rounds || len(st.Tail) != 0 {
			t.Errorf("Load(%s) = %d records to %s, %v, want a snapshot at 1-%d", name(i), len(st.Tail), st.Pos, err, rounds)
		}
	}
	if st, err := s.Load(t.Context(), "after"); err != nil || len(st.Tail) != 1 {
		t.Errorf("Load(after) = %d records, %v, want 1", len(st.Tail), err)
	}
}

// TestLogAge lets a record become old.
func TestLogAge(t *testing.T) {
	s, _, due, _, _ := logStore(t, persistence.Options{LogAge: time.Minute})
	appendWait(t, s, record("old", 1))
	now := time.Now()
	s.Housekeep(now)
	appendWait(t, s, record("young", 1))
	s.Housekeep(now.Add(59 * time.Second))
	if got := drain(due); len(got) > 0 {
		t.Errorf("after 59 s CheckpointDue was told for %q, want none", got)
	}
	s.Housekeep(now.Add(60 * time.Second))
	if got := drain(due); !slices.Equal(got, []string{"old"}) {
		t.Errorf("after 60 s CheckpointDue was told for %q, want old", got)
	}
	s.Housekeep(now.Add(65 * time.Second))
	if got := drain(due); !slices.Equal(got, []string{"young"}) {
		t.Errorf("after 65 s CheckpointDue was told for %q, want young", got)
	}
	s.Housekeep(now.Add(71 * time.Second))
	if got := drain(due); !slices.Equal(got, []string{"old"}) {
		t.Errorf("10 s later CheckpointDue was told for %q, want old once more", got)
	}
}

// TestScrub damages a room that nobody opens: the scrubber names it, and leaves the others alone.
func TestScrub(t *testing.T) {
	dir := fastDir(t)
	s := openStore(t, dir, small)
	marks := map[string]string{"good": "a state that stays", "bad": "a state that rots"}
	for room, state := range marks {
		snap := persistence.Snapshot{Pos: persistence.Position{Epoch: 1, Seq: 1}, State: []byte(state)}
		if err := s.Save(t.Context(), room, snap); err != nil {
			t.Fatalf("Save(%s) = %v, want nil", room, err)
		}
	}
	rot(t, dir, "rooms.db", marks["bad"])
	r, ok := s.ScrubNow()
	if !ok || r.Rooms != 2 || r.Damaged != 1 {
		t.Errorf("Scrub = %+v, %v, want 2 rooms, 1 damaged", r, ok)
	}
	if q := s.Quarantined(); len(q) != 1 || q[0].Room != "bad" || q[0].Damage == "" {
		t.Errorf("Quarantined() = %+v, want bad", q)
	}
	if r, _ := s.ScrubNow(); r.Damaged != 0 {
		t.Errorf("second Scrub = %+v, want nothing new", r)
	}
}
