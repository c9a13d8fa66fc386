package gateway

import (
	"maps"
	"net/http"
	"net/netip"
	"slices"
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
	conns    map[*conn]struct{}
}

func newRegistry(limit, perAddress int) *registry {
	return &registry{
		max: limit, maxAddress: perAddress,
		address: map[netip.Prefix]int{}, conns: map[*conn]struct{}{},
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
	g.conns[c] = struct{}{}
	return !g.draining
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
	return slices.Collect(maps.Keys(g.conns))
}

// list returns the live connections.
func (g *registry) list() []*conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Keys(g.conns))
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
