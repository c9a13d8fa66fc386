package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/proto"

	"weft/protocol/weftv1"
)

// subprotocol is the WebSocket subprotocol, which names the major version.
const subprotocol = "weft.v1.protobuf"

const (
	writeTimeout = time.Minute     // of one frame; a slow phone takes a few seconds for a large one
	byeTimeout   = 2 * time.Second // of the goodbye
	// silence is how long a server that names no interval of its own may say nothing.
	silence = 90 * time.Second
	// maxSaid is how many messages outside of rooms may wait to be written: answers to pings, tokens. A server that
	// asks faster than it reads loses its connection.
	maxSaid = 1024
)

// link is one connection. The goroutine of Client.run reads; link starts a writer, one that asks for tokens, and one
// that renews presence, and waits for them.
type link struct {
	// Static after the Welcome.
	client    *Client
	ws        *websocket.Conn
	hangUp    context.CancelCauseFunc
	limits    *weftv1.Limits
	flow      bool          // the server counts bytes
	keepAlive time.Duration // silence that means death

	expires atomic.Int64  // of the connection's token, Unix milliseconds; 0: never
	expiry  chan struct{} // holds one when expires has changed

	// Owned by the reader.
	rooms map[uint64]*Session
	parts assembler
	after time.Duration // when the server wants to be seen again, once the connection is gone
	since time.Time     // when it said so

	mu   sync.Mutex
	said []*weftv1.ClientEnvelope // to be written before what sessions have; guarded by mu
}

// ending is how a connection, or a try to get one, ended.
type ending struct {
	err    error
	lasted time.Duration // since the Welcome; 0: there was none
	after  time.Duration // when the server wants to be seen again; 0: it did not say
}

// connect connects and serves the connection until its end.
func (c *Client) connect(ctx context.Context) ending {
	ctx, hangUp := context.WithCancelCause(ctx)
	defer hangUp(nil)
	l := &link{
		client: c, hangUp: hangUp, keepAlive: silence, rooms: map[uint64]*Session{},
		expiry: make(chan struct{}, 1), parts: assembler{most: c.o.MaxMessage},
	}
	c.setLink(l) // so that GoOffline ends the try, too
	defer c.setLink(nil)
	if err := l.open(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return ending{err: err, after: l.after}
	}
	begun := time.Now()
	select {
	case <-c.nudged: // it was about getting here
	default:
	}
	c.setStatus(Status{State: Online})
	err := l.serve(ctx)
	end := ending{err: err, lasted: max(time.Since(begun), 1)}
	if l.after > 0 {
		end.after = max(l.after-time.Since(l.since), time.Millisecond)
	}
	return end
}

func (c *Client) setLink(l *link) {
	c.mu.Lock()
	c.link = l
	paused := c.paused
	c.mu.Unlock()
	if l != nil && paused {
		l.hangUp(ErrOffline)
	}
}

// open dials and shakes hands: WebSocket, Hello, Welcome.
func (l *link) open(ctx context.Context) error {
	o := &l.client.o
	token, err := askFor(ctx, o.Token)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.ConnectTimeout)
	defer cancel()
	dialer := websocket.Dialer{
		NetDialContext: o.DialContext, TLSClientConfig: o.TLS, Subprotocols: []string{subprotocol},
		Proxy: http.ProxyFromEnvironment,
	}
	ws, resp, err := dialer.DialContext(ctx, l.client.url, o.Header)
	if err != nil {
		if resp != nil && errors.Is(err, websocket.ErrBadHandshake) {
			return notUpgraded(resp)
		}
		return err
	}
	l.ws = ws
	stop := context.AfterFunc(ctx, func() { _ = ws.Close() }) // the read tells
	defer stop()
	ws.SetReadLimit(int64(o.MaxMessage))
	err = l.hello(ctx, token)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = ws.Close() // err is what went wrong
	}
	return err
}

// hello says who the client is and waits to be welcome.
func (l *link) hello(ctx context.Context, token string) error {
	if got := l.ws.Subprotocol(); got != subprotocol {
		return &RefusedError{Code: CodeUnsupported, Message: fmt.Sprintf("the server speaks %q, not %s", got, subprotocol)}
	}
	hello := weftv1.Hello_builder{
		Minor: 0, Token: token, Client: l.client.o.Name, Role: weftv1.Role_ROLE_CLIENT,
		Features: []weftv1.Feature{weftv1.Feature_FEATURE_FRAGMENTS, weftv1.Feature_FEATURE_FLOW},
	}.Build()
	if err := l.send(ctx, []*weftv1.ClientEnvelope{weftv1.ClientEnvelope_builder{Ref: refHello, Hello: hello}.Build()}); err != nil {
		return err
	}
	for l.limits == nil {
		if err := l.read(); err != nil {
			return err
		}
	}
	return nil
}

