package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"weft/crdt"
)

// TestAcknowledgedAfterSync watches the system calls of the real program: between the arrival of an edit and its
// acknowledgement, the log is synced to the disk.
func TestAcknowledgedAfterSync(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("strace is missing: .ci/setup installs it")
		}
		t.Skip("SKIPPED: the test needs strace")
	}
	if err := exec.Command(strace, "-o", os.DevNull, "true").Run(); err != nil {
		t.Skipf("SKIPPED: strace may not look at other processes here: %v", err)
	}
	dir := t.TempDir()
	binary, trace, ready := filepath.Join(dir, "weft"), filepath.Join(dir, "trace"), filepath.Join(dir, "ready.json")
	self, err := os.Executable() // is weft when it is called so, see TestMain
	if err == nil {
		err = os.Symlink(self, binary)
	}
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(strace, "-f", "-y", "-xx", "-s", "4096", "-e", "signal=none", "-e", "trace=read,write,fdatasync",
		"-e", "inject=fdatasync:delay_enter=30000", "-o", trace, // 30 ms, which an acknowledgement that does not wait would win
		binary, "--listen", "127.0.0.1:0", "--admin=", "--data", filepath.Join(dir, "data"), "--ready-file", ready)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Process.Kill() // when the test fails before the server ends
	at, err := waitReady(ready)
	if err != nil {
		t.Fatal(err)
	}
	const edits = 20
	for i := range edits {
		d := crdt.New(crdt.Options{})
		update, err := d.Edit(func(tx *crdt.Tx) error { return tx.Text("codemirror").Insert(0, fmt.Sprint(i)) })
		if err == nil {
			err = sendSaved(at.Listen, "room", update)
		}
		if err != nil {
			t.Fatalf("edit %d: %v", i, err)
		}
	}
	if err := syscall.Kill(at.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("the server ended with %v, want nil", err)
	}
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	wal, marker, ack := straced("/wal.db"), straced(string(clientFrame(savedMarker))), straced(string(savedFrame()))
	acks, synced, syncing := 0, false, map[string]bool{}
	for line := range strings.Lines(string(b)) {
		pid, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(call, "fdatasync(") {
			syncing[pid] = strings.Contains(call, wal)
		}
		switch {
		case strings.Contains(call, "read") && strings.Contains(call, marker): // the edit stands before it
			synced = false
			clear(syncing)
		case strings.Contains(call, "fdatasync") && strings.Contains(call, "= 0"): // a call in two lines counts from its end
			synced = synced || syncing[pid]
		case strings.Contains(call, "write(") && strings.Contains(call, ack):
			if acks++; !synced {
				t.Errorf("acknowledgement %d was sent without a sync of the log since its edit arrived", acks)
			}
		}
	}
	if acks != edits {
		t.Errorf("%d acknowledgements in the trace, want %d", acks, edits)
	}
}

// savedFrame is the WebSocket frame of the marker that sendSaved waits for.
func savedFrame() []byte { return append([]byte{0x82, byte(len(savedMarker))}, savedMarker...) }

// straced returns bytes as strace -xx prints them.
func straced(s string) string {
	b := new(strings.Builder)
	for _, c := range []byte(s) {
		fmt.Fprintf(b, `\x%02x`, c)
	}
	return b.String()
}
