package crdt

import (
	"math/bits"
	"slices"
	"sort"
)

// A state that comes into an empty document needs little of what an update
// needs: nothing is known before, so its blocks become items one by one, side
// by side, and the index, the contents and the room for all of it can be laid
// out before the first is placed. What remains is the work that cannot be
// foreseen: the place of each item in its list, found in the order in which
// yjs integrates them.
//
// This is for states that are all there and fit together, as nearly all are.
// As soon as something else turns up the document is emptied again and the
// message left to the general way, which tells what is wrong, has to wait or
// costs too much.

// loader makes a message the content of an empty document. Block i becomes the
// item with the ref i+1.
type loader struct {
	*applier
	known   []uint32 // per section: first clock that is not placed yet
	finders []finder // per section
	settled []uint64 // per chunk, bit i: item i has its origins already
}

// finder finds blocks of one section by clock, as a rule without searching: for
// each 1<<shift clocks it has the block that covers the first of them.
type finder struct {
	shift  uint
	starts []int32
}

func newFinder(blocks []block) finder {
	end := blocks[len(blocks)-1].end()
	f := finder{}
	for int(end>>f.shift) > 2*len(blocks) {
		f.shift++
	}
	f.starts = make([]int32, end>>f.shift+1)
	n := 0
	for k := range blocks {
		for ; n < len(f.starts) && uint32(n)<<f.shift < blocks[k].end(); n++ {
			f.starts[n] = int32(k)
		}
	}
	return f
}

// nearby is the number of blocks up to which finder goes on one by one. Guessed.
const nearby = 8

// find returns the item of the section that covers a clock.
func (l *loader) find(section int32, clock uint32) ref {
	f, s := &l.finders[section], &l.m.sections[section]
	if f.shift == 0 {
		return ref(s.first + f.starts[clock] + 1)
	}
	n := int(clock >> f.shift)
	k, last := f.starts[n], s.n-1
	if n+1 < len(f.starts) {
		last = f.starts[n+1]
	}
	blocks := l.m.blocks[s.first : s.first+s.n]
	if last-k > nearby {
		k += int32(sort.Search(int(last-k), func(i int) bool { return blocks[int(k)+i].end() > clock }))
	}
	for blocks[k].end() <= clock {
		k++
	}
	return ref(s.first + k + 1)
}

// load makes a message the content of an empty document. It returns false when
// the message has to go the general way; the document is empty then.
func (a *applier) load(lim *Limits) bool {
	d := a.d
	if len(a.m.blocks) == 0 || !a.m.isWhole() {
		return false
	}
	l := &loader{applier: a, known: make([]uint32, len(a.m.sections)), finders: make([]finder, 0, len(a.m.sections))}
	a.list()
	l.layOut()
	d.items.loading = l
	d.steps = 0
	for {
		w, ok := a.next()
		if !ok {
			break
		}
		if !l.step(w) || d.steps > lim.Steps && !lim.stored {
			l.undo()
			return false
		}
	}
	d.items.loading = nil
	l.settleEnds()
	l.finish()
	return true
}

// separate makes collected ranges that were joined for load blocks of their own again.
func (a *applier) separate() {
	m := a.m
	if m.join = false; !m.fewer {
		return
	}
	if err := m.decode(m.src, m.version, m.lim); err != nil {
		panic("crdt: update that was decoded is " + err.Error())
	}
	a.start(a.d, m)
}

// isBlank tells whether there is nothing in the document, nobody looks on, and
// no root has formats to tidy up.
func (d *Doc) isBlank() bool {
	if d.items.used != 0 || len(d.clients)+len(d.lists) != 0 || len(d.types) != len(d.opts.Types) ||
		d.pending.structs != nil || len(d.pending.deletes) != 0 || d.watch != nil || d.redone != nil {
		return false
	}
	for _, kind := range d.opts.Types {
		if kind.isText() {
			return false
		}
	}
	return true
}

