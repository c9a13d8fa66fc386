package persistence

import (
	"context"
	"errors"
	"fmt"
	"os"

	bolt "go.etcd.io/bbolt"
)

// Compacted tells the sizes of the files before and after Compact, in bytes.
type Compacted struct {
	RoomsBefore, RoomsAfter int64
	LogBefore, LogAfter     int64
}

// Compact writes both files of a data directory anew without their free pages. Nobody may have the directory open: ErrLocked.
// A damaged directory is not touched: *DamageError; Repair it first.
func Compact(ctx context.Context, dir string) (c Compacted, err error) {
	a, err := OpenArchive(dir)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if len(a.problems) > 0 {
		return c, &DamageError{File: a.problems[0].File, What: "cannot be compacted while damaged", Err: a.problems[0]}
	}
	if err := context.Cause(ctx); err != nil {
		return c, err
	}
	rooms, log := filePath(dir, roomsFile), filePath(dir, logFile)
	if c.RoomsBefore, c.LogBefore, err = sizes(rooms, log); err != nil {
		return c, err
	}
	if err := compactRooms(rooms); err != nil {
		return c, fmt.Errorf("compact %s: %w", rooms, err)
	}
	if err := compactLog(log, a); err != nil {
		return c, fmt.Errorf("compact %s: %w", log, err)
	}
	c.RoomsAfter, c.LogAfter, err = sizes(rooms, log)
	return c, err
}

func sizes(a, b string) (int64, int64, error) {
	fa, err := os.Stat(a)
	if err != nil {
		return 0, 0, err
	}
	fb, err := os.Stat(b)
	if err != nil {
		return 0, 0, err
	}
	return fa.Size(), fb.Size(), nil
}

// compactRooms replaces a sound rooms.db that nobody has open by a copy without free pages.
func compactRooms(path string) error {
	src, err := openBolt(path, 0)
	if err != nil {
		return err
	}
	b, err := newBuilder(path)
	if err != nil {
		return errors.Join(err, src.Close())
	}
	err = guard(func() error { return bolt.Compact(b.db.DB, src.DB, 8*saveBytes) })
	err = errors.Join(err, src.Close())
	if err != nil {
		return errors.Join(err, b.abandon())
	}
	return b.finish()
}

// compactLog replaces a sound wal.db. bbolt's own copy would not do: batches tell by which transaction they were written.
func compactLog(path string, a *Archive) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	v := salvageLog(raw, a.seal, a.log.first, a.log.img.tx, a.log.last)
	if len(v.damaged) > 0 || len(v.lost) > 0 || v.last != a.log.last {
		return &DamageError{File: logFile, What: "the log changed while it was read"}
	}
	b, err := v.build(path, a.node.id)
	if err != nil {
		return err
	}
	return b.finish()
}
