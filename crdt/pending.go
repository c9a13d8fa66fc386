package crdt

import (
	"cmp"
	"slices"
)

// pending is what waits inside a document for updates it depends on.
type pending struct {
	structs []byte      // V2 update, nil for none
	missing StateVector // per client, a clock that must be passed before a retry makes sense
	deletes []rawDeletion
}

// rawDeletion is a range of deleted units that are not known yet.
type rawDeletion struct {
	client ClientID
	clock  uint32
	length uint32
}

// leftover is what one message could not bring in.
type leftover struct {
	m       *message
	blocks  []restSection // by descending client id
	missing StateVector
	deletes []rawDeletion
}

// restSection is the tail of a section.
type restSection struct {
	client ClientID
	blocks []block
}

func (l *leftover) empty() bool { return len(l.blocks) == 0 && len(l.deletes) == 0 }

// leftover returns the blocks that were given up.
func (a *applier) leftover() leftover {
	if !a.left {
		return leftover{}
	}
	l := leftover{m: a.m, missing: a.wants.normalize()}
	for i, from := range a.rest {
		if s := a.m.sections[i]; from >= 0 {
			l.blocks = append(l.blocks, restSection{a.m.clients[s.client], a.m.blocks[s.first+from : s.first+s.n]})
		}
	}
	slices.SortFunc(l.blocks, func(x, y restSection) int {
		if x.client > y.client {
			return -1
		}
		return 1
	})
	return l
}

// encode returns the leftovers as an update.
func (l *leftover) encode(v Version) []byte {
	w := newWriter(v)
	w.uint(uint64(len(l.blocks)))
	for _, s := range l.blocks {
		w.section(len(s.blocks), s.client, s.blocks[0].clock)
		for i := range s.blocks {
			w.block(l.m, s.client, &s.blocks[i], 0)
		}
	}
	w.deletions(l.deletes)
	return w.finish(nil)
}

// settlePending adds the leftovers of a message to what is pending and tries
// again what may have become possible. It tells whether it brought anything in
// (yjs/src/utils/encoding.js, readUpdateV2).
func (d *Doc) settlePending(rest *leftover) bool {
	if d.opts.ReturnPending {
		return false
	}
	p := &d.pending
	retry := false
	if p.structs == nil {
		if len(rest.blocks) > 0 {
			p.structs = (&leftover{m: rest.m, blocks: rest.blocks}).encode(V2)
			p.missing = rest.missing
		}
	} else {
		for _, m := range p.missing {
			if c := d.clientIndex(m.Client); c != noClient && m.Next < uint64(d.clients[c].next) {
				retry = true
				break
			}
		}
		if len(rest.blocks) > 0 {
			p.missing = minimum(p.missing, rest.missing)
			p.structs = mustMerge(V2, p.structs, (&leftover{m: rest.m, blocks: rest.blocks}).encode(V2))
		}
	}
	before := len(d.tx.deletes)
	d.settleDeletes(rest.deletes)
	changed := len(d.tx.deletes) > before
	if retry {
		update := p.structs
		p.structs, p.missing = nil, nil
		changed = d.retry(update) || changed
	}
	return changed
}

// settleDeletes tries the pending deletions again and adds new ones.
func (d *Doc) settleDeletes(fresh []rawDeletion) {
	if len(d.pending.deletes) == 0 {
		d.pending.deletes = fresh
		return
	}
	var rest []rawDeletion
	for _, r := range d.pending.deletes {
		rest = d.deleteRaw(r, rest)
	}
	if len(fresh) > 0 && len(rest) > 0 {
		rest = mergeDeletions(fresh, rest)
	} else if len(rest) == 0 {
		rest = fresh
	}
	d.pending.deletes = rest
}

// deleteRaw deletes the known part of a range and appends the other to rest.
func (d *Doc) deleteRaw(r rawDeletion, rest []rawDeletion) []rawDeletion {
	next, end := uint32(0), r.clock+r.length
	client := d.clientIndex(r.client)
	if client != noClient {
		next = d.clients[client].next
	}
	if end > next {
		from := max(r.clock, next)
		rest = append(rest, rawDeletion{r.client, from, end - from})
	}
	if r.clock < next {
		d.deleteRange(client, r.clock, min(end, next))
	}
	return rest
}

// retry applies pending structs inside the running transaction.
func (d *Doc) retry(update []byte) (changed bool) {
	var m message
	if err := m.decode(update, V2, ownLimits(update)); err != nil {
		panic("crdt: pending update of our own does not decode: " + err.Error())
	}
	var a applier
	a.start(d, &m)
	a.list()
	a.integrateAll()
	changed = len(m.blocks) > 0
	rest := a.leftover()
	if len(rest.blocks) > 0 {
		d.pending.structs = rest.encode(V2)
		d.pending.missing = rest.missing
	}
	rest.deletes = a.applyDeletes(m.deletes, nil)
	d.settleDeletes(rest.deletes)
	return changed
}

// minimum returns the smaller clock of each client that either has.
func minimum(a, b StateVector) StateVector {
	out := slices.Concat(a, b)
	slices.SortFunc(out, func(x, y Clock) int {
		return cmp.Or(cmp.Compare(y.Client, x.Client), cmp.Compare(x.Next, y.Next))
	})
	return slices.CompactFunc(out, func(x, y Clock) bool { return x.Client == y.Client })
}

// mergeDeletions returns the union of ranges, sorted by descending client and ascending clock.
func mergeDeletions(sets ...[]rawDeletion) []rawDeletion {
	return joinDeletions(slices.Concat(sets...))
}

// joinDeletions is mergeDeletions in the memory of its argument.
func joinDeletions(ds []rawDeletion) []rawDeletion {
	if !slices.IsSortedFunc(ds, compareDeletions) {
		slices.SortFunc(ds, compareDeletions)
	}
	out := ds[:0]
	for _, r := range ds {
		if n := len(out); n > 0 && out[n-1].client == r.client && out[n-1].clock+out[n-1].length >= r.clock {
			out[n-1].length = max(out[n-1].length, r.clock+r.length-out[n-1].clock)
		} else {
			out = append(out, r)
		}
	}
	return out
}
