package crdt

import "slices"

// What the parts of a document take beside its items, in bytes; a test compares with the compiler.
const (
	typBytes    = 32
	listBytes   = 24
	clientBytes = 104
)

// ref names an item of the arena; 0 is none.
type ref int32

// id names one unit of one author. client indexes Doc.clients, none is noClient.
type id struct {
	client int32
	clock  uint32
}

const noClient = -1

var noID = id{client: noClient} // the absent origin

// item is one struct of the document: a run of content with consecutive
// clocks, or a collected range. It holds no pointer. Its origins are told by
// items.origin and items.ror.
type item struct {
	clock  uint32
	length uint32 // clocks covered, > 0
	left   ref    // neighbours in the list; free items chain through left
	right  ref
	list   int32
	body   uint32 // offset in the client's slab, or the type's index
	tag    uint32 // client<<clientShift | flags | kind
}

const itemSize = 7 * 4 // bytes, see above

// The low bits of a tag.
const (
	kindMask     = 0x0f
	flagDeleted  = 0x10
	flagKeep     = 0x20 // not collected while an undo manager may need it
	flagWide     = 0x40 // string with characters outside ASCII
	flagNoOrigin = 0x80
	flagNoRor    = 0x100
	clientShift  = 9
	maxClients   = 1 << 23
)

// flagsGC are the flags of a collected range.
const flagsGC = flagDeleted | flagNoOrigin | flagNoRor | kindGC

// Kinds of content, with their number on the wire (yjs/src/structs/Item.js, contentRefs).
const (
	kindGC      = 0  // collected range: only its length is known
	kindDeleted = 1  // deleted content: only its length and place are known
	kindJSON    = 2  // values as JSON texts (legacy)
	kindBinary  = 3  // one byte array
	kindString  = 4  // text
	kindEmbed   = 5  // one value inside text
	kindFormat  = 6  // start or end of a format inside text, not counted
	kindType    = 7  // one nested type
	kindAny     = 8  // values
	kindDoc     = 9  // one subdocument
	kindSkip    = 10 // gap in an update, never in a document
)

func (it *item) kind() uint8     { return uint8(it.tag & kindMask) }
func (it *item) deleted() bool   { return it.tag&flagDeleted != 0 }
func (it *item) keep() bool      { return it.tag&flagKeep != 0 }
func (it *item) wide() bool      { return it.tag&flagWide != 0 }
func (it *item) client() int32   { return int32(it.tag >> clientShift) }
func (it *item) first() id       { return id{it.client(), it.clock} }
func (it *item) last() id        { return id{it.client(), it.clock + it.length - 1} }
func (it *item) end() uint32     { return it.clock + it.length }
func (it *item) isGC() bool      { return it.tag&kindMask == kindGC }
func (it *item) setKind(k uint8) { it.tag = it.tag&^kindMask | uint32(k) }

// countable tells whether the content has an index in its list.
func (it *item) countable() bool {
	k := it.kind()
	return k != kindFormat && k != kindDeleted && k != kindGC
}

// items is the arena: chunks that never move, and a chain of free places.
type items struct {
	chunks []*[chunkLen]item
	ends   []chunkEnds // of the items of each chunk
	used   int32       // places handed out, the first (0) being none
	free   ref

	loading *loader // knows the origins while a whole state comes in
}

const (
	chunkBits = 6 // 64 items: a document of one word costs one chunk of 1.8 kB
	chunkLen  = 1 << chunkBits
)

func (a *items) at(r ref) *item {
	return &a.chunks[r>>chunkBits][r&(chunkLen-1)]
}

// new returns a place whose old content is still there.
func (a *items) new() ref {
	if r := a.free; r != 0 {
		a.free = a.at(r).left
		return r
	}
	if a.used == 0 {
		a.used = 1
	}
	if int(a.used>>chunkBits) == len(a.chunks) {
		a.chunks = append(a.chunks, new([chunkLen]item))
		a.ends = append(a.ends, chunkEnds{})
	}
	a.used++
	return ref(a.used - 1)
}

// reserve makes n items at once, from ref 1 on; the arena must be empty.
func (a *items) reserve(n int) {
	all := make([][chunkLen]item, n>>chunkBits+1)
	a.chunks = make([]*[chunkLen]item, len(all))
	for i := range all {
		a.chunks[i] = &all[i]
	}
	a.ends = make([]chunkEnds, len(all))
	a.used = int32(n) + 1
}

func (a *items) release(r ref) {
	*a.at(r) = item{left: a.free}
	a.free = r
}

func (a *items) bytes() int {
	n := len(a.chunks)*chunkLen*itemSize + cap(a.chunks)*8
	for i := range a.ends {
		n += a.ends[i].bytes()
	}
	return n
}

