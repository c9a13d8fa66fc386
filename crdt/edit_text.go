package crdt

import (
	"fmt"
	"unicode/utf8"

	"weft/crdt/lib0"
)

// SharedText is a text inside a transaction. Indexes and lengths are UTF-16
// code units; an embed counts one. What changes the text may be called only
// inside Edit. It fails with ErrIndex where a place is not there and with ErrValue
// where a string is not UTF-8 or a value cannot be stored, and then leaves the text
// as it was. An index between the halves of a surrogate pair replaces both by
// U+FFFD, as in yjs.
type SharedText struct{ s shared }

// A Format is one attribute of text; the value nil ends it.
type Format struct {
	Name  string
	Value any
}

// Len returns the length in UTF-16 code units, embeds included.
func (t SharedText) Len() int { return t.s.length() }

// String returns the characters, without formats and embeds.
func (t SharedText) String() string { return string(t.s.d.appendText(nil, t.s.t)) }

// Insert puts text at index, with the formats in force there. It fails with
// ErrIndex, or ErrValue when text is not UTF-8.
func (t SharedText) Insert(index int, text string) error {
	c, err := t.at(index, text)
	if err != nil || text == "" {
		return err
	}
	if t.s.plain() {
		for d := t.s.d; c.right != 0 && d.items.at(c.right).deleted(); {
			c.forward(d) // as minimize does
		}
		return t.s.insertString(&c, text)
	}
	return t.insertWith(&c, c.attrs.clone(), func() error { return t.s.insertString(&c, text) })
}

// InsertFormatted puts text at index with exactly the given formats.
func (t SharedText) InsertFormatted(index int, text string, formats ...Format) error {
	c, err := t.at(index, text)
	if err != nil || text == "" {
		return err
	}
	want, err := t.formats(formats)
	if err != nil {
		return err
	}
	return t.insertWith(&c, want, func() error { return t.s.insertString(&c, text) })
}

// InsertEmbed puts one value, such as an image's description, at index with
// exactly the given formats.
func (t SharedText) InsertEmbed(index int, embed any, formats ...Format) error {
	body, err := appendValue(nil, embed, 0)
	if err != nil {
		return err
	}
	want, err := t.formats(formats)
	if err != nil {
		return err
	}
	c, err := t.s.seek(index)
	if err != nil {
		return err
	}
	return t.insertWith(&c, want, func() error { return t.s.insertEmbed(&c, body) })
}

// insertEmbed puts an any value at the cursor.
func (s shared) insertEmbed(c *cursor, body []byte) error {
	_, err := s.insert(c, kindEmbed, func(cl *client, _ *item) uint32 {
		cl.slab = append(append(cl.slab, formAny), body...)
		return 1
	})
	return err
}

// Delete removes length units from index on, and formats that this leaves without effect.
func (t SharedText) Delete(index, length int) error {
	if length < 0 || index < 0 || length > t.Len()-index {
		return fmt.Errorf("%w: %d+%d of %d", ErrIndex, index, length, t.Len())
	}
	if length == 0 {
		return nil
	}
	t.s.d.mustBeEditable()
	if t.s.plain() && t.s.d.erase(t.s.d.types[t.s.t].children, uint32(index), uint32(length)) {
		return nil
	}
	c, err := t.s.seek(index)
	if err != nil {
		return err
	}
	return t.removeAt(&c, length)
}

// removeAt deletes the next units behind the cursor, of which there are enough.
func (t SharedText) removeAt(c *cursor, length int) error {
	if t.s.plain() {
		return t.s.remove(c, uint32(length))
	}
	before, start := c.attrs.clone(), c.right
	if err := t.s.remove(c, uint32(length)); err != nil {
		return err
	}
	t.s.d.cleanupGap(&t.s.d.tx.changes, start, c.right, &before, &c.attrs)
	return nil
}

// Format sets formats on length units from index on.
func (t SharedText) Format(index, length int, formats ...Format) error {
	if length < 0 || index < 0 || length > t.Len()-index {
		return fmt.Errorf("%w: %d+%d of %d", ErrIndex, index, length, t.Len())
	}
	want, err := t.formats(formats)
	if err != nil || length == 0 {
		return err
	}
	c, err := t.s.seek(index)
	if err != nil {
		return err
	}
	return t.formatAt(&c, length, want)
}

