package crdt

import (
	"cmp"
	"slices"
)

// An Observer is told what transactions change. Its functions run on the
// goroutine that changes the document, before the call that does so returns;
// nil ones are left out. They may read the document through what they are
// given and through its exports, and must not change it.
//
// One call of Apply or Edit is one transaction, and more when it has to tidy
// up formats: each tidying is a transaction of its own, local and without
// origin, as in yjs.
type Observer struct {
	// Type is called for each shared type that a transaction changed and that
	// existed before it, in the order of their first change. Roots that nobody
	// declared in Options.Types have no events.
	Type func(*Event)
	// Types is called once for each transaction that Type is called for, after
	// it, with all its events, those of outer types first: what yjs' observeDeep
	// gives. [Event.Path] tells what lies in what.
	Types func([]*Event)
	// Update and UpdateV2 are called after each transaction that changed
	// something, with the update that tells others, in V1 and in V2.
	Update   func(Change)
	UpdateV2 func(Change)
	// Subdocs is called after each transaction that added or removed
	// subdocuments, behind Update.
	Subdocs func(SubdocsEvent)
}

// A Change is one transaction, as an observer of updates sees it.
type Change struct {
	Update []byte // belongs to the observer
	Local  bool   // made by Edit, an UndoManager or tidying up, not by Apply
	Origin any    // what ApplyFrom or EditFrom was given; the *UndoManager of an undo; nil otherwise
}

// watch is what a document needs only while somebody looks on.
type watch struct {
	observers []*Observer
	undo      []*UndoManager
	queue     []step
	origin    any // of the call that runs
}

// step is one transaction of the queue that a call works through.
type step struct {
	ch     *changes
	first  bool // what the call itself did; the others only delete
	local  bool
	origin any
}

// typeKey is one entry of the list of what changed: a key of a type, or its sequence.
type typeKey struct{ typ, key int32 }

// Observe has o told of every transaction from now on, until stop is called.
// It must not be called from inside Edit or an observer; stop may be.
// Without observers a document spends nothing on them.
func (d *Doc) Observe(o Observer) (stop func()) {
	d.mustBeEditable()
	w, p := d.watching(), &o
	w.observers = append(slices.Clip(w.observers), p)
	return func() {
		w.observers = slices.DeleteFunc(slices.Clone(w.observers), func(q *Observer) bool { return q == p })
		d.unwatch()
	}
}

func (d *Doc) watching() *watch {
	if d.watch == nil {
		d.watch = new(watch)
	}
	return d.watch
}

// unwatch ends the extra work when nobody looks on any more.
func (d *Doc) unwatch() {
	if w := d.watch; w != nil && !d.frozen && len(w.observers) == 0 && len(w.undo) == 0 {
		d.watch = nil
	}
}

// ApplyFrom is Apply with an origin, which observers and undo managers see.
func (d *Doc) ApplyFrom(origin any, update []byte, v Version) (Applied, error) {
	defer d.from(origin)()
	return d.Apply(update, v)
}

// EditFrom is Edit with an origin, which observers and undo managers see.
func (d *Doc) EditFrom(origin any, f func(*Tx) error) (update []byte, err error) {
	defer d.from(origin)()
	return d.Edit(f)
}

// from sets the origin of the call that follows, until the returned function is called.
func (d *Doc) from(origin any) (end func()) {
	w := d.watch
	if w == nil {
		return func() {}
	}
	w.origin = origin
	return func() { w.origin = nil }
}

// noteChanged remembers that a list of a type changed, if the type is older
// than the transaction and not deleted (addChangedTypeToTransaction).
func (d *Doc) noteChanged(ch *changes, l int32) {
	k := typeKey{d.lists[l].typ, d.lists[l].key}
	if _, ok := ch.seen[k]; ok {
		return
	}
	if r := d.types[k.typ].item; r != 0 {
		if it := d.items.at(r); it.deleted() || !d.older(ch, it) {
			return
		}
	}
	if ch.seen == nil {
		ch.seen = map[typeKey]struct{}{}
	}
	ch.seen[k] = struct{}{}
	ch.changed = append(ch.changed, k)
}

// commitWatched closes a transaction as commit does, with events on the way,
// and the transactions that reading those and tidying up bring forth.
func (d *Doc) commitWatched(local bool) {
	w := d.watch
	w.queue = append(w.queue[:0], step{&d.tx.changes, true, local, w.origin})
	touched := d.tx.touched
	for i := 0; i < len(w.queue); i++ {
		d.closeStep(w, w.queue[i])
		d.tx.touched, d.tx.merge = nil, nil
	}
	d.tx.touched = touched
	for _, s := range w.queue[1:] {
		d.tx.deletes = append(d.tx.deletes, s.ch.deletes...)
		d.tx.tidied = d.tx.tidied || len(s.ch.deletes) > 0
	}
	clear(w.queue)
	sortDeletes(&d.tx.deletes)
	d.compactWasteful(&d.tx.changes)
	d.unwatch()
}

