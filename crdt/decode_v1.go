package crdt

import (
	"encoding/json"

	"weft/crdt/lib0"
)

// Bits of a struct's info byte (yjs/src/structs/Item.js, write).
const (
	infoOrigin = 0x80
	infoRor    = 0x40
	infoKey    = 0x20
	infoKind   = 0x1f
)

// decodeV1 reads an update of format 1:
//
//	varUint clients, each:
//	  varUint structs, varUint client, varUint clock, structs, each:
//	    byte info; GC, Skip: varUint length
//	    [varUint client, varUint clock]   origin,       if bit 8
//	    [varUint client, varUint clock]   right origin, if bit 7
//	    neither: varUint 1, varString root | varUint 0, varUint client, varUint clock
//	             [varString key]          if bit 6
//	    content
//	varUint clients, each: varUint client, varUint n, n x (varUint clock, varUint length)
//
// (yjs/src/utils/encoding.js readClientsStructRefs, DeleteSet.js readDeleteSet.)
func (m *message) decodeV1(src []byte) error {
	m.reset(src, V1)
	d := lib0.NewDecoder(src)
	sections, err := m.authors(d.Uint())
	if err != nil {
		return err
	}
	for n := sections; n > 0 && d.Err() == nil; n-- {
		count := d.Uint()
		client := m.client(d.Uint())
		clock := d.Uint()
		if d.Err() != nil {
			break
		}
		if err := m.addSection(client, count, d.Len()); err != nil {
			return err
		}
		for count > 0 {
			var n uint64
			if n, clock = m.plainV1(&d, client, clock, count); n == count {
				break
			}
			length, err := m.structV1(&d, client, clock)
			if err != nil {
				return err
			}
			clock += length
			count -= n + 1
		}
		m.endSection()
	}
	if d.Err() == nil {
		if err := m.deletesV1(&d); err != nil {
			return err
		}
	}
	return m.finish(&d)
}

// finish reports a decoder's error, bytes left over, doubled sections and too many names.
func (m *message) finish(d *lib0.Decoder) error {
	if d.Err() != nil {
		return invalidf("%w", d.Err())
	}
	if d.Len() > 0 {
		return invalidf("%d bytes left over at byte %d", d.Len(), d.Pos())
	}
	if err := m.checkRoots(); err != nil {
		return err
	}
	return m.checkSections()
}

func (m *message) structV1(d *lib0.Decoder, client int32, clock uint64) (uint64, error) {
	b := m.push()
	info := d.Byte()
	b.kind = info & infoKind
	var length uint64
	if b.kind == kindGC || b.kind == kindSkip {
		if info != b.kind {
			return 0, invalidf("struct info %#x at byte %d", info, d.Pos()-1)
		}
		length = d.Uint()
	} else {
		if err := m.originsV1(d, b, info); err != nil {
			return 0, err
		}
		var err error
		if length, err = m.contentV1(d, b); err != nil {
			return 0, err
		}
	}
	if d.Err() != nil {
		return 0, invalidf("%w", d.Err())
	}
	return length, m.settle(b, client, clock, length)
}

func (m *message) idV1(d *lib0.Decoder) (id, error) {
	c, clock := d.Uint(), d.Uint()
	if d.Err() != nil {
		return noID, invalidf("%w", d.Err())
	}
	return id{m.client(c), uint32(clock)}, checkID(clock)
}

func (m *message) originsV1(d *lib0.Decoder, b *block, info byte) (err error) {
	if info&infoOrigin != 0 {
		b.flags |= hasOrigin
		if b.origin, err = m.idV1(d); err != nil {
			return err
		}
	}
	if info&infoRor != 0 {
		b.flags |= hasRor
		if b.ror, err = m.idV1(d); err != nil {
			return err
		}
	}
	if info&(infoOrigin|infoRor) != 0 {
		return nil
	}
	switch d.Uint() {
	case 1:
		b.flags |= hasParentName
		b.ror = spanOf(d, d.String()).id()
		m.named++
	case 0:
		b.flags |= hasParentID
		if b.origin, err = m.idV1(d); err != nil {
			return err
		}
	default:
		return invalidf("parent info at byte %d", d.Pos())
	}
	if info&infoKey != 0 {
		b.setKey(spanOf(d, d.String()))
	}
	return nil
}

