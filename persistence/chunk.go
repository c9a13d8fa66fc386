package persistence

import (
	"encoding/binary"
	"fmt"
)

// A snapshot is stored as the state vector followed by the state, cut into chunks in bucket "s"; integers are big-endian.
//
//	key    nameLen(2) name gen(8) number(4)
//	value  data seal(4)                           seal over key and data
//
// There is at least one chunk, if an empty one, so that the chunks name a room whose meta is lost.
const (
	// chunkData is the data of every chunk but the last, in bytes. A leaf page with one chunk and the longest room name then
	// fits four pages of 4 KiB: 16 + 16 + (2+256+8+4) + 16000 + 4 <= 16384.
	chunkData = 16000
	chunkTail = 4
)

func chunkCount(size uint64) uint32 { return uint32(max(1, (size+chunkData-1)/chunkData)) }

// appendChunkPrefix appends the part of the key that all generations of a room share.
func appendChunkPrefix(dst []byte, room string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(room)))
	return append(dst, room...)
}

func appendChunkKey(dst []byte, room string, gen uint64, number uint32) []byte {
	dst = appendChunkPrefix(dst, room)
	dst = binary.BigEndian.AppendUint64(dst, gen)
	return binary.BigEndian.AppendUint32(dst, number)
}

func decodeChunkKey(b []byte) (room string, gen uint64, number uint32, err error) {
	if len(b) < 2 {
		return "", 0, 0, errShort
	}
	nameLen := int(binary.BigEndian.Uint16(b))
	if nameLen == 0 || nameLen > MaxRoomName || len(b) != 2+nameLen+12 {
		return "", 0, 0, errLayout
	}
	rest := b[2+nameLen:]
	return string(b[2 : 2+nameLen]), binary.BigEndian.Uint64(rest), binary.BigEndian.Uint32(rest[8:]), nil
}

// appendChunk appends the value of a chunk whose data is parts, one after the other.
func (s seal) appendChunk(dst, key []byte, parts ...[]byte) []byte {
	from := len(dst)
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return s.stamp(dst, from, key)
}

// decodeChunk returns the data of a chunk; it aliases value.
func (s seal) decodeChunk(key, value []byte) ([]byte, error) {
	data, err := s.check(value, key)
	if err != nil {
		return nil, err
	}
	if len(data) > chunkData {
		return nil, errLayout
	}
	return data, nil
}

// snapshotChunk returns the data of chunk number of a snapshot, in up to two parts that alias it.
func snapshotChunk(s *Snapshot, number uint32) (sv, state []byte) {
	from := int(number) * chunkData
	to := from + chunkData
	cut := func(b []byte, from, to int) []byte { return b[min(max(from, 0), len(b)):min(max(to, 0), len(b))] }
	return cut(s.StateVector, from, to), cut(s.State, from-len(s.StateVector), to-len(s.StateVector))
}

// joinChunks collects the chunks of a snapshot as next yields them in order, checks them against the meta and splits the result.
func (s seal) joinChunks(room string, m meta, next func(key []byte) []byte) (sv, state []byte, err error) {
	size := uint64(m.svLen) + m.stateLen
	var all, key []byte
	for i := range m.chunks {
		key = appendChunkKey(key[:0], room, m.gen, i)
		v := next(key)
		if v == nil {
			return nil, nil, fmt.Errorf("chunk %d of %d of generation %d is missing", i+1, m.chunks, m.gen)
		}
		data, err := s.decodeChunk(key, v)
		if err != nil {
			return nil, nil, fmt.Errorf("chunk %d of %d of generation %d: %w", i+1, m.chunks, m.gen, err)
		}
		if all == nil {
			all = make([]byte, 0, size) // bounded by MaxSnapshot, and the meta's checksum was right
		}
		all = append(all, data...)
	}
	if uint64(len(all)) != size {
		return nil, nil, fmt.Errorf("snapshot of %d bytes, want %d: %w", len(all), size, errLayout)
	}
	if s.sum(all) != m.sum {
		return nil, nil, fmt.Errorf("snapshot: %w", errChecksum)
	}
	return all[:m.svLen:m.svLen], all[m.svLen:], nil
}
