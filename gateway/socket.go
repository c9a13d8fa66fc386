package gateway

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"time"
)

// socket is the net.Conn that gorilla/websocket is given. Before the upgrade it is the plain connection. From then on
// its reads are the connection's own (counted, timed, see conn.read), and what gorilla writes by itself is dropped:
// on a protocol error it would send close code 1002 or 1009, and the writer goroutine, which is the only one that may
// write, sends the close frame with our reason instead.
type socket struct {
	net.Conn
	buf      lentReader // what gorilla reads through
	deflates bool       // gorilla has answered that messages may be compressed
	c        *conn      // set once, between the upgrade and the first frame; nil before
}

func (s *socket) Read(p []byte) (int, error) {
	if s.c == nil {
		return s.Conn.Read(p)
	}
	return s.c.readSocket(p)
}

func (s *socket) Write(p []byte) (int, error) {
	if s.c == nil {
		s.deflates = bytes.Contains(p, []byte("\r\nSec-WebSocket-Extensions: permessage-deflate;"))
		return s.Conn.Write(p)
	}
	return len(p), nil
}

// SetWriteDeadline keeps gorilla from moving the deadline of the writer goroutine.
func (s *socket) SetWriteDeadline(t time.Time) error {
	if s.c == nil {
		return s.Conn.SetWriteDeadline(t)
	}
	return nil
}

// hijacker is the ResponseWriter that gorilla upgrades: its hijack puts the socket in between.
type hijacker struct {
	http.ResponseWriter
	s *socket
}

// Hijack implements http.Hijacker. It replaces net/http's large reader by the socket's own, which gorilla takes over.
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, brw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.s.Conn = nc
	if brw.Reader.Buffered() == 0 { // otherwise gorilla refuses: a client may say nothing before it was answered
		h.s.buf.lend(h.s)
		brw.Reader = &h.s.buf.Reader
	}
	return h.s, brw, nil
}
