package gateway

import (
	"maps"
	"slices"
)

// State is what a connection is doing. Every connection is in one state at a time.
type State string

// The states of a connection.
const (
	Entering State = "entering" // it has not been in a room yet
	Active   State = "active"   // its client has said something lately
	Quiet    State = "quiet"    // it waits for its client at the least cost
	Ending   State = "ending"   // the last writes and the goodbye
)

// States returns all states.
func States() []State { return []State{Entering, Active, Quiet, Ending} }

// Protocols returns the words of ConnStart.Protocol.
func Protocols() []string { return []string{"y-websocket", "hocuspocus", "native"} }

// Kind is what connections are counted by.
type Kind struct {
	Protocol string // of Protocols
	State    State
}

// Usage is what the connections of a server use just now, for metrics.
type Usage struct {
	Conns     map[Kind]int // open connections; a kind of which there is none may be missing
	Outbox    int64        // bytes that wait for writers, or are being written, of all connections; shared ones count for each
	OutboxMax int          // of the connection with the most
	PerAddr   int          // connections of the address that has the most
	PerUser   int          // of the user, known by an id, who has the most
	PerRoom   int          // clients in the fullest room
}

// Usage looks at every connection, which takes a time guessed at 0.1 us for each; no connection waits for it longer than that.
func (s *Server) Usage() Usage {
	u := Usage{Conns: map[Kind]int{}}
	s.conns.mu.Lock()
	conns := slices.Collect(maps.Keys(s.conns.conns))
	u.PerAddr = most(s.conns.address)
	s.conns.mu.Unlock()
	s.places.mu.Lock()
	u.PerUser, u.PerRoom = most(s.places.users), most(s.places.rooms)
	s.places.mu.Unlock()
	for _, c := range conns {
		u.Conns[Kind{c.start.Protocol, c.state()}]++
		n := c.out.Size()
		u.Outbox += int64(n)
		u.OutboxMax = max(u.OutboxMax, n)
	}
	return u
}

// most returns the highest value, 0 when there is none.
func most[K comparable](m map[K]int) (n int) {
	for _, v := range m {
		n = max(n, v)
	}
	return n
}

func (c *conn) state() State {
	c.mu.Lock()
	ending := c.ending != nil
	c.mu.Unlock()
	switch {
	case ending:
		return Ending
	case !c.inRoom.Load():
		return Entering
	case c.quiet.Load():
		return Quiet
	}
	return Active
}
