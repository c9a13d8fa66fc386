package crdt

// MergeUpdates returns one update that has the effect of all. It works on
// bytes alone, without a document: what depends on each other may be missing,
// gaps are kept as such, and runs are joined less than in a document. The
// result is what yjs' mergeUpdates returns; it aliases a single input and
// otherwise belongs to the caller, as with the functions below. Errors match
// ErrInvalid or ErrLimit.
func MergeUpdates(v Version, updates ...[]byte) ([]byte, error) {
	return mergeUpdates(v, limitsOf, updates)
}

func mergeUpdates(v Version, limits func([]byte) Limits, updates [][]byte) ([]byte, error) {
	if len(updates) == 1 {
		var m message
		return updates[0], m.decode(updates[0], v, limits(updates[0]))
	}
	in := mergeInput{updates: updates}
	if err := in.decode(v, limits); err != nil {
		return nil, err
	}
	w := newWriter(v)
	g := merger{in: &in, out: sectionWriter{w: w}}
	g.run()
	w.deletions(joinDeletions(in.rawDeletes()))
	return w.finish(nil), nil
}

// DiffUpdate returns the part of an update that since does not know, and all
// its deletions. It works on bytes alone. Errors match ErrInvalid or ErrLimit.
func DiffUpdate(update []byte, since StateVector, v Version) ([]byte, error) {
	return diffUpdate(update, since, v, v, limitsOf(update))
}

// ConvertUpdate returns an update in another version. It works on bytes alone.
// Errors match ErrInvalid or ErrLimit.
func ConvertUpdate(update []byte, from, to Version) ([]byte, error) {
	var m message
	if err := m.decode(update, from, limitsOf(update)); err != nil {
		return nil, err
	}
	w := newWriter(to)
	out := sectionWriter{w: w}
	for _, s := range m.sections {
		for i := range m.blocks[s.first : s.first+s.n] {
			out.block(&m, m.clients[s.client], &m.blocks[int(s.first)+i], 0)
		}
	}
	out.close()
	w.deletions(m.rawDeletes())
	return w.finish(nil), nil
}

// StateVectorOf returns the state vector of an update that stands alone: of
// each author the clocks from 0 to the first gap. Errors match ErrInvalid or
// ErrLimit.
func StateVectorOf(update []byte, v Version) (StateVector, error) {
	var m message
	if err := m.decode(update, v, limitsOf(update)); err != nil {
		return nil, err
	}
	var sv StateVector
	for _, s := range m.sections {
		next := uint32(0)
		for _, b := range m.blocks[s.first : s.first+s.n] {
			if b.clock != next || b.kind == kindSkip {
				break
			}
			next = b.end()
		}
		if next > 0 {
			sv = append(sv, Clock{m.clients[s.client], uint64(next)})
		}
	}
	return sv.normalize(), nil
}

// mustMerge merges updates that this package encoded.
func mustMerge(v Version, updates ...[]byte) []byte {
	u, err := mergeUpdates(v, ownLimits, updates)
	if err != nil {
		panic("crdt: update of our own does not decode: " + err.Error())
	}
	return u
}

func diffUpdate(update []byte, since StateVector, from, to Version, lim Limits) ([]byte, error) {
	var m message
	if err := m.decode(update, from, lim); err != nil {
		return nil, err
	}
	w := newWriter(to)
	out := sectionWriter{w: w}
	for _, s := range m.sections {
		client := m.clients[s.client]
		known := uint32(min(since.Next(client), maxClock))
		started := false
		for i := range m.blocks[s.first : s.first+s.n] {
			b := &m.blocks[int(s.first)+i]
			switch {
			case started:
				out.block(&m, client, b, 0)
			case b.kind == kindSkip || b.end() <= known: // the first one written is no gap
			default:
				started = true
				out.block(&m, client, b, max(known, b.clock)-b.clock)
			}
		}
	}
	out.close()
	w.deletions(m.rawDeletes())
	return w.finish(nil), nil
}

// rawDeletes returns the deleted ranges of a message with their authors spelled out.
func (m *message) rawDeletes() []rawDeletion {
	out := make([]rawDeletion, len(m.deletes))
	for i, r := range m.deletes {
		out[i] = rawDeletion{m.clients[r.client], r.clock, r.length}
	}
	return out
}

// merger merges the blocks of several updates in the order in which yjs does
// (yjs/src/utils/updates.js, mergeUpdatesV2).
type merger struct {
	in   *mergeInput
	out  sectionWriter
	curr mergeBlock // not yet written, once has
	has  bool
}

// mergeBlock is a block on its way out, without its first skip units.
type mergeBlock struct {
	update int32
	client ClientID
	b      block
	skip   uint32
}

func (g *merger) run() {
	order := g.in.ordered()
	for c := order.next(false); c != nil; {
		c = order.next(!g.step(c))
	}
	g.flush()
	g.out.close()
}

// flush writes the current block.
func (g *merger) flush() {
	if g.has {
		g.out.block(g.in.of(g.curr.update), g.curr.client, &g.curr.b, g.curr.skip)
	}
	g.has = false
}

// step takes what it can from the cursor that is first; false when that is at its end.
func (g *merger) step(c *mergeCursor) bool {
	client := c.client
	taken := true
	if g.has {
		stepped := false
		for g.in.at(c).end() <= g.curr.b.end() && c.client >= g.curr.client {
			stepped = true
			if !g.in.advance(c) {
				return false
			}
		}
		if c.client != client || stepped && c.clock > g.curr.b.end() {
			return true
		}
		taken = g.join(c)
	} else {
		g.take(c)
	}
	if taken && !g.in.advance(c) {
		return false
	}
	for c.client == client && c.clock == g.curr.b.end() {
		g.take(c)
		if !g.in.advance(c) {
			return false
		}
	}
	return true
}

// take makes the cursor's block the one to write next.
func (g *merger) take(c *mergeCursor) {
	g.flush()
	g.curr, g.has = mergeBlock{update: c.update, client: c.client, b: *g.in.at(c)}, true
}

// join puts the cursor's block behind the current one: a gap between them
// becomes a Skip, an overlap is cut off. It tells whether the block was taken.
func (g *merger) join(c *mergeCursor) bool {
	b := g.in.at(c)
	cur := &g.curr.b
	if c.client != g.curr.client {
		g.take(c)
		return true
	}
	if cur.end() < b.clock {
		if cur.kind == kindSkip {
			cur.length = b.end() - cur.clock
			return false
		}
		gap := block{kind: kindSkip, clock: cur.end(), length: b.clock - cur.end(), origin: noID, ror: noID}
		g.flush()
		g.curr, g.has = mergeBlock{update: c.update, client: c.client, b: gap}, true
		return false
	}
	skip := cur.end() - b.clock
	if skip > 0 && cur.kind == kindSkip {
		cur.length -= skip
		skip = 0
	}
	if cur.kind == kindGC && b.kind == kindGC {
		cur.length += b.length - skip
		return false
	}
	g.take(c)
	g.curr.skip = skip
	return true
}
