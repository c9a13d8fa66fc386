package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// Parked records: what was in the log of a room that could not be saved, moved to rooms.db (park.go). Integers are big-endian.
//
//	list     'K' version(1) segments(4) | segment... | seal(4)       seal over key and all before it
//	segment  gen(8) from(8) to(8) bytes(4) records(4) epoch(8) seq(8)
//
// A room's list is the value under its name in bucket "p". A segment is the room's records in the batches from to to, as they were
// in the log, cut into chunks of generation gen; epoch and seq are the highest position among them. Bucket "p" exists exactly in
// files of schema 2, and those are the files that have parked records: a binary that does not know them must not open the file.
const (
	listHead    = 6
	listVersion = 1
	segmentSize = 48
)

// segment is one piece of a room's parked records.
type segment struct {
	gen      uint64
	from, to uint64 // LSNs
	bytes    uint32
	count    uint32 // records
	last     Position
}

func (g *segment) add(r run) {
	if g.count == 0 {
		g.from = r.lsn
	}
	g.to = r.lsn
	g.bytes += r.n
	g.count += r.count
	if r.last.Compare(g.last) > 0 {
		g.last = r.last
	}
}

func (g *segment) chunks() uint32 { return chunkCount(uint64(g.bytes)) }

func (s seal) appendList(dst []byte, room string, list []segment) []byte {
	from := len(dst)
	dst = append(dst, 'K', listVersion)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(list)))
	for _, g := range list {
		dst = binary.BigEndian.AppendUint64(dst, g.gen)
		dst = binary.BigEndian.AppendUint64(dst, g.from)
		dst = binary.BigEndian.AppendUint64(dst, g.to)
		dst = binary.BigEndian.AppendUint32(dst, g.bytes)
		dst = binary.BigEndian.AppendUint32(dst, g.count)
		dst = binary.BigEndian.AppendUint64(dst, g.last.Epoch)
		dst = binary.BigEndian.AppendUint64(dst, g.last.Seq)
	}
	return s.stamp(dst, from, []byte(room))
}

// decodeList reads the list stored under key; a nil value is an empty list.
func (s seal) decodeList(key, b []byte) ([]segment, error) {
	if b == nil {
		return nil, nil
	}
	b, err := s.check(b, key)
	if err != nil {
		return nil, err
	}
	if len(b) < listHead || b[0] != 'K' || b[1] != listVersion ||
		uint64(len(b)-listHead) != segmentSize*uint64(binary.BigEndian.Uint32(b[2:])) {
		return nil, errLayout
	}
	list := make([]segment, 0, (len(b)-listHead)/segmentSize)
	for b = b[listHead:]; len(b) > 0; b = b[segmentSize:] {
		list = append(list, segment{
			gen:   binary.BigEndian.Uint64(b),
			from:  binary.BigEndian.Uint64(b[8:]),
			to:    binary.BigEndian.Uint64(b[16:]),
			bytes: binary.BigEndian.Uint32(b[24:]),
			count: binary.BigEndian.Uint32(b[28:]),
			last:  Position{binary.BigEndian.Uint64(b[32:]), binary.BigEndian.Uint64(b[40:])},
		})
	}
	return list, nil
}

// segmentRecords appends to dst the records of a segment, whose chunks get returns. With an error they are those before the first
// damaged record, or all when none is: a record's own checksum tells better than that of a chunk, in which there are many.
func (s seal) segmentRecords(dst []Record, room string, g segment, get func(key []byte) []byte) ([]Record, error) {
	var data []byte
	var bad error
	for i := range g.chunks() {
		key := appendChunkKey(nil, room, g.gen, i)
		value := get(key)
		if _, err := s.decodeChunk(key, value); err != nil && bad == nil {
			bad = fmt.Errorf("chunk %d of %d of generation %d: %w", i+1, g.chunks(), g.gen, err)
		}
		if len(value) <= chunkTail {
			break
		}
		data = append(data, value[:len(value)-chunkTail]...)
	}
	dst, err := appendRun(dst, data, room, run{n: uint32(len(data)), count: g.count})
	if bad == nil {
		bad = err
	}
	if bad != nil {
		return dst, &DamageError{Room: room, File: roomsFile, What: fmt.Sprintf("parked records of batches %d to %d", g.from, g.to), Err: errors.Join(errParked, bad)}
	}
	return dst, nil
}

