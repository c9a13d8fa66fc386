package gateway

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// clientOver gives gorilla's client side of a WebSocket over one end of a pipe, the handshake being done by hand: what
// the test writes into the other end is judged by gorilla's reader.
func clientOver(t *testing.T) (*websocket.Conn, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	dialer := websocket.Dialer{
		NetDial: func(string, string) (net.Conn, error) { return near, nil },
	}
	server := make(chan error, 1)
	go func() {
		up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
		l := newOneConnListener(far)
		done := make(chan struct{})
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := up.Upgrade(w, r, nil)
			server <- err
			close(done)
		})}
		go func() { <-done; l.Close() }()
		_ = srv.Serve(l) // always an error: the listener is closed after its one connection
	}()
	ws, _, err := dialer.Dial("ws://pipe/", nil)
	if err != nil {
		t.Fatalf("Dial = %v, want nil", err)
	}
	if err := <-server; err != nil {
		t.Fatalf("Upgrade = %v, want nil", err)
	}
	return ws, far
}

// oneConnListener hands out a single connection and then blocks until it is closed.
type oneConnListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newOneConnListener(c net.Conn) *oneConnListener {
	l := &oneConnListener{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conns <- c
	return l
}

func (l *oneConnListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConnListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *oneConnListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// TestFramesReadByGorilla writes frames of every length class, concatenated in one Write, and reads them back.
func TestFramesReadByGorilla(t *testing.T) {
	ws, far := clientOver(t)
	sizes := []int{0, 1, 2, 124, 125, 126, 127, 255, 256, 4095, 65534, 65535, 65536, 65537, 1 << 20}
	rng := rand.New(rand.NewPCG(1, 2))
	var wire []byte
	payloads := make([][]byte, len(sizes))
	pings := 0
	for i, n := range sizes {
		payloads[i] = make([]byte, n)
		for k := range payloads[i] {
			payloads[i][k] = byte(rng.Uint32())
		}
		wire = appendFrame(wire, frameBinary, payloads[i])
		if i%3 == 0 {
			wire = appendFrame(wire, framePing, []byte{byte(i)})
			pings++
		}
	}
	wire = appendCloseFrame(wire, 4503, "drain")

	got := 0
	ws.SetPingHandler(func(string) error { got++; return nil })
	// No close handler: gorilla's default would write to the far end, which nobody reads here.
	ws.SetCloseHandler(func(int, string) error { return nil })
	written := make(chan error, 1)
	go func() {
		_, err := far.Write(wire)
		written <- err
	}()
	for i, want := range payloads {
		typ, p, err := ws.ReadMessage()
		if err != nil || typ != websocket.BinaryMessage || !bytes.Equal(p, want) {
			t.Fatalf("ReadMessage(%d) = type %d, %d bytes, %v, want type 2, %d equal bytes, nil", i, typ, len(p), err, len(want))
		}
	}
	_, _, err := ws.ReadMessage()
	var ce *websocket.CloseError
	if !errors.As(err, &ce) || ce.Code != 4503 || ce.Text != "drain" {
		t.Errorf("ReadMessage after close = %v, want close 4503 drain", err)
	}
	if got != pings {
		t.Errorf("pings seen = %d, want %d", got, pings)
	}
	if err := <-written; err != nil {
		t.Errorf("Write = %v, want nil", err)
	}
}

func TestCloseFrameCutsTextAtACharacter(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("x", 123), strings.Repeat("x", 124), strings.Repeat("é", 100), strings.Repeat("€", 100), strings.Repeat("😀", 100)} {
		b := appendCloseFrame(nil, 4400, text)
		body := b[2:]
		if int(b[1]) != len(body) || len(body) > maxControlPayload {
			t.Errorf("appendCloseFrame(%q) has length byte %d and %d bytes of body, want equal and <= %d", text, b[1], len(body), maxControlPayload)
		}
		got := string(body[2:])
		if !utf8.ValidString(got) || !strings.HasPrefix(text, got) {
			t.Errorf("appendCloseFrame(%q) carries %q, want a valid prefix", text, got)
		}
		if len(text) > maxCloseText && len(got) < maxCloseText-3 {
			t.Errorf("appendCloseFrame(%q) carries %d bytes, want at least %d", text, len(got), maxCloseText-3)
		}
	}
}

// FuzzFrame checks for any opcode and payload that gorilla's client reads what was appended.
func FuzzFrame(f *testing.F) {
	f.Add([]byte("hello"), false)
	f.Add(bytes.Repeat([]byte{7}, 70000), true)
	f.Fuzz(func(t *testing.T, payload []byte, ping bool) {
		ws, far := clientOver(t)
		var wire []byte
		if ping {
			wire = appendFrame(wire, framePing, payload[:min(len(payload), maxControlPayload)])
		}
		wire = appendFrame(wire, frameBinary, payload)
		ws.SetPingHandler(func(string) error { return nil })
		written := make(chan error, 1)
		go func() {
			_, err := far.Write(wire)
			written <- err
		}()
		if err := ws.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, r, err := ws.NextReader()
		if err != nil {
			t.Fatalf("NextReader = %v, want nil", err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("read %d bytes, %v, want the %d written", len(got), err, len(payload))
		}
		if err := <-written; err != nil {
			t.Errorf("Write = %v, want nil", err)
		}
	})
}
