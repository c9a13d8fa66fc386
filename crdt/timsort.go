package crdt

import "math/bits"

// timsort sorts a list whose comparison contradicts itself just as V8 does.
//
// Where compare(x, y) and compare(y, x) are both negative the outcome of a
// sort depends on which pairs it compares, and in which order. yjs has such a
// comparison in mergeUpdates, so this is V8's Array.prototype.sort comparison
// by comparison (v8/third_party/v8/builtins/array-sort.tq, V8 11), which is
// Tim Peters' algorithm (cpython/Objects/listsort.txt): ascending and strictly
// descending runs, short ones extended by binary insertion, merged in an order
// that keeps their lengths balanced, galloping where one side keeps winning.
//
// It sorts one list again and again while only its first element changes, and
// remembers which elements are less than the one before them, so that runs are
// found without comparing: what was in order costs one bit an element.
//
// The list is list[head:]; compare must not depend on anything that changes
// without a call of changedFirst.
type timsort[T any] struct {
	list    []T
	head    int
	compare func(x, y T) int

	down      bitset // positions p with compare(list[p], list[p-1]) < 0
	moved     []interval
	runs      []interval // waiting to be merged, neighbours in the list
	scratch   []T
	minGallop int // wins in a row after which a merge gallops
}

// interval is a part of the list.
type interval struct{ start, length int }

const (
	shortList     = 64 // elements; lists below are one run
	initialGallop = 7  // wins
)

// newTimsort returns a sorter of list, which it sorts in place.
func newTimsort[T any](list []T, compare func(x, y T) int) *timsort[T] {
	t := &timsort[T]{list: list, compare: compare, down: make(bitset, len(list)/64+1)}
	t.look(0, len(list))
	return t
}

// changedFirst tells that the first element compares differently than before.
func (t *timsort[T]) changedFirst() { t.look(t.head, t.head+1) }

// dropFirst removes the first element.
func (t *timsort[T]) dropFirst() { t.head++ }

// first returns the first element; the zero value when none is left.
func (t *timsort[T]) first() (first T) {
	if t.head < len(t.list) {
		first = t.list[t.head]
	}
	return first
}

// sort sorts the list.
func (t *timsort[T]) sort() {
	n := len(t.list) - t.head
	if n < 2 {
		return
	}
	t.minGallop = initialGallop
	shortest := shortestRun(n)
	for low := t.head; n > 0; {
		length := t.findRun(low, low+n)
		if length < shortest {
			forced := min(shortest, n)
			t.insert(low, low+length, low+forced)
			length = forced
		}
		t.runs = append(t.runs, interval{low, length})
		t.collapse()
		low, n = low+length, n-length
	}
	t.mergeAll()
	t.runs = t.runs[:0]
	for _, m := range t.moved {
		t.look(m.start, m.start+m.length)
	}
	t.moved = t.moved[:0]
}

// shortestRun returns a length of 32 to 64, so that n divided by it is a power of two or a little less.
func shortestRun(n int) int {
	rest := 0
	for n >= shortList {
		rest |= n & 1
		n >>= 1
	}
	return n + rest
}

// look renews what is known of the elements from start to end-1, and of that at end.
func (t *timsort[T]) look(start, end int) {
	for p := max(start, t.head+1); p < min(end+1, len(t.list)); p++ {
		t.down.set(p, t.compare(t.list[p], t.list[p-1]) < 0)
	}
}

// noteMove notes that elements moved; look follows after the sort, which finds runs only ahead of them.
func (t *timsort[T]) noteMove(start, length int) {
	t.moved = append(t.moved, interval{start, length})
}

// findRun returns the length of the run at low, which it turns round when it is descending.
func (t *timsort[T]) findRun(low, high int) int {
	if low+1 == high {
		return 1
	}
	if !t.down.has(low + 1) {
		return t.down.next(low+2, high, true) - low
	}
	end := t.down.next(low+2, high, false)
	for i, j := low, end-1; i < j; i, j = i+1, j-1 {
		t.list[i], t.list[j] = t.list[j], t.list[i]
	}
	t.noteMove(low, end-low)
	return end - low
}

