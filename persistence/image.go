package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// Layout of a bbolt file, from go.etcd.io/bbolt v1.5.0, internal/common; integers are in the machine's order.
//
//	page    id(8) flags(2) count(2) overflow(4) | element... | data...    overflow: further pages that belong to it
//	meta    magic(4) version(4) pageSize(4) flags(4) root(8) sequence(8) freelist(8) pages(8) tx(8) fnv64a(8)   in pages 0 and 1
//	branch  pos(4) keyLen(4) page(8)                                      pos counts from the element itself
//	leaf    flags(4) pos(4) keyLen(4) valueLen(4)                         flags 1: the value is a bucket
//	bucket  root(8) sequence(8), and with root 0 a leaf page of its own behind
//	freelist  count 0xffff: the first id is the count
const (
	pageHead    = 16
	branchElem  = 16
	leafElem    = 16
	bucketHead  = 16
	imageMeta   = 64
	imageMagic  = 0xED0CDAED
	imageFormat = 2

	flagBranch   = 1
	flagLeaf     = 2
	flagFreelist = 16
)

var native = binary.NativeEndian

// image reads a bbolt file page by page without trusting anything in it. bbolt itself believes its pages: it panics at some kinds
// of damage, does not see others (a smaller element count hides keys), and silently falls back to the previous commit when the
// newest meta page is bad. An image sees all of these. The file must not be written meanwhile.
type image struct {
	r        io.ReaderAt
	size     int64
	pageSize int64
	root     uint64
	freelist uint64
	pages    uint64 // page ids are below it
	tx       uint64
	badMetas int // invalid meta pages; with 2 of them nothing but pageSize is known
}

var errNoMeta = errors.New("both meta pages are invalid")

// openImage reads the meta pages. With errNoMeta the image can only be searched.
func openImage(f *os.File) (*image, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	m := &image{r: f, size: fi.Size(), pageSize: int64(os.Getpagesize())}
	if size, ok := m.findPageSize(); ok {
		m.pageSize = size
	}
	found := false
	for id := range int64(2) {
		b, ok := m.readMeta(id * m.pageSize)
		if !ok {
			m.badMetas++
			continue
		}
		if tx := native.Uint64(b[48:]); !found || tx > m.tx {
			m.root, m.freelist, m.pages, m.tx = native.Uint64(b[16:]), native.Uint64(b[32:]), native.Uint64(b[40:]), tx
		}
		found = true
	}
	if !found {
		return m, errNoMeta
	}
	return m, nil
}

func (m *image) findPageSize() (int64, bool) {
	for size := int64(1024); size <= 64<<10; size *= 2 {
		for _, at := range []int64{0, size} {
			if b, ok := m.readMeta(at); ok && int64(native.Uint32(b[8:])) == size {
				return size, true
			}
		}
	}
	return 0, false
}

// readMeta reads the meta in the page at offset at.
func (m *image) readMeta(at int64) ([]byte, bool) {
	b := make([]byte, imageMeta)
	if _, err := m.r.ReadAt(b, at+pageHead); err != nil {
		return nil, false
	}
	h := fnv.New64a()
	h.Write(b[:imageMeta-8])
	ok := native.Uint32(b) == imageMagic && native.Uint32(b[4:]) == imageFormat && native.Uint64(b[imageMeta-8:]) == h.Sum64()
	return b, ok
}

// head reads the head of page id and checks it as far as it goes.
func (m *image) head(id uint64) (flags uint16, pages uint64, err error) {
	if id < 2 || id >= m.pages {
		return 0, 0, fmt.Errorf("page %d of %d does not exist", id, m.pages)
	}
	var b [pageHead]byte
	if _, err := m.r.ReadAt(b[:], int64(id)*m.pageSize); err != nil {
		return 0, 0, fmt.Errorf("page %d: %w", id, err)
	}
	if got := native.Uint64(b[:]); got != id {
		return 0, 0, fmt.Errorf("page %d says it is page %d", id, got)
	}
	flags, pages = native.Uint16(b[8:]), uint64(native.Uint32(b[12:]))+1
	if flags != flagBranch && flags != flagLeaf && flags != flagFreelist {
		return 0, 0, fmt.Errorf("page %d has flags %#x", id, flags)
	}
	if id+pages > m.pages {
		return 0, 0, fmt.Errorf("page %d has %d pages, the file %d", id, pages, m.pages)
	}
	return flags, pages, nil
}

