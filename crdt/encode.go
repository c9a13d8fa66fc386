package crdt

import (
	"cmp"
	"slices"

	"weft/crdt/lib0"
)

// record is one struct on its way out, whether it comes from a document or
// from a message. Its slices alias where they came from.
type record struct {
	kind   uint8
	typ    Kind   // kindType
	form   byte   // kindEmbed, kindFormat: encoding of body
	flags  uint16 // hasOrigin, hasRor, hasParentID, hasParentName, hasKey
	length uint32 // units
	origin rawID  // or the parent, with hasParentID
	ror    rawID
	parent []byte // root name, with hasParentName
	key    []byte
	aux    []byte // kindFormat: key; kindType: node name; kindDoc: guid
	body   []byte // as message.content describes it
}

// rawID is an id with its author spelled out.
type rawID struct {
	client ClientID
	clock  uint32
}

// writer encodes an update in one of the versions.
type writer struct {
	version Version
	buf     []byte // V1: all of it; V2: what is not in a column
	cols    *encoderV2
}

// encoderV2 holds the columns of an update of format 2
// (yjs/src/utils/UpdateEncoder.js, UpdateEncoderV2).
type encoderV2 struct {
	keys       uint64 // keys written
	keyClock   lib0.DiffRun
	client     lib0.UintRun
	leftClock  lib0.DiffRun
	rightClock lib0.DiffRun
	info       lib0.ByteRun
	str        lib0.StringRun
	parentInfo lib0.ByteRun
	typeRef    lib0.UintRun
	length     lib0.UintRun
}

func newWriter(v Version) *writer {
	w := &writer{version: v}
	if v == V2 {
		w.cols = new(encoderV2)
	}
	return w
}

// writerTo returns a writer whose V1 output goes straight behind dst.
func (d *Doc) writerTo(dst []byte, v Version) writer {
	if v == V1 {
		return writer{version: V1, buf: dst}
	}
	d.enc.reset()
	return writer{version: V2, cols: &d.enc}
}

func (e *encoderV2) reset() {
	e.keys = 0
	e.keyClock.Reset()
	e.client.Reset()
	e.leftClock.Reset()
	e.rightClock.Reset()
	e.info.Reset()
	e.str.Reset()
	e.parentInfo.Reset()
	e.typeRef.Reset()
	e.length.Reset()
}

// finish returns the update: V1 as it stands, V2 appended to dst.
func (w *writer) finish(dst []byte) []byte {
	if w.version == V1 {
		return w.buf
	}
	c := w.cols
	dst = append(dst, 0) // feature flag
	dst = lib0.AppendBytes(dst, c.keyClock.Finish())
	dst = lib0.AppendBytes(dst, c.client.Finish())
	dst = lib0.AppendBytes(dst, c.leftClock.Finish())
	dst = lib0.AppendBytes(dst, c.rightClock.Finish())
	dst = lib0.AppendBytes(dst, c.info.Finish())
	dst = c.str.AppendTo(dst)
	dst = lib0.AppendBytes(dst, c.parentInfo.Finish())
	dst = lib0.AppendBytes(dst, c.typeRef.Finish())
	dst = lib0.AppendBytes(dst, c.length.Finish())
	return append(dst, w.buf...)
}

// uint writes a number that has no column.
func (w *writer) uint(v uint64) { w.buf = lib0.AppendUint(w.buf, v) }

// section writes the head of a client's structs.
func (w *writer) section(structs int, client ClientID, clock uint32) {
	w.uint(uint64(structs))
	if w.version == V1 {
		w.uint(uint64(client))
	} else {
		w.cols.client.Write(uint64(client))
	}
	w.uint(uint64(clock))
}

func (w *writer) writeID(i rawID, clocks *lib0.DiffRun) {
	if w.version == V1 {
		w.buf = lib0.AppendUint(lib0.AppendUint(w.buf, uint64(i.client)), uint64(i.clock))
		return
	}
	w.cols.client.Write(uint64(i.client))
	clocks.Write(uint64(i.clock))
}

