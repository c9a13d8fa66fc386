package persistence

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// allBuckets is the bucket of a problem that concerns every bucket.
const allBuckets = "*"

// problem is a part of a bbolt file that cannot be trusted: the keys from from (nil: the first) to before to (nil: the last) of
// a bucket, or with an empty bucket name something that is in no bucket, such as the freelist.
type problem struct {
	bucket   string
	from, to []byte
	err      error
	stale    bool // what was found there may be of an older commit
}

func (p problem) String() string {
	if p.bucket == "" {
		return p.err.Error()
	}
	return fmt.Sprintf("bucket %q, keys %x to %x: %v", p.bucket, p.from, p.to, p.err)
}

// walker visits everything that the newest meta page of an image leads to.
type walker struct {
	img *image
	// element is called for each element of each bucket, in the order of keys; its slices are valid during the call.
	element func(bucket string, key, value []byte)
	// shallow names a bucket whose leaf pages are not read, only counted.
	shallow string
	// only, if not empty, names the only bucket to visit; the freelist is not checked then.
	only string

	// from and to, if not nil, bound the keys to visit in the only bucket.
	from, to []byte

	sequence map[string]uint64 // of the buckets found
	free     int               // pages in the freelist
	problems []problem
	seen     []uint64       // bit set: pages reached
	roots    map[uint64]int // page -> index in subtrees
	subtrees []subtree
}

// subtree is a page that was reached, with the keys that it is in charge of.
type subtree struct {
	bucket   string
	from, to []byte
}

// maxDepth is beyond any tree that fits a file: every level multiplies by more than 2.
const maxDepth = 64

// walk visits the buckets and checks the freelist against what it has seen.
func (w *walker) walk() {
	w.sequence = make(map[string]uint64)
	w.roots = make(map[uint64]int)
	w.seen = make([]uint64, w.img.size/w.img.pageSize/64+1)
	w.tree(allBuckets, w.img.root, nil, nil, 0, func(e element) {
		if !e.bucket || len(e.value) < bucketHead {
			w.problem(allBuckets, nil, nil, fmt.Errorf("entry %q is no bucket", e.key))
			return
		}
		if w.only == "" || w.only == string(e.key) {
			w.bucket(string(e.key), e.value)
		}
	})
	if w.only == "" {
		w.checkFreelist()
	}
}

func (w *walker) problem(bucket string, from, to []byte, err error) {
	w.problems = append(w.problems, problem{bucket: bucket, from: bytes.Clone(from), to: bytes.Clone(to), err: err})
}

// stale is problem for a part that may be of an older commit.
func (w *walker) stale(s subtree, err error) {
	w.problem(s.bucket, s.from, s.to, err)
	w.problems[len(w.problems)-1].stale = true
}

func (w *walker) bucket(name string, value []byte) {
	w.sequence[name] = native.Uint64(value[8:])
	visit := func(e element) {
		if e.bucket {
			w.problem(name, e.key, append(bytes.Clone(e.key), 0), fmt.Errorf("bucket %q in a bucket", e.key))
			return
		}
		w.element(name, e.key, e.value)
	}
	if root := native.Uint64(value); root != 0 {
		w.tree(name, root, nil, nil, 0, visit)
		return
	}
	inline := value[bucketHead:]
	if len(inline) < pageHead || native.Uint16(inline[8:]) != flagLeaf || native.Uint32(inline[12:]) != 0 {
		w.problem(name, nil, nil, fmt.Errorf("bucket %q inside a value: %w", name, errLayout))
		return
	}
	elems, err := leafElements(inline, 0)
	w.leaf(name, elems, err, nil, nil, visit)
}

