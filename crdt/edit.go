package crdt

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"weft/crdt/lib0"
)

// ErrIndex means that an edit names a place that is not there.
var ErrIndex = errors.New("index out of range")

// ErrValue means that an edit holds a value that a document cannot.
var ErrValue = errors.New("value cannot be stored")

// Tx is one local transaction, or one look at the document (see Doc.View). It
// and the shared types it hands out are valid until the function given to Edit
// or View returns.
type Tx struct{ d *Doc }

// Edit runs f, which changes the document through its Tx, and returns the V1
// update that tells others, nil when nothing changed. The update belongs to
// the caller. When f returns an error Edit returns it beside the update: what
// f did before stands. f must not call Edit or Apply. When f panics, what it did
// is in the document but in no update: throw the document away.
func (d *Doc) Edit(f func(*Tx) error) (update []byte, err error) {
	if d.editing {
		panic("crdt: Edit inside Edit")
	}
	d.begin()
	d.editing = true
	func() {
		defer func() { d.editing = false }()
		d.local.d = d
		err = f(&d.local)
	}()
	d.commit(true)
	if !d.hasChanged() {
		return nil, err
	}
	d.out = d.appendTransaction(d.out[:0], V1)
	update = slices.Clone(d.out)
	if cap(d.out) > keepColumns {
		d.out = nil
	}
	return update, err
}

// hasChanged tells whether the transaction that has just been committed wrote or deleted something.
func (d *Doc) hasChanged() bool {
	for _, c := range d.tx.touched {
		if d.clients[c].next != d.clients[c].before {
			return true
		}
	}
	return len(d.tx.deletes) > 0
}

// Text returns the root text of a name. Asking for a root makes it exist, here
// and in Array, Map and XML; peers learn of it when something is in it.
func (tx *Tx) Text(root string) SharedText { return SharedText{tx.shared(root)} }

// Array returns the root array of a name.
func (tx *Tx) Array(root string) SharedArray { return SharedArray{tx.shared(root)} }

// Map returns the root map of a name.
func (tx *Tx) Map(root string) SharedMap { return SharedMap{tx.shared(root)} }

// XML returns the root fragment, or root element (see Options.Types), of a name.
func (tx *Tx) XML(root string) SharedXML { return SharedXML{tx.shared(root)} }

func (tx *Tx) shared(root string) shared {
	d := tx.d
	if d.asked.typ < 0 || d.asked.root != root {
		name := d.names.intern([]byte(root))
		d.asked = asked{d.names.text[name], d.root(name)}
	}
	return shared{d, d.asked.typ}
}

// asked is the root that an edit asked for last: the next one probably asks for it too.
type asked struct {
	root string
	typ  int32 // -1 for none
}

// shared is a type inside a transaction.
type shared struct {
	d *Doc
	t int32
}

// cursor is a place between two items of a list.
type cursor struct {
	list        int32
	left, right ref
	index       uint32 // units left of it
	attrs       attrs  // formats in force, in texts
}

func (s shared) start() cursor {
	s.d.mustBeEditable()
	l := s.d.sequence(s.t)
	return cursor{list: l, right: s.d.lists[l].first}
}

// forward steps over one item.
func (c *cursor) forward(d *Doc) {
	it := d.items.at(c.right)
	if !it.deleted() {
		if it.kind() == kindFormat {
			c.attrs.update(d.attrOf(c.right))
		} else if it.countable() {
			c.index += it.length
		}
	}
	c.left, c.right = c.right, it.right
}

// seek steps over n units, splitting the item that the place falls into.
func (s shared) seek(n int) (cursor, error) {
	c := s.start()
	if n < 0 || n > s.length() {
		return c, fmt.Errorf("%w: %d of %d", ErrIndex, n, s.length())
	}
	plain, steps := s.plain(), 0
	if plain {
		if s.d.atCaret(&c, uint32(n)) {
			return c, nil
		}
		steps = s.d.resume(&c, uint32(n))
	}
	for c.index < uint32(n) {
		if c.right == 0 {
			return c, fmt.Errorf("%w: %d past the end", ErrIndex, uint32(n)-c.index)
		}
		s.within(c.right, uint32(n)-c.index)
		c.forward(s.d)
		steps++
	}
	s.d.caret = caret{}
	if c.left != 0 && plain {
		left := s.d.items.at(c.left) // the last one that counts
		s.d.caret = caret{list: c.list, at: c.left, index: uint32(n) - left.length}
		if steps > markAfter {
			s.d.marks.leave(c.list, c.left, s.d.caret.index)
		}
	}
	return c, nil
}

// plain tells whether the type has never held a format, which what stands
// left of a place would have to be searched for.
func (s shared) plain() bool { return !s.d.types[s.t].formatted }

// caret remembers where the last local edit was, since the next one is
// probably near. It is forgotten when its list changes in another way.
type caret struct {
	list  int32
	at    ref    // an item of the list that is there and counts, 0 for none
	index uint32 // units before it
}

