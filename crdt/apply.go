package crdt

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"weft/crdt/lib0"
)

// applier carries one message into a document.
type applier struct {
	d   *Doc
	m   *message
	doc []int32 // place in d.clients of each client of the message, or noClient

	// The sections still to integrate.
	queue  []int32 // sections by ascending client id; the last is next
	places []int32 // next block of each section, relative to its first
	of     []int32 // section of each client of the message, or -1
	stack  []waiting
	rest   []int32 // per section: first block left over, or -1
	left   bool    // something is left over
	wants  StateVector
	wanted []int32 // per client of the message: place in wants plus one
	full   bool    // every block was new, nothing was cut or left

	where []whereabouts // of blocks, see admit.go
	bad   error         // a block did not fit the document and became a collected range
}

// waiting is a block that waits for another client's.
type waiting struct{ section, block int32 }

// Apply decodes update, checks it whole and makes it part of the document. It
// keeps no reference to update, but the result may alias it. Applying an
// update again changes nothing. On an error, which matches ErrInvalid or
// ErrLimit, the document is as before.
func (d *Doc) Apply(update []byte, v Version) (Applied, error) {
	return d.apply(update, v, d.opts.Limits)
}

// Load applies a state that the caller stored itself. Its bytes are checked as
// by Apply, within limits for whole documents. A struct that does not fit,
// which a state can hold only as something that was still pending when it was
// stored, does not make the state unreadable: it is loaded as a deleted one.
func (d *Doc) Load(state []byte, v Version) (Applied, error) {
	return d.apply(state, v, d.opts.Limits.forState())
}

func (d *Doc) apply(update []byte, v Version, lim Limits) (Applied, error) {
	d.mustBeEditable()
	if d.editing {
		panic("crdt: Apply inside Edit")
	}
	if d.quick(update, v, &lim) {
		return Applied{Changed: true, Update: update}, nil
	}
	m := &d.msg
	m.join = d.isBlank()
	if err := m.decode(update, v, lim); err != nil {
		m.release()
		return Applied{}, err
	}
	if err := d.checkRoom(m); err != nil {
		m.release()
		return Applied{}, err
	}
	d.begin()
	a := &d.app
	a.start(d, m)
	if a.typed() {
		m.src = nil
		return Applied{Changed: true, Update: update}, nil
	}
	if m.join && a.load(&lim) {
		out := d.applied(update, v, true, &leftover{})
		d.release()
		return out, nil
	}
	a.separate()
	if err := a.enter(&lim); err != nil {
		d.release()
		return Applied{}, err
	}
	rest := a.leftover()
	rest.deletes = a.applyDeletes(m.deletes, nil)
	whole := a.full && !a.left && len(rest.deletes) == 0
	if d.settlePending(&rest) {
		whole = false
	}
	d.commit(false)
	out := d.applied(update, v, whole && !d.tx.tidied, &rest)
	d.release()
	return out, nil
}

// release gives back the scratch memory of a large transaction.
func (d *Doc) release() {
	d.msg.release()
	if a := &d.app; max(cap(a.doc), cap(a.of), cap(a.places), cap(a.queue), cap(a.stack), cap(a.where)) > keepScratch {
		d.app = applier{}
	}
	if t := &d.tx; max(cap(t.deletes), cap(t.merge), cap(t.touched), cap(t.wrote), cap(t.texts), cap(t.frames)) > keepScratch {
		d.tx = transaction{n: d.tx.n}
	}
	d.releaseRanges()
	if max(cap(d.scanned), cap(d.passed)) > keepScratch {
		d.yata = yata{}
	}
	if len(d.hot.refs) == 0 && cap(d.hot.refs) > keepScratch {
		d.hot = siblings{}
	}
}

// releaseRanges gives back the delete set of a large state. That of a usual
// document stays: it is needed at every join.
func (d *Doc) releaseRanges() {
	if cap(d.ranges) > 16*keepScratch {
		d.ranges = nil
	}
}

func (m *message) decode(update []byte, v Version, lim Limits) error {
	m.lim, m.most = lim, lim.Structs
	if !lim.dense {
		m.most = min(m.most, denseStructs+len(update)/structBytes)
	}
	if len(update) > min(lim.Bytes, maxSlab) {
		return limitf("more than %d bytes", min(lim.Bytes, maxSlab))
	}
	switch v {
	case V1:
		return m.decodeV1(update)
	case V2:
		return m.decodeV2(update)
	}
	return invalidf("version %d", v)
}

