package persistence

import (
	"fmt"
	"io"
	"os"
	"time"
)

const reserveFile = "RESERVE"

// reserve is a file that takes up space in order to be given up when the disk is full: checkpoints can then still be written
// and the log shortened. It belongs to the committer after construction.
type reserve struct {
	path string
	size int64
	gone bool
}

// keep makes the file. Without space, or on a file system that cannot allocate, there is no reserve.
func (r *reserve) keep() {
	if r.size <= 0 {
		return
	}
	if fi, err := os.Stat(r.path); err == nil && fi.Size() == r.size {
		r.gone = false
		return
	}
	if err := r.write(); err != nil {
		os.Remove(r.path) // a part of a reserve is none
		r.gone = true
		return
	}
	r.gone = false
}

func (r *reserve) write() error {
	f, err := os.OpenFile(r.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := allocate(f, r.size); err != nil {
		return err
	}
	return f.Sync()
}

func (r *reserve) giveUp() {
	if r.size > 0 && !r.gone {
		os.Remove(r.path) // when it cannot be removed there is no more space: the retry finds out
		r.gone = true
	}
}

// zeros writes size zero bytes, for file systems that cannot allocate.
func zeros(f *os.File, size int64) error {
	_, err := io.CopyN(f, zeroReader{}, size)
	return err
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// growthLimit keeps the log from eating the space that the reserve gave up for checkpoints: with less than half of it free, the
// log must do with the pages it has. It returns the size that wal.db may have, 0 for any.
func (s *Store) growthLimit() int {
	if !s.reserve.gone || s.reserve.size <= 0 {
		return 0
	}
	free, err := freeSpace(s.dir)
	if err != nil {
		return 0
	}
	if free >= 2*s.reserve.size {
		s.reserve.keep()
		return 0
	}
	if free < s.reserve.size/2 {
		if fi, err := os.Stat(filePath(s.dir, logFile)); err == nil {
			return int(fi.Size())
		}
	}
	return 0
}

// stall notes that nothing can be written because the disk is full.
func (s *Store) stall(cause error) {
	err := fmt.Errorf("%w: %w", ErrDiskFull, cause)
	s.mu.Lock()
	s.stalled = err
	s.mu.Unlock()
	s.opts.Events.stalled(err)
}

func (s *Store) resume(since time.Time) {
	s.mu.Lock()
	s.stalled = nil
	s.mu.Unlock()
	s.opts.Events.resumed(time.Since(since))
}

// makeSpace does what can be done about a full disk, then waits until the next try.
func (s *Store) makeSpace() {
	s.reserve.giveUp()
	s.saver.moveFloor()
	for s.trimIdle(1, 0) {
	}
	t := time.NewTimer(stallRetry)
	defer t.Stop()
	stop := s.stop
	if s.stopped() {
		stop = nil // the last tries are apart too
	}
	select {
	case <-t.C:
	case <-stop:
	}
}