func (w *writer) str(b []byte) {
	if w.version == V1 {
		w.buf = lib0.AppendBytes(w.buf, b)
		return
	}
	units, _ := lib0.UTF16Len(b)
	w.cols.str.Write(b, units)
}

// key writes a key that yjs means to write only once, but never does.
func (w *writer) key(b []byte) {
	if w.version == V2 {
		w.cols.keyClock.Write(w.cols.keys)
		w.cols.keys++
	}
	w.str(b)
}

func (w *writer) len(n uint32) {
	if w.version == V1 {
		w.uint(uint64(n))
	} else {
		w.cols.length.Write(uint64(n))
	}
}

// record writes one struct.
func (w *writer) record(r *record) {
	info := r.kind
	if r.kind != kindGC && r.kind != kindSkip {
		if r.flags&hasOrigin != 0 {
			info |= infoOrigin
		}
		if r.flags&hasRor != 0 {
			info |= infoRor
		}
		if r.flags&hasKey != 0 {
			info |= infoKey
		}
	}
	if w.version == V1 {
		w.buf = append(w.buf, info)
	} else {
		w.cols.info.Write(info)
	}
	switch r.kind {
	case kindGC:
		w.len(r.length)
		return
	case kindSkip:
		w.uint(uint64(r.length))
		return
	}
	w.origins(r)
	w.content(r)
}

func (w *writer) origins(r *record) {
	var left, right *lib0.DiffRun
	if w.version == V2 {
		left, right = &w.cols.leftClock, &w.cols.rightClock
	}
	if r.flags&hasOrigin != 0 {
		w.writeID(r.origin, left)
	}
	if r.flags&hasRor != 0 {
		w.writeID(r.ror, right)
	}
	if r.flags&(hasOrigin|hasRor) != 0 {
		return
	}
	isName := byte(0)
	if r.flags&hasParentName != 0 {
		isName = 1
	}
	if w.version == V1 {
		w.buf = append(w.buf, isName)
	} else {
		w.cols.parentInfo.Write(isName)
	}
	if isName == 1 {
		w.str(r.parent)
	} else {
		w.writeID(r.origin, left)
	}
	if r.flags&hasKey != 0 {
		w.str(r.key)
	}
}

func (w *writer) content(r *record) {
	switch r.kind {
	case kindString:
		if w.version == V1 {
			w.buf = lib0.AppendBytes(w.buf, r.body)
		} else {
			w.cols.str.Write(r.body, int(r.length))
		}
	case kindDeleted:
		w.len(r.length)
	case kindAny:
		w.len(r.length)
		w.buf = append(w.buf, r.body...)
	case kindJSON:
		w.len(r.length)
		for dec := lib0.NewDecoder(r.body); dec.Len() > 0; {
			w.str(dec.Bytes())
		}
	case kindBinary:
		w.buf = lib0.AppendBytes(w.buf, r.body)
	case kindEmbed, kindFormat:
		if r.kind == kindFormat {
			w.key(r.aux)
		}
		w.value(value{form: r.form, b: r.body})
	case kindType:
		if w.version == V1 {
			w.uint(uint64(r.typ))
		} else {
			w.cols.typeRef.Write(uint64(r.typ))
		}
		if r.typ == XMLElement || r.typ == XMLHook {
			w.key(r.aux)
		}
	case kindDoc:
		w.str(r.aux)
		w.buf = append(w.buf, r.body...)
	}
}

// value writes an embed or the value of a format: JSON in V1, any in V2.
func (w *writer) value(v value) {
	switch {
	case w.version == V2:
		w.buf = v.appendAny(w.buf)
	case v.form == formJSON:
		w.buf = lib0.AppendBytes(w.buf, v.b)
	default:
		w.buf = lib0.AppendBytes(w.buf, v.appendJSON(nil))
	}
}

