package crdt

import "slices"

// needsCleanup tells whether a typed text that has formats changed: yjs then
// deletes formats that a remote change made redundant.
func (d *Doc) needsCleanup() bool {
	return slices.ContainsFunc(d.tx.texts, func(t int32) bool {
		return d.types[t].changed == d.tx.n && d.types[t].formatted
	})
}

// cleanupFormats deletes redundant formats near what the transaction wrote and
// deleted. Texts in which a format came or went are gone through whole, in
// others only the gap around each deleted item
// (yjs/src/types/YText.js, cleanupYTextAfterTransaction).
func (d *Doc) cleanupFormats(ch *changes) {
	var whole []int32
	isWhole := map[int32]bool{}
	add := func(t int32) {
		if !isWhole[t] {
			whole, isWhole[t] = append(whole, t), true
		}
	}
	visited := map[ref]bool{}
	for _, client := range d.tx.touched {
		c := &d.clients[client]
		if c.before == c.next {
			continue
		}
		for p := c.index.find(c.before); p.ok(); p = p.next() {
			if it := d.items.at(p.ref()); !it.deleted() && it.kind() == kindFormat {
				add(d.lists[it.list].typ)
			}
		}
	}
	for _, client := range d.tx.deleted {
		i, _ := slices.BinarySearchFunc(d.tx.deletes, client, func(r deletion, c int32) int { return int(r.client - c) })
		for ; i < len(d.tx.deletes) && d.tx.deletes[i].client == client; i++ {
			r := d.tx.deletes[i]
			for p := d.clients[client].index.find(r.clock); p.ok() && p.clock() < r.clock+r.length; p = p.next() {
				it := d.items.at(p.ref())
				if it.isGC() {
					continue
				}
				switch t := d.lists[it.list].typ; {
				case !d.types[t].formatted || isWhole[t]:
				case it.kind() == kindFormat:
					add(t)
				default:
					d.cleanupGapAround(ch, p.ref(), visited)
				}
			}
		}
	}
	for _, t := range whole {
		d.cleanupText(ch, t)
	}
}

// noteDeleted fills in tx.deleted before the ranges are sorted.
func (d *Doc) noteDeleted() {
	d.tx.deleted = d.tx.deleted[:0]
	seen := map[int32]bool{}
	for _, r := range d.tx.deletes {
		if !seen[r.client] {
			d.tx.deleted, seen[r.client] = append(d.tx.deleted, r.client), true
		}
	}
}

// cleanupGapAround deletes formats that a later one in the same gap between
// contents overrides (cleanupContextlessFormattingGap). It does so once for
// each gap: what is in visited has been gone through.
func (d *Doc) cleanupGapAround(ch *changes, r ref, visited map[ref]bool) {
	if visited[r] {
		return
	}
	for {
		right := d.items.at(r).right
		if right == 0 || d.isContent(right) {
			break
		}
		r = right
	}
	seen := map[int32]bool{}
	for ; r != 0 && !d.isContent(r); r = d.items.at(r).left {
		visited[r] = true
		if it := d.items.at(r); !it.deleted() && it.kind() == kindFormat {
			name, _ := d.format(it)
			if seen[name] {
				d.deleteItem(ch, r)
			}
			seen[name] = true
		}
	}
}

// isContent tells whether an item has an index: it is there and counts.
func (d *Doc) isContent(r ref) bool {
	it := d.items.at(r)
	return !it.deleted() && it.countable()
}

// cleanupText tidies up what stands before the first content of a text. yjs
// (cleanupYTextFormatting) looks at the gaps behind contents as well, but from a
// content on, where what it looks at ends at once.
func (d *Doc) cleanupText(ch *changes, t int32) {
	start := d.first(t)
	var before, current attrs
	for end := start; end != 0; end = d.items.at(end).right {
		it := d.items.at(end)
		switch {
		case it.deleted():
		case it.kind() == kindFormat:
			current.update(d.attrOf(end))
		default:
			d.cleanupGap(ch, start, end, &before, &current)
			return
		}
	}
}

// cleanupGap deletes the formats from start up to the next content that are
// overridden there or set what was set already. before holds what was in force
// at start; current is corrected for what is deleted left of curr
// (cleanupFormattingGap).
func (d *Doc) cleanupGap(ch *changes, start, curr ref, before, current *attrs) {
	end := start
	var last attrs // last format of each key in the gap
	for end != 0 && !d.isContent(end) {
		if it := d.items.at(end); !it.deleted() && it.kind() == kindFormat {
			last.set(d.attrOf(end))
		}
		end = d.items.at(end).right
	}
	passed := false
	for r := start; r != end; r = d.items.at(r).right {
		passed = passed || r == curr
		if it := d.items.at(r); it.deleted() || it.kind() != kindFormat {
			continue
		}
		a := d.attrOf(r)
		was := before.get(a.name)
		if last.get(a.name).src != r || was.same(a) {
			d.deleteItem(ch, r)
			if !passed && current.get(a.name).same(a) && !was.same(a) {
				current.update(was)
			}
		} else if !passed {
			current.update(a)
		}
	}
}