// serve reads until the connection ends, and returns why.
func (l *link) serve(ctx context.Context) error {
	hurry := context.AfterFunc(ctx, func() {
		_ = l.ws.NetConn().SetWriteDeadline(time.Now().Add(byeTimeout)) // also for a write that is under way
	})
	defer hurry()
	var wg sync.WaitGroup
	wg.Go(func() { l.write(ctx) })
	wg.Go(func() { l.tokens(ctx) })
	wg.Go(func() { l.renew(ctx) })
	poke(l.client.roomTokens)
	var err error
	for err == nil {
		err = l.read()
	}
	l.hangUp(errLost)
	if errors.Is(context.Cause(ctx), errLost) {
		_ = l.ws.Close() // so that a write that is under way ends
	}
	wg.Wait()
	for _, s := range l.client.all() {
		s.disconnected()
	}
	if cause := context.Cause(ctx); !errors.Is(cause, errLost) {
		err = cause
	}
	return err
}

// renew says every now and then that those who are here still are.
func (l *link) renew(ctx context.Context) {
	tick := time.NewTicker(renewPresence)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for _, s := range l.client.all() {
				s.renewPresence()
			}
			l.client.wake()
		}
	}
}

// write writes what there is to say until ctx ends, then says goodbye if it is this side that goes, and closes the
// connection, which ends the reader.
func (l *link) write(ctx context.Context) {
	defer func() { _ = l.ws.Close() }() // nothing is under way
	for ctx.Err() == nil {
		envelopes := l.collect()
		if len(envelopes) == 0 {
			select {
			case <-ctx.Done():
			case <-l.client.woken:
			}
			continue
		}
		if err := l.send(ctx, envelopes); err != nil {
			l.hangUp(err)
		}
	}
	if cause := context.Cause(ctx); !errors.Is(cause, ErrOffline) && !errors.Is(cause, ErrClosed) {
		return
	}
	bye := weftv1.Closing_builder{Code: weftv1.Code_CODE_NORMAL}.Build()
	deadline := time.Now().Add(byeTimeout)
	if packed, err := frames([]*weftv1.ClientEnvelope{weftv1.ClientEnvelope_builder{Closing: bye}.Build()}, 0); err == nil {
		_ = l.ws.SetWriteDeadline(deadline)
		_ = l.ws.WriteMessage(websocket.BinaryMessage, packed[0]) // a courtesy
	}
	_ = l.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), deadline) // likewise
}

// collect returns what is to be written now.
func (l *link) collect() []*weftv1.ClientEnvelope {
	l.mu.Lock()
	out := l.said
	l.said = nil
	l.mu.Unlock()
	now := time.Now()
	for _, s := range l.client.all() {
		out = append(out, s.collect(l, now)...)
	}
	return out
}

// send writes envelopes in as few frames as they fit into.
func (l *link) send(ctx context.Context, envelopes []*weftv1.ClientEnvelope) error {
	packed, err := frames(envelopes, int(l.limits.GetMaxFrameBytes()))
	if err != nil {
		return err
	}
	for _, frame := range packed {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := l.ws.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		if err := l.ws.WriteMessage(websocket.BinaryMessage, frame); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}

// say has the writer send an envelope that is not a session's.
func (l *link) say(e *weftv1.ClientEnvelope) {
	l.mu.Lock()
	l.said = append(l.said, e)
	full := len(l.said) > maxSaid
	l.mu.Unlock()
	if full {
		l.hangUp(errors.New("the server asks more than it reads"))
	}
	l.client.wake()
}

func (l *link) sayLeave(roomID uint64) {
	l.say(weftv1.ClientEnvelope_builder{Leave: weftv1.Leave_builder{RoomId: roomID}.Build()}.Build())
}

// read reads one message and does what it says. Any error ends the connection.
func (l *link) read() error {
	if err := l.ws.SetReadDeadline(time.Now().Add(l.keepAlive)); err != nil {
		return err
	}
	kind, data, err := l.ws.ReadMessage()
	if err != nil {
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok && closed.Code != websocket.CloseAbnormalClosure {
			return closedBy(closed)
		}
		return fmt.Errorf("read: %w", err)
	}
	if kind != websocket.BinaryMessage {
		return errors.New("the server sent a text message")
	}
	batch := new(weftv1.ServerBatch)
	if err := proto.Unmarshal(data, batch); err != nil {
		return fmt.Errorf("decode message: %w", err)
	}
	for _, e := range batch.GetEnvelopes() {
		if err := l.handle(e); err != nil {
			return err
		}
	}
	return nil
}
