package gateway

import (
	"net/http"
	"net/url"
	"time"

	"weft/protocol"
)

// yWebsocketName is the protocol's name in events.
const yWebsocketName = "y-websocket"

// serveYWebsocket is GET /yjs/{room...}, the endpoint of the y-websocket provider. The provider puts the room's name into
// the path as it is, so the name is all that follows, slashes included, percent-decoded once.
func (s *Server) serveYWebsocket(w http.ResponseWriter, r *http.Request, escaped string) {
	name, f := roomName(escaped)
	if f != nil {
		s.refuse(w, r, f)
		return
	}
	token := requestToken(r)
	s.upgrade(w, r, ConnStart{Room: name, Protocol: yWebsocketName}, func(c *conn) endpoint {
		y := &yWebsocket{token: token}
		y.place = attachment{conn: c, room: name, dialect: protocol.YWebsocket{}, voice: y}
		return y
	})
}

// yWebsocket is the endpoint of the y-websocket provider: one room for each connection, whose place and whose connection
// end together. A refused token is told after the upgrade, because pages are not shown the status of a failed handshake:
// with the protocol's own message, which the provider prints, and with a close code that makes it stop.
type yWebsocket struct {
	token string // until it was looked at
	place attachment
}

func (y *yWebsocket) start() error {
	g, err := y.place.conn.authorize(y.token, y.place.room)
	y.token = ""
	if err != nil {
		y.give(err)
		return err
	}
	if err := y.place.enter(g); err != nil {
		y.give(err)
		return err
	}
	return nil
}

// give gives the place up because of err, unless the connection is ending anyway.
func (y *yWebsocket) give(err error) {
	if y.place.conn.ctx.Err() == nil {
		y.place.finish(closeError(err))
	}
}

func (y *yWebsocket) receive(frame []byte) error {
	m, err := protocol.YWebsocket{}.Decode(frame, y.place.conn.srv.o.Limits)
	if err != nil {
		return err
	}
	return y.place.handle(m)
}

func (y *yWebsocket) due(time.Duration) (time.Duration, *protocol.CloseError) { return 0, nil }

func (y *yWebsocket) drain(time.Duration) {}

func (y *yWebsocket) farewell(*protocol.CloseError) []byte { return nil }

func (y *yWebsocket) leave() { y.place.leave() }

// changed says nothing: the room tells a reader once, when it writes, and asks a writer for what it has.
func (y *yWebsocket) changed(bool) {}

// renew does nothing: the protocol has no word for it, and a y-websocket client gets a new token by connecting anew.
func (y *yWebsocket) renew() {}

func (y *yWebsocket) over(why *protocol.CloseError) {
	if bars(why.Reason) {
		denied := protocol.Message{Kind: protocol.Denied, Data: []byte(why.Reason.Text)}
		y.place.conn.say(y.place.dialect.Append(nil, denied))
	}
	y.place.conn.end(why)
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
