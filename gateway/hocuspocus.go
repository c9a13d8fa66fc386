package gateway

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"weft/protocol"
)

// Bounds of one Hocuspocus connection. The first three are the reference server's (@hocuspocus/server 4.7.0).
const (
	maxQueuedBytes    = 5 << 20 // of messages whose token is not looked at yet
	maxQueuedMessages = 1_000   // of them
	maxPending        = 100     // documents without a token, and tokens being looked at, each
	maxPlaces         = 1_000   // documents; guessed
	maxSessions       = 8       // of them in one room, which differ by the session id of their address; guessed
	maxBarred         = 100     // times that a client may be told that it may not enter; guessed
	// maxStranger is maxQueuedBytes, and the longest message, of a client that was not let in yet where tokens are looked at: room
	// for what providers send with their tokens. More is not read while a token is being looked at.
	maxStranger = 64 << 10
	// lonelyTime is how long a connection may stay that was in a room and is in none, and one that was never in any
	// after its first token: a page may open another document, or fetch a better token.
	lonelyTime = 60 * time.Second
)

// serveHocuspocus is GET /hocuspocus, the endpoint of the Hocuspocus provider. Documents are named in messages, so what
// follows in the path says nothing.
func (s *Server) serveHocuspocus(w http.ResponseWriter, r *http.Request) {
	token := requestToken(r)
	s.upgrade(w, r, ConnStart{Protocol: "hocuspocus"}, func(c *conn) endpoint {
		h := &hocuspocus{conn: c, token: token, places: map[string]*hpPlace{}, asking: make(chan struct{}, maxPending)}
		h.verdict.L = &h.mu
		return h
	})
}

// hocuspocus is the endpoint of the Hocuspocus provider, versions 2 to 4: many documents on one connection, each with a
// token and a place of its own. A refusal ends one document and leaves the connection open, so that its client can show
// a better token. Providers come back to a document by themselves only when they reconnect; so what may be retried ends
// the connection.
type hocuspocus struct {
	// Static after construction.
	conn   *conn
	token  string        // of the handshake, for documents whose own token is empty
	asking chan struct{} // a slot for each token being looked at; while there is none the socket is not read

	// Owned by the conn's goroutine.
	places map[string]*hpPlace // by address
	spoken bool                // a message was understood
	until  time.Duration       // age until which a stranger may stay; 0: no token, nor the want of one, was looked at yet

	// Guarded by mu.
	mu       sync.Mutex
	verdict  sync.Cond     // on mu: known or looking is another
	bytes    int           // of queued messages
	messages int           // queued
	barred   int           // times that the client was told that it may not enter
	known    bool          // a place was entered
	looking  int           // first tokens of places that are being looked at
	lonely   time.Duration // age at which a place that was entered ended last
}

func (h *hocuspocus) start() error { return nil }

func (h *hocuspocus) receive(frame []byte) error {
	address, m, err := protocol.DecodeHocuspocus(frame, h.conn.srv.o.Limits)
	if err != nil {
		return h.misspoke(address, closeError(err))
	}
	h.spoken = true
	switch {
	case m.Kind == protocol.Ping:
		h.conn.say((protocol.Hocuspocus{}).Append(nil, protocol.Message{Kind: protocol.Pong}))
		return nil
	case m.Kind == protocol.Pong || m.Kind == protocol.Ignored:
		return nil
	}
	p := h.places[string(address)]
	if m.Kind == protocol.Leave {
		h.left(address, p)
		return nil
	}
	if p == nil || (m.Kind == protocol.Token && p.isBarred()) {
		if p, err = h.open(address); p == nil {
			return err
		}
	}
	h.conn.in.room = p.attachment.room
	return p.take(m)
}

// misspoke handles a frame that cannot be read: the document that it names ends, and without one the connection does.
func (h *hocuspocus) misspoke(address []byte, why *protocol.CloseError) error {
	if p := h.places[string(address)]; address != nil && p != nil {
		h.conn.in.room = p.attachment.room
		p.attachment.end(why)
		return nil
	}
	if !h.spoken && why.Reason == protocol.Malformed { // a stranger who speaks something else
		return &protocol.CloseError{Reason: protocol.Unauthorized, Detail: "first message", Cause: why}
	}
	return why
}

// left answers a client that leaves a document. Providers take themselves out of their socket's list before they read
// the answer, so that those whose version knows no such message are not disturbed.
func (h *hocuspocus) left(address []byte, p *hpPlace) {
	if p == nil {
		return
	}
	delete(h.places, string(address))
	p.attachment.leave()
	p.drop()
	p.say(protocol.Message{Kind: protocol.Leave, Data: []byte("provider_initiated")})
	h.mu.Lock()
	entered := p.entered
	h.mu.Unlock()
	if entered {
		h.lonelySince()
	}
}

