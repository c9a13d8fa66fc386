package persistence_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weft/persistence"
)

// childEnv holds the data directory when the test binary is run as a writer, limitEnv how many records it adds to each room.
const (
	childEnv = "WEFT_PERSISTENCE_CHILD"
	limitEnv = "WEFT_PERSISTENCE_LIMIT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		run := runWriter
		if os.Getenv(renewEnv) != "" {
			run = runRenewer
		}
		if err := run(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			syscall.Exit(1)
		}
		syscall.Exit(0) // os.Exit lets the race detector say goodbye, which has hung under strace
	}
	os.Exit(m.Run())
}

const writerRooms = 8

func writerRoom(i int) string { return fmt.Sprintf("room-%d", i) }

// writerUpdate is what a writer appends: its length and bytes follow from room and seq.
func writerUpdate(room string, seq uint64) []byte {
	b := fmt.Appendf(nil, "%s/%d/", room, seq)
	return append(b, make([]byte, seq*7%300)...)
}

func writerState(room string, seq uint64) []byte {
	return []byte(strings.Repeat(fmt.Sprintf("%s to %d;", room, seq), int(seq%200)+1))
}

// runWriter writes to the directory until it is killed. On standard output it says, a line each and unbuffered, what is confirmed:
// "A room seq" for a record, "S room seq" for a snapshot, "E error" when records were not confirmed.
func runWriter(dir string) error {
	o := small
	o.LogBytes = 1 << 20
	s, err := persistence.Open(dir, o)
	if err != nil {
		return err
	}
	fmt.Println("O")
	var wg sync.WaitGroup
	for i := range writerRooms {
		wg.Go(func() { writeRoom(s, writerRoom(i)) })
	}
	wg.Wait()
	return s.Close()
}

// writeRoom appends to one room, with a few appends in flight, and saves and parks it now and then.
func writeRoom(s *persistence.Store, room string) {
	st, err := s.Load(context.Background(), room)
	if err != nil && !errors.Is(err, persistence.ErrNotFound) {
		fmt.Println("E", err)
		return
	}
	flying := make(chan struct{}, 4)
	limit, err := strconv.ParseUint(os.Getenv(limitEnv), 10, 64)
	if err != nil {
		limit = math.MaxUint32
	}
	for seq := st.Pos.Seq + 1; seq <= limit; seq++ {
		flying <- struct{}{}
		r := persistence.Record{Room: room, Pos: persistence.Position{Epoch: 1, Seq: seq}, Update: writerUpdate(room, seq)}
		err := s.Append([]persistence.Record{r}, func(err error) {
			if err != nil {
				fmt.Println("E", err)
			} else {
				fmt.Println("A", room, seq)
			}
			<-flying
		})
		if err != nil {
			fmt.Println("E", err)
			return
		}
		if seq%23 == 0 {
			if err := s.Park(context.Background(), room); err != nil {
				fmt.Println("E", err)
			}
		}
		if seq%37 == 0 {
			err := s.Save(context.Background(), room, persistence.Snapshot{Pos: r.Pos, State: writerState(room, seq), StateVector: []byte(room)})
			if err != nil {
				fmt.Println("E", err)
			} else {
				fmt.Println("S", room, seq)
			}
		}
	}
}

// renewEnv makes the test binary a writer that has its log renewed; with the value fds it has no file descriptor left for that.
const renewEnv = "WEFT_PERSISTENCE_RENEW"

// runRenewer fills a log, has it shortened, which is when its file is worth replacing, and appends on. It says "A seq" for what is
// confirmed, "R" when the file was replaced and "F error" when the store is fenced; then it ends without closing the store.
func runRenewer(dir string) error {
	o := small
	shortened := make(chan struct{}, 100)
	o.Events = persistence.Events{
		Truncated: func(uint64) { shortened <- struct{}{} },
		Renewed:   func(int64) { fmt.Println("R") },
		Fenced:    func(err error) { fmt.Println("F", err) },
	}
	s, err := persistence.Open(dir, o)
	if err != nil {
		return err
	}
	for os.Getenv(renewEnv) == "fds" {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		defer f.Close()
	}
	fat := make([]byte, 1<<20)
	for seq := uint64(1); seq <= 60; seq++ {
		done := make(chan error, 1)
		r := persistence.Record{Room: "a", Pos: persistence.Position{Epoch: 1, Seq: seq}, Update: fat}
		if seq > 20 {
			r.Update = writerUpdate("a", seq) // the committer is idle after each of these: the moment for a renewal
		}
		if err = s.Append([]persistence.Record{r}, func(err error) { done <- err }); err == nil {
			err = <-done
		}
		if err != nil {
			break
		}
		fmt.Println("A", seq)
		if seq != 20 {
			continue
		}
		for range 2 { // the second moves the floor
			if err := s.Save(context.Background(), "a", persistence.Snapshot{Pos: r.Pos, State: []byte("a")}); err != nil {
				return err
			}
		}
		<-shortened
	}
	return nil
}