// insert inserts the elements from start to high-1 into the run at low.
func (t *timsort[T]) insert(low, start, high int) {
	for ; start < high; start++ {
		pivot := t.list[start]
		left, right := low, start
		for left < right {
			mid := left + (right-left)>>1
			if t.compare(pivot, t.list[mid]) < 0 {
				right = mid
			} else {
				left = mid + 1
			}
		}
		if left < start {
			copy(t.list[left+1:start+1], t.list[left:start])
			t.list[left] = pivot
			t.noteMove(left, start+1-left)
		}
	}
}

// collapse merges runs until each is longer than the next two together.
func (t *timsort[T]) collapse() {
	for len(t.runs) > 1 {
		n := len(t.runs) - 2
		switch {
		case !t.balanced(n+1) || !t.balanced(n):
			if t.runs[n-1].length < t.runs[n+1].length {
				n--
			}
		case t.runs[n].length > t.runs[n+1].length:
			return
		}
		t.merge(n)
	}
}

// balanced tells whether run n-2 is longer than runs n-1 and n together.
func (t *timsort[T]) balanced(n int) bool {
	return n < 2 || t.runs[n-2].length > t.runs[n-1].length+t.runs[n].length
}

func (t *timsort[T]) mergeAll() {
	for len(t.runs) > 1 {
		n := len(t.runs) - 2
		if n > 0 && t.runs[n-1].length < t.runs[n+1].length {
			n--
		}
		t.merge(n)
	}
}

// merge merges runs n and n+1.
func (t *timsort[T]) merge(n int) {
	a, b := t.runs[n], t.runs[n+1]
	t.runs[n].length += b.length
	t.runs = append(t.runs[:n+1], t.runs[n+2:]...)

	skip := t.gallopRight(t.list, t.list[b.start], a.start, a.length, 0)
	a.start, a.length = a.start+skip, a.length-skip
	if a.length == 0 {
		return
	}
	b.length = t.gallopLeft(t.list, t.list[a.start+a.length-1], b.start, b.length, b.length-1)
	if b.length == 0 {
		return
	}
	t.noteMove(a.start, a.length+b.length)
	if a.length <= b.length {
		t.mergeLow(a, b)
	} else {
		t.mergeHigh(a, b)
	}
}

// gallopLeft returns how many elements of the run at base are less than key,
// searching from hint in steps that double. Of equal ones none counts.
func (t *timsort[T]) gallopLeft(list []T, key T, base, length, hint int) int {
	last, offset := 0, 1
	if t.compare(list[base+hint], key) < 0 {
		most := length - hint
		for offset < most && t.compare(list[base+hint+offset], key) < 0 {
			last, offset = offset, offset<<1+1
		}
		last, offset = last+hint, min(offset, most)+hint
	} else {
		most := hint + 1
		for offset < most && t.compare(list[base+hint-offset], key) >= 0 {
			last, offset = offset, offset<<1+1
		}
		last, offset = hint-min(offset, most), hint-last
	}
	for last++; last < offset; {
		mid := last + (offset-last)>>1
		if t.compare(list[base+mid], key) < 0 {
			last = mid + 1
		} else {
			offset = mid
		}
	}
	return offset
}

// gallopRight is gallopLeft with equal elements counted.
func (t *timsort[T]) gallopRight(list []T, key T, base, length, hint int) int {
	last, offset := 0, 1
	if t.compare(key, list[base+hint]) < 0 {
		most := hint + 1
		for offset < most && t.compare(key, list[base+hint-offset]) < 0 {
			last, offset = offset, offset<<1+1
		}
		last, offset = hint-min(offset, most), hint-last
	} else {
		most := length - hint
		for offset < most && t.compare(key, list[base+hint+offset]) >= 0 {
			last, offset = offset, offset<<1+1
		}
		last, offset = last+hint, min(offset, most)+hint
	}
	for last++; last < offset; {
		mid := last + (offset-last)>>1
		if t.compare(key, list[base+mid]) < 0 {
			offset = mid
		} else {
			last = mid + 1
		}
	}
	return offset
}

