package crdt

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"weft/crdt/lib0"
)

// A RelativePosition is a place in a sequence that stays where it is while
// others edit: before or behind a certain unit, or at an end of the sequence.
// It can be compared with ==.
type RelativePosition struct {
	in      TypeID // when the place is an end of the sequence
	at      rawID  // the unit, with hasUnit
	hasUnit bool
	assoc   int64
}

// Assoc tells which neighbour the position belongs to: the unit behind it when
// it is not negative, else the one before it.
func (p RelativePosition) Assoc() int { return int(p.assoc) }

// RelativePosition returns the position before the unit at index of a
// sequence, or, with a negative assoc, behind the unit before it. An index is in
// UTF-16 code units for texts; one past the end is the end. ErrIndex means
// that the index is negative or the document has no such nested type.
func (d *Doc) RelativePosition(in TypeID, index, assoc int) (RelativePosition, error) {
	end := RelativePosition{in: in, assoc: int64(assoc)}
	t := d.typeAt(in)
	if index < 0 || t < 0 && in.nested {
		return RelativePosition{}, fmt.Errorf("%w: %d of %v", ErrIndex, index, in)
	}
	if assoc < 0 {
		if index == 0 {
			return end, nil
		}
		index--
	}
	for r := d.first(t); r != 0; r = d.items.at(r).right {
		it := d.items.at(r)
		if d.isContent(r) {
			if index < int(it.length) {
				return d.positionAt(id{it.client(), it.clock + uint32(index)}, assoc), nil
			}
			index -= int(it.length)
		}
		if it.right == 0 && assoc < 0 {
			return d.positionAt(it.last(), assoc), nil
		}
	}
	return end, nil
}

func (d *Doc) positionAt(i id, assoc int) RelativePosition {
	return RelativePosition{at: d.rawID(i), hasUnit: true, assoc: int64(assoc)}
}

// Resolve returns the type and the index at which a position is today. Where
// the unit was deleted, that is where it stood; where an undo of this document
// brought it back, it follows. false means that the document does not know the
// unit or type, or has collected it. It visits the items before the position.
func (d *Doc) Resolve(p RelativePosition) (in TypeID, index int, ok bool) {
	return d.resolvePosition(p, true)
}

// ResolveShared is Resolve without following what an undo brought back, which
// only the document knows that undid: every replica gives the same answer.
func (d *Doc) ResolveShared(p RelativePosition) (in TypeID, index int, ok bool) {
	return d.resolvePosition(p, false)
}

func (d *Doc) resolvePosition(p RelativePosition, follow bool) (in TypeID, index int, ok bool) {
	if p.hasUnit {
		return d.resolveUnit(p, follow)
	}
	t := d.typeAt(p.in)
	if p.in.nested && !follow && t < 0 {
		return TypeID{}, 0, false
	}
	if p.in.nested && follow {
		i, known := d.lookupID(p.in.holder)
		if !known {
			return TypeID{}, 0, false
		}
		r, _ := d.followRedone(i)
		it := d.items.at(r)
		if it.kind() != kindType {
			return TypeID{}, 0, false
		}
		t = int32(it.body)
	}
	if t < 0 {
		return p.in, 0, true // a root that nobody wrote to
	}
	if p.assoc >= 0 {
		index = shared{d, t}.length()
	}
	return d.typeID(t), index, true
}

func (d *Doc) resolveUnit(p RelativePosition, follow bool) (in TypeID, index int, ok bool) {
	i, known := d.lookupID(p.at)
	if !known {
		return TypeID{}, 0, false
	}
	r := d.find(i)
	offset := i.clock - d.items.at(r).clock
	if follow {
		r, offset = d.followRedone(i)
	}
	it := d.items.at(r)
	if it.isGC() {
		return TypeID{}, 0, false
	}
	t := d.lists[it.list].typ
	if holder := d.types[t].item; holder != 0 && d.items.at(holder).deleted() {
		return d.typeID(t), 0, true
	}
	if d.isContent(r) {
		index = int(offset)
		if p.assoc < 0 {
			index++
		}
	}
	for l := it.left; l != 0; l = d.items.at(l).left {
		if d.isContent(l) {
			index += int(d.items.at(l).length)
		}
	}
	return d.typeID(t), index, true
}

// The first number of an encoded position (yjs/src/utils/RelativePosition.js,
// writeRelativePosition); a varInt assoc follows each.
const (
	positionUnit = 0 // varUint client, varUint clock
	positionRoot = 1 // varString name
	positionType = 2 // varUint client, varUint clock of the holder
)

