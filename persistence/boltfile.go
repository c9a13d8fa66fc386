package persistence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	logFile   = "wal.db"
	roomsFile = "rooms.db"
	lockFile  = "LOCK"

	// Schema of a file. An older binary refuses a file whose schema it does not know and leaves it as it is.
	schemaPlain  = 1
	schemaParked = 2 // rooms.db with parked records (segment.go)
)

// Bucket and key names of both files.
var (
	bucketBatches     = []byte("w")
	bucketDirectories = []byte("d")
	bucketNode        = []byte("n")
	bucketRooms       = []byte("r")
	bucketChunks      = []byte("s")
	bucketGarbage     = []byte("g")
	bucketQuarantine  = []byte("q")
	bucketParked      = []byte("p")

	keySchema = []byte("schema") // version(4) crc(4)
	keyID     = []byte("id")     // 16 random bytes, the same in both files, crc(4)
	keyFloor  = []byte("floor")  // LSN(8) seal(4)
	keyLast   = []byte("last")   // LSN(8) seal(4), rooms.db only: the log is at least this long
	keyLost   = []byte("lost")   // losses as JSON, seal(4), rooms.db only
)

// openBolt opens one of the two files. The freelist is written with every commit in both: without it (NoFreelistSync) bbolt
// rebuilds it in a goroutine of its own, also when it rolls back a failed commit, and a page that cannot be read there would
// end the process at the very moment a disk fails. What it costs the log is kept small by renewing the file (renew.go).
func openBolt(path string, mmap int) (*bolt.DB, error) {
	if strconv.IntSize == 32 {
		mmap = min(mmap, 64<<20)
	}
	var db *bolt.DB
	err := guard(func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout:         time.Second,
			FreelistType:    bolt.FreelistMapType,
			InitialMmapSize: mmap,
		})
		return err
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("%s: %w", path, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return db, nil
}

// pageFault is the error of a call into bbolt that ended in a panic: a damaged page, or one that cannot be read.
type pageFault struct{ reason any }

func (p *pageFault) Error() string { return fmt.Sprintf("damaged page: %v", p.reason) }

func (p *pageFault) Unwrap() error {
	err, _ := p.reason.(error)
	return err
}

// guard calls fn, which uses bbolt, and turns its panics and memory faults into a *pageFault. bbolt trusts its pages and
// asserts by panic; View and Update roll back while the panic passes, so the file stays usable. fn must not do anything else
// that may panic.
func guard(fn func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if r := recover(); r != nil {
			err = &pageFault{r}
		}
	}()
	return fn()
}

func isPageFault(err error) bool {
	_, ok := errors.AsType[*pageFault](err)
	return ok
}

// isDiskFull tells whether err says that a write, and nothing but a write, found no space. A write that fails this way leaves
// the committed state as it was, and can be tried again. fsync may report a full disk too, as a bare errno; then what has
// reached the disk is unknown, and that is not a full disk but a failed one.
func isDiskFull(err error) bool {
	if errors.Is(err, bolterrors.ErrMaxSizeReached) {
		return true
	}
	pathErr, ok := errors.AsType[*fs.PathError](err)
	return ok && pathErr.Op == "write" && (errors.Is(pathErr.Err, syscall.ENOSPC) || errors.Is(pathErr.Err, syscall.EDQUOT))
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func filePath(dir, name string) string { return filepath.Join(dir, name) }
