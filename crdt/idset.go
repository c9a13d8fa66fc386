package crdt

import "slices"

// idSet is a set of units of a document, as sorted ranges for each author, in
// the order in which the authors came: yjs works through its delete sets in
// that order, and what an undo writes depends on it.
type idSet []authorRanges

type authorRanges struct {
	client int32
	ranges []clockRange // sorted, not touching
}

// clockRange is the clocks [from, to).
type clockRange struct{ from, to uint32 }

func (s idSet) of(client int32) int {
	return slices.IndexFunc(s, func(a authorRanges) bool { return a.client == client })
}

// has tells whether a unit is in the set.
func (s idSet) has(i id) bool {
	n := s.of(i.client)
	if n < 0 {
		return false
	}
	_, ok := slices.BinarySearchFunc(s[n].ranges, i.clock, func(r clockRange, clock uint32) int {
		switch {
		case r.from > clock:
			return 1
		case r.to <= clock:
			return -1
		}
		return 0
	})
	return ok
}

// add puts ranges of one author into the set.
func (s *idSet) add(client int32, ranges ...clockRange) {
	n := s.of(client)
	if n < 0 {
		n = len(*s)
		*s = append(*s, authorRanges{client: client})
	}
	all := append(slices.Clip((*s)[n].ranges), ranges...)
	slices.SortFunc(all, func(a, b clockRange) int {
		if a.from < b.from {
			return -1
		}
		return 1
	})
	out := all[:0]
	for _, r := range all {
		if n := len(out); n > 0 && out[n-1].to >= r.from {
			out[n-1].to = max(out[n-1].to, r.to)
		} else {
			out = append(out, r)
		}
	}
	(*s)[n].ranges = out
}

// addAll puts another set into the set.
func (s *idSet) addAll(o idSet) {
	for _, a := range o {
		s.add(a.client, a.ranges...)
	}
}

// deletedSet returns sorted ranges as a set whose authors come in the given order.
func deletedSet(ds []deletion, authors []int32) idSet {
	out := make(idSet, len(authors))
	for i, c := range authors {
		out[i].client = c
	}
	for _, r := range ds {
		a := &out[out.of(r.client)]
		a.ranges = append(a.ranges, clockRange{r.clock, r.clock + r.length})
	}
	return out
}

// eachStruct calls f for each struct in the set, after splitting those that
// lie in it only in part (yjs/src/utils/DeleteSet.js, iterateDeletedStructs).
func (d *Doc) eachStruct(s idSet, f func(ref)) {
	for _, a := range s {
		for _, r := range a.ranges {
			for clock := r.from; clock < r.to; {
				at := d.cleanStart(id{a.client, clock})
				it := d.items.at(at)
				if r.to < it.end() {
					d.cleanStart(id{a.client, r.to})
				}
				clock = it.end()
				f(at)
			}
		}
	}
}
