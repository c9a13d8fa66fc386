package crdt

import (
	"math"
	"slices"
	"unicode/utf8"

	"weft/crdt/lib0"
)

// span is a range of bytes in a message.
type span struct{ start, end uint32 }

// block is one decoded struct of an update: item, collected range or gap. Both
// encodings decode into it and everything after decoding starts from it. Its
// clients index message.clients, its spans point into the message.
type block struct {
	clock  uint32
	length uint32
	origin id   // with hasParentID: the parent; with hasParentName: span of the key
	ror    id   // with hasParentName: span of the root's name; with hasParentID: of the key
	body   span // content, by kind: see message.content
	flags  uint16
	kind   uint8
	typ    Kind // kindType
}

const (
	hasOrigin     = 1 << iota
	hasRor        // right origin
	hasParentID   // neither origin, parent named by its item
	hasParentName // neither origin, parent is a root
	hasKey        // neither origin, child of a map
	isWide        // string with characters outside ASCII
	inExtra       // body lies in message.extra
)

func (b *block) end() uint32 { return b.clock + b.length }

// section is the run of blocks of one client.
type section struct {
	client int32
	first  int32 // of message.blocks
	n      int32
}

// deletion is a range of one client's clocks.
type deletion struct {
	client int32
	clock  uint32
	length uint32
}

// message is one decoded update. Its slices keep their memory between uses.
type message struct {
	src      []byte // the update; spans point into it
	extra    []byte // content that had to be built
	pairs    []pair // of the contents that have two parts
	version  Version
	clients  []ClientID
	index    map[ClientID]int32 // of clients, once there are many
	sections []section
	blocks   []block
	deletes  []deletion

	lim   Limits
	most  int    // blocks allowed
	raw   uint64 // structs announced
	count int    // blocks, those that were not kept included
	room  int    // blocks to keep
	dry   bool   // there were more: they have been checked and counted only
	run   int    // blocks in a row that could be one
	join  bool   // collected ranges side by side become one block: see joinCollected
	fewer bool   // some did
	last  int32  // of clients: looked up last
	named int    // blocks that name a root
}

// pair is a content of two parts, which kindFormat and kindDoc have.
type pair struct {
	aux  span // kindFormat: key; kindDoc: guid
	body span
}

// manyClients is the number up to which clients are searched one by one.
const manyClients = 16

// reset starts a new message.
func (m *message) reset(src []byte, v Version) {
	m.src, m.version, m.index = src, v, nil
	m.extra, m.pairs, m.clients, m.sections = m.extra[:0], m.pairs[:0], m.clients[:0], m.sections[:0]
	m.last = 0
	m.blocks, m.deletes = m.blocks[:0], m.deletes[:0]
	m.raw, m.count, m.room, m.dry, m.run, m.named, m.fewer = 0, 0, math.MaxInt, false, 0, 0, false
}

// expect makes room for count blocks that are announced, and for those of the
// sections behind them if they are as long as what was read so far, as far as
// the bytes that are left make it likely: room is at most 8 times their size.
func (m *message) expect(count uint64, left int) {
	need := len(m.blocks) + int(min(count, uint64(left/5)))
	if need <= cap(m.blocks) || count <= 4 {
		return
	}
	if n, read := len(m.blocks), len(m.src)-left; n > 0 && read > 0 {
		need = max(need, min(n+n*left/read*17/16, n+left/5))
	}
	m.blocks = slices.Grow(m.blocks, min(need, m.most+1)-len(m.blocks))
}

// keepScratch bounds the memory that is kept from one update to the next, in
// elements: what a large update needed is given back.
const keepScratch = 512

// release forgets the update, which is the caller's.
func (m *message) release() {
	m.src = nil
	if cap(m.blocks) > keepScratch || cap(m.deletes) > keepScratch || cap(m.extra) > keepScratch*16 ||
		cap(m.pairs) > keepScratch || cap(m.clients) > keepScratch || cap(m.sections) > keepScratch {
		*m = message{}
	}
}

// client returns the place of an id in m.clients, adding it if needed.
func (m *message) client(id uint64) int32 {
	if n := m.last; int(n) < len(m.clients) && m.clients[n] == ClientID(id) {
		return n
	}
	m.last = m.findClient(ClientID(id))
	return m.last
}

