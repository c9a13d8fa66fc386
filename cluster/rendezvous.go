package cluster

import (
	"cmp"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// overload is how far above the mean, weighed by weight, a node's load may be before rooms prefer others. With a Zipf
// distribution of load over 50 nodes this displaces about 1 % of the rooms.
const overload = 1.1

// Candidate is a node that may own rooms.
type Candidate struct {
	Node     NodeID
	Weight   float64 // share of rooms beside others' weights; 0 and what is no number are 1
	Load     float64 // as the node reports it, in any unit that all share; negative is 0
	Draining bool    // owns rooms only if nobody else can
}

// Ring orders nodes by weighted rendezvous hashing. It never changes once made, and the zero Ring has no nodes.
//
// Each pair of room and node has a number that no other node influences, so that a node that comes or goes moves only the
// rooms that it takes or leaves, and the order behind the first is that of the standbys.
type Ring struct{ seats []seat }

type seat struct {
	node   NodeID
	hash   uint64
	weight float64
	rank   int // 0 takes rooms, 1 is overloaded, 2 drains
}

// NewRing returns the ring of these nodes. Their order does not matter; of two with the same name the first counts.
func NewRing(candidates []Candidate) Ring {
	seats := make([]seat, 0, len(candidates))
	loads := make(map[NodeID]float64, len(candidates))
	var load, weight float64
	for _, c := range candidates {
		if _, twice := loads[c.Node]; twice {
			continue
		}
		s := seat{node: c.Node, hash: xxhash.Sum64String(string(c.Node)), weight: c.Weight}
		if !(s.weight > 0) || math.IsInf(s.weight, 1) {
			s.weight = 1
		}
		loads[c.Node] = max(c.Load, 0)
		if c.Draining {
			s.rank = 2
		} else {
			load += loads[c.Node]
			weight += s.weight
		}
		seats = append(seats, s)
	}
	for i := range seats {
		s := &seats[i]
		if s.rank == 0 && loads[s.node]/s.weight > overload*load/weight {
			s.rank = 1
		}
	}
	slices.SortFunc(seats, func(a, b seat) int { return cmp.Compare(a.node, b.node) })
	return Ring{seats: seats}
}

// Len returns the number of nodes.
func (r Ring) Len() int { return len(r.seats) }

// Prefer returns the node that should own the room, and false if there is none. It does not allocate.
func (r Ring) Prefer(room string) (NodeID, bool) {
	hash := xxhash.Sum64String(room)
	best, at := 0.0, -1
	for i := range r.seats {
		s := &r.seats[i]
		d := s.distance(hash)
		if at < 0 || s.rank < r.seats[at].rank || s.rank == r.seats[at].rank && d < best {
			best, at = d, i
		}
	}
	if at < 0 {
		return "", false
	}
	return r.seats[at].node, true
}

// Order returns all nodes in the order in which they should own the room: the standbys are those behind the owner.
// Overloaded nodes come after the others, draining ones last.
func (r Ring) Order(room string) []NodeID {
	type entry struct {
		seat     *seat
		distance float64
	}
	hash := xxhash.Sum64String(room)
	entries := make([]entry, len(r.seats))
	for i := range r.seats {
		entries[i] = entry{&r.seats[i], r.seats[i].distance(hash)}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.seat.rank, b.seat.rank), cmp.Compare(a.distance, b.distance), cmp.Compare(a.seat.node, b.seat.node))
	})
	nodes := make([]NodeID, len(entries))
	for i, e := range entries {
		nodes[i] = e.seat.node
	}
	return nodes
}

// distance is exponentially distributed with the weight as its rate, so that the nearest of all is this one with the
// probability of its share (Schindelhauer and Schomaker, Weighted distributed hash tables, 2005).
func (s *seat) distance(room uint64) float64 {
	u := (float64(mix(room^s.hash)>>11) + 0.5) / (1 << 53) // in (0, 1)
	return -math.Log(u) / s.weight
}

// mix is the finalizer of splitmix64.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xBF58476D1CE4E5B9
	h = (h ^ h>>27) * 0x94D049BB133111EB
	return h ^ h>>31
}
