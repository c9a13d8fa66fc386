package crdt

import "fmt"

// A TypeID names a shared type: a root by its name, a nested type by the unit
// that holds it. It can be compared, and every replica knows the type by it.
// The zero value is the root named "".
type TypeID struct {
	root   string
	holder rawID
	nested bool
}

// RootID returns the id of the root type of a name.
func RootID(name string) TypeID { return TypeID{root: name} }

// Root returns the name of a root type; false for a nested type.
func (t TypeID) Root() (name string, ok bool) { return t.root, !t.nested }

// String returns the name of a root in quotes, or client:clock of the holder.
func (t TypeID) String() string {
	if t.nested {
		return fmt.Sprintf("%d:%d", t.holder.client, t.holder.clock)
	}
	return fmt.Sprintf("%q", t.root)
}

// typeID returns the id of a type that has not been collected.
func (d *Doc) typeID(t int32) TypeID {
	ty := &d.types[t]
	if ty.item == 0 {
		return TypeID{root: d.names.text[ty.name]}
	}
	return TypeID{holder: d.rawID(d.items.at(ty.item).first()), nested: true}
}

// typeAt returns the type of an id, or -1 when it is not known or collected.
// A root must have been written to or declared.
func (d *Doc) typeAt(t TypeID) int32 {
	if !t.nested {
		return d.rootType(t.root)
	}
	i, ok := d.lookupID(t.holder)
	if !ok {
		return -1
	}
	if it := d.items.at(d.find(i)); it.kind() == kindType {
		return int32(it.body)
	}
	return -1
}

// rawID spells out the author of an id.
func (d *Doc) rawID(i id) rawID { return rawID{d.clients[i.client].id, i.clock} }

// lookupID returns the place of an id; false when the document does not know it.
func (d *Doc) lookupID(r rawID) (id, bool) {
	c := d.clientIndex(r.client)
	if c == noClient || r.clock >= d.clients[c].next {
		return noID, false
	}
	return id{c, r.clock}, true
}

// parentItem returns the item that holds the type in which an item lies, or 0 under a root.
func (d *Doc) parentItem(it *item) ref { return d.types[d.lists[it.list].typ].item }
