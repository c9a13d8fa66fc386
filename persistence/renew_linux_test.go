package persistence_test

import (
	"strings"
	"testing"
)

// renewer is what runRenewer has said.
type renewer struct {
	confirmed uint64
	renewed   bool
	fenced    string
}

func (r *renewer) line(l string) {
	var seq uint64
	if scan(l, "A %d", &seq) {
		r.confirmed = seq
	}
	r.renewed = r.renewed || l == "R"
	if why, ok := strings.CutPrefix(l, "F "); ok {
		r.fenced = why
	}
}

// wantConfirmed opens the directory and looks for what was confirmed.
func (r *renewer) wantConfirmed(t *testing.T, dir string) {
	t.Helper()
	s := openStore(t, dir, small)
	if st, err := s.Load(t.Context(), "a"); err != nil || st.Pos.Seq < r.confirmed {
		t.Errorf("Load(a) = records to %s, %v, want what was confirmed, to %d", st.Pos, err, r.confirmed)
	}
	noSalvage(t, dir)
	s.Close()
}

// TestRenewError makes the sync of the directory fail after the log's file was replaced: which file has the name after a power
// cut is not known then, so nothing may be confirmed any more, and least of all into the file that has lost its name.
func TestRenewError(t *testing.T) {
	for _, fails := range []bool{false, true} {
		dir := t.TempDir()
		openStore(t, dir, small).Close()
		t.Setenv(renewEnv, "1")
		inject := "inject=fsync:delay_enter=1"
		if fails {
			inject = "inject=fsync:error=EIO"
		}
		cmd, out := startWriter(t, dir, strace(t), "-f", "-e", "signal=none", "-o", "/dev/null", "-P", dir, "-e", "trace=fsync", "-e", inject)
		var r renewer
		readLines(out, r.line)
		if err := cmd.Wait(); err != nil && !fails { // a store that is fenced is closed with its error
			t.Errorf("the writer: %v", err)
		}
		if r.renewed == fails || (r.fenced != "") != fails || r.confirmed < 20 || (r.confirmed < 60) != fails {
			t.Errorf("directory sync fails: %v: %+v, want all 60 records confirmed after a renewal, or a fence instead", fails, r)
		}
		r.wantConfirmed(t, dir)
	}
}

// TestFileDescriptors has a store without a free file descriptor: it goes on with what it has, and leaves the log's file alone.
func TestFileDescriptors(t *testing.T) {
	dir := t.TempDir()
	openStore(t, dir, small).Close()
	t.Setenv(renewEnv, "fds")
	cmd, out := startWriter(t, dir, "sh", "-c", `ulimit -n 64 && exec "$0"`)
	var r renewer
	readLines(out, r.line)
	if err := cmd.Wait(); err != nil || r.confirmed != 60 || r.renewed || r.fenced != "" {
		t.Errorf("without file descriptors: %+v, the writer ends with %v, want 60 records confirmed, no renewal and no fence", r, err)
	}
	r.wantConfirmed(t, dir)
}
