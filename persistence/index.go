package persistence

import (
	"container/list"
	"sort"
	"time"
)

// roomLog is what the log holds of one room beyond its snapshot.
type roomLog struct {
	room    string
	runs    []run // by LSN
	last    Position
	bytes   int64
	records int
	tomb    uint64 // LSN of a tombstone that rooms.db has not followed yet, or 0
	asked   time.Time
	elem    *list.Element
}

// first returns the LSN from which the log is needed for the room.
func (l *roomLog) first() uint64 {
	if l.tomb != 0 {
		return l.tomb
	}
	return l.runs[0].lsn
}

// index knows for every room with records in the log where they are. It is guarded by the store's mutex.
type index struct {
	rooms map[string]*roomLog
	order list.List // *roomLog by first(), oldest in front
	last  uint64    // LSN of the last commit
}

func newIndex() *index { return &index{rooms: make(map[string]*roomLog)} }

// add notes one run of a committed batch.
func (x *index) add(r roomRun) {
	l := x.rooms[r.room]
	if l == nil {
		l = &roomLog{room: r.room}
		x.rooms[r.room] = l
	}
	if r.tomb {
		l.runs, l.bytes, l.records, l.last = nil, 0, 0, Position{}
		l.tomb = r.lsn
	}
	if r.count > 0 {
		l.runs = append(l.runs, r.run)
		l.bytes += int64(r.n)
		l.records += int(r.count)
		if r.last.Compare(l.last) > 0 {
			l.last = r.last
		}
	}
	if l.elem == nil || r.tomb {
		x.place(l)
	}
}

// covered drops the runs of the room that a snapshot at pos makes superfluous.
func (x *index) covered(room string, pos Position) {
	l := x.rooms[room]
	if l == nil {
		return
	}
	kept := l.runs[:0]
	l.bytes, l.records = 0, 0
	for _, r := range l.runs {
		if r.last.Compare(pos) > 0 {
			kept = append(kept, r)
			l.bytes += int64(r.n)
			l.records += int(r.count)
		}
	}
	clear(l.runs[len(kept):])
	l.runs = kept
	if cap(kept) > 64 && len(kept) < cap(kept)/4 {
		l.runs = append([]run(nil), kept...)
	}
	x.place(l)
}

// buried notes that rooms.db has followed the room's tombstone at lsn.
func (x *index) buried(room string, lsn uint64) {
	if l := x.rooms[room]; l != nil && l.tomb == lsn {
		l.tomb = 0
		x.place(l)
	}
}

// place moves l to its place in the order, or removes it when the log is not needed for it. Its place is near the end nearly
// always, because what remains after a checkpoint is recent.
func (x *index) place(l *roomLog) {
	if l.elem != nil {
		x.order.Remove(l.elem)
		l.elem = nil
	}
	if l.tomb == 0 && len(l.runs) == 0 {
		delete(x.rooms, l.room)
		return
	}
	at := x.order.Back()
	for at != nil && at.Value.(*roomLog).first() > l.first() {
		at = at.Prev()
	}
	if at == nil {
		l.elem = x.order.PushFront(l)
	} else {
		l.elem = x.order.InsertAfter(l, at)
	}
}

// floor returns the first LSN that is still needed.
func (x *index) floor() uint64 {
	if front := x.order.Front(); front != nil {
		return front.Value.(*roomLog).first()
	}
	return x.last + 1
}

// dirtyFrom returns the first LSN that may hold records of the room beyond a snapshot at pos.
func (x *index) dirtyFrom(room string, pos Position) uint64 {
	if l := x.rooms[room]; l != nil {
		for _, r := range l.runs {
			if r.last.Compare(pos) > 0 {
				return r.lsn
			}
		}
	}
	return x.last + 1
}

// due returns up to limit rooms, the oldest first, that hold the log at or before lsn and were not asked since notBefore; it
// notes that they are asked at now.
func (x *index) due(lsn uint64, now, notBefore time.Time, limit int) []string {
	var rooms []string
	for e := x.order.Front(); e != nil && len(rooms) < limit; e = e.Next() {
		l := e.Value.(*roomLog)
		if l.first() > lsn {
			break
		}
		if l.tomb == 0 && l.asked.Before(notBefore) {
			l.asked = now
			rooms = append(rooms, l.room)
		}
	}
	return rooms
}

// namesAfter returns the sorted names of the rooms with updates in the log that come after name.
func (x *index) namesAfter(name string) []string {
	var names []string
	for n, l := range x.rooms {
		if n > name && len(l.runs) > 0 {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	return names
}
