package lib0

import "unicode/utf8"

// UTF16Len returns the length of the UTF-8 bytes b in UTF-16 code units, the
// unit of every Yjs length, and whether all of b is ASCII.
func UTF16Len(b []byte) (units int, ascii bool) {
	for i, c := range b {
		if c >= utf8.RuneSelf {
			return i + utf16LenSlow(b[i:]), false
		}
	}
	return len(b), true
}

func utf16LenSlow(b []byte) int {
	n := 0
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

// UTF16Offset returns the byte offset in the UTF-8 bytes b that lies units
// UTF-16 code units after the start. When that is the middle of a surrogate
// pair, split is true and the offset is that of the rune's first byte. An
// offset past the end returns len(b)+1.
func UTF16Offset(b []byte, units int) (offset int, split bool) {
	n := 0
	for i := 0; i < len(b); {
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
