package crdt

import (
	"iter"
	"slices"
	"unicode/utf8"

	"weft/crdt/lib0"
)

// A Subdoc describes a document inside a document. Only this description is
// part of the outer one; the inner is a document of its own, found by its GUID.
type Subdoc struct {
	GUID string
	// KeepDeleted, AutoLoad and Meta travel with the description. Meta is a
	// value as SharedArray.Insert takes it, nil for none.
	KeepDeleted bool
	AutoLoad    bool
	Meta        any
}

// Subdocs returns the GUIDs of all subdocuments, sorted by UTF-16 code units,
// each once. It visits every struct.
func (d *Doc) Subdocs() []string {
	var out []string
	for s := range d.AllSubdocs() {
		out = append(out, s.GUID)
	}
	slices.SortFunc(out, compareUTF16)
	return slices.Compact(out)
}

// AllSubdocs visits the descriptions of all subdocuments, in no order that
// replicas share; one GUID may come several times. It visits every struct, and
// the document must not change meanwhile.
func (d *Doc) AllSubdocs() iter.Seq[Subdoc] {
	return func(yield func(Subdoc) bool) {
		for _, r := range d.subdocRefs() {
			if !yield(d.subdocOf(d.items.at(r))) {
				return
			}
		}
	}
}

// subdocRefs returns the items that hold subdocuments and are not deleted.
func (d *Doc) subdocRefs() []ref {
	var out []ref
	for c := range d.clients {
		for p := d.clients[c].index.start(); p.ok(); p = p.next() {
			if it := d.items.at(p.ref()); it.kind() == kindDoc && !it.deleted() {
				out = append(out, p.ref())
			}
		}
	}
	return out
}

// subdocOf reads the description that an item holds.
func (d *Doc) subdocOf(it *item) Subdoc {
	dec := lib0.NewDecoder(d.contentOf(it))
	s := Subdoc{GUID: string(dec.Bytes())}
	o, _ := decodeAny(&dec).(map[string]any)
	s.KeepDeleted = o["gc"] == false
	s.AutoLoad = o["autoLoad"] == true
	s.Meta = o["meta"]
	return s
}

// append encodes the description as content of an item.
func (s Subdoc) append(dst []byte) ([]byte, error) {
	if !utf8.ValidString(s.GUID) {
		return nil, ErrValue
	}
	dst = lib0.AppendString(dst, s.GUID)
	dst = append(dst, lib0.AnyObject, 0)
	count := len(dst) - 1
	if s.KeepDeleted {
		dst = append(lib0.AppendString(dst, "gc"), lib0.AnyFalse)
		dst[count]++
	}
	if s.AutoLoad {
		dst = append(lib0.AppendString(dst, "autoLoad"), lib0.AnyTrue)
		dst[count]++
	}
	if s.Meta == nil {
		return dst, nil
	}
	dst[count]++
	return appendValue(lib0.AppendString(dst, "meta"), s.Meta, 1)
}

// insertDoc puts a subdocument at the cursor.
func (s shared) insertDoc(c *cursor, doc Subdoc) error {
	body, err := doc.append(nil)
	if err != nil {
		return err
	}
	_, err = s.insert(c, kindDoc, func(cl *client, _ *item) uint32 {
		cl.slab = append(cl.slab, body...)
		return 1
	})
	return err
}

// InsertDoc puts a subdocument at index.
func (a SharedArray) InsertDoc(index int, doc Subdoc) error {
	c, err := a.s.seek(index)
	if err != nil {
		return err
	}
	return a.s.insertDoc(&c, doc)
}

// SetDoc gives key a subdocument.
func (m SharedMap) SetDoc(key string, doc Subdoc) error {
	c := m.s.at(key)
	return m.s.insertDoc(&c, doc)
}

