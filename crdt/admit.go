package crdt

import "slices"

// A message that decoded well may still not fit the document: name a parent
// that is no shared type, stand between items of different parents, nest types
// too deeply, or cost too much. Such a message must leave no trace, and
// integrating cannot be undone piece by piece. So there are two ways. Most
// messages are small: admit looks at what their blocks refer to before
// anything happens. For a large one that would cost more than copying the
// document: it is integrated, place notices what does not fit, and the copy
// takes the document's place again (see rollback.go).

// admitBlocks is the number of blocks up to which a message is looked through
// beforehand. Guessed: about 50 ns a block, against 6 ns a struct for a copy.
const admitBlocks = 1000

// maxCopy is the size of a document up to which a large message is worth a
// copy: refusing one must not take memory by what the document holds.
const maxCopy = 8 << 20 // bytes

// Errors of blocks that do not fit the document.
var (
	errParent  = invalidf("parent is not a shared type")
	errMixed   = invalidf("origins of one struct have different parents")
	errNesting = limitf("shared types nested too deeply")
	errCost    = limitf("too many concurrent inserts at one place")
)

// enter integrates the blocks of a message, or refuses it and leaves the
// document as it was.
func (a *applier) enter(lim *Limits) error {
	d := a.d
	d.steps = 0
	a.list()
	if lim.stored {
		a.integrateAll()
		return nil
	}
	if a.canUndo(lim) {
		s := d.save()
		deleted := 0
		for i := range a.m.blocks {
			if a.m.blocks[i].kind == kindDeleted {
				deleted++
			}
		}
		d.tx.deletes = slices.Grow(d.tx.deletes, deleted)
		if err := a.integrateWithin(lim.Steps); err != nil {
			d.restore(s)
			return err
		}
		return nil
	}
	if err := a.admit(lim); err != nil {
		return err
	}
	a.integrateAll()
	return nil
}

// canUndo tells whether the document is to be copied before the message
// enters: it is empty, or the message is large or may cost more than allowed.
func (a *applier) canUndo(lim *Limits) bool {
	n, used := len(a.m.blocks), int(a.d.items.used)
	if used == 0 || n > admitBlocks && a.d.size() < maxCopy {
		return true
	}
	return n*(used+3*n) > lim.Steps && a.scanCost(lim.Steps) > lim.Steps
}

// whereabouts is the parent of a block as far as it can be told: the list of
// the document it goes to, or the block of the message that names it.
type whereabouts struct {
	list   int32 // noList: see anchor
	anchor int32 // of m.blocks, -1: a collected parent, or one that is not known
}

var nowhere = whereabouts{noList, -1}

// admit checks the blocks that are new against the document and each other.
func (a *applier) admit(lim *Limits) error {
	a.where = a.where[:0]
	for i := range a.m.sections {
		s := &a.m.sections[i]
		next := a.clock(s.client)
		for k := s.first; k < s.first+s.n; k++ {
			b := &a.m.blocks[k]
			if b.kind == kindGC || b.kind == kindSkip || b.end() <= next || b.clock >= next && a.harmless(b, s.client) {
				continue
			}
			if err := a.admitBlock(k, s.client, next, lim); err != nil {
				return err
			}
		}
	}
	return nil
}

// harmless tells whether a block that starts at an unknown clock needs no look
// at the document: it goes where its only origin is, or on where its author
// wrote last.
func (a *applier) harmless(b *block, client int32) bool {
	if b.kind == kindType || b.flags&(hasParentID|hasRor) == 0 && b.flags&hasOrigin == 0 {
		return b.kind != kindType
	}
	switch b.flags & (hasOrigin | hasRor | hasParentID) {
	case hasOrigin, hasRor:
		return true
	case hasOrigin | hasRor:
	default:
		return false
	}
	c := a.doc[client]
	if c == noClient || a.doc[b.ror.client] == noClient || b.origin.client != client || b.origin.clock != b.clock-1 {
		return false
	}
	tail := a.d.clients[c].tail
	if tail == 0 {
		return false
	}
	it := a.d.items.at(tail)
	return it.end() == b.clock && !it.isGC() && a.d.items.ror(tail) == id{a.doc[b.ror.client], b.ror.clock}
}

