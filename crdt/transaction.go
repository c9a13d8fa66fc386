package crdt

import (
	"cmp"
	"slices"
)

// transaction is what one call changes; closing it collects what was deleted
// and merges neighbours (yjs/src/utils/Transaction.js, cleanupTransactions).
type transaction struct {
	changes
	n       uint64  // number of this transaction, stamps clients and types
	touched []int32 // clients that wrote
	wrote   []int32 // scratch: those of them that have something new
	texts   []int32 // typed texts that changed
	deleted []int32 // clients of deleted ranges in order of their first, see cleanup.go
	frames  []frame // scratch of walks over nested types
	erased  int     // of deletes: those that are done with, see erase.go
	moved   int     // bytes of contents that were copied to merge
	tidied  bool    // closing the transaction deleted formats
}

// changes collects deletions and the structs to look at when it is closed.
type changes struct {
	deletes []deletion // sorted and merged by sortDeletes
	merge   []id       // right parts of splits and others that may merge again
	cleanup bool       // the clean-up after a transaction: all structs are older than it

	// With observers only: which lists of types changed, in the order of their first change.
	changed []typeKey
	seen    map[typeKey]struct{}
}

func (d *Doc) begin() {
	d.mustBeEditable()
	d.tx.n++
	d.tx.touched, d.tx.texts = d.tx.touched[:0], d.tx.texts[:0]
	d.tx.deletes, d.tx.merge = d.tx.deletes[:0], d.tx.merge[:0]
	d.tx.erased, d.tx.moved = 0, 0
	d.tx.tidied, d.tx.changed, d.tx.seen = false, nil, nil
}

// older tells whether a struct existed before the transaction.
func (d *Doc) older(ch *changes, it *item) bool {
	c := &d.clients[it.client()]
	return ch.cleanup || c.touched != d.tx.n || it.clock < c.before
}

// markChanged remembers, when its list changes, a typed text whose formatting
// may have to be tidied up: one that is older than the transaction and not deleted.
func (d *Doc) markChanged(ch *changes, l int32) {
	if d.watch != nil {
		d.noteChanged(ch, l)
	}
	t := d.lists[l].typ
	ty := &d.types[t]
	if ch.cleanup || !ty.kind.isText() || ty.changed == d.tx.n {
		return
	}
	if ty.item != 0 {
		if it := d.items.at(ty.item); it.deleted() || !d.older(ch, it) {
			return
		}
	}
	ty.changed = d.tx.n
	d.tx.texts = append(d.tx.texts, t)
}

// frame is one level of a walk over nested types.
type frame struct {
	typ   int32
	child ref   // next child to visit
	entry int32 // next map entry to visit
}

func (d *Doc) frameOf(t int32) frame {
	f := frame{typ: t, entry: d.types[t].entry}
	if l := d.types[t].children; l != noList {
		f.child = d.lists[l].first
	}
	return f
}

// nextChild returns the next child of a frame: the sequence, then the current value of each key.
func (d *Doc) nextChild(f *frame) ref {
	if r := f.child; r != 0 {
		f.child = d.items.at(r).right
		return r
	}
	for f.entry != noList {
		l := &d.lists[f.entry]
		f.entry = l.next
		if l.last != 0 {
			return l.last
		}
	}
	return 0
}

// deleteItem marks an item and all that it holds as deleted.
func (d *Doc) deleteItem(ch *changes, r ref) {
	if !d.markDeleted(ch, r) {
		return
	}
	stack := append(d.tx.frames[:0], d.frameOf(int32(d.items.at(r).body)))
	for len(stack) > 0 {
		f := &stack[len(stack)-1]
		child := d.nextChild(f)
		if child == 0 {
			d.types[f.typ].changed = 0
			stack = stack[:len(stack)-1]
			continue
		}
		if it := d.items.at(child); !it.deleted() {
			if d.markDeleted(ch, child) {
				stack = append(stack, d.frameOf(int32(it.body)))
			}
		} else if d.older(ch, it) {
			ch.merge = append(ch.merge, it.first())
		}
	}
	d.tx.frames = stack
}

// markDeleted marks one item as deleted and tells whether it holds a type.
func (d *Doc) markDeleted(ch *changes, r ref) (holdsType bool) {
	it := d.items.at(r)
	if it.deleted() {
		return false
	}
	it.tag |= flagDeleted
	if it.list == d.caret.list {
		d.caret = caret{}
	}
	d.marks.changed(it.list)
	if it.countable() {
		d.lists[it.list].units -= it.length
	}
	ch.deletes = append(ch.deletes, deletion{it.client(), it.clock, it.length})
	d.markChanged(ch, it.list)
	return it.kind() == kindType
}

// applyDeletes deletes ranges, given with the clients of the message, as far
// as they are known and appends the others to rest
// (yjs/src/utils/DeleteSet.js, readAndApplyDeleteSet).
func (a *applier) applyDeletes(deletes []deletion, rest []rawDeletion) []rawDeletion {
	d := a.d
	for _, r := range deletes {
		client := a.doc[r.client]
		next := uint32(0)
		if client != noClient {
			next = d.clients[client].next
		}
		end := r.clock + r.length
		if end > next {
			from := max(r.clock, next)
			rest = append(rest, rawDeletion{a.m.clients[r.client], from, end - from})
		}
		if r.clock < next {
			d.deleteRange(client, r.clock, min(end, next))
		}
	}
	return rest
}

