package persistence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
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

// boltFile is an open file of bbolt whose calls return an error where bbolt panics, and do not wait for ever when they come after
// one. A transaction that reads while another cannot even begin may not come to its end.
type boltFile struct {
	// Static after construction.
	*bolt.DB          // of which Update, View, Begin and Close are ours
	file     *os.File // what DB writes to

	writing   sync.Mutex // held around a write transaction, so that nobody waits for bbolt's own lock
	beginning sync.Mutex // held while a transaction begins, for the same reason
	stuck     atomic.Pointer[pageFault]
}

// openBolt opens one of the two files. The freelist is written with every commit in both: without it (NoFreelistSync) bbolt
// rebuilds it in a goroutine of its own, also when it rolls back a failed commit, and a page that cannot be read there would
// end the process at the very moment a disk fails. What it costs the log is kept small by renewing the file (renew.go).
func openBolt(path string, mmap int) (*boltFile, error) {
	if strconv.IntSize == 32 {
		mmap = min(mmap, 64<<20)
	}
	b := &boltFile{}
	err := guard(func() (err error) {
		b.DB, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout:         time.Second,
			FreelistType:    bolt.FreelistMapType,
			InitialMmapSize: mmap,
			OpenFile: func(name string, flag int, perm fs.FileMode) (f *os.File, err error) {
				f, err = os.OpenFile(name, flag, perm)
				b.file = f
				return f, err
			},
		})
		return err
	})
	if isPageFault(err) && b.file != nil {
		err = errors.Join(err, unlock(b.file), b.file.Close()) // bbolt does not get round to it
	}
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("%s: %w", path, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return b, nil
}

// Update is bolt.DB's, but returns panics of bbolt and of fn as a *pageFault.
func (b *boltFile) Update(fn func(*bolt.Tx) error) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	return b.transact(b.DB.Update, fn)
}

// View is bolt.DB's, but returns panics of bbolt and of fn as a *pageFault.
func (b *boltFile) View(fn func(*bolt.Tx) error) error { return b.transact(b.DB.View, fn) }

// Begin begins a transaction that reads. Its owner ends it with Rollback, and reads through it in guard.
func (b *boltFile) Begin() (*bolt.Tx, error) {
	var began *bolt.Tx
	err := b.transact(func(note func(*bolt.Tx) error) (err error) {
		if began, err = b.DB.Begin(false); err == nil {
			err = note(began)
		}
		return err
	}, func(*bolt.Tx) error { return nil })
	return began, err
}

// transact runs fn in a transaction. A panic is passed on as an error, and one after which bbolt still holds its locks (a
// transaction that did not come to its end, or not to its beginning) also to every later call: it would wait for ever.
func (b *boltFile) transact(run func(func(*bolt.Tx) error) error, fn func(*bolt.Tx) error) error {
	b.beginning.Lock()
	begun := sync.OnceFunc(b.beginning.Unlock)
	defer begun() // after stuck is set
	if fault := b.stuck.Load(); fault != nil {
		return fault
	}
	var tx *bolt.Tx
	err := guard(func() error {
		return run(func(began *bolt.Tx) error {
			tx = began
			begun()
			return fn(began)
		})
	})
	if fault, ok := errors.AsType[*pageFault](err); ok && (tx == nil || tx.DB() != nil) {
		b.stuck.Store(fault)
	}
	return err
}

// isStuck tells whether every call ends with the same error.
func (b *boltFile) isStuck() bool { return b.stuck.Load() != nil }

// Close closes the file. Of one that is stuck, its mapping into memory stays.
func (b *boltFile) Close() error {
	if b.isStuck() {
		return errors.Join(unlock(b.file), b.file.Close())
	}
	return guard(b.DB.Close)
}

// pageFault is the error of a call into bbolt that ended in a panic: a damaged page, or one that cannot be read.
type pageFault struct{ reason any }

func (p *pageFault) Error() string { return fmt.Sprintf("damaged page: %v", p.reason) }

func (p *pageFault) Unwrap() error {
	err, _ := p.reason.(error)
	return err
}

// guard calls fn, which uses bbolt, and turns its panics and memory faults into a *pageFault. bbolt trusts its pages and
// asserts by panic; View and Update roll back while the panic passes, so the file mostly stays usable (boltFile.transact). fn
// must not do anything else that may panic.
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
