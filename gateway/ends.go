package gateway

import (
	"cmp"
	"net/http"
	"slices"
	"sync"
	"time"

	"weft/protocol"
)

// keptEnds is how many ends a server remembers; some 500 bytes each.
const keptEnds = 500

// maxCounted bounds the reasons and codes that are counted. There are some 40, all of them ours.
const maxCounted = 200

// ends remembers why connections ended, why places in rooms ended, and who was not let in: the last ones, for people to
// read, and all of them as totals by reason. Full case: the oldest is forgotten.
type ends struct {
	// Guarded by mu.
	mu      sync.Mutex
	ring    []endEntry
	next    int // where in ring the next one goes once it is full
	totals  map[string]uint64
	barred  map[string]uint64
	refused map[string]uint64
}

// endEntry is one end, of GET /admin/ends.
type endEntry struct {
	At       time.Time `json:"at"`
	What     string    `json:"what"` // "connection", "place" or "door"
	Conn     uint64    `json:"conn"`
	Room     string    `json:"room,omitempty"`
	Protocol string    `json:"protocol"`
	Remote   string    `json:"remote"`
	User     string    `json:"user,omitempty"`
	Name     string    `json:"name,omitempty"`
	Reason   string    `json:"reason"`
	Code     int       `json:"code"`
	Retry    bool      `json:"retry"` // the client may come back by itself
	Detail   string    `json:"detail,omitempty"`
	Seconds  float64   `json:"seconds,omitempty"` // how long a connection was there
	In       int64     `json:"bytesIn,omitempty"`
	Out      int64     `json:"bytesOut,omitempty"`
}

func newEnds() *ends {
	return &ends{totals: map[string]uint64{}, barred: map[string]uint64{}, refused: map[string]uint64{}}
}

// watch returns e with functions that remember and then call those of e.
func (n *ends) watch(e Events) Events {
	closed, exited, barred, refused := e.Closed, e.Exited, e.Barred, e.Refused
	e.Closed = func(c ConnEnd) {
		n.add(endEntry{
			What: "connection", Conn: c.ID, Room: c.Room, Protocol: c.Protocol, Remote: c.Remote.String(),
			User: c.User.ID, Name: c.User.Name, Reason: c.Reason.Name, Code: c.Reason.Code, Retry: c.Reason.Retry,
			Detail: clipDetail(c.Detail), Seconds: c.Duration.Seconds(), In: c.BytesIn, Out: c.BytesOut,
		}, n.totals)
		if closed != nil {
			closed(c)
		}
	}
	e.Exited = func(p Entry, why *protocol.CloseError) {
		if why != nil && p.severalRooms() {
			n.add(placeEnd("place", p, why), nil)
		}
		if exited != nil {
			exited(p, why)
		}
	}
	e.Barred = func(p Entry, why *protocol.CloseError) {
		if p.severalRooms() {
			n.add(placeEnd("door", p, why), n.barred)
		} else {
			n.count(n.barred, why.Reason.Name)
		}
		if barred != nil {
			barred(p, why)
		}
	}
	e.Refused = func(r Refusal) {
		n.count(n.refused, r.Code)
		if refused != nil {
			refused(r)
		}
	}
	return e
}

// severalRooms tells whether the connection may live on when the place ends; otherwise both ends are one.
func (e Entry) severalRooms() bool { return e.Protocol != yWebsocketName }

func placeEnd(what string, p Entry, why *protocol.CloseError) endEntry {
	return endEntry{
		What: what, Conn: p.Conn, Room: p.Room, Protocol: p.Protocol, Remote: p.Remote.String(), User: p.User.ID, Name: p.User.Name,
		Reason: why.Reason.Name, Code: why.Reason.Code, Retry: why.Reason.Retry, Detail: clipDetail(why.Detail),
	}
}

// maxDetail bounds what is remembered of a detail. Guessed: two lines.
const maxDetail = 200 // bytes

func clipDetail(s string) string {
	if len(s) <= maxDetail {
		return s
	}
	return s[:maxDetail] + "..."
}

// add remembers an end and counts it in totals, unless that is nil.
func (n *ends) add(e endEntry, totals map[string]uint64) {
	e.At = time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	if totals != nil {
		countIn(totals, e.Reason)
	}
	if len(n.ring) < keptEnds {
		n.ring = append(n.ring, e)
		return
	}
	n.ring[n.next] = e
	n.next = (n.next + 1) % keptEnds
}

func (n *ends) count(totals map[string]uint64, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	countIn(totals, name)
}

func countIn(totals map[string]uint64, name string) {
	if _, ok := totals[name]; ok || len(totals) < maxCounted {
		totals[name]++
	}
}

// last returns up to limit ends, the newest first.
func (n *ends) last(limit int) []endEntry {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := make([]endEntry, 0, min(limit, len(n.ring)))
	for i := range len(n.ring) {
		if len(list) == limit {
			break
		}
		list = append(list, n.ring[(n.next-1-i+2*len(n.ring))%len(n.ring)])
	}
	return list
}

// total is how often something happened.
type total struct {
	Name  string `json:"name"`
	Count uint64 `json:"count"`
}

// counts returns the totals of connections by reason, of those at the door by reason, and of refused requests by code,
// the most frequent first.
func (n *ends) counts() (closed, barred, refused []total) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return sorted(n.totals), sorted(n.barred), sorted(n.refused)
}

func sorted(totals map[string]uint64) []total {
	list := make([]total, 0, len(totals))
	for name, count := range totals {
		list = append(list, total{name, count})
	}
	slices.SortFunc(list, func(a, b total) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// adminEnds is GET /admin/ends?limit=N: the last ends, the newest first, and totals since the start.
func (s *Server) adminEnds(w http.ResponseWriter, r *http.Request) {
	limit, f := listLimit(r.URL.Query().Get("limit"))
	if f != nil {
		s.refuse(w, r, f)
		return
	}
	var answer struct {
		Ends    []endEntry `json:"ends"`
		Closed  []total    `json:"closed"`  // connections, by reason
		Barred  []total    `json:"barred"`  // not let into a room, by reason
		Refused []total    `json:"refused"` // requests, by code
	}
	answer.Ends = s.ends.last(limit)
	answer.Closed, answer.Barred, answer.Refused = s.ends.counts()
	writeJSON(w, http.StatusOK, answer)
}