// isWhole tells whether all sections start at clock 0 and have no gap, and all
// that is deleted is there.
func (m *message) isWhole() bool {
	ends := make([]uint32, len(m.clients))
	for _, s := range m.sections {
		if s.n == 0 || m.blocks[s.first].clock != 0 {
			return false
		}
		ends[s.client] = m.blocks[s.first+s.n-1].end()
	}
	for i := range m.blocks {
		if m.blocks[i].kind == kindSkip {
			return false
		}
	}
	for _, r := range m.deletes {
		if r.clock+r.length > ends[r.client] {
			return false
		}
	}
	return true
}

// layOut makes the clients with their contents and indexes, and the items but
// for their places.
func (l *loader) layOut() {
	d, m := l.d, l.m
	d.items.reserve(len(m.blocks))
	l.settled = make([]uint64, len(d.items.chunks))
	d.clients = make([]client, 0, len(m.sections))
	for i := range m.sections {
		s := &m.sections[i]
		author := d.addClient(m.clients[s.client])
		l.doc[s.client] = author
		d.touch(author)
		c := &d.clients[author]
		blocks := m.blocks[s.first : s.first+s.n]
		c.slab = make([]byte, 0, m.contentSize(blocks))
		c.index.fill(blocks, ref(s.first)+1)
		c.next = blocks[len(blocks)-1].end()
		l.finders = append(l.finders, newFinder(blocks))
		for k := range blocks {
			l.item(ref(int(s.first)+k+1), author, c, &blocks[k])
		}
	}
}

// item makes an item of a block.
func (l *loader) item(r ref, author int32, c *client, b *block) {
	it := l.d.items.at(r)
	it.clock, it.length, it.list = b.clock, b.length, noList
	it.tag = uint32(author)<<clientShift | uint32(b.kind)
	switch b.kind {
	case kindGC:
		it.tag |= flagsGC
	case kindDeleted:
		it.tag |= flagDeleted
	case kindType:
		name := int32(-1)
		if b.typ == XMLElement || b.typ == XMLHook {
			name = l.d.names.intern(l.m.aux(b))
		}
		it.body = uint32(l.d.newType(b.typ, name, r))
	default:
		used := len(c.slab)
		body, flags := l.d.storeContent(c, l.m, b, 0)
		it.body = body
		it.tag |= flags
		if len(c.slab) > used {
			c.tail = r
		}
	}
}

// contentSize returns about the number of bytes that blocks take in a slab, and no less.
func (m *message) contentSize(blocks []block) (n int) {
	for i := range blocks {
		b := &blocks[i]
		switch b.kind {
		case kindGC, kindDeleted, kindType:
		case kindString, kindAny, kindJSON:
			n += int(b.body.end - b.body.start)
		default:
			n += 12 + len(m.content(b)) + len(m.aux(b)) // lengths, form
		}
	}
	return n
}

// step places a block, or lets it wait and goes on with the one it waits for.
// It returns false when that is not there or something does not fit.
func (l *loader) step(w waiting) bool {
	for {
		s := &l.m.sections[w.section]
		k := s.first + w.block
		b := &l.m.blocks[k]
		if l.known[w.section] != b.clock {
			return false // one before it in its section waits for something
		}
		miss, ok := l.lacks(b, s.client)
		if !ok {
			return false
		}
		if miss < 0 {
			l.known[w.section] = b.end()
			return b.kind == kindGC || l.place(b, k, s)
		}
		if l.places[miss] >= l.m.sections[miss].n {
			return false
		}
		l.stack = append(l.stack, w)
		w = l.take(miss)
	}
}