// errParked tells damage of parked records, or of their list, from that of a snapshot.
var errParked = errors.New("not as it was parked")

// readSegments appends to dst the parked records of a room that no tombstone at tomb has made void. With an error, which names
// the first damage, they are those that are left.
func (s *Store) readSegments(tx *bolt.Tx, dst []Record, room string, tomb uint64) ([]Record, error) {
	list, err := s.segments(tx, room)
	if err != nil {
		return dst, err
	}
	var bad error
	for _, g := range list {
		if g.to < tomb {
			continue
		}
		var err error
		if dst, err = s.seal.segmentRecords(dst, room, g, tx.Bucket(bucketChunks).Get); err != nil && bad == nil {
			bad = err
		}
	}
	return dst, bad
}

// segments returns the room's list.
func (s *Store) segments(tx *bolt.Tx, room string) ([]segment, error) {
	b := tx.Bucket(bucketParked)
	if b == nil {
		return nil, nil
	}
	list, err := s.seal.decodeList([]byte(room), b.Get([]byte(room)))
	if err != nil {
		return nil, listDamage(room, err)
	}
	return list, nil
}

func listDamage(room string, err error) *DamageError {
	return &DamageError{Room: room, File: roomsFile, What: "list of its parked records", Err: errors.Join(errParked, err)}
}

// listSegment adds a segment to the room's list. The first one of a file raises its schema. Instead of a damaged list, which cannot
// be added to and would keep the room in the log for ever, it begins a new one; the same commit sets the room aside for good, since
// the new list does not tell that it lacks something. That damage is returned, beside err. The chunks of the old list stay.
func (s *Store) listSegment(tx *bolt.Tx, room string, g segment) (used int, damage *DamageError, err error) {
	b := tx.Bucket(bucketParked)
	if b == nil {
		if b, err = tx.CreateBucket(bucketParked); err != nil {
			return 0, nil, err
		}
		if err := putSchema(tx, schemaParked); err != nil {
			return 0, nil, err
		}
	}
	list, err := s.segments(tx, room)
	if d, ok := errors.AsType[*DamageError](err); ok {
		damage = d
		err = tx.Bucket(bucketQuarantine).Put([]byte(room), appendVerdict(s.seal, d))
	}
	if err != nil {
		return 0, nil, err
	}
	v := s.seal.appendList(nil, room, append(list, g))
	return len(v), damage, b.Put([]byte(room), v)
}

// unlist takes the segments out of the room's list that are not to stay, and returns their generations, whose chunks are garbage
// then. With the last one of a file goes its higher schema.
func (s *Store) unlist(tx *bolt.Tx, room string, stays func(segment) bool) (gone []generation, err error) {
	b := tx.Bucket(bucketParked)
	if b == nil {
		return nil, nil
	}
	list, err := s.segments(tx, room)
	if err != nil {
		return nil, err
	}
	var kept []segment
	for _, g := range list {
		if stays(g) {
			kept = append(kept, g)
		} else {
			gone = append(gone, generation{room, g.gen, g.chunks()})
		}
	}
	switch {
	case len(gone) == 0:
		return nil, nil
	case len(kept) > 0:
		return gone, b.Put([]byte(room), s.seal.appendList(nil, room, kept))
	}
	return gone, dropList(tx, room)
}

// dropList removes the room's list, whatever is in it.
func dropList(tx *bolt.Tx, room string) error {
	b := tx.Bucket(bucketParked)
	if b == nil {
		return nil
	}
	if err := b.Delete([]byte(room)); err != nil {
		return err
	}
	if k, _ := b.Cursor().First(); k != nil {
		return nil
	}
	if err := tx.DeleteBucket(bucketParked); err != nil {
		return err
	}
	return putSchema(tx, schemaPlain)
}