// block writes a block of a message, by client, without its first skip units.
func (w *writer) block(m *message, client ClientID, b *block, skip uint32) {
	r := record{kind: b.kind, typ: b.typ, flags: b.flags, length: b.length - skip}
	switch {
	case skip > 0:
		r.flags = r.flags&(hasRor|hasKey) | hasOrigin
		r.origin = rawID{client, b.clock + skip - 1}
	case b.flags&(hasOrigin|hasParentID) != 0:
		r.origin = rawID{m.clients[b.origin.client], b.origin.clock}
	}
	if b.flags&hasRor != 0 {
		r.ror = rawID{m.clients[b.ror.client], b.ror.clock}
	}
	if r.flags&hasParentName != 0 {
		r.parent = m.bytes(b.rootName())
	}
	if r.flags&hasKey != 0 && r.flags&(hasParentID|hasParentName) != 0 {
		r.key = m.bytes(b.key())
	}
	r.aux, r.body = m.aux(b), m.content(b)
	if m.version == V2 {
		r.form = formAny
	}
	r.skip(b.flags&isWide != 0, skip)
	w.record(&r)
}

// skip drops the first units of a record's body.
func (r *record) skip(wide bool, units uint32) {
	if units == 0 {
		return
	}
	switch r.kind {
	case kindString:
		if !wide {
			r.body = r.body[units:]
			return
		}
		off, split := lib0.UTF16Offset(r.body, int(units))
		r.body = r.body[off:]
		if split {
			r.body = append([]byte(replacement), r.body[4:]...)
		}
	case kindAny, kindJSON:
		r.body = r.body[elementOffset(r.kind, r.body, units):]
	}
}

// item writes a struct of the document without its first skip units.
func (w *writer) item(d *Doc, at ref, skip uint32) {
	if d.spelled = d.spelled[:0]; cap(d.spelled) > keepColumns {
		d.spelled = nil
	}
	it := d.items.at(at)
	r := record{kind: it.kind(), length: it.length - skip}
	if r.kind == kindGC {
		w.record(&r)
		return
	}
	if skip > 0 {
		r.flags |= hasOrigin
		r.origin = rawID{d.clients[it.client()].id, it.clock + skip - 1}
	} else if o := d.items.origin(at); o.client != noClient {
		r.flags |= hasOrigin
		r.origin = rawID{d.clients[o.client].id, o.clock}
	}
	if o := d.items.ror(at); o.client != noClient {
		r.flags |= hasRor
		r.ror = rawID{d.clients[o.client].id, o.clock}
	}
	l := &d.lists[it.list]
	if l.key != noKey {
		r.flags |= hasKey
	}
	if r.flags&(hasOrigin|hasRor) == 0 {
		d.parentOf(&r, l)
	}
	d.bodyOf(&r, it)
	r.skip(it.wide(), skip)
	w.record(&r)
}

// spell returns the bytes of a name, valid until the next item is written.
func (d *Doc) spell(name int32) []byte {
	from := len(d.spelled)
	d.spelled = append(d.spelled, d.names.text[name]...)
	return d.spelled[from:]
}

func (d *Doc) parentOf(r *record, l *list) {
	t := &d.types[l.typ]
	if t.item == 0 {
		r.flags |= hasParentName
		r.parent = d.spell(t.name)
	} else {
		holder := d.items.at(t.item)
		r.flags |= hasParentID
		r.origin = rawID{d.clients[holder.client()].id, holder.clock}
	}
	if l.key != noKey {
		r.key = d.spell(l.key)
	}
}

// bodyOf fills in the content of an item.
func (d *Doc) bodyOf(r *record, it *item) {
	switch r.kind {
	case kindDeleted:
	case kindString, kindAny, kindJSON:
		r.body = d.contentOf(it)
	case kindBinary:
		dec := lib0.NewDecoder(d.contentOf(it))
		r.body = dec.Bytes()
	case kindEmbed:
		b := d.contentOf(it)
		dec := lib0.NewDecoder(b)
		r.form, r.body = skipValue(&dec)
	case kindFormat:
		name, v := d.format(it)
		r.aux, r.form, r.body = d.spell(name), v.form, v.b
	case kindType:
		t := &d.types[it.body]
		r.typ = t.kind
		if t.name >= 0 {
			r.aux = d.spell(t.name)
		}
	case kindDoc:
		dec := lib0.NewDecoder(d.contentOf(it))
		r.aux = dec.Bytes()
		r.body = dec.Any(anyDepth)
	}
}

