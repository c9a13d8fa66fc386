package persistence

import (
	"container/list"
	"slices"
	"sort"
	"time"
)

// roomLog is what the log holds of one room beyond its snapshot.
type roomLog struct {
	room    string
	runs    []run     // by LSN
	parked  []segment // by LSN: what was moved to rooms.db (park.go), all of it before the runs
	last    Position
	bytes   int64  // of runs and parked
	records int    // of runs and parked
	tomb    uint64 // LSN of a tombstone that rooms.db has not followed yet, or 0
	rotten  bool   // damage of parked was told
	asked   time.Time
	overdue time.Time // since when it is asked again and again for what it still has in the log
	elem    *list.Element
}

// none tells whether there is nothing of the room beyond its snapshot.
func (l *roomLog) none() bool { return len(l.runs) == 0 && len(l.parked) == 0 }

// pins tells whether the room needs the log.
func (l *roomLog) pins() bool { return l.tomb != 0 || len(l.runs) > 0 }

// first returns the LSN from which the log is needed for a room that pins it.
func (l *roomLog) first() uint64 {
	if l.tomb != 0 {
		return l.tomb
	}
	return l.runs[0].lsn
}

// index knows for every room with records in the log where they are. It is guarded by the store's mutex.
type index struct {
	rooms  map[string]*roomLog
	parked map[string]*roomLog // those of rooms that have parked records
	order  list.List           // *roomLog that pin the log, by first(), oldest in front
	last   uint64              // LSN of the last commit
}

func newIndex() *index {
	return &index{rooms: make(map[string]*roomLog), parked: make(map[string]*roomLog)}
}

// of returns the room's entry, which it makes when there is none.
func (x *index) of(room string) *roomLog {
	l := x.rooms[room]
	if l == nil {
		l = &roomLog{room: room}
		x.rooms[room] = l
	}
	return l
}

// add notes one run of a committed batch.
func (x *index) add(r roomRun) {
	l := x.of(r.room)
	if r.tomb {
		l.runs, l.parked, l.last = nil, nil, Position{}
		l.tomb = r.lsn
		x.count(l)
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

// covered drops what a snapshot of the room at pos makes superfluous.
func (x *index) covered(room string, pos Position) {
	l := x.rooms[room]
	if l == nil {
		return
	}
	l.runs = slices.DeleteFunc(l.runs, func(r run) bool { return r.last.Compare(pos) <= 0 })
	if cap(l.runs) > 64 && len(l.runs) < cap(l.runs)/4 {
		l.runs = slices.Clone(l.runs)
	}
	l.parked = slices.DeleteFunc(l.parked, func(g segment) bool { return g.last.Compare(pos) <= 0 })
	l.overdue = time.Time{}
	x.count(l)
	x.place(l)
}

// park notes that the records of the batches in the segment are in rooms.db. A tombstone after them makes them void.
func (x *index) park(room string, g segment) {
	l := x.of(room)
	if l.tomb <= g.to {
		l.runs = slices.DeleteFunc(l.runs, func(r run) bool { return r.lsn >= g.from && r.lsn <= g.to })
		l.parked = append(l.parked, g)
		if g.last.Compare(l.last) > 0 {
			l.last = g.last
		}
		l.overdue = time.Time{}
		x.count(l)
	}
	x.place(l)
}

// count adds up what there is of the room.
func (x *index) count(l *roomLog) {
	l.bytes, l.records = 0, 0
	for _, r := range l.runs {
		l.bytes, l.records = l.bytes+int64(r.n), l.records+int(r.count)
	}
	for _, g := range l.parked {
		l.bytes, l.records = l.bytes+int64(g.bytes), l.records+int(g.count)
	}
	if len(l.parked) > 0 {
		x.parked[l.room] = l
	} else {
		delete(x.parked, l.room)
	}
}

// buried notes that rooms.db has followed the room's tombstone at lsn.
func (x *index) buried(room string, lsn uint64) {
	if l := x.rooms[room]; l != nil && l.tomb == lsn {
		l.tomb = 0
		x.place(l)
	}
}

// place moves l to its place in the order, or takes it out when it does not pin the log. Its place is near the end nearly
// always, because what remains after a checkpoint is recent.
func (x *index) place(l *roomLog) {
	if l.elem != nil {
		x.order.Remove(l.elem)
		l.elem = nil
	}
	if !l.pins() {
		if l.none() {
			delete(x.rooms, l.room)
		}
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
		for _, g := range l.parked {
			if g.last.Compare(pos) > 0 {
				return g.from
			}
		}
		for _, r := range l.runs {
			if r.last.Compare(pos) > 0 {
				return r.lsn
			}
		}
	}
	return x.last + 1
}

// dueRooms are rooms that hold a log that is too long or too old.
type dueRooms struct {
	ask  []string          // to be asked for a checkpoint
	park []string          // to be parked: set aside, or asked in vain
	bury map[string]uint64 // deleted, and rooms.db could not follow when it should have: the LSNs of their tombstones
}

// due returns up to askAtOnce rooms, the oldest first, that hold the log at or before lsn and were not returned less than askAgain
// ago. aside tells which rooms are set aside.
func (x *index) due(lsn uint64, now time.Time, aside func(room string) bool) dueRooms {
	d := dueRooms{bury: make(map[string]uint64)}
	n := 0
	for e := x.order.Front(); e != nil && n < askAtOnce; e = e.Next() {
		l := e.Value.(*roomLog)
		if l.first() > lsn {
			break
		}
		if now.Sub(l.asked) < askAgain {
			continue
		}
		n++
		if l.overdue.IsZero() || now.Sub(l.asked) > askedNoMore {
			l.overdue = now
		}
		l.asked = now
		switch {
		case l.tomb != 0:
			d.bury[l.room] = l.tomb
		case aside(l.room):
			d.park = append(d.park, l.room)
		default:
			d.ask = append(d.ask, l.room)
			if now.Sub(l.overdue) >= parkAfter {
				d.park = append(d.park, l.room)
			}
		}
	}
	return d
}

// namesAfter returns the sorted names of the rooms with updates in the log that come after name.
func (x *index) namesAfter(name string) []string {
	var names []string
	for n, l := range x.rooms {
		if n > name && !l.none() {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	return names
}
