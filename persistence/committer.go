package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// stallRetry is how often a batch that found the disk full is tried again; guessed, well under the 5 s in which acknowledgements
// must come back.
const stallRetry = 250 * time.Millisecond

// closeTries is how often a store that is being closed tries again to write to a full disk.
const closeTries = 4

// trimKeys is how many batches at most are removed from the log together with one commit. Removing them costs no fsync of its
// own then.
const trimKeys = 64

// trimBytes is how much of the log must be of no use for a commit to be made only to remove it.
const trimBytes = 1 << 20

// runCommitter commits what is queued, one batch after the other, without waiting for more: a batch is what arrived during the
// last commit. It ends when the queue is shut and empty, or when the store is fenced.
func (s *Store) runCommitter() {
	for {
		g := s.queue.take()
		switch {
		case g != nil:
			s.commitGroup(g)
		case s.fenced() != nil:
			s.queue.fail(s.fenced())
			return
		default:
			if s.trimIdle(trimKeys, trimBytes) {
				continue
			}
			s.renewIdle()
			select {
			case <-s.queue.wake:
			case <-s.stop:
				if s.queue.queued() == 0 {
					return
				}
			}
		}
	}
}

// commitGroup makes the group durable and tells its owners, or fences the store.
func (s *Store) commitGroup(g *group) {
	var stalledAt time.Time
	lastTries := closeTries
	for {
		err := s.fenced()
		if err == nil {
			var c Commit
			if c, err = s.commit(g, s.growthLimit()); err == nil {
				if !stalledAt.IsZero() {
					s.resume(stalledAt)
				}
				// When rooms.db has failed meanwhile, the disk is in doubt, and with it this commit.
				s.queue.finish(g, s.fenced())
				s.opts.Events.committed(c)
				return
			}
			if !isDiskFull(err) {
				s.fenceOff(logFile, err)
				err = s.fenced()
			}
		}
		if errors.Is(err, ErrFenced) {
			s.queue.finish(g, err)
			s.queue.fail(err)
			return
		}
		if stalledAt.IsZero() {
			stalledAt = time.Now()
			s.stall(err)
		}
		if s.stopped() {
			if lastTries--; lastTries < 0 {
				s.giveUp(g, err)
				return
			}
		}
		s.makeSpace()
	}
}

// commit writes the group as the next batch, without making the file larger than maxSize (0: without bound). The same group may be
// written again after a full disk.
func (s *Store) commit(g *group, maxSize int) (Commit, error) {
	start := time.Now()
	lsn := s.nextLSN()
	key := binary.BigEndian.AppendUint64(nil, lsn)
	first := s.logFirst
	tx := 0
	s.log.MaxSize = maxSize
	err := s.log.Update(func(btx *bolt.Tx) error {
		tx = btx.ID()
		batches, directories := btx.Bucket(bucketBatches), btx.Bucket(bucketDirectories)
		batches.FillPercent, directories.FillPercent = 1, 1
		s.value, s.runs = s.seal.appendBatch(s.value[:0], s.runs[:0], lsn, uint64(tx), g)
		s.dirValue = s.seal.appendDirectory(s.dirValue[:0], lsn, s.runs)
		if err := batches.Put(key, s.value); err != nil {
			return err
		}
		if err := directories.Put(key, s.dirValue); err != nil {
			return err
		}
		if err := batches.SetSequence(lsn); err != nil {
			return err
		}
		var err error
		first, err = s.trimLog(btx, s.logFirst, s.safeFloor.Load())
		return err
	})
	if err == nil {
		err = s.committed(tx)
	}
	if err != nil {
		return Commit{}, err
	}
	rooms := len(s.runs)
	s.mu.Lock()
	s.idx.last = lsn
	for _, r := range s.runs {
		s.idx.add(r)
	}
	s.batches.add(lsn, len(s.value)+len(s.dirValue), start)
	s.mu.Unlock()
	clear(s.runs)
	s.trimmed(first)
	c := Commit{LSN: lsn, Rooms: rooms, Records: len(g.refs), Bytes: len(s.value), Took: time.Since(start)}
	if cap(s.value) > 2*batchBytes {
		s.value = nil
	}
	return c, nil
}

// committed checks that the file shows transaction tx as its newest. It costs a microsecond, and finds a write that did nothing
// although it reported success.
func (s *Store) committed(tx int) error {
	return s.log.View(func(seen *bolt.Tx) error {
		if seen.ID() != tx {
			return fmt.Errorf("transaction %d was written, the file shows %d", tx, seen.ID())
		}
		return nil
	})
}

func (s *Store) nextLSN() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.idx.last + 1
}

// trimLog removes up to trimKeys batches from first on that are before floor, and returns the first that remains.
func (s *Store) trimLog(tx *bolt.Tx, first, floor uint64) (uint64, error) {
	if first >= floor {
		return first, nil
	}
	to := min(floor, first+trimKeys)
	batches, directories := tx.Bucket(bucketBatches), tx.Bucket(bucketDirectories)
	var key [8]byte
	for lsn := first; lsn < to; lsn++ {
		binary.BigEndian.PutUint64(key[:], lsn)
		if err := batches.Delete(key[:]); err != nil {
			return first, err
		}
		if err := directories.Delete(key[:]); err != nil {
			return first, err
		}
	}
	return to, tx.Bucket(bucketNode).Put(keyFloor, appendLSN(s.seal, keyFloor, to))
}

// trimIdle removes batches that no room needs while there is nothing to commit, when they are many or large enough. The commit
// that does it writes an empty batch, since every transaction of the log writes one. It tells whether to call it again.
func (s *Store) trimIdle(keys uint64, bytes int64) bool {
	s.mu.Lock()
	floor := min(s.safeFloor.Load(), s.idx.last)
	useless := s.batches.before(floor)
	s.mu.Unlock()
	if s.logFirst >= floor || (floor-s.logFirst < keys && useless < bytes) || s.fenced() != nil || s.stopped() {
		return false
	}
	_, err := s.commit(&group{}, 0) // without bound: shortening the log may take a few pages first
	if err != nil && !isDiskFull(err) {
		s.fenceOff(logFile, fmt.Errorf("shorten the log: %w", err))
	}
	return err == nil
}

// renewIdle renews the log when that is worth it and nothing waits to be committed.
func (s *Store) renewIdle() {
	if s.fenced() != nil || s.stopped() || time.Since(s.renewFailed) < renewAgain || !s.worthRenewing() {
		return
	}
	if err := s.renew(); err != nil {
		s.renewFailed = time.Now() // the old file goes on; a reason that lasts shows in other places
	}
}

func (s *Store) trimmed(first uint64) {
	if first == s.logFirst {
		return
	}
	s.logFirst = first
	s.mu.Lock()
	s.batches.trim(first)
	s.mu.Unlock()
	if first == s.safeFloor.Load() {
		s.opts.Events.truncated(first)
	}
}

func (s *Store) stopped() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// giveUp answers everything queued, because the store is being closed while the disk is full.
func (s *Store) giveUp(g *group, err error) {
	err = fmt.Errorf("%w: %w", ErrDiskFull, err)
	s.mu.Lock()
	s.closeErr = err
	s.mu.Unlock()
	s.queue.finish(g, err)
	s.queue.fail(err)
}
