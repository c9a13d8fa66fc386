package gateway

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/websocket"

	"weft/protocol"
	"weft/room"
)

// newUpgrader returns the handshake of the WebSocket endpoints. Compression stays off: gorilla's read limit does not
// hold for inflated bytes, and a compressor costs more memory than a whole idle connection.
func (s *Server) newUpgrader() websocket.Upgrader {
	return websocket.Upgrader{
		HandshakeTimeout: 5 * time.Second, // of the answer; the request's is the http.Server's ReadHeaderTimeout
		ReadBufferSize:   readBuffer,
		WriteBufferPool:  noBuffers{},                              // gorilla never writes, see socket
		CheckOrigin:      func(*http.Request) bool { return true }, // answered before, with a reason
		Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
			s.refuse(w, r, &refusal{status, "bad_handshake", reason.Error(), 0})
		},
	}
}

// noBuffers is a websocket.BufferPool that keeps nothing.
type noBuffers struct{}

func (noBuffers) Get() any { return nil }
func (noBuffers) Put(any)  {}

// serveYjs is GET /yjs/{room...}, the endpoint of the y-websocket provider. The provider puts the room's name into the
// path as it is, so the name is all that follows, slashes included, percent-decoded once.
func (s *Server) serveYjs(w http.ResponseWriter, r *http.Request, escaped string) {
	arrived := time.Now()
	name, f := roomName(escaped)
	if f == nil {
		f = s.checkUpgrade(w, r)
	}
	if f == nil {
		f = s.conns.take(remoteOf(r).Addr())
	}
	if f != nil {
		s.refuse(w, r, f)
		return
	}
	upgraded := false
	defer func() {
		if !upgraded {
			s.conns.give(remoteOf(r).Addr())
		}
	}()
	sock := new(socket)
	ws, err := s.upgrader.Upgrade(hijacker{w, sock}, r, nil)
	if err != nil {
		return // answered by the upgrader's Error, or the client is gone
	}
	upgraded = true
	s.startConn(ws, sock, ConnStart{Room: name, Protocol: "y-websocket", Remote: remoteOf(r)}, arrived)
}

// checkUpgrade tells why a request for a WebSocket is refused before anything is spent on it.
func (s *Server) checkUpgrade(w http.ResponseWriter, r *http.Request) *refusal {
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Upgrade", "websocket")
		return &refusal{http.StatusUpgradeRequired, "upgrade_required", "this is a WebSocket endpoint of the y-websocket protocol", 0}
	}
	if _, ok := s.origins.check(r); !ok {
		return errOrigin
	}
	return nil
}

// startConn starts the goroutine of an upgraded connection, which owns the place that was taken for it.
func (s *Server) startConn(ws *websocket.Conn, sock *socket, start ConnStart, arrived time.Time) {
	start.ID = s.ids.Add(1)
	start.Accept = time.Since(arrived)
	c := &conn{
		srv: s, start: start, dialect: protocol.YWebsocket{}, nc: sock.Conn, ws: ws,
		born: time.Now(), done: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.out = room.NewOutbox(s.o.OutboxBytes, c.wake)
	sock.c = c
	ws.SetPingHandler(c.onPing)
	ws.SetPongHandler(func(string) error { return nil })       // any byte is a sign of life
	ws.SetCloseHandler(func(int, string) error { return nil }) // the writer answers
	if s.o.Events.Opened != nil {
		s.o.Events.Opened(start)
	}
	if !s.conns.add(c) {
		c.end(protocol.Restarting.Closef("drained while joining"))
	}
	go c.run() // in wg since its place was taken
}

// peer describes the connection to its room.
func (c *conn) peer() room.Peer {
	return room.Peer{ID: c.start.ID, Dialect: c.dialect, Out: c.out}
}

// roomName decodes and checks the name of a room as it stands in a path.
func roomName(escaped string) (string, *refusal) {
	name, err := url.PathUnescape(escaped)
	if err != nil {
		return "", &refusal{http.StatusBadRequest, "bad_room", "room name is not percent-encoded correctly", 0}
	}
	if err := protocol.CheckRoomName(name); err != nil {
		return "", &refusal{http.StatusBadRequest, "bad_room", err.Error(), 0}
	}
	return name, nil
}
