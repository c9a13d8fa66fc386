package crdt

import (
	"cmp"
	"slices"
)

// Contains tells whether update brings the document nothing: all that it
// writes is known and all that it deletes is deleted. What is pending does not
// count as known. It checks update as Apply does, within the same limits, and
// keeps no reference to it. Errors match ErrInvalid or ErrLimit.
func (d *Doc) Contains(update []byte, v Version) (bool, error) {
	var m message
	if err := m.decode(update, v, d.opts.Limits); err != nil {
		return false, err
	}
	sortDeletes(&m.deletes) // so that what they name is walked over once, however often they name it
	known := func(client ClientID, from, to uint32) bool {
		c := d.clientIndex(client)
		return c != noClient && to <= d.clients[c].next
	}
	deleted := func(client ClientID, from, to uint32) bool {
		if !known(client, from, to) {
			return false
		}
		for p := d.clients[d.clientIndex(client)].index.find(from); p.ok() && p.clock() < to; p = p.next() {
			if !d.items.at(p.ref()).deleted() {
				return false
			}
		}
		return true
	}
	return m.within(known, deleted), nil
}

// Contains tells whether update brings nothing to a document in the state of
// the snapshot (yjs/src/utils/Snapshot.js, snapshotContainsUpdate). It works
// within memory in proportion to the length of update. Errors match ErrInvalid
// or ErrLimit.
func (s Snapshot) Contains(update []byte, v Version) (bool, error) {
	var m message
	if err := m.decode(update, v, limitsOf(update)); err != nil {
		return false, err
	}
	known := func(client ClientID, _, to uint32) bool { return uint64(to) <= s.StateVector.Next(client) }
	return m.within(known, cover(s.Deleted).has), nil
}

// UpdateContains tells whether update brings nothing that state, an update of
// the same version, does not bring too. It works on bytes alone, within
// memory in proportion to their length. Errors match ErrInvalid or ErrLimit.
func UpdateContains(state, update []byte, v Version) (bool, error) {
	var have, m message
	if err := have.decode(state, v, limitsOf(state)); err != nil {
		return false, err
	}
	if err := m.decode(update, v, limitsOf(update)); err != nil {
		return false, err
	}
	var written, deleted cover
	for _, s := range have.sections {
		for _, b := range have.blocks[s.first : s.first+s.n] {
			if b.kind != kindSkip {
				written = append(written, Range{have.clients[s.client], uint64(b.clock), uint64(b.length)})
			}
		}
	}
	for _, r := range have.rawDeletes() {
		deleted = append(deleted, Range{r.client, uint64(r.clock), uint64(r.length)})
	}
	written.join()
	deleted.join()
	return m.within(written.has, deleted.has), nil
}

// within tells whether all that the message writes and deletes is known.
func (m *message) within(written, deleted func(client ClientID, from, to uint32) bool) bool {
	for _, s := range m.sections {
		for _, b := range m.blocks[s.first : s.first+s.n] {
			if b.kind != kindSkip && !written(m.clients[s.client], b.clock, b.end()) {
				return false
			}
		}
	}
	for _, r := range m.deletes {
		if !deleted(m.clients[r.client], r.clock, r.clock+r.length) {
			return false
		}
	}
	return true
}

// cover is a set of ranges, sorted by descending client and ascending clock,
// that neither overlap nor touch.
type cover []Range

func compareRanges(a, b Range) int {
	return cmp.Or(cmp.Compare(b.Client, a.Client), cmp.Compare(a.Clock, b.Clock))
}

// join sorts the ranges and joins those that touch.
func (c *cover) join() {
	slices.SortFunc(*c, compareRanges)
	out := (*c)[:0]
	for _, r := range *c {
		if n := len(out); n > 0 && out[n-1].Client == r.Client && out[n-1].end() >= r.Clock {
			out[n-1].Len = max(out[n-1].end(), r.end()) - out[n-1].Clock
		} else {
			out = append(out, r)
		}
	}
	*c = out
}

// has tells whether the clocks [from, to) of a client lie in one range.
func (c cover) has(client ClientID, from, to uint32) bool {
	n, ok := slices.BinarySearchFunc(c, Range{Client: client, Clock: uint64(from)}, compareRanges)
	if !ok {
		n--
	}
	return n >= 0 && c[n].Client == client && uint64(to) <= c[n].end()
}