func (m *message) findClient(c ClientID) int32 {
	if m.index != nil {
		if i, ok := m.index[c]; ok {
			return i
		}
		m.index[c] = int32(len(m.clients))
	} else {
		for i := len(m.clients) - 1; i >= 0; i-- {
			if m.clients[i] == c {
				return int32(i)
			}
		}
		if len(m.clients) == manyClients {
			m.index = make(map[ClientID]int32, 2*manyClients)
			for i, c := range m.clients {
				m.index[c] = int32(i)
			}
			m.index[c] = manyClients
		}
	}
	m.clients = append(m.clients, c)
	return int32(len(m.clients) - 1)
}

// bytes returns the bytes of a span of the update.
func (m *message) bytes(s span) []byte { return m.src[s.start:s.end] }

// content returns a block's body:
//
//	kindString        UTF-8 text
//	kindAny           any values, one behind the other
//	kindJSON          varStrings, one behind the other
//	kindEmbed, Format the value: JSON text in V1, any in V2
//	kindBinary        the bytes
//	kindDoc           options as an any object
func (m *message) content(b *block) []byte {
	s := b.body
	switch b.kind {
	case kindFormat, kindDoc:
		s = m.pairs[s.start].body
	case kindType:
		return nil
	}
	if b.flags&inExtra != 0 {
		return m.extra[s.start:s.end]
	}
	return m.src[s.start:s.end]
}

// aux returns a format's key, a type's node name or a document's GUID.
func (m *message) aux(b *block) []byte {
	switch b.kind {
	case kindFormat, kindDoc:
		return m.bytes(m.pairs[b.body.start].aux)
	case kindType:
		return m.bytes(b.body)
	}
	return nil
}

// pair makes two spans the content of a block.
func (m *message) pair(b *block, aux, body span) {
	b.body = span{uint32(len(m.pairs)), 0}
	m.pairs = append(m.pairs, pair{aux, body})
}

// addSection starts the blocks of a client, of which count are announced. The
// bytes left bound the room that is made for them.
func (m *message) addSection(client int32, count uint64, left int) error {
	if count > rawFactor*uint64(m.lim.Structs)-m.raw {
		return limitf("more than %d structs", m.lim.Structs)
	}
	if err := m.checkClients(); err != nil {
		return err
	}
	m.raw += count
	m.run = 0
	m.sections = append(m.sections, section{client: client, first: int32(len(m.blocks))})
	m.expect(count, left)
	return nil
}

func (m *message) endSection() {
	s := &m.sections[len(m.sections)-1]
	s.n = int32(len(m.blocks)) - s.first
}

// authors refuses a number of sections or of authors of deleted ranges that
// would be too many different ones.
func (m *message) authors(n uint64) (uint64, error) {
	if n > uint64(m.lim.Clients) {
		return 0, limitf("more than %d clients", m.lim.Clients)
	}
	return n, nil
}

func (m *message) checkClients() error {
	if len(m.clients) > m.lim.Clients {
		return limitf("more than %d clients", m.lim.Clients)
	}
	return nil
}

// checkRoots refuses too many root names.
func (m *message) checkRoots() error {
	if m.named <= m.lim.Roots || m.dry {
		return nil
	}
	seen := map[string]struct{}{}
	for i := range m.blocks {
		if b := &m.blocks[i]; b.flags&hasParentName != 0 {
			seen[string(m.bytes(b.rootName()))] = struct{}{}
			if len(seen) > m.lim.Roots {
				return limitf("more than %d root names", m.lim.Roots)
			}
		}
	}
	return nil
}

// rootName returns where the name lies, with hasParentName.
func (b *block) rootName() span { return b.ror.span() }

// key returns where the key lies, with hasKey.
func (b *block) key() span {
	if b.flags&hasParentName != 0 {
		return b.origin.span()
	}
	return b.ror.span()
}

func (b *block) setKey(s span) {
	b.flags |= hasKey
	if b.flags&hasParentName != 0 {
		b.origin = s.id()
	} else {
		b.ror = s.id()
	}
}

// span and id turn one into the other: a block that names its parent has room
// where others have their origins.
func (i id) span() span { return span{uint32(i.client), i.clock} }
func (s span) id() id   { return id{int32(s.start), s.end} }

// checkSections refuses a client with two sections: yjs would drop the first without a word.
func (m *message) checkSections() error {
	if len(m.sections) <= 1 {
		return nil
	}
	seen := make([]bool, len(m.clients))
	for _, s := range m.sections {
		if seen[s.client] {
			return invalidf("client %d has two sections", m.clients[s.client])
		}
		seen[s.client] = true
	}
	return nil
}

