package crdt

import (
	"encoding/binary"
	"math/bits"

	"weft/crdt/lib0"
)

// Nearly all structs of a state are of three kinds: text and deleted content
// that stand beside something, and collected ranges. plainV1 reads them
// straight from the bytes. Like quick it judges nothing: where a struct is of
// another kind, or anything is wrong with it, it stops in front of it, and
// structV1 says what it is. In format 1 a struct has two bytes at least, so
// none of those that joinRun is for can turn up.

// plainBytes is the number of bytes that a struct of the three kinds takes at
// most, its text not counted: info, two ids of 8 and 4 bytes, a length.
const plainBytes = 1 + 2*(8+4) + 8

// plainV1 reads up to count structs of a client from a clock on. It returns
// how many it has read and the clock behind them.
func (m *message) plainV1(d *lib0.Decoder, client int32, clock, count uint64) (n, end uint64) {
	src, from := m.src, d.Pos()
	i := from
	authors := authorReader{m: m}
	for ; n < count && len(src)-i >= plainBytes && m.count < m.most; n++ {
		info := src[i]
		kind := info & infoKind
		beside := info&(infoOrigin|infoRor) != 0 // infoKey says nothing then
		if info != kindGC && !(beside && (kind == kindDeleted || kind == kindString)) {
			break
		}
		at := i + 1
		b := block{kind: kind, origin: noID, ror: noID}
		if info&infoOrigin != 0 {
			b.flags |= hasOrigin
			b.origin, at = authors.id(at)
		}
		if info&infoRor != 0 && at > 0 {
			b.flags |= hasRor
			b.ror, at = authors.id(at)
		}
		if at < 0 {
			break
		}
		length, size := shortUint(binary.LittleEndian.Uint64(src[at:]))
		if at += size; size == 0 {
			break
		}
		if kind == kindString {
			if uint64(len(src)-at) < length {
				break
			}
			b.body = span{uint32(at), uint32(at) + uint32(length)}
			at = int(b.body.end)
			var flags uint16
			var err error
			if length, flags, err = text(m.bytes(b.body)); err != nil {
				break
			}
			b.flags |= flags
		}
		if length == 0 || clock+length > maxClock || len(m.clients) > m.lim.Clients ||
			b.origin.client == client && uint64(b.origin.clock) >= clock || b.ror.client == client && uint64(b.ror.clock) >= clock {
			break
		}
		b.clock, b.length = uint32(clock), uint32(length)
		m.add(b)
		m.count++
		clock += length
		i = at
		if m.join {
			m.joinCollected()
		}
	}
	d.Raw(uint64(i - from))
	return n, clock
}

// authorReader reads ids. The client of one is mostly that of the one before.
type authorReader struct {
	m      *message
	mask   uint64 // covers the bytes of bytes, 0 before the first
	bytes  uint64 // the client read last as it is written
	size   int    // their number
	client int32
}

// id reads the id at src[at], with 8 bytes to spare behind it, and returns
// what stands behind; -1 where it is for structV1.
func (a *authorReader) id(at int) (i id, end int) {
	src := a.m.src
	if x := binary.LittleEndian.Uint64(src[at:]); a.mask == 0 || x&a.mask != a.bytes {
		v, end := varint(src, at)
		if end < 0 {
			return noID, -1
		}
		a.size = end - at
		a.mask = 1<<(8*a.size) - 1
		a.bytes = x & a.mask
		a.client = a.m.client(v)
	}
	at += a.size
	clock, size := shortUint(binary.LittleEndian.Uint64(src[at:]))
	if size == 0 {
		return noID, -1
	}
	return id{a.client, uint32(clock)}, at + size
}

// shortUint reads a varUint from the first bytes of x. Its size is 0 where it
// has more than four or is not in its shortest form.
func shortUint(x uint64) (v uint64, size int) {
	size = bits.TrailingZeros64(^x&0x80808080)>>3 + 1
	x &= 1<<(8*size&63) - 1
	v = x&0x7f | x>>1&(0x7f<<7) | x>>2&(0x7f<<14) | x>>3&(0x7f<<21)
	if size > 4 || size > 1 && x>>(8*size-8) == 0 {
		return 0, 0
	}
	return v, size
}
