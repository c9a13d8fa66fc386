package adminpage

import (
	"sync"
	"time"
)

const (
	// rateSpan is the shortest time over which a rate is measured; who asks sooner gets the last one.
	rateSpan = time.Second
	// rateOld is when a measurement says nothing any more.
	rateOld = time.Minute
	// maxRates bounds the rooms that are remembered, some 100 bytes and a name each; beyond it all are forgotten, which
	// costs one refresh without rates.
	maxRates = 2_000
)

// rates works out how many updates a room takes in a second, from the positions that were seen when a list with it was
// last looked at.
type rates struct {
	// Guarded by mu.
	mu   sync.Mutex
	seen map[string]seen
}

type seen struct {
	pos  Position
	at   time.Time
	rate float64
	ok   bool // rate is known
}

// see notes a room's position and returns its rate in updates a second; ok is false when it is not known.
func (r *rates) see(room string, pos Position, now time.Time) (rate float64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, known := r.seen[room]
	known = known && now.Sub(last.at) < rateOld && last.pos.Epoch == pos.Epoch && pos.Seq >= last.pos.Seq
	if known && now.Sub(last.at) < rateSpan {
		return last.rate, last.ok
	}
	if r.seen == nil || (len(r.seen) >= maxRates && !known) {
		r.seen = map[string]seen{}
	}
	next := seen{pos: pos, at: now}
	if known {
		next.rate, next.ok = float64(pos.Seq-last.pos.Seq)/now.Sub(last.at).Seconds(), true
	}
	r.seen[room] = next
	return next.rate, next.ok
}
