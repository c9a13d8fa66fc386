package crdt

import (
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
	origin id   // with hasParentID: the parent
	ror    id   // with hasParentName: start and end of the root's name
	key    span // with hasKey
	body   span // content, by kind: see message.content
	aux    span // kindFormat: key; kindType: node name; kindDoc: guid
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
	version  Version
	clients  []ClientID
	index    map[ClientID]int32 // of clients, once there are many
	sections []section
	blocks   []block
	deletes  []deletion
}

// manyClients is the number up to which clients are searched one by one.
const manyClients = 16

// reset starts a new message.
func (m *message) reset(src []byte, v Version) {
	m.src, m.version, m.index = src, v, nil
	m.extra, m.clients, m.sections = m.extra[:0], m.clients[:0], m.sections[:0]
	m.blocks, m.deletes = m.blocks[:0], m.deletes[:0]
}

// expect makes room for count blocks that are announced, as far as the bytes
// that are left make it likely: room is at most 8 times their size.
func (m *message) expect(count uint64, left int) {
	if need := len(m.blocks) + int(min(count, uint64(left/7))); need > cap(m.blocks) && count > 4 {
		m.blocks = slices.Grow(m.blocks, max(need, 2*cap(m.blocks))-len(m.blocks))
	}
}

// keepScratch bounds the memory that is kept from one update to the next, in
// elements: what a large update needed is given back.
const keepScratch = 512

// release forgets the update, which is the caller's.
func (m *message) release() {
	m.src = nil
	if cap(m.blocks) > keepScratch || cap(m.deletes) > keepScratch || cap(m.extra) > keepScratch*16 {
		*m = message{}
	}
}

// client returns the place of an id in m.clients, adding it if needed.
func (m *message) client(id uint64) int32 {
	c := ClientID(id)
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
	if b.flags&inExtra != 0 {
		return m.extra[b.body.start:b.body.end]
	}
	return m.src[b.body.start:b.body.end]
}

// addSection starts the blocks of a client.
func (m *message) addSection(client int32) {
	m.sections = append(m.sections, section{client: client, first: int32(len(m.blocks))})
}

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

// checkBlock checks what does not depend on the encoding and links the block to its clocks.
func (m *message) checkBlock(b *block, client int32, clock uint64, length uint64) error {
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
	return nil
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
