package persistence_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weft/persistence"
)

// smallDisk mounts a file system of the given size.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("SKIPPED: the test of a full disk needs the right to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("Unmount(%s) = %v, want nil", dir, err)
		}
	})
	return dir
}

// fillDisk writes a file until there is no space left.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 16, 4096, 512} {
		for b := make([]byte, size); err == nil; {
			_, err = f.Write(b)
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatalf("fill the disk: %v", err)
		}
		err = nil
	}
}

// TestDiskFull fills the disk under a store: nothing is confirmed, the reason is shown, memory is bounded, nothing is lost, and it
// goes on by itself when there is space.
func TestDiskFull(t *testing.T) {
	for _, reserve := range []int64{-1, 2 << 20} {
		t.Run(fmt.Sprintf("reserve=%d", reserve), func(t *testing.T) { testDiskFull(t, reserve) })
	}
}

func testDiskFull(t *testing.T, reserve int64) {
	disk := smallDisk(t, 24<<20)
	dir := filepath.Join(disk, "data")
	stalled, resumed := make(chan error, 100), make(chan time.Duration, 100)
	s := openStore(t, dir, persistence.Options{
		QueueBytes:   1 << 20,
		ReserveBytes: reserve,
		ScrubEvery:   -1,
		Events: persistence.Events{
			Stalled: func(err error) { stalled <- err },
			Resumed: func(d time.Duration) { resumed <- d },
		},
	})
	appendWait(t, s, record("a", 1))
	if err := s.Save(t.Context(), "a", persistence.Snapshot{Pos: persistence.Position{Epoch: 1, Seq: 1}, State: make([]byte, 100_000)}); err != nil {
		t.Fatalf("Save(a) = %v, want nil", err)
	}
	full := filepath.Join(disk, "filler")
	fillDisk(t, full)

	// Appends until the queue is full: from some record on, none is confirmed.
	var acked atomic.Uint64
	seq := uint64(1)
	big := make([]byte, 20_000)
	appendBig := func() error {
		r := persistence.Record{Room: "b", Pos: persistence.Position{Epoch: 1, Seq: seq}, Update: big}
		err := s.Append([]persistence.Record{r}, func(err error) {
			if err == nil {
				acked.Add(1)
			}
		})
		if err == nil {
			seq++
		}
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		err := appendBig()
		if errors.Is(err, persistence.ErrFull) && s.Health() != nil {
			break
		}
		if err != nil && !errors.Is(err, persistence.ErrFull) {
			t.Fatalf("Append = %v, want nil or ErrFull", err)
		}
		if err != nil {
			runtime.Gosched()
		}
		if time.Now().After(deadline) {
			t.Fatalf("the disk took %d records and did not become full", seq)
		}
	}
	if err := <-stalled; !errors.Is(err, persistence.ErrDiskFull) || !errors.Is(err, unix.ENOSPC) && reserve < 0 {
		t.Errorf("Stalled(%v), want ErrDiskFull with ENOSPC", err)
	}
	if err := s.Health(); !errors.Is(err, persistence.ErrDiskFull) {
		t.Errorf("Health() = %v, want ErrDiskFull", err)
	}
	if q := s.Queued(); q > 1<<20 {
		t.Errorf("Queued() = %d, want at most the bound", q)
	}
	if before := acked.Load(); before >= seq-1 {
		t.Errorf("%d of %d records confirmed on a full disk", before, seq-1)
	}
	if st, err := s.Load(t.Context(), "a"); err != nil || len(st.Snapshot.State) != 100_000 {
		t.Errorf("Load(a) on a full disk = %v, want the snapshot", err)
	}

	// A copy taken now has what was confirmed.
	before := acked.Load()
	crash := filepath.Join(fastDir(t), "copy")
	if err := s.CopyTo(t.Context(), crash); err != nil {
		t.Fatalf("CopyTo = %v, want nil", err)
	}
	c := openStore(t, crash, small)
	if st, err := c.Load(t.Context(), "b"); before > 0 && (err != nil || uint64(len(st.Tail)) < before) {
		t.Errorf("after a crash Load(b) = %d records, %v, want at least %d", len(st.Tail), err, before)
	}

	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	freed := time.Now()
	appendWait(t, s, record("c", 1)) // behind all the others
	if took := time.Since(freed); took > 5*time.Second {
		t.Errorf("confirmed again after %v, want 5 s at most", took)
	}
	<-resumed
	if err := s.Health(); err != nil {
		t.Errorf("Health() = %v, want nil", err)
	}
	if got := acked.Load(); got != seq-1 {
		t.Errorf("%d records confirmed in the end, want %d", got, seq-1)
	}
	st, err := s.Load(t.Context(), "b")
	if err != nil || uint64(len(st.Tail)) != seq-1 {
		t.Errorf("Load(b) = %d records, %v, want %d", len(st.Tail), err, seq-1)
	}
}