// atCaret moves a cursor behind the item at the caret if index n is there.
func (d *Doc) atCaret(c *cursor, n uint32) bool {
	k := d.caret
	if k.at == 0 || k.list != c.list {
		return false
	}
	it := d.items.at(k.at)
	if n != k.index+it.length {
		return false
	}
	c.left, c.right, c.index = k.at, it.right, n
	return true
}

// resume moves a cursor at the start of its list to an item near n that has
// fewer units before it, and returns how many items it stepped over: from the
// caret, a mark or the end of the list, whatever is nearest.
func (d *Doc) resume(c *cursor, n uint32) (steps int) {
	l := &d.lists[c.list]
	distance, at := n, mark{}
	if k := d.caret; k.at != 0 && k.list == c.list && max(k.index, n)-min(k.index, n) < distance {
		distance, at = max(k.index, n)-min(k.index, n), mark{k.at, k.index}
	}
	if l.last != 0 && l.units-n < distance {
		distance, at = l.units-n, mark{l.last, l.units}
		if d.isContent(l.last) {
			at.index -= d.items.at(l.last).length
		}
	}
	if distance > markAfter {
		if k, ok := d.marks.nearest(c.list, n, distance); ok {
			at = k
		}
	}
	r, index := at.ref, at.index
	for index >= n && r != 0 {
		if r = d.items.at(r).left; r != 0 && d.isContent(r) {
			index -= d.items.at(r).length
		}
		steps++
	}
	if r != 0 {
		c.left, c.right, c.index = d.items.at(r).left, r, index
	}
	return steps
}

// within returns how many of the next n units the item at r counts, after
// splitting off the others.
func (s shared) within(r ref, n uint32) uint32 {
	it := s.d.items.at(r)
	if it.deleted() || !it.countable() {
		return 0
	}
	if n < it.length {
		s.d.cleanStart(id{it.client(), it.clock + n})
	}
	return it.length
}

// length returns the number of units of the sequence.
func (s shared) length() int {
	if l := s.d.types[s.t].children; l != noList {
		return int(s.d.lists[l].units)
	}
	return 0
}

// remove deletes the next n units behind the cursor, and not the formats between them.
func (s shared) remove(c *cursor, n uint32) error {
	if where := s.d.caret; where.at != 0 && where.list == c.list && where.index < c.index {
		defer func() { s.d.caret = where }() // it stands left of what goes
	}
	for n > 0 {
		if c.right == 0 {
			return fmt.Errorf("%w: %d past the end", ErrIndex, n)
		}
		if k := s.within(c.right, n); k > 0 {
			s.d.marks.held = true
			s.d.deleteItem(&s.d.tx.changes, c.right)
			s.d.marks.held = false
			s.d.marks.deleted(c.list, c.index, k)
			n -= k
		}
		c.forward(s.d)
	}
	return nil
}

// insert puts a new item at the cursor and steps over it. fill appends its
// content to the slab and returns its length in units.
func (s shared) insert(c *cursor, kind uint8, fill func(*client, *item) uint32) (ref, error) {
	d := s.d
	author := d.addClient(d.opts.ClientID)
	d.touch(author)
	cl := &d.clients[author]
	if len(cl.slab) > maxSlab || cl.next > maxClock-1<<24 {
		return 0, fmt.Errorf("%w: author %d has written all it can", ErrValue, cl.id)
	}
	r := d.items.new()
	it := d.items.at(r)
	*it = item{
		clock: cl.next,
		list:  c.list, tag: uint32(author)<<clientShift | uint32(kind),
	}
	p := d.between(c.list, c.left, c.right)
	used := len(cl.slab)
	it.body = uint32(used)
	it.length = fill(cl, it)
	if len(cl.slab) > used {
		cl.tail = r
	}
	if kind == kindType {
		d.types[it.body].item = r
	}
	where := d.caret
	d.marks.held = true
	d.link(r, &p)
	d.marks.held = false
	if it.countable() && !it.deleted() {
		d.marks.inserted(d, c.list, c.index, it.length)
	}
	if where.list == it.list && where.at != 0 && it.countable() && !it.deleted() {
		d.caret = caret{list: it.list, at: r, index: c.index}
	}
	c.right = r
	c.forward(d)
	return r, nil
}

// typeOn lets the author's last run of text go on with more when the cursor
// stands right behind it and a new item would become part of it, and tells
// whether it did.
func (d *Doc) typeOn(c *cursor, text string) bool {
	author := d.clientIndex(d.opts.ClientID)
	if d.watch != nil || d.redone != nil || author == noClient || c.left == 0 {
		return false
	}
	cl := &d.clients[author]
	it := d.items.at(c.left)
	if cl.tail != c.left || it.end() != cl.next || it.kind() != kindString || it.deleted() ||
		d.lists[it.list].key != noKey || len(cl.slab)+len(text) > maxSlab || cl.next > maxClock-1<<24 {
		return false
	}
	if !d.items.precedesRight(c.left, it) && (it.tag&flagNoRor == 0 || c.right != 0) || it.right != c.right {
		return false
	}
	d.touch(author)
	if c.right != 0 {
		d.items.pinLeft(c.left, c.right)
	}
	units, ascii := lib0.UTF16Len([]byte(text))
	if !ascii {
		it.tag |= flagWide
	}
	cl.slab = append(cl.slab, text...)
	it.length += uint32(units)
	d.lists[it.list].units += uint32(units)
	cl.next += uint32(units)
	if d.caret.list == it.list && d.caret.at != c.left {
		d.caret = caret{}
	}
	d.marks.inserted(d, c.list, c.index, uint32(units))
	c.index += uint32(units)
	d.markChanged(&d.tx.changes, it.list)
	return true
}

