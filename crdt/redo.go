package crdt

import "slices"

// redone knows which runs of units were deleted and written again by an
// UndoManager, for each author, sorted by clock. Structs inside such a run never
// merge with others, so that each is in one run as a whole.
type redone map[int32][]redoneRun

// redoneRun says that the units from clock on live on as those from target on.
type redoneRun struct {
	clock, length uint32
	target        id
}

// find returns the unit that replaces i.
func (m redone) find(i id) (id, bool) {
	runs := m[i.client]
	n, ok := slices.BinarySearchFunc(runs, i.clock, compareRun)
	if !ok {
		return noID, false
	}
	r := runs[n]
	return id{r.target.client, r.target.clock + i.clock - r.clock}, true
}

func (m redone) has(i id) bool {
	_, ok := slices.BinarySearchFunc(m[i.client], i.clock, compareRun)
	return ok
}

func compareRun(r redoneRun, clock uint32) int {
	switch {
	case r.clock > clock:
		return 1
	case r.clock+r.length <= clock:
		return -1
	}
	return 0
}

func (m redone) add(it *item, target id) {
	runs := m[it.client()]
	n, _ := slices.BinarySearchFunc(runs, it.clock, compareRun)
	m[it.client()] = slices.Insert(runs, n, redoneRun{it.clock, it.length, target})
}

// redoneAs returns the item that replaces the one at r, split so that it
// starts with it, or 0.
func (d *Doc) redoneAs(r ref) ref {
	if i, ok := d.redone.find(d.items.at(r).first()); ok {
		return d.cleanStart(i)
	}
	return 0
}

// followRedone returns the item in which a unit lives today and its place there.
func (d *Doc) followRedone(i id) (r ref, offset uint32) {
	for {
		r = d.find(i)
		it := d.items.at(r)
		offset = i.clock - it.clock
		next, ok := d.redone.find(it.first())
		if !ok || it.isGC() {
			return r, offset
		}
		next.clock += offset
		i = next
	}
}

// redoer writes deleted items again inside the running transaction.
type redoer struct {
	d        *Doc
	items    map[ref]bool // all that is to be redone
	deleting idSet        // what is to be deleted
	um       *UndoManager
}

// redo writes an item again, after the types around it, and returns the copy,
// or 0 when that is not possible (yjs/src/structs/Item.js, redoItem).
func (x *redoer) redo(r ref) ref {
	if again := x.d.redoneAs(r); again != 0 {
		return again
	}
	chain := []ref{r}
	for {
		p := x.d.parentItem(x.d.items.at(chain[len(chain)-1]))
		if p == 0 || !x.d.items.at(p).deleted() || x.d.redone.has(x.d.items.at(p).first()) {
			break
		}
		if !x.items[p] {
			return 0
		}
		chain = append(chain, p)
	}
	for _, r := range slices.Backward(chain) {
		if r = x.redoOne(r); r == 0 {
			return 0
		}
	}
	return x.d.redoneAs(r)
}

// redoOne writes an item again whose parent is there.
func (x *redoer) redoOne(r ref) ref {
	d := x.d
	it := d.items.at(r)
	parent := d.parentItem(it)
	if parent != 0 && d.items.at(parent).deleted() {
		for next := d.redoneAs(parent); next != 0; next = d.redoneAs(parent) {
			parent = next
		}
	}
	typ := d.lists[it.list].typ
	if parent != 0 {
		if p := d.items.at(parent); p.kind() != kindType {
			return 0 // the type was collected meanwhile
		}
		typ = int32(d.items.at(parent).body)
	}
	var left, right ref
	var l int32
	if key := d.lists[it.list].key; key == noKey {
		l = d.sequence(typ)
		left = x.near(it.left, parent, func(i *item) ref { return i.left })
		right = x.near(r, parent, func(i *item) ref { return i.right })
	} else {
		l = d.entry(typ, key)
		var ok bool
		if left, ok = x.keyLeft(r, parent, l); !ok {
			return 0
		}
	}
	return x.copy(r, l, left, right)
}

// near returns the first item from r on, in the direction of step, that lies
// under parent itself or was redone there.
func (x *redoer) near(r, parent ref, step func(*item) ref) ref {
	for ; r != 0; r = step(x.d.items.at(r)) {
		for at := r; at != 0; at = x.d.redoneAs(at) {
			if it := x.d.items.at(at); !it.isGC() && x.d.parentItem(it) == parent {
				return at
			}
		}
	}
	return 0
}

// keyLeft returns the item behind which a value of key list l is written
// again; false when somebody else has set the key since.
func (x *redoer) keyLeft(r, parent ref, l int32) (ref, bool) {
	d := x.d
	left := d.lists[l].last
	if d.items.at(r).right != 0 && !x.um.opts.OverwriteRemote {
		left = r
		for {
			right := d.items.at(left).right
			if right == 0 || !x.mayReplace(right) {
				break
			}
			left = right
			for next := d.redoneAs(left); next != 0; next = d.redoneAs(left) {
				left = next
			}
			if d.items.at(left).isGC() {
				break
			}
		}
		if d.items.at(left).right != 0 {
			return 0, false
		}
	}
	if left != 0 {
		if it := d.items.at(left); it.isGC() || d.parentItem(it) != parent {
			left = d.lists[l].last
		}
	}
	return left, true
}

// mayReplace tells whether a later value of a key is of our own undo history.
func (x *redoer) mayReplace(r ref) bool {
	i := x.d.items.at(r).first()
	deletedBy := func(s *StackItem) bool { return s.deletions.has(i) }
	return x.d.redone.has(i) || x.deleting.has(i) ||
		slices.ContainsFunc(x.um.undo, deletedBy) || slices.ContainsFunc(x.um.redo, deletedBy)
}

// copy writes the content of an item again, between left and right.
func (x *redoer) copy(r ref, l int32, left, right ref) ref {
	d := x.d
	author := d.addClient(d.opts.ClientID)
	cl := &d.clients[author]
	from := d.items.at(r)
	if len(cl.slab) > maxSlab || cl.next > maxClock-1<<24 {
		return 0 // the author has written all it can
	}
	d.touch(author)
	again := d.items.new()
	it := d.items.at(again)
	*it = item{
		clock: cl.next, length: from.length,
		list: l, tag: uint32(author)<<clientShift | from.tag&(kindMask|flagWide),
	}
	switch from.kind() {
	case kindType:
		ty := d.types[from.body]
		it.body = uint32(d.newType(ty.kind, ty.name, again))
	case kindDeleted:
	default:
		it.body = uint32(len(cl.slab))
		cl.slab = append(cl.slab, d.contentOf(from)...)
		cl.tail = again
	}
	if d.redone == nil {
		d.redone = redone{}
	}
	d.redone.add(from, it.first())
	d.keep(again, true)
	p := d.between(l, left, right)
	d.link(again, &p)
	return again
}

// keep sets or clears the mark that saves an item and the types around it
// from being collected, up to the first that has it so already.
func (d *Doc) keep(r ref, keep bool) {
	for r > 0 {
		it := d.items.at(r)
		if it.isGC() || it.keep() == keep {
			return
		}
		it.tag ^= flagKeep
		r = d.parentItem(it)
	}
}
