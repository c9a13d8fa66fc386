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

// Tx is one local transaction. It and the shared types it hands out are valid
// until the function given to Edit returns.
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
		err = f(&Tx{d})
	}()
	d.commit(true)
	for _, c := range d.tx.touched {
		if d.clients[c].next != d.clients[c].before {
			return d.appendTransaction(nil, V1), err
		}
	}
	if len(d.tx.deletes) > 0 {
		return d.appendTransaction(nil, V1), err
	}
	return nil, err
}

// Text returns the root text of a name.
func (tx *Tx) Text(root string) SharedText { return SharedText{tx.shared(root)} }

// Array returns the root array of a name.
func (tx *Tx) Array(root string) SharedArray { return SharedArray{tx.shared(root)} }

// Map returns the root map of a name.
func (tx *Tx) Map(root string) SharedMap { return SharedMap{tx.shared(root)} }

// XML returns the root fragment of a name.
func (tx *Tx) XML(root string) SharedXML { return SharedXML{tx.shared(root)} }

func (tx *Tx) shared(root string) shared {
	return shared{tx.d, tx.d.root(tx.d.names.intern([]byte(root)))}
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
	attrs       attrs // formats in force, in texts
}

func (s shared) start() cursor {
	s.d.mustBeEditable()
	l := s.d.sequence(s.t)
	return cursor{list: l, right: s.d.lists[l].first}
}

// forward steps over one item.
func (c *cursor) forward(d *Doc) {
	if it := d.items.at(c.right); !it.deleted() && it.kind() == kindFormat {
		c.attrs.update(d.attrOf(c.right))
	}
	c.left, c.right = c.right, d.items.at(c.right).right
}

// seek steps over n units, splitting the item that the place falls into.
func (s shared) seek(n int) (cursor, error) {
	c := s.start()
	if n < 0 || n > s.length() {
		return c, fmt.Errorf("%w: %d of %d", ErrIndex, n, s.length())
	}
	rest := uint32(n)
	if !s.d.types[s.t].formatted {
		rest = s.d.resume(&c, rest)
	}
	err := s.advance(&c, rest)
	s.d.caret = caret{}
	if c.left != 0 && !s.d.types[s.t].formatted {
		left := s.d.items.at(c.left) // the last one that counts
		s.d.caret = caret{list: c.list, at: c.left, index: uint32(n) - left.length}
	}
	return c, err
}

// caret remembers where the last local edit was, since the next one is
// probably near. It is forgotten when its list changes in another way.
type caret struct {
	list  int32
	at    ref    // an item of the list, 0 for none
	index uint32 // units before it
}

// resume moves a cursor at the start of its list to an item near n that has
// fewer units before it, and returns how many are still to go.
func (d *Doc) resume(c *cursor, n uint32) uint32 {
	if d.caret.at == 0 || d.caret.list != c.list || d.caret.index > 2*n {
		return n
	}
	r, index := d.caret.at, d.caret.index
	for index >= n && r != 0 {
		if r = d.items.at(r).left; r != 0 && d.isContent(r) {
			index -= d.items.at(r).length
		}
	}
	if r == 0 {
		return n
	}
	c.left, c.right = d.items.at(r).left, r
	return n - index
}

func (s shared) advance(c *cursor, n uint32) error {
	for n > 0 {
		if c.right == 0 {
			return fmt.Errorf("%w: %d past the end", ErrIndex, n)
		}
		n -= s.within(c.right, n)
		c.forward(s.d)
	}
	return nil
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
	where := s.d.caret // stands left of what goes
	defer func() { s.d.caret = where }()
	for n > 0 {
		if c.right == 0 {
			return fmt.Errorf("%w: %d past the end", ErrIndex, n)
		}
		if k := s.within(c.right, n); k > 0 {
			s.d.deleteItem(&s.d.tx.changes, c.right)
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
	d.link(r, &p)
	if where.list == it.list && where.at != 0 && where.at == it.left && it.countable() {
		d.caret = caret{list: it.list, at: r, index: where.index + d.items.at(it.left).length}
	}
	c.right = r
	c.forward(d)
	return r, nil
}

// insertString puts text, which must be UTF-8, at the cursor.
func (s shared) insertString(c *cursor, text string) error {
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
