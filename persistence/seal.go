package persistence

import (
	"encoding/binary"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal is the start value of the checksums of one data directory.
type seal uint32

func newSeal(id []byte) seal { return seal(crc32.Checksum(id, castagnoli)) }

// sum returns the checksum of parts, one after the other.
func (s seal) sum(parts ...[]byte) uint32 {
	c := uint32(s)
	for _, p := range parts {
		c = crc32.Update(c, castagnoli, p)
	}
	return c
}

// stamp appends to dst the checksum of prefix and dst[from:].
func (s seal) stamp(dst []byte, from int, prefix ...[]byte) []byte {
	return binary.BigEndian.AppendUint32(dst, s.sum(append(prefix, dst[from:])...))
}

// check returns b without the checksum at its end, which must be that of prefix and the rest of b.
func (s seal) check(b []byte, prefix ...[]byte) ([]byte, error) {
	if len(b) < 4 {
		return nil, errShort
	}
	body, tail := b[:len(b)-4], b[len(b)-4:]
	if s.sum(append(prefix, body)...) != binary.BigEndian.Uint32(tail) {
		return nil, errChecksum
	}
	return body, nil
}
