package persistence

import (
	"context"
	"maps"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// roomsLimit is how many rooms Rooms returns when it is not told.
const roomsLimit = 1000

// Rooms returns up to limit stored rooms (0 means 1,000) whose names come after the given one, sorted by name; fewer than limit
// means that there are no more. Rooms that are set aside are among them, with Damage.
func (s *Store) Rooms(ctx context.Context, after string, limit int) ([]Info, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = roomsLimit
	}
	// The log's names first: a room that is saved in between is then found in both places, not in neither.
	s.mu.Lock()
	names := s.idx.namesAfter(after)
	for room := range s.quarantine {
		if room > after {
			names = append(names, room)
		}
	}
	s.mu.Unlock()
	infos, err := s.storedAfter(after, limit)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		if _, ok := infos[n]; !ok {
			infos[n] = Info{Room: n}
		}
	}
	out := slices.SortedFunc(maps.Values(infos), func(a, b Info) int { return strings.Compare(a.Room, b.Room) })
	if len(out) > limit {
		out = out[:limit]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := out[:0]
	for _, i := range out {
		if s.addLog(&i) {
			kept = append(kept, i)
		}
	}
	return kept, nil
}

// addLog adds to an Info what the log knows. It returns false when the room is gone. mu is held.
func (s *Store) addLog(i *Info) bool {
	if d := s.quarantine[i.Room]; d != nil {
		i.Damage = d.Error()
	}
	if l := s.idx.rooms[i.Room]; l != nil {
		i.LogBytes, i.LogRecords = l.bytes, l.records
		if l.last.Compare(i.Pos) > 0 {
			i.Pos = l.last
		}
	}
	return i.Gen != 0 || i.LogRecords > 0 || i.Damage != ""
}

// storedAfter reads the metas of up to limit rooms after the given name.
func (s *Store) storedAfter(after string, limit int) (map[string]Info, error) {
	infos := make(map[string]Info)
	var damages []*DamageError
	err := s.rooms.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketRooms).Cursor()
		k, v := c.Seek([]byte(after))
		if string(k) == after {
			k, v = c.Next()
		}
		for ; k != nil && len(infos) < limit; k, v = c.Next() {
			m, err := s.seal.decodeMeta(k, v)
			if err != nil {
				name := string(k)
				if n, ok := s.seal.metaName(v); ok {
					name = n
				}
				damages = append(damages, &DamageError{Room: name, File: roomsFile, What: "meta", Err: err})
				infos[name] = Info{Room: name}
				continue
			}
			if s.voided(string(k), m) {
				continue
			}
			infos[string(k)] = metaInfo(string(k), m)
		}
		return nil
	})
	if isPageFault(err) {
		err = &DamageError{File: roomsFile, What: "the list of rooms cannot be read", Err: err}
	}
	for _, d := range damages {
		s.setAside(d)
	}
	return infos, err
}

func metaInfo(room string, m meta) Info {
	return Info{Room: room, Pos: m.pos, Checkpoint: m.pos, Gen: m.gen, Size: int64(m.stateLen), Saved: m.saved}
}

// voided tells whether a tombstone that rooms.db has not followed yet makes the meta void.
func (s *Store) voided(room string, m meta) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	tomb := s.idx.tombOf(room)
	return tomb != 0 && m.dirty <= tomb
}
