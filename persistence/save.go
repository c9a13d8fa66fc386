package persistence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Save stores a snapshot of the room and returns when it is durable; the room's records up to snap.Pos are then free to leave
// the log. The snapshot's bytes must not change until Save returns. It blocks for at least two fsyncs, and longer for a large
// snapshot, which is written in several commits; ctx is heeded until the first of them.
// Errors: ErrStale when a newer snapshot is stored, *DamageError for a room that is set aside (its files are not touched),
// ErrDiskFull, ErrFenced, ErrClosed, ErrInvalid.
func (s *Store) Save(ctx context.Context, room string, snap Snapshot) error {
	if err := checkRoomName(room); err != nil {
		return err
	}
	if len(snap.State) > MaxSnapshot || len(snap.StateVector) > MaxSnapshot {
		return fmt.Errorf("snapshot of %d and %d bytes: %w", len(snap.State), len(snap.StateVector), ErrInvalid)
	}
	if err := s.writable(ctx, room); err != nil {
		return err
	}
	w := &snapshotWriter{store: s, room: room, snap: snap, began: time.Now()}
	return s.saver.wait(ctx, &job{room: room, step: w.step, keep: w.keep, after: w.after})
}

// writable tells why a room cannot be saved, if so.
func (s *Store) writable(ctx context.Context, room string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fence != nil {
		return s.fence
	}
	if d := s.damageOf(room); d != nil {
		return d
	}
	return nil
}

// snapshotWriter writes one snapshot: its chunks under a new generation, then the meta that makes them the room's state.
type snapshotWriter struct {
	store *Store
	room  string
	snap  Snapshot
	began time.Time

	// Progress: what is committed, and what the current step adds to it.
	gen, stepGen   uint64
	next, stepNext uint32
	old            []generation // to be swept after the last step
}

// generation names the chunks of one generation of a room.
type generation struct {
	room   string
	gen    uint64
	chunks uint32
}

func (w *snapshotWriter) chunks() uint32 {
	return chunkCount(uint64(len(w.snap.StateVector) + len(w.snap.State)))
}

func (w *snapshotWriter) keep() { w.gen, w.next = w.stepGen, w.stepNext }

// step writes chunks worth the budget and, when they are all written, the meta.
func (w *snapshotWriter) step(tx *bolt.Tx, budget int) (used int, done bool, err error) {
	chunks, garbage := tx.Bucket(bucketChunks), tx.Bucket(bucketGarbage)
	w.stepGen, w.stepNext = w.gen, w.next
	if w.stepGen == 0 {
		if w.stepGen, err = chunks.NextSequence(); err != nil {
			return 0, false, err
		}
	}
	var key []byte
	for ; w.stepNext < w.chunks(); w.stepNext++ {
		if used >= budget {
			// To be continued: until the meta is there, the chunks are garbage.
			return used, false, garbage.Put(appendChunkKey(nil, w.room, w.stepGen, 0), []byte{})
		}
		key = appendChunkKey(nil, w.room, w.stepGen, w.stepNext)
		sv, state := snapshotChunk(&w.snap, w.stepNext)
		value := w.store.seal.appendChunk(make([]byte, 0, len(sv)+len(state)+chunkTail), key, sv, state)
		if err := chunks.Put(key, value); err != nil {
			return used, false, err
		}
		used += len(key) + len(value)
	}
	if err := garbage.Delete(appendChunkKey(nil, w.room, w.stepGen, 0)); err != nil {
		return used, false, err
	}
	n, err := w.flip(tx)
	return used + n, true, err
}