// formatAt sets formats on the next units behind the cursor, of which there are enough.
func (t SharedText) formatAt(c *cursor, length int, want attrs) error {
	t.minimize(c, want)
	negated, err := t.open(c, want)
	if err != nil {
		return err
	}
	if err := t.restyle(c, uint32(length), want, &negated); err != nil {
		return err
	}
	return t.close(c, negated)
}

func (t SharedText) at(index int, text string) (cursor, error) {
	if !utf8.ValidString(text) {
		return cursor{}, fmt.Errorf("%w: text is not UTF-8", ErrValue)
	}
	return t.s.seek(index)
}

func (t SharedText) formats(formats []Format) (attrs, error) {
	var out attrs
	for _, f := range formats {
		b, err := appendValue(nil, f.Value, 0)
		if err != nil {
			return attrs{}, fmt.Errorf("format %q: %w", f.Name, err)
		}
		out.set(attr{name: t.s.d.names.intern([]byte(f.Name)), v: value{formAny, b}})
	}
	return out, nil
}

// insertWith opens the wanted formats, ends all others, inserts, and restores
// what was in force (yjs/src/types/YText.js, insertText).
func (t SharedText) insertWith(c *cursor, want attrs, insert func() error) error {
	for a := range c.attrs.all {
		if !want.has(a.name) {
			want.set(attr{name: a.name, v: nullValue})
		}
	}
	t.minimize(c, want)
	negated, err := t.open(c, want)
	if err != nil {
		return err
	}
	if err := insert(); err != nil {
		return err
	}
	return t.close(c, negated)
}

// minimize steps over formats that are wanted anyway.
func (t SharedText) minimize(c *cursor, want attrs) {
	for c.right != 0 {
		if it := t.s.d.items.at(c.right); !it.deleted() {
			if it.kind() != kindFormat {
				return
			}
			if a := t.s.d.attrOf(c.right); !want.get(a.name).equal(a) {
				return
			}
		}
		c.forward(t.s.d)
	}
}

// open writes the wanted formats that are not in force and returns those they replace.
func (t SharedText) open(c *cursor, want attrs) (negated attrs, err error) {
	for a := range want.all {
		was := c.attrs.get(a.name)
		if was.equal(a) {
			continue
		}
		negated.set(was)
		if err := t.insertFormat(c, a); err != nil {
			return attrs{}, err
		}
	}
	return negated, nil
}

// restyle deletes the formats inside the range that the wanted ones override.
func (t SharedText) restyle(c *cursor, length uint32, want attrs, negated *attrs) error {
	d := t.s.d
	for c.right != 0 {
		it := d.items.at(c.right)
		between := it.deleted() || it.kind() == kindFormat
		if length == 0 && (negated.len() == 0 || !between) {
			break
		}
		if !it.deleted() && it.kind() == kindFormat {
			a := d.attrOf(c.right)
			if want.has(a.name) {
				if want.get(a.name).equal(a) {
					negated.remove(a.name)
				} else {
					if length == 0 {
						break
					}
					negated.set(a)
				}
				d.deleteItem(&d.tx.changes, c.right)
			} else {
				c.attrs.set(a)
			}
		}
		length -= t.s.within(c.right, length)
		c.forward(d)
	}
	return nil
}

// close writes what was in force before, except where it stands already.
func (t SharedText) close(c *cursor, negated attrs) error {
	d := t.s.d
	for c.right != 0 {
		it := d.items.at(c.right)
		if !it.deleted() {
			if it.kind() != kindFormat {
				break
			}
			a := d.attrOf(c.right)
			if !negated.has(a.name) || !negated.get(a.name).equal(a) {
				break
			}
			negated.remove(a.name)
		}
		c.forward(d)
	}
	for a := range negated.all {
		if err := t.insertFormat(c, a); err != nil {
			return err
		}
	}
	return nil
}

func (t SharedText) insertFormat(c *cursor, a attr) error {
	v := a.v.appendAny(nil) // before the slab it may alias grows
	_, err := t.s.insert(c, kindFormat, func(cl *client, _ *item) uint32 {
		cl.slab = append(lib0.AppendUint(cl.slab, uint64(a.name)), formAny)
		cl.slab = append(cl.slab, v...)
		return 1
	})
	return err
}