// deleteRange deletes the units [clock, end) of a client, all known.
func (d *Doc) deleteRange(client int32, clock, end uint32) {
	x := &d.clients[client].index
	p := x.find(clock)
	if it := d.items.at(p.ref()); !it.deleted() && it.clock < clock {
		d.split(p, clock-it.clock)
	}
	for clock < end {
		p = x.find(clock)
		r := p.ref()
		it := d.items.at(r)
		if !it.deleted() {
			if end < it.end() {
				d.split(p, end-it.clock)
			}
			d.deleteItem(&d.tx.changes, r)
		}
		clock = it.end()
	}
}

// commit closes the transaction.
func (d *Doc) commit(local bool) {
	if d.watch != nil {
		d.commitWatched(local)
		return
	}
	ch := &d.tx.changes
	if d.tx.onlyErased() {
		sortDeletes(&ch.deletes)
		d.compactWasteful(ch)
		return
	}
	cleanup := changes{cleanup: true}
	if !local && d.needsCleanup() {
		d.noteDeleted()
		sortDeletes(&ch.deletes)
		d.cleanupFormats(&cleanup)
	} else {
		sortDeletes(&ch.deletes)
	}
	d.collect(ch)
	d.mergeDeleted(ch)
	for _, c := range d.tx.touched {
		d.mergeWritten(&d.clients[c])
	}
	d.mergeListed(ch)
	if len(cleanup.deletes) > 0 || len(cleanup.merge) > 0 {
		sortDeletes(&cleanup.deletes)
		d.collect(&cleanup)
		d.mergeDeleted(&cleanup)
		d.mergeListed(&cleanup)
		ch.deletes = append(ch.deletes, cleanup.deletes...)
		d.tx.tidied = len(cleanup.deletes) > 0
		sortDeletes(&ch.deletes)
	}
	d.compactWasteful(ch)
}

// compactWasteful compacts the slabs of clients whose structs were deleted or split, where it pays.
func (d *Doc) compactWasteful(ch *changes) {
	last := int32(noClient)
	look := func(client int32) {
		if client != last && d.wasteful(&d.clients[client]) {
			d.compact(&d.clients[client])
		}
		last = client
	}
	for _, r := range ch.deletes {
		look(r.client)
	}
	for _, i := range ch.merge {
		look(i.client)
	}
}

// wasteful tells whether compacting a client's slab pays: a good part of it is
// unused, and each struct visited on the way wins two bytes.
func (d *Doc) wasteful(c *client) bool {
	return c.dead > compactMin && c.dead > len(c.slab)/4 && c.dead > 2*c.index.countFrom(c.index.start())
}

// sortDeletes sorts ranges and joins those that touch.
func sortDeletes(p *[]deletion) {
	s := *p
	if len(s) < 2 {
		return
	}
	slices.SortFunc(s, func(a, b deletion) int {
		if a.client != b.client {
			return cmp.Compare(a.client, b.client)
		}
		return cmp.Compare(a.clock, b.clock)
	})
	out := s[:1]
	for _, r := range s[1:] {
		last := &out[len(out)-1]
		if last.client == r.client && last.clock+last.length >= r.clock {
			last.length = max(last.length, r.clock+r.length-last.clock)
		} else {
			out = append(out, r)
		}
	}
	*p = out
}

// collect drops the content of what was deleted.
func (d *Doc) collect(ch *changes) {
	if d.opts.KeepDeleted {
		return
	}
	for i := len(ch.deletes) - 1; i >= 0; i-- {
		r := ch.deletes[i]
		end := r.clock + r.length
		for p := d.clients[r.client].index.find(r.clock); p.ok() && p.clock() < end; p = p.next() {
			if it := d.items.at(p.ref()); !it.isGC() && it.deleted() && !it.keep() {
				d.collectItem(it)
			}
		}
	}
}

// collectItem drops the content of a deleted item; what a type held becomes
// collected ranges, whose place is forgotten too.
func (d *Doc) collectItem(it *item) {
	if it.kind() != kindType {
		d.dropContent(it)
		it.setKind(kindDeleted)
		return
	}
	stack := append(d.tx.frames[:0], frame{typ: int32(it.body)})
	it.body = 0
	it.setKind(kindDeleted)
	for len(stack) > 0 {
		t := stack[len(stack)-1].typ
		stack = stack[:len(stack)-1]
		ty := &d.types[t]
		if ty.children != noList {
			stack = d.collectList(ty.children, stack)
		}
		for l := ty.entry; l != noList; l = d.lists[l].next {
			stack = d.collectList(l, stack)
			delete(d.entries, uint64(t)<<32|uint64(d.lists[l].key))
		}
		ty.item, ty.children, ty.entry, ty.lastEntry = -1, noList, noList, noList
	}
	d.tx.frames = stack
}

