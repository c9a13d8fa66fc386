package crdt

import "slices"

// yata is the scratch memory of the conflict scan and of merging.
type yata struct {
	steps    int // items scanned since a message entered
	scanned  []ref
	passed   []ref       // by a scan from the other end, see resolve.go
	where    map[ref]int // of scanned, once it is long
	survivor ref         // what the last merge left
}

// manyScanned is the number of scanned items up to which they are searched one by one.
const manyScanned = 48

// placing is where a block goes: what stands at its origins today.
type placing struct {
	left, right ref
	origin, ror id
	list        int32 // noList: the parent is gone, only a collected range remains
}

// between returns the place between two neighbours of a list, either of which may be 0.
func (d *Doc) between(list int32, left, right ref) placing {
	p := placing{left: left, right: right, origin: noID, ror: noID, list: list}
	if left != 0 {
		p.origin = d.items.at(left).last()
	}
	if right != 0 {
		p.ror = d.items.at(right).first()
	}
	return p
}

// missing returns the client whose structs a block waits for, as an index of
// m.clients, or noClient (yjs/src/structs/Item.js, getMissing).
func (a *applier) missing(b *block, client int32) int32 {
	lacks := func(i id) bool {
		if i.client == client {
			return false // decoding made sure that it is earlier
		}
		c := a.doc[i.client]
		return c == noClient || i.clock >= a.d.clients[c].next
	}
	switch {
	case b.flags&hasOrigin != 0 && lacks(b.origin):
		return b.origin.client
	case b.flags&hasRor != 0 && lacks(b.ror):
		return b.ror.client
	case b.flags&hasParentID != 0 && lacks(b.origin):
		return b.origin.client
	}
	return noClient
}

// place splits items at the origins of a block and finds its list. All the
// block refers to must be known.
func (a *applier) place(b *block) placing {
	d := a.d
	p := placing{origin: noID, ror: noID, list: noList}
	collected := false
	if b.flags&hasOrigin != 0 {
		p.left = d.cleanEnd(id{a.doc[b.origin.client], b.origin.clock})
		left := d.items.at(p.left)
		p.origin = left.last()
		collected = left.isGC()
	}
	if b.flags&hasRor != 0 {
		p.right = d.cleanStart(id{a.doc[b.ror.client], b.ror.clock})
		right := d.items.at(p.right)
		p.ror = right.first()
		if p.left != 0 && !collected && d.items.at(p.left).last() != p.origin && a.apart(b) {
			p.left = d.cleanEnd(p.origin)
		}
		collected = collected || right.isGC()
		if !collected && p.left != 0 && d.items.at(p.left).list != right.list {
			a.bad, collected = errMixed, true
		}
	}
	switch {
	case collected:
	case b.flags&(hasParentID|hasParentName) != 0:
		t := int32(-1)
		if b.flags&hasParentName != 0 {
			name := a.m.bytes(b.rootName())
			t = d.root(d.names.intern(name))
		} else if it := d.items.at(d.find(id{a.doc[b.origin.client], b.origin.clock})); it.kind() == kindType {
			t = int32(it.body)
		} else if !mayHoldChildren(it.kind()) {
			a.bad = errParent
		}
		if t < 0 {
			break // the parent has been collected
		}
		if b.flags&hasKey != 0 {
			p.list = d.entry(t, d.names.intern(a.m.bytes(b.key())))
		} else {
			p.list = d.sequence(t)
		}
	case p.left != 0:
		p.list = d.items.at(p.left).list
	case p.right != 0:
		p.list = d.items.at(p.right).list
	}
	return p
}

// apart tells whether the right origin of a block, one of the run of text that
// its origin ends, does not cut the item of that in yjs, which does not merge
// before the transaction ends: extend put what came with this message to the run.
// Splitting one item at both leaves yjs with the first part on the left.
func (a *applier) apart(b *block) bool {
	c := &a.d.clients[a.doc[b.origin.client]]
	if c.touched != a.d.tx.n || b.origin.clock < c.before {
		return false
	}
	k := a.blockOf(b.origin)
	return k >= 0 && b.ror.clock <= max(a.m.blocks[k].clock, c.before)
}

