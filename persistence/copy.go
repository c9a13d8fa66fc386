package persistence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

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
	s.logMu.RLock()
	defer s.logMu.RUnlock()
	var log, rooms *bolt.Tx
	err := guard(func() (err error) {
		log, rooms, err = s.beginBoth()
		return err
	})
	if err != nil {
		return err
	}
	defer log.Rollback()
	defer rooms.Rollback()
	for _, c := range []struct {
		tx   *bolt.Tx
		name string
	}{{rooms, roomsFile}, {log, logFile}} {
		if err := writeCopy(ctx, c.tx, filePath(dir, c.name)); err != nil {
			return fmt.Errorf("copy %s: %w", c.name, err)
		}
	}
	return syncDir(dir)
}

// beginBoth begins a read transaction on each file so that both show the same moment: the log did not change in between.
func (s *Store) beginBoth() (log, rooms *bolt.Tx, err error) {
	for {
		if log, err = s.log.Begin(false); err != nil {
			return nil, nil, err
		}
		if rooms, err = s.rooms.Begin(false); err != nil {
			return nil, nil, errors.Join(err, log.Rollback())
		}
		again, err := s.log.Begin(false)
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
