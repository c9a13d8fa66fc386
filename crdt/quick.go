package crdt

// Nearly all that a server receives is of two kinds: somebody types on where
// they were, or takes back what they typed. Both change a few numbers of items
// that exist. quick does that straight from the bytes. Whatever it does not
// see at once it leaves to the general way, having changed nothing, so that it
// can be no more lenient than that.

// minLimits are the limits that the quick updates need.
var minLimits = Limits{Structs: 1, Clients: 2, Deletes: 1}

// quick applies an update of one of the two kinds and tells whether it was one.
func (d *Doc) quick(u []byte, v Version, lim *Limits) bool {
	if v != V1 || len(u) < 6 || len(u) > lim.Bytes || d.watch != nil || d.redone != nil ||
		d.pending.structs != nil || len(d.pending.deletes) != 0 ||
		lim.Structs < minLimits.Structs || lim.Clients < minLimits.Clients || lim.Deletes < minLimits.Deletes {
		return false
	}
	switch {
	case u[0] == 1 && u[1] == 1:
		return d.quickTyped(u)
	case u[0] == 0 && u[1] == 1:
		return d.quickDeleted(u)
	}
	return false
}

// quickTyped is for text that goes on with the last run of its author:
//
//	1 section, 1 struct, client, clock, info, origin, [right origin], varString, 0 authors of deletes
func (d *Doc) quickTyped(u []byte) bool {
	author, i := varint(u, 2)
	head := i
	clock, i := varint(u, i)
	if i < 0 || i >= len(u) {
		return false
	}
	info := u[i]
	if info != infoOrigin|kindString && info != infoOrigin|infoRor|kindString {
		return false
	}
	client := d.clientIndex(ClientID(author))
	if client == noClient || ClientID(author) == d.opts.ClientID {
		return false
	}
	c := &d.clients[client]
	if clock != uint64(c.next) || c.tail == 0 {
		return false
	}
	if i++; len(u)-i < head-2 || string(u[2:head]) != string(u[i:i+head-2]) {
		return false
	}
	before, i := varint(u, i+head-2)
	if before+1 != clock {
		return false
	}
	it := d.items.at(c.tail)
	if uint64(it.end()) != clock || it.tag&(kindMask|flagDeleted) != kindString {
		return false
	}
	if info&infoRor == 0 {
		if it.tag&flagNoRor == 0 || it.right != 0 {
			return false
		}
	} else {
		var client, clock uint64
		client, i = varint(u, i)
		clock, i = varint(u, i)
		if it.right == 0 || !d.items.precedesRight(c.tail, it) {
			return false
		}
		if r := d.items.at(it.right); uint64(r.clock) != clock || d.clients[r.client()].id != ClientID(client) {
			return false
		}
	}
	n, i := varint(u, i)
	if i < 0 || n == 0 || uint64(len(u)-i) != n+1 || u[len(u)-1] != 0 || clock+n > maxClock || len(c.slab)+2*len(u) > maxSlab {
		return false
	}
	text := u[i : len(u)-1]
	for _, ch := range text {
		if ch >= 0x80 {
			return false
		}
	}
	list := &d.lists[it.list]
	if list.key != noKey {
		return false
	}
	if d.joinsLeft(c.tail) {
		return false
	}
	d.begin()
	d.caret = caret{}
	d.touch(client)
	if it.right != 0 {
		d.items.pinLeft(c.tail, it.right)
	}
	c.slab = append(c.slab, text...)
	it.length += uint32(n)
	list.units += uint32(n)
	d.marks.changed(it.list)
	c.next += uint32(n)
	return true
}

// joinsLeft tells whether a run of text may go on further to the left.
func (d *Doc) joinsLeft(r ref) bool {
	it := d.items.at(r)
	return it.left != 0 && d.items.at(it.left).last() == id{it.client(), it.clock - 1} && d.sideBySide(it.left, r)
}