// lonelySince notes that a place that was entered has ended just now.
func (h *hocuspocus) lonelySince() {
	now := h.conn.age()
	h.mu.Lock()
	h.lonely = now
	h.mu.Unlock()
}

// refused notes that the client was told that it may not enter. One that does not take that for an answer is ended.
func (h *hocuspocus) refused() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.barred++; h.barred > maxBarred {
		return protocol.Unauthorized.Closef("refused %d times", h.barred)
	}
	return nil
}

// open makes a place of an address; nil when the name is none that a room can have or the room has maxSessions of them,
// which the client was told, or when the connection is to end with the error.
func (h *hocuspocus) open(address []byte) (*hpPlace, error) {
	name, _, err := protocol.SplitAddress(address)
	if err == nil && h.sessions(string(name), string(address)) >= maxSessions {
		err = fmt.Errorf("more than %d sessions of one connection", maxSessions)
	}
	if err != nil {
		d := protocol.Hocuspocus{Address: string(address)}
		h.conn.say(d.Append(nil, protocol.Message{Kind: protocol.Barred, Data: []byte(err.Error())}))
		return nil, h.refused()
	}
	if len(h.places) >= maxPlaces {
		return nil, protocol.Flooded.Closef("more than %d documents", maxPlaces)
	}
	p := &hpPlace{h: h, since: h.conn.age(), queueing: true}
	p.attachment = attachment{
		conn: h.conn, room: string(name), dialect: protocol.Hocuspocus{Address: string(address)}, acks: true, voice: p,
	}
	h.places[string(address)] = p
	return p, nil
}

// sessions counts the places in a room, but for the one with the given address.
func (h *hocuspocus) sessions(name, address string) (n int) {
	for other, p := range h.places {
		if other != address && p.attachment.room == name && !p.isBarred() {
			n++
		}
	}
	return n
}

// due lets documents in, or not, whose token has not come, and ends a connection that is in no room for too long. What a
// stranger sends does not prolong its time: that is AuthTime for the first token, and lonelyTime from then on.
func (h *hocuspocus) due(now time.Duration) (next time.Duration, why *protocol.CloseError) {
	authTime := h.conn.srv.o.AuthTime
	stranger := h.isStranger()
	busy := false
	for _, p := range h.places {
		late := p.since + authTime
		if stranger && h.until == 0 {
			late = authTime
		}
		switch {
		case p.isBarred():
		case p.asked:
			busy = true
		case now < late:
			if next == 0 || late < next {
				next = late
			}
		default:
			busy = true
			if err := p.ask(""); err != nil {
				return 0, closeError(err)
			}
		}
	}
	if busy && !stranger {
		return next, nil
	}
	late, why := h.patience(stranger)
	if now >= late {
		return 0, why
	}
	if next == 0 || late < next {
		next = late
	}
	return next, nil
}

// isStranger tells whether the client was never let in where tokens are looked at.
func (h *hocuspocus) isStranger() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.known && h.conn.srv.o.Auth != nil
}

// letIn implements guarded.
func (h *hocuspocus) letIn() bool {
	if h.conn.srv.o.Auth == nil {
		return true
	}
	began := h.conn.age()
	h.mu.Lock()
	waited := false
	for !h.known && h.looking > 0 {
		waited = true
		h.verdict.Wait() // for what ends with the connection
	}
	known := h.known
	h.mu.Unlock()
	if waited {
		now := h.conn.age()
		h.conn.in.messageStart += now - began
		h.conn.rested(pausedByToken, now-began)
	}
	return known
}

// patience returns until when, and then why not any more, a connection that is in no room may stay.
func (h *hocuspocus) patience(stranger bool) (late time.Duration, why *protocol.CloseError) {
	authTime := h.conn.srv.o.AuthTime
	if stranger && h.until == 0 {
		return authTime, protocol.Unauthorized.Closef("no token in %v", authTime)
	}
	why = protocol.TimedOut.Closef("in no room for %v", lonelyTime)
	if stranger {
		return h.until, why
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lonely + lonelyTime, why
}

func (h *hocuspocus) drain(time.Duration) {}

func (h *hocuspocus) farewell(*protocol.CloseError) []byte { return nil }

func (h *hocuspocus) leave() {
	for _, p := range h.places {
		p.attachment.leave()
		p.drop()
	}
}
