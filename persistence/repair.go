package persistence

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Repaired tells what Repair has done.
type Repaired struct {
	// Restored are rooms that open again; What says what they have lost for good.
	Restored []RepairedRoom
	// Lost are rooms that stay set aside, since what is left of them is not a document; Store.Delete removes them.
	Lost []Info
	// Accepted are losses that could not be attributed to rooms; the rooms that they may have hit are among Restored.
	Accepted []string
}

// RepairedRoom is one restored room.
type RepairedRoom struct {
	Room    string
	What    string // the damage
	Records int    // records kept beyond the snapshot
}

// Repair makes of a damaged data directory, which nobody may have open, one in which every room that can be saved opens again:
// both files are written anew if needed, rooms whose snapshot is whole keep it and all records that are left, and the rest is
// named. What is lost stays lost: the damaged files are kept beside the new ones, as NAME.damaged-TIME, for other means.
func Repair(ctx context.Context, dir string) (r Repaired, err error) {
	s, err := Open(dir, Options{ReserveBytes: -1, ScrubEvery: -1})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	rooms, err := s.findDamage(ctx)
	if err != nil {
		return r, err
	}
	var lost []*DamageError
	for _, room := range rooms {
		d := s.damage(room)
		st, whole := s.salvage(room)
		if !whole || (st.Gen == 0 && (len(st.Tail) == 0 || d.File == roomsFile && !errors.Is(d, errParked))) {
			r.Lost = append(r.Lost, Info{Room: room, Damage: d.Error()})
			lost = append(lost, d)
			continue
		}
		if err := s.restore(ctx, room, st); err != nil {
			return r, fmt.Errorf("restore %q: %w", room, err)
		}
		r.Restored = append(r.Restored, RepairedRoom{Room: room, What: d.Error(), Records: len(st.Tail)})
	}
	for _, d := range s.lost.list() {
		r.Accepted = append(r.Accepted, d.Error())
	}
	if len(r.Accepted) > 0 {
		// What set the lost rooms aside may have been these losses alone: with them gone each needs a verdict of its own.
		s.mu.Lock()
		s.lost = losses{}
		s.mu.Unlock()
		err = s.putQuarantine(lost, losses{})
	}
	return r, err
}

// findDamage loads every room and returns the names of those that are damaged.
func (s *Store) findDamage(ctx context.Context) ([]string, error) {
	for after := ""; ; {
		infos, err := s.Rooms(ctx, after, 0)
		if err != nil {
			return nil, err
		}
		for _, i := range infos {
			after = i.Room
			if _, err := s.Load(ctx, i.Room); err != nil {
				if _, ok := errors.AsType[*DamageError](err); !ok {
					return nil, err
				}
			}
		}
		if len(infos) < roomsLimit {
			break
		}
	}
	var rooms []string
	for _, i := range s.Quarantined() {
		if i.Room != "" {
			rooms = append(rooms, i.Room)
		}
	}
	return rooms, nil
}

func (s *Store) damage(room string) *DamageError {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.damageOf(room)
}

// salvage reads what is left of a room; whole is false when it has a snapshot that is not right.
func (s *Store) salvage(room string) (st Stored, whole bool) {
	s.mu.Lock()
	runs, tomb := s.idx.runsOf(room)
	s.mu.Unlock()
	st, _, found, err := s.readRooms(room, tomb)
	if err != nil && !errors.Is(err, errParked) {
		return Stored{}, false
	}
	for _, r := range runs {
		if recs, err := s.readTail(room, []run{r}); err == nil {
			st.Tail = append(st.Tail, recs...)
		}
	}
	st.Tail = orderTail(st.Tail, st.Snapshot.Pos, found)
	return st, true
}

// restore makes the room anew from what is left.
func (s *Store) restore(ctx context.Context, room string, st Stored) error {
	if err := s.Delete(ctx, room); err != nil {
		return err
	}
	if st.Gen > 0 {
		if err := s.Save(ctx, room, st.Snapshot); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(st.Tail, 1000) {
		done := make(chan error, 1)
		if err := s.Append(part, func(err error) { done <- err }); err != nil {
			return err
		}
		if err := <-done; err != nil {
			return err
		}
	}
	return nil
}
