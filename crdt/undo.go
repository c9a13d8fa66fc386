package crdt

import (
	"slices"
	"time"
)

// UndoOptions configures an UndoManager. The zero value undoes the local edits
// of the whole document that have no origin.
type UndoOptions struct {
	// Scope limits undoing to these types and what lies in them; nil: all.
	Scope []TypeID
	// CaptureTimeout joins an edit to the one before when less time has
	// passed since; 0: 500 ms, negative: never.
	CaptureTimeout time.Duration
	// Origins are those whose transactions are undone, comparable values; nil
	// holds for local transactions without one. Default: just nil.
	Origins []any
	// Tracks allows more origins than Origins lists, such as all values of
	// one Go type; nil allows none. It is not asked about transactions without one.
	Tracks func(origin any) bool
	// Capture may refuse a transaction that the origins allow; nil refuses none.
	Capture func(Transaction) bool
	// Keep names content that an undo or redo must not delete although the
	// step to be taken back wrote it; nil names none. It may read what it is
	// given and must not change the document.
	Keep func(Content) bool
	// OverwriteRemote lets an undo set a key that somebody else has set since.
	OverwriteRemote bool
	// Added is called for each new step of either stack, Updated when a
	// transaction was joined to one, Popped when one was undone or redone. They
	// may use StackItem.Meta and must not change the document.
	Added, Updated, Popped func(StackEvent)
	// Cleared is called with the stacks that were to be emptied when that
	// forgets a step: by Clear, ClearUndo, ClearRedo, or by an edit that
	// follows an undo.
	Cleared func(undo, redo bool)
}

const captureTimeout = 500 * time.Millisecond // as in yjs

// A Transaction is what an UndoManager is told of one before it records it.
type Transaction struct {
	Local  bool // made by Edit, an UndoManager or tidying up, not by Apply
	Origin any  // what ApplyFrom or EditFrom was given; the *UndoManager of an undo; nil otherwise
	// Changed are the types that changed and existed before, in the order of
	// their first change. It belongs to the receiver.
	Changed []TypeID
}

// Content is a run of units that an undo is about to delete.
type Content struct {
	In  TypeID // the type that holds it
	Key string // of the map or attribute that it is the value of, "" in a sequence
	// Value is text as a string, elements as []any, one embedded value, a
	// Format, a Subdoc or a shared type.
	Value any
}

// A StackItem is one step of an UndoManager.
type StackItem struct {
	// Meta is the program's own, such as a selection to restore.
	Meta map[any]any

	insertions, deletions idSet
}

// A StackEvent tells what happened to one step of an UndoManager.
type StackEvent struct {
	Transaction // the one that was recorded, or that took the step back
	Item        *StackItem
	// Redo is true for a step of the stack of redo: one that an undo added, or
	// that Redo took back.
	Redo bool
}

// An UndoManager undoes and redoes what its document's own user did, and
// leaves what others did. It belongs to the goroutine that owns the document.
type UndoManager struct {
	// Static after construction, but for what AddScope, AddOrigin and RemoveOrigin change.
	d    *Doc
	opts UndoOptions

	undo, redo []*StackItem
	undoing    bool
	redoing    bool
	lastChange time.Time // zero: the next change starts a new step
	popped     []TypeID  // what the running undo or redo changed
}

// NewUndoManager has what is edited from now on recorded, until Close is
// called. While it lives, deleted content that it could bring back is kept.
func NewUndoManager(d *Doc, o UndoOptions) *UndoManager {
	d.mustBeEditable()
	if o.CaptureTimeout == 0 {
		o.CaptureTimeout = captureTimeout
	}
	if o.Origins == nil {
		o.Origins = []any{nil}
	}
	o.Origins, o.Scope = slices.Clone(o.Origins), slices.Clone(o.Scope)
	u := &UndoManager{d: d, opts: o}
	w := d.watching()
	w.undo = append(slices.Clip(w.undo), u)
	return u
}

// Close stops recording. What was kept stays in the document until it is
// deleted by somebody else; call Clear before to let it go.
func (u *UndoManager) Close() {
	if w := u.d.watch; w != nil {
		w.undo = slices.DeleteFunc(slices.Clone(w.undo), func(o *UndoManager) bool { return o == u })
		u.d.unwatch()
	}
}

// AddScope has these types undone as well, from now on. It does nothing when
// everything is. Editors that open a part of a document later need it.
func (u *UndoManager) AddScope(types ...TypeID) {
	if u.opts.Scope == nil {
		return
	}
	for _, t := range types {
		if !slices.Contains(u.opts.Scope, t) {
			u.opts.Scope = append(u.opts.Scope, t)
		}
	}
}

