package crdt

// Who deletes locally mostly goes on deleting, in either direction, as those do
// whose updates arrive (see quick.go): a few numbers of two items change.

// erase deletes n units at an index of a plain text on the spot when they are
// the end of the run left of the caret, or the start of the one right of it,
// and become part of the deleted item beside them. It tells whether they did;
// if not, nothing has changed. The transaction has nothing to collect or to
// merge for them when it is closed.
func (d *Doc) erase(list int32, index, n uint32) bool {
	k := d.caret
	if k.at == 0 || k.list != list || d.watch != nil || d.redone != nil || d.opts.KeepDeleted ||
		len(d.hot.refs) > 0 && d.hot.list == list {
		return false
	}
	r, end := k.at, k.index+d.items.at(k.at).length
	backwards := index > k.index && index+n == end
	if !backwards {
		if index != end {
			return false
		}
		for r = d.items.at(r).right; r != 0 && !d.isContent(r); {
			r = d.items.at(r).right
		}
	}
	it := d.items.at(r)
	if r == 0 || it.tag&(kindMask|flagDeleted|flagKeep|flagWide) != kindString || n >= it.length {
		return false
	}
	c := &d.clients[it.client()]
	gone := deletion{it.client(), it.clock, n}
	if p := c.index.find(it.clock); backwards {
		gone.clock = it.end() - n
		if !d.deleteTail(c, p, n) {
			return false
		}
	} else if !d.deleteHead(p, n) {
		return false
	}
	d.lists[list].units -= n
	d.marks.deleted(list, index, n)
	c.dead += int(n)
	d.tx.deletes = append(d.tx.deletes, gone)
	d.tx.erased++
	return true
}

// onlyErased tells whether all that the transaction did was done by erase.
func (t *transaction) onlyErased() bool {
	return t.erased > 0 && t.erased == len(t.deletes) && len(t.merge) == 0 && len(t.touched) == 0
}