// Append appends the encoded position to dst.
func (p RelativePosition) Append(dst []byte) []byte {
	appendID := func(kind byte, i rawID) []byte {
		return lib0.AppendUint(lib0.AppendUint(append(dst, kind), uint64(i.client)), uint64(i.clock))
	}
	switch {
	case p.hasUnit:
		dst = appendID(positionUnit, p.at)
	case p.in.nested:
		dst = appendID(positionType, p.in.holder)
	default:
		dst = lib0.AppendString(append(dst, positionRoot), p.in.root)
	}
	return lib0.AppendInt(dst, uint64(max(p.assoc, -p.assoc)), p.assoc < 0)
}

// jsonPosition is a position as yjs' relativePositionToJSON writes it; of the
// first three the unit counts, then the name.
type jsonPosition struct {
	Type  *jsonID `json:"type,omitempty"`
	Root  *string `json:"tname,omitempty"`
	Unit  *jsonID `json:"item,omitempty"`
	Assoc int64   `json:"assoc"`
}

type jsonID struct {
	Client uint64 `json:"client"`
	Clock  uint64 `json:"clock"`
}

// MarshalJSON writes the position as yjs' relativePositionToJSON does, which is
// how cursors travel in awareness states.
func (p RelativePosition) MarshalJSON() ([]byte, error) {
	j := jsonPosition{Assoc: p.assoc}
	switch {
	case p.hasUnit:
		j.Unit = &jsonID{uint64(p.at.client), uint64(p.at.clock)}
	case p.in.nested:
		j.Type = &jsonID{uint64(p.in.holder.client), uint64(p.in.holder.clock)}
	default:
		j.Root = &p.in.root
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what yjs' relativePositionToJSON wrote. Errors match ErrInvalid.
func (p *RelativePosition) UnmarshalJSON(b []byte) error {
	var j jsonPosition
	if err := json.Unmarshal(b, &j); err != nil {
		return invalidf("relative position: %w", err)
	}
	if j.Assoc > maxAssoc || j.Assoc < -maxAssoc {
		return invalidf("assoc %d", j.Assoc)
	}
	q := RelativePosition{assoc: j.Assoc}
	to := func(id *jsonID) (rawID, error) {
		if id.Client > maxClientID {
			return rawID{}, invalidf("client %d", id.Client)
		}
		return rawID{ClientID(id.Client), uint32(id.Clock)}, checkID(id.Clock)
	}
	var err error
	switch {
	case j.Unit != nil:
		q.hasUnit = true
		q.at, err = to(j.Unit)
	case j.Root != nil:
		q.in.root = *j.Root
	case j.Type != nil:
		q.in.nested = true
		q.in.holder, err = to(j.Type)
	default:
		return invalidf("relative position without a place")
	}
	if err != nil {
		return err
	}
	*p = q
	return nil
}

// maxClientID is the largest id that JavaScript can hold.
const maxClientID = 1<<53 - 1

// maxAssoc bounds assoc, of which only the sign has a meaning.
const maxAssoc = 1 << 31

// DecodeRelativePosition decodes a position. Errors match ErrInvalid.
func DecodeRelativePosition(b []byte) (RelativePosition, error) {
	var p RelativePosition
	dec := lib0.NewDecoder(b)
	readID := func() (rawID, error) {
		client, clock := dec.Uint(), dec.Uint()
		return rawID{ClientID(client), uint32(clock)}, checkID(clock)
	}
	var err error
	switch kind := dec.Uint(); kind {
	case positionUnit:
		p.hasUnit = true
		p.at, err = readID()
	case positionRoot:
		p.in.root = string(dec.String())
	case positionType:
		p.in.nested = true
		p.in.holder, err = readID()
	default:
		err = invalidf("relative position of kind %d", kind)
	}
	if dec.Err() == nil && dec.Len() > 0 {
		m, negative := dec.Int()
		if m > maxAssoc {
			return RelativePosition{}, invalidf("assoc %d", m)
		}
		p.assoc = int64(m)
		if negative {
			p.assoc = -p.assoc
		}
	}
	switch {
	case dec.Err() != nil:
		return RelativePosition{}, invalidf("relative position: %w", dec.Err())
	case err != nil:
		return RelativePosition{}, err
	case dec.Len() > 0:
		return RelativePosition{}, invalidf("relative position: %d bytes too many", dec.Len())
	case !utf8.ValidString(p.in.root):
		return RelativePosition{}, invalidf("root name is not UTF-8")
	}
	return p, nil
}
