package main

import (
	"errors"
	"fmt"
	"strings"

	"weft/crdt"
	"weft/persistence"
)

// replayed is a room's document and what is to be said about it.
type replayed struct {
	doc *crdt.Doc
	// pending are bytes of updates that build on others which are not stored. They are counted when the document was asked to
	// hand them back, else they are in the document.
	pending int
	// damage says that what is stored is not what was written; the document is then what is left.
	damage *persistence.DamageError
	// unreadable says that the stored bytes are as they were written, but not a document. What could not be applied is left out.
	unreadable error
}

// wrong returns what is wrong with the room, without its name; nil for nothing.
func (r *replayed) wrong() error {
	if r.damage != nil {
		return errors.New(withoutRoom(r.damage.Room, r.damage.Error()))
	}
	return r.unreadable
}

// withoutRoom takes off the beginning that a *persistence.DamageError of a room has, where the name stands already.
func withoutRoom(room, damage string) string {
	return strings.TrimPrefix(damage, fmt.Sprintf("room %q is damaged: ", room))
}

// asServed are the options by which the document is what the server would have in memory.
var asServed = crdt.Options{ReturnPending: true}

// asStored are the options by which nothing of what is stored is left out: neither the content of what is deleted nor what waits
// for other updates.
var asStored = crdt.Options{KeepDeleted: true}

// readRoom reads a room. The error is about the reading; what is wrong with the room stands in the result.
func readRoom(a *persistence.Archive, room string, o crdt.Options) (*replayed, error) {
	stored, err := a.Load(room)
	damage, ok := errors.AsType[*persistence.DamageError](err)
	if err != nil && !ok {
		return nil, err
	}
	r := replay(stored, o)
	r.damage = damage
	return r, nil
}

// replay builds the document from what is stored.
func replay(stored persistence.Stored, o crdt.Options) (r *replayed) {
	r = &replayed{doc: crdt.New(o)}
	defer func() {
		if v := recover(); v != nil { // one bad room must not keep the others from being read
			r = &replayed{doc: crdt.New(o), unreadable: fmt.Errorf("panic: %v", v)}
		}
	}()
	var rest [][]byte
	apply := func(what string, update []byte, v crdt.Version) (changed bool) {
		applied, err := r.doc.Load(update, v)
		if err != nil {
			if r.unreadable == nil {
				r.unreadable = fmt.Errorf("%s: %w", what, err)
			}
			return false
		}
		if applied.Rest != nil {
			rest = append(rest, applied.Rest)
		}
		return applied.Changed
	}
	if len(stored.Snapshot.State) > 0 {
		apply(fmt.Sprintf("snapshot at %v", stored.Snapshot.Pos), stored.Snapshot.State, crdt.V2)
		if r.unreadable == nil {
			r.unreadable = compareStateVector(r.doc, stored.Snapshot)
		}
	}
	for _, rec := range stored.Tail {
		apply(fmt.Sprintf("update %v", rec.Pos), rec.Update, crdt.V1)
	}
	for again := true; again && len(rest) > 0; {
		waiting := rest
		rest, again = nil, false
		for _, u := range waiting {
			again = apply("leftover of an update", u, crdt.V1) || again
		}
	}
	for _, u := range rest {
		r.pending += len(u)
	}
	return r
}

// compareStateVector checks what is stored beside a snapshot against the document that the snapshot gave.
func compareStateVector(d *crdt.Doc, s persistence.Snapshot) error {
	if len(s.StateVector) == 0 {
		return nil
	}
	want, err := crdt.DecodeStateVector(s.StateVector)
	if err != nil {
		return fmt.Errorf("state vector at %v: %w", s.Pos, err)
	}
	// The encodings are compared by what they say: entries of clock 0 say nothing.
	got := d.StateVector()
	for _, c := range want {
		if got.Next(c.Client) != c.Next {
			return fmt.Errorf("snapshot at %v: has %d units of client %d, its state vector says %d", s.Pos, got.Next(c.Client), c.Client, c.Next)
		}
	}
	for _, c := range got {
		if want.Next(c.Client) != c.Next {
			return fmt.Errorf("snapshot at %v: has %d units of client %d, its state vector does not", s.Pos, c.Next, c.Client)
		}
	}
	return nil
}

// units counts what was ever written into a document, and how much of it is deleted, in UTF-16 code units, elements and keys.
func units(d *crdt.Doc) (all, deleted uint64) {
	s := d.Snapshot()
	for _, c := range s.StateVector {
		all += c.Next
	}
	for _, r := range s.Deleted {
		deleted += r.Len
	}
	return all, deleted
}
