package crdt

import (
	"fmt"
	"iter"
	"unicode/utf8"
)

// This file puts new shared types of any kind into others.

// mayHold tells why a new type cannot be put into this one.
func (s shared) mayHold(kind Kind, name string) error {
	switch limit := s.d.opts.Limits.Types; {
	case kind > XMLText:
		return fmt.Errorf("%w: no shared type of kind %d", ErrValue, kind)
	case !utf8.ValidString(name):
		return fmt.Errorf("%w: name is not UTF-8", ErrValue)
	case int(s.d.types[s.t].depth) >= limit:
		return fmt.Errorf("%w: shared types nested more than %d deep", ErrValue, limit)
	}
	return nil
}

// insertNew puts a new empty type at the cursor and returns it as Tx.Shared does.
func (s shared) insertNew(c *cursor, kind Kind, name string) (any, error) {
	if err := s.mayHold(kind, name); err != nil {
		return nil, err
	}
	n, err := s.insertType(c, kind, name)
	if err != nil {
		return nil, err
	}
	return s.d.handle(n.t), nil
}

// InsertType puts a new empty type at index and returns it as Tx.Shared does.
// name is the node name of an XMLElement or XMLHook. It fails with ErrIndex,
// or ErrValue when types would nest too deeply.
func (a SharedArray) InsertType(index int, kind Kind, name string) (any, error) {
	c, err := a.s.seek(index)
	if err != nil {
		return nil, err
	}
	return a.s.insertNew(&c, kind, name)
}

// SetType gives key a new empty type and returns it, as SharedArray.InsertType does.
func (m SharedMap) SetType(key string, kind Kind, name string) (any, error) {
	c := m.s.at(key)
	return m.s.insertNew(&c, kind, name)
}

// SetXML gives key a new fragment.
func (m SharedMap) SetXML(key string) (SharedXML, error) {
	s, err := m.setType(key, XMLFragment)
	return SharedXML{s}, err
}

// InsertXML puts a new fragment at index.
func (a SharedArray) InsertXML(index int) (SharedXML, error) {
	s, err := a.insertType(index, XMLFragment)
	return SharedXML{s}, err
}

// EmbedType puts a new empty type at index of the text, with exactly the given
// formats, and returns it, as SharedArray.InsertType does.
func (t SharedText) EmbedType(index int, kind Kind, name string, formats ...Format) (v any, err error) {
	want, err := t.formats(formats)
	if err == nil {
		err = t.s.mayHold(kind, name) // before formats are written for it
	}
	if err != nil {
		return nil, err
	}
	c, err := t.s.seek(index)
	if err != nil {
		return nil, err
	}
	err = t.insertWith(&c, want, func() error {
		v, err = t.s.insertNew(&c, kind, name)
		return err
	})
	return v, err
}

// Push puts values behind all elements. In a document where elements at the
// end were deleted that is another place than Insert(Len(), ...), as in yjs.
func (a SharedArray) Push(values ...any) error {
	c := a.s.end()
	return a.s.insertValues(&c, values)
}

// Unshift puts values before all elements.
func (a SharedArray) Unshift(values ...any) error { return a.Insert(0, values...) }

// end returns the cursor behind everything in a sequence, also what is deleted.
func (s shared) end() cursor {
	c := s.start()
	c.left, c.right, c.index = s.d.lists[c.list].last, 0, s.d.lists[c.list].units
	return c
}

// Slice returns the elements from start up to, but not including, end.
// Negative numbers count from the end; what is not there is left out.
func (a SharedArray) Slice(start, end int) []any { return a.s.slice(start, end) }

// Slice returns the children from start up to, but not including, end.
// Negative numbers count from the end; what is not there is left out.
func (x SharedXML) Slice(start, end int) []any { return x.s.slice(start, end) }

func (s shared) slice(start, end int) []any {
	n := s.length()
	if start < 0 {
		start += n
	}
	if end < 0 {
		end += n
	}
	var out []any
	for i, v := range s.values {
		if i >= end {
			break
		}
		if i >= start {
			out = append(out, v)
		}
	}
	return out
}

// Has tells whether key has a value, also null or undefined.
func (m SharedMap) Has(key string) bool {
	_, ok := m.s.property(key)
	return ok
}

// Keys visits the keys that have a value, in no order that replicas share.
func (m SharedMap) Keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for key := range m.s.properties {
			if !yield(key) {
				return
			}
		}
	}
}

// Clear removes all keys.
func (m SharedMap) Clear() {
	m.s.d.mustBeEditable()
	for l := m.s.d.types[m.s.t].entry; l != noList; l = m.s.d.lists[l].next {
		if last := m.s.d.lists[l].last; last != 0 {
			m.s.d.deleteItem(&m.s.d.tx.changes, last)
		}
	}
}

// Tidy deletes formats that have no effect, and returns how many. Documents do
// that by themselves after remote changes (see Options.Types); it helps where they
// were not declared (yjs/src/types/YText.js, cleanupYTextFormatting).
func (t SharedText) Tidy() int {
	t.s.d.mustBeEditable()
	before := lengthOf(t.s.d.tx.deletes)
	t.s.d.cleanupText(&t.s.d.tx.changes, t.s.t)
	return lengthOf(t.s.d.tx.deletes) - before
}

// lengthOf counts the units of ranges.
func lengthOf(ds []deletion) int {
	n := 0
	for _, d := range ds {
		n += int(d.length)
	}
	return n
}
