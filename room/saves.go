package room

import (
	"time"

	"weft/crdt"
	"weft/persistence"
)

// saves decides when a room is saved. What is saved is a position, not a flag: a
// snapshot covers what was there when it was taken, and what came while it was
// written counts as unsaved.
type saves struct {
	saved   persistence.Position // of the last snapshot stored
	size    int64                // bytes of it
	updates int                  // updates since then
	bytes   int                  // bytes of them
	since   time.Time            // of the oldest of them; zero: there are none
	last    time.Time            // when the last save began
	wanted  bool                 // the store asks for a save
	retryAt time.Time            // not before then, after a failure
	running bool
}

// start takes over what was loaded.
func (v *saves) start(stored persistence.Stored, now time.Time) {
	v.saved, v.size = stored.Snapshot.Pos, int64(len(stored.Snapshot.State))
	v.updates = len(stored.Tail)
	for i := range stored.Tail {
		v.bytes += len(stored.Tail[i].Update)
	}
	if v.updates > 0 {
		v.since = now
	}
}

// wrote counts updates that were applied.
func (v *saves) wrote(updates, bytes int, now time.Time) {
	v.updates += updates
	v.bytes += bytes
	if v.since.IsZero() {
		v.since = now
	}
}

// settled reports whether nothing is left to save for a room that ends, or
// nothing that can be saved now: the log has what the last snapshot has not.
func (v *saves) settled(pos persistence.Position) bool {
	return !v.running && (v.saved == pos || !v.retryAt.IsZero())
}

// saveSoon is called when the store wants the room saved.
func (r *room) saveSoon() { r.saves.wanted = true }

// dueAt returns when the next save is due; zero when nothing is to be saved.
func (v *saves) dueAt(r *room) time.Time {
	if v.running || v.saved == r.pos {
		return time.Time{}
	}
	var due time.Time
	switch {
	case v.wanted || r.draining || r.idleFor() >= r.o.IdleAfter:
		due = r.now
	case v.updates >= r.o.SaveUpdates || v.bytes >= r.o.SaveBytes:
		due = v.last.Add(r.o.SaveEvery)
	default:
		due = later(v.since.Add(r.o.SaveAfter), v.last.Add(r.o.SaveEvery))
	}
	return later(due, v.retryAt)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// save starts a save when it is due. The registry lets a few rooms save at a
// time; the snapshot is taken when it is this room's turn, on the room's
// goroutine, and written by another one, so that nothing here waits for the disk.
func (r *room) save() {
	v := &r.saves
	due := v.dueAt(r)
	if due.IsZero() || due.After(r.now) || r.over {
		return
	}
	v.running, v.wanted, v.last = true, false, r.now
	r.registry.wg.Go(func() { r.registry.saveRoom(r) })
}

// saveRoom saves a room and tells it the outcome.
func (g *Registry) saveRoom(r *room) {
	select {
	case g.saving <- struct{}{}:
		defer func() { <-g.saving }()
	case <-g.ctx.Done():
		r.post(func() { r.saves.running = false })
		return
	}
	var snap persistence.Snapshot
	var taken saves // the counters when it was taken
	if r.do(g.ctx, func() { snap, taken = r.snapshot() }) != nil {
		return // the room has ended
	}
	begun := time.Now()
	err := g.o.Store.Save(g.ctx, r.name, snap)
	took := time.Since(begun)
	r.post(func() { r.stored(snap, taken, took, err) })
}

// snapshot takes the document as it is.
func (r *room) snapshot() (persistence.Snapshot, saves) {
	r.saves.last = r.now
	return persistence.Snapshot{
		Pos:         r.pos,
		State:       r.doc.AppendDiff(nil, nil, crdt.V2),
		StateVector: r.doc.AppendStateVector(nil),
	}, r.saves
}

// stored takes the outcome of a save.
func (r *room) stored(snap persistence.Snapshot, taken saves, took time.Duration, err error) {
	v := &r.saves
	v.running = false
	if err != nil {
		v.retryAt = r.now.Add(r.o.SaveRetry)
		r.o.Events.SaveFailed(r.name, err)
		return
	}
	v.saved, v.size, v.retryAt = snap.Pos, int64(len(snap.State)), time.Time{}
	v.updates -= taken.updates
	v.bytes -= taken.bytes
	v.since = time.Time{}
	if v.updates > 0 {
		v.since = taken.last
	}
	r.ledger.cover(snap.Pos)
	r.o.Events.Saved(r.name, snap.Pos, len(snap.State), took)
}
