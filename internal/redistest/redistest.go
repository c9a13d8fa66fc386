// Package redistest runs real redis-server processes for tests, and kills, pauses and rolls them back. Only tests import
// it. It speaks as much of the protocol as asking for a PONG.
package redistest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is one redis-server process on a port of loopback, with its data in a directory of the test.
type Server struct {
	tb    testing.TB
	addr  string
	dir   string
	args  []string
	out   *os.File
	cmd   *exec.Cmd  // nil unless it runs
	ended chan error // what waiting for cmd gave
}

// Start runs a redis-server with an append-only file that is synced every second, and the arguments given behind these.
// Without a redis-server on this machine the test is skipped, or fails where CI=true. The server ends with the test.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatalf("this test needs redis-server (.ci/setup installs it): %v", err)
		}
		tb.Skipf("SKIPPED, not tested with a real Redis: %v", err)
	}
	s := &Server{tb: tb, dir: tb.TempDir()}
	out, err := os.Create(filepath.Join(s.dir, "output"))
	if err != nil {
		tb.Fatal(err)
	}
	s.out = out
	tb.Cleanup(func() {
		s.Kill()
		_ = s.out.Close() // only for reading now
	})
	var last error
	for range 5 { // somebody may take the port in between
		s.addr = freeAddr(tb)
		_, port, _ := net.SplitHostPort(s.addr) // it was just made
		s.args = append([]string{
			"--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "yes",
			"--appendfsync", "everysec",
		}, args...)
		if last = s.run(); last == nil {
			return s
		}
	}
	tb.Fatalf("redis-server does not start: %v\n%s", last, s.Output())
	return nil
}

func freeAddr(tb testing.TB) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// run starts the process and waits until it answers.
func (s *Server) run() error {
	s.cmd = exec.Command("redis-server", s.args...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := s.cmd.Start(); err != nil {
		return err
	}
	cmd, ended := s.cmd, make(chan error, 1)
	s.ended = ended
	go func() { ended <- cmd.Wait() }() // ends with the process, which Kill or the end of this function sees to
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		select {
		case err := <-ended:
			s.cmd = nil
			return fmt.Errorf("it ended: %w", err)
		case <-tick.C:
		}
		if ping(s.addr) {
			return nil
		}
	}
	_ = s.cmd.Process.Kill() // it hangs
	<-ended
	s.cmd = nil
	return errors.New("no PONG for 30 s")
}

// ping reports whether somebody at addr answers PONG, or wants a password, and has loaded its data.
func ping(addr string) bool {
	line, err := ask(addr, "PING")
	return err == nil && (strings.HasPrefix(line, "+PONG") || strings.HasPrefix(line, "-NOAUTH"))
}

// Addr is where the server listens, also after a restart.
func (s *Server) Addr() string { return s.addr }

// Output is what the server has printed.
func (s *Server) Output() string {
	text, err := os.ReadFile(s.out.Name())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Kill ends the process with SIGKILL, if it runs, and waits for it.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // or it has ended by itself
	<-s.ended                // always "signal: killed"
	s.cmd = nil
}

// Restart starts a killed server with the data that it has.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Kill()
	if err := s.run(); err != nil {
		s.tb.Fatalf("redis-server does not start again: %v\n%s", err, s.Output())
	}
}

// Pause stops the process as SIGSTOP does; Resume lets it go on.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume ends Pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.tb.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.tb.Fatalf("redis-server: %v: %v", sig, err)
	}
}

// Sync keeps a copy of the append-only file as it is now.
func (s *Server) Sync() { s.replace(s.file("kept"), s.file("appendonlydir")) }

// LoseTail kills the server and starts it again with what the last Sync has kept.
func (s *Server) LoseTail() {
	s.tb.Helper()
	s.Kill()
	s.replace(s.file("appendonlydir"), s.file("kept"))
	s.Restart()
}

func (s *Server) file(name string) string { return filepath.Join(s.dir, name) }

func (s *Server) replace(to, from string) {
	s.tb.Helper()
	if err := os.RemoveAll(to); err != nil {
		s.tb.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		s.tb.Fatal(err)
	}
}
