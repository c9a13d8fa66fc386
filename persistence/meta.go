package persistence

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Byte layout of a room's meta, the value under the room's name in bucket "r"; integers are big-endian.
//
//	meta  'R' version(1) nameLen(2) epoch(8) seq(8) gen(8) chunks(4) svLen(4) stateLen(8) sum(4) saved(8) dirty(8) topEpoch(8) name seal(4)
//
// sum is the seal of the state vector and the state together; saved is Unix time in ms; the last seal covers the key and all before it.
// The state vector lies in the chunks, before the state: it can be as large as thousands of clients make it, and a scan over all
// metas would have to read it.
const (
	metaHead    = 72
	metaVersion = 1
)

// meta says which chunks are a room's snapshot and what they hold.
type meta struct {
	pos      Position
	gen      uint64
	chunks   uint32
	svLen    uint32
	stateLen uint64
	sum      uint32
	saved    time.Time
	dirty    uint64 // first LSN that may hold records of the room beyond pos; all before it is covered
	topEpoch uint64 // highest epoch ever seen for the room
}

func (s seal) appendMeta(dst []byte, room string, m meta) []byte {
	from := len(dst)
	dst = append(dst, 'R', metaVersion)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(room)))
	dst = binary.BigEndian.AppendUint64(dst, m.pos.Epoch)
	dst = binary.BigEndian.AppendUint64(dst, m.pos.Seq)
	dst = binary.BigEndian.AppendUint64(dst, m.gen)
	dst = binary.BigEndian.AppendUint32(dst, m.chunks)
	dst = binary.BigEndian.AppendUint32(dst, m.svLen)
	dst = binary.BigEndian.AppendUint64(dst, m.stateLen)
	dst = binary.BigEndian.AppendUint32(dst, m.sum)
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.saved.UnixMilli()))
	dst = binary.BigEndian.AppendUint64(dst, m.dirty)
	dst = binary.BigEndian.AppendUint64(dst, m.topEpoch)
	dst = append(dst, room...)
	return s.stamp(dst, from, []byte(room))
}

// decodeMeta reads the meta stored under key.
func (s seal) decodeMeta(key, b []byte) (meta, error) {
	b, err := s.check(b, key)
	if err != nil {
		return meta{}, err
	}
	if len(b) < metaHead || b[0] != 'R' || b[1] != metaVersion {
		return meta{}, errLayout
	}
	nameLen := int(binary.BigEndian.Uint16(b[2:]))
	if name := b[metaHead:]; len(name) != nameLen || string(name) != string(key) {
		return meta{}, fmt.Errorf("meta of room %q: %w", name, errLayout)
	}
	m := meta{
		pos:      Position{binary.BigEndian.Uint64(b[4:]), binary.BigEndian.Uint64(b[12:])},
		gen:      binary.BigEndian.Uint64(b[20:]),
		chunks:   binary.BigEndian.Uint32(b[28:]),
		svLen:    binary.BigEndian.Uint32(b[32:]),
		stateLen: binary.BigEndian.Uint64(b[36:]),
		sum:      binary.BigEndian.Uint32(b[44:]),
		saved:    time.UnixMilli(int64(binary.BigEndian.Uint64(b[48:]))),
		dirty:    binary.BigEndian.Uint64(b[56:]),
		topEpoch: binary.BigEndian.Uint64(b[64:]),
	}
	if m.stateLen > MaxSnapshot || m.svLen > MaxSnapshot || m.chunks != chunkCount(uint64(m.svLen)+m.stateLen) {
		return meta{}, errLayout
	}
	return m, nil
}

// metaName returns the room name inside a meta value whose key may be damaged; ok is false when the value is damaged too.
func (s seal) metaName(b []byte) (name string, ok bool) {
	if len(b) < metaHead+4 || b[0] != 'R' {
		return "", false
	}
	nameLen := int(binary.BigEndian.Uint16(b[2:]))
	if nameLen == 0 || nameLen > MaxRoomName || len(b) != metaHead+nameLen+4 {
		return "", false
	}
	name = string(b[metaHead : metaHead+nameLen])
	_, err := s.decodeMeta([]byte(name), b)
	return name, err == nil
}