// insertString puts text, which must be UTF-8, at the cursor.
func (s shared) insertString(c *cursor, text string) error {
	if s.d.typeOn(c, text) {
		return nil
	}
	_, err := s.insert(c, kindString, func(cl *client, it *item) uint32 {
		cl.slab = append(cl.slab, text...)
		units, ascii := lib0.UTF16Len(cl.slab[it.body:])
		if !ascii {
			it.tag |= flagWide
		}
		return uint32(units)
	})
	return err
}

// insertType puts a new empty type at the cursor.
func (s shared) insertType(c *cursor, kind Kind, name string) (shared, error) {
	if int(s.d.types[s.t].depth) >= s.d.opts.Limits.Types {
		return shared{}, fmt.Errorf("%w: shared types nested more than %d deep", ErrValue, s.d.opts.Limits.Types)
	}
	n := int32(-1)
	if kind == XMLElement || kind == XMLHook {
		n = s.d.names.intern([]byte(name))
	}
	t := s.d.newType(kind, n, 0)
	_, err := s.insert(c, kindType, func(_ *client, it *item) uint32 {
		it.body = uint32(t)
		return 1
	})
	return shared{s.d, t}, err
}

// insertValues puts values at the cursor: runs of plain ones as one item, byte arrays each as its own.
func (s shared) insertValues(c *cursor, values []any) error {
	encoded := make([][]byte, len(values))
	for i, v := range values {
		var err error
		if encoded[i], err = appendValue(nil, v, 0); err != nil {
			return err
		}
	}
	for i := 0; i < len(encoded); {
		n := i
		for n < len(encoded) && encoded[n][0] != lib0.AnyBytes {
			n++
		}
		kind, count := uint8(kindAny), n-i
		if n == i {
			kind, count = kindBinary, 1
		}
		run := encoded[i : i+count]
		if _, err := s.insert(c, kind, func(cl *client, _ *item) uint32 {
			for _, b := range run {
				if kind == kindBinary {
					b = b[1:] // without its type byte an any byte array is a varUint8Array
				}
				cl.slab = append(cl.slab, b...)
			}
			return uint32(len(run))
		}); err != nil {
			return err
		}
		i += count
	}
	return nil
}

// appendValue encodes a Go value as any: nil is null; bool, string, []byte,
// integers and floats stand for themselves; []any and map[string]any nest.
func appendValue(dst []byte, v any, depth int) ([]byte, error) {
	if depth > defaultDepth {
		return nil, fmt.Errorf("%w: nested more than %d deep", ErrValue, defaultDepth)
	}
	switch v := v.(type) {
	case nil:
		return append(dst, lib0.AnyNull), nil
	case bool:
		if v {
			return append(dst, lib0.AnyTrue), nil
		}
		return append(dst, lib0.AnyFalse), nil
	case int:
		return appendNumber(dst, float64(v)), nil
	case int64:
		return appendNumber(dst, float64(v)), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%w: %v", ErrValue, v)
		}
		return appendNumber(dst, v), nil
	case string:
		if !utf8.ValidString(v) {
			return nil, fmt.Errorf("%w: text is not UTF-8", ErrValue)
		}
		return lib0.AppendString(append(dst, lib0.AnyString), v), nil
	case []byte:
		return lib0.AppendBytes(append(dst, lib0.AnyBytes), v), nil
	case BigInt:
		return appendBigInt(dst, v), nil
	case Undefined:
		return append(dst, lib0.AnyUndefined), nil
	case []any:
		return appendSlice(dst, v, depth)
	case map[string]any:
		return appendMap(dst, v, depth)
	}
	return nil, fmt.Errorf("%w: %T", ErrValue, v)
}

func appendSlice(dst []byte, v []any, depth int) (_ []byte, err error) {
	dst = lib0.AppendUint(append(dst, lib0.AnyArray), uint64(len(v)))
	for _, e := range v {
		if dst, err = appendValue(dst, e, depth+1); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func appendMap(dst []byte, v map[string]any, depth int) (_ []byte, err error) {
	keys := make([]string, 0, len(v))
	for k := range v {
		if !utf8.ValidString(k) {
			return nil, fmt.Errorf("%w: key is not UTF-8", ErrValue)
		}
		keys = append(keys, k)
	}
	slices.Sort(keys)
	slices.SortStableFunc(keys, compareKeys)
	dst = lib0.AppendUint(append(dst, lib0.AnyObject), uint64(len(keys)))
	for _, k := range keys {
		dst = lib0.AppendString(dst, k)
		if dst, err = appendValue(dst, v[k], depth+1); err != nil {
			return nil, err
		}
	}
	return dst, nil
}
