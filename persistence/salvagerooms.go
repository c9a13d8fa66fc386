package persistence

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// roomsSalvage copies what is right in a damaged rooms.db into a new file.
type roomsSalvage struct {
	seal seal
	out  *builder
	node node

	pending []entry
	bytes   int
	metas   map[string]bool // rooms with a right meta
	chunks  references
	maxGen  uint64
	damaged []*DamageError
	err     error
}

type entry struct {
	bucket     []byte
	key, value []byte
}

// salvageRooms rewrites the damaged rooms.db at path and returns the damages and losses that are now written down in it. Rooms
// whose chunks are incomplete keep their meta, so that Load names them; rooms whose meta is lost are named by their chunks.
func salvageRooms(path string, n node, s seal) error {
	out, err := newBuilder(path)
	if err != nil {
		return err
	}
	v := &roomsSalvage{seal: s, out: out, node: n, metas: make(map[string]bool), chunks: newReferences()}
	if err := v.run(path); err != nil {
		return errors.Join(err, out.abandon())
	}
	if err := keepDamaged(path); err != nil {
		return errors.Join(err, out.abandon())
	}
	return out.finish()
}

func (v *roomsSalvage) run(path string) error {
	if err := v.out.commit(func(tx *bolt.Tx) error { return makeRooms(tx, v.node.id, v.node.floor) }); err != nil {
		return err
	}
	sc, err := scanFile(path, walker{element: v.visit})
	if err != nil {
		return err
	}
	lost, err := decodeLosses(v.node.lost)
	if err != nil {
		return err
	}
	ranges := lostNames(sc.problems)
	verdicts := lostVerdicts(sc.problems)
	lost.Rooms = append(append(lost.Rooms, ranges...), verdicts...)
	parked := rangesOf(sc.problems, bucketParked)
	for room := range v.metas {
		if inRanges(verdicts, room) {
			v.damaged = append(v.damaged, verdictLost(room))
		}
	}
	for room := range v.chunks.found {
		if !v.metas[room] && inRanges(ranges, room) {
			v.damaged = append(v.damaged, &DamageError{Room: room, File: roomsFile, What: "its meta is lost"})
		}
		if inRanges(parked, room) && v.chunks.orphaned(room) {
			v.damaged = append(v.damaged, listDamage(room, errLost))
		}
	}
	for _, p := range sc.problems {
		if !p.stale || (p.bucket != string(bucketRooms) && p.bucket != allBuckets) {
			continue
		}
		for room := range v.metas {
			if inRanges(lostNames([]problem{p}), room) {
				v.damaged = append(v.damaged, &DamageError{Room: room, File: roomsFile, What: "its meta may be an old one", Err: p.err})
			}
		}
	}
	for _, d := range v.damaged {
		v.put(bucketQuarantine, []byte(d.Room), appendVerdict(v.seal, d))
	}
	text, err := lost.encode()
	if err != nil {
		return err
	}
	v.put(bucketNode, keyLost, v.seal.stamp(text, 0, keyLost))
	v.put(bucketNode, keyLast, appendLSN(v.seal, keyLast, v.node.last))
	v.flush()
	if v.err != nil {
		return v.err
	}
	gen := max(v.maxGen, sc.sequence[string(bucketChunks)])
	return v.out.commit(func(tx *bolt.Tx) error { return tx.Bucket(bucketChunks).SetSequence(gen) })
}

// visit copies an element when it is right.
func (v *roomsSalvage) visit(bucket string, key, value []byte) {
	switch bucket {
	case string(bucketRooms):
		m, err := v.seal.decodeMeta(key, value)
		if err != nil {
			v.damaged = append(v.damaged, metaDamage(v.seal, key, value, err)...)
			return
		}
		v.metas[string(key)] = true
		v.chunks.refer(string(key), m.gen)
		v.maxGen = max(v.maxGen, m.gen)
	case string(bucketChunks):
		room, gen, _, err := decodeChunkKey(key)
		if err != nil {
			return // its room misses it
		}
		v.chunks.find(room, gen)
		v.maxGen = max(v.maxGen, gen)
		if _, err := v.seal.decodeChunk(key, value); err != nil {
			return
		}
	case string(bucketGarbage):
		if room, gen, _, err := decodeChunkKey(key); err == nil {
			v.chunks.refer(room, gen)
		}
	case string(bucketParked):
		list, err := v.seal.decodeList(key, value)
		if err != nil {
			v.damaged = append(v.damaged, listDamage(string(key), err))
			return
		}
		for _, g := range list {
			v.chunks.refer(string(key), g.gen)
			v.maxGen = max(v.maxGen, g.gen)
		}
		v.put(bucketNode, keySchema, schemaValue(schemaParked))
	case string(bucketQuarantine):
		if d, _ := readVerdict(v.seal, key, value); d != nil {
			value = appendVerdict(v.seal, d)
		}
	default:
		return
	}
	v.put([]byte(bucket), key, value)
}

