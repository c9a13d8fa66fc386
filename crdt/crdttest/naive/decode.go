package naive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
)

// Content kinds of an update v1 (yjs/src/structs/Item.js, contentRefs), with GC and Skip.
const (
	kindGC      = 0
	kindDeleted = 1
	kindJSON    = 2
	kindBinary  = 3
	kindString  = 4
	kindEmbed   = 5
	kindFormat  = 6
	kindType    = 7
	kindAny     = 8
	kindDoc     = 9
	kindSkip    = 10
)

// Bits of a struct's info byte.
const (
	hasOrigin = 0x80
	hasRight  = 0x40
	hasKey    = 0x20
	kindMask  = 0x1f
)

// maxUnits bounds the units of one update, against a length that no honest session has.
const maxUnits = 1 << 20

var errTooLong = errors.New("update has too many units")

// reader reads an update; the first error sticks and makes every later answer zero.
type reader struct {
	b   []byte
	err error
}

// decode returns the units of an update v1, one for each clock, and the units that it deletes.
func decode(update []byte) ([]*unit, []ID, error) {
	r := &reader{b: update}
	var units []*unit
	for clients := r.uint(); clients > 0 && r.err == nil; clients-- {
		structs, id := r.uint(), ID{Client: r.uint(), Clock: 0}
		id.Clock = r.uint()
		for ; structs > 0 && r.err == nil; structs-- {
			made, length := r.item(id)
			if len(units)+len(made) > maxUnits {
				return nil, nil, errTooLong
			}
			units = append(units, made...)
			id.Clock += length
		}
	}
	var deletes []ID
	for clients := r.uint(); clients > 0 && r.err == nil; clients-- {
		client := r.uint()
		for ranges := r.uint(); ranges > 0 && r.err == nil; ranges-- {
			clock, length := r.uint(), r.uint()
			if uint64(len(deletes))+length > maxUnits {
				return nil, nil, errTooLong
			}
			for i := range length {
				deletes = append(deletes, ID{client, clock + i})
			}
		}
	}
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("%d bytes follow the update", len(r.b))
	}
	return units, deletes, r.err
}

// item reads one struct that starts at id and returns its units and its length in clocks.
func (r *reader) item(id ID) ([]*unit, uint64) {
	info := r.byte()
	first := unit{id: id}
	switch info & kindMask {
	case kindSkip:
		return nil, r.uint()
	case kindGC:
		first.collected = true
		return r.run(first, make([]uint16, r.length()))
	}
	if info&hasOrigin != 0 {
		first.origin = r.id()
	}
	if info&hasRight != 0 {
		first.right = r.id()
	}
	if info&(hasOrigin|hasRight) == 0 {
		first.parent = &list{}
		if r.uint() == 1 {
			first.parent.Root = r.string()
		} else {
			first.parent.Parent = *r.id()
		}
		if info&hasKey != 0 {
			first.parent.Key, first.parent.Keyed = r.string(), true
		}
	}
	if info&kindMask == kindString {
		first.isText = true
		return r.run(first, utf16.Encode([]rune(r.string())))
	}
	return r.run(first, make([]uint16, r.content(info&kindMask)))
}

// run returns one unit for each character; each follows the one before it.
func (r *reader) run(first unit, characters []uint16) ([]*unit, uint64) {
	units := make([]*unit, 0, len(characters))
	for i, c := range characters {
		u := first
		u.id.Clock += uint64(i)
		u.character = c
		if i > 0 {
			u.origin, u.parent = &units[i-1].id, nil
		}
		units = append(units, &u)
	}
	return units, uint64(len(characters))
}

// content reads content that is no text and returns how many clocks it takes.
func (r *reader) content(kind byte) uint64 {
	switch kind {
	case kindDeleted:
		return r.length()
	case kindJSON:
		n := r.length()
		for range n {
			r.string()
		}
		return n
	case kindAny:
		n := r.length()
		for range n {
			r.any(0)
		}
		return n
	case kindBinary, kindEmbed:
		r.bytes(r.uint())
	case kindFormat:
		r.string()
		r.string()
	case kindType:
		const xmlElement, xmlHook = 3, 5
		if ref := r.uint(); ref == xmlElement || ref == xmlHook {
			r.string()
		}
	case kindDoc:
		r.string()
		r.any(0)
	default:
		r.fail(fmt.Errorf("unknown content kind %d", kind))
	}
	return 1
}

// any reads over one value of lib0's Any encoding (lib0/encoding.js, writeAny).
func (r *reader) any(depth int) {
	const maxDepth = 200
	if depth > maxDepth {
		r.fail(errors.New("value is nested too deep"))
		return
	}
	switch tag := r.byte(); tag {
	case 127, 126, 121, 120: // undefined, null, false, true
	case 125: // varint: the low six bits, then like a varuint
		if r.byte()&0x80 != 0 {
			r.uint()
		}
	case 124: // float32
		r.bytes(4)
	case 123, 122: // float64, bigint
		r.bytes(8)
	case 119, 116: // string, bytes
		r.bytes(r.uint())
	case 118: // object
		for n := r.length(); n > 0 && r.err == nil; n-- {
			r.string()
			r.any(depth + 1)
		}
	case 117: // array
		for n := r.length(); n > 0 && r.err == nil; n-- {
			r.any(depth + 1)
		}
	default:
		r.fail(fmt.Errorf("unknown value tag %d", tag))
	}
}

func (r *reader) id() *ID { return &ID{Client: r.uint(), Clock: r.uint()} }

func (r *reader) string() string { return string(r.bytes(r.uint())) }

// length reads a count of units or values.
func (r *reader) length() uint64 {
	n := r.uint()
	if n > maxUnits {
		r.fail(errTooLong)
		return 0
	}
	return n
}

func (r *reader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) bytes(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.b)) {
		r.fail(io.ErrUnexpectedEOF)
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// uint reads a varuint, whose layout is that of encoding/binary.
func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if r.err != nil || n <= 0 {
		r.fail(io.ErrUnexpectedEOF)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}
