package crdt

import "slices"

// Scanning from an item's origin to its right origin is what YATA says, and is
// linear in what lies between. Where several authors go on writing in front of
// each other's text that is the whole text, although the place is right beside
// the right origin. A scan that turns out long is therefore tried from the
// other end.
//
// The item goes behind the last sibling (an item with its origin) of a smaller
// client, or behind what descends from that. Going left from the right origin,
// the first such sibling found is that last one, and what was passed on the way
// decides the rest, by the rule of the forward scan. This holds unless the
// forward scan ends before it, at a sibling of a larger client with the same
// right origin; none can stand left of a sibling of a smaller client that has
// the same two origins, but the probe that goes forward in step makes sure.

// maxDescent bounds the origins followed to tell whether one item descends from another.
const maxDescent = 64

// resolveBack returns the item after which it goes, or false when the forward
// scan, which has come as far as probe, will tell sooner.
func (d *Doc) resolveBack(it *placing, author ClientID, probe ref) (ref, bool) {
	base, ok := d.lastSmaller(it, author, probe)
	if !ok {
		return 0, false
	}
	passed := d.passed // from right to left
	slices.Reverse(passed)
	left := it.left
	if base != 0 {
		left = base
	}
	where := make(map[ref]int, len(passed))
	conflicting := 0
	for k, r := range passed {
		if origin := d.items.origin(r); origin == it.origin {
			if d.items.ror(r) == it.ror {
				break
			}
		} else if i, in := d.placeOf(where, origin); in {
			if i < conflicting {
				left, conflicting = r, k+1
			}
		} else if base == 0 {
			break // its origin stands left of all siblings
		} else if under, ok := d.descends(origin, it.origin); !ok {
			return 0, false
		} else if !under {
			break
		} else {
			left, conflicting = r, k+1
		}
		where[r] = k
	}
	return left, true
}

// lastSmaller goes left from the right origin to the last sibling of a smaller
// client, 0 for none, and leaves what it passed in d.passed. False means that
// the forward scan ends before.
func (d *Doc) lastSmaller(it *placing, author ClientID, probe ref) (ref, bool) {
	d.passed = d.passed[:0]
	b := d.lists[it.list].last
	if it.right != 0 {
		b = d.items.at(it.right).left
	}
	for b != it.left {
		if b == 0 {
			return 0, false // the right origin stands left of the origin: the forward scan ends at the end of the list
		}
		d.steps++
		o := d.items.at(b)
		if d.clients[o.client()].id < author && d.items.origin(b) == it.origin {
			return b, true
		}
		d.passed = append(d.passed, b)
		if probe == it.right {
			return 0, false
		}
		p := d.items.at(probe)
		if d.clients[p.client()].id > author && d.items.origin(probe) == it.origin && d.items.ror(probe) == it.ror {
			return 0, false
		}
		probe = p.right
		b = o.left
	}
	return 0, true
}

// placeOf returns the place of the item that covers i in a map of items.
func (d *Doc) placeOf(where map[ref]int, i id) (int, bool) {
	if i.client == noClient {
		return 0, false
	}
	n, ok := where[d.find(i)]
	return n, ok
}

// descends tells whether the item that covers i is a sibling, one whose origin
// is the given one, or descends from one by origins; ok is false when that
// takes too long to tell.
func (d *Doc) descends(i, origin id) (under, ok bool) {
	for range maxDescent {
		if i.client == noClient {
			return false, true
		}
		r := d.find(i)
		o := d.items.origin(r)
		switch {
		case d.items.at(r).isGC():
			return false, false
		case o == origin && (origin.client == noClient || d.find(origin) != r):
			return true, true
		}
		i = o
	}
	return false, false
}
