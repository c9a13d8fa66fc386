package gateway

import (
	"maps"
	"slices"
	"sync"
	"time"

	"weft/protocol"
)

// places holds the attachments of one server, for those who take rights away: time, whose grants run out, and operators.
type places struct {
	// Guarded by mu.
	mu    sync.Mutex
	all   map[*attachment]struct{}
	next  time.Time   // when sweep is called; zero: not
	timer *time.Timer // which calls it
}

// sweepPause is the shortest time between two sweeps, so that many grants which end one after another cost a pass each
// quarter of a second, and not one each. It is also how late a grant ends at most.
const sweepPause = 250 * time.Millisecond

func newPlaces() *places { return &places{all: map[*attachment]struct{}{}} }

// attachments calls visit for every place that has a grant, also those whose room is being joined, until it returns
// false. Places that are added meanwhile may be missed. No lock is held.
func (s *Server) attachments(visit func(*attachment) bool) {
	for _, a := range s.places.list() {
		if !visit(a) {
			return
		}
	}
}

func (p *places) list() []*attachment {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.all))
}

func (p *places) add(a *attachment) {
	p.mu.Lock()
	p.all[a] = struct{}{}
	p.mu.Unlock()
	p.watch(a)
}

func (p *places) remove(a *attachment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, a)
	if len(p.all) == 0 && p.timer != nil {
		p.timer.Stop()
		p.next = time.Time{}
	}
}

// watch has a place looked after whose grant is new.
func (p *places) watch(a *attachment) {
	if due := a.dueAt(); !due.IsZero() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.sweepAt(due)
	}
}

// sweepAt has sweep called at the given time, or before. Called with mu held.
func (p *places) sweepAt(at time.Time) {
	if len(p.all) == 0 || (!p.next.IsZero() && !at.Before(p.next)) {
		return
	}
	p.next = at
	d := max(time.Until(at), 0)
	if p.timer == nil {
		p.timer = time.AfterFunc(d, p.sweep)
	} else {
		p.timer.Reset(d)
	}
}

// sweep ends the places whose grants have run out and asks those for a new token whose grants will soon.
func (p *places) sweep() {
	p.mu.Lock()
	p.next = time.Time{}
	p.mu.Unlock()
	now := time.Now()
	var next time.Time
	for _, a := range p.list() {
		if at := a.tend(now); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if next.IsZero() {
		return
	}
	if soonest := now.Add(sweepPause); next.Before(soonest) {
		next = soonest
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweepAt(next)
}

// tend does what is due for one place and returns when the next thing is; zero: nothing.
func (a *attachment) tend(now time.Time) time.Time {
	a.mu.Lock()
	ends := a.given.Expires
	ask := !a.askAt.IsZero() && !now.Before(a.askAt)
	if ask {
		a.askAt = time.Time{}
	}
	a.mu.Unlock()
	if !ends.IsZero() && !now.Before(ends) {
		a.end(protocol.Unauthorized.Closef("token has expired"))
		return time.Time{}
	}
	if ask {
		a.voice.renew()
	}
	return a.dueAt()
}
