package room

import (
	"math/rand/v2"
	"time"

	"weft/protocol"
)

// admission keeps joins from piling up behind rooms that are being loaded. To
// join an open room, or one that is being loaded for somebody else, costs next
// to nothing; what can fall behind is opening cold rooms, Options.Loaders at a
// time. It estimates how long one more would wait from how long loads take.
type admission struct {
	waiting int           // rooms to be loaded, those under way included
	took    time.Duration // a load, on average over the last few
}

// averageOver is the number of loads that the average looks back on. Guessed.
const averageOver = 8

// loaded counts a load that has ended.
func (a *admission) loaded(took time.Duration) {
	a.waiting--
	if a.took == 0 {
		a.took = took
		return
	}
	a.took += (took - a.took) / averageOver
}

// wait returns how long one more load would take to end, or 0 while a loader is
// free: however long loads took, the next one has to tell whether they still do.
func (a *admission) wait(loaders int) time.Duration {
	if a.waiting < loaders {
		return 0
	}
	return a.took * time.Duration(a.waiting/loaders+1)
}

// Admit tells whether a join of that room can be answered soon, so that a conn
// may be turned away before anything is spent on it. If not, after is when to
// come again: about when those who wait now are served, spread at random so that
// a crowd that was turned away does not come back as one. Join decides anew.
func (g *Registry) Admit(name string) (after time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.slots[name] != nil {
		return 0, true
	}
	wait := g.admission.wait(g.o.Loaders)
	if wait <= g.o.JoinWithin {
		return 0, true
	}
	return wait/2 + rand.N(wait), false
}

// admit decides about a join that opens a room. Called with mu held.
func (g *Registry) admit() error {
	if len(g.slots) >= g.o.MaxRooms {
		return protocol.Overloaded.Closef("%d rooms are open", len(g.slots))
	}
	if wait := g.admission.wait(g.o.Loaders); wait > g.o.JoinWithin {
		return protocol.Overloaded.Closef("%d rooms wait to be loaded, for about %v", g.admission.waiting, wait)
	}
	return nil
}