// page reads page id with the pages that belong to it.
func (m *image) page(id uint64) (flags uint16, b []byte, err error) {
	flags, pages, err := m.head(id)
	if err != nil {
		return 0, nil, err
	}
	if int64(id+pages)*m.pageSize > m.size {
		return 0, nil, fmt.Errorf("page %d ends after the file", id)
	}
	b = make([]byte, int64(pages)*m.pageSize) // no more than the file has
	if _, err := m.r.ReadAt(b, int64(id)*m.pageSize); err != nil {
		return 0, nil, fmt.Errorf("page %d: %w", id, err)
	}
	return flags, b, nil
}

// element is one entry of a leaf page. Its slices alias the page.
type element struct {
	bucket     bool
	key, value []byte
}

// child is one entry of a branch page.
type child struct {
	key  []byte
	page uint64
}

// span finds key and value of an element at offset at, whose data must begin at next, and returns where they end.
func span(b []byte, at, pos, keyLen, valueLen, next int64) (end int64, err error) {
	if at+pos != next {
		return 0, errors.New("elements are not packed")
	}
	end = next + keyLen + valueLen
	if keyLen == 0 || end > int64(len(b)) {
		return 0, errors.New("element exceeds its page")
	}
	return end, nil
}

// leafElements returns the elements of a leaf page. bbolt writes them without holes, so that every wrong count, position or
// length shows.
func leafElements(b []byte, pageSize int64) ([]element, error) {
	count := int64(native.Uint16(b[10:]))
	next := pageHead + count*leafElem
	if next > int64(len(b)) {
		return nil, errors.New("element exceeds its page")
	}
	elems := make([]element, 0, count)
	for i := range count {
		at := pageHead + i*leafElem
		flags := native.Uint32(b[at:])
		keyLen, valueLen := int64(native.Uint32(b[at+8:])), int64(native.Uint32(b[at+12:]))
		end, err := span(b, at, int64(native.Uint32(b[at+4:])), keyLen, valueLen, next)
		if err == nil && flags > 1 {
			err = fmt.Errorf("element flags %#x", flags)
		}
		if err != nil {
			return elems, fmt.Errorf("element %d of %d: %w", i+1, count, err)
		}
		elems = append(elems, element{bucket: flags == 1, key: b[next : next+keyLen], value: b[next+keyLen : end]})
		next = end
	}
	return elems, checkUsed(next, int64(len(b)), pageSize)
}

func branchElements(b []byte, pageSize int64) ([]child, error) {
	count := int64(native.Uint16(b[10:]))
	next := pageHead + count*branchElem
	if count == 0 || next > int64(len(b)) {
		return nil, errors.New("branch page without room for its elements")
	}
	children := make([]child, 0, count)
	for i := range count {
		at := pageHead + i*branchElem
		keyLen := int64(native.Uint32(b[at+4:]))
		end, err := span(b, at, int64(native.Uint32(b[at:])), keyLen, 0, next)
		if err != nil {
			return nil, fmt.Errorf("element %d of %d: %w", i+1, count, err)
		}
		children = append(children, child{key: b[next:end], page: native.Uint64(b[at+8:])})
		next = end
	}
	return children, checkUsed(next, int64(len(b)), pageSize)
}

// checkUsed checks that a page has as many pages as its content needs. A page size of 0 stands for a bucket inside a value.
func checkUsed(used, have, pageSize int64) error {
	if pageSize == 0 {
		pageSize = 1
	}
	if need := (used + pageSize - 1) / pageSize * pageSize; need != have {
		return fmt.Errorf("%d bytes used of %d", used, have)
	}
	return nil
}

// freeIDs returns the ids in the freelist.
func (m *image) freeIDs() ([]uint64, error) {
	flags, b, err := m.page(m.freelist)
	if err != nil {
		return nil, err
	}
	if flags != flagFreelist {
		return nil, fmt.Errorf("page %d is no freelist", m.freelist)
	}
	count, ids := uint64(native.Uint16(b[10:])), b[pageHead:]
	if count == 0xffff {
		if len(ids) < 8 {
			return nil, errShort
		}
		count, ids = native.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return nil, fmt.Errorf("freelist of %d ids in %d bytes", count, len(b))
	}
	free := make([]uint64, count)
	for i := range free {
		free[i] = native.Uint64(ids[i*8:])
		if free[i] < 2 || free[i] >= m.pages || (i > 0 && free[i] <= free[i-1]) {
			return nil, fmt.Errorf("freelist entry %d of %d is %d", i+1, count, free[i])
		}
	}
	return free, nil
}
