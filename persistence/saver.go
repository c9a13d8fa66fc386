package persistence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// saveBytes bounds one commit of rooms.db, so that the disk is never busy with a checkpoint for long.
	saveBytes = 1 << 20
	// savePause bounds the pause after a commit of rooms.db while records wait for the log.
	savePause = 100 * time.Millisecond
)

// ErrStale says that a snapshot is older than the one that is stored.
var ErrStale = errors.New("a newer snapshot is stored")

// saver writes rooms.db: one goroutine, commits of at most saveBytes, small jobs of many rooms together in one. Its queue is
// bounded by its callers, who wait, and by what they leave behind to be swept.
type saver struct {
	store *Store
	wake  chan struct{}

	mu      sync.Mutex
	waiting []*job
	closed  bool
	floorQ  bool // a floor job is waiting
}

// job is one change of rooms.db, done in steps of at most saveBytes.
type job struct {
	room  string
	step  func(tx *bolt.Tx, budget int) (used int, done bool, err error)
	after func()      // when the last step is committed; may be nil
	keep  func()      // when a step is committed: makes its progress permanent; may be nil
	done  func(error) // may be nil
}

func newSaver(s *Store) *saver { return &saver{store: s, wake: make(chan struct{}, 1)} }

func (v *saver) put(j *job) error {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		return ErrClosed
	}
	v.waiting = append(v.waiting, j)
	v.mu.Unlock()
	v.signal()
	return nil
}

func (v *saver) signal() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

func (v *saver) shut() {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.signal()
}

// withdraw takes back a job that has not begun.
func (v *saver) withdraw(j *job) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	i := slices.Index(v.waiting, j)
	if i >= 0 {
		v.waiting = slices.Delete(v.waiting, i, i+1)
	}
	return i >= 0
}

// wait puts the job and waits for its end. When ctx ends before the job has begun it is withdrawn.
func (v *saver) wait(ctx context.Context, j *job) error {
	end := make(chan error, 1)
	j.done = func(err error) { end <- err }
	if err := v.put(j); err != nil {
		return err
	}
	select {
	case err := <-end:
		return err
	case <-ctx.Done():
		if v.withdraw(j) {
			return context.Cause(ctx)
		}
		return <-end
	}
}

// moveFloor has the log's floor written, which lets the log go up to there; it does not wait.
func (v *saver) moveFloor() {
	v.mu.Lock()
	if v.closed || v.floorQ {
		v.mu.Unlock()
		return
	}
	v.floorQ = true
	v.waiting = append(v.waiting, &job{
		step: func(*bolt.Tx, int) (int, bool, error) { return 0, true, nil }, // every commit writes the floor
		done: func(error) {},
	})
	v.mu.Unlock()
	v.signal()
}

// take returns all waiting jobs; nil means that the saver shall end.
func (v *saver) take() []*job {
	for {
		v.mu.Lock()
		jobs, closed := v.waiting, v.closed
		v.waiting, v.floorQ = nil, false
		v.mu.Unlock()
		if len(jobs) > 0 || closed {
			return jobs
		}
		<-v.wake
	}
}

// run is the saver's goroutine.
func (v *saver) run() {
	for {
		jobs := v.take()
		if jobs == nil {
			return
		}
		for len(jobs) > 0 {
			start := time.Now()
			jobs = v.commit(jobs)
			v.pace(time.Since(start), len(jobs) > 0)
		}
	}
}

// pace leaves the disk to the log for as long as the last commit took, when there is something to write there.
func (v *saver) pace(took time.Duration, more bool) {
	if !more || v.store.queue.queued() == 0 {
		return
	}
	t := time.NewTimer(min(took, savePause))
	defer t.Stop()
	select {
	case <-t.C:
	case <-v.store.stop:
	}
}

// jobError is the error of one job of a commit; the others are not at fault.
type jobError struct {
	job *job
	err error
}

func (e *jobError) Error() string { return e.err.Error() }

// commit does the next steps of the jobs in one commit and returns the jobs that are not finished.
func (v *saver) commit(jobs []*job) []*job {
	if err := v.store.fenced(); err != nil {
		return finishJobs(jobs, jobs, err)
	}
	s := v.store
	s.mu.Lock()
	floor, last := s.idx.floor(), s.idx.last
	s.mu.Unlock()
	var touched, finished []*job
	err := s.rooms.Update(func(tx *bolt.Tx) error {
		if err := s.putFloor(tx, floor, last); err != nil {
			return err
		}
		budget := saveBytes
		busy := make(map[string]bool) // steps of one room's jobs come one after the other
		for _, j := range jobs {
			if budget <= 0 {
				break
			}
			if busy[j.room] && j.room != "" {
				continue
			}
			busy[j.room] = true
			touched = append(touched, j)
			used, done, err := j.step(tx, budget)
			if err != nil {
				return &jobError{j, err}
			}
			budget -= used
			if done {
				finished = append(finished, j)
			}
		}
		return nil
	})
	if err != nil {
		return v.failed(jobs, touched, err)
	}
	// The floor counts from here on: it stands for checkpoints of earlier commits only, so both meta pages of the file lead to
	// a tree that has them.
	s.raiseSafeFloor(floor)
	for _, j := range touched {
		if j.keep != nil {
			j.keep()
		}
	}
	for _, j := range finished {
		if j.after != nil {
			j.after()
		}
	}
	return finishJobs(jobs, finished, nil)
}

// failed decides what an error of a commit means for its jobs.
func (v *saver) failed(jobs, touched []*job, err error) []*job {
	if je, ok := errors.AsType[*jobError](err); ok {
		return finishJobs(jobs, []*job{je.job}, je.err)
	}
	if isDiskFull(err) {
		return finishJobs(jobs, touched, fmt.Errorf("%w: %w", ErrDiskFull, err))
	}
	if isPageFault(err) && len(touched) > 0 && !v.store.rooms.isStuck() { // otherwise it is no room's page, and nothing can be saved
		if len(touched) > 1 { // find out whose page it is
			for _, j := range touched {
				for left := []*job{j}; len(left) > 0; {
					left = v.commit(left)
				}
			}
			return finishJobs(jobs, touched, nil)
		}
		v.store.askCheck()
		return finishJobs(jobs, touched, &DamageError{File: roomsFile, What: "a page on the way cannot be used", Err: err})
	}
	v.store.fenceOff(roomsFile, err)
	return finishJobs(jobs, jobs, v.store.fenced())
}

// finishJobs answers some of the jobs and returns the others.
func finishJobs(jobs, ended []*job, err error) []*job {
	for _, j := range ended {
		if j.done != nil {
			j.done(err)
			j.done = nil
		}
	}
	return slices.DeleteFunc(jobs, func(j *job) bool { return slices.Contains(ended, j) })
}

// putFloor notes in rooms.db how much of the log there is and how much of it is needed.
func (s *Store) putFloor(tx *bolt.Tx, floor, last uint64) error {
	n := tx.Bucket(bucketNode)
	if err := n.Put(keyFloor, appendLSN(s.seal, keyFloor, floor)); err != nil {
		return err
	}
	return n.Put(keyLast, appendLSN(s.seal, keyLast, last))
}

// raiseSafeFloor lets the committer remove the batches before floor.
func (s *Store) raiseSafeFloor(floor uint64) {
	if floor > s.safeFloor.Load() { // only the saver changes it
		s.safeFloor.Store(floor)
		s.queue.signal()
	}
}
