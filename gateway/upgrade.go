package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"weft/protocol"
	"weft/room"
)

// newUpgrader returns the handshake of the WebSocket endpoints, without compression.
func (s *Server) newUpgrader() websocket.Upgrader {
	return websocket.Upgrader{
		HandshakeTimeout: 5 * time.Second,                          // of the answer; the request's is the http.Server's ReadHeaderTimeout
		WriteBufferPool:  noBuffers{},                              // gorilla never writes, see socket; it reads through hijacker's
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

// upgrade makes a connection of a request, or refuses it. speak returns what is spoken on it.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, start ConnStart, speak func(*conn) endpoint) {
	arrived := time.Now()
	start.Remote = remoteOf(r)
	f := s.checkUpgrade(w, r)
	if f == nil && start.Room != "" {
		f = s.checkRoom(start.Room)
	}
	if f == nil {
		f = s.conns.take(start.Remote.Addr())
	}
	if f != nil {
		s.refuse(w, r, f)
		return
	}
	upgraded := false
	defer func() {
		if !upgraded {
			s.conns.give(start.Remote.Addr())
		}
	}()
	var header http.Header
	p := chooseProtocol(r)
	if start.Protocol == nativeName {
		p = protocol.NativeSubprotocol
	}
	if p != "" {
		header = http.Header{"Sec-Websocket-Protocol": {p}}
	}
	sock := new(socket)
	upgrader := s.upgrader
	upgrader.EnableCompression = s.takeDeflate(r)
	defer func() {
		if upgrader.EnableCompression && !(upgraded && sock.deflates) {
			s.giveDeflate()
		}
	}()
	ws, err := upgrader.Upgrade(hijacker{w, sock}, r, header)
	if err != nil {
		return // answered by the upgrader's Error, or the client is gone
	}
	upgraded = true
	start.Accept = time.Since(arrived)
	s.startConn(ws, sock, start, r.Header.Get("Origin"), speak)
}

// checkUpgrade tells why a request for a WebSocket is refused before anything is spent on it.
func (s *Server) checkUpgrade(w http.ResponseWriter, r *http.Request) *refusal {
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Upgrade", "websocket")
		return &refusal{http.StatusUpgradeRequired, "upgrade_required", "this is a WebSocket endpoint", 0}
	}
	if _, ok := s.origins.check(r); !ok {
		return errOrigin
	}
	return nil
}

// checkRoom tells why a client of that room could not be served now. That is decided anew when it joins.
func (s *Server) checkRoom(name string) *refusal {
	if s.places.isFull(name) {
		return &refusal{http.StatusServiceUnavailable, "room_full", "the room has as many clients as it may", 5 * time.Second}
	}
	if after, ok := s.o.Rooms.Admit(name); !ok {
		return &refusal{http.StatusServiceUnavailable, "overloaded", "too many rooms are being opened", after}
	}
	return nil
}

// startConn starts the goroutine of an upgraded connection, which owns the place that was taken for it.
func (s *Server) startConn(ws *websocket.Conn, sock *socket, start ConnStart, origin string, speak func(*conn) endpoint) {
	start.ID = s.ids.Add(1)
	c := &conn{srv: s, start: start, origin: origin, nc: sock.Conn, ws: ws, sock: sock, born: time.Now()}
	c.in.between = !sock.deflates
	c.written.Add(1)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.out = room.NewOutbox(s.o.OutboxBytes, c.wake)
	c.address = s.addresses.join(clientNet(start.Remote.Addr()))
	c.in.limit = s.o.Limits.Message
	c.speaks = speak(c)
	sock.c = c
	ws.SetPingHandler(c.onPing)
	ws.SetPongHandler(func(string) error { return c.countControl() })
	ws.SetCloseHandler(func(int, string) error { return nil }) // the writer answers
	if s.o.Events.Opened != nil {
		s.o.Events.Opened(start)
	}
	if !s.conns.add(c) {
		c.end(protocol.Restarting.Closef("drained while joining"))
	}
	go c.run(nil) // in wg since its place was taken
}
