package persistence

import (
	"bytes"
	"testing"
)

// The decoders of this package read files, which may hold anything. A decoder must not panic, must not take more than it was
// given, and what it accepts must encode to the same bytes.

const fuzzSeal = seal(12345)

func FuzzRecord(f *testing.F) {
	f.Add(appendRecord(nil, kindUpdate, "room", Position{1, 2}, []byte("update")))
	f.Add(appendRecord(nil, kindTombstone, "room", Position{}, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			return
		}
		if again := appendRecord(nil, r.kind, string(r.name), r.pos, r.data); !bytes.Equal(again, b[:r.size]) {
			t.Errorf("record %x encodes as %x", b[:r.size], again)
		}
	})
}

func fuzzGroup() *group {
	g := &group{}
	g.add(kindUpdate, "b", Position{1, 1}, []byte("one"))
	g.add(kindUpdate, "a", Position{1, 1}, []byte("two"))
	g.add(kindTombstone, "b", Position{}, nil)
	g.add(kindUpdate, "b", Position{2, 1}, nil)
	return g
}

// FuzzBatch corrects the seal of the head, so that the rest is reached.
func FuzzBatch(f *testing.F) {
	value, _ := fuzzSeal.appendBatch(nil, nil, 7, 9, fuzzGroup())
	f.Add(value)
	empty, _ := fuzzSeal.appendBatch(nil, nil, 7, 9, &group{})
	f.Add(empty)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= batchHead {
			b = fuzzSeal.restampBatch(b, 9)
		}
		runs, err := fuzzSeal.decodeBatch(nil, b, 7)
		for _, r := range runs {
			recs, runErr := appendRun(nil, b, r.room, r.run)
			if runErr != nil || len(recs) != int(r.count) {
				t.Errorf("run of %q in %x: %d records, %v, want %d", r.room, b, len(recs), runErr, r.count)
			}
		}
		c := carve(b, fuzzSeal)
		if _, found := c.batches[7]; err == nil && !found {
			t.Errorf("carve does not find the batch %x", b)
		}
	})
}

func FuzzDirectory(f *testing.F) {
	_, runs := fuzzSeal.appendBatch(nil, nil, 7, 9, fuzzGroup())
	f.Add(fuzzSeal.appendDirectory(nil, 7, runs))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 4 {
			b = fuzzSeal.stamp(bytes.Clone(b[:len(b)-4]), 0)
		}
		runs, err := fuzzSeal.decodeDirectory(b, 7)
		if err != nil {
			return
		}
		if again := fuzzSeal.appendDirectory(nil, 7, runs); !bytes.Equal(again, b) {
			t.Errorf("directory %x encodes as %x", b, again)
		}
		if lsn, _, ok := fuzzSeal.carveDirectory(b); !ok || lsn != 7 {
			t.Errorf("carve does not read the directory %x", b)
		}
	})
}

func FuzzMeta(f *testing.F) {
	f.Add(fuzzSeal.appendMeta(nil, "room", meta{pos: Position{1, 2}, gen: 3, chunks: 1, stateLen: 5, sum: 6, dirty: 7, topEpoch: 8}))
	f.Fuzz(func(t *testing.T, b []byte) {
		key := []byte("room")
		if len(b) >= 4 {
			b = fuzzSeal.stamp(bytes.Clone(b[:len(b)-4]), 0, key)
		}
		fuzzSeal.metaName(b)
		m, err := fuzzSeal.decodeMeta(key, b)
		if err != nil {
			return
		}
		again, err := fuzzSeal.decodeMeta(key, fuzzSeal.appendMeta(nil, "room", m))
		if err != nil || again != m {
			t.Errorf("meta %+v decodes as %+v, %v", m, again, err)
		}
	})
}

func FuzzChunk(f *testing.F) {
	key := appendChunkKey(nil, "room", 1, 0)
	f.Add(key, fuzzSeal.appendChunk(nil, key, []byte("data")))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if room, gen, number, err := decodeChunkKey(key); err == nil {
			if again := appendChunkKey(nil, room, gen, number); !bytes.Equal(again, key) {
				t.Errorf("chunk key %x encodes as %x", key, again)
			}
		}
		if len(value) >= 4 {
			value = fuzzSeal.stamp(bytes.Clone(value[:len(value)-4]), 0, key)
		}
		if data, err := fuzzSeal.decodeChunk(key, value); err == nil {
			if again := fuzzSeal.appendChunk(nil, key, data); !bytes.Equal(again, value) {
				t.Errorf("chunk %x encodes as %x", value, again)
			}
		}
	})
}

// FuzzImage reads bbolt pages; a page says how long it is and where its elements are.
func FuzzImage(f *testing.F) {
	page := make([]byte, 64)
	page[8], page[10] = flagLeaf, 1
	copy(page[pageHead+4:], []byte{leafElem, 0, 0, 0, 4, 0, 0, 0, 8, 0, 0, 0})
	f.Add(page)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < pageHead {
			return
		}
		leafElements(b, 64)
		branchElements(b, 64)
		w := walker{img: &image{r: bytes.NewReader(b), size: int64(len(b)), pageSize: 64, root: 2, freelist: 3, pages: uint64(len(b) / 64)}}
		w.element = func(string, []byte, []byte) {}
		w.walk()
	})
}

func FuzzLosses(f *testing.F) {
	f.Add([]byte(`{"log":[{"from":1,"to":2}],"rooms":[{"from":"YQ=="}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := decodeLosses(b)
		if err != nil {
			return
		}
		l.list()
		l.of("room", false, 1, 0)
		readVerdict(fuzzSeal, []byte("room"), b)
	})
}

func FuzzSegments(f *testing.F) {
	s := newSeal([]byte("seed"))
	for _, list := range [][]segment{nil, {{gen: 3, from: 7, to: 9, bytes: 100, count: 4, last: Position{1, 2}}, {gen: 4, from: 10, to: 10}}} {
		f.Add("room", s.appendList(nil, "room", list))
	}
	f.Fuzz(func(t *testing.T, room string, b []byte) {
		list, err := s.decodeList([]byte(room), b)
		if err != nil || b == nil {
			return
		}
		if again := s.appendList(nil, room, list); !bytes.Equal(again, b) {
			t.Errorf("appendList(decodeList(%x)) = %x", b, again)
		}
		recs, err := s.segmentRecords(nil, room, segment{bytes: uint32(len(b)), count: 1}, func([]byte) []byte { return b })
		if err == nil && len(recs) != 1 {
			t.Errorf("segmentRecords(%x) = %d records, want 1", b, len(recs))
		}
	})
}