// tree visits the page and all below it, which hold the keys from from (nil: any) to before to (nil: any).
func (w *walker) tree(bucket string, id uint64, from, to []byte, depth int, visit func(element)) {
	flags, pages, err := w.img.head(id)
	if err == nil && depth > maxDepth {
		err = fmt.Errorf("page %d is %d levels deep", id, depth)
	}
	if err == nil && flags == flagFreelist {
		err = fmt.Errorf("page %d is a freelist", id)
	}
	if err == nil && w.mark(id, pages) {
		// Two ways lead here, and which is wrong cannot be told.
		err := fmt.Errorf("page %d is used twice", id)
		w.stale(subtree{bucket, from, to}, err)
		if i, ok := w.roots[id]; ok {
			w.stale(w.subtrees[i], err)
		} else {
			w.stale(subtree{bucket: allBuckets}, err)
		}
		return
	}
	if err != nil {
		w.problem(bucket, from, to, err)
		return
	}
	w.roots[id] = len(w.subtrees)
	w.subtrees = append(w.subtrees, subtree{bucket, bytes.Clone(from), bytes.Clone(to)})
	if bucket == w.shallow && bucket != "" && flags == flagLeaf {
		return
	}
	_, b, err := w.img.page(id)
	if err != nil {
		w.problem(bucket, from, to, err)
		return
	}
	if flags == flagLeaf {
		elems, err := leafElements(b, w.img.pageSize)
		if err != nil {
			err = fmt.Errorf("page %d: %w", id, err)
		}
		w.leaf(bucket, elems, err, from, to, visit)
		return
	}
	children, err := branchElements(b, w.img.pageSize)
	if err != nil {
		w.problem(bucket, from, to, fmt.Errorf("page %d: %w", id, err))
		return
	}
	w.branch(bucket, id, children, from, to, depth, visit)
}

func (w *walker) branch(bucket string, id uint64, children []child, from, to []byte, depth int, visit func(element)) {
	for i, c := range children {
		end := to
		if i+1 < len(children) {
			end = children[i+1].key
		}
		if (end != nil && bytes.Compare(c.key, end) >= 0) || (i == 0 && from != nil && !bytes.Equal(c.key, from)) {
			w.problem(bucket, from, to, fmt.Errorf("page %d: separator %d is out of order", id, i+1))
			return
		}
	}
	for i, c := range children {
		end := to
		if i+1 < len(children) {
			end = children[i+1].key
		}
		if bucket == w.only && ((w.to != nil && bytes.Compare(c.key, w.to) >= 0) || (end != nil && bytes.Compare(end, w.from) <= 0)) {
			continue
		}
		w.tree(bucket, c.page, c.key, end, depth+1, visit)
	}
}

// leaf visits the elements of a leaf; err says why there may be more. Elements out of order are not visited: what they are
// called cannot be trusted.
func (w *walker) leaf(bucket string, elems []element, err error, from, to []byte, visit func(element)) {
	if err == nil && from != nil && (len(elems) == 0 || !bytes.Equal(elems[0].key, from)) {
		err = errors.New("leaf does not begin with its separator")
	}
	for i, e := range elems {
		if (i > 0 && bytes.Compare(elems[i-1].key, e.key) >= 0) || (to != nil && bytes.Compare(e.key, to) >= 0) {
			err = fmt.Errorf("key %x is out of order", e.key)
			elems = elems[:max(i-1, 0)]
			break
		}
	}
	for _, e := range elems {
		visit(e)
	}
	if err != nil {
		// Which keys the page had is not certain, so all that it could have had are in doubt.
		w.problem(bucket, from, to, err)
	}
}

// mark notes the pages as reached and tells whether one of them was before.
func (w *walker) mark(id, pages uint64) (twice bool) {
	for p := id; p < id+pages; p++ {
		word, bit := p/64, uint64(1)<<(p%64)
		if word >= uint64(len(w.seen)) {
			return false // after the end of the file: reading it is an error
		}
		twice = twice || w.seen[word]&bit != 0
		w.seen[word] |= bit
	}
	return twice
}

func (w *walker) reached(p uint64) bool {
	return p/64 < uint64(len(w.seen)) && w.seen[p/64]&(1<<(p%64)) != 0
}

// checkFreelist looks for pages that are both used and free: bbolt would write over them. When a subtree begins with such a page,
// the way to it may be the error (to a page of an older commit), so its keys are in doubt.
func (w *walker) checkFreelist() {
	free, err := w.img.freeIDs()
	if err != nil {
		w.problem("", nil, nil, fmt.Errorf("freelist: %w", err))
		return
	}
	w.free = len(free)
	for _, id := range free {
		if !w.reached(id) {
			continue
		}
		err := fmt.Errorf("page %d is used and free", id)
		w.problem("", nil, nil, err)
		if i, ok := w.roots[id]; ok {
			w.stale(w.subtrees[i], err)
		}
	}
	if w.reached(w.img.freelist) || slices.Contains(free, w.img.freelist) {
		w.problem("", nil, nil, fmt.Errorf("freelist page %d is used or free", w.img.freelist))
	}
}
