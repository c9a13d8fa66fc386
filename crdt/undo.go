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
	// Capture may refuse a transaction that the origins allow; nil refuses none.
	Capture func(local bool, origin any) bool
	// OverwriteRemote lets an undo set a key that somebody else has set since.
	OverwriteRemote bool
	// Added is called for each new step of either stack, Updated when a
	// transaction was joined to one, Popped when one was undone or redone. They
	// may use StackItem.Meta and must not change the document.
	Added, Updated, Popped func(*StackItem)
}

const captureTimeout = 500 * time.Millisecond // as in yjs

// A StackItem is one step of an UndoManager.
type StackItem struct {
	// Meta is the program's own, such as a selection to restore.
	Meta map[any]any

	insertions, deletions idSet
}

// An UndoManager undoes and redoes what its document's own user did, and
// leaves what others did. It belongs to the goroutine that owns the document.
type UndoManager struct {
	// Static after construction.
	d    *Doc
	opts UndoOptions

	undo, redo []*StackItem
	undoing    bool
	redoing    bool
	lastChange time.Time // zero: the next change starts a new step
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
func (u *UndoManager) Clear() {
	u.d.begin()
	u.forget(&u.undo)
	u.forget(&u.redo)
	u.d.commit(true)
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
func (u *UndoManager) tracks(s *step, changed []typeChange) bool {
	if u.opts.Capture != nil && !u.opts.Capture(s.local, s.origin) {
		return false
	}
	switch {
	case s.origin == any(u):
	case s.origin == nil && !s.local, !slices.Contains(u.opts.Origins, s.origin):
		return false
	}
	return u.opts.Scope == nil || slices.ContainsFunc(changed, func(c typeChange) bool { return u.inScope(c.typ) })
}

// capture records a transaction before its deleted content is collected.
func (u *UndoManager) capture(s *step, changed []typeChange, authors []int32) {
	if !u.tracks(s, changed) {
		return
	}
	d := u.d
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
		report(item)
	}
}

// pop reverts the last step of a stack that has an effect.
func (u *UndoManager) pop(stack *[]*StackItem) (update []byte, ok bool) {
	d := u.d
	d.begin()
	defer d.from(u)()
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
		u.opts.Popped(done)
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
		d.deleteItem(&d.tx.changes, r)
		changed = true
	}
	return changed
}