// spanOf returns where b, just read, lies in the decoder's input.
func spanOf(d *lib0.Decoder, b []byte) span {
	return span{uint32(d.Pos() - len(b)), uint32(d.Pos())}
}

// contentV1 reads a content and returns the number of clocks it covers.
func (m *message) contentV1(d *lib0.Decoder, b *block) (length uint64, err error) {
	switch b.kind {
	case kindString:
		body := d.Bytes()
		b.body = spanOf(d, body)
		length, flags, err := text(body)
		b.flags |= flags
		return length, err
	case kindDeleted:
		return d.Uint(), nil
	case kindJSON, kindAny:
		length := d.Uint()
		start := d.Pos()
		for n := length; n > 0 && d.Err() == nil; n-- {
			if b.kind == kindAny {
				d.Any(m.lim.Depth)
			} else if err := checkJSON(d, d.String(), m.lim.Depth, true); err != nil {
				return 0, err
			}
		}
		b.body = span{uint32(start), uint32(d.Pos())}
		return length, nil
	case kindBinary:
		b.body = spanOf(d, d.Bytes())
		return 1, nil
	case kindEmbed, kindFormat:
		var key span
		if b.kind == kindFormat {
			key = spanOf(d, d.String())
		}
		body := d.String()
		b.body = spanOf(d, body)
		if b.kind == kindFormat {
			m.pair(b, key, b.body)
		}
		return 1, checkJSON(d, body, m.lim.Depth, false)
	case kindType:
		b.typ, err = checkKind(d.Uint())
		if b.typ == XMLElement || b.typ == XMLHook {
			b.body = spanOf(d, d.String())
		}
		return 1, err
	case kindDoc:
		guid := spanOf(d, d.String())
		m.pair(b, guid, spanOf(d, d.Any(m.lim.Depth)))
		if d.Err() == nil {
			m.docOptions(b)
		}
		return 1, nil
	}
	return 0, invalidf("content kind %d at byte %d", b.kind, d.Pos())
}

func checkKind(t uint64) (Kind, error) {
	if t > uint64(XMLText) {
		return Untyped, invalidf("shared type %d", t)
	}
	return Kind(t), nil
}

// checkJSON checks that b is a JSON text nested no deeper than allowed; the
// word undefined is one where yjs writes it.
func checkJSON(d *lib0.Decoder, b []byte, depth int, undefined bool) error {
	if d.Err() != nil || undefined && string(b) == "undefined" {
		return nil
	}
	level, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if level++; level > depth {
				return limitf("JSON nested more than %d deep at byte %d", depth, d.Pos())
			}
		case c == ']' || c == '}':
			level--
		}
	}
	if !json.Valid(b) {
		return invalidf("not JSON before byte %d", d.Pos())
	}
	return nil
}

func (m *message) deletesV1(d *lib0.Decoder) error {
	authors, err := m.authors(d.Uint())
	if err != nil {
		return err
	}
	for n := authors; n > 0 && d.Err() == nil; n-- {
		client := m.client(d.Uint())
		count := d.Uint()
		if err := m.checkClients(); err != nil {
			return err
		}
		for ; count > 0 && d.Err() == nil; count-- {
			clock := d.Uint()
			length := d.Uint()
			if d.Err() != nil {
				break
			}
			if err := m.addDelete(client, clock, length); err != nil {
				return err
			}
		}
	}
	return nil
}

// addDelete appends a deleted range.
func (m *message) addDelete(client int32, clock, length uint64) error {
	if length > maxClock || clock+length > maxClock {
		return invalidf("deleted range %d+%d of client %d is too large", clock, length, m.clients[client])
	}
	if len(m.deletes) == m.lim.Deletes {
		return limitf("more than %d deleted ranges", m.lim.Deletes)
	}
	if length == 0 {
		return invalidf("empty deleted range at clock %d of client %d", clock, m.clients[client])
	}
	m.deletes = append(m.deletes, deletion{client, uint32(clock), uint32(length)})
	return nil
}
