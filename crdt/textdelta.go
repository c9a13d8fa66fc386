package crdt

// textDelta computes what a transaction did to a text, and deletes formats
// that turn out to be redundant (yjs/src/types/YText.js, YTextEvent.delta).
type textDelta struct {
	e    *Event
	tidy *changes // the transaction of those deletions
	ops  []Op

	current attrs // formats in force after the transaction
	old     attrs // last value of each format before it
	changed attrs // formats that differ over what is retained

	// The step being gathered.
	step   uint8
	text   []byte
	length int
}

// The steps of a delta.
const (
	noStep = iota
	inserting
	retaining
	deleting
)

func (t *textDelta) run() []Op {
	d := t.e.d
	for r := d.first(t.e.change.typ); r != 0; r = d.items.at(r).right {
		it := d.items.at(r)
		switch it.kind() {
		case kindString, kindEmbed, kindType:
			t.content(r, it)
		case kindFormat:
			t.format(r, it)
		}
	}
	t.flush()
	for n := len(t.ops); n > 0 && t.ops[n-1].Retain > 0 && t.ops[n-1].Attributes == nil; n-- {
		t.ops = t.ops[:n-1]
	}
	return t.ops
}

// content takes in an item that counts.
func (t *textDelta) content(r ref, it *item) {
	switch e := t.e; {
	case e.adds(it) && e.deletes(it):
	case e.adds(it) && it.kind() == kindString:
		t.turn(inserting)
		t.text = append(t.text, e.d.contentOf(it)...)
	case e.adds(it):
		t.flush()
		t.embed(it)
	case e.deletes(it):
		t.turn(deleting)
		t.length += int(it.length)
	case !it.deleted():
		t.turn(retaining)
		t.length += int(it.length)
	}
}

// embed adds a step for one embedded thing. As in yjs numbers and booleans are lost.
func (t *textDelta) embed(it *item) {
	v := t.e.d.valueAt(it, 0)
	switch x := v.(type) {
	case float64, bool, BigInt, Undefined:
		return
	case string:
		if x == "" {
			return
		}
	}
	t.ops = append(t.ops, Op{Insert: v, Attributes: t.e.d.attributes(t.current)})
}

// turn ends the step being gathered unless it is of the same sort.
func (t *textDelta) turn(step uint8) {
	if t.step != step {
		t.flush()
		t.step = step
	}
}

// flush ends the step being gathered.
func (t *textDelta) flush() {
	d := t.e.d
	switch {
	case t.step == inserting && len(t.text) > 0:
		t.ops = append(t.ops, Op{Insert: string(t.text), Attributes: d.attributes(t.current)})
	case t.step == retaining && t.length > 0:
		t.ops = append(t.ops, Op{Retain: t.length, Attributes: d.attributes(t.changed)})
	case t.step == deleting && t.length > 0:
		t.ops = append(t.ops, Op{Delete: t.length})
	}
	t.step, t.text, t.length = noStep, t.text[:0], 0
}

// format takes in a format that came, went or stayed.
func (t *textDelta) format(r ref, it *item) {
	a := t.e.d.attrOf(r)
	switch e := t.e; {
	case e.adds(it) && e.deletes(it):
	case e.adds(it):
		t.formatCame(r, a)
	case e.deletes(it):
		t.old.set(a)
		if cur := t.current.orNull(a.name); !cur.equal(a) {
			t.split()
			t.changed.set(cur)
		}
	case !it.deleted():
		t.formatStayed(r, a)
	}
	if !it.deleted() {
		if t.step == inserting {
			t.flush()
		}
		t.current.update(a)
	}
}

func (t *textDelta) formatCame(r ref, a attr) {
	if t.current.orNull(a.name).equal(a) {
		if !a.v.isNull() {
			t.e.d.deleteItem(t.tidy, r)
		}
		return
	}
	t.split()
	if a.equal(t.old.orNull(a.name)) {
		t.changed.remove(a.name)
	} else {
		t.changed.set(a)
	}
}

func (t *textDelta) formatStayed(r ref, a attr) {
	t.old.set(a)
	was := t.changed.get(a.name)
	switch {
	case !t.changed.has(a.name) || was.v.isUndefined():
	case !was.equal(a):
		t.split()
		if a.v.isNull() {
			t.changed.remove(a.name)
		} else {
			t.changed.set(a)
		}
	case !was.v.isNull():
		t.e.d.deleteItem(t.tidy, r)
	}
}

// split ends a retained stretch before its formats change.
func (t *textDelta) split() {
	if t.step == retaining {
		t.flush()
	}
}

// orNull returns the attribute of a name; null for none and for undefined.
func (a *attrs) orNull(name int32) attr {
	if x := a.get(name); !x.v.isUndefined() {
		return x
	}
	return attr{name: name, v: nullValue}
}

// attributes returns formats in Go, nil for none.
func (d *Doc) attributes(as attrs) map[string]any {
	if as.len() == 0 {
		return nil
	}
	out := make(map[string]any, as.len())
	for a := range as.all {
		out[d.names.text[a.name]] = a.v.decode()
	}
	return out
}
