package lib0

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// UTF16Len returns the length of the UTF-8 bytes b in UTF-16 code units, the
// unit of every Yjs length, and whether all of b is ASCII.
func UTF16Len(b []byte) (units int, ascii bool) {
	i := 0
	for i+8 <= len(b) && binary.LittleEndian.Uint64(b[i:])&0x8080808080808080 == 0 {
		i += 8
	}
	for ; i < len(b); i++ {
		if b[i] >= utf8.RuneSelf {
			return i + utf16LenSlow(b[i:]), false
		}
	}
	return len(b), true
}

func utf16LenSlow(b []byte) int {
	n := 0
	for ; len(b) >= 8; b = b[8:] {
		n += units8(binary.LittleEndian.Uint64(b))
	}
	for _, c := range b {
		switch {
		case c >= 0xf0: // starts a 4-byte rune: a surrogate pair
			n += 2
		case c&0xc0 != 0x80: // starts a shorter rune
			n++
		}
	}
	return n
}

// units8 returns the UTF-16 code units of the runes that start in eight bytes
// of UTF-8: one for each byte that continues none, one more for 0xf0 and above.
func units8(w uint64) int {
	const low = 0x0101010101010101
	continued := w >> 7 & ^(w >> 6) & low
	pairs := w >> 7 & (w >> 6) & (w >> 5) & (w >> 4) & low
	return 8 - bits.OnesCount64(continued) + bits.OnesCount64(pairs)
}

// UTF16Offset returns the byte offset in the UTF-8 bytes b that lies units
// UTF-16 code units after the start. When that is the middle of a surrogate
// pair, split is true and the offset is that of the rune's first byte. An
// offset past the end returns len(b)+1.
func UTF16Offset(b []byte, units int) (offset int, split bool) {
	n, i := 0, 0
	for len(b)-i >= 8 && units-n > 16 {
		n += units8(binary.LittleEndian.Uint64(b[i:]))
		i += 8
	}
	for i > 0 && i < len(b) && b[i]&0xc0 == 0x80 {
		i++ // to the next rune
	}
	for i < len(b) {
		if n == units {
			return i, false
		}
		switch c := b[i]; {
		case c < 0x80:
			i, n = i+1, n+1
		case c < 0xe0:
			i, n = i+2, n+1
		case c < 0xf0:
			i, n = i+3, n+1
		default:
			if n+1 == units {
				return i, true
			}
			i, n = i+4, n+2
		}
	}
	if n == units {
		return len(b), false
	}
	return len(b) + 1, false
}