// extend appends a block of text to the last run of its author when that is
// what integrating and merging would come to. This is how people type.
// Onlookers need to see what is new as an item of its own, and so does what
// waits and is tried again in this transaction (see apart).
func (a *applier) extend(b *block, client int32) bool {
	d := a.d
	c := &d.clients[client]
	if d.watch != nil || d.pending.structs != nil || b.kind != kindString || b.flags&hasOrigin == 0 || b.clock == 0 ||
		a.doc[b.origin.client] != client || b.origin.clock != b.clock-1 || c.tail == 0 {
		return false
	}
	it := d.items.at(c.tail)
	if it.end() != b.clock || it.kind() != kindString || it.deleted() || d.lists[it.list].key != noKey {
		return false
	}
	if b.flags&hasRor == 0 {
		if it.tag&flagNoRor == 0 || it.right != 0 {
			return false
		}
	} else {
		ror := id{a.doc[b.ror.client], b.ror.clock}
		if it.right == 0 || d.items.at(it.right).first() != ror || !d.items.precedesRight(c.tail, it) {
			return false
		}
		d.items.pinLeft(c.tail, it.right)
	}
	_, flags := d.storeContent(c, a.m, b, 0)
	it.tag |= flags
	it.length += b.length
	d.lists[it.list].units += b.length
	c.next += b.length
	d.marks.changed(it.list)
	d.markChanged(&d.tx.changes, it.list)
	return true
}

// integrate makes a block part of the document, without its first skip units,
// which are known already. It cannot fail.
func (a *applier) integrate(b *block, client int32, skip uint32) {
	d := a.d
	d.touch(client)
	if b.kind == kindGC {
		d.addCollected(client, b.clock+skip, b.length-skip)
		return
	}
	if skip == 0 && a.extend(b, client) {
		return
	}
	p := a.place(b)
	if skip > 0 && p.list != noList {
		p.left = d.cleanEnd(id{client, b.clock + skip - 1})
		left := d.items.at(p.left)
		p.origin = left.last()
		if left.isGC() {
			p.list = noList
		} else if left.list != p.list {
			a.bad, p.list = errMixed, noList
		}
	}
	if b.kind == kindType && p.list != noList && int(d.types[d.lists[p.list].typ].depth) >= d.opts.Limits.Types {
		a.bad, p.list = errNesting, noList
	}
	if p.list == noList {
		d.addCollected(client, b.clock+skip, b.length-skip)
		return
	}
	r := d.items.new()
	it := d.items.at(r)
	c := &d.clients[client]
	used := len(c.slab)
	body, flags := d.storeContent(c, a.m, b, skip)
	if len(c.slab) > used {
		c.tail = r
	}
	*it = item{
		clock: b.clock + skip, length: b.length - skip,
		list: p.list, body: body,
		tag: uint32(client)<<clientShift | flags | uint32(b.kind),
	}
	if b.kind == kindType {
		name := int32(-1)
		if b.typ == XMLElement || b.typ == XMLHook {
			name = d.names.intern(a.m.aux(b))
		}
		it.body = uint32(d.newType(b.typ, name, r))
	}
	d.link(r, &p)
}

// touch records where a client stood when the transaction began.
func (d *Doc) touch(client int32) {
	if c := &d.clients[client]; c.touched != d.tx.n {
		c.touched, c.before = d.tx.n, c.next
		d.tx.touched = append(d.tx.touched, client)
	}
}

// addCollected appends a collected range.
func (d *Doc) addCollected(client int32, clock, length uint32) {
	r := d.items.new()
	*d.items.at(r) = item{
		clock: clock, length: length, list: noList,
		tag: uint32(client)<<clientShift | flagsGC,
	}
	c := &d.clients[client]
	c.index.append(clock, r)
	c.next = clock + length
}

// link puts a new item, complete but for its place, into its list by the YATA
// rules, appends it to its author's structs and carries out its effects
// (yjs/src/structs/Item.js, integrate).
func (d *Doc) link(r ref, p *placing) {
	it := d.items.at(r)
	l := &d.lists[it.list]
	it.left = p.left
	if d.crowded(p) {
		it.left = d.resolve(p, d.clients[it.client()].id)
	}
	if it.left != 0 {
		left := d.items.at(it.left)
		it.right = left.right
		d.items.pin(it.left, it.right)
		left.right = r
	} else {
		it.right = l.first
		l.first = r
	}
	d.items.setEnds(r, it, p.origin, p.ror)
	superseded := ref(0)
	if it.right != 0 {
		d.items.at(it.right).left = r
	} else {
		l.last = r
		if l.key != noKey {
			superseded = it.left
		}
	}
	if superseded != 0 {
		d.deleteItem(&d.tx.changes, superseded)
	}
	c := &d.clients[it.client()]
	c.index.append(it.clock, r)
	c.next = it.end()

	if it.list == d.caret.list {
		d.caret = caret{}
	}
	d.marks.changed(it.list)
	if it.countable() {
		l.units += it.length
	}
	t := l.typ
	switch it.kind() {
	case kindDeleted:
		it.tag |= flagDeleted
		d.tx.deletes = append(d.tx.deletes, deletion{it.client(), it.clock, it.length})
	case kindFormat:
		d.types[t].formatted = true
	case kindType:
		d.types[it.body].depth = d.types[t].depth + 1
	}
	if len(d.hot.refs) > 0 && d.hot.list == it.list {
		d.linked(r, it)
	}
	d.markChanged(&d.tx.changes, it.list)
	holder := d.types[t].item
	if holder != 0 && d.items.at(holder).deleted() || l.key != noKey && it.right != 0 {
		d.deleteItem(&d.tx.changes, r)
	}
}

