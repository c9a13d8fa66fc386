package crdt

import (
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// ApplyDelta carries out the steps of a delta from the start of the text, as
// Quill does: an insert has exactly the given formats, a retain changes them. An
// Op that inserts and sets none of the others puts in a string or embeds one
// value of the types that SharedArray.Insert takes. On an error, ErrIndex when the
// steps reach past the end or ErrValue, the text is as before.
func (t SharedText) ApplyDelta(ops []Op) error {
	steps := make([]deltaStep, len(ops))
	reach := 0
	for i, o := range ops {
		var err error
		if steps[i], err = t.prepare(o); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
		left := t.Len() - reach
		if o.Retain > left || o.Delete > left-o.Retain {
			return fmt.Errorf("step %d: %w: past the end by %d", i, ErrIndex, o.Retain+o.Delete-left)
		}
		reach += o.Retain + o.Delete
	}
	c := t.s.start()
	for i := range steps {
		if err := t.step(&c, &steps[i]); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

// deltaStep is a checked Op.
type deltaStep struct {
	Op
	text  string
	embed []byte // nil: text
	want  attrs
}

// prepare checks an Op and encodes its values.
func (t SharedText) prepare(o Op) (deltaStep, error) {
	s := deltaStep{Op: o}
	if o.Retain < 0 || o.Delete < 0 {
		return s, fmt.Errorf("%w: retain %d, delete %d", ErrIndex, o.Retain, o.Delete)
	}
	if o.Retain > 0 && o.Delete > 0 || o.Insert != nil && o.Retain+o.Delete > 0 {
		return s, fmt.Errorf("%w: step does several things", ErrValue)
	}
	var formats []Format
	for _, name := range slices.Sorted(maps.Keys(o.Attributes)) {
		formats = append(formats, Format{name, o.Attributes[name]})
	}
	var err error
	if s.want, err = t.formats(formats); err != nil {
		return s, err
	}
	var ok bool
	if s.text, ok = o.Insert.(string); ok {
		if !utf8.ValidString(s.text) {
			return s, fmt.Errorf("%w: text is not UTF-8", ErrValue)
		}
	} else if o.Insert != nil {
		s.embed, err = appendValue(nil, o.Insert, 0)
	}
	return s, err
}

func (t SharedText) step(c *cursor, s *deltaStep) error {
	switch {
	case s.Retain > 0:
		return t.formatAt(c, s.Retain, s.want)
	case s.Delete > 0:
		return t.removeAt(c, s.Delete)
	case s.embed != nil:
		return t.insertWith(c, s.want, func() error { return t.s.insertEmbed(c, s.embed) })
	case s.text != "":
		return t.insertWith(c, s.want, func() error { return t.s.insertString(c, s.text) })
	}
	return nil
}