// TestShortWrite fills the disk under a writer so that the system itself writes only a part of what a call hands it, frees single
// pages, which lets more calls end in the middle, and at last everything. The writer goes on by itself and nothing is lost or wrong.
func TestShortWrite(t *testing.T) {
	disk := smallDisk(t, 16<<20)
	dir := filepath.Join(disk, "data")
	openStore(t, dir, small).Close()
	trace := filepath.Join(fastDir(t), "trace")
	const limit = 1000
	t.Setenv(limitEnv, strconv.Itoa(limit))
	cmd, out := startWriter(t, dir, strace(t), "-f", "-e", "signal=none", "-o", trace, "-e", "trace=pwrite64")
	defer cmd.Process.Kill() // when the test fails before the writer ends
	if l, err := out.ReadString('\n'); err != nil || l != "O\n" {
		t.Fatalf("the writer says %q, %v, want O", l, err)
	}
	filler := filepath.Join(disk, "filler")
	fillDisk(t, filler)
	told := newConfirmed()
	read := make(chan struct{})
	go func() { // ends with the writer
		defer close(read)
		readLines(out, told.line)
	}()
	short := shortWrites{path: trace}
	deadline := time.Now().Add(5 * time.Minute)
	for short.count(t) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("no call wrote only a part of its bytes")
		}
		time.Sleep(50 * time.Millisecond) // the writer tries again less often than that: each try finds a few pages more
		shrink(t, filler, 4096)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	<-read
	if err := cmd.Wait(); err != nil {
		t.Errorf("the writer: %v", err)
	}
	for _, e := range told.errs { // a snapshot may be refused
		if !strings.Contains(e, persistence.ErrDiskFull.Error()) {
			t.Errorf("the writer was told %q, want nothing but ErrDiskFull", e)
		}
	}
	if told.total != writerRooms*limit {
		t.Errorf("%d records confirmed, want %d", told.total, writerRooms*limit)
	}
	if err := told.check(openStore(t, dir, small)); err != nil {
		t.Error(err)
	}
	t.Logf("%d short writes, %d records confirmed, 0 lost", short.count(t), told.total)
}

// shortWrites counts the calls of a trace that wrote something, but not all: `123 pwrite64(5, "..."..., 12288, 4096) = 8192`.
type shortWrites struct {
	path string
	read int64 // bytes of the trace, whole lines
	n    int
}

// count reads what is new in the trace and returns how many there are.
func (w *shortWrites) count(t *testing.T) int {
	t.Helper()
	f, err := os.Open(w.path)
	if errors.Is(err, fs.ErrNotExist) { // strace has not begun
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, w.read, math.MaxInt64-w.read))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if !strings.HasSuffix(line, "\n") {
			break // not whole yet
		}
		w.read += int64(len(line))
		_, rest, _ := strings.Cut(line, `, `)
		rest = rest[strings.LastIndex(rest, `"`)+1:] // sizes and result
		var size, at, wrote int
		if _, err := fmt.Sscanf(strings.TrimPrefix(rest, "..."), ", %d, %d) = %d", &size, &at, &wrote); err == nil && 0 < wrote && wrote < size {
			w.n++
		}
	}
	return w.n
}

