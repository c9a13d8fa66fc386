package presence_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weft/presence"
)

// model says what a table holds in the plainest way: maps, no lists, no versions.
type model struct {
	now     time.Time
	ids     map[uint64]*modelID
	primary map[presence.ConnID]uint64
	heard   map[presence.ConnID]time.Time
	denied  map[presence.ConnID]bool
}

// calls reports whether a conn is believed to call an id its own.
func (m *model) calls(c presence.ConnID, id uint64) bool { return m.primary[c] == id && !m.denied[c] }

type modelID struct {
	clock uint64
	state string // "" is removed
	owner presence.ConnID
	at    time.Time
	claim *modelClaim
}

type modelClaim struct {
	by    presence.ConnID
	since time.Time
	last  say
}

func (m *model) owned(c presence.ConnID) (n int) {
	for _, e := range m.ids {
		if e.owner == c {
			n++
		}
	}
	return n
}

func (m *model) set(e *modelID, clock uint64, state string) {
	e.clock, e.state, e.at = clock, state, m.now
}

// say is one entry from a conn; the rules in the words of the package comment.
func (m *model) say(c presence.ConnID, s say, maxIDs int) {
	if _, ok := m.primary[c]; !ok {
		m.primary[c] = s.id
	}
	m.heard[c] = m.now
	e := m.ids[s.id]
	own := m.calls(c, s.id)
	switch {
	case e == nil:
		if s.clock > 0 && s.state != "" && m.owned(c) < maxIDs {
			m.ids[s.id] = &modelID{clock: s.clock, state: s.state, owner: c, at: m.now}
		}
	case e.owner == c:
		if s.clock > e.clock || s.clock == e.clock && s.state == "" && e.state != "" {
			m.set(e, s.clock, s.state)
		}
	case e.owner == 0:
		if s.state != "" && s.clock > e.clock && m.owned(c) < maxIDs {
			e.owner = c
			m.set(e, s.clock, s.state)
		}
	case !own || s.state == "":
	case !m.calls(e.owner, s.id):
		m.hand(e, c, s, maxIDs)
	case e.claim == nil:
		e.claim = &modelClaim{c, m.now, s}
	case e.claim.by == c && s.clock > e.claim.last.clock:
		e.claim.last = s
	}
}

func (m *model) hand(e *modelID, c presence.ConnID, s say, maxIDs int) {
	e.claim, e.owner = nil, 0
	if s.clock > e.clock && m.owned(c) < maxIDs {
		e.owner = c
		m.set(e, s.clock, s.state)
	} else if e.state != "" {
		m.set(e, e.clock, "")
	}
}

func (m *model) leave(c presence.ConnID, maxIDs int) {
	for _, e := range m.ids {
		if e.claim != nil && e.claim.by == c {
			e.claim = nil
		}
	}
	for _, e := range m.ids {
		switch {
		case e.owner != c:
		case e.claim != nil && m.decide(e, maxIDs):
		default:
			e.owner = 0
			if e.state != "" {
				m.set(e, e.clock, "")
			}
		}
	}
	delete(m.primary, c)
	delete(m.heard, c)
}

func (m *model) tick(maxIDs int) {
	for id, e := range m.ids {
		switch age := m.now.Sub(e.at); {
		case e.state == "" && e.claim == nil && age >= 30*time.Second:
			delete(m.ids, id)
		case e.state != "" && age >= 45*time.Second:
			m.set(e, e.clock, "")
		}
	}
	for _, e := range m.ids {
		if e.claim != nil && m.now.Sub(e.claim.since) >= 5*time.Second {
			m.decide(e, maxIDs)
		}
	}
}

func (m *model) decide(e *modelID, maxIDs int) bool {
	if !m.heard[e.owner].Before(e.claim.since) {
		m.denied[e.claim.by] = true
		e.claim = nil
		return false
	}
	m.hand(e, e.claim.by, e.claim.last, maxIDs)
	return true
}

func (m *model) live() map[uint64]say {
	live := map[uint64]say{}
	for id, e := range m.ids {
		if e.state != "" {
			live[id] = say{id, e.clock, e.state}
		}
	}
	return live
}

// replica is what a client of y-protocols makes of the updates it gets
// (awareness.js, applyAwarenessUpdate).
type replica struct {
	version uint64
	clocks  map[uint64]uint64
	states  map[uint64]say
}

