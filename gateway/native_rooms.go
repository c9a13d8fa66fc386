package gateway

import "sync"

// nativeRooms gives rooms the numbers that stand for them in the native protocol: one number for each room while any
// native client of this server is in it, so that all of them are sent the same bytes. The zero value is ready.
type nativeRooms struct {
	mu     sync.Mutex
	last   uint64
	byName map[string]*nativeRoom
}

// nativeRoom is a room with a number.
type nativeRoom struct {
	id    uint64
	users int
}

// take returns the number of a room for one more client, which gives it back.
func (t *nativeRooms) take(name string) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byName == nil {
		t.byName = map[string]*nativeRoom{}
	}
	r := t.byName[name]
	if r == nil {
		t.last++
		r = &nativeRoom{id: t.last}
		t.byName[name] = r
	}
	r.users++
	return r.id
}

// give gives back what take returned.
func (t *nativeRooms) give(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.byName[name]
	if r.users--; r.users == 0 {
		delete(t.byName, name)
	}
}
