package room

import (
	"time"

	"weft/crdt"
	"weft/persistence"
	"weft/protocol"
)

// outgoing is what the room has integrated and not yet handed on, and the
// counters of all that. Updates go to the store at the end of their turn; to the
// sessions they may go later and merged.
type outgoing struct {
	fresh      [][]byte // integrated in this turn, in order, in update v1
	freshBytes int
	freshFrom  time.Time // arrival of the first letter in them
	version    uint64    // of the document; grows with every update that is integrated

	waiting [][]byte             // integrated and not broadcast, in order
	bytes   int                  // of them
	first   time.Time            // arrival of the first letter in them; zero: nothing waits
	applied time.Duration        // spent on the letters of the turns since the last broadcast
	frame   uint64               // number of the last frame broadcast
	sentPos persistence.Position // of the last update broadcast
	pace    pace
	merging merging
}

// pace spaces broadcasts once a room is busy. Every recipient costs a write to a
// socket, 6 to 9 us on the measured machine, whatever the write holds, so what
// bounds a large room is the number of broadcasts and not of updates. A room may
// use up deliveryBudget; while it does not, an update leaves in its own turn.
// Over that, updates wait for each other, up to maxPause, and leave as one.
type pace struct {
	spent time.Time // what the deliveries made so far are worth in time
}

const (
	// deliveryCost is the share of a room's time that one delivery is taken for:
	// 25,000 deliveries a second, about a fifth of a core. It makes the pause of a
	// busy room 40 ms at 1,000 sessions and 2 ms at 50; below mergeFrom there is none.
	deliveryCost = 40 * time.Microsecond
	// burst is how far a room may go over that before it is busy: six broadcasts to
	// 1,000 sessions at once, so that the chance crowding of a calm room does not
	// make anybody wait.
	burst = 250 * time.Millisecond
	// maxPause bounds the pause in rooms of any size. Guessed: not yet seen by who
	// watches others type.
	maxPause = 50 * time.Millisecond
	// maxWaiting bounds the updates that wait for each other: above it the bytes
	// cost more than the writes. Guessed.
	maxWaiting = 128 << 10 // bytes
)

// due returns when what waits since first may leave.
func (p *pace) due(first time.Time) time.Time {
	if at := p.spent.Add(-burst); at.After(first) {
		return earlier(at, first.Add(maxPause))
	}
	return first
}