// SubdocsEvent tells which subdocuments a transaction added and removed.
// Replacing one by another with the same GUID is both.
type SubdocsEvent struct {
	Added, Removed []Subdoc
	// Loaded are those that shall be loaded: of Added, those marked AutoLoad
	// or inserted by this document; later, those that LoadSubdoc asks for.
	Loaded []Subdoc
}

// LoadSubdoc asks for subdocuments of a GUID to be loaded: observers are told
// of those in SubdocsEvent.Loaded of which they have not been told before. false
// means that the document has none of that GUID. It visits every struct, and
// must not be called from inside Edit, View or an observer.
func (d *Doc) LoadSubdoc(guid string) bool {
	found := d.subdocItems(guid)
	var e SubdocsEvent
	for _, r := range found {
		it := d.items.at(r)
		if doc := d.subdocOf(it); !d.opened[it.first()] && !doc.AutoLoad {
			d.noteLoaded(it)
			e.Loaded = append(e.Loaded, doc)
		}
	}
	if len(e.Loaded) > 0 {
		d.emitSubdocs(e)
	}
	return len(found) > 0
}

// UnloadSubdoc says that nobody works on the subdocuments of a GUID any more:
// observers are told that they were removed and added anew, not to be loaded, as
// yjs does when a subdocument is destroyed. They stay in the document. false
// means that it has none of that GUID. LoadSubdoc has the rest.
func (d *Doc) UnloadSubdoc(guid string) bool {
	found := d.subdocItems(guid)
	var e SubdocsEvent
	for _, r := range found {
		it := d.items.at(r)
		delete(d.opened, it.first())
		doc := d.subdocOf(it)
		e.Added, e.Removed = append(e.Added, doc), append(e.Removed, doc)
	}
	if len(found) > 0 {
		d.emitSubdocs(e)
	}
	return len(found) > 0
}

// subdocItems returns the items of a GUID that are not deleted.
func (d *Doc) subdocItems(guid string) []ref {
	d.mustBeEditable()
	if d.editing {
		panic("crdt: subdocument loaded or unloaded inside Edit")
	}
	return slices.DeleteFunc(d.subdocRefs(), func(r ref) bool { return d.subdocOf(d.items.at(r)).GUID != guid })
}

func (d *Doc) noteLoaded(it *item) {
	if d.opened == nil {
		d.opened = map[id]bool{}
	}
	d.opened[it.first()] = true
}

// emitSubdocs tells observers outside of a transaction.
func (d *Doc) emitSubdocs(e SubdocsEvent) {
	if d.watch == nil {
		return
	}
	d.frozen = true
	for _, o := range d.watch.observers {
		if o.Subdocs != nil {
			o.Subdocs(e)
		}
	}
	d.frozen = false
	d.unwatch()
}

// subdocsOf returns what one transaction did to subdocuments, before its
// deleted content is collected.
func (d *Doc) subdocsOf(s *step) SubdocsEvent {
	var e SubdocsEvent
	if s.first {
		for _, c := range d.tx.touched {
			cl := &d.clients[c]
			if cl.before == cl.next {
				continue
			}
			for p := cl.index.find(cl.before); p.ok(); p = p.next() {
				it := d.items.at(p.ref())
				if it.kind() != kindDoc || it.deleted() {
					continue
				}
				doc := d.subdocOf(it)
				e.Added = append(e.Added, doc)
				if _, undo := s.origin.(*UndoManager); doc.AutoLoad || s.local && !undo {
					d.noteLoaded(it)
					e.Loaded = append(e.Loaded, doc)
				}
			}
		}
	}
	for _, r := range s.ch.deletes {
		for p := d.clients[r.client].index.find(r.clock); p.ok() && p.clock() < r.clock+r.length; p = p.next() {
			if it := d.items.at(p.ref()); it.kind() == kindDoc && d.older(s.ch, it) {
				delete(d.opened, it.first())
				e.Removed = append(e.Removed, d.subdocOf(it))
			}
		}
	}
	return e
}
