package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var long = flag.Bool("long", false, "run the long form of the tests with many connections")

// TestSlowHandshakes holds many connections open that never come to be WebSockets, in each way that there is: a client
// that means well is served meanwhile, and the others are gone after their 5 s without anything left of them.
func TestSlowHandshakes(t *testing.T) {
	ways := []struct {
		name  string
		begin string
		drip  string // sent again and again, a piece every half a second
	}{
		{"nothing", "", ""},
		{"half a line", "GET /yjs/a HT", ""},
		{"half a header", "GET /yjs/a HTTP/1.1\r\nHost: a\r\nUpgrade: webso", ""},
		{"byte by byte", "GET /yjs/a HTTP/1.1\r\nX: ", "x"},
		{"line by line", "GET /yjs/a HTTP/1.1\r\n", "X: y\r\n"},
		{"body that does not come", "GET /v1/rooms HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n", ""},
		{"body byte by byte", "POST /v1/rooms HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n", "x"},
		{"chunk that does not come", "POST /v1/rooms HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", ""},
	}
	each := 25
	if *long {
		each = 250
	}
	s := quietServer(t)
	goroutines, files := runtime.NumGoroutine(), openFiles()
	began := time.Now()
	var wg sync.WaitGroup
	var slowest sync.Map // by way
	for _, way := range ways {
		for range each {
			wg.Go(func() {
				if err := dripInto(s.publicAt.String(), way.begin, way.drip); err != nil {
					t.Errorf("%s: %v", way.name, err)
				}
				slowest.Store(way.name, time.Since(began).Round(time.Millisecond))
			})
		}
	}
	at := time.Now()
	upgraded, err := upgrade(s.publicAt.String(), "/yjs/good")
	if err != nil {
		t.Fatalf("a client that means well: %v", err)
	}
	t.Logf("a client that means well is connected after %v", time.Since(at))
	wg.Wait()
	slowest.Range(func(way, took any) bool { t.Logf("%s: gone after %v", way, took); return true })
	upgraded.Close()
	// A goroutine of net/http that is ending has no event to wait for.
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > goroutines+2 || openFiles() > files+2; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines and %d files are left, want about %d and %d", runtime.NumGoroutine(), openFiles(), goroutines, files)
		}
	}
}

// dripInto opens a connection, sends begin and then drip every half a second, until the server closes.
func dripInto(addr, begin, drip string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.WriteString(c, begin); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if err := c.SetReadDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, c); !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil // closed or reset by the server
		}
		if _, err := io.WriteString(c, drip); err != nil {
			return nil
		}
	}
	return fmt.Errorf("still open after %v", patience)
}

// upgrade makes one WebSocket handshake.
func upgrade(addr, path string) (net.Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", path, addr)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, errors.Join(fmt.Errorf("answer %s", resp.Status), c.Close())
	}
	return c, nil
}

// openFiles counts the process's descriptors; 0 where they cannot be seen.
func openFiles() int {
	list, _ := os.ReadDir("/proc/self/fd") // none where there is no such thing
	return len(list)
}

// quietServer starts a server that ends with the test.
func quietServer(t *testing.T) *server {
	t.Helper()
	c := &serveCmd{Listen: "127.0.0.1:0", Data: filepath.Join(t.TempDir(), "data"), Auth: authFlags{Auth: "none"}, Limits: limitFlags{MaxMessage: 1 << 20}}
	s := newServer(c, io.Discard)
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Errorf("close = %v, want nil", err)
		}
	})
	if err := s.open(); err != nil {
		t.Fatalf("open = %v, want nil", err)
	}
	return s
}

// TestHeaderLimits sends handshakes with more in front of them than a browser has.
func TestHeaderLimits(t *testing.T) {
	s := quietServer(t)
	for _, h := range []struct {
		name, header string
		want         int
	}{
		{"a long cookie", "Cookie: " + strings.Repeat("x", 8_000) + "\r\n", http.StatusOK},
		{"one long line", "X: " + strings.Repeat("x", 40_000) + "\r\n", http.StatusRequestHeaderFieldsTooLarge},
		{"5,000 lines", strings.Repeat("X: y\r\n", 5_000), http.StatusRequestHeaderFieldsTooLarge},
	} {
		t.Run(h.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", s.publicAt.String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			go func() { // ends when it is sent, or with the connection
				_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"+h.header+"\r\n")
			}()
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != h.want {
				t.Errorf("answer = %s, want %d", resp.Status, h.want)
			}
		})
	}
}
