package crdt

import "slices"

// An Event tells how a transaction changed one shared type. Its methods
// compute only what is asked for and may be called only inside the observer it
// was given to; what they return stays valid.
type Event struct {
	Local  bool // made by Edit, an UndoManager or tidying up, not by Apply
	Origin any  // what ApplyFrom or EditFrom was given; the *UndoManager of an undo; nil otherwise

	d       *Doc // nil once the observer returned
	w       *watch
	ch      *changes
	change  typeChange
	delta   []Op
	hasOps  bool
	keys    map[string]KeyChange
	hasKeys bool
}

// An Op is one step of a delta: it inserts, retains or deletes, and exactly
// one of Insert, Retain and Delete is set.
type Op struct {
	// Insert is, in texts, a string or one embedded value or shared type, and
	// elsewhere a []any of values.
	Insert any
	Retain int // units to step over: UTF-16 code units in texts
	Delete int // units that were deleted
	// Attributes are the formats of what is inserted, or the changes of
	// formats over what is retained, nil for one that ended.
	Attributes map[string]any
}

// An Action is what happened to a key.
type Action string

// The actions.
const (
	Added   Action = "add"
	Updated Action = "update"
	Deleted Action = "delete"
)

// A KeyChange tells what happened to one key or attribute.
type KeyChange struct {
	Action Action
	Old    any // value before, nil when Action is Added
}

func (e *Event) doc() *Doc {
	if e.d == nil {
		panic("crdt: event used after its observer returned")
	}
	return e.d
}

// Target returns the id of the type that changed.
func (e *Event) Target() TypeID { return e.doc().typeID(e.change.typ) }

// Kind returns the kind of the type that changed.
func (e *Event) Kind() Kind { return e.doc().types[e.change.typ].kind }

// Shared returns the type that changed, to be read, as a SharedText,
// SharedArray, SharedMap, SharedXML or SharedHook.
func (e *Event) Shared() any { return e.doc().handle(e.change.typ) }

// ListChanged tells whether children, elements or text came or went, not only
// keys or attributes.
func (e *Event) ListChanged() bool {
	e.doc()
	return e.change.sequence
}

// Path returns the way from the root type to the one that changed: the name of
// the root, then a key (string) or an index (int) for each level.
func (e *Event) Path() []any {
	d := e.doc()
	var path []any
	t := e.change.typ
	for d.types[t].item != 0 {
		it := d.items.at(d.types[t].item)
		l := &d.lists[it.list]
		if l.key != noKey {
			path = append(path, d.names.text[l.key])
		} else {
			path = append(path, d.indexOf(l, d.types[t].item))
		}
		t = l.typ
	}
	path = append(path, d.names.text[d.types[t].name])
	slices.Reverse(path)
	return path
}

// indexOf returns the number of units before an item of a sequence.
func (d *Doc) indexOf(l *list, r ref) int {
	n := 0
	for o := l.first; o != 0 && o != r; o = d.items.at(o).right {
		if d.isContent(o) {
			n += int(d.items.at(o).length)
		}
	}
	return n
}

// adds tells whether the transaction wrote an item, even if it deleted it again.
func (e *Event) adds(it *item) bool { return !e.d.older(e.ch, it) }

// deletes tells whether the transaction deleted an item, even if it wrote it itself.
func (e *Event) deletes(it *item) bool {
	_, ok := slices.BinarySearchFunc(e.ch.deletes, it.first(), func(r deletion, i id) int {
		switch {
		case r.client != i.client:
			return int(r.client - i.client)
		case r.clock > i.clock:
			return 1
		case r.clock+r.length <= i.clock:
			return -1
		}
		return 0
	})
	return ok
}

// Keys returns the keys or attributes that changed. The map belongs to the event.
func (e *Event) Keys() map[string]KeyChange {
	if e.hasKeys {
		return e.keys
	}
	d := e.doc()
	e.hasKeys = true
	for _, key := range e.change.keys {
		if l := d.lookup(e.change.typ, key); l != noList && d.lists[l].last != 0 {
			if c, ok := e.keyChange(d.items.at(d.lists[l].last)); ok {
				if e.keys == nil {
					e.keys = map[string]KeyChange{}
				}
				e.keys[d.names.text[key]] = c
			}
		}
	}
	return e.keys
}

// keyChange compares the last value of a key with the last before the transaction.
func (e *Event) keyChange(last *item) (KeyChange, bool) {
	old := func(it *item) any { return e.d.valueAt(it, it.length-1) }
	if !e.adds(last) {
		if e.deletes(last) {
			return KeyChange{Deleted, old(last)}, true
		}
		return KeyChange{}, false
	}
	prev := last.left
	for prev != 0 && e.adds(e.d.items.at(prev)) {
		prev = e.d.items.at(prev).left
	}
	had := prev != 0 && e.deletes(e.d.items.at(prev))
	switch {
	case had && e.deletes(last):
		return KeyChange{Deleted, old(e.d.items.at(prev))}, true
	case had:
		return KeyChange{Updated, old(e.d.items.at(prev))}, true
	case e.deletes(last):
		return KeyChange{}, false
	}
	return KeyChange{Action: Added}, true
}

// Delta returns how the sequence changed, as steps from its start; what
// follows the last is as it was. The slice belongs to the event.
//
// Reading the delta of a text also deletes formats that the change made
// redundant, as in yjs: that is a transaction which follows this one.
func (e *Event) Delta() []Op {
	if e.hasOps {
		return e.delta
	}
	d := e.doc()
	e.hasOps = true
	switch {
	case d.types[e.change.typ].kind.isText():
		d.addStep(e.w, func(ch *changes) {
			t := textDelta{e: e, tidy: ch}
			e.delta = t.run()
		})
	case e.change.sequence:
		e.delta = e.listDelta()
	}
	return e.delta
}

// listDelta is Delta for all but texts (yjs/src/utils/YEvent.js, changes).
func (e *Event) listDelta() []Op {
	var ops []Op
	var last Op
	// turn ends the last step if it is of another sort than same tells.
	turn := func(same bool) {
		if !same && (last.Insert != nil || last.Retain > 0 || last.Delete > 0) {
			ops = append(ops, last)
			last = Op{}
		}
	}
	for r := e.d.first(e.change.typ); r != 0; r = e.d.items.at(r).right {
		it := e.d.items.at(r)
		switch {
		case it.deleted():
			if e.deletes(it) && !e.adds(it) {
				turn(last.Delete > 0)
				last.Delete += int(it.length)
			}
		case e.adds(it):
			turn(last.Insert != nil)
			values, _ := last.Insert.([]any)
			last.Insert = e.d.valuesOf(values, it)
		default:
			turn(last.Retain > 0)
			last.Retain += int(it.length)
		}
	}
	turn(last.Retain > 0)
	return ops
}