// quickDeleted is for an end of a run of text beside which its author has
// deleted before, as it is when one goes on deleting in either direction:
//
//	0 sections, 1 author, client, 1 range, clock, length
func (d *Doc) quickDeleted(u []byte) bool {
	author, i := varint(u, 2)
	if i < 0 || i >= len(u) || u[i] != 1 || d.opts.KeepDeleted {
		return false
	}
	clock, i := varint(u, i+1)
	n, i := varint(u, i)
	client := d.clientIndex(ClientID(author))
	if i != len(u) || n == 0 || client == noClient {
		return false
	}
	c := &d.clients[client]
	if clock >= uint64(c.next) || n > uint64(c.next)-clock {
		return false
	}
	p := c.index.find(uint32(clock))
	it := d.items.at(p.ref())
	if it.tag&(kindMask|flagDeleted|flagKeep|flagWide) != kindString || n >= uint64(it.length) {
		return false
	}
	list := &d.lists[it.list]
	if list.key != noKey || len(d.hot.refs) > 0 && d.hot.list == it.list ||
		d.types[list.typ].kind.isText() && d.types[list.typ].formatted {
		return false
	}
	switch {
	case it.clock == uint32(clock):
		if !d.deleteHead(p, uint32(n)) {
			return false
		}
	case uint64(it.end()) == clock+n:
		if !d.deleteTail(c, p, uint32(n)) {
			return false
		}
	default:
		return false
	}
	d.begin()
	d.caret = caret{}
	list.units -= uint32(n)
	d.marks.changed(it.list)
	c.dead += int(n)
	if d.wasteful(c) {
		d.compact(c)
	}
	return true
}

// deleteTail gives the last units of the text at p to the deleted item behind it.
func (d *Doc) deleteTail(c *client, p pos, units uint32) bool {
	next := p.next()
	if !next.ok() || !d.takesOver(p.ref(), next.ref(), next.ref()) {
		return false
	}
	if behind := next.next(); behind.ok() && d.sideBySide(next.ref(), behind.ref()) {
		return false
	}
	text, gone := d.items.at(p.ref()), d.items.at(next.ref())
	text.length -= units
	gone.clock -= units
	gone.length += units
	next.setClock(gone.clock)
	if c.tail == p.ref() {
		c.tail = 0
	}
	return true
}

// deleteHead gives the first units of the text at p to the deleted item before it.
func (d *Doc) deleteHead(p pos, units uint32) bool {
	if !p.hasPrev() {
		return false
	}
	prev := p.prev()
	if !d.takesOver(prev.ref(), p.ref(), prev.ref()) ||
		prev.hasPrev() && d.sideBySide(prev.prev().ref(), prev.ref()) {
		return false
	}
	if next := p.next(); next.ok() && d.sideBySide(p.ref(), next.ref()) {
		return false
	}
	text, gone := d.items.at(p.ref()), d.items.at(prev.ref())
	text.clock += units
	text.length -= units
	text.body += units
	gone.length += units
	p.setClock(text.clock)
	return true
}

// takesOver tells whether gone, one of two neighbours that follow each other
// by clock, is deleted and merges with what is deleted of the other.
func (d *Doc) takesOver(left, right, gone ref) bool {
	return d.items.at(gone).kind() == kindDeleted && d.items.at(left).right == right &&
		d.items.followsLeft(right, d.items.at(right)) && d.items.sameRor(left, right)
}

// varint reads a varUint at u[i:] as lib0.Decoder.Uint does and returns where
// it ends, or a negative number on any doubt or when i is negative.
func varint(u []byte, i int) (v uint64, end int) {
	if i < 0 {
		return 0, -1
	}
	for shift := uint(0); i < len(u) && shift < 49; shift += 7 {
		c := u[i]
		i++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if c == 0 && shift > 0 {
				return 0, -1
			}
			return v, i
		}
	}
	return 0, -1
}