// client is one author: its structs by clock and the bytes of their contents.
type client struct {
	id    ClientID
	index index
	next  uint32 // first clock not known
	tail  ref    // the item whose content ends at the end of slab, or 0
	slab  []byte // contents in clock order, see content.go
	dead  int    // bytes of slab that no item uses any more

	// Scratch of the transaction with this number.
	touched uint64
	before  uint32 // next when the transaction began
}

// clientIndex returns the place of an author in d.clients, or noClient.
func (d *Doc) clientIndex(id ClientID) int32 {
	r := &d.recent[id&1]
	if *r >= 0 && d.clients[*r].id == id {
		return *r
	}
	c, ok := d.byID[id]
	if !ok {
		return noClient
	}
	*r = c
	return c
}

// addClient returns the place of an author, adding it if needed.
func (d *Doc) addClient(id ClientID) int32 {
	if c := d.clientIndex(id); c != noClient {
		return c
	}
	c := int32(len(d.clients))
	d.clients = append(d.clients, client{id: id})
	d.byID[id] = c
	return c
}

// sorted returns the clients by descending id.
func (d *Doc) sorted() []int32 {
	if n := len(d.order); n != len(d.clients) {
		for i := n; i < len(d.clients); i++ {
			d.order = append(d.order, int32(i))
		}
		slices.SortFunc(d.order, func(a, b int32) int {
			if d.clients[a].id > d.clients[b].id {
				return -1
			}
			return 1
		})
	}
	return d.order
}

// find returns the item that covers an id, which must be known.
func (d *Doc) find(i id) ref { return d.clients[i.client].index.find(i.clock).ref() }

// names interns the strings that repeat: keys, root names, node names.
type names struct {
	index map[string]int32
	text  []string
}

func (n *names) intern(b []byte) int32 {
	if i, ok := n.index[string(b)]; ok {
		return i
	}
	i, s := int32(len(n.text)), string(b)
	n.text = append(n.text, s)
	n.index[s] = i
	return i
}

func (n *names) bytes() int {
	size := 0
	for _, s := range n.text {
		size += 2*len(s) + 64 // key and text, string headers, map slot
	}
	return size
}

// Kind is the type of a shared value (yjs/src/structs/ContentType.js, typeRefs).
type Kind uint8

// Kinds of shared types. Untyped is a root whose type nobody declared.
const (
	Array Kind = iota
	Map
	Text
	XMLElement
	XMLFragment
	XMLHook
	XMLText
	Untyped Kind = 0xff
)

// isText tells whether the type runs yjs' formatting clean-up.
func (k Kind) isText() bool { return k == Text || k == XMLText }

// typ is one shared type: a root or the content of an item.
type typ struct {
	item      ref   // the item that holds it, 0 for a root
	name      int32 // root name, or node name of an element or hook; -1 for none
	children  int32 // list of the sequence, -1 before the first child
	entry     int32 // first list of the map part, -1 for none
	lastEntry int32
	kind      Kind
	formatted bool   // has ever held a format
	depth     uint16 // types around it
	changed   uint64
}

// list is a chain of items: the sequence of a type, or the history of one key.
type list struct {
	typ   int32
	key   int32 // name, or noKey for a sequence
	first ref
	last  ref
	next  int32  // next entry of the same type
	units uint32 // of a sequence: those that are there and count
}

const (
	noKey  = -1
	noList = -1
)

func (d *Doc) newType(kind Kind, name int32, holder ref) int32 {
	d.types = append(d.types, typ{item: holder, name: name, children: noList, entry: noList, lastEntry: noList, kind: kind})
	return int32(len(d.types) - 1)
}

// root returns the root type of a name, making it untyped if needed.
func (d *Doc) root(name int32) int32 {
	t, ok := d.roots[name]
	if !ok {
		t = d.newType(Untyped, name, 0)
		d.roots[name] = t
	}
	return t
}

// sequence returns the list of a type's children, making it if needed.
func (d *Doc) sequence(t int32) int32 {
	if d.types[t].children == noList {
		d.lists = append(d.lists, list{typ: t, key: noKey, next: noList})
		d.types[t].children = int32(len(d.lists) - 1)
	}
	return d.types[t].children
}

// entry returns the list of a key of a type, making it if needed.
func (d *Doc) entry(t, key int32) int32 {
	l := d.lookup(t, key)
	if l == noList {
		l = int32(len(d.lists))
		d.lists = append(d.lists, list{typ: t, key: key, next: noList})
		d.entries[uint64(t)<<32|uint64(key)] = l
		ty := &d.types[t]
		if ty.lastEntry == noList {
			ty.entry = l
		} else {
			d.lists[ty.lastEntry].next = l
		}
		ty.lastEntry = l
	}
	return l
}

// lookup returns the list of a key of a type, or noList.
func (d *Doc) lookup(t, key int32) int32 {
	if l, ok := d.entries[uint64(t)<<32|uint64(key)]; ok {
		return l
	}
	return noList
}
