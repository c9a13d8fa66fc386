package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
)

// Byte layouts of the log; integers are big-endian, crc is CRC-32C (Castagnoli).
//
//	record  kind(1) nameLen(2) dataLen(4) epoch(8) seq(8) name data crc(4)                 crc over all before it
//	batch   'W' 'B' version(1) 0(1) lsn(8) records(4) bodyLen(4) crc(4) | record...        crc over the 20 bytes before it
//
// The records of one room stand together in a batch, in the order of Append.
const (
	recordHead   = 23
	recordTail   = 4
	batchHead    = 24
	batchVersion = 1

	kindUpdate    = 0
	kindTombstone = 1 // the room was deleted: everything of it before this record is void; no data, zero position
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(parts ...[]byte) uint32 {
	var c uint32
	for _, p := range parts {
		c = crc32.Update(c, castagnoli, p)
	}
	return c
}

// appendChecksum appends the CRC-32C of dst[from:].
func appendChecksum(dst []byte, from int) []byte {
	return binary.BigEndian.AppendUint32(dst, checksum(dst[from:]))
}

// cutChecksum returns b without the CRC-32C at its end, which covers prefix and the rest of b.
func cutChecksum(b []byte, prefix ...[]byte) ([]byte, error) {
	if len(b) < 4 {
		return nil, errShort
	}
	body, tail := b[:len(b)-4], b[len(b)-4:]
	if checksum(append(prefix, body)...) != binary.BigEndian.Uint32(tail) {
		return nil, errChecksum
	}
	return body, nil
}

var (
	errShort    = errors.New("too short")
	errChecksum = errors.New("checksum differs")
	errLayout   = errors.New("malformed")
)

// appendRecord appends one encoded record to dst.
func appendRecord(dst []byte, kind byte, room string, pos Position, data []byte) []byte {
	from := len(dst)
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(room)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(data)))
	dst = binary.BigEndian.AppendUint64(dst, pos.Epoch)
	dst = binary.BigEndian.AppendUint64(dst, pos.Seq)
	dst = append(dst, room...)
	dst = append(dst, data...)
	return appendChecksum(dst, from)
}

// rawRecord is a decoded record; name and data alias the input.
type rawRecord struct {
	kind byte
	pos  Position
	name []byte
	data []byte
	size int // encoded bytes
}

// decodeRecord reads the record at the start of b.
func decodeRecord(b []byte) (rawRecord, error) {
	if len(b) < recordHead+recordTail {
		return rawRecord{}, errShort
	}
	nameLen := int(binary.BigEndian.Uint16(b[1:]))
	dataLen := int64(binary.BigEndian.Uint32(b[3:]))
	size := recordHead + int64(nameLen) + dataLen + recordTail
	if nameLen == 0 || nameLen > MaxRoomName || dataLen > MaxUpdate {
		return rawRecord{}, errLayout
	}
	if int64(len(b)) < size {
		return rawRecord{}, errShort
	}
	body, err := cutChecksum(b[:size])
	if err != nil {
		return rawRecord{}, err
	}
	r := rawRecord{
		kind: b[0],
		pos:  Position{binary.BigEndian.Uint64(b[7:]), binary.BigEndian.Uint64(b[15:])},
		name: body[recordHead : recordHead+nameLen],
		data: body[recordHead+nameLen:],
		size: int(size),
	}
	if r.kind > kindTombstone || (r.kind == kindTombstone && dataLen != 0) {
		return rawRecord{}, errLayout
	}
	return r, nil
}

// ref points to one encoded record of a group.
type ref struct {
	room   string
	pos    Position
	kind   byte
	off, n int
}

// group collects encoded records for one commit.
type group struct {
	buf   []byte
	refs  []ref
	dones []func(error)
}

func (g *group) add(kind byte, room string, pos Position, data []byte) {
	off := len(g.buf)
	g.buf = appendRecord(g.buf, kind, room, pos, data)
	g.refs = append(g.refs, ref{room, pos, kind, off, len(g.buf) - off})
}

func (g *group) reset() {
	clear(g.refs)
	clear(g.dones)
	g.buf, g.refs, g.dones = g.buf[:0], g.refs[:0], g.dones[:0]
}

// run is a row of records of one room in one batch, after the last tombstone among them.
type run struct {
	lsn    uint64
	off, n uint32 // bytes of the batch value
	count  uint32 // records; may be 0 after a tombstone
	last   Position
}