// shrink cuts n bytes off the end of a file, if it has as many.
func shrink(t *testing.T, path string, n int64) {
	t.Helper()
	fi, err := os.Stat(path)
	if err == nil && fi.Size() >= n {
		err = os.Truncate(path, fi.Size()-n)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestDiskFullClose closes a store that cannot write: its records are answered with the reason.
func TestDiskFullClose(t *testing.T) {
	disk := smallDisk(t, 20<<20)
	s, err := persistence.Open(filepath.Join(disk, "data"), small)
	if err != nil {
		t.Fatalf("Open = %v, want nil", err)
	}
	fillDisk(t, filepath.Join(disk, "filler"))
	answer := make(chan error, 1)
	huge := persistence.Record{Room: "a", Pos: persistence.Position{Epoch: 1, Seq: 1}, Update: make([]byte, 4<<20)}
	if err := s.Append([]persistence.Record{huge}, func(err error) { answer <- err }); err != nil {
		t.Fatalf("Append = %v, want nil", err)
	}
	if err := s.Close(); !errors.Is(err, persistence.ErrDiskFull) {
		t.Errorf("Close() = %v, want ErrDiskFull", err)
	}
	if err := <-answer; !errors.Is(err, persistence.ErrDiskFull) {
		t.Errorf("done = %v, want ErrDiskFull", err)
	}
}

// injectWriter runs a writer with a fault that strace injects into its system calls, and returns what it was told.
func injectWriter(t *testing.T, dir string, limit int, inject string) *confirmed {
	t.Helper()
	t.Setenv(limitEnv, strconv.Itoa(limit))
	call, _, _ := strings.Cut(inject, ":")
	cmd, out := startWriter(t, dir, strace(t), "-f", "-e", "signal=none", "-o", "/dev/null", "-e", "trace="+call, "-e", "inject="+inject)
	c := newConfirmed()
	readLines(out, c.line)
	cmd.Wait() // a store that is fenced is closed with its error
	return c
}

// TestSyncError makes one fdatasync fail. From then on nothing is confirmed, although later ones succeed, and what was confirmed
// before is there after a restart.
func TestSyncError(t *testing.T) {
	for _, c := range []struct {
		when  int // counted per thread
		limit int // up to 36 the writer saves nothing: it is the log's sync that fails
	}{{3, 36}, {4, 36}, {7, 2000}, {8, 2000}, {40, 2000}, {41, 2000}} {
		when := c.when
		dir := t.TempDir()
		openStore(t, dir, small).Close()
		told := injectWriter(t, dir, c.limit, fmt.Sprintf("fdatasync:error=EIO:when=%d", when))
		if told.late > 0 && c.limit <= 36 {
			t.Errorf("fdatasync %d fails: %d records confirmed after the first error, want none", when, told.late)
		}
		if len(told.errs) == 0 || !strings.Contains(told.errs[0], persistence.ErrFenced.Error()) || !strings.Contains(told.errs[0], "input/output error") {
			t.Errorf("fdatasync %d fails: errors %q, want ErrFenced with the cause", when, told.errs)
		}
		s := openStore(t, dir, small)
		if err := told.check(s); err != nil {
			t.Errorf("fdatasync %d fails: %v", when, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	}
}

// TestWriteError makes one write fail, and lets one claim to have written what it has not: no update may be wrong without being
// noticed then.
func TestWriteError(t *testing.T) {
	for _, inject := range []string{"pwrite64:error=EIO:when=30", "pwrite64:error=ENOSPC:when=30+50", "pwrite64:retval=100:when=30"} {
		dir := t.TempDir()
		openStore(t, dir, small).Close()
		c := injectWriter(t, dir, 60, inject)
		full := strings.Contains(inject, "ENOSPC")
		fenced := len(c.errs) > 0 && strings.Contains(c.errs[0], persistence.ErrFenced.Error())
		if strings.Contains(inject, "EIO") && !fenced {
			t.Errorf("%s: errors %q, want ErrFenced", inject, c.errs)
		}
		if full && c.total < writerRooms*60 {
			t.Errorf("%s: %d records confirmed, errors %q, want %d", inject, c.total, c.errs, writerRooms*60)
		}
		s, err := persistence.Open(dir, small)
		if err != nil {
			t.Errorf("%s: Open = %v, want nil", inject, err)
			continue
		}
		lied := strings.Contains(inject, "retval")
		if lied {
			clear(c.saved) // the old page may be sound, and the room be there as before it was saved: what counts is its records
		}
		err = c.check(s)
		if _, damaged := errors.AsType[*persistence.DamageError](err); err != nil && !(lied && (damaged || errors.Is(err, errGap))) {
			t.Errorf("%s: %v", inject, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	}
}

// TestSlowSync slows fdatasync down: records wait together, and none is lost.
func TestSlowSync(t *testing.T) {
	delays := []time.Duration{50 * time.Millisecond, 200 * time.Millisecond}
	if *long {
		delays = append(delays, 2*time.Second)
	}
	for _, delay := range delays {
		dir := t.TempDir()
		openStore(t, dir, small).Close()
		start := time.Now()
		c := injectWriter(t, dir, 36, fmt.Sprintf("fdatasync:delay_exit=%d", delay.Microseconds()))
		if len(c.errs) > 0 || c.total != writerRooms*36 {
			t.Errorf("%v a sync: %d records confirmed, errors %q, want %d", delay, c.total, c.errs, writerRooms*36)
		}
		s := openStore(t, dir, small)
		if err := c.check(s); err != nil {
			t.Errorf("%v a sync: %v", delay, err)
		}
		s.Close()
		t.Logf("%v a sync: %d records of %d rooms, at most 4 a room in flight, in %v", delay, c.total, writerRooms, time.Since(start).Round(time.Millisecond))
	}
}
