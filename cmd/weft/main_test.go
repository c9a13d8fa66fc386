package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weft": main})
}

// TestScripts runs testdata/*.txtar, each a short story about the command line. Beside testscript's own commands they use:
//
//	ready FILE        waits for the ready file of a weft in the background; sets $LISTEN, $ADMIN and $PID from it
//	get URL [TOKEN]   prints the status and the body to stdout
//	post URL JSON [TOKEN]
//	join ROOM [TOKEN] enters a room of the server at $LISTEN as a y-websocket client and prints "read", "write" or the close code
//	token FILE        sets $TOKEN to what stands in a file
//	signal SIG PID    sends a signal: TERM, INT or KILL
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"ready":  scriptReady,
			"get":    scriptGet,
			"post":   scriptPost,
			"join":   scriptJoin,
			"token":  scriptToken,
			"signal": scriptSignal,
		},
	})
}

// patience bounds the waiting for another process.
const patience = 30 * time.Second

func scriptReady(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: ready FILE")
	}
	r, err := waitReady(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Setenv("LISTEN", r.Listen)
	ts.Setenv("ADMIN", r.Admin)
	ts.Setenv("PID", fmt.Sprint(r.PID))
}

// waitReady waits for the ready file of another process and returns what it says.
func waitReady(file string) (r ready, err error) {
	// Another process writes the file, so there is nothing to wait on but the file.
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		b, err := os.ReadFile(file)
		if err == nil {
			return r, json.Unmarshal(b, &r)
		}
		if time.Now().After(deadline) {
			return r, fmt.Errorf("no ready file after %v: %w", patience, err)
		}
	}
}

func scriptGet(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: get URL [TOKEN]")
	}
	resp, err := request(http.MethodGet, args[0], "", args[1:])
	if neg {
		if err == nil {
			ts.Fatalf("get %s = %s, want an error", args[0], resp.Status)
		}
		return
	}
	ts.Check(err)
	printResponse(ts, resp)
}

func scriptPost(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: post URL JSON [TOKEN]")
	}
	resp, err := request(http.MethodPost, args[0], args[1], args[2:])
	ts.Check(err)
	printResponse(ts, resp)
}

// request sends one; token holds none or one.
func request(method, url, body string, token []string) (*http.Response, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if len(token) > 0 {
		req.Header.Set("Authorization", "Bearer "+token[0])
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	return client.Do(req)
}

func printResponse(ts *testscript.TestScript, resp *http.Response) {
	defer resp.Body.Close()
	body := new(strings.Builder)
	_, err := fmt.Fprintln(body, resp.StatusCode)
	ts.Check(err)
	ts.Check(resp.Write(body))
	_, err = fmt.Fprint(ts.Stdout(), body.String())
	ts.Check(err)
}

func scriptSignal(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: signal SIG PID")
	}
	ts.Check(ts.Exec("kill", "-"+args[0], args[1]))
}

// TestDefaultAdminPortTaken checks that a port which other programs like does not keep the server from starting.
func TestDefaultAdminPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", defaultAdmin)
	if err != nil {
		t.Logf("somebody has %s already: %v", defaultAdmin, err)
	} else {
		defer l.Close()
	}
	dir := t.TempDir()
	c := &serveCmd{Listen: "127.0.0.1:0", Data: filepath.Join(dir, "data"), Admin: defaultAdmin, Limits: limitFlags{MaxMessage: 1 << 20}}
	s := newServer(c, t.Output())
	defer func() {
		if err := s.close(); err != nil {
			t.Errorf("close = %v, want nil", err)
		}
	}()
	if err := s.open(); err != nil {
		t.Fatalf("open = %v, want nil", err)
	}
	if banner := s.banner(); !strings.Contains(banner, defaultAdmin+" is taken by another program") || !strings.Contains(banner, "--admin") {
		t.Errorf("banner does not say that %s is taken:\n%s", defaultAdmin, banner)
	}
}

// TestOpenThatFailsLeavesNothingOpen lets open fail late, when both listeners and the store are open.
func TestOpenThatFailsLeavesNothingOpen(t *testing.T) {
	dir := t.TempDir()
	c := &serveCmd{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Data: filepath.Join(dir, "data"), Limits: limitFlags{MaxMessage: 1 << 20}, Origin: []string{"nonsense"}}
	s := newServer(c, t.Output())
	if err := s.open(); err == nil {
		t.Error("open = nil with an origin that is none, want an error")
	}
	for _, a := range []net.Addr{s.publicAt, s.adminAt} {
		l, err := net.Listen("tcp", a.String())
		if err != nil {
			t.Errorf("Listen(%v) after open failed = %v, want nil", a, err)
			continue
		}
		l.Close()
	}
	if err := s.close(); err != nil {
		t.Errorf("close = %v, want nil", err)
	}
}

// TestCloseWaitsForEverything looks for goroutines after the end of a server that was drained.
func TestCloseWaitsForEverything(t *testing.T) {
	before := goleak.IgnoreCurrent()
	dir := t.TempDir()
	c := &serveCmd{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Data: filepath.Join(dir, "data"), Limits: limitFlags{MaxMessage: 1 << 20}, DrainTimeout: patience}
	s := newServer(c, t.Output())
	if err := s.open(); err != nil {
		t.Fatalf("open = %v, want nil", err)
	}
	if err := s.drain(make(chan os.Signal)); err != nil {
		t.Errorf("drain = %v, want nil", err)
	}
	if err := s.close(); err != nil {
		t.Errorf("close = %v, want nil", err)
	}
	goleak.VerifyNone(t, before)
	select {
	case err := <-s.served:
		t.Errorf("a listener ended with %v, want it closed in order", err)
	default:
	}
}

func TestLogSetting(t *testing.T) {
	for _, c := range []struct {
		text, want string
	}{
		{"json", `"msg":"line"`},
		{"text", "msg=line"},
		{"json,debug", `"msg":"line"`},
		{"debug,text", "msg=line"},
		{"error,text", ""},
	} {
		var l logSetting
		if err := l.UnmarshalText([]byte(c.text)); err != nil {
			t.Errorf("UnmarshalText(%q) = %v, want nil", c.text, err)
			continue
		}
		out := new(strings.Builder)
		l.logger(out).Info("line", "room", "a\nlevel=ERROR\x1b[31m")
		if got := out.String(); !strings.Contains(got, c.want) || (c.want == "") != (got == "") || strings.Count(got, "\n") > 1 || strings.Contains(got, "\x1b") {
			t.Errorf("--log %s wrote %q, want one line with %q and no control characters", c.text, got, c.want)
		}
	}
	for _, bad := range []string{"", "xml", "text,", "loud", "text;debug"} {
		var l logSetting
		if err := l.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("UnmarshalText(%q) = nil, want an error", bad)
		}
	}
}