// roomRun names a run's room and tells whether a tombstone comes before it.
type roomRun struct {
	room string
	run
	tomb bool
}

// appendBatch appends the batch of the group's records to dst and returns the runs in it. It sorts g.refs by room.
func appendBatch(dst []byte, runs []roomRun, lsn uint64, g *group) ([]byte, []roomRun) {
	slices.SortStableFunc(g.refs, func(a, b ref) int { return strings.Compare(a.room, b.room) })
	from := len(dst)
	dst = append(dst, 'W', 'B', batchVersion, 0)
	dst = binary.BigEndian.AppendUint64(dst, lsn)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(g.refs)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(g.buf)))
	dst = appendChecksum(dst, from)
	for _, r := range g.refs {
		off := len(dst) - from
		dst = append(dst, g.buf[r.off:r.off+r.n]...)
		runs = extendRuns(runs, lsn, r.room, r.kind, r.pos, off, r.n)
	}
	return dst, runs
}

// extendRuns adds the next record of a batch to its runs. Records of one room are consecutive.
func extendRuns(runs []roomRun, lsn uint64, room string, kind byte, pos Position, off, n int) []roomRun {
	if len(runs) == 0 || runs[len(runs)-1].room != room || runs[len(runs)-1].lsn != lsn {
		runs = append(runs, roomRun{room: room, run: run{lsn: lsn, off: uint32(off)}})
	}
	r := &runs[len(runs)-1]
	if kind == kindTombstone {
		r.tomb = true
		r.run = run{lsn: lsn, off: uint32(off + n)}
		return runs
	}
	r.n += uint32(n)
	r.count++
	if pos.Compare(r.last) > 0 {
		r.last = pos
	}
	return runs
}

// decodeBatchHead checks the head of a batch and returns the number of its records.
func decodeBatchHead(b []byte, lsn uint64) (records int, err error) {
	if len(b) < batchHead {
		return 0, errShort
	}
	if _, err := cutChecksum(b[:batchHead]); err != nil {
		return 0, err
	}
	if b[0] != 'W' || b[1] != 'B' || b[2] != batchVersion {
		return 0, errLayout
	}
	if got := binary.BigEndian.Uint64(b[4:]); got != lsn {
		return 0, fmt.Errorf("batch of LSN %d under LSN %d", got, lsn)
	}
	if body := binary.BigEndian.Uint32(b[16:]); int64(body) != int64(len(b)-batchHead) {
		return 0, errLayout
	}
	return int(binary.BigEndian.Uint32(b[12:])), nil
}

// decodeBatch checks every record of a batch and returns its runs. On error the runs are those before the bad record.
func decodeBatch(runs []roomRun, b []byte, lsn uint64) ([]roomRun, error) {
	if int64(len(b)) > math.MaxUint32 {
		return runs, errLayout
	}
	records, err := decodeBatchHead(b, lsn)
	if err != nil {
		return runs, err
	}
	room := "" // reused while the name stays the same: one allocation per run
	off := batchHead
	for i := range records {
		r, err := decodeRecord(b[off:])
		if err != nil {
			return runs, fmt.Errorf("record %d of %d at byte %d: %w", i+1, records, off, err)
		}
		if string(r.name) != room {
			room = string(r.name)
		}
		runs = extendRuns(runs, lsn, room, r.kind, r.pos, off, r.size)
		off += r.size
	}
	if off != len(b) {
		return runs, fmt.Errorf("%d bytes after the last record: %w", len(b)-off, errLayout)
	}
	return runs, nil
}

// appendRun decodes the run's bytes, which must be records of the room, and appends copies to dst.
func appendRun(dst []Record, b []byte, room string, r run) ([]Record, error) {
	if int64(r.off)+int64(r.n) > int64(len(b)) {
		return dst, errShort
	}
	b = b[r.off : r.off+r.n]
	for i := range r.count {
		rec, err := decodeRecord(b)
		if err != nil {
			return dst, fmt.Errorf("record %d of %d: %w", i+1, r.count, err)
		}
		if string(rec.name) != room || rec.kind != kindUpdate {
			return dst, fmt.Errorf("record %d of %d is not an update of the room: %w", i+1, r.count, errLayout)
		}
		dst = append(dst, Record{Room: room, Pos: rec.pos, Update: slices.Clone(rec.data)})
		b = b[rec.size:]
	}
	if len(b) != 0 {
		return dst, errLayout
	}
	return dst, nil
}
