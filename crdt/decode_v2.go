package crdt

import (
	"errors"
	"math"

	"weft/crdt/lib0"
)

// columns are the parts of an update of format 2
// (yjs/src/utils/UpdateDecoder.js, UpdateDecoderV2).
type columns struct {
	keyClock   lib0.DiffColumn // which key a writeKey repeats
	client     lib0.UintColumn
	leftClock  lib0.DiffColumn // clocks of origins and of parents
	rightClock lib0.DiffColumn // clocks of right origins
	info       lib0.ByteColumn
	str        lib0.StringColumn
	parentInfo lib0.ByteColumn
	typeRef    lib0.UintColumn
	length     lib0.UintColumn
	rest       lib0.Decoder // everything else, behind the columns
	strBase    int          // where the string column starts in the update
	keys       []span       // keys read so far
	repeated   int          // bytes of keys that were repeated
}

// decodeV2 reads an update of format 2: a feature byte, nine columns, each
// with its length in front, and the rest, laid out as in format 1 with every
// columned value taken out. Deleted ranges are written as the distance to the
// end of the previous one and the length minus one.
func (m *message) decodeV2(src []byte) error {
	m.reset(src, V2)
	m.room = m.roomV2(src)
	err := m.readV2(src)
	if errors.Is(err, lib0.ErrSurrogate) {
		src = mendStrings(src)
		m.reset(src, V2)
		m.room = m.roomV2(src)
		err = m.readV2(src)
	}
	if err == nil && m.dry {
		// All is well with it, so it may have the memory that it asks for.
		n := m.count
		m.reset(src, V2)
		m.blocks = make([]block, 0, n)
		err = m.readV2(src)
	}
	return err
}

// roomV2 is the number of blocks kept of an update that may be much shorter.
// One with more is read through before it gets the memory for them, so that
// refusing it costs little.
func (m *message) roomV2(src []byte) int {
	if m.lim.stored {
		return math.MaxInt
	}
	return 1<<14 + len(src)/8
}

// mendStrings returns a copy of an update whose strings do not end inside
// surrogate pairs.
func mendStrings(src []byte) []byte {
	d := lib0.NewDecoder(src)
	d.Uint()
	for range stringColumn {
		d.Bytes()
	}
	start := d.Pos()
	column := lib0.MendStrings(nil, d.Bytes())
	out := make([]byte, 0, len(src)+len(column)/2+8)
	return append(lib0.AppendBytes(append(out, src[:start]...), column), src[d.Pos():]...)
}

// stringColumn is the place of the string column among the columns.
const stringColumn = 5

func (m *message) readV2(src []byte) error {
	var c columns
	if err := c.open(src); err != nil {
		return err
	}
	sections, err := m.authors(c.rest.Uint())
	if err != nil {
		return err
	}
	for n := sections; n > 0 && c.rest.Err() == nil; n-- {
		count := c.rest.Uint()
		client := m.client(c.client.Read())
		clock := c.rest.Uint()
		if err := c.err(); err != nil {
			return err
		}
		if err := m.addSection(client, count, len(src)); err != nil {
			return err
		}
		for range count {
			length, err := m.structV2(&c, client, clock)
			if err != nil {
				return err
			}
			clock += length
		}
		m.endSection()
	}
	if c.rest.Err() == nil {
		if err := m.deletesV2(&c); err != nil {
			return err
		}
	}
	if err := c.err(); err != nil {
		return err
	}
	if name := c.unread(); name != "" {
		return invalidf("column of %s is longer than what is read of it", name)
	}
	return m.finish(&c.rest)
}

// unread returns the name of a column that was not used up, or "".
func (c *columns) unread() string {
	switch {
	case !c.keyClock.AtEnd():
		return "keys"
	case !c.client.AtEnd():
		return "clients"
	case !c.leftClock.AtEnd():
		return "origins"
	case !c.rightClock.AtEnd():
		return "right origins"
	case !c.info.AtEnd():
		return "infos"
	case !c.str.AtEnd():
		return "strings"
	case !c.parentInfo.AtEnd():
		return "parents"
	case !c.typeRef.AtEnd():
		return "types"
	case !c.length.AtEnd():
		return "lengths"
	}
	return ""
}

func (c *columns) open(src []byte) error {
	c.rest = lib0.NewDecoder(src)
	if f := c.rest.Uint(); f != 0 {
		return invalidf("feature flag %d is not known", f)
	}
	c.keyClock = lib0.NewDiffColumn(c.rest.Bytes())
	c.client = lib0.NewUintColumn(c.rest.Bytes())
	c.leftClock = lib0.NewDiffColumn(c.rest.Bytes())
	c.rightClock = lib0.NewDiffColumn(c.rest.Bytes())
	c.info = lib0.NewByteColumn(c.rest.Bytes())
	str := c.rest.Bytes()
	c.strBase = c.rest.Pos() - len(str)
	c.str = lib0.NewStringColumn(str)
	c.parentInfo = lib0.NewByteColumn(c.rest.Bytes())
	c.typeRef = lib0.NewUintColumn(c.rest.Bytes())
	c.length = lib0.NewUintColumn(c.rest.Bytes())
	return c.err()
}

// err returns the first error of any column.
func (c *columns) err() error {
	for _, e := range [...]error{
		c.rest.Err(), c.keyClock.Err(), c.client.Err(), c.leftClock.Err(), c.rightClock.Err(),
		c.info.Err(), c.str.Err(), c.parentInfo.Err(), c.typeRef.Err(), c.length.Err(),
	} {
		if e != nil {
			return invalidf("%w", e)
		}
	}
	return nil
}

