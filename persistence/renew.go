package persistence

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// renewFree is how many bytes of free pages the log may have before it is worth a new file. bbolt never makes a file smaller,
	// and writes the ids of all free pages with every commit: 64 MiB of them cost 128 KiB a commit, and made it 0.8 ms -> 4.8 ms
	// (BenchmarkFreelist, on a busy virtual disk).
	renewFree = 8 << 20
	// renewLive bounds what is copied into the new file, since nothing is confirmed meanwhile: some 50 ms.
	renewLive = 16 << 20
	// renewAgain is how long a renewal that failed is not tried again.
	renewAgain = time.Minute
)

// worthRenewing tells whether the log is mostly free pages.
func (s *Store) worthRenewing() bool {
	st := s.log.Stats()
	free := int64(st.FreePageN+st.PendingPageN) * int64(s.log.Info().PageSize)
	s.mu.Lock()
	live := s.batches.total
	s.mu.Unlock()
	return free > renewFree && live < renewLive && free > 4*live
}

// renew replaces the log by a new file without free pages. It runs on the committer, between two batches. When it cannot be done,
// for instance because the disk is full or somebody is copying the log, everything stays as it is.
func (s *Store) renew() error {
	if !s.logMu.TryLock() {
		return nil
	}
	defer s.logMu.Unlock()
	path := filePath(s.dir, logFile)
	b, err := newBuilder(path)
	if err != nil {
		return err
	}
	if err := s.copyLog(b); err != nil {
		return errors.Join(err, b.abandon())
	}
	if err := b.close(); err != nil {
		return errors.Join(err, b.abandon())
	}
	fresh, err := openBolt(path+newSuffix, logMmap) // all that may fail for a passing reason comes before the new name
	if err != nil {
		return errors.Join(err, b.abandon())
	}
	renamed, err := b.rename()
	if !renamed {
		return errors.Join(err, fresh.Close(), b.abandon())
	}
	old := s.log
	s.log = fresh
	if err != nil {
		// Which of the two files has the name after a power cut is not known, so nothing may be confirmed that is in one of them only.
		s.fenceOff(logFile, err)
		return errors.Join(err, old.Close())
	}
	if fi, err := os.Stat(path); err == nil {
		s.opts.Events.renewed(fi.Size())
	}
	return old.Close()
}

// copyLog fills b with the batches of the log.
func (s *Store) copyLog(b *builder) error {
	return s.log.View(func(src *bolt.Tx) error {
		return b.db.Update(func(dst *bolt.Tx) error {
			if err := putNode(dst, s.id, s.logFirst); err != nil {
				return err
			}
			batches, directories, err := logBuckets(dst)
			if err != nil {
				return err
			}
			last := src.Bucket(bucketBatches).Sequence()
			for lsn := s.logFirst; lsn <= last; lsn++ {
				key := binary.BigEndian.AppendUint64(nil, lsn)
				value, dir := src.Bucket(bucketBatches).Get(key), src.Bucket(bucketDirectories).Get(key)
				if _, err := s.seal.decodeBatch(nil, value, lsn); err != nil {
					return fmt.Errorf("batch %d: %w", lsn, err)
				}
				value = s.seal.restampBatch(value, uint64(dst.ID()))
				if err := errors.Join(batches.Put(key, value), directories.Put(key, bytes.Clone(dir))); err != nil {
					return err
				}
			}
			return batches.SetSequence(last)
		})
	})
}

// restampBatch returns a copy of a batch that says it was written by transaction tx.
func (s seal) restampBatch(value []byte, tx uint64) []byte {
	value = bytes.Clone(value)
	binary.BigEndian.PutUint64(value[12:], tx)
	binary.BigEndian.PutUint32(value[batchHead-4:], s.sum(value[:batchHead-4]))
	return value
}
