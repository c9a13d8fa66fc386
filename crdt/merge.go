package crdt

import (
	"cmp"
	"slices"
)

// MergeUpdates returns one update that has the effect of all. It works on
// bytes alone, without a document: what depends on each other may be missing,
// gaps are kept as such, and runs are joined less than in a document. The
// result is what yjs' mergeUpdates returns; it aliases a single input.
func MergeUpdates(v Version, updates ...[]byte) ([]byte, error) {
	return mergeUpdates(v, limitsOf, updates)
}

func mergeUpdates(v Version, limits func([]byte) Limits, updates [][]byte) ([]byte, error) {
	if len(updates) == 1 {
		var m message
		return updates[0], m.decode(updates[0], v, limits(updates[0]))
	}
	msgs := make([]message, len(updates))
	for i, u := range updates {
		if err := msgs[i].decode(u, v, limits(u)); err != nil {
			return nil, err
		}
	}
	g := merger{w: newWriter(v)}
	for i := range msgs {
		if c := (&mergeCursor{m: &msgs[i]}); c.settle() {
			g.cursors = append(g.cursors, c)
		}
	}
	g.run()
	g.out.write(g.w)
	var sets [][]rawDeletion
	for i := range msgs {
		sets = append(sets, msgs[i].rawDeletes())
	}
	g.w.deletions(mergeDeletions(sets...))
	return g.w.finish(nil), nil
}

// DiffUpdate returns the part of an update that since does not know, and all
// its deletions.
func DiffUpdate(update []byte, since StateVector, v Version) ([]byte, error) {
	return diffUpdate(update, since, v, v, limitsOf(update))
}

// ConvertUpdate returns an update in another version.
func ConvertUpdate(update []byte, from, to Version) ([]byte, error) {
	var m message
	if err := m.decode(update, from, limitsOf(update)); err != nil {
		return nil, err
	}
	var out lazyBlocks
	for _, s := range m.sections {
		for i := range m.blocks[s.first : s.first+s.n] {
			out.add(&m, m.clients[s.client], m.blocks[int(s.first)+i], 0)
		}
	}
	w := newWriter(to)
	out.write(w)
	w.deletions(m.rawDeletes())
	return w.finish(nil), nil
}

// StateVectorOf returns the state vector of an update that stands alone: of
// each author the clocks from 0 to the first gap.
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
	var out lazyBlocks
	for _, s := range m.sections {
		client := m.clients[s.client]
		known := uint32(min(since.Next(client), maxClock))
		started := false
		for _, b := range m.blocks[s.first : s.first+s.n] {
			switch {
			case started:
				out.add(&m, client, b, 0)
			case b.kind == kindSkip || b.end() <= known: // the first one written is no gap
			default:
				started = true
				out.add(&m, client, b, max(known, b.clock)-b.clock)
			}
		}
	}
	w := newWriter(to)
	out.write(w)
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

// lazyBlocks collects blocks of several messages until their number is known.
type lazyBlocks []lazyBlock

type lazyBlock struct {
	m      *message
	client ClientID
	b      block
	skip   uint32
}

func (l *lazyBlocks) add(m *message, client ClientID, b block, skip uint32) {
	*l = append(*l, lazyBlock{m, client, b, skip})
}

// write writes the blocks, one section for each run of one client.
func (l lazyBlocks) write(w *writer) {
	sections := uint64(0)
	for i := range l {
		if i == 0 || l[i].client != l[i-1].client {
			sections++
		}
	}
	w.uint(sections)
	for len(l) > 0 {
		n := 1
		for n < len(l) && l[n].client == l[0].client {
			n++
		}
		w.section(n, l[0].client, l[0].b.clock+l[0].skip)
		for i := range l[:n] {
			w.block(l[i].m, l[i].client, &l[i].b, l[i].skip)
		}
		l = l[n:]
	}
}

// mergeCursor walks the blocks of one message, leaving out gaps.
type mergeCursor struct {
	m       *message
	section int
	i       int32
}

// settle steps over gaps and to the next section; false at the end.
func (c *mergeCursor) settle() bool {
	for c.section < len(c.m.sections) {
		s := &c.m.sections[c.section]
		for ; c.i < s.n; c.i++ {
			if c.m.blocks[s.first+c.i].kind != kindSkip {
				return true
			}
		}
		c.section, c.i = c.section+1, 0
	}
	return false
}

func (c *mergeCursor) advance() bool {
	c.i++
	return c.settle()
}

func (c *mergeCursor) block() *block {
	return &c.m.blocks[c.m.sections[c.section].first+c.i]
}

func (c *mergeCursor) client() ClientID {
	return c.m.clients[c.m.sections[c.section].client]
}

// merger merges the blocks of several messages in the order in which yjs does
// (yjs/src/utils/updates.js, mergeUpdatesV2).
type merger struct {
	cursors []*mergeCursor // by descending client, ascending clock of their block
	out     lazyBlocks
	w       *writer
	curr    lazyBlock // not yet written, once has
	has     bool
}

func compareCursors(a, b *mergeCursor) int {
	if x, y := a.client(), b.client(); x != y {
		return cmp.Compare(y, x)
	}
	return cmp.Compare(a.block().clock, b.block().clock)
}

func (g *merger) run() {
	slices.SortStableFunc(g.cursors, compareCursors)
	for len(g.cursors) > 0 {
		if g.step(g.cursors[0]) {
			g.reinsert()
		} else {
			g.cursors = g.cursors[1:]
		}
	}
	g.flush()
}

// reinsert moves the first cursor, the only one that stepped, to its place:
// before those that are equal, where a stable sort leaves it.
func (g *merger) reinsert() {
	c := g.cursors[0]
	n, _ := slices.BinarySearchFunc(g.cursors[1:], c, compareCursors)
	copy(g.cursors, g.cursors[1:1+n])
	g.cursors[n] = c
}

func (g *merger) flush() {
	if g.has {
		g.out = append(g.out, g.curr)
	}
	g.has = false
}

// step takes what it can from the cursor that is first; false when that is at its end.
func (g *merger) step(c *mergeCursor) bool {
	client := c.client()
	taken := true
	if g.has {
		stepped := false
		for c.block().end() <= g.curr.b.end() && c.client() >= g.curr.client {
			stepped = true
			if !c.advance() {
				return false
			}
		}
		if c.client() != client || stepped && c.block().clock > g.curr.b.end() {
			return true
		}
		taken = g.join(c)
	} else {
		g.take(c)
	}
	if taken && !c.advance() {
		return false
	}
	for c.client() == client && c.block().clock == g.curr.b.end() {
		g.take(c)
		if !c.advance() {
			return false
		}
	}
	return true
}

// take makes the cursor's block the one to write next.
func (g *merger) take(c *mergeCursor) {
	g.flush()
	g.curr, g.has = lazyBlock{m: c.m, client: c.client(), b: *c.block()}, true
}

// join puts the cursor's block behind the current one: a gap between them
// becomes a Skip, an overlap is cut off. It tells whether the block was taken.
func (g *merger) join(c *mergeCursor) bool {
	b := c.block()
	cur := &g.curr.b
	if c.client() != g.curr.client {
		g.take(c)
		return true
	}
	if cur.end() < b.clock {
		if cur.kind == kindSkip {
			cur.length = b.end() - cur.clock
			return false
		}
		gap := block{kind: kindSkip, clock: cur.end(), length: b.clock - cur.end(), origin: noID, ror: noID}
		m := g.curr.m
		g.flush()
		g.curr, g.has = lazyBlock{m: m, client: c.client(), b: gap}, true
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