// readString returns where the next string of the string column lies.
func (c *columns) readString() (s span, units int, ascii bool) {
	start, end, units, ascii := c.str.Read()
	return span{uint32(c.strBase + start), uint32(c.strBase + end)}, units, ascii
}

// readKey reads a key: yjs always writes a new one, older writers may repeat one.
func (c *columns) readKey() span {
	if i := c.keyClock.Read(); i < uint64(len(c.keys)) {
		s := c.keys[i]
		c.repeated += int(s.end - s.start)
		return s
	}
	s, _, _ := c.readString()
	c.keys = append(c.keys, s)
	return s
}

func (m *message) structV2(c *columns, client int32, clock uint64) (uint64, error) {
	b := m.push()
	info := c.info.Read()
	b.kind = info & infoKind
	var length uint64
	switch {
	case (b.kind == kindGC || b.kind == kindSkip) && info != b.kind:
		return 0, invalidf("struct info %#x", info)
	case b.kind == kindGC:
		length = c.length.Read()
	case b.kind == kindSkip:
		length = c.rest.Uint()
	default:
		if err := m.originsV2(c, b, info); err != nil {
			return 0, err
		}
		var err error
		if length, err = m.contentV2(c, b); err != nil {
			return 0, err
		}
	}
	if err := c.err(); err != nil {
		return 0, err
	}
	if c.repeated > m.lim.Bytes-len(m.src) {
		return 0, limitf("more than %d bytes decoded", m.lim.Bytes)
	}
	return length, m.settle(b, client, clock, length)
}

func (m *message) originsV2(c *columns, b *block, info byte) error {
	read := func(clocks *lib0.DiffColumn) (id, error) {
		client, clock := c.client.Read(), clocks.Read()
		return id{m.client(client), uint32(clock)}, checkID(clock)
	}
	var err error
	if info&infoOrigin != 0 {
		b.flags |= hasOrigin
		if b.origin, err = read(&c.leftClock); err != nil {
			return err
		}
	}
	if info&infoRor != 0 {
		b.flags |= hasRor
		if b.ror, err = read(&c.rightClock); err != nil {
			return err
		}
	}
	if info&(infoOrigin|infoRor) != 0 {
		return nil
	}
	switch c.parentInfo.Read() {
	case 1:
		b.flags |= hasParentName
		name, _, _ := c.readString()
		b.ror = name.id()
		m.named++
	case 0:
		b.flags |= hasParentID
		if b.origin, err = read(&c.leftClock); err != nil {
			return err
		}
	default:
		return invalidf("parent info")
	}
	if info&infoKey != 0 {
		key, _, _ := c.readString()
		b.setKey(key)
	}
	return nil
}

// contentV2 reads a content and returns the number of clocks it covers.
func (m *message) contentV2(c *columns, b *block) (length uint64, err error) {
	rest := &c.rest
	switch b.kind {
	case kindString:
		s, units, ascii := c.readString()
		b.body = s
		if !ascii {
			b.flags |= isWide
		}
		return uint64(units), nil
	case kindDeleted:
		return c.length.Read(), nil
	case kindAny:
		length := c.length.Read()
		start := rest.Pos()
		for n := length; n > 0 && rest.Err() == nil; n-- {
			rest.Any(m.lim.Depth)
		}
		b.body = span{uint32(start), uint32(rest.Pos())}
		return length, nil
	case kindJSON:
		length := c.length.Read()
		start := len(m.extra)
		for n := length; n > 0; n-- {
			s, _, _ := c.readString()
			if err := c.str.Err(); err != nil {
				return 0, invalidf("%w", err)
			}
			if err := checkJSON(rest, m.bytes(s), m.lim.Depth, true); err != nil {
				return 0, err
			}
			m.extra = lib0.AppendBytes(m.extra, m.bytes(s))
		}
		b.body = span{uint32(start), uint32(len(m.extra))}
		b.flags |= inExtra
		return length, nil
	case kindBinary:
		b.body = spanOf(rest, rest.Bytes())
		return 1, nil
	case kindEmbed, kindFormat:
		if b.kind == kindFormat {
			m.pair(b, c.readKey(), spanOf(rest, rest.Any(m.lim.Depth)))
		} else {
			b.body = spanOf(rest, rest.Any(m.lim.Depth))
		}
		return 1, nil
	case kindType:
		b.typ, err = checkKind(c.typeRef.Read())
		if b.typ == XMLElement || b.typ == XMLHook {
			b.body = c.readKey()
		}
		return 1, err
	case kindDoc:
		guid, _, _ := c.readString()
		m.pair(b, guid, spanOf(rest, rest.Any(m.lim.Depth)))
		if rest.Err() == nil {
			m.docOptions(b)
		}
		return 1, nil
	}
	return 0, invalidf("content kind %d", b.kind)
}

func (m *message) deletesV2(c *columns) error {
	d := &c.rest
	authors, err := m.authors(d.Uint())
	if err != nil {
		return err
	}
	for n := authors; n > 0 && d.Err() == nil; n-- {
		client := m.client(d.Uint())
		if err := m.checkClients(); err != nil {
			return err
		}
		var clock uint64
		for count := d.Uint(); count > 0 && d.Err() == nil; count-- {
			clock += d.Uint()
			length := d.Uint() + 1
			if d.Err() != nil {
				break
			}
			if err := m.addDelete(client, clock, length); err != nil {
				return err
			}
			clock += length
		}
	}
	return nil
}
