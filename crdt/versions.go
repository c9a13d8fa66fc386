package crdt

import (
	"cmp"
	"slices"

	"weft/crdt/lib0"
)

// This file reads types as they were at a snapshot. Where a snapshot cuts an
// item, it is read in pieces; yjs splits the item for that, which changes the
// document, and reads arrays without.

// DeltaOptions says which states SharedText.DeltaAt compares. The document
// must keep deleted content (Options.KeepDeleted) to have what was deleted.
type DeltaOptions struct {
	// At is the state to read, nil the present one.
	At *Snapshot
	// Since is an older state: what was deleted between the two stays in, and
	// what changed is marked by the attribute "ychange"; nil marks nothing
	// but what At does not have.
	Since *Snapshot
	// Mark returns the value of "ychange" for a run of one author; nil stands
	// for {"type": "added"} and {"type": "removed"}. Runs are joined where its
	// result is a map with "user", a float64 or int, and "type" as here.
	Mark func(change YChange, author ClientID, clock uint64) any
}

// A YChange is what happened to a run of text between two states.
type YChange string

// The changes.
const (
	YAdded   YChange = "added"
	YRemoved YChange = "removed"
)

// DeltaAt returns the text as it was, or how it changed, between two states
// (yjs/src/types/YText.js, toDelta with snapshots). Without At and Since it is Delta.
func (t SharedText) DeltaAt(o DeltaOptions) []Op {
	v := versionDelta{d: t.s.d, o: o, at: newMoment(o.At), since: newMoment(o.Since)}
	if v.o.Mark == nil {
		v.o.Mark = func(c YChange, _ ClientID, _ uint64) any { return map[string]any{"type": string(c)} }
	}
	for r := v.d.first(t.s.t); r != 0; r = v.d.items.at(r).right {
		v.d.pieces(r, v.piece, v.at, v.since)
	}
	v.pack()
	return v.ops
}

// versionDelta gathers the steps of a delta.
type versionDelta struct {
	d         *Doc
	o         DeltaOptions
	at, since *moment

	ops     []Op
	text    []byte
	formats attrs
	mark    any
	marked  bool
}

// changeName is the attribute that marks changes; a format of this name shares it.
const changeName = "ychange"

func (v *versionDelta) piece(p piece) {
	now, before := p.in(v.at), v.since != nil && p.in(v.since)
	if !now && !before {
		return
	}
	switch p.it.kind() {
	case kindString:
		switch {
		case v.at != nil && !now:
			v.turn(YRemoved, p)
		case v.since != nil && !before:
			v.turn(YAdded, p)
		case v.marked:
			v.pack()
			v.mark, v.marked = nil, false
		}
		v.text = append(v.text, v.d.textOf(p)...)
	case kindType, kindEmbed:
		v.pack()
		v.ops = append(v.ops, Op{Insert: v.d.valueAt(p.it, 0), Attributes: v.attributes()})
	case kindFormat:
		if !now {
			return
		}
		v.pack()
		if a := v.d.attrOf(p.r); v.d.names.text[a.name] != changeName {
			v.formats.update(a)
		} else if v.marked = !a.v.isNull(); v.marked {
			v.mark = a.v.decode()
		}
	}
}

// turn marks what follows, in an op of its own unless it is marked so already.
func (v *versionDelta) turn(c YChange, p piece) {
	author := v.d.clients[p.it.client()].id
	if m, ok := v.mark.(map[string]any); ok && v.marked && isNumber(m["user"], float64(author)) && m["type"] == string(c) {
		return
	}
	v.pack()
	v.mark, v.marked = v.o.Mark(c, author, uint64(p.clock)), true
}

func isNumber(v any, n float64) bool {
	switch v := v.(type) {
	case float64:
		return v == n
	case int:
		return float64(v) == n
	}
	return false
}

func (v *versionDelta) pack() {
	if len(v.text) > 0 {
		v.ops = append(v.ops, Op{Insert: string(v.text), Attributes: v.attributes()})
		v.text = v.text[:0]
	}
}

func (v *versionDelta) attributes() map[string]any {
	out := v.d.attributes(v.formats)
	if v.marked {
		if out == nil {
			out = map[string]any{}
		}
		out[changeName] = v.mark
	}
	return out
}

// ValuesAt returns the elements that the array had at a snapshot.
func (a SharedArray) ValuesAt(s Snapshot) []any { return a.s.valuesAt(s) }

// ChildrenAt returns the children that the fragment or element had at a snapshot.
func (x SharedXML) ChildrenAt(s Snapshot) []any { return x.s.valuesAt(s) }

