package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"weft/persistence"
)

// model is what a store must know: per room a snapshot and the records after it. Records that are not confirmed may be lost in a
// crash, but only from the end.
type model struct {
	rooms map[string]*modelRoom
	seq   uint64 // positions are unique over all rooms and lives
}

type modelRoom struct {
	snap *persistence.Snapshot
	tail []persistence.Record
}

func (m *model) room(name string) *modelRoom {
	r := m.rooms[name]
	if r == nil {
		r = &modelRoom{}
		m.rooms[name] = r
	}
	return r
}

func (m *model) next(room string, size int) persistence.Record {
	m.seq++
	return persistence.Record{
		Room:   room,
		Pos:    persistence.Position{Epoch: 1 + m.seq/20, Seq: m.seq},
		Update: bytes.Repeat(fmt.Append(nil, m.seq, " "), size),
	}
}

// testModel runs random operations against the model, with crashes between and during them.
func testModel(t *testing.T, h Harness) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{rooms: make(map[string]*modelRoom)}
		s := h.Open(t, persistence.Options{})
		names := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		var flying []persistence.Record // appended, and not known to be confirmed
		landed := make(chan error, 1000)
		land := func() {
			for range flying {
				if err := <-landed; err != nil {
					rt.Fatalf("done = %v, want nil", err)
				}
			}
			for _, r := range flying {
				m.room(r.Room).tail = append(m.room(r.Room).tail, r)
			}
			flying = nil
		}
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				for range rapid.IntRange(1, 5).Draw(rt, "records") {
					r := m.next(names.Draw(rt, "room"), rapid.IntRange(0, 3000).Draw(rt, "size"))
					if err := s.Append([]persistence.Record{r}, func(err error) { landed <- err }); err != nil {
						rt.Fatalf("Append = %v, want nil", err)
					}
					flying = append(flying, r)
				}
			},
			"wait": func(*rapid.T) { land() },
			"save": func(rt *rapid.T) {
				land()
				name := names.Draw(rt, "room")
				r := m.room(name)
				covered := rapid.IntRange(0, len(r.tail)).Draw(rt, "covered")
				if covered == 0 {
					return
				}
				snap := persistence.Snapshot{
					Pos:         r.tail[covered-1].Pos,
					State:       bytes.Repeat([]byte{byte(m.seq)}, rapid.IntRange(0, 50_000).Draw(rt, "size")),
					StateVector: fmt.Append(nil, "sv ", m.seq),
				}
				save(rt, s, name, snap)
				r.snap, r.tail = &snap, slices.Clone(r.tail[covered:])
			},
			"delete": func(rt *rapid.T) {
				land()
				name := names.Draw(rt, "room")
				known := m.rooms[name] != nil && (m.rooms[name].snap != nil || len(m.rooms[name].tail) > 0)
				err := s.Delete(rt.Context(), name)
				if known && err != nil || !known && !errors.Is(err, persistence.ErrNotFound) {
					rt.Fatalf("Delete(%s) = %v, known %v", name, err, known)
				}
				delete(m.rooms, name)
			},
			"park": func(rt *rapid.T) {
				if h.Park == nil {
					return
				}
				if err := h.Park(rt.Context(), s, names.Draw(rt, "room")); err != nil {
					rt.Fatalf("Park = %v, want nil", err)
				}
			},
			"crash": func(rt *rapid.T) {
				s = h.Crash(t, s)
				m.keep(rt, s, flying)
				flying, landed = nil, make(chan error, 1000)
			},
			"": func(rt *rapid.T) {
				if len(flying) == 0 {
					m.check(rt, s)
				}
			},
		})
		land()
		m.check(rt, s)
		if err := s.Close(); err != nil {
			rt.Fatalf("Close() = %v, want nil", err)
		}
	})
}

// keep adds to the model those of the flying records that the store has after a crash: a row from the first.
func (m *model) keep(t reporter, s Store, flying []persistence.Record) {
	t.Helper()
	missing := false
	for _, f := range flying {
		st, err := s.Load(t.Context(), f.Room)
		if err != nil && !errors.Is(err, persistence.ErrNotFound) {
			t.Fatalf("Load(%s) = %v", f.Room, err)
		}
		has := slices.ContainsFunc(st.Tail, func(r persistence.Record) bool { return r.Pos == f.Pos })
		if has && missing {
			t.Fatalf("record %s survived the crash, one before it did not", f.Pos)
		}
		missing = missing || !has
		if has {
			m.room(f.Room).tail = append(m.room(f.Room).tail, f)
		}
	}
}

func (m *model) check(t reporter, s Store) {
	t.Helper()
	for _, name := range []string{"a", "b", "c", "d"} {
		r := m.rooms[name]
		if r == nil || (r.snap == nil && len(r.tail) == 0) {
			wantNotFound(t, s, name)
			continue
		}
		st := load(t, s, name)
		if (st.Gen != 0) != (r.snap != nil) {
			t.Fatalf("Load(%s) = generation %d, want a snapshot: %v", name, st.Gen, r.snap != nil)
		}
		if r.snap != nil && (!bytes.Equal(st.Snapshot.State, r.snap.State) || !bytes.Equal(st.Snapshot.StateVector, r.snap.StateVector) || st.Snapshot.Pos != r.snap.Pos) {
			t.Fatalf("Load(%s) = snapshot at %s, want the one at %s", name, st.Snapshot.Pos, r.snap.Pos)
		}
		if !slices.EqualFunc(st.Tail, r.tail, func(a, b persistence.Record) bool {
			return a.Room == b.Room && a.Pos == b.Pos && bytes.Equal(a.Update, b.Update)
		}) {
			t.Fatalf("Load(%s) = tail of %d records to %s, want %d", name, len(st.Tail), st.Pos, len(r.tail))
		}
	}
}
