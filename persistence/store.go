package persistence

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Store is an open data directory. It owns four goroutines: the committer (wal.db), the saver (rooms.db), the housekeeper
// and the scrubber; Close ends them and waits for them.
type Store struct {
	// Static after construction.
	dir   string
	opts  Options
	id    []byte
	seal  seal
	lock  *os.File
	rooms *boltFile
	queue *queue
	saver *saver
	stop  chan struct{} // closed by Close: the housekeeper ends
	wg    sync.WaitGroup
	once  sync.Once

	safeFloor atomic.Uint64 // first LSN that must stay in wal.db
	reserve   reserve

	// log is replaced by the committer, which holds logMu for it; others hold logMu for reading while they use log.
	logMu sync.RWMutex
	log   *boltFile

	// Owned by the committer.
	logFirst uint64 // first LSN in wal.db
	value    []byte
	runs     []roomRun
	dirValue []byte

	renewFailed time.Time

	// Guarded by mu.
	mu         sync.Mutex
	idx        *index
	batches    logBatches
	quarantine map[string]*DamageError
	lost       losses            // what is lost without a name
	pardoned   map[string]uint64 // rooms that were begun anew after a loss, and when
	fence      error             // why nothing is written any more
	stalled    error             // why nothing can be written just now
	closeErr   error
}

// Open opens the data directory, and makes it when it does not exist. It takes the time to read the log once; rooms are read
// when they are loaded. Rooms whose stored bytes are damaged are named by Quarantined, the others are served.
// Errors: ErrLocked when another process has the directory, ErrNewer when a newer version wrote it (nothing is changed then).
func Open(dir string, o Options) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{
		dir:        dir,
		opts:       o.withDefaults(),
		lock:       lock,
		stop:       make(chan struct{}),
		idx:        newIndex(),
		quarantine: make(map[string]*DamageError),
		pardoned:   make(map[string]uint64),
	}
	s.queue = newQueue(s.opts.QueueBytes)
	s.saver = newSaver(s)
	if err := s.open(); err != nil {
		err = errors.Join(err, s.closeFiles())
		return nil, err
	}
	s.reserve = reserve{path: filePath(dir, reserveFile), size: s.opts.ReserveBytes}
	s.reserve.keep()
	s.wg.Go(s.runCommitter)
	s.wg.Go(s.saver.run)
	s.wg.Go(s.runHousekeeper)
	if s.opts.ScrubEvery > 0 {
		s.wg.Go(s.runScrubber)
	}
	return s, nil
}

// Append queues records for the next group commit and returns at once. The records' bytes are copied before it returns. done
// runs exactly once unless Append returns an error, on the committer's goroutine, in the order of Append; it must not block.
// It gets nil only after fsync, ErrFenced after a disk error, ErrDiskFull when the store is closed while the disk is full.
// A room's records must come in the order of their positions. Errors, with nothing queued: ErrFull (see Space), ErrClosed,
// ErrFenced, ErrInvalid, *DamageError for a room that is set aside.
func (s *Store) Append(recs []Record, done func(error)) error {
	s.mu.Lock()
	for _, r := range recs {
		if d := s.damageOf(r.Room); d != nil {
			s.mu.Unlock()
			return d
		}
	}
	s.mu.Unlock()
	return s.queue.put(kindUpdate, recs, done)
}

// Space returns a channel that is closed when at most half of Options.QueueBytes waits for the disk: the time to repeat an
// Append that returned ErrFull. When the store is fenced or closed, Append tells.
func (s *Store) Space() <-chan struct{} { return s.queue.roomy() }

// Queued returns how many bytes Append has accepted that are not confirmed yet.
func (s *Store) Queued() int64 { return s.queue.queued() }

// Health returns nil when edits can be stored, else the reason why not: an ErrDiskFull (which passes), or an ErrFenced.
func (s *Store) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fence != nil {
		return s.fence
	}
	return s.stalled
}

// Quarantined returns the rooms that are set aside because of damage, by name, and with an empty name the damage that is not
// one room's.
func (s *Store) Quarantined() []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quarantined()
}

// Close commits what is queued, ends the goroutines and closes the files. It returns the error of the last commit, if any;
// what could not be committed was answered with it.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.queue.shut(ErrClosed)
		close(s.stop)
		s.saver.shut()
		s.wg.Wait()
		err := s.closeFiles()
		s.mu.Lock()
		s.closeErr = errors.Join(s.closeErr, err)
		s.mu.Unlock()
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeErr
}

func (s *Store) closeFiles() error {
	var errs []error
	for _, db := range []*boltFile{s.log, s.rooms} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// fenceOff ends all writing for good. The first reason stays.
func (s *Store) fenceOff(file string, cause error) {
	err := fmt.Errorf("%w: %s: %w", ErrFenced, file, cause)
	s.mu.Lock()
	first := s.fence == nil
	if first {
		s.fence = err
	}
	s.mu.Unlock()
	s.queue.shut(err)
	if first {
		s.opts.Events.fenced(err)
	}
}

// fenced returns the reason when the store is fenced.
func (s *Store) fenced() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fence
}
