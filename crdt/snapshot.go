package crdt

import (
	"errors"
	"slices"

	"weft/crdt/lib0"
)

// ErrCollected means that a document no longer has what was deleted from it
// (see Options.KeepDeleted), so that its past cannot be restored.
var ErrCollected = errors.New("deleted content is not kept")

// A Range is a run of units of one author: the clocks from Clock up to, but
// not including, Clock+Len.
type Range struct {
	Client ClientID
	Clock  uint64
	Len    uint64
}

// A Snapshot is one state of a document: what was written and what of it was
// deleted. It has none of the content; DocFromSnapshot finds that in a
// document that keeps deleted content. The zero Snapshot is the empty document.
type Snapshot struct {
	// StateVector has no entries whose Next is 0.
	StateVector StateVector
	// Deleted is sorted by descending client and ascending clock, and its
	// ranges neither overlap nor touch.
	Deleted []Range
}

// Snapshot returns the present state, without what is pending.
func (d *Doc) Snapshot() Snapshot {
	s := Snapshot{StateVector: d.StateVector()}
	for _, c := range d.sorted() {
		c := &d.clients[c]
		for p := c.index.start(); p.ok(); p = p.next() {
			it := d.items.at(p.ref())
			if !it.deleted() {
				continue
			}
			if n := len(s.Deleted); n > 0 && s.Deleted[n-1].Client == c.id && s.Deleted[n-1].end() == uint64(it.clock) {
				s.Deleted[n-1].Len += uint64(it.length)
			} else {
				s.Deleted = append(s.Deleted, Range{c.id, uint64(it.clock), uint64(it.length)})
			}
		}
	}
	return s
}

func (r Range) end() uint64 { return r.Clock + r.Len }

// Equal tells whether two snapshots are of the same state.
func (s Snapshot) Equal(o Snapshot) bool {
	return slices.Equal(s.StateVector, o.StateVector) && slices.Equal(s.Deleted, o.Deleted)
}

// Append appends the encoded snapshot to dst
// (yjs/src/utils/Snapshot.js, encodeSnapshot and encodeSnapshotV2).
func (s Snapshot) Append(dst []byte, v Version) []byte {
	w := writer{version: v, buf: dst}
	w.deletions(s.rawDeleted())
	return s.StateVector.Append(w.buf)
}

// rawDeleted returns the ranges as the encoder takes them.
func (s Snapshot) rawDeleted() []rawDeletion {
	out := make([]rawDeletion, len(s.Deleted))
	for i, r := range s.Deleted {
		out[i] = rawDeletion{r.Client, uint32(r.Clock), uint32(r.Len)}
	}
	return out
}

// DecodeSnapshot decodes a snapshot. It keeps no reference to b. Errors match ErrInvalid.
func DecodeSnapshot(b []byte, v Version) (Snapshot, error) {
	if v != V1 && v != V2 {
		return Snapshot{}, invalidf("version %d", v)
	}
	dec := lib0.NewDecoder(b)
	var ds []rawDeletion
	for n := dec.Uint(); n > 0 && dec.Err() == nil; n-- {
		client := ClientID(dec.Uint())
		last := uint64(0)
		for count := dec.Uint(); count > 0 && dec.Err() == nil; count-- {
			clock, length := dec.Uint(), dec.Uint()
			if v == V2 { // clocks are relative, lengths one less
				clock, length = clock+last, length+1
			}
			if clock > maxClock || length > maxClock || clock+length > maxClock {
				return Snapshot{}, invalidf("deleted range %d+%d of client %d is too large", clock, length, client)
			}
			last = clock + length
			if length > 0 && dec.Err() == nil {
				ds = append(ds, rawDeletion{client, uint32(clock), uint32(length)})
			}
		}
	}
	if dec.Err() != nil {
		return Snapshot{}, invalidf("snapshot: %w", dec.Err())
	}
	sv, err := DecodeStateVector(b[dec.Pos():])
	if err != nil {
		return Snapshot{}, err
	}
	s := Snapshot{StateVector: slices.DeleteFunc(sv, func(c Clock) bool { return c.Next == 0 })}
	for _, r := range mergeDeletions(ds) {
		s.Deleted = append(s.Deleted, Range{r.client, uint64(r.clock), uint64(r.length)})
	}
	return s, nil
}

// DocFromSnapshot returns a new document, configured by o, with the state that
// d had at a snapshot; a collected range that goes on past it is in it whole, as
// in yjs. d is as before, but must not be inside Edit, View or an observer. It
// fails with ErrCollected when d does not keep deleted content, and with
// ErrInvalid when d never had that state.
func DocFromSnapshot(d *Doc, s Snapshot, o Options) (*Doc, error) {
	d.mustBeEditable()
	if d.editing {
		panic("crdt: DocFromSnapshot inside Edit")
	}
	if !d.opts.KeepDeleted {
		return nil, ErrCollected
	}
	for _, c := range s.StateVector {
		if i := d.clientIndex(c.Client); i == noClient || c.Next == 0 || c.Next > uint64(d.clients[i].next) {
			return nil, invalidf("snapshot has clock %d of client %d, the document has not", c.Next, c.Client)
		}
	}
	restored := New(o)
	if _, err := restored.Load(d.appendSnapshot(s), V2); err != nil {
		return nil, err
	}
	return restored, nil
}

// appendSnapshot returns the state at a snapshot as a V2 update. Items that go
// on past it are split for a moment.
func (d *Doc) appendSnapshot(s Snapshot) []byte {
	d.begin()
	w := newWriter(V2)
	w.uint(uint64(len(s.StateVector)))
	for _, clock := range s.StateVector {
		i := d.clientIndex(clock.Client)
		c := &d.clients[i]
		if clock.Next < uint64(c.next) {
			d.cleanStart(id{i, uint32(clock.Next)})
		}
		last := c.index.find(uint32(clock.Next - 1))
		w.section(c.index.countFrom(c.index.start())-c.index.countFrom(last)+1, c.id, 0)
		for p := c.index.start(); p != last; p = p.next() {
			w.item(d, p.ref(), 0)
		}
		w.item(d, last.ref(), 0)
	}
	w.deletions(s.rawDeleted())
	d.commit(true)
	return w.finish(nil)
}