// lacks returns the section that a block waits for, or -1; ok is false when
// the message does not have it.
func (l *loader) lacks(b *block, client int32) (section int32, ok bool) {
	if b.flags&(hasOrigin|hasParentID) != 0 && b.origin.client != client {
		if n := l.of[b.origin.client]; n < 0 || b.origin.clock >= l.known[n] {
			return n, n >= 0
		}
	}
	if b.flags&hasRor != 0 && b.ror.client != client {
		if n := l.of[b.ror.client]; n < 0 || b.ror.clock >= l.known[n] {
			return n, n >= 0
		}
	}
	return -1, true
}

// place puts the item of block k, of section s, into its list, and tells whether it fits.
func (l *loader) place(b *block, k int32, s *section) bool {
	d := l.d
	r := ref(k + 1)
	p := placing{origin: noID, ror: noID, list: noList}
	if b.flags&hasOrigin != 0 {
		p.origin = id{l.doc[b.origin.client], b.origin.clock}
		if b.origin.client == s.client && b.origin.clock == b.clock-1 {
			p.left = r - 1
		} else {
			p.left = l.find(l.of[b.origin.client], b.origin.clock)
		}
		left := d.items.at(p.left)
		if left.end()-1 != p.origin.clock {
			return false
		}
		p.list = left.list // noList for a collected one
		if b.flags&hasRor == 0 && left.right == 0 && p.list != noList && b.kind != kindType {
			l.hang(r, p.left, left)
			return true
		}
	}
	if b.flags&hasRor != 0 {
		p.ror = id{l.doc[b.ror.client], b.ror.clock}
		p.right = l.find(l.of[b.ror.client], b.ror.clock)
		right := d.items.at(p.right)
		if right.clock != p.ror.clock || p.left != 0 && right.list != p.list {
			return false
		}
		p.list = right.list
	}
	if b.flags&(hasOrigin|hasRor) == 0 {
		p.list = l.parent(b)
	}
	if p.list == noList || b.kind == kindType && int(d.types[d.lists[p.list].typ].depth) >= d.opts.Limits.Types {
		return false
	}
	l.link(r, &p)
	return true
}

// hang is link for an item that comes behind the last one of its list, which is
// its origin: that is how maps are written. Its ends are what they will be
// until something comes between the two.
func (l *loader) hang(r, leftRef ref, left *item) {
	it := l.d.items.at(r)
	it.list, it.left = left.list, leftRef
	it.tag |= flagNoRor
	l.settled[r>>chunkBits] |= 1 << (r & (chunkLen - 1))
	left.right = r
	l.d.lists[it.list].last = r
	l.linked(r, it)
}

// parent returns the list of the parent that a block names, or noList.
func (l *loader) parent(b *block) int32 {
	d := l.d
	var t int32
	if b.flags&hasParentName != 0 {
		t = d.root(d.names.intern(l.m.bytes(b.rootName())))
	} else if it := d.items.at(l.find(l.of[b.origin.client], b.origin.clock)); it.kind() == kindType {
		t = int32(it.body)
	} else {
		return noList
	}
	if b.flags&hasKey != 0 {
		return d.entry(t, d.names.intern(l.m.bytes(b.key())))
	}
	return d.sequence(t)
}

// link is Doc.link for an item that is in the index.
func (l *loader) link(r ref, p *placing) {
	d := l.d
	it := d.items.at(r)
	list := &d.lists[p.list]
	it.list = p.list
	if d.crowded(p) {
		it.left = d.resolve(p, d.clients[it.client()].id)
	} else {
		it.left = p.left
	}
	if it.left != 0 {
		left := d.items.at(it.left)
		it.right = left.right
		left.right = r
	} else {
		it.right = list.first
		list.first = r
	}
	if it.right != 0 {
		d.items.at(it.right).left = r
		l.settled[it.right>>chunkBits] &^= 1 << (it.right & (chunkLen - 1))
	} else {
		list.last = r
	}
	l.linked(r, it)
}

