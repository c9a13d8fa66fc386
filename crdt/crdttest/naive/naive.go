// Package naive is a model of Yjs' lists that is slow and easy to believe: one struct for each UTF-16 unit or
// element, plain slices, linear scans, nothing merged and nothing forgotten. Tests compare the real engine with it
// where real Yjs is too far away, for example inside a property test.
//
// It reads updates v1 and answers with text. It follows the YATA rules as Yjs 13.6 applies them (integrate in
// src/structs/Item.js): a new unit goes right of its origin and left of its right origin, and among concurrent ones
// there, those with the same origin stand in the order of their client ids, each followed by what refers to it.
//
// A Doc belongs to one goroutine. It is built for small honest sessions, not for bytes from outside.
package naive

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf16"
)

// ID names one unit: the client that made it and its number among that client's units.
type ID struct{ Client, Clock uint64 }

// list is where a unit stands: below a root of that name or below the unit that holds a type; Key is empty for the
// sequence itself and has the key for the values of a map, which are a sequence too.
type list struct {
	Root   string
	Parent ID
	Key    string
	Keyed  bool
}

// unit is one UTF-16 unit of a text, or one element of something else, which has no character.
type unit struct {
	id            ID
	origin, right *ID    // the neighbours when it was made; nil: the end of the list
	parent        *list  // nil: the same list as its neighbour
	character     uint16 // 0 with isText false
	isText        bool
	collected     bool // its author's garbage collection took it: it stands nowhere
}

// Doc is the model of one document. The zero Doc is not ready: use New.
type Doc struct {
	units   map[ID]*unit
	lists   map[list][]*unit
	next    map[uint64]uint64 // by client: the clock of its first unknown unit
	deleted map[ID]bool       // also units that are not known yet
	waiting []*unit
}

// New returns an empty document.
func New() *Doc {
	return &Doc{units: map[ID]*unit{}, lists: map[list][]*unit{}, next: map[uint64]uint64{}, deleted: map[ID]bool{}}
}

// Apply takes in an update v1. What lacks something that it refers to waits until a later update brings that.
// The error of a broken update leaves the document as it was. The update is not kept.
func (d *Doc) Apply(update []byte) error {
	units, deletes, err := decode(update)
	if err != nil {
		return fmt.Errorf("naive: %w", err)
	}
	for _, id := range deletes {
		d.deleted[id] = true
	}
	d.waiting = append(d.waiting, units...)
	// A client's units come one after the other; sorted, one pass takes in all that follow each other.
	slices.SortStableFunc(d.waiting, func(a, b *unit) int {
		return cmp.Or(cmp.Compare(a.id.Client, b.id.Client), cmp.Compare(a.id.Clock, b.id.Clock))
	})
	for before := -1; before != len(d.waiting); {
		before = len(d.waiting)
		d.waiting = slices.DeleteFunc(d.waiting, d.take)
	}
	return nil
}

// Waiting returns how many units lack something that they refer to.
func (d *Doc) Waiting() int { return len(d.waiting) }

// Text returns the text of the root. As in Yjs, the halves of a surrogate pair that was split read U+FFFD each.
func (d *Doc) Text(root string) string {
	const replacement = 0xfffd
	var text []uint16
	units := d.lists[list{Root: root}]
	for i, u := range units {
		switch {
		case !u.isText || d.deleted[u.id]:
		case utf16.IsSurrogate(rune(u.character)) && !d.paired(units, i):
			text = append(text, replacement)
		default:
			text = append(text, u.character)
		}
	}
	return string(utf16.Decode(text))
}

// paired reports whether the surrogate at i still stands beside the other half that it was written with.
func (d *Doc) paired(units []*unit, i int) bool {
	const firstLow = 0xdc00
	if units[i].character < firstLow {
		return i+1 < len(units) && d.pair(units[i], units[i+1])
	}
	return i > 0 && d.pair(units[i-1], units[i])
}

func (d *Doc) pair(high, low *unit) bool {
	return high.id.Client == low.id.Client && high.id.Clock+1 == low.id.Clock &&
		!d.deleted[high.id] && !d.deleted[low.id] &&
		utf16.DecodeRune(rune(high.character), rune(low.character)) != '\ufffd'
}

// take integrates the unit and reports true, also when it is known already, or reports false when something lacks.
func (d *Doc) take(u *unit) bool {
	next := d.next[u.id.Client]
	if u.id.Clock < next {
		return true
	}
	if u.id.Clock > next || !d.knows(u.origin) || !d.knows(u.right) {
		return false
	}
	if u.parent != nil && u.parent.Root == "" && !d.knows(&u.parent.Parent) {
		return false
	}
	d.next[u.id.Client]++
	d.units[u.id] = u
	d.adopt(u)
	if !u.collected {
		d.insert(u)
	}
	return true
}

func (d *Doc) knows(id *ID) bool { return id == nil || d.units[*id] != nil }

// adopt finds the list of the unit. What refers to a collected unit is collected too.
func (d *Doc) adopt(u *unit) {
	for _, id := range []*ID{u.origin, u.right} {
		if id == nil {
			continue
		}
		neighbour := d.units[*id]
		if neighbour.collected {
			u.collected = true
		} else if u.parent == nil {
			u.parent = neighbour.parent
		}
	}
	if u.parent == nil || u.parent.Root == "" && d.units[u.parent.Parent].collected {
		u.collected = true
	}
}

// insert puts the unit into its list.
func (d *Doc) insert(u *unit) {
	units := d.lists[*u.parent]
	at := func(id *ID) int {
		return slices.IndexFunc(units, func(other *unit) bool { return other.id == *id })
	}
	start, end := 0, len(units)
	if u.origin != nil {
		start = at(u.origin) + 1
	}
	if u.right != nil {
		end = at(u.right)
	}
	// Between the two stand only units that were made without knowledge of u, and what follows them.
	place := start
	passed := map[ID]bool{}  // every unit seen
	pending := map[ID]bool{} // those seen since place was last moved
	for i := start; i < end; i++ {
		other := units[i]
		passed[other.id], pending[other.id] = true, true
		if same(u.origin, other.origin) {
			if other.id.Client < u.id.Client {
				place = i + 1
				clear(pending)
			} else if same(u.right, other.right) {
				break
			}
			continue
		}
		if other.origin == nil || !passed[*other.origin] {
			break
		}
		if !pending[*other.origin] {
			place = i + 1
			clear(pending)
		}
	}
	d.lists[*u.parent] = slices.Insert(units, place, u)
}

func same(a, b *ID) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
