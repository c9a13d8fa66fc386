package crdt

import "fmt"

// SharedArray is an array inside a transaction. An index counts elements from 0.
// What changes the array may be called only inside Edit. It fails with ErrIndex
// where a place is not there and with ErrValue where a value cannot be stored or
// the author has written all that one can, and then leaves the array as it was.
// Values are copied both on their way in and out.
type SharedArray struct{ s shared }

// Len returns the number of elements.
func (a SharedArray) Len() int { return a.s.length() }

// Insert puts values at index: nil, bool, numbers, string, []byte, and []any
// or map[string]any of those. It fails with ErrIndex or ErrValue.
func (a SharedArray) Insert(index int, values ...any) error {
	c, err := a.s.seek(index)
	if err != nil {
		return err
	}
	return a.s.insertValues(&c, values)
}

// InsertText puts a new text at index.
func (a SharedArray) InsertText(index int) (SharedText, error) {
	s, err := a.insertType(index, Text)
	return SharedText{s}, err
}

// InsertArray puts a new array at index.
func (a SharedArray) InsertArray(index int) (SharedArray, error) {
	s, err := a.insertType(index, Array)
	return SharedArray{s}, err
}

// InsertMap puts a new map at index.
func (a SharedArray) InsertMap(index int) (SharedMap, error) {
	s, err := a.insertType(index, Map)
	return SharedMap{s}, err
}

func (a SharedArray) insertType(index int, kind Kind) (shared, error) {
	c, err := a.s.seek(index)
	if err != nil {
		return shared{}, err
	}
	return a.s.insertType(&c, kind, "")
}

// Delete removes n elements from index on.
func (a SharedArray) Delete(index, n int) error { return a.s.cut(index, n) }

// cut deletes n units from index on.
func (s shared) cut(index, n int) error {
	if length := s.length(); n < 0 || index < 0 || n > length-index {
		return fmt.Errorf("%w: %d+%d of %d", ErrIndex, index, n, length)
	}
	c, err := s.seek(index)
	if err != nil {
		return err
	}
	return s.remove(&c, uint32(n))
}

// SharedMap is a map inside a transaction. What changes the map may be called
// only inside Edit. It fails with ErrValue where a value cannot be stored or the
// author has written all that one can, and then leaves the map as it was. Values
// are copied both on their way in and out.
type SharedMap struct{ s shared }

// Set gives key a value, of the types that SharedArray.Insert takes.
func (m SharedMap) Set(key string, value any) error {
	c := m.s.at(key)
	return m.s.insertValues(&c, []any{value})
}

// SetText gives key a new text.
func (m SharedMap) SetText(key string) (SharedText, error) {
	s, err := m.setType(key, Text)
	return SharedText{s}, err
}

// SetArray gives key a new array.
func (m SharedMap) SetArray(key string) (SharedArray, error) {
	s, err := m.setType(key, Array)
	return SharedArray{s}, err
}

// SetMap gives key a new map.
func (m SharedMap) SetMap(key string) (SharedMap, error) {
	s, err := m.setType(key, Map)
	return SharedMap{s}, err
}

func (m SharedMap) setType(key string, kind Kind) (shared, error) {
	c := m.s.at(key)
	return m.s.insertType(&c, kind, "")
}

// Delete removes a key; one that is not there is left alone.
func (m SharedMap) Delete(key string) { m.s.unset(key) }

// at returns the cursor behind the current value of a key.
func (s shared) at(key string) cursor {
	s.d.mustBeEditable()
	l := s.d.entry(s.t, s.d.names.intern([]byte(key)))
	return cursor{list: l, left: s.d.lists[l].last}
}

func (s shared) unset(key string) {
	s.d.mustBeEditable()
	if l := s.d.lookup(s.t, s.d.names.intern([]byte(key))); l != noList && s.d.lists[l].last != 0 {
		s.d.deleteItem(&s.d.tx.changes, s.d.lists[l].last)
	}
}

// SharedXML is a fragment or an element inside a transaction. An index counts
// children from 0. What changes it may be called only inside Edit, and fails as
// the methods of SharedArray do.
type SharedXML struct{ s shared }

// Len returns the number of children.
func (x SharedXML) Len() int { return x.s.length() }

// InsertElement puts a new element of a node name at index.
func (x SharedXML) InsertElement(index int, name string) (SharedXML, error) {
	c, err := x.s.seek(index)
	if err != nil {
		return SharedXML{}, err
	}
	s, err := x.s.insertType(&c, XMLElement, name)
	return SharedXML{s}, err
}

// InsertText puts a new text at index.
func (x SharedXML) InsertText(index int) (SharedText, error) {
	c, err := x.s.seek(index)
	if err != nil {
		return SharedText{}, err
	}
	s, err := x.s.insertType(&c, XMLText, "")
	return SharedText{s}, err
}

// Delete removes n children from index on.
func (x SharedXML) Delete(index, n int) error { return x.s.cut(index, n) }

// SetAttribute gives an element an attribute, of the types that SharedArray.Insert takes.
func (x SharedXML) SetAttribute(key string, value any) error {
	return SharedMap(x).Set(key, value)
}

// RemoveAttribute removes an attribute; one that is not there is left alone.
func (x SharedXML) RemoveAttribute(key string) { x.s.unset(key) }