// EntriesAt returns the keys and values that the map had at a snapshot.
func (m SharedMap) EntriesAt(s Snapshot) map[string]any { return m.s.entriesAt(s) }

// AttributesAt returns the attributes that the element had at a snapshot.
func (x SharedXML) AttributesAt(s Snapshot) map[string]any { return x.s.entriesAt(s) }

func (s shared) valuesAt(snap Snapshot) []any {
	var out []any
	at := newMoment(&snap)
	for r := s.d.first(s.t); r != 0; r = s.d.items.at(r).right {
		if !s.d.items.at(r).countable() {
			continue
		}
		var values []any // of the item, read once
		s.d.pieces(r, func(p piece) {
			if !p.in(at) {
				return
			}
			if values == nil {
				values = s.d.valuesOf(nil, p.it)
			}
			from := p.clock - p.it.clock
			out = append(out, values[from:from+p.length]...)
		}, at)
	}
	return out
}

// entriesAt reads keys as yjs' typeMapGetAllSnapshot does: the last value that
// was written by then counts, unless it was deleted by then.
func (s shared) entriesAt(snap Snapshot) map[string]any {
	out := map[string]any{}
	at := newMoment(&snap)
	for l := s.d.types[s.t].entry; l != noList; l = s.d.lists[l].next {
		r := s.d.lists[l].last
		for r != 0 && uint64(s.d.items.at(r).clock) >= snap.StateVector.Next(s.d.clients[s.d.items.at(r).client()].id) {
			r = s.d.items.at(r).left
		}
		if r == 0 {
			continue
		}
		it := s.d.items.at(r)
		var value any
		known := false
		s.d.pieces(r, func(p piece) {
			if p.in(at) && it.kind() != kindDeleted {
				value, known = s.d.valueAt(it, p.clock+p.length-1-it.clock), true
			}
		}, at)
		if known {
			out[s.d.names.text[s.d.lists[l].key]] = value
		}
	}
	return out
}

// moment is a snapshot as readers look into it; nil is the present.
type moment struct {
	sv      StateVector
	deleted cover
}

func newMoment(s *Snapshot) *moment {
	if s == nil {
		return nil
	}
	return &moment{s.StateVector, cover(s.Deleted)}
}

// piece is a part of an item that lies wholly inside or outside of some moments.
type piece struct {
	r             ref
	it            *item
	author        ClientID
	clock, length uint32
}

// in tells whether the piece was there and not deleted.
func (p piece) in(m *moment) bool {
	if m == nil {
		return !p.it.deleted()
	}
	return uint64(p.clock) < m.sv.Next(p.author) && !m.deleted.has(p.author, p.clock, p.clock+p.length)
}

// pieces calls yield with an item in parts, cut where one of the moments changes.
func (d *Doc) pieces(r ref, yield func(piece), moments ...*moment) {
	it := d.items.at(r)
	author := d.clients[it.client()].id
	var cuts []uint32
	cut := func(clock uint64) {
		if clock > uint64(it.clock) && clock < uint64(it.end()) {
			cuts = append(cuts, uint32(clock))
		}
	}
	for _, m := range moments {
		if m == nil || it.length == 1 {
			continue
		}
		cut(m.sv.Next(author))
		first, _ := slices.BinarySearchFunc(m.deleted, Range{Client: author, Clock: uint64(it.clock)}, func(a, b Range) int {
			return cmp.Or(cmp.Compare(b.Client, a.Client), cmp.Compare(a.end(), b.Clock))
		})
		for _, del := range m.deleted[first:] {
			if del.Client != author || del.Clock >= uint64(it.end()) {
				break
			}
			cut(del.Clock)
			cut(del.end())
		}
	}
	slices.Sort(cuts)
	clock := it.clock
	for _, c := range append(slices.Compact(cuts), it.end()) {
		yield(piece{r, it, author, clock, c - clock})
		clock = c
	}
}

// textOf returns the characters of a piece of text. A surrogate pair that it
// cuts reads as a replacement character for each half.
func (d *Doc) textOf(p piece) []byte {
	text := d.contentOf(p.it)
	from, to := p.clock-p.it.clock, p.clock-p.it.clock+p.length
	if !p.it.wide() {
		return text[from:to]
	}
	start, cutStart := lib0.UTF16Offset(text, int(from))
	end, cutEnd := lib0.UTF16Offset(text, int(to))
	if !cutStart && !cutEnd {
		return text[start:end]
	}
	var out []byte
	if cutStart {
		out = append(out, replacement...)
		start += 4
	}
	if start < end {
		out = append(out, text[start:end]...)
	}
	if cutEnd {
		out = append(out, replacement...)
	}
	return out
}
