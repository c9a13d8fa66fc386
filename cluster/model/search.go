package model

import (
	"fmt"
	"strings"
)

// Result is what a search found.
type Result struct {
	States    int
	Depth     int    // of the last state found: the fewest steps that lead there
	Complete  bool   // all states were visited
	Violation string // of the nearest state that violates something, or ""
	Trace     []string
	Reached   Reached
}

// Reached counts states that show that a search was worth something.
type Reached struct {
	OtherOwner int // another owner than the first serves with an acknowledged update
	Moved      int // after a planned move the target serves
	Returned   int // an owner has come back from an outage of Redis
	Trimmed    int // the log was trimmed
}

// visited is a set of states in the order in which they were found.
type visited struct {
	keys    []key
	parents []int32
	table   []int32 // index into keys + 1, open addressing
}

func (v *visited) hash(k key) uint64 {
	h := k[0]*0x9E3779B97F4A7C15 ^ k[1]*0xC2B2AE3D27D4EB4F ^ k[2]*0x165667B19E3779F9
	h ^= h >> 29
	h *= 0xBF58476D1CE4E5B9
	return h ^ h>>32
}

// add reports whether k was not there yet.
func (v *visited) add(k key, parent int32) bool {
	if len(v.keys)*2 >= len(v.table) {
		v.grow()
	}
	mask := uint64(len(v.table) - 1)
	for at := v.hash(k) & mask; ; at = (at + 1) & mask {
		switch i := v.table[at]; {
		case i == 0:
			v.keys = append(v.keys, k)
			v.parents = append(v.parents, parent)
			v.table[at] = int32(len(v.keys))
			return true
		case v.keys[i-1] == k:
			return false
		}
	}
}

func (v *visited) grow() {
	v.table = make([]int32, max(1<<12, 2*len(v.table)))
	mask := uint64(len(v.table) - 1)
	for i, k := range v.keys {
		at := v.hash(k) & mask
		for v.table[at] != 0 {
			at = (at + 1) & mask
		}
		v.table[at] = int32(i + 1)
	}
}

// Check searches breadth first, so that the trace of a violation is a shortest one, and stops at the first violation.
func Check(c Config) Result {
	var v visited
	var r Result
	first := initial(&c)
	v.add(first.pack(&c), -1)
	for i := 0; i < len(v.keys); i++ {
		if c.Limit > 0 && len(v.keys) >= c.Limit {
			r.States = len(v.keys)
			return r
		}
		s := unpack(v.keys[i])
		rest := true
		successors(&c, &s, func(next state, m move, violation string) {
			rest = rest && m.environment()
			if violation != "" && r.Violation == "" {
				v.add(next.pack(&c), int32(i))
				r.Violation, r.Trace = violation, append(v.trace(&c, i), m.String())
			}
			v.add(next.pack(&c), int32(i))
		})
		if r.Violation == "" {
			r.Violation = violated(&c, &s, rest)
			if r.Violation != "" {
				r.Trace = append(v.trace(&c, i), s.describe(&c))
			}
		}
		if r.Violation != "" {
			r.States, r.Depth = len(v.keys), len(r.Trace)-1
			return r
		}
		r.Reached.count(&c, &s)
	}
	r.States, r.Complete = len(v.keys), true
	for i := len(v.keys) - 1; i > 0; i = int(v.parents[i]) {
		r.Depth++
	}
	return r
}

func (r *Reached) count(c *Config, s *state) {
	if s.now.trimmed != 0 {
		r.Trimmed++
	}
	for i := range c.Nodes {
		n := &s.nodes[i]
		switch {
		case n.role == serving && i > 0 && s.current(i) && s.acked != 0:
			r.OtherOwner++
		case n.role == moved:
			r.Moved++
		case n.role == degraded && s.up:
			r.Returned++
		}
	}
}

// trace tells the steps from the first state to state i.
func (v *visited) trace(c *Config, i int) []string {
	var steps []string
	for ; v.parents[i] >= 0; i = int(v.parents[i]) {
		parent := unpack(v.keys[v.parents[i]])
		var step string
		successors(c, &parent, func(next state, m move, _ string) {
			if step == "" && next.pack(c) == v.keys[i] {
				step = fmt.Sprintf("%-62s %s", m, next.describe(c))
			}
		})
		steps = append(steps, step)
	}
	for a, b := 0, len(steps)-1; a < b; a, b = a+1, b-1 {
		steps[a], steps[b] = steps[b], steps[a]
	}
	return steps
}

// describe shows a state in one line.
func (s *state) describe(c *Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "redis e%d %s log%s", s.now.epoch, letter(s.now.owner), s.now.log)
	if s.now.trimmed != 0 {
		fmt.Fprintf(&b, " trimmed%s", s.now.trimmed)
	}
	for i := range c.Nodes {
		n := &s.nodes[i]
		fmt.Fprintf(&b, " | %s %s", letter(uint8(i)), roleNames[n.role])
		if n.epoch != 0 {
			fmt.Fprintf(&b, " e%d mem%s app%s", n.epoch, n.mem, n.app)
		}
		fmt.Fprintf(&b, " disk%s", n.disk)
	}
	fmt.Fprintf(&b, " | acked%s", s.acked)
	return b.String()
}

func letter(i uint8) string {
	if i >= nobody {
		return "-"
	}
	return string(rune('A' + i))
}

func (s set) String() string {
	text := "{"
	for i := range 8 {
		if s.has(1 << i) {
			if text != "{" {
				text += " "
			}
			text += fmt.Sprintf("u%d", i+1)
		}
	}
	return text + "}"
}