// mergeLow merges two runs from their beginnings, a being the shorter one. The
// first element of b is known to belong first, the last of a last.
func (t *timsort[T]) mergeLow(a, b interval) {
	t.scratch = append(t.scratch[:0], t.list[a.start:a.start+a.length]...)
	left := t.scratch // of a
	dst, j, end := a.start, b.start, b.start+b.length
	// takeA and takeB move n elements and tell whether that decides the rest.
	takeA := func(n int) bool {
		copy(t.list[dst:], left[:n])
		left, dst = left[n:], dst+n
		return len(left) <= 1
	}
	takeB := func(n int) bool {
		copy(t.list[dst:], t.list[j:j+n])
		j, dst = j+n, dst+n
		return j == end
	}
	ended := takeB(1) || len(left) == 1
	for wins := t.minGallop; !ended; {
		winsA, winsB := 0, 0
		for !ended && winsA < wins && winsB < wins {
			if t.compare(t.list[j], left[0]) < 0 {
				winsA, winsB = 0, winsB+1
				ended = takeB(1)
			} else {
				winsA, winsB = winsA+1, 0
				ended = takeA(1)
			}
		}
		wins++
		for first := true; !ended && (first || winsA >= initialGallop || winsB >= initialGallop); first = false {
			wins = max(1, wins-1)
			t.minGallop = wins
			winsA = t.gallopRight(left, t.list[j], 0, len(left), 0)
			if winsA > 0 && takeA(winsA) || takeB(1) {
				ended = true
				break
			}
			winsB = t.gallopLeft(t.list, left[0], j, end-j, 0)
			ended = winsB > 0 && takeB(winsB) || takeA(1)
		}
		if !ended {
			wins++ // leaving the gallop makes the next one harder to enter
			t.minGallop = wins
		}
	}
	if len(left) == 1 {
		takeB(end - j)
	}
	takeA(len(left))
}

// mergeHigh is mergeLow from the ends, b being the shorter run.
func (t *timsort[T]) mergeHigh(a, b interval) {
	t.scratch = append(t.scratch[:0], t.list[b.start:b.start+b.length]...)
	left := t.scratch // of b
	dst, i := b.start+b.length, a.start+a.length
	takeA := func(n int) bool {
		copy(t.list[dst-n:dst], t.list[i-n:i])
		i, dst = i-n, dst-n
		return i == a.start
	}
	takeB := func(n int) bool {
		keep := len(left) - n
		copy(t.list[dst-n:dst], left[keep:])
		left, dst = left[:keep], dst-n
		return len(left) <= 1
	}
	ended := takeA(1) || len(left) == 1
	for wins := t.minGallop; !ended; {
		winsA, winsB := 0, 0
		for !ended && winsA < wins && winsB < wins {
			if t.compare(left[len(left)-1], t.list[i-1]) < 0 {
				winsA, winsB = winsA+1, 0
				ended = takeA(1)
			} else {
				winsA, winsB = 0, winsB+1
				ended = takeB(1)
			}
		}
		wins++
		for first := true; !ended && (first || winsA >= initialGallop || winsB >= initialGallop); first = false {
			wins = max(1, wins-1)
			t.minGallop = wins
			n := i - a.start
			winsA = n - t.gallopRight(t.list, left[len(left)-1], a.start, n, n-1)
			if winsA > 0 && takeA(winsA) || takeB(1) {
				ended = true
				break
			}
			n = len(left)
			winsB = n - t.gallopLeft(left, t.list[i-1], 0, n, n-1)
			ended = winsB > 0 && takeB(winsB) || takeA(1)
		}
		if !ended {
			wins++
			t.minGallop = wins
		}
	}
	if len(left) == 1 {
		takeA(i - a.start)
	}
	takeB(len(left))
}

// bitset is a set of small numbers.
type bitset []uint64

func (s bitset) has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }

func (s bitset) set(i int, in bool) {
	if in {
		s[i/64] |= 1 << (i % 64)
	} else {
		s[i/64] &^= 1 << (i % 64)
	}
}

// next returns the first number from start to end-1 that is in the set, or not in it; end for none.
func (s bitset) next(start, end int, in bool) int {
	for i := start; i < end; i = (i/64 + 1) * 64 {
		word := s[i/64]
		if !in {
			word = ^word
		}
		if word >>= i % 64; word != 0 {
			return min(i+bits.TrailingZeros64(word), end)
		}
	}
	return end
}
