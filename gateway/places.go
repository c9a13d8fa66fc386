package gateway

import (
	"maps"
	"slices"
	"sync"
	"time"

	"weft/protocol"
)

// places holds the attachments of one server, for those who take rights away: time, whose grants run out, and operators.
// It counts them by room, and the connections of each user.
type places struct {
	// Static after construction.
	maxRoom int // places in one room; negative: any number
	maxUser int // connections of one user; negative: any number

	// Guarded by mu.
	mu    sync.Mutex
	all   map[*attachment]struct{}
	rooms map[string]int // places by room
	users map[string]int // connections by user, of users with an id
	next  time.Time      // when sweep is called; zero: not
	timer *time.Timer    // which calls it
}

// sweepPause is the shortest time from a sweep to the next one that it asks for (a grant that is new may have one called
// before), so that many grants which end one after another cost a pass each
// quarter of a second, and not one each. It is also how late a grant ends at most.
const sweepPause = 250 * time.Millisecond

func newPlaces(perRoom, perUser int) *places {
	return &places{
		maxRoom: perRoom, maxUser: perUser,
		all: map[*attachment]struct{}{}, rooms: map[string]int{}, users: map[string]int{},
	}
}

// attachments calls visit for every place that has a grant, also those whose room is being joined and those that were
// left while the room still has messages of theirs, until it returns false. Places that are added meanwhile may be missed. No lock is held.
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

// isFull tells whether a room has as many places as it may.
func (p *places) isFull(room string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.maxRoom >= 0 && p.rooms[room] >= p.maxRoom
}

// add takes a place in a room for a user, which remove gives back, or tells why there is none.
func (p *places) add(a *attachment, user string) error {
	if err := p.count(a, user); err != nil {
		return err
	}
	p.watch(a)
	return nil
}

func (p *places) count(a *attachment, user string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.maxRoom >= 0 && p.rooms[a.room] >= p.maxRoom {
		return protocol.Overloaded.Closef("the room has %d clients", p.rooms[a.room])
	}
	if user != "" {
		if !slices.Contains(a.conn.users, user) {
			if p.maxUser >= 0 && p.users[user] >= p.maxUser {
				return protocol.Overloaded.Closef("the user has %d connections", p.users[user])
			}
			p.users[user]++
		}
		a.conn.users = append(a.conn.users, user)
	}
	a.counted = user
	p.rooms[a.room]++
	p.all[a] = struct{}{}
	return nil
}

func (p *places) remove(a *attachment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.all[a]; !ok {
		return
	}
	delete(p.all, a)
	if len(p.all) == 0 && p.timer != nil {
		p.timer.Stop()
		p.next = time.Time{}
	}
	less(p.rooms, a.room)
	if a.counted == "" {
		return
	}
	at := slices.Index(a.conn.users, a.counted)
	a.conn.users = slices.Delete(a.conn.users, at, at+1)
	if !slices.Contains(a.conn.users, a.counted) {
		less(p.users, a.counted)
	}
}

// less counts one down and forgets what has come to nothing.
func less(counts map[string]int, key string) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
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
	ask := a.stage != over && !a.askAt.IsZero() && !now.Before(a.askAt)
	if a.stage == over {
		a.askAt = time.Time{}
	}
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
