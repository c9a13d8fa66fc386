package crdt

import "slices"

// Local edits name places by index, remote ones by id. Most local edits are
// where the last one was, which the caret remembers. For the others there are
// marks: items whose index is known, left where a search was long.

// marks are items of one list and the units before each.
type marks struct {
	list int32
	held bool // an edit whose index is known is under way: it will shift them
	at   []mark
	next int // mark to replace when there are enough
}

type mark struct {
	ref   ref
	index uint32
}

// maxMarks bounds the marks: each edit looks at all of them.
const maxMarks = 32

// markAfter is the number of items stepped over after which a mark is left.
const markAfter = 64

// nearest returns the mark nearest to an index of a list, if it is nearer than distance.
func (m *marks) nearest(list int32, n, distance uint32) (best mark, ok bool) {
	if m.list != list {
		return mark{}, false
	}
	for _, k := range m.at {
		if far := max(k.index, n) - min(k.index, n); far < distance {
			best, distance, ok = k, far, true
		}
	}
	return best, ok
}

// leave puts a mark at an item.
func (m *marks) leave(list int32, r ref, index uint32) {
	if m.list != list {
		m.at, m.list = m.at[:0], list
	}
	if len(m.at) < maxMarks {
		m.at = append(m.at, mark{r, index})
		return
	}
	m.next = (m.next + 1) % maxMarks
	m.at[m.next] = mark{r, index}
}

// changed forgets the marks of a list that changes at a place that is not known.
func (m *marks) changed(list int32) {
	if m.list == list && !m.held {
		m.at = m.at[:0]
	}
}

// inserted shifts the marks behind n units that came in at an index.
func (m *marks) inserted(d *Doc, list int32, index, n uint32) {
	if m.list != list {
		return
	}
	here := false
	for i := range m.at {
		k := &m.at[i]
		here = here || k.index == index
		if k.index >= index {
			k.index += n
		}
	}
	if here {
		m.at = slices.DeleteFunc(m.at, func(k mark) bool {
			return k.index == index+n && !d.isContent(k.ref) // may stand on either side
		})
	}
}

// deleted shifts the marks behind n units that were deleted at an index.
func (m *marks) deleted(list int32, index, n uint32) {
	if m.list != list {
		return
	}
	for i := range m.at {
		if k := &m.at[i]; k.index > index {
			k.index = max(k.index, index+n) - n
		}
	}
}

// merged moves the marks of right to left, of which right becomes part.
func (m *marks) merged(d *Doc, left, right ref) {
	for i := range m.at {
		if k := &m.at[i]; k.ref == right {
			k.ref = left
			if d.isContent(left) {
				k.index -= d.items.at(left).length
			}
		}
	}
}