// maxSlab bounds the content of one author.
const maxSlab = 1 << 31 // bytes

// checkRoom refuses what the store could not hold.
func (d *Doc) checkRoom(m *message) error {
	if len(d.clients)+len(m.clients) > maxClients {
		return limitf("document has more than %d clients", maxClients)
	}
	for _, s := range m.sections {
		if c := d.clientIndex(m.clients[s.client]); c != noClient && len(d.clients[c].slab)+2*len(m.src) > maxSlab {
			return limitf("contents of client %d pass %d bytes", m.clients[s.client], maxSlab)
		}
	}
	return nil
}

// start prepares for a message; slices keep their memory.
func (a *applier) start(d *Doc, m *message) {
	d.caret = caret{}
	a.d, a.m, a.full, a.left = d, m, true, false
	a.doc, a.of, a.queue, a.places, a.stack = a.doc[:0], a.of[:0], a.queue[:0], a.places[:0], a.stack[:0]
	a.rest, a.wants, a.wanted, a.bad = nil, nil, nil, nil
	for _, c := range m.clients {
		a.doc = append(a.doc, d.clientIndex(c))
	}
}

// typed does all there is to do for the most frequent update, one that goes on
// with the last run of its author, and tells whether it was one.
func (a *applier) typed() bool {
	m, d := a.m, a.d
	if len(m.blocks) != 1 || len(m.sections) != 1 || len(m.deletes) != 0 || d.pending.structs != nil || len(d.pending.deletes) != 0 {
		return false
	}
	client := a.doc[m.sections[0].client]
	if client == noClient || d.clients[client].next != m.blocks[0].clock || d.clients[client].id == d.opts.ClientID {
		return false
	}
	d.touch(client)
	if !a.extend(&m.blocks[0], client) {
		return false
	}
	if c := &d.clients[client]; d.joinsLeft(c.tail) {
		d.mergeWritten(c)
	}
	return true
}

// list looks up the clients of the message and lines up its sections.
func (a *applier) list() {
	m := a.m
	for range m.clients {
		a.of = append(a.of, -1)
	}
	for i := range m.sections {
		a.places = append(a.places, 0)
		s := &m.sections[i]
		if s.n > 0 {
			a.queue = append(a.queue, int32(i))
		}
		a.of[s.client] = int32(i)
	}
	if len(a.queue) > 1 {
		slices.SortFunc(a.queue, func(i, j int32) int {
			return cmp.Compare(m.clients[m.sections[i].client], m.clients[m.sections[j].client])
		})
	}
}

// integrateAll integrates the blocks of all sections, those of higher clients
// first, fetching the blocks that another waits for
// (yjs/src/utils/encoding.js, integrateStructs).
func (a *applier) integrateAll() {
	for {
		w, ok := a.next()
		if !ok {
			return
		}
		a.step(w)
	}
}

// integrateWithin is integrateAll that stops at the first block that does not
// fit and when the limit of scanned items is passed.
func (a *applier) integrateWithin(limit int) error {
	for {
		w, ok := a.next()
		if !ok {
			return nil
		}
		a.step(w)
		if a.bad != nil {
			return a.bad
		}
		if a.d.steps > limit {
			return errCost
		}
	}
}

// next returns the block to try next: one that waited, or the next of the highest client.
func (a *applier) next() (waiting, bool) {
	if n := len(a.stack); n > 0 {
		w := a.stack[n-1]
		a.stack = a.stack[:n-1]
		return w, true
	}
	for len(a.queue) > 0 {
		s := a.queue[len(a.queue)-1]
		if a.places[s] < a.m.sections[s].n {
			return a.take(s), true
		}
		a.queue = a.queue[:len(a.queue)-1]
	}
	return waiting{}, false
}

func (a *applier) take(section int32) waiting {
	a.places[section]++
	return waiting{section, a.places[section] - 1}
}