// AddOrigin has transactions of one more origin undone, from now on.
func (u *UndoManager) AddOrigin(origin any) {
	if !slices.Contains(u.opts.Origins, origin) {
		u.opts.Origins = append(u.opts.Origins, origin)
	}
}

// RemoveOrigin has transactions of an origin no longer undone; steps that exist stay.
func (u *UndoManager) RemoveOrigin(origin any) {
	u.opts.Origins = slices.DeleteFunc(u.opts.Origins, func(o any) bool { return o == origin })
}

// Steps returns the number of steps that could be undone and redone. A step
// counts also when others have left nothing of it to take back.
func (u *UndoManager) Steps() (undo, redo int) { return len(u.undo), len(u.redo) }

// StopCapturing makes the next edit a step of its own.
func (u *UndoManager) StopCapturing() { u.lastChange = time.Time{} }

// Undo takes back the last step that has an effect and returns the V1 update
// that tells others; false when there was none.
func (u *UndoManager) Undo() (update []byte, ok bool) {
	u.undoing = true
	defer func() { u.undoing = false }()
	return u.pop(&u.undo)
}

// Redo takes back the last Undo that was not followed by an edit and returns
// the V1 update that tells others; false when there was none.
func (u *UndoManager) Redo() (update []byte, ok bool) {
	u.redoing = true
	defer func() { u.redoing = false }()
	return u.pop(&u.redo)
}

// Clear forgets all steps and no longer keeps what they could bring back.
func (u *UndoManager) Clear() { u.clear(true, true) }

// ClearUndo is Clear for what could be undone.
func (u *UndoManager) ClearUndo() { u.clear(true, false) }

// ClearRedo is Clear for what could be redone.
func (u *UndoManager) ClearRedo() { u.clear(false, true) }

func (u *UndoManager) clear(undo, redo bool) {
	if !(undo && len(u.undo) > 0 || redo && len(u.redo) > 0) {
		return
	}
	u.d.begin()
	if undo {
		u.forget(&u.undo)
	}
	if redo {
		u.forget(&u.redo)
	}
	u.cleared(undo, redo)
	u.d.commit(true)
}

// cleared reports that stacks were emptied.
func (u *UndoManager) cleared(undo, redo bool) {
	if u.opts.Cleared != nil {
		u.opts.Cleared(undo, redo)
	}
}

// forget empties a stack inside a transaction.
func (u *UndoManager) forget(stack *[]*StackItem) {
	for _, s := range *stack {
		u.d.eachStruct(s.deletions, func(r ref) {
			if u.covers(r) {
				u.d.keep(r, false)
			}
		})
	}
	*stack = nil
}

// covers tells whether an item lies in the scope.
func (u *UndoManager) covers(r ref) bool {
	it := u.d.items.at(r)
	if it.isGC() {
		return false
	}
	return u.inScope(u.d.lists[it.list].typ)
}

// inScope tells whether a type or one around it is in the scope.
func (u *UndoManager) inScope(t int32) bool {
	if u.opts.Scope == nil {
		return true
	}
	for {
		if id := u.d.typeID(t); slices.Contains(u.opts.Scope, id) {
			return true
		}
		r := u.d.types[t].item
		if r <= 0 {
			return false
		}
		t = u.d.lists[u.d.items.at(r).list].typ
	}
}

// tracks tells whether a transaction is one to undo.
func (u *UndoManager) tracks(t *Transaction, changed []typeChange) bool {
	if u.opts.Capture != nil && !u.opts.Capture(*t) {
		return false
	}
	return u.tracksOrigin(t) &&
		(u.opts.Scope == nil || slices.ContainsFunc(changed, func(c typeChange) bool { return u.inScope(c.typ) }))
}

func (u *UndoManager) tracksOrigin(t *Transaction) bool {
	switch {
	case t.Origin == any(u):
		return true
	case t.Origin == nil:
		return t.Local && slices.Contains(u.opts.Origins, nil)
	}
	return slices.Contains(u.opts.Origins, t.Origin) || u.opts.Tracks != nil && u.opts.Tracks(t.Origin)
}

// changedIDs names the types that changed.
func (d *Doc) changedIDs(changed []typeChange) []TypeID {
	out := make([]TypeID, len(changed))
	for i, c := range changed {
		out[i] = d.typeID(c.typ)
	}
	return out
}

