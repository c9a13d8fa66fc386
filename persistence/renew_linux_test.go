package persistence_test

import (
	"os/exec"
	"strings"
	"testing"
)

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
		confirmed, renewed, fenced := uint64(0), false, ""
		readLines(out, func(l string) {
			var seq uint64
			if scan(l, "A %d", &seq) {
				confirmed = seq
			}
			renewed = renewed || l == "R"
			if why, ok := strings.CutPrefix(l, "F "); ok {
				fenced = why
			}
		})
		if err := cmd.Wait(); err != nil {
			if _, ok := err.(*exec.ExitError); !ok || confirmed == 0 {
				t.Skipf("SKIPPED: strace does not work here: %v", err)
			}
		}
		if renewed == fails || (fenced != "") != fails || confirmed < 20 || (confirmed < 60) != fails {
			t.Errorf("directory sync fails: %v: %d records confirmed, renewed: %v, fenced: %q", fails, confirmed, renewed, fenced)
		}
		s := openStore(t, dir, small)
		if st, err := s.Load(t.Context(), "a"); err != nil || st.Pos.Seq < confirmed {
			t.Errorf("directory sync fails: %v: Load(a) = records to %s, %v, want what was confirmed, to %d", fails, st.Pos, err, confirmed)
		}
		noSalvage(t, dir)
		s.Close()
	}
}