func (a *applier) admitBlock(k, client int32, next uint32, lim *Limits) error {
	b := &a.m.blocks[k]
	w := a.whereIs(k)
	if w.anchor >= 0 && a.m.blocks[w.anchor].flags&hasParentID != 0 && !a.isType(a.m.blocks[w.anchor].origin) {
		return errParent
	}
	if b.flags&(hasOrigin|hasRor) == hasOrigin|hasRor && !a.same(w, a.whereIsID(b.ror)) {
		return errMixed
	}
	if b.clock < next && !a.same(w, a.whereIsID(id{client, next - 1})) {
		return errMixed
	}
	if b.kind == kindType && a.depth(w, lim.Types) >= lim.Types {
		return errNesting
	}
	return nil
}

// clock returns the first clock of a client of the message that the document does not know.
func (a *applier) clock(client int32) uint32 {
	if c := a.doc[client]; c != noClient {
		return a.d.clients[c].next
	}
	return 0
}

// known returns the item of the document that covers an id, or 0.
func (a *applier) known(i id) ref {
	if i.clock >= a.clock(i.client) {
		return 0
	}
	return a.d.find(id{a.doc[i.client], i.clock})
}

// blockOf returns the block of the message that covers an id, or -1.
func (a *applier) blockOf(i id) int32 {
	n := a.of[i.client]
	if n < 0 {
		return -1
	}
	s := a.m.sections[n]
	blocks := a.m.blocks[s.first : s.first+s.n]
	k, exact := slices.BinarySearchFunc(blocks, i.clock, func(b block, clock uint32) int {
		switch {
		case b.clock < clock:
			return -1
		case b.clock > clock:
			return 1
		}
		return 0
	})
	if !exact {
		k--
	}
	if k < 0 || i.clock >= blocks[k].end() {
		return -1
	}
	return s.first + int32(k)
}

// whereIs follows the origins of a block until one is known or names a parent.
func (a *applier) whereIs(k int32) whereabouts {
	if len(a.where) == 0 {
		a.where = slices.Grow(a.where, len(a.m.blocks))[:len(a.m.blocks)]
		for i := range a.where {
			a.where[i] = whereabouts{noList, unseen}
		}
	}
	start := k
	w := nowhere
	for range len(a.m.blocks) { // more steps than blocks go round in a circle
		if a.where[k].anchor != unseen {
			w = a.where[k]
			break
		}
		b := &a.m.blocks[k]
		if b.kind == kindGC || b.kind == kindSkip {
			break
		}
		if b.flags&(hasOrigin|hasRor) == 0 {
			w.anchor = k
			break
		}
		i := b.origin
		if b.flags&hasOrigin == 0 {
			i = b.ror
		}
		if r := a.known(i); r != 0 {
			w.list = a.d.items.at(r).list // noList when it is collected
			break
		}
		if k = a.blockOf(i); k < 0 {
			break
		}
	}
	a.where[start] = w
	return w
}

const unseen = -2

func (a *applier) whereIsID(i id) whereabouts {
	if r := a.known(i); r != 0 {
		return whereabouts{a.d.items.at(r).list, -1}
	}
	if k := a.blockOf(i); k >= 0 {
		return a.whereIs(k)
	}
	return nowhere
}

// same tells whether two places may be the same: what is not known or has been collected agrees with all.
func (a *applier) same(v, w whereabouts) bool {
	switch {
	case v == nowhere || w == nowhere || v == w:
		return true
	case v.list != noList && w.list != noList:
		return false
	case v.list != noList:
		v, w = w, v
	}
	x := &a.m.blocks[v.anchor]
	if w.list != noList {
		return a.names(x, w.list)
	}
	y := &a.m.blocks[w.anchor]
	const named = hasParentID | hasParentName | hasKey
	return (x.flags^y.flags)&named == 0 &&
		(x.flags&hasKey == 0 || string(a.m.bytes(x.key())) == string(a.m.bytes(y.key()))) &&
		(x.flags&hasParentID == 0 || x.origin == y.origin) &&
		(x.flags&hasParentName == 0 || string(a.m.bytes(x.rootName())) == string(a.m.bytes(y.rootName())))
}

