package persistence

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

// CopyTo writes a copy of the data directory, as of one moment, to dir, which must not exist or be empty. It may be called while
// the store is in use; the files grow meanwhile, since what is being read cannot be overwritten. The copy can be opened and
// inspected like any data directory.
func (s *Store) CopyTo(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		return errors.Join(err, fmt.Errorf("copy to %s: %w: the directory is not empty", dir, ErrInvalid))
	}
	err := s.copyFiles(func(name string, tx *bolt.Tx) error { return writeCopy(ctx, tx, filePath(dir, name)) })
	if err != nil {
		return err
	}
	return syncDir(dir)
}

// WriteTar writes the same copy to w as an uncompressed tar (POSIX.1-2001) of the data directory's files. A w that takes its bytes
// slowly keeps the files growing for as long: it is the caller's to bound that, by ctx. After an error the archive has no end, so
// that tar calls it cut off.
func (s *Store) WriteTar(ctx context.Context, w io.Writer) error {
	archive := tar.NewWriter(contextWriter{ctx, w})
	now := time.Now()
	err := s.copyFiles(func(name string, tx *bolt.Tx) error {
		h := &tar.Header{Name: name, Mode: 0o600, Size: tx.Size(), ModTime: now, Format: tar.FormatPAX}
		if err := archive.WriteHeader(h); err != nil {
			return err
		}
		_, err := tx.WriteTo(archive)
		return err
	})
	if err != nil {
		return err
	}
	return archive.Close()
}

// copyFiles calls write for each file of the store with a transaction that reads it; both show the same moment.
func (s *Store) copyFiles(write func(name string, tx *bolt.Tx) error) error {
	s.logMu.RLock()
	defer s.logMu.RUnlock()
	log, rooms, err := s.beginBoth()
	if err != nil {
		return err
	}
	defer log.Rollback()
	defer rooms.Rollback()
	if err := write(roomsFile, rooms); err != nil {
		return fmt.Errorf("copy %s: %w", roomsFile, err)
	}
	if err := write(logFile, log); err != nil {
		return fmt.Errorf("copy %s: %w", logFile, err)
	}
	return nil
}

// beginBoth begins a read transaction on each file so that both show the same moment: the log did not change in between.
func (s *Store) beginBoth() (log, rooms *bolt.Tx, err error) {
	for {
		if log, err = s.log.Begin(); err != nil {
			return nil, nil, err
		}
		if rooms, err = s.rooms.Begin(); err != nil {
			return nil, nil, errors.Join(err, log.Rollback())
		}
		again, err := s.log.Begin()
		if err != nil {
			return nil, nil, errors.Join(err, log.Rollback(), rooms.Rollback())
		}
		same := again.ID() == log.ID()
		if err := again.Rollback(); err != nil || same {
			return log, rooms, err
		}
		if err := errors.Join(log.Rollback(), rooms.Rollback()); err != nil {
			return nil, nil, err
		}
	}
}

func writeCopy(ctx context.Context, tx *bolt.Tx, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = tx.WriteTo(contextWriter{ctx, f})
	return errors.Join(err, f.Sync(), f.Close())
}

// contextWriter ends a long copy when ctx ends.
type contextWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c contextWriter) Write(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}