// linked does what follows from an item's being in its list.
func (l *loader) linked(r ref, it *item) {
	d := l.d
	list := &d.lists[it.list]
	t := list.typ
	switch it.kind() {
	case kindDeleted:
	case kindFormat:
		d.types[t].formatted = true
	case kindType:
		d.types[it.body].depth = d.types[t].depth + 1
		list.units += it.length
	default:
		list.units += it.length
	}
	if len(d.hot.refs) > 0 && d.hot.list == it.list {
		d.linked(r, it)
	}
	if list.key != noKey && it.right == 0 && it.left != 0 {
		d.deleteItem(&d.tx.changes, it.left)
	}
	holder := d.types[t].item
	if holder != 0 && d.items.at(holder).deleted() || list.key != noKey && it.right != 0 {
		d.deleteItem(&d.tx.changes, r)
	}
}

// origin and ror are those of items.origin and items.ror while the items have none of their own.
func (l *loader) origin(r ref) id {
	if b := &l.m.blocks[r-1]; b.flags&hasOrigin != 0 {
		return id{l.doc[b.origin.client], b.origin.clock}
	}
	return noID
}

func (l *loader) ror(r ref) id {
	if b := &l.m.blocks[r-1]; b.flags&hasRor != 0 {
		return id{l.doc[b.ror.client], b.ror.clock}
	}
	return noID
}

// settleEnds gives the other items their origins.
func (l *loader) settleEnds() {
	a := &l.d.items
	l.settled[0] |= 1 // no item
	if n := a.used & (chunkLen - 1); n > 0 {
		l.settled[len(l.settled)-1] |= ^uint64(0) << n
	}
	open := 0
	for _, s := range l.settled {
		open += bits.OnesCount64(^s)
	}
	ids := make([]id, 0, open)
	cuts := make([]int, 0, 2*len(a.ends)) // where in ids those of each chunk end
	var rors [chunkLen]id
	for c := range a.ends {
		e := &a.ends[c]
		n := 0
		for todo := ^l.settled[c]; todo != 0; todo &= todo - 1 {
			i := bits.TrailingZeros64(todo)
			r := ref(c<<chunkBits + i)
			it := &a.chunks[c][i]
			if o := l.origin(r); o.client == noClient {
				it.tag |= flagNoOrigin
			} else if it.left == 0 || a.at(it.left).last() != o {
				e.origins.has |= 1 << i
				ids = append(ids, o)
			}
			if o := l.ror(r); o.client == noClient {
				it.tag |= flagNoRor
			} else if it.right == 0 || a.at(it.right).first() != o {
				e.rors.has |= 1 << i
				rors[n] = o
				n++
			}
		}
		cuts = append(cuts, len(ids))
		ids = append(ids, rors[:n]...)
		cuts = append(cuts, len(ids))
	}
	ids = slices.Clone(ids) // as long as it is
	from := 0
	take := func(to int) []id {
		part := ids[from:to:to]
		from = to
		return part
	}
	for c := range a.ends {
		a.ends[c].origins.ids = take(cuts[2*c])
		a.ends[c].rors.ids = take(cuts[2*c+1])
	}
}

// finish deletes what is deleted but still has its content, and closes the transaction.
func (l *loader) finish() {
	d := l.d
	for _, r := range l.m.deletes {
		client := l.doc[r.client]
		end := r.clock + r.length
		x := &d.clients[client].index
		for p := x.find(r.clock); p.ok() && p.clock() < end; p = p.next() {
			if !d.items.at(p.ref()).deleted() {
				d.deleteRange(client, r.clock, end)
				break
			}
		}
	}
	ch := &d.tx.changes
	sortDeletes(&ch.deletes)
	d.collect(ch)
	for c := range d.clients {
		d.mergeWritten(&d.clients[c])
	}
	d.compactWasteful(ch)
}

// undo empties the document and prepares for the general way.
func (l *loader) undo() {
	d, m := l.d, l.m
	d.items.loading = nil
	d.reset()
	d.tx = transaction{n: d.tx.n}
	l.start(d, m)
}