// deletions writes ranges, sorted by descending client, ascending clock.
func (w *writer) deletions(ds []rawDeletion) {
	ds = mergeSorted(ds)
	clients := 0
	for i := range ds {
		if i == 0 || ds[i-1].client != ds[i].client {
			clients++
		}
	}
	w.uint(uint64(clients))
	for len(ds) > 0 {
		n := 1
		for n < len(ds) && ds[n].client == ds[0].client {
			n++
		}
		w.deletionHead(ds[0].client, n)
		last := uint32(0)
		for _, r := range ds[:n] {
			last = w.deletion(r.clock, r.length, last)
		}
		ds = ds[n:]
	}
}

// mergeSorted returns ds sorted and without overlaps; it stays untouched when it is so already.
func mergeSorted(ds []rawDeletion) []rawDeletion {
	for i := 1; i < len(ds); i++ {
		a, b := ds[i-1], ds[i]
		if a.client < b.client || a.client == b.client && a.clock+a.length > b.clock {
			return mergeDeletions(ds)
		}
	}
	return ds
}

func compareDeletions(a, b rawDeletion) int {
	if a.client != b.client {
		return cmp.Compare(b.client, a.client)
	}
	return cmp.Compare(a.clock, b.clock)
}

func (w *writer) deletionHead(client ClientID, n int) {
	w.buf = lib0.AppendUint(lib0.AppendUint(w.buf, uint64(client)), uint64(n))
}

// deletion writes one range, last being the end of the one before, and returns its end.
func (w *writer) deletion(clock, length, last uint32) uint32 {
	if w.version == V1 {
		w.buf = lib0.AppendUint(lib0.AppendUint(w.buf, uint64(clock)), uint64(length))
	} else {
		w.buf = lib0.AppendUint(lib0.AppendUint(w.buf, uint64(clock-last)), uint64(length-1))
	}
	return clock + length
}

// keepColumns is the size up to which the columns of an encoding are kept for the next.
const keepColumns = 16 << 10 // bytes

// AppendDiff appends to dst an update with everything that since does not
// know, and all deletions; nil means the whole state. What is pending in the
// document is part of it, as in yjs' encodeStateAsUpdate.
func (d *Doc) AppendDiff(dst []byte, since StateVector, v Version) []byte {
	if d.pending.structs == nil && len(d.pending.deletes) == 0 {
		return d.appendState(dst, since, v)
	}
	parts := [][]byte{d.appendState(nil, since, v)}
	if len(d.pending.deletes) > 0 {
		w := newWriter(v)
		w.uint(0)
		w.deletions(d.pending.deletes)
		parts = append(parts, w.finish(nil))
	}
	if d.pending.structs != nil {
		p, err := diffUpdate(d.pending.structs, since, V2, v, ownLimits(nil))
		if err != nil {
			panic("crdt: pending update of our own does not decode: " + err.Error())
		}
		parts = append(parts, p)
	}
	return append(dst, mustMerge(v, parts...)...)
}

// appendState is AppendDiff without what is pending.
func (d *Doc) appendState(dst []byte, since StateVector, v Version) []byte {
	w := d.writerTo(dst, v)
	order := d.sorted()
	n := 0
	for _, c := range order {
		if uint64(d.clients[c].next) > since.Next(d.clients[c].id) {
			n++
		}
	}
	w.uint(uint64(n))
	for _, c := range order {
		c := &d.clients[c]
		if from := since.Next(c.id); uint64(c.next) > from {
			w.structs(d, c, uint32(from))
		}
	}
	w.deleteSet(d, order)
	out := w.finish(dst)
	if v == V2 && len(out)-len(dst) > keepColumns {
		d.enc = encoderV2{}
	}
	d.releaseRanges()
	return out
}