// push returns a new last block.
func (m *message) push() *block {
	m.add(block{origin: noID, ror: noID})
	return &m.blocks[len(m.blocks)-1]
}

// add appends a block.
func (m *message) add(b block) {
	if n := len(m.blocks); n == cap(m.blocks) {
		m.blocks = slices.Grow(m.blocks, max(min(n, m.most+1-n), 8)) // append would grow by a quarter and leave more behind
	}
	m.blocks = append(m.blocks, b)
}

// settle checks the last block for what does not depend on the encoding and
// gives it its clocks.
func (m *message) settle(b *block, client int32, clock uint64, length uint64) error {
	if length == 0 {
		return invalidf("empty struct at clock %d of client %d", clock, m.clients[client])
	}
	if length > maxClock || clock+length > maxClock {
		return invalidf("clock %d+%d of client %d is too large", clock, length, m.clients[client])
	}
	b.clock, b.length = uint32(clock), uint32(length)
	if b.flags&(hasOrigin|hasParentID) != 0 && b.origin.client == client && b.origin.clock >= b.clock ||
		b.flags&hasRor != 0 && b.ror.client == client && b.ror.clock >= b.clock {
		return invalidf("struct at clock %d of client %d refers to itself or to later", clock, m.clients[client])
	}
	switch b.kind {
	case kindGC, kindDeleted, kindSkip:
		if m.joinRun(client) {
			return nil
		}
	}
	if m.count++; m.count > m.most {
		return limitf("more than %d structs", m.most)
	}
	if m.join && m.joinCollected() {
		return nil
	}
	if m.count > m.room {
		m.dry = true
		n := len(m.blocks) - 1
		m.blocks[n-1] = *b
		m.blocks, m.extra, m.pairs = m.blocks[:n], m.extra[:0], m.pairs[:0]
	}
	return m.checkClients()
}

// keepRun is the number of collected, deleted or missing structs in a row that
// stay apart in any case although they could be one. In an update with more
// than keepStructs and one for each of its bytes, what is longer is joined:
// only there do a few bytes stand for millions. Elsewhere it must stay as it
// is: deleted text into which others wrote has runs of hundreds.
const (
	keepRun     = 64
	keepStructs = 1 << 16
)

// joinRun joins the last block to the one before it when they are part of a
// long run.
func (m *message) joinRun(client int32) bool {
	n := len(m.blocks) - 1
	if n == int(m.sections[len(m.sections)-1].first) {
		return false
	}
	prev, b := &m.blocks[n-1], &m.blocks[n]
	if prev.kind != b.kind || b.kind == kindDeleted &&
		(b.flags&hasOrigin == 0 || b.origin != id{client, b.clock - 1} ||
			(prev.flags^b.flags)&hasRor != 0 || b.flags&hasRor != 0 && prev.ror != b.ror) {
		m.run = 0
		return false
	}
	if m.run++; m.run < keepRun || m.count < keepStructs+len(m.src) {
		return false
	}
	prev.length += b.length
	m.blocks = m.blocks[:n]
	return true
}

// joinCollected joins the last block to the one before it when both are
// collected ranges. In a document they would be one at the end of the
// transaction anyway, but what is left over of the update, and what is made of
// its bytes alone, has them apart as it came: so this is for a state that
// comes into an empty document and is all there (see load.go).
func (m *message) joinCollected() bool {
	n := len(m.blocks) - 1
	if m.blocks[n].kind != kindGC || n == int(m.sections[len(m.sections)-1].first) || m.blocks[n-1].kind != kindGC {
		return false
	}
	m.blocks[n-1].length += m.blocks[n].length
	m.blocks, m.fewer = m.blocks[:n], true
	return true
}

// maxClock bounds clocks: the store keeps 32 bits, 4 billion units of one author.
const maxClock = 1<<32 - 2

func checkID(clock uint64) error {
	if clock >= maxClock {
		return invalidf("clock %d is too large", clock)
	}
	return nil
}

// text checks a string content.
func text(b []byte) (units uint64, flags uint16, err error) {
	n, ascii := lib0.UTF16Len(b)
	if ascii {
		return uint64(n), 0, nil
	}
	if !utf8.Valid(b) {
		return 0, 0, invalidf("text is not valid UTF-8")
	}
	return uint64(n), isWide, nil
}
