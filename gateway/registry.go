package gateway

import (
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// registry counts the connections of one server and holds the live ones.
//
// A place is taken before the upgrade and given back when the connection has ended, so a handshake that is under way
// counts too. Whoever holds a place also holds wg, which Drain waits for.
type registry struct {
	// Static after construction.
	max        int // places in all
	maxAddress int // places of one client address

	wg sync.WaitGroup // places taken; a conn's writer joins while its conn holds a place

	// Guarded by mu.
	mu       sync.Mutex
	draining bool
	taken    int
	address  map[netip.Prefix]int
	conns    map[*conn]Session // nil while joining
	sweeping bool              // a sweep is scheduled
}

// sweepEvery is how often sessions are asked whether their room has ended them. A session tells that by closing a
// channel, and a goroutine for each to wait on it costs 4 kB a connection (BenchmarkIdleConn) for something that
// hardly ever happens. Guessed: soon enough for a client, and some tenths of a percent of a core at 10,000.
const sweepEvery = 250 * time.Millisecond

func newRegistry(limit, perAddress int) *registry {
	return &registry{
		max: limit, maxAddress: perAddress,
		address: map[netip.Prefix]int{}, conns: map[*conn]Session{},
	}
}

// clientNet is what the limit per address counts: the address itself, or its /64 for IPv6, where one household owns that.
func clientNet(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails only for the zero address, which then counts as one client
	return p
}

// take reserves a place for a client at a, or tells why there is none.
func (g *registry) take(a netip.Addr) *refusal {
	p := clientNet(a)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.draining:
		return &refusal{http.StatusServiceUnavailable, "draining", "the server is going down for a restart", 2 * time.Second}
	case g.taken >= g.max:
		return &refusal{http.StatusServiceUnavailable, "too_many_connections", "the server has as many connections as it may", 5 * time.Second}
	case g.address[p] >= g.maxAddress:
		return &refusal{http.StatusServiceUnavailable, "too_many_connections_from_address", "your address has as many connections as it may", 5 * time.Second}
	}
	g.taken++
	g.address[p]++
	g.wg.Add(1)
	return nil
}

// give returns the place that take reserved.
func (g *registry) give(a netip.Addr) {
	p := clientNet(a)
	g.mu.Lock()
	g.taken--
	if g.address[p]--; g.address[p] == 0 {
		delete(g.address, p)
	}
	g.mu.Unlock()
	g.wg.Done()
}

// add makes a connection known to drain; false: the drain has already begun.
func (g *registry) add(c *conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.conns[c] = nil
	return !g.draining
}

// joined notes the session of a connection, which sweep watches from then on.
func (g *registry) joined(c *conn, s Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.conns[c] = s
	g.schedule()
}

// schedule has sweep called while there is something to watch. Called with mu held.
func (g *registry) schedule() {
	if !g.sweeping && len(g.conns) > 0 {
		g.sweeping = true
		time.AfterFunc(sweepEvery, g.sweep)
	}
}

// sweep ends the connections whose sessions were ended by their rooms.
func (g *registry) sweep() {
	type ended struct {
		c   *conn
		why error
	}
	var over []ended
	g.mu.Lock()
	for c, s := range g.conns {
		if s == nil {
			continue
		}
		select {
		case <-s.Done():
			if err := s.Err(); err != nil {
				over = append(over, ended{c, err})
			}
			g.conns[c] = nil // once is enough
		default:
		}
	}
	g.sweeping = false
	g.schedule()
	g.mu.Unlock()
	for _, e := range over {
		e.c.end(closeError(e.why))
	}
}

// remove forgets a connection.
func (g *registry) remove(c *conn) {
	g.mu.Lock()
	delete(g.conns, c)
	g.mu.Unlock()
}

// drain refuses places from here on and returns the live connections.
func (g *registry) drain() []*conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.draining = true
	live := make([]*conn, 0, len(g.conns))
	for c := range g.conns {
		live = append(live, c)
	}
	return live
}

// isDraining tells whether drain was called.
func (g *registry) isDraining() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.draining
}

// count returns how many places are taken.
func (g *registry) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.taken
}
