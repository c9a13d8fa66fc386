package gateway

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"weft/gateway/auth"
	"weft/protocol"
)

// Rate is how much may be sent in a second, on average. Zero fields mean a default, negative ones no bound.
type Rate struct {
	Messages int
	Bytes    int // of messages, without frame headers
}

func (r Rate) withDefaults(d Rate) Rate {
	setDefault(&r.Messages, d.Messages)
	setDefault(&r.Bytes, d.Bytes)
	return r
}

// Default rates. The first is many times what people do, the others are guessed: a proxy in front makes one address of
// everybody.
var (
	defaultConnRate    = Rate{Messages: 200, Bytes: 2 << 20}
	defaultUserRate    = Rate{Messages: 2_000, Bytes: 16 << 20}
	defaultAddressRate = Rate{Messages: 20_000, Bytes: 64 << 20}
)

const (
	// burstTime is how many seconds of a rate may be used at once after a rest: a client that comes back sends what it
	// did offline, Hocuspocus 4.8 one message for each edit, and that must not be punished.
	burstTime = 25
	// excessTime is how long a client may send more than it may without a rest of calmTime; until then it is only not read.
	excessTime = 30 * time.Second
	calmTime   = 250 * time.Millisecond
)

// Why a socket is not read for a while, see Events.Paused.
const (
	pausedByConn    = "connection"
	pausedByUser    = "user"
	pausedByAddress = "address"
	pausedByMemory  = "memory"
	pausedByToken   = "token"
)

// allowance is what may be sent: a bucket for messages and one for bytes, which may be in debt. Nil: no bound.
type allowance struct {
	messages, bytes *rate.Limiter
}

// newAllowance returns full buckets. No message is larger than largest.
func newAllowance(r Rate, largest int) allowance {
	bucket := func(perSecond, atLeast int) *rate.Limiter {
		if perSecond < 0 {
			return nil
		}
		return rate.NewLimiter(rate.Limit(perSecond), max(perSecond*burstTime, atLeast))
	}
	return allowance{bucket(r.Messages, 1), bucket(r.Bytes, largest)}
}

// spend takes messages of n bytes together and returns how long its sender has to rest for it.
func (a allowance) spend(now time.Time, messages, n int) (rest time.Duration) {
	if a.messages != nil {
		rest = a.messages.ReserveN(now, min(messages, a.messages.Burst())).DelayFrom(now)
	}
	if a.bytes != nil {
		rest = max(rest, a.bytes.ReserveN(now, n).DelayFrom(now))
	}
	return rest
}

// isFull tells whether nothing is left to remember of what was sent.
func (a allowance) isFull(now time.Time) bool {
	full := func(l *rate.Limiter) bool { return l == nil || l.TokensAt(now) >= float64(l.Burst()) }
	return full(a.messages) && full(a.bytes)
}

// share is the allowance of all connections of one user, or of one address.
type share[K comparable] struct {
	allowance
	key    K
	owners int // connections; guarded by the lock of its shares
}

// shares holds allowances by key. One whose last connection has gone stays until its buckets are full, so that coming
// back does not fill them.
type shares[K comparable] struct {
	// Static after construction.
	rate    Rate
	largest int

	// Guarded by mu.
	mu      sync.Mutex
	all     map[K]*share[K]
	idle    int // without a connection
	sweepAt int // value of idle at which those that are full are dropped
}

// sweepLeast is the number of allowances without a connection that is worth looking through.
const sweepLeast = 1_000

func newShares[K comparable](r Rate, largest int) *shares[K] {
	return &shares[K]{rate: r, largest: largest, all: map[K]*share[K]{}, sweepAt: sweepLeast}
}

// join returns the allowance of key for one more connection, which gives it back with leave; nil: there is no bound.
func (s *shares[K]) join(key K) *share[K] {
	if s.rate.Messages < 0 && s.rate.Bytes < 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.all[key]
	switch {
	case a == nil:
		a = &share[K]{allowance: newAllowance(s.rate, s.largest), key: key}
		s.all[key] = a
	case a.owners == 0:
		s.idle--
	}
	a.owners++
	return a
}

// leave gives back what join returned.
func (s *shares[K]) leave(a *share[K]) {
	if a == nil {
		return
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.owners--; a.owners > 0 {
		return
	}
	if a.isFull(now) {
		delete(s.all, a.key)
		return
	}
	if s.idle++; s.idle < s.sweepAt {
		return
	}
	for key, other := range s.all {
		if other.owners == 0 && other.isFull(now) {
			delete(s.all, key)
			s.idle--
		}
	}
	s.sweepAt = max(sweepLeast, 2*s.idle)
}

// belongsTo makes the connection count for a user; for the one of the last room that was entered, if there are several.
func (c *conn) belongsTo(u auth.User) {
	if u.ID == "" {
		return
	}
	c.who.Store(&u)
	s := c.srv.users
	s.leave(c.user.Swap(s.join(u.ID)))
}

// pace counts a message of n bytes, and keeps its connection from reading while it, its user or its address sends more
// than it may: TCP then slows the client down. One that goes on for excessTime is ended.
func (c *conn) pace(n int) {
	now := time.Now()
	if c.own == nil {
		a := newAllowance(c.srv.o.ConnRate, c.srv.o.Limits.Message)
		c.own = &a
	}
	messages := 1 + c.in.more
	c.in.more = 0
	rest, by := c.own.spend(now, messages, n), pausedByConn
	if u := c.user.Load(); u != nil {
		if d := u.spend(now, messages, n); d > rest {
			rest, by = d, pausedByUser
		}
	}
	if c.address != nil {
		if d := c.address.spend(now, messages, n); d > rest {
			rest, by = d, pausedByAddress
		}
	}
	began := now.Sub(c.born)
	c.in.lastRead = began // the room may have taken its time, too
	if rest <= 0 || c.isEnding() {
		return
	}
	if began-c.in.restedUntil > calmTime || c.in.restedUntil == 0 {
		c.in.excess = began
	}
	left := c.in.excess + excessTime - began
	c.rest(by, min(rest, left))
	if rest >= left && !c.isEnding() {
		c.end(protocol.RateLimited.Closef("more than the rate of the %s for %v", by, excessTime))
	}
}

// rest does not read for a while.
func (c *conn) rest(by string, d time.Duration) {
	began := c.age()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	}
	c.in.restedUntil = c.age()
	c.rested(by, c.in.restedUntil-began)
}

// rested reports a time in which the socket was not read, which says nothing about its client.
func (c *conn) rested(by string, d time.Duration) {
	if c.srv.o.Events.Paused != nil {
		c.srv.o.Events.Paused(by, d)
	}
	c.in.lastRead = c.age()
	c.armRead(min(pingAfter, c.srv.o.AuthTime))
}
