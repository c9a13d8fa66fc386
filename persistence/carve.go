package persistence

import (
	"bytes"
)

// carving is what can be found of the log in the bytes of a damaged wal.db, wherever it lies. Values are contiguous in a bbolt
// file, and a batch of one LSN is always the same or a longer try of it, so a copy in a page that is free is as good.
type carving struct {
	batches map[uint64]carved
	dirs    map[uint64][]roomRun
}

// carved is a batch whose head is right. value aliases the file's bytes; it may be cut off or damaged after the head.
type carved struct {
	batchInfo
	value []byte
	runs  []roomRun // of the whole batch, or up to the damage
	err   error     // the damage
}

var (
	batchMark     = []byte{'W', 'B', batchVersion, 0}
	directoryMark = []byte{'W', 'D', directoryVersion, 0}
)

// carve searches b for sealed batches and directories.
func carve(b []byte, s seal) carving {
	c := carving{make(map[uint64]carved), make(map[uint64][]roomRun)}
	for at := 0; ; at++ {
		i := bytes.Index(b[at:], batchMark)
		if i < 0 {
			break
		}
		at += i
		head, err := s.decodeBatchHead(b[at:])
		if err != nil {
			continue
		}
		end := min(int64(len(b)), int64(at)+batchHead+int64(head.body))
		found := carved{batchInfo: head, value: b[at:end]}
		found.runs, found.err = s.decodeBatch(nil, found.value, head.lsn)
		if old, ok := c.batches[head.lsn]; !ok || old.err != nil {
			c.batches[head.lsn] = found
		}
		if found.err == nil {
			at += len(found.value) - 1
		}
	}
	for at := 0; ; at++ {
		i := bytes.Index(b[at:], directoryMark)
		if i < 0 {
			break
		}
		at += i
		if lsn, runs, ok := s.carveDirectory(b[at:]); ok {
			c.dirs[lsn] = runs
		}
	}
	return c
}