// closeStep does for one transaction what yjs' cleanupTransactions does.
func (d *Doc) closeStep(w *watch, s step) {
	authors := deletedAuthors(s.ch.deletes)
	if s.first {
		d.tx.deleted = append(d.tx.deleted[:0], authors...)
	}
	sortDeletes(&s.ch.deletes)
	d.frozen = true
	changed := d.changedTypes(s.ch)
	d.emitTypes(w, &s, changed)
	for _, u := range w.undo {
		u.capture(&s, changed, authors)
	}
	d.frozen = false
	if s.first && !s.local && d.needsCleanup() {
		cleanup := &changes{cleanup: true}
		d.cleanupFormats(cleanup)
		if len(cleanup.deletes) > 0 || len(cleanup.merge) > 0 {
			w.queue = append(w.queue, step{ch: cleanup, local: true})
		}
	}
	var docs SubdocsEvent
	if slices.ContainsFunc(w.observers, func(o *Observer) bool { return o.Subdocs != nil }) {
		docs = d.subdocsOf(&s)
	}
	if !s.first {
		s.ch.merge = append(s.ch.merge, d.tx.merge...) // of splits that onlookers made
	}
	d.collect(s.ch)
	d.mergeDeleted(s.ch)
	for _, c := range d.tx.touched {
		d.mergeWritten(&d.clients[c])
	}
	d.mergeListed(s.ch)
	d.frozen = true
	d.emitUpdates(w, &s)
	if len(docs.Added) > 0 || len(docs.Removed) > 0 {
		for _, o := range w.observers {
			if o.Subdocs != nil {
				o.Subdocs(docs)
			}
		}
	}
	d.frozen = false
}

// deletedAuthors returns the clients of ranges in the order of their first.
func deletedAuthors(ds []deletion) []int32 {
	var out []int32
	seen := map[int32]bool{}
	for i, r := range ds {
		if (i == 0 || ds[i-1].client != r.client) && !seen[r.client] {
			seen[r.client] = true
			out = append(out, r.client)
		}
	}
	return out
}

// typeChange is a type that a transaction changed, with the keys that did.
type typeChange struct {
	typ      int32
	sequence bool
	keys     []int32
}

// changedTypes groups what changed by type and leaves out types that are deleted by now.
func (d *Doc) changedTypes(ch *changes) []typeChange {
	var out []typeChange
	at := map[int32]int{}
	for _, k := range ch.changed {
		if r := d.types[k.typ].item; r != 0 && d.items.at(r).deleted() {
			continue
		}
		i, ok := at[k.typ]
		if !ok {
			i = len(out)
			at[k.typ] = i
			out = append(out, typeChange{typ: k.typ})
		}
		if k.key == noKey {
			out[i].sequence = true
		} else {
			out[i].keys = append(out[i].keys, k.key)
		}
	}
	return out
}

func (d *Doc) emitTypes(w *watch, s *step, changed []typeChange) {
	if !slices.ContainsFunc(w.observers, func(o *Observer) bool { return o.Type != nil || o.Types != nil }) {
		return
	}
	var events []*Event
	for _, c := range changed {
		if d.types[c.typ].kind != Untyped {
			events = append(events, &Event{Local: s.local, Origin: s.origin, d: d, w: w, ch: s.ch, change: c})
		}
	}
	for _, e := range events {
		for _, o := range w.observers {
			if o.Type != nil {
				o.Type(e)
			}
		}
	}
	slices.SortStableFunc(events, func(a, b *Event) int {
		return cmp.Compare(d.types[a.change.typ].depth, d.types[b.change.typ].depth)
	})
	for _, o := range w.observers {
		if o.Types != nil && len(events) > 0 {
			o.Types(slices.Clone(events))
		}
	}
	for _, e := range events {
		e.d = nil
	}
}

func (d *Doc) emitUpdates(w *watch, s *step) {
	wrote := slices.ContainsFunc(d.tx.touched, func(c int32) bool { return d.clients[c].next != d.clients[c].before })
	if !wrote && len(s.ch.deletes) == 0 {
		return
	}
	deletes := d.tx.deletes
	d.tx.deletes = s.ch.deletes
	for _, o := range w.observers {
		if o.Update != nil {
			o.Update(Change{d.appendTransaction(nil, V1), s.local, s.origin})
		}
		if o.UpdateV2 != nil {
			o.UpdateV2(Change{d.appendTransaction(nil, V2), s.local, s.origin})
		}
	}
	d.tx.deletes = deletes
}

// addStep runs f as a local transaction of its own that follows the one being
// closed. f may delete and split, but not write.
func (d *Doc) addStep(w *watch, f func(*changes)) {
	ch := &changes{cleanup: true}
	merge := d.tx.merge
	d.tx.merge = nil
	f(ch)
	ch.merge = append(ch.merge, d.tx.merge...)
	d.tx.merge = merge
	if len(ch.deletes) > 0 || len(ch.merge) > 0 {
		w.queue = append(w.queue, step{ch: ch, local: true})
	}
}