func (r *replica) apply(entries []say) {
	for _, e := range entries {
		_, has := r.states[e.id]
		if clock := r.clocks[e.id]; clock < e.clock || clock == e.clock && e.state == "" && has {
			r.clocks[e.id] = e.clock
			if delete(r.states, e.id); e.state != "" {
				r.states[e.id] = e
			}
		}
	}
}

// TestTableFollowsItsModel drives a table with few ids and conns, so that they
// collide, and compares it with the model. Beside it, clients are sent what
// changed: one every time, one seldom, as a lagging peer is.
func TestTableFollowsItsModel(t *testing.T) {
	const maxIDs = 2
	states := []string{"", "1", `{"a":1}`}
	rapid.Check(t, func(t *rapid.T) {
		tb := presence.New(presence.Limits{IDs: maxIDs})
		m := &model{epoch, map[uint64]*modelID{}, map[presence.ConnID]uint64{}, map[presence.ConnID]time.Time{}, map[presence.ConnID]bool{}}
		prompt := &replica{0, map[uint64]uint64{}, map[uint64]say{}}
		seldom := &replica{0, map[uint64]uint64{}, map[uint64]say{}}
		follow := func(r *replica) {
			for _, u := range tb.Since(r.version) {
				r.apply(parse(t, u))
			}
			r.version = tb.Version()
		}
		numbers := map[uint64]presence.ConnID{} // who is connected: a conn's number is never used again
		last := presence.ConnID(0)
		conn := func() presence.ConnID {
			seat := rapid.Uint64Range(0, 3).Draw(t, "seat")
			if numbers[seat] == 0 {
				last++
				numbers[seat] = last
			}
			return numbers[seat]
		}
		lag := time.Duration(0)

		t.Repeat(map[string]func(*rapid.T){
			"apply": func(t *rapid.T) {
				c := conn()
				var entries []say
				for range rapid.IntRange(1, 3).Draw(t, "entries") {
					entries = append(entries, say{
						rapid.Uint64Range(1, 5).Draw(t, "id"),
						rapid.Uint64Range(0, 6).Draw(t, "clock"),
						rapid.SampledFrom(states).Draw(t, "state"),
					})
				}
				if _, err := tb.Apply(c, nil, update(entries...), m.now); err != nil {
					t.Fatalf("Apply(%d, %v) = %v", c, entries, err)
				}
				for _, s := range entries {
					m.say(c, s, maxIDs)
				}
			},
			"heard": func(t *rapid.T) {
				c := conn()
				tb.Heard(c, m.now)
				if _, ok := m.heard[c]; ok {
					m.heard[c] = m.now
				}
			},
			"leave": func(t *rapid.T) {
				seat := rapid.Uint64Range(0, 3).Draw(t, "seat")
				tb.Leave(numbers[seat], m.now)
				m.leave(numbers[seat], maxIDs)
				delete(numbers, seat)
			},
			"wait": func(t *rapid.T) {
				d := time.Duration(rapid.IntRange(1, 16).Draw(t, "seconds")) * time.Second
				if lag += d; lag > 25*time.Second { // no peer lags for longer than the memory of removals
					follow(seldom)
					lag = 0
				}
				m.now = m.now.Add(d)
				tb.Tick(m.now)
				m.tick(maxIDs)
			},
			"": func(t *rapid.T) {
				want := m.live()
				got := map[uint64]say{}
				for _, u := range tb.All() {
					for _, e := range parse(t, u) {
						got[e.id] = e
					}
				}
				if !maps.Equal(got, want) {
					t.Fatalf("All() = %v, want %v", got, want)
				}
				if tb.Live() != len(want) {
					t.Fatalf("Live() = %d, want %d", tb.Live(), len(want))
				}
				follow(prompt)
				// A removed id that is announced anew with an old clock, after its clock was
				// forgotten here, is not seen by clients that remember it: that is theirs.
				for id, e := range want {
					if prompt.states[id] != e && prompt.clocks[id] < e.clock {
						t.Fatalf("a prompt client has %v, want %v", prompt.states[id], e)
					}
				}
				for id := range prompt.states {
					if _, ok := want[id]; !ok {
						t.Fatalf("a prompt client sees a ghost: %v", prompt.states[id])
					}
				}
				for _, c := range slices.Sorted(maps.Keys(m.primary)) {
					if n := m.owned(c); n > maxIDs {
						t.Fatalf("conn %d owns %d ids, want at most %d", c, n, maxIDs)
					}
				}
			},
		})
		follow(seldom)
		for id := range seldom.states {
			if _, ok := m.live()[id]; !ok {
				t.Fatalf("a seldom client sees a ghost: %v", seldom.states[id])
			}
		}
	})
}