// crowded tells whether something stands between the neighbours of a place
// today. It may say so at the start of a list too (yjs/src/structs/Item.js,
// integrate).
func (d *Doc) crowded(p *placing) bool {
	if p.left == 0 {
		return p.right == 0 || d.items.at(p.right).left != 0
	}
	return d.items.at(p.left).right != p.right
}

// resolve returns the item after which an item of an author goes when others
// were written at the same place: scan from its origin to its right origin and
// step behind those that come first.
func (d *Doc) resolve(it *placing, author ClientID) ref {
	if i, ok := d.hot.find(d, it, author); ok {
		if i > 0 {
			return d.hot.refs[i-1]
		}
		return it.left
	}
	left := it.left
	o := d.lists[it.list].first
	if left != 0 {
		o = d.items.at(left).right
	}
	first := o
	d.scanned = d.scanned[:0]
	conflicting := 0 // scanned[conflicting:] stand between left and o
	for o != 0 && o != it.right {
		if len(d.scanned) == manyScanned {
			if left, ok := d.resolveBack(it, author, o); ok {
				clear(d.where)
				return left
			}
		}
		other := d.items.at(o)
		d.scanned = append(d.scanned, o)
		if origin := d.items.origin(o); origin == it.origin {
			if d.clients[other.client()].id < author {
				left, conflicting = o, len(d.scanned)
			} else if d.items.ror(o) == it.ror {
				break // both want the same place: the smaller client stands left
			}
		} else if i := d.scannedAt(origin); i >= 0 {
			if i < conflicting {
				left, conflicting = o, len(d.scanned)
			}
		} else {
			break
		}
		o = other.right
	}
	if len(d.where) > 0 {
		clear(d.where)
	}
	if d.steps += len(d.scanned); len(d.scanned) >= hotMin {
		d.remember(it, first)
	}
	return left
}

// scannedAt returns the place in d.scanned of the item that covers i, or -1.
func (d *Doc) scannedAt(i id) int {
	if i.client == noClient {
		return -1
	}
	r := d.find(i)
	if len(d.scanned) <= manyScanned {
		return slices.Index(d.scanned, r)
	}
	if d.where == nil {
		d.where = map[ref]int{}
	}
	for n := len(d.where); n < len(d.scanned); n++ {
		d.where[d.scanned[n]] = n
	}
	if n, ok := d.where[r]; ok {
		return n
	}
	return -1
}

// cleanStart returns the item that starts exactly at i, splitting if needed.
// A collected range is returned whole.
func (d *Doc) cleanStart(i id) ref {
	p := d.clients[i.client].index.find(i.clock)
	r := p.ref()
	if it := d.items.at(r); it.clock < i.clock && !it.isGC() {
		return d.split(p, i.clock-it.clock)
	}
	return r
}

// cleanEnd returns the item that ends exactly with i, splitting if needed.
func (d *Doc) cleanEnd(i id) ref {
	p := d.clients[i.client].index.find(i.clock)
	r := p.ref()
	if it := d.items.at(r); i.clock != it.end()-1 && !it.isGC() {
		d.split(p, i.clock-it.clock+1)
	}
	return r
}

// split cuts an item behind its first units and returns the new right part.
func (d *Doc) split(p pos, units uint32) ref {
	leftRef := p.ref()
	if it := d.items.at(leftRef); d.hot.list == it.list && d.isHot(leftRef) {
		d.forget()
	}
	r := d.items.new()
	left, right := d.items.at(leftRef), d.items.at(r)
	*right = *left
	right.clock += units
	right.length -= units
	right.left = leftRef
	left.length = units
	d.items.cutEnds(leftRef, r)
	left.right = r
	if right.right != 0 {
		d.items.at(right.right).left = r
	} else {
		d.lists[left.list].last = r
	}
	d.splitContent(left, right, units, r)
	d.tx.merge = append(d.tx.merge, right.first())
	p.x.insert(p, right.clock, r)
	return r
}