// confirmed is what a writer has been told: per room the last record and the last snapshot.
type confirmed struct {
	records, saved map[string]uint64
	errs           []string
	total          int
	late           int // records confirmed after the first error
}

func newConfirmed() *confirmed {
	return &confirmed{records: make(map[string]uint64), saved: make(map[string]uint64)}
}

func (c *confirmed) line(l string) {
	var room string
	var seq uint64
	switch {
	case strings.HasPrefix(l, "E "):
		c.errs = append(c.errs, l[2:])
	case scan(l, "A %s %d", &room, &seq):
		c.records[room] = max(c.records[room], seq)
		c.total++
		if len(c.errs) > 0 {
			c.late++
		}
	case scan(l, "S %s %d", &room, &seq):
		c.saved[room] = max(c.saved[room], seq)
	}
}

func scan(l, format string, args ...any) bool {
	n, err := fmt.Sscanf(l, format, args...)
	return err == nil && n == len(args)
}

// errGap is a loss that Stored.Gap shows.
var errGap = errors.New("records are missing")

// check compares a store with what was confirmed. Every row of updates must be complete and right.
func (c *confirmed) check(s *persistence.Store) error {
	for i := range writerRooms {
		room := writerRoom(i)
		st, err := s.Load(context.Background(), room)
		if errors.Is(err, persistence.ErrNotFound) && c.records[room] == 0 && c.saved[room] == 0 {
			continue
		}
		if err != nil {
			return fmt.Errorf("Load(%s) = %w with %d confirmed", room, err, c.records[room])
		}
		at := st.Snapshot.Pos.Seq
		if at < c.saved[room] || (st.Gen > 0 && string(st.Snapshot.State) != string(writerState(room, at))) {
			return fmt.Errorf("Load(%s) = snapshot at %d, %d was confirmed, or its bytes differ", room, at, c.saved[room])
		}
		if after, before, found := st.Gap(); found {
			return fmt.Errorf("Load(%s): %w between %v and %v", room, errGap, after, before)
		}
		for _, r := range st.Tail {
			if at++; r.Pos.Seq != at || string(r.Update) != string(writerUpdate(room, at)) {
				return fmt.Errorf("Load(%s): record %d where %d should be, or its bytes differ", room, r.Pos.Seq, at)
			}
		}
		if at < c.records[room] {
			return fmt.Errorf("Load(%s) = %d updates, %d were confirmed", room, at, c.records[room])
		}
	}
	if q := s.Quarantined(); len(q) > 0 {
		return fmt.Errorf("Quarantined() = %v, want none", q)
	}
	return nil
}

// strace returns the path of the program, which writers run under where a test looks at their system calls or spoils them.
// The test is skipped where there is none or it may not trace, but in CI that is a failure: .ci/setup installs it.
func strace(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err == nil {
		err = exec.Command(path, "-o", "/dev/null", "true").Run()
	}
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("strace, which .ci/setup installs, does not work here: %v", err)
	}
	if err != nil {
		t.Skipf("SKIPPED: the test needs strace: %v", err)
	}
	return path
}

// startWriter starts a writer, behind a wrapper command if there is one, and returns it with its output.
func startWriter(t testing.TB, dir string, wrapper ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(wrapper, exe)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("start writer: %v", err)
	}
	return cmd, bufio.NewReader(out)
}

// TestKill kills a writer under load again and again. What it was told is stored must be there.
func TestKill(t *testing.T) {
	r := random(t)
	rounds := 6
	if *long {
		rounds = 100
	}
	dir := t.TempDir()
	all := newConfirmed()
	for round := range rounds {
		cmd, out := startWriter(t, dir)
		if l, err := out.ReadString('\n'); err != nil || l != "O\n" {
			t.Fatalf("round %d: writer says %q, %v", round, l, err)
		}
		killer := time.AfterFunc(time.Duration(r.IntN(400))*time.Millisecond, func() { cmd.Process.Kill() })
		readLines(out, all.line)
		killer.Stop()
		cmd.Wait() // killed
		s := openStore(t, dir, small)
		if err := all.check(s); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		noSalvage(t, dir)
		if err := s.Close(); err != nil {
			t.Fatalf("Close() = %v, want nil", err)
		}
	}
	if len(all.errs) > 0 || all.total == 0 {
		t.Errorf("writers confirmed %d records, errors %q", all.total, all.errs)
	}
	t.Logf("%d kills, %d records confirmed, 0 lost", rounds, all.total)
}

func readLines(r *bufio.Reader, line func(string)) {
	for {
		l, err := r.ReadString('\n')
		if err != nil {
			return // a line that was cut off says nothing
		}
		line(strings.TrimSuffix(l, "\n"))
	}
}