// spend counts a broadcast to n sessions.
func (p *pace) spend(n int, now time.Time) {
	p.spent = earlier(later(p.spent, now).Add(time.Duration(n)*deliveryCost), now.Add(burst+maxPause))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// broadcastDue returns when what waits is to leave; zero when nothing does.
func (r *room) broadcastDue() time.Time {
	switch o := &r.out; {
	case len(o.waiting) == 0:
		return time.Time{}
	case r.draining || o.bytes >= maxWaiting:
		return r.now
	default:
		return o.pace.due(o.first)
	}
}

// broadcast offers what waits to everybody when it is due, authors included:
// y-websocket's reference server does so, and it is part of what tells clients
// that the link is alive.
func (r *room) broadcast() {
	if due := r.broadcastDue(); due.IsZero() || due.After(r.now) {
		return
	}
	began := time.Now()
	o := &r.out
	updates := r.merge()
	first := o.frame + 1
	o.frame += uint64(len(updates))
	size := 0
	for _, u := range updates {
		size += len(u)
	}
	before := r.pos.Seq - uint64(len(o.waiting))
	for _, g := range r.hub.groups {
		g.frames, g.sizes, g.bytes = g.frames[:0], g.sizes[:0], 0
		for i, u := range updates {
			m := protocol.Message{Kind: protocol.Update, Data: g.update(u), Pos: protocol.Position(r.pos), First: before + 1}
			if len(updates) > 1 { // each by itself
				m.First += uint64(i)
				m.Pos.Seq = m.First
			}
			g.bytes += len(m.Data)
			g.sizes = append(g.sizes, len(m.Data))
			g.frames = append(g.frames, g.encode(m))
		}
		g.broadcast(r, first)
		clear(g.frames)
	}
	r.marks.advance(uint64(size), o.frame, r.doc, r.pos)
	if len(r.sessions) >= mergeFrom {
		o.pace.spend(len(r.sessions), r.now)
	}
	if p := &r.people; !p.due.IsZero() {
		p.changed(r.now) // the writers are woken anyway
	}
	ended := time.Now()
	r.o.Events.Batch(r.name, Batch{
		Updates: len(o.waiting), Bytes: o.bytes, Frames: len(updates), Peers: len(r.sessions),
		Applied: o.applied, Offered: ended.Sub(began), Waited: ended.Sub(o.first),
	})
	o.sentPos = r.pos
	o.sent()
}

// sent forgets what was broadcast.
func (o *outgoing) sent() {
	clear(o.waiting)
	o.waiting, o.bytes, o.first, o.applied = o.waiting[:0], 0, time.Time{}, 0
	if cap(o.waiting) > keptUpdates {
		o.waiting = nil
	}
	o.merging.since = nil
}

// keptUpdates is the longest list of updates whose memory is kept.
const keptUpdates = 1024

// broadcast offers the group's frames, numbered from first, to its members.
func (g *group) broadcast(r *room, first uint64) {
	size, largest := 0, 0
	for _, f := range g.frames {
		size, largest = size+len(f), max(largest, len(f))
	}
	g.prepared.broadcast(g.frames, size)
	cost := size + len(g.frames)*parcelCost
	var oversized []*Session
	for _, s := range g.members {
		if s.lagging {
			continue
		}
		if s.isHeld() {
			r.hold(s, first)
			continue
		}
		if s.largest != 0 && largest > s.largest {
			oversized = append(oversized, s)
			continue
		}
		if !s.peer.Out.offerUpdates(g.frames, g.sizes, cost, s, first) {
			r.lag(s, first)
			continue
		}
		s.spend(g.bytes)
		s.sentAt = r.now
	}
	for _, s := range oversized { // not above: an end takes its session out of members
		r.tooLarge(s, largest)
	}
}

// merging makes one update of those that wait. Two ways lead there. A diff of the
// document joins what was typed in a row into one run, but names every deletion
// that the document has ever seen; crdt.MergeUpdates names only those of the
// updates, but joins nothing. BenchmarkMerge: of 400 updates by ten authors a new
// document makes a diff of 0.5 kB in 6 us, the updates one of 3.6 kB in 400 us; a
// document with 10,000 deletions makes one of 37 kB in 2 ms.
type merging struct {
	since crdt.StateVector // before the first of them, if a diff may pay; nil: it is not known
	floor int              // bytes of updates from which a diff may pay
}

const (
	// mergeFrom is the number of sessions from which updates that wait together
	// are merged: below it, a frame for each is cheaper. Guessed.
	mergeFrom = 8
	// maxFloor is the floor from which the state before the updates is not noted.
	maxFloor = 64 << 10 // bytes
)

// prepareMerge notes the document's state before the first of several updates
// that will leave together.
func (r *room) prepareMerge(writes int) {
	o := &r.out
	if len(o.waiting) > 0 || writes == 0 || len(r.sessions) < mergeFrom {
		return
	}
	if writes > 1 || o.pace.due(r.now).After(r.now) {
		if o.merging.floor -= o.merging.floor / 64; o.merging.floor < maxFloor {
			o.merging.since = r.doc.StateVector()
		}
	}
}

// merge returns what to broadcast of what waits.
func (r *room) merge() [][]byte {
	o := &r.out
	if len(o.waiting) < 2 || len(r.sessions) < mergeFrom {
		return o.waiting
	}
	if o.merging.since != nil && o.bytes >= o.merging.floor {
		one := r.doc.AppendDiff(nil, o.merging.since, crdt.V1)
		o.merging.floor = 2 * len(one)
		if len(one) <= o.bytes {
			return [][]byte{one}
		}
	}
	one, err := crdt.MergeUpdates(crdt.V1, o.waiting...)
	if err != nil { // over a limit that none of them is over
		return o.waiting
	}
	return [][]byte{one}
}
