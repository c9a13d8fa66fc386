package bench

import (
	"strconv"
	"sync/atomic"

	"weft/crdt/lib0"
)

// person is the presence of one client: a name, a colour and a cursor that moves. Formats: y-protocols/awareness.js 1.0.7.
type person struct {
	// Static after construction.
	turn       // its records are states
	index  int // in the room's people
	id     uint64
	client *client // set by the client before it shows anything

	shown atomic.Int64 // the clock of its newest state

	// Written by the client's reader.
	newest []atomic.Int64 // by person of the room: the clock of the newest state that this client has seen

	compare []byte // owned by the client's reader
	scratch []byte // guarded by the client's out
}

// addPeople gives the room n people. Their ids follow those of its writers.
func (r *chatRoom) addPeople(n int) {
	for i := range n {
		r.people = append(r.people, &person{
			turn: newTurn(i), index: i, id: r.firstPerson + uint64(i), newest: make([]atomic.Int64, n),
		})
	}
}

// person returns the person with a client id, or nil.
func (r *chatRoom) person(id uint64) *person {
	if id < r.firstPerson || id-r.firstPerson >= uint64(len(r.people)) {
		return nil
	}
	return r.people[id-r.firstPerson]
}

// next appends the awareness update with the person's next state. It must be called under the client's out.
func (p *person) next(dst []byte) []byte {
	p.shown.Add(1) // before it is sent: nobody may have it earlier
	return p.again(dst)
}

// again appends the awareness update with the person's state as it is. It must be called under the client's out.
func (p *person) again(dst []byte) []byte {
	clock := p.shown.Load()
	dst = append(dst, 1)
	dst = lib0.AppendUint(dst, p.id)
	dst = lib0.AppendUint(dst, uint64(clock))
	p.scratch = p.appendState(p.scratch[:0], clock)
	return lib0.AppendBytes(dst, p.scratch)
}

// appendState appends the JSON of the state at a clock.
func (p *person) appendState(dst []byte, clock int64) []byte {
	dst = append(dst, `{"user":{"name":"Person `...)
	dst = strconv.AppendInt(dst, int64(p.index), 10)
	dst = append(dst, `","color":"#30bced"},"cursor":{"anchor":`...)
	dst = strconv.AppendInt(dst, clock, 10)
	dst = append(dst, `,"head":`...)
	dst = strconv.AppendInt(dst, clock, 10)
	return append(dst, `}}`...)
}

// take enters an awareness update that c, the person's client, received.
func (p *person) take(c *client, body []byte) error {
	d := lib0.NewDecoder(body)
	for n := d.Uint(); n > 0 && d.Err() == nil; n-- {
		id, clock, state := d.Uint(), int64(d.Uint()), d.Bytes()
		if d.Err() == nil {
			p.see(c, id, clock, state)
		}
	}
	return d.Err()
}

// see enters one state.
func (p *person) see(c *client, id uint64, clock int64, state []byte) {
	other := c.room.person(id)
	switch {
	case other == p:
		return // an echo
	case other != nil && other.client != nil && (other.client.finished.Load() || other.client.isGone()):
		return // being taken out
	case other == nil && id < c.room.firstPerson && id+c.room.former >= c.room.firstPerson:
		return // being taken out
	case other == nil || clock > other.shown.Load():
		c.crew.faults.add(invented, "client %d in %s was shown state %d of client %d, which nobody has", c.number, c.room.name, clock, id)
		return
	}
	p.compare = other.appendState(p.compare[:0], clock)
	if string(state) != string(p.compare) {
		c.crew.faults.add(invented, "client %d in %s was shown another state %d of client %d: %q", c.number, c.room.name, clock, id, state)
		return
	}
	if clock <= p.newest[other.index].Load() {
		return
	}
	p.newest[other.index].Store(clock)
	c.states++
	if s := c.crew.schedule.Load(); s != nil && clock >= firstPaced {
		c.shard.mu.Lock()
		c.shard.record(c.now.Sub(s.start) - s.offset(&other.turn, clock-firstPaced))
		c.shard.mu.Unlock()
	}
}

// sees tells whether the person has the newest state of everybody else in the room.
func (p *person) sees(r *chatRoom) bool {
	for _, other := range r.people {
		if other != p && p.newest[other.index].Load() != firstPaced-1+other.due.Load() {
			return false
		}
	}
	return true
}

// firstPaced is the clock of the first state that is sent by a schedule; the one before it is a client's hello.
const firstPaced = 2
