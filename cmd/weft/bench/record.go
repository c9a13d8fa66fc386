package bench

import (
	"strconv"

	"weft/crdt/lib0"
)

// A writer types into a root text of its own under a client id of its own, each record behind the last. So an update is
// made from three numbers, and what a client received can be checked against them without keeping a document.
//
// Format of updates: yjs/src/utils/encoding.js and structs/Item.js, v13.6.
const (
	refGC      = 0
	refString  = 4  // varString; its clocks are UTF-16 units
	refSkip    = 10 // varUint length
	refBits    = 0x1f
	hasSub     = 0x20
	hasRight   = 0x40
	hasLeft    = 0x80
	alphabet   = 26
	patternLen = 16 << 10 // bytes
)

// pattern is what a writer types, again and again: clock k of every writer is pattern[k%alphabet].
var pattern = func() (p [patternLen + alphabet]byte) {
	for i := range p {
		p[i] = byte('a' + i%alphabet)
	}
	return p
}()

// rootName is the name of the text of the writer with that client id.
func rootName(id uint64) string { return string(appendRootName(nil, id)) }

func appendRootName(dst []byte, id uint64) []byte {
	return strconv.AppendUint(append(dst, 'w'), id, 36)
}

// appendUpdate appends the update, in format V1, with n clocks of a writer from clock on. With n = 0 it is empty.
func appendUpdate(dst []byte, id uint64, root string, clock, n int64) []byte {
	if n == 0 {
		return append(dst, 0, 0)
	}
	dst = append(dst, 1, 1)
	dst = lib0.AppendUint(dst, id)
	dst = lib0.AppendUint(dst, uint64(clock))
	if clock == 0 {
		dst = append(dst, refString, 1) // 1: the parent is a root
		dst = lib0.AppendString(dst, root)
	} else {
		dst = append(dst, refString|hasLeft)
		dst = lib0.AppendUint(dst, id)
		dst = lib0.AppendUint(dst, uint64(clock-1))
	}
	dst = lib0.AppendUint(dst, uint64(n))
	for n > 0 {
		from := clock % alphabet
		step := min(n, patternLen)
		dst = append(dst, pattern[from:from+step]...)
		clock, n = clock+step, n-step
	}
	return append(dst, 0) // nothing is deleted
}

// typed tells whether text is what a writer types from clock on.
func typed(text []byte, clock int64) bool {
	for len(text) > 0 {
		from := clock % alphabet
		step := min(len(text), patternLen)
		if string(text[:step]) != string(pattern[from:from+int64(step)]) {
			return false
		}
		text, clock = text[step:], clock+int64(step)
	}
	return true
}

// run is consecutive clocks of one writer in an update.
type run struct {
	id    uint64
	clock int64
	n     int64
}

// readUpdate calls f for everything that an update brings. wrong says what in it no writer can have written; it is
// empty for an update that was made, merged or cut from those of appendUpdate. An error says that it is no update.
func readUpdate(b []byte, f func(run)) (wrong string, err error) {
	d := lib0.NewDecoder(b)
	for clients := d.Uint(); clients > 0 && d.Err() == nil; clients-- {
		structs, id, clock := d.Uint(), d.Uint(), int64(d.Uint())
		for ; structs > 0 && d.Err() == nil; structs-- {
			n, bad := readStruct(&d, id, clock)
			if bad == skipped {
				clock += n
				continue
			}
			if bad != "" && wrong == "" {
				wrong = bad
			}
			if n == 0 {
				return wrong, d.Err() // a kind that we cannot walk over
			}
			if d.Err() == nil {
				f(run{id, clock, n})
			}
			clock += n
		}
	}
	if d.Uint() > 0 && wrong == "" {
		wrong = "something is deleted"
	}
	return wrong, d.Err()
}

// skipped is readStruct's word for a struct that brings nothing.
const skipped = "skipped"

// readStruct reads one struct at clock of a writer and returns its length in clocks; 0 when the rest of the update
// cannot be read.
func readStruct(d *lib0.Decoder, id uint64, clock int64) (n int64, wrong string) {
	info := d.Byte()
	switch info {
	case refSkip:
		return int64(d.Uint()), skipped
	case refGC:
		return int64(d.Uint()), "something was collected"
	}
	placed := true
	if info&hasLeft != 0 {
		placed = d.Uint() == id
		placed = int64(d.Uint()) == clock-1 && placed
	} else {
		placed = clock == 0
	}
	if info&hasRight != 0 {
		d.Uint()
		d.Uint()
		placed = false
	}
	if info&(hasLeft|hasRight) == 0 {
		var name [16]byte
		if d.Uint() != 1 || string(d.Bytes()) != string(appendRootName(name[:0], id)) {
			return 0, "an item in another place"
		}
	}
	if info&refBits != refString || info&hasSub != 0 && info&(hasLeft|hasRight) == 0 {
		return 0, "content of another kind"
	}
	text := d.Bytes()
	switch {
	case !placed:
		wrong = "an item in another place"
	case !typed(text, clock):
		wrong = "another text"
	}
	return int64(len(text)), wrong
}

// clockIn returns the clock of a client in an encoded state vector; 0 when it is not in it.
func clockIn(vector []byte, id uint64) (clock int64, err error) {
	d := lib0.NewDecoder(vector)
	for n := d.Uint(); n > 0 && d.Err() == nil; n-- {
		if k, v := d.Uint(), d.Uint(); k == id {
			clock = int64(v)
		}
	}
	return clock, d.Err()
}
