package persistence

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// The values of bucket "q", under the room's name.
//
//	'D' file 0 what seal(4)   the room is set aside
//	'P' lsn(8) seal(4)        the room was deleted then, and with it ends what earlier losses meant for it
const (
	verdictDamage = 'D'
	verdictPardon = 'P'
)

func appendVerdict(s seal, d *DamageError) []byte {
	v := append([]byte{verdictDamage}, d.File...)
	v = append(v, 0)
	v = append(v, d.what()...)
	return s.stamp(v, 0, []byte(d.Room))
}

// what returns what is wrong, with its cause, as one text.
func (e *DamageError) what() string {
	if e.Err == nil {
		return e.What
	}
	return e.What + ": " + e.Err.Error()
}

// readVerdict decodes an entry of bucket "q". A damaged entry sets the room aside too.
func readVerdict(s seal, key, value []byte) (d *DamageError, pardon uint64) {
	v, err := s.check(value, key)
	if err == nil && len(v) == 9 && v[0] == verdictPardon {
		return nil, binary.BigEndian.Uint64(v[1:])
	}
	if err == nil && len(v) > 0 && v[0] == verdictDamage {
		file, what, _ := bytes.Cut(v[1:], []byte{0})
		return &DamageError{Room: string(key), File: string(file), What: string(what)}, 0
	}
	return &DamageError{Room: string(key), File: roomsFile, What: "entry of the quarantine", Err: err}, 0
}

// readQuarantine reads bucket "q" and the losses.
func (s *Store) readQuarantine(n node) error {
	var err error
	if s.lost, err = decodeLosses(n.lost); err != nil {
		return err
	}
	return s.rooms.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketQuarantine).ForEach(func(k, v []byte) error {
			if d, pardon := readVerdict(s.seal, k, v); d != nil {
				s.quarantine[d.Room] = d
			} else {
				s.pardoned[string(k)] = pardon
			}
			return nil
		})
	})
}

// putQuarantine writes damages and the losses down; it is called while the store is being opened.
func (s *Store) putQuarantine(damages []*DamageError, lost losses) error {
	text, err := lost.encode()
	if err != nil {
		return err
	}
	return s.rooms.Update(func(tx *bolt.Tx) error {
		for _, d := range damages {
			if err := tx.Bucket(bucketQuarantine).Put([]byte(d.Room), appendVerdict(s.seal, d)); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketNode).Put(keyLost, s.seal.stamp(text, 0, keyLost))
	})
}

// damageOf returns why the room is set aside, or nil. mu is held.
func (s *Store) damageOf(room string) *DamageError { return s.quarantine[room] }

// quarantined lists the damage known. mu is held.
func (s *Store) quarantined() []Info {
	var infos []Info
	for _, d := range s.lost.list() {
		infos = append(infos, Info{Damage: d.Error()})
	}
	for _, room := range slices.Sorted(maps.Keys(s.quarantine)) {
		infos = append(infos, Info{Room: room, Damage: s.quarantine[room].Error()})
	}
	return infos
}

// setAside notes that the room is damaged and returns the error that names it. The first damage of a room stays.
func (s *Store) setAside(d *DamageError) *DamageError {
	s.mu.Lock()
	old := s.quarantine[d.Room]
	if old == nil {
		s.quarantine[d.Room] = d
	}
	s.mu.Unlock()
	if old != nil {
		return old
	}
	if isPageFault(d) {
		s.askCheck()
	}
	s.opts.Events.damaged(d)
	return d
}
