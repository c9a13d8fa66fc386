package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// parker moves the records of a room from the log to rooms.db, so that a room which nobody can save does not hold the log for ever.
// Each commit of rooms.db writes one segment, or a part of a large one, and its entry in the room's list is what makes it count.
// The log is let go by the same rule as after a checkpoint: the floor passes a batch with a commit later than that.
type parker struct {
	store *Store
	room  string
	upTo  uint64 // the last batch to move
	moved Parked
	began time.Time

	// Progress: the segment being written, of the records in runs, and how many of its chunks are committed.
	runs           []run
	seg            segment
	next, stepNext uint32
	finished       bool         // the step has written the last chunk and the list
	damage         *DamageError // of the list before that
}

// park has the records of the room in the batches up to lsn moved to rooms.db; it does not wait.
func (s *Store) park(room string, lsn uint64) {
	p := &parker{store: s, room: room, upTo: lsn, began: time.Now()}
	// Not put while closing: the next life of the store goes on.
	_ = s.saver.put(&job{room: room, step: p.step, keep: p.keep, done: p.done})
}

// step writes chunks worth the budget and, when the segment is whole, its entry in the room's list.
func (p *parker) step(tx *bolt.Tx, budget int) (used int, done bool, err error) {
	s := p.store
	p.stepNext, p.finished = p.next, false
	if !p.choose(budget) {
		return 0, true, nil
	}
	chunks, garbage := tx.Bucket(bucketChunks), tx.Bucket(bucketGarbage)
	if p.seg.gen == 0 {
		if p.seg.gen, err = chunks.NextSequence(); err != nil {
			return 0, false, err
		}
	}
	mark := appendChunkKey(nil, p.room, p.seg.gen, 0)
	err = s.viewLog(func(log *bolt.Tx) error {
		parts, err := runBytes(log, p.runs)
		if err != nil {
			return err
		}
		for ; p.stepNext < p.seg.chunks() && used < budget; p.stepNext++ {
			from := int(p.stepNext) * chunkData
			key := appendChunkKey(nil, p.room, p.seg.gen, p.stepNext)
			value := s.seal.appendChunk(nil, key, cutParts(parts, from, from+chunkData)...)
			if err := chunks.Put(key, value); err != nil {
				return err
			}
			used += len(key) + len(value)
		}
		return nil
	})
	if isPageFault(err) {
		err = fmt.Errorf("%w: %w", errLogPage, err)
	}
	if err != nil {
		return used, false, err
	}
	if p.stepNext < p.seg.chunks() {
		return used, false, garbage.Put(mark, []byte{}) // until the list has it, the segment is garbage
	}
	if err := garbage.Delete(mark); err != nil {
		return used, false, err
	}
	p.finished = true
	n, damage, err := s.listSegment(tx, p.room, p.seg)
	p.damage = damage
	return used + n, false, err
}

// choose takes the oldest records of the room as the next segment: as many as fit the budget, at least those of one batch. It
// returns false when there is nothing left to move.
func (p *parker) choose(budget int) bool {
	s := p.store
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.idx.rooms[p.room]
	if l == nil || l.tomb != 0 { // saved or deleted meanwhile; what is written of the segment is swept
		return false
	}
	if p.next > 0 {
		return len(l.runs) >= len(p.runs) && slices.Equal(l.runs[:len(p.runs)], p.runs)
	}
	p.runs, p.seg = nil, segment{} // whatever a step chose that was not committed
	for _, r := range l.runs {
		if r.lsn > p.upTo || (p.seg.count > 0 && int64(p.seg.bytes)+int64(r.n) > int64(budget)) {
			break
		}
		p.runs = append(p.runs, r)
		p.seg.add(r)
	}
	return len(p.runs) > 0
}

// keep makes the progress of a committed step permanent.
func (p *parker) keep() {
	if !p.finished {
		p.next = p.stepNext
		return
	}
	s := p.store
	if p.damage != nil {
		s.setAside(p.damage)
	}
	s.mu.Lock()
	s.idx.park(p.room, p.seg)
	s.mu.Unlock()
	p.moved.Records += int(p.seg.count)
	p.moved.Bytes += int64(p.seg.bytes)
	p.runs, p.seg, p.next, p.finished = nil, segment{}, 0, false
}

// done tells the end. After an error the housekeeper tries again: what is written of a segment is swept then.
func (p *parker) done(err error) {
	s := p.store
	if p.next > 0 {
		s.saver.sweep(generation{room: p.room, gen: p.seg.gen})
	}
	switch {
	case errors.Is(err, errLogPage):
		s.setAside(&DamageError{Room: p.room, File: logFile, What: "records to be parked", Err: err})
	case p.moved.Records > 0:
		p.moved.Room, p.moved.Took = p.room, time.Since(p.began)
		s.opts.Events.parked(p.moved)
	}
}

// errLogPage says that the log cannot be read. Its room keeps holding it until the next Open, which writes the log anew.
var errLogPage = errors.New("the log cannot be read")

// runBytes returns the bytes of the runs; they alias the log. Nothing is checked: a record that is not right must stay what it is.
func runBytes(log *bolt.Tx, runs []run) (parts [][]byte, err error) {
	batches := log.Bucket(bucketBatches)
	for _, r := range runs {
		v := batches.Get(binary.BigEndian.AppendUint64(nil, r.lsn))
		if int64(len(v)) < int64(r.off)+int64(r.n) {
			return nil, fmt.Errorf("batch %d: %w: %w", r.lsn, errLogPage, errShort)
		}
		parts = append(parts, v[r.off:r.off+r.n])
	}
	return parts, nil
}

// cutParts returns the bytes from from to before to of parts, one after the other.
func cutParts(parts [][]byte, from, to int) (cut [][]byte) {
	at := 0
	for _, p := range parts {
		a, b := max(from-at, 0), min(to-at, len(p))
		if a < b {
			cut = append(cut, p[a:b])
		}
		at += len(p)
	}
	return cut
}
