package room

import (
	"weft/crdt"
	"weft/persistence"
)

// recent holds the last updates of a room that numbered peers have joined, for
// those who come back after a short break and say until where they have come:
// they get exactly what they missed, where a diff by state vector also names
// every deletion that the document has ever seen.
type recent struct {
	on      bool
	base    persistence.Position // before the first update
	updates [][]byte             // in update v1
	bytes   int
}

// Bounds of what is held for one room. Guessed: minutes of typing.
const (
	maxRecent      = 1024
	maxRecentBytes = 256 << 10
)

// begin starts to hold what comes after a position.
func (c *recent) begin(pos persistence.Position) {
	if !c.on {
		c.on, c.base = true, pos
	}
}

// add takes the update with a position, which follows the last one's.
func (c *recent) add(pos persistence.Position, update []byte) {
	if !c.on {
		return
	}
	c.updates = append(c.updates, update)
	c.bytes += len(update)
	drop := 0
	for len(c.updates)-drop > maxRecent || c.bytes > maxRecentBytes {
		c.bytes -= len(c.updates[drop])
		drop++
	}
	if drop == 0 {
		return
	}
	c.base = persistence.Position{Epoch: pos.Epoch, Seq: pos.Seq - uint64(len(c.updates)-drop)}
	clear(c.updates[:drop])
	c.updates = c.updates[drop:]
}

// after returns the updates that came after a position, until the room's own one;
// false when they are not held.
func (c *recent) after(from, pos persistence.Position) (missed [][]byte, ok bool) {
	if !c.on || from == (persistence.Position{}) {
		return nil, false
	}
	switch first := pos.Seq + 1 - uint64(len(c.updates)); {
	case from == pos:
		return nil, true
	case from == c.base:
		return c.updates, true
	case from.Epoch == pos.Epoch && from.Seq+1 >= first && from.Seq < pos.Seq:
		return c.updates[from.Seq+1-first:], true
	}
	return nil, false
}

// since returns one update v1 with what came after a position, until the room's
// own one; false when that is not held.
func (c *recent) since(from, pos persistence.Position) (update []byte, ok bool) {
	missed, ok := c.after(from, pos)
	if !ok {
		return nil, false
	}
	update, err := merged(missed)
	return update, err == nil
}

// merged returns updates v1 as one. An error says that it is over a limit that none
// of them is over.
func merged(updates [][]byte) ([]byte, error) {
	if len(updates) == 0 {
		return []byte(emptyUpdate), nil
	}
	return crdt.MergeUpdates(crdt.V1, updates...)
}