// structs writes what a client wrote from a clock on.
func (w *writer) structs(d *Doc, c *client, from uint32) {
	p := c.index.find(from)
	w.section(c.index.countFrom(p), c.id, from)
	for skip := from - p.clock(); p.ok(); p, skip = p.next(), 0 {
		if w.version == V2 || !w.usual(d, p.ref(), skip) {
			w.item(d, p.ref(), skip)
		}
	}
}

// usual writes a struct, without its first skip units, of a kind that most are
// of in V1, and tells whether it was one: text or deleted content with an origin.
func (w *writer) usual(d *Doc, r ref, skip uint32) bool {
	it := d.items.at(r)
	kind := it.kind()
	if kind != kindDeleted && (kind != kindString || it.wide()) {
		return false
	}
	origin, ror := id{it.client(), it.clock + skip - 1}, d.items.ror(r)
	if skip == 0 {
		origin = d.items.origin(r)
	}
	info := kind
	if origin.client != noClient {
		info |= infoOrigin
	}
	if ror.client != noClient {
		info |= infoRor
	}
	if info == kind {
		return false
	}
	if d.lists[it.list].key != noKey {
		info |= infoKey
	}
	buf := append(w.buf, info)
	if origin.client != noClient {
		buf = lib0.AppendUint(lib0.AppendUint(buf, uint64(d.clients[origin.client].id)), uint64(origin.clock))
	}
	if ror.client != noClient {
		buf = lib0.AppendUint(lib0.AppendUint(buf, uint64(d.clients[ror.client].id)), uint64(ror.clock))
	}
	buf = lib0.AppendUint(buf, uint64(it.length-skip))
	if kind == kindString {
		buf = append(buf, d.clients[it.client()].slab[it.body+skip:it.body+it.length]...)
	}
	w.buf = buf
	return true
}

// deleteSet writes all that is deleted, one range for each run of deleted structs.
func (w *writer) deleteSet(d *Doc, order []int32) {
	ranges := d.ranges[:0]
	for _, c := range order {
		from := len(ranges)
		for p := d.clients[c].index.start(); p.ok(); p = p.next() {
			it := d.items.at(p.ref())
			if !it.deleted() {
				continue
			}
			if n := len(ranges); n > from && ranges[n-1].clock+ranges[n-1].length == it.clock {
				ranges[n-1].length += it.length
			} else {
				ranges = append(ranges, deletion{c, it.clock, it.length})
			}
		}
	}
	d.ranges = ranges
	w.ranges(d, ranges)
}

// ranges writes a delete set: ranges that stand together by client.
func (w *writer) ranges(d *Doc, ranges []deletion) {
	clients := 0
	for i := range ranges {
		if i == 0 || ranges[i-1].client != ranges[i].client {
			clients++
		}
	}
	w.uint(uint64(clients))
	for len(ranges) > 0 {
		n := 1
		for n < len(ranges) && ranges[n].client == ranges[0].client {
			n++
		}
		w.deletionHead(d.clients[ranges[0].client].id, n)
		last := uint32(0)
		for _, r := range ranges[:n] {
			last = w.deletion(r.clock, r.length, last)
		}
		ranges = ranges[n:]
	}
}

// appendTransaction appends what the transaction just committed wrote and deleted.
func (d *Doc) appendTransaction(dst []byte, v Version) []byte {
	w := d.writerTo(dst, v)
	byID := func(a, b int32) int { return cmp.Compare(d.clients[b].id, d.clients[a].id) }
	wrote := d.tx.wrote[:0]
	for _, c := range d.tx.touched {
		if d.clients[c].next != d.clients[c].before {
			wrote = append(wrote, c)
		}
	}
	if d.tx.wrote = wrote; len(wrote) > 1 {
		slices.SortFunc(wrote, byID)
	}
	w.uint(uint64(len(wrote)))
	for _, c := range wrote {
		w.structs(d, &d.clients[c], d.clients[c].before)
	}
	if len(d.tx.deletes) > 1 {
		slices.SortStableFunc(d.tx.deletes, func(a, b deletion) int { return byID(a.client, b.client) })
	}
	w.ranges(d, d.tx.deletes)
	return w.finish(dst)
}