// capture records a transaction before its deleted content is collected.
func (u *UndoManager) capture(s *step, changed []typeChange, authors []int32) {
	d := u.d
	t := Transaction{Local: s.local, Origin: s.origin, Changed: d.changedIDs(changed)}
	if s.origin == any(u) {
		u.popped = t.Changed
	}
	if !u.tracks(&t, changed) {
		return
	}
	item := &StackItem{deletions: deletedSet(s.ch.deletes, authors)}
	if s.first {
		for _, c := range d.tx.touched {
			if cl := &d.clients[c]; cl.next > cl.before {
				item.insertions.add(c, clockRange{cl.before, cl.next})
			}
		}
	}
	if len(item.insertions) == 0 && len(item.deletions) == 0 {
		return
	}
	stack := &u.undo
	switch {
	case u.undoing:
		stack = &u.redo
		u.StopCapturing()
	case !u.redoing && len(u.redo) > 0:
		d.addStep(d.watch, func(*changes) { u.forget(&u.redo) })
		u.cleared(false, true)
	}
	now := time.Now()
	report := u.opts.Added
	if n := len(*stack); n > 0 && !u.undoing && !u.redoing &&
		!u.lastChange.IsZero() && now.Sub(u.lastChange) < u.opts.CaptureTimeout {
		last := (*stack)[n-1]
		last.deletions.addAll(item.deletions)
		last.insertions.addAll(item.insertions)
		item, report = last, u.opts.Updated
	} else {
		item.Meta = map[any]any{}
		*stack = append(*stack, item)
	}
	if !u.undoing && !u.redoing {
		u.lastChange = now
	}
	d.eachStruct(deletedSet(s.ch.deletes, authors), func(r ref) {
		if u.covers(r) {
			d.keep(r, true)
		}
	})
	if report != nil {
		report(StackEvent{t, item, u.undoing})
	}
}

// pop reverts the last step of a stack that has an effect.
func (u *UndoManager) pop(stack *[]*StackItem) (update []byte, ok bool) {
	d := u.d
	d.begin()
	defer d.from(u)()
	u.popped = nil
	var done *StackItem
	for done == nil && len(*stack) > 0 {
		s := (*stack)[len(*stack)-1]
		*stack = (*stack)[:len(*stack)-1]
		if u.revert(s) {
			done = s
		}
	}
	d.commit(true)
	if done == nil {
		return nil, false
	}
	if u.opts.Popped != nil {
		u.opts.Popped(StackEvent{Transaction{true, u, u.popped}, done, u.redoing})
	}
	return d.appendTransaction(nil, V1), true
}

// revert writes again what a step deleted and deletes what it wrote
// (yjs/src/utils/UndoManager.js, popStackItem).
func (u *UndoManager) revert(s *StackItem) (changed bool) {
	d := u.d
	var remove, restore []ref
	d.eachStruct(s.insertions, func(r ref) {
		it := d.items.at(r)
		if it.isGC() {
			return
		}
		if d.redone.has(it.first()) {
			at, offset := d.followRedone(it.first())
			if offset > 0 {
				at = d.cleanStart(id{d.items.at(at).client(), d.items.at(at).clock + offset})
			}
			r = at
		}
		if !d.items.at(r).deleted() && u.covers(r) {
			remove = append(remove, r)
		}
	})
	x := redoer{d: d, items: map[ref]bool{}, deleting: s.insertions, um: u}
	d.eachStruct(s.deletions, func(r ref) {
		// What the step wrote itself and deleted again is not brought back.
		if u.covers(r) && !s.insertions.has(d.items.at(r).first()) && !x.items[r] {
			x.items[r] = true
			restore = append(restore, r)
		}
	})
	for _, r := range restore {
		changed = x.redo(r) != 0 || changed
	}
	// Children go before their parents.
	for _, r := range slices.Backward(remove) {
		if !u.keeps(r) {
			d.deleteItem(&d.tx.changes, r)
			changed = true
		}
	}
	return changed
}

// keeps tells whether the program wants an item kept that an undo would delete.
func (u *UndoManager) keeps(r ref) bool {
	d := u.d
	if u.opts.Keep == nil {
		return false
	}
	d.frozen = true
	defer func() { d.frozen = false }()
	it := d.items.at(r)
	l := &d.lists[it.list]
	c := Content{In: d.typeID(l.typ), Value: d.contentValue(r)}
	if l.key != noKey {
		c.Key = d.names.text[l.key]
	}
	return u.opts.Keep(c)
}

// contentValue returns what an item holds as Content.Value describes it.
func (d *Doc) contentValue(r ref) any {
	it := d.items.at(r)
	switch it.kind() {
	case kindString:
		return string(d.contentOf(it))
	case kindFormat:
		a := d.attrOf(r)
		return Format{d.names.text[a.name], a.v.decode()}
	case kindAny, kindJSON:
		return d.valuesOf(nil, it)
	case kindDeleted:
		return nil
	}
	return d.valueAt(it, 0)
}