// flip makes the new generation the room's state and removes the old one, or leaves it to be swept.
func (w *snapshotWriter) flip(tx *bolt.Tx) (used int, err error) {
	key := []byte(w.room)
	m := meta{
		pos:      w.snap.Pos,
		gen:      w.stepGen,
		chunks:   w.chunks(),
		svLen:    uint32(len(w.snap.StateVector)),
		stateLen: uint64(len(w.snap.State)),
		sum:      w.store.seal.sum(w.snap.StateVector, w.snap.State),
		saved:    time.Now(),
		topEpoch: w.snap.Pos.Epoch,
	}
	rooms := tx.Bucket(bucketRooms)
	s := w.store
	s.mu.Lock()
	tomb := s.idx.tombOf(w.room)
	m.dirty = s.idx.dirtyFrom(w.room, w.snap.Pos)
	s.mu.Unlock()
	w.old = nil
	if v := rooms.Get(key); v != nil {
		old, err := s.seal.decodeMeta(key, v)
		if err != nil {
			return 0, s.setAside(&DamageError{Room: w.room, File: roomsFile, What: "meta", Err: err})
		}
		if old.dirty > tomb && old.pos.Compare(w.snap.Pos) > 0 {
			return 0, fmt.Errorf("save %q at %s over %s: %w", w.room, w.snap.Pos, old.pos, ErrStale)
		}
		m.topEpoch = max(m.topEpoch, old.topEpoch)
		w.old = append(w.old, generation{w.room, old.gen, old.chunks})
	}
	if d := s.lossOf(w.room, len(w.old) > 0, m.dirty); d != nil {
		return 0, d
	}
	parked, err := s.unlist(tx, w.room, func(g segment) bool { return g.to >= tomb && g.last.Compare(w.snap.Pos) > 0 })
	if d, ok := errors.AsType[*DamageError](err); ok {
		return 0, s.setAside(d)
	}
	if err != nil {
		return 0, err
	}
	if w.old, used, err = dropOrLeave(tx, append(w.old, parked...)); err != nil {
		return used, err
	}
	return used + 128, rooms.Put(key, s.seal.appendMeta(nil, w.room, m))
}

// after lets the log go and sweeps what is left of the old generation.
func (w *snapshotWriter) after() {
	s := w.store
	s.mu.Lock()
	s.idx.covered(w.room, w.snap.Pos)
	s.mu.Unlock()
	for _, g := range w.old {
		s.saver.sweep(g)
	}
	s.opts.Events.checkpointed(Checkpoint{
		Room: w.room, Pos: w.snap.Pos, Bytes: len(w.snap.State), Took: time.Since(w.began),
	})
}

// dropOrLeave removes generations at once as long as there are few chunks, and returns the others, which are marked as garbage.
func dropOrLeave(tx *bolt.Tx, old []generation) (left []generation, used int, err error) {
	chunks, garbage := tx.Bucket(bucketChunks), tx.Bucket(bucketGarbage)
	for _, g := range old {
		if used+int(g.chunks)*chunkData > saveBytes {
			left = append(left, g)
			if err := garbage.Put(appendChunkKey(nil, g.room, g.gen, 0), []byte{}); err != nil {
				return left, used, err
			}
			continue
		}
		for i := range g.chunks {
			if err := chunks.Delete(appendChunkKey(nil, g.room, g.gen, i)); err != nil {
				return left, used, err
			}
		}
		used += int(g.chunks) * chunkData
	}
	return left, used, nil
}

// sweep removes the chunks of a generation that no meta refers to, in the background.
func (v *saver) sweep(g generation) {
	prefix := appendChunkKey(nil, g.room, g.gen, 0)
	prefix = prefix[:len(prefix)-4]
	// Not put while closing: the mark is in rooms.db, the next Open goes on.
	_ = v.put(&job{room: g.room, step: func(tx *bolt.Tx, budget int) (int, bool, error) {
		used, done, err := deletePrefix(tx.Bucket(bucketChunks), prefix, budget)
		if err != nil || !done {
			return used, false, err
		}
		return used, true, tx.Bucket(bucketGarbage).Delete(appendChunkKey(nil, g.room, g.gen, 0))
	}})
}

// deletePrefix deletes keys that start with prefix until the budget is used up.
func deletePrefix(b *bolt.Bucket, prefix []byte, budget int) (used int, done bool, err error) {
	var keys [][]byte
	c := b.Cursor()
	k, v := c.Seek(prefix)
	for ; k != nil && bytes.HasPrefix(k, prefix) && used < budget; k, v = c.Next() {
		keys = append(keys, bytes.Clone(k))
		used += len(k) + len(v)
	}
	done = k == nil || !bytes.HasPrefix(k, prefix)
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return used, false, err
		}
	}
	return used, done, nil
}