// collectList turns all items of a list into collected ranges and pushes the types they held.
func (d *Doc) collectList(l int32, stack []frame) []frame {
	if d.hot.list == l {
		d.forget()
	}
	for r := d.lists[l].first; r != 0; {
		it := d.items.at(r)
		next := it.right
		if it.kind() == kindType {
			stack = append(stack, frame{typ: int32(it.body)})
		} else {
			d.dropContent(it)
		}
		d.items.dropEnds(r)
		*it = item{
			clock: it.clock, length: it.length, list: noList,
			tag: it.tag&^(kindMask|flagWide|flagKeep) | flagsGC,
		}
		r = next
	}
	d.lists[l].first, d.lists[l].last, d.lists[l].units = 0, 0, 0
	if d.caret.list == l {
		d.caret = caret{}
	}
	d.marks.changed(l)
	return stack
}

// mergeDeleted tries to merge the structs of deleted ranges and the one behind each.
func (d *Doc) mergeDeleted(ch *changes) {
	for i := len(ch.deletes) - 1; i >= 0; i-- {
		r := ch.deletes[i]
		c := &d.clients[r.client]
		p := c.index.find(r.clock + r.length - 1)
		if next := p.next(); next.ok() {
			p = next
		}
		d.mergeDown(c, p, r.clock)
	}
}

// mergeWritten tries to merge what a client wrote, and the first of it with what was before.
func (d *Doc) mergeWritten(c *client) {
	if c.before == c.next {
		return
	}
	first := c.index.find(c.before).clock()
	d.mergeDown(c, c.index.end(), first)
}

// mergeDown tries to merge each struct from p down to the one at clock low with its left neighbours.
func (d *Doc) mergeDown(c *client, p pos, low uint32) {
	for p.hasPrev() && p.clock() >= low {
		if q := p.prev(); !d.sideBySide(q.ref(), p.ref()) {
			p = q
			continue
		}
		if n := d.mergeLeft(c, p); n > 0 {
			clock := d.items.at(d.survivor).clock
			p = c.index.find(clock)
			if !p.hasPrev() {
				return
			}
		}
		p = p.prev()
	}
}

// sideBySide tells whether two structs that follow each other by clock may be
// one: it looks only at what is quickly seen.
func (d *Doc) sideBySide(left, right ref) bool {
	l, r := d.items.at(left), d.items.at(right)
	return (l.tag^r.tag)&(kindMask|flagDeleted) == 0 && (l.right == right || l.isGC())
}

// mergeListed tries to merge the structs that were split or uncovered.
func (d *Doc) mergeListed(ch *changes) {
	for i := len(ch.merge) - 1; i >= 0; i-- {
		c := &d.clients[ch.merge[i].client]
		p := c.index.find(ch.merge[i].clock)
		if next := p.next(); next.ok() {
			n := d.mergeLeft(c, next)
			if n > 1 {
				continue
			}
			p = c.index.find(ch.merge[i].clock)
		}
		if p.hasPrev() {
			d.mergeLeft(c, p)
		}
	}
}

// mergeLeft merges the struct at p into its left neighbour, that into the
// next, and so on as long as it works, and returns how many went.
func (d *Doc) mergeLeft(c *client, p pos) (merged int) {
	rightRef := p.ref()
	for q := p; q.hasPrev(); {
		q = q.prev()
		leftRef := q.ref()
		if !d.mergeItems(leftRef, rightRef) {
			break
		}
		rightRef = leftRef
		merged++
	}
	if merged > 0 {
		d.survivor = rightRef
		c.index.remove(p, merged)
	}
	return merged
}

// mergeItems appends right to left, its neighbour by clock, if they are one run
// (yjs/src/structs/Item.js, mergeWith).
func (d *Doc) mergeItems(leftRef, rightRef ref) bool {
	left, right := d.items.at(leftRef), d.items.at(rightRef)
	if (left.tag^right.tag)&(kindMask|flagDeleted) != 0 {
		return false
	}
	switch left.kind() {
	case kindGC:
		left.length += right.length
		d.items.release(rightRef)
		return true
	case kindString, kindDeleted, kindAny, kindJSON:
	default:
		return false
	}
	if left.right != rightRef || !d.items.followsLeft(rightRef, right) || !d.items.sameRor(leftRef, rightRef) {
		return false
	}
	if d.redone != nil && (d.redone.has(left.first()) || d.redone.has(right.first())) {
		return false
	}
	if d.hot.list == right.list && d.isHot(rightRef) {
		d.forget()
	}
	if !d.joinContent(left, right, leftRef, rightRef) {
		return false
	}
	if d.marks.list == left.list && len(d.marks.at) > 0 {
		d.marks.merged(d, leftRef, rightRef)
	}
	if d.caret.at == rightRef {
		d.caret.at = leftRef
		if !left.deleted() && left.countable() {
			d.caret.index -= left.length
		}
	}
	left.tag |= right.tag & flagKeep
	d.items.joinEnds(leftRef, rightRef)
	left.right = right.right
	if left.right != 0 {
		d.items.at(left.right).left = leftRef
	} else {
		d.lists[left.list].last = leftRef
	}
	left.length += right.length
	d.items.release(rightRef)
	return true
}
