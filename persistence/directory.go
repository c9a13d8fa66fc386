package persistence

import (
	"encoding/binary"
	"fmt"
)

// Byte layout of a batch's directory; it repeats where the records of each room are, so that a damaged batch still names its
// rooms and a damaged record hurts one room only.
//
//	directory  'W' 'D' version(1) 0(1) lsn(8) runs(4) | run... | seal(4)                  seal over all before it
//	run        tomb(1) nameLen(2) off(4) len(4) records(4) epoch(8) seq(8) name           position of the last record
const (
	directoryHead    = 16
	directoryRunHead = 31
	directoryVersion = 1
)

func (s seal) appendDirectory(dst []byte, lsn uint64, runs []roomRun) []byte {
	from := len(dst)
	dst = append(dst, 'W', 'D', directoryVersion, 0)
	dst = binary.BigEndian.AppendUint64(dst, lsn)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(runs)))
	for _, r := range runs {
		tomb := byte(0)
		if r.tomb {
			tomb = 1
		}
		dst = append(dst, tomb)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(r.room)))
		dst = binary.BigEndian.AppendUint32(dst, r.off)
		dst = binary.BigEndian.AppendUint32(dst, r.n)
		dst = binary.BigEndian.AppendUint32(dst, r.count)
		dst = binary.BigEndian.AppendUint64(dst, r.last.Epoch)
		dst = binary.BigEndian.AppendUint64(dst, r.last.Seq)
		dst = append(dst, r.room...)
	}
	return s.stamp(dst, from)
}

// decodeDirectory reads the directory of batch lsn.
func (s seal) decodeDirectory(b []byte, lsn uint64) ([]roomRun, error) {
	body, err := s.check(b)
	if err != nil {
		return nil, err
	}
	got, runs, rest, err := parseDirectory(body)
	if err != nil {
		return nil, err
	}
	if got != lsn {
		return nil, fmt.Errorf("directory of LSN %d under LSN %d", got, lsn)
	}
	if len(rest) != 0 {
		return nil, errLayout
	}
	return runs, nil
}

// carveDirectory reads a directory at the start of b, whose end is not known.
func (s seal) carveDirectory(b []byte) (lsn uint64, runs []roomRun, ok bool) {
	lsn, runs, rest, err := parseDirectory(b)
	if err != nil || len(rest) < 4 {
		return 0, nil, false
	}
	_, err = s.check(b[:len(b)-len(rest)+4])
	return lsn, runs, err == nil
}

// parseDirectory reads a directory up to its seal and returns what is behind.
func parseDirectory(b []byte) (lsn uint64, runs []roomRun, rest []byte, err error) {
	if len(b) < directoryHead || b[0] != 'W' || b[1] != 'D' || b[2] != directoryVersion || b[3] != 0 {
		return 0, nil, nil, errLayout
	}
	lsn = binary.BigEndian.Uint64(b[4:])
	count := binary.BigEndian.Uint32(b[12:])
	b = b[directoryHead:]
	for range count {
		if len(b) < directoryRunHead {
			return 0, nil, nil, errShort
		}
		nameLen := int(binary.BigEndian.Uint16(b[1:]))
		if nameLen == 0 || nameLen > MaxRoomName || len(b) < directoryRunHead+nameLen || b[0] > 1 {
			return 0, nil, nil, errLayout
		}
		runs = append(runs, roomRun{
			room: string(b[directoryRunHead : directoryRunHead+nameLen]),
			tomb: b[0] == 1,
			run: run{
				lsn:   lsn,
				off:   binary.BigEndian.Uint32(b[3:]),
				n:     binary.BigEndian.Uint32(b[7:]),
				count: binary.BigEndian.Uint32(b[11:]),
				last:  Position{binary.BigEndian.Uint64(b[15:]), binary.BigEndian.Uint64(b[23:])},
			},
		})
		b = b[directoryRunHead+nameLen:]
	}
	return lsn, runs, b, nil
}
