package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Byte layouts of the log; integers are big-endian, crc is CRC-32C (Castagnoli).
//
//	record  kind(1) nameLen(2) dataLen(4) epoch(8) seq(8) name data crc(4)                 crc over all before it
//	batch   'W' 'B' version(1) 0(1) lsn(8) tx(8) records(4) bodyLen(4) seal(4) | record... seal over the 28 bytes before it
//
// The records of one room stand together in a batch, in the order of Append. tx is the bbolt transaction that wrote the batch:
// every transaction of the log writes exactly one, so the newest meta page of the file tells how many batches there must be.
// A seal is a CRC-32C that begins with the random id of the directory. Only what this store wrote has a right one; bytes inside
// an update that look like a batch, which whoever sent the update may have chosen, have not. That matters where batches are
// searched for in a damaged file.
const (
	recordHead   = 23
	recordTail   = 4
	batchHead    = 32
	batchVersion = 1

	kindUpdate    = 0
	kindTombstone = 1 // the room was deleted: everything of it before this record is void; no data, zero position
)

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
	return seal(0).stamp(dst, from)
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
	body, err := seal(0).check(b[:size])
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
	buf    []byte
	refs   []ref
	dones  []func(error)
	closed bool // takes no further records
}

func (g *group) add(kind byte, room string, pos Position, data []byte) {
	off := len(g.buf)
	g.buf = appendRecord(g.buf, kind, room, pos, data)
	g.refs = append(g.refs, ref{room, pos, kind, off, len(g.buf) - off})
}

func (g *group) reset() {
	clear(g.refs)
	clear(g.dones)
	g.buf, g.refs, g.dones, g.closed = g.buf[:0], g.refs[:0], g.dones[:0], false
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
func (s seal) appendBatch(dst []byte, runs []roomRun, lsn, tx uint64, g *group) ([]byte, []roomRun) {
	slices.SortStableFunc(g.refs, func(a, b ref) int { return strings.Compare(a.room, b.room) })
	from := len(dst)
	dst = append(dst, 'W', 'B', batchVersion, 0)
	dst = binary.BigEndian.AppendUint64(dst, lsn)
	dst = binary.BigEndian.AppendUint64(dst, tx)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(g.refs)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(g.buf)))
	dst = s.stamp(dst, from)
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

// batchInfo is the head of a batch.
type batchInfo struct {
	lsn, tx uint64
	records int
	body    int // bytes after the head
}

// decodeBatchHead reads the head at the start of b, which may be longer or shorter than the batch.
func (s seal) decodeBatchHead(b []byte) (batchInfo, error) {
	if len(b) < batchHead {
		return batchInfo{}, errShort
	}
	if b[0] != 'W' || b[1] != 'B' || b[2] != batchVersion || b[3] != 0 {
		return batchInfo{}, errLayout
	}
	if _, err := s.check(b[:batchHead]); err != nil {
		return batchInfo{}, err
	}
	return batchInfo{
		lsn:     binary.BigEndian.Uint64(b[4:]),
		tx:      binary.BigEndian.Uint64(b[12:]),
		records: int(binary.BigEndian.Uint32(b[20:])),
		body:    int(binary.BigEndian.Uint32(b[24:])),
	}, nil
}

// decodeBatch checks every record of a batch and returns its runs. On error the runs are those before the bad record.
func (s seal) decodeBatch(runs []roomRun, b []byte, lsn uint64) ([]roomRun, error) {
	head, err := s.decodeBatchHead(b)
	if err != nil {
		return runs, err
	}
	if head.lsn != lsn {
		return runs, fmt.Errorf("batch of LSN %d under LSN %d", head.lsn, lsn)
	}
	if head.body != len(b)-batchHead {
		return runs, errLayout
	}
	records := head.records
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