// references tells which generations of chunks there are, and which of them something refers to: a meta, a list of parked records,
// or a mark of garbage.
type references struct {
	found    map[string]map[uint64]bool // by room and generation
	referred map[generation]bool
}

func newReferences() references {
	return references{make(map[string]map[uint64]bool), make(map[generation]bool)}
}

func (r references) find(room string, gen uint64) {
	if r.found[room] == nil {
		r.found[room] = make(map[uint64]bool)
	}
	r.found[room][gen] = true
}

func (r references) refer(room string, gen uint64) {
	r.referred[generation{room: room, gen: gen}] = true
}

// orphaned tells whether nothing refers to some generation of the room.
func (r references) orphaned(room string) bool {
	for gen := range r.found[room] {
		if !r.referred[generation{room: room, gen: gen}] {
			return true
		}
	}
	return false
}

// errLost says that an entry is in a part of the file that cannot be read.
var errLost = errors.New("it is lost")

func (v *roomsSalvage) put(bucket, key, value []byte) {
	v.pending = append(v.pending, entry{bytes.Clone(bucket), bytes.Clone(key), bytes.Clone(value)})
	if v.bytes += len(key) + len(value); v.bytes > 8*saveBytes {
		v.flush()
	}
}

func (v *roomsSalvage) flush() {
	if v.err == nil {
		v.err = v.out.commit(func(tx *bolt.Tx) error {
			for _, e := range v.pending {
				b, err := tx.CreateBucketIfNotExists(e.bucket)
				if err != nil {
					return err
				}
				b.FillPercent = 0.9 // in the order of keys
				if err := b.Put(e.key, e.value); err != nil {
					return err
				}
			}
			return nil
		})
	}
	v.pending, v.bytes = nil, 0
}

// makeRooms makes the buckets of rooms.db.
func makeRooms(tx *bolt.Tx, id []byte, floor uint64) error {
	for _, b := range [][]byte{bucketRooms, bucketChunks, bucketGarbage, bucketQuarantine} {
		if _, err := tx.CreateBucketIfNotExists(b); err != nil {
			return fmt.Errorf("bucket %s: %w", b, err)
		}
	}
	return putNode(tx, id, floor)
}

// lostNames returns the room names whose entries the problems put in doubt.
func lostNames(problems []problem) []nameRange { return rangesOf(problems, bucketRooms) }

// rangesOf returns the keys of a bucket that the problems put in doubt.
func rangesOf(problems []problem, bucket []byte) []nameRange {
	var out []nameRange
	for _, p := range problems {
		if p.bucket == string(bucket) || p.bucket == allBuckets {
			out = append(out, nameRange{p.from, p.to})
		}
	}
	return out
}

// lostVerdicts returns the room names whose entries of the quarantine are lost. A root page that is lost takes the metas along.
func lostVerdicts(problems []problem) []nameRange {
	problems = slices.DeleteFunc(slices.Clone(problems), func(p problem) bool { return p.bucket == allBuckets })
	return rangesOf(problems, bucketQuarantine)
}

// verdictLost is the damage of a room that may have been set aside before, for what nothing else tells any more.
func verdictLost(room string) *DamageError {
	return &DamageError{Room: room, File: roomsFile, What: "whether it was set aside", Err: errLost}
}

func inRanges(ranges []nameRange, room string) bool {
	for _, r := range ranges {
		if r.has(room) {
			return true
		}
	}
	return false
}
