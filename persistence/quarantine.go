package persistence

import (
	"fmt"
	"maps"
	"slices"
)

const (
	verdictDamage = 'D' // file 0 what
	verdictPardon = 'P' // LSN(8): the room was deleted then, after a loss
)

// lsnRange is a closed range of the log.
type lsnRange struct{ from, to uint64 }

// damageOf returns why the room is set aside, or nil. mu is held.
func (s *Store) damageOf(room string) *DamageError { return s.quarantine[room] }

// quarantined lists the damage known. mu is held.
func (s *Store) quarantined() []Info {
	var infos []Info
	for _, l := range s.lost {
		infos = append(infos, Info{Damage: l.damage("").Error()})
	}
	for _, room := range slices.Sorted(maps.Keys(s.quarantine)) {
		infos = append(infos, Info{Room: room, Damage: s.quarantine[room].Error()})
	}
	return infos
}

// damage describes the loss of the range to a room.
func (l lsnRange) damage(room string) *DamageError {
	return &DamageError{
		Room: room,
		File: logFile,
		What: fmt.Sprintf("batches %d to %d are lost, and it is not known which rooms had edits there", l.from, l.to),
	}
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
	s.opts.Events.damaged(d)
	return d
}