// names tells whether a block that names its parent names that of a list.
func (a *applier) names(b *block, l int32) bool {
	d := a.d
	t, key := d.lists[l].typ, d.lists[l].key
	if b.flags&hasKey == 0 != (key == noKey) || key != noKey && d.names.text[key] != string(a.m.bytes(b.key())) {
		return false
	}
	if b.flags&hasParentName != 0 {
		return d.types[t].item == 0 && d.names.text[d.types[t].name] == string(a.m.bytes(b.rootName()))
	}
	r := a.known(b.origin) // a type that is not known has no list here
	return r != 0 && (d.items.at(r).kind() != kindType || d.items.at(r).body == uint32(t))
}

// isType tells whether an id is, or may turn out to be, a shared type or one that was deleted.
func (a *applier) isType(i id) bool {
	kind := uint8(kindType)
	if r := a.known(i); r != 0 {
		kind = a.d.items.at(r).kind()
	} else if k := a.blockOf(i); k >= 0 {
		kind = a.m.blocks[k].kind
	}
	return mayHoldChildren(kind)
}

// mayHoldChildren tells whether an item of a kind is a shared type or may have been one.
func mayHoldChildren(kind uint8) bool {
	return kind == kindType || kind == kindDeleted || kind == kindGC || kind == kindSkip
}

// depth returns how many types lie around a place, counting no further than limit.
func (a *applier) depth(w whereabouts, limit int) int {
	for n := range limit {
		if w.list != noList {
			return n + int(a.d.types[a.d.lists[w.list].typ].depth)
		}
		if w.anchor < 0 || a.m.blocks[w.anchor].flags&hasParentID == 0 {
			return n
		}
		parent := a.m.blocks[w.anchor].origin
		if r := a.known(parent); r != 0 {
			if it := a.d.items.at(r); it.kind() == kindType {
				return n + int(a.d.types[it.body].depth)
			}
			return n
		}
		w = a.whereIsID(parent)
	}
	return limit
}

// scanCost returns about how many items the blocks of a message are compared
// with, counting no further than limit: those of the document for each block
// that stands beside one, and at most all of the message's own.
func (a *applier) scanCost(limit int) int {
	d := a.d
	n := len(a.m.blocks)
	d.steps = 3 * n * n
	for i := range a.m.sections {
		s := &a.m.sections[i]
		for k := s.first; k < s.first+s.n && d.steps <= limit; k++ {
			if b := &a.m.blocks[k]; b.kind != kindGC && b.kind != kindSkip && b.end() > a.clock(s.client) {
				a.tryScan(b, a.m.clients[s.client])
			}
		}
	}
	cost := d.steps
	d.steps = 0
	return cost
}

// tryScan looks for the place of a block without changing anything.
func (a *applier) tryScan(b *block, author ClientID) {
	d := a.d
	it := placing{origin: noID, ror: noID, list: noList}
	if b.flags&hasOrigin != 0 {
		if it.left = a.known(b.origin); it.left == 0 {
			return // beside a block of the message
		}
		it.origin = id{a.doc[b.origin.client], b.origin.clock}
		it.list = d.items.at(it.left).list
	}
	if b.flags&hasRor != 0 {
		if it.right = a.known(b.ror); it.right != 0 {
			it.ror = id{a.doc[b.ror.client], b.ror.clock}
			if it.list == noList {
				it.list = d.items.at(it.right).list
			}
		}
	}
	if it.list == noList && b.flags&hasParentName != 0 {
		it.list = d.rootList(a.m, b)
	} else if r := ref(0); it.list == noList && b.flags&hasParentID != 0 {
		if r = a.known(b.origin); r != 0 && d.items.at(r).kind() == kindType {
			it.list = d.existing(int32(d.items.at(r).body), a.m, b)
		}
	}
	if it.list != noList {
		d.resolve(&it, author)
	}
}

// rootList returns the list of a root that a block names, or noList.
func (d *Doc) rootList(m *message, b *block) int32 {
	if name, ok := d.names.index[string(m.bytes(b.rootName()))]; ok {
		if t, ok := d.roots[name]; ok {
			return d.existing(t, m, b)
		}
	}
	return noList
}

// existing returns the list of a type that a block names, or noList.
func (d *Doc) existing(t int32, m *message, b *block) int32 {
	if b.flags&hasKey == 0 {
		return d.types[t].children
	}
	if key, ok := d.names.index[string(m.bytes(b.key()))]; ok {
		return d.lookup(t, key)
	}
	return noList
}