// step integrates a block, or everything it waits for and then the block, or
// gives up what cannot be integrated.
func (a *applier) step(w waiting) {
	for {
		s := &a.m.sections[w.section]
		b := &a.m.blocks[s.first+w.block]
		if b.kind == kindSkip {
			a.full = false
			return
		}
		next := a.clock(s.client)
		if next < b.clock {
			a.stack = append(a.stack, w)
			a.want(s.client, uint64(b.clock)-1)
			a.giveUp()
			return
		}
		miss := a.missing(b, s.client)
		if miss == noClient {
			if next < b.end() {
				if next > b.clock {
					a.full = false
				}
				if a.doc[s.client] == noClient {
					a.doc[s.client] = a.d.addClient(a.m.clients[s.client])
				}
				a.integrate(b, a.doc[s.client], next-b.clock)
			} else {
				a.full = false
				a.resplit(b)
			}
			return
		}
		a.stack = append(a.stack, w)
		from := a.of[miss]
		if from < 0 || a.places[from] >= a.m.sections[from].n {
			known := uint64(0)
			if c := a.doc[miss]; c != noClient {
				known = uint64(a.d.clients[c].next)
			}
			a.want(miss, known)
			a.giveUp()
			return
		}
		w = a.take(from)
	}
}

// resplit splits at the origins of a block that is known already, as yjs does
// before it notices: the merges that follow may close older gaps.
func (a *applier) resplit(b *block) {
	if b.kind == kindGC {
		return
	}
	if b.flags&hasOrigin != 0 {
		if i := (id{a.doc[b.origin.client], b.origin.clock}); !a.d.cutsPair(id{i.client, i.clock + 1}) {
			a.d.cleanEnd(i)
		}
	}
	if b.flags&hasRor != 0 {
		if i := (id{a.doc[b.ror.client], b.ror.clock}); !a.d.cutsPair(i) {
			a.d.cleanStart(i)
		}
	}
}

// cutsPair tells whether a split before i would cut a surrogate pair and so
// change the text. A block that is known split there when it came, if its
// origin is a true one; yjs does it again. Text that is deleted but kept is cut
// as in yjs: a peer that kept one half of it sends the halves apart.
func (d *Doc) cutsPair(i id) bool {
	c := &d.clients[i.client]
	if i.clock >= c.next {
		return false
	}
	it := d.items.at(c.index.find(i.clock).ref())
	if !it.wide() || it.kind() != kindString || it.deleted() || it.clock == i.clock {
		return false
	}
	_, cut := lib0.UTF16Offset(c.slab[it.body:], int(i.clock-it.clock))
	return cut
}

// want remembers the smallest clock of a client that the leftovers wait for.
func (a *applier) want(client int32, clock uint64) {
	if a.wanted == nil {
		a.wanted = make([]int32, len(a.m.clients))
	}
	if i := a.wanted[client]; i > 0 {
		a.wants[i-1].Next = min(a.wants[i-1].Next, clock)
		return
	}
	a.wants = append(a.wants, Clock{a.m.clients[client], clock})
	a.wanted[client] = int32(len(a.wants))
}

// giveUp leaves over everything on the stack and all that follows it from the same clients.
func (a *applier) giveUp() {
	if a.rest == nil {
		a.rest = make([]int32, len(a.m.sections))
		for i := range a.rest {
			a.rest[i] = -1
		}
	}
	a.left = true
	for _, w := range a.stack {
		if r := a.rest[w.section]; r < 0 || w.block < r {
			a.rest[w.section] = w.block
		}
		a.places[w.section] = a.m.sections[w.section].n
	}
	a.stack = a.stack[:0]
}

// applied describes the transaction that has just been committed.
func (d *Doc) applied(update []byte, v Version, whole bool, rest *leftover) Applied {
	out := Applied{Changed: len(d.tx.deletes) > 0}
	for _, c := range d.tx.touched {
		if d.clients[c].next != d.clients[c].before {
			out.Changed = true
			if d.clients[c].id == d.opts.ClientID {
				// Somebody else writes under our id: take another, as yjs does.
				d.opts.ClientID = ClientID(rand.Uint32())
			}
		}
	}
	if out.Changed {
		if whole {
			out.Update = update
		} else {
			out.Update = d.appendTransaction(nil, v)
		}
	}
	if d.opts.ReturnPending && !rest.empty() {
		out.Rest = rest.encode(V1)
		out.Missing = rest.missing
	}
	return out
}
