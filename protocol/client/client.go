// Package client is a client of Weft's native protocol: it keeps documents in step with rooms of a server, over one
// connection, and through the times when there is none.
//
// A Client owns the connection. It connects again by itself when that is lost, after a pause that grows and is drawn
// at random, or that the server has named, until a refusal is final. A Session is a membership in one room: a live
// document, the others who are there, and what is saved. Edits work at any time; when the room is reached again the
// session resumes from its position, or by state vectors, and only what is missing travels.
//
// Everything may be called from several goroutines. Nothing is dropped while it waits for a slow connection: edits are
// merged, presence is replaced, and the server is told how much this side can take.
//
// What the messages mean is written in protocol/PROTOCOL.md.
package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Options configures a Client. The zero value is a client without a token.
type Options struct {
	// Token returns what shows who the client is; nil: nothing. It is called before each connect, when the server asks
	// for a newer one, and once more when it refused one; it may block and is given 30 s. An error is taken for one of
	// the connection: another try follows.
	Token func(context.Context) (string, error)
	// Name is the program and its version, for the server's logs; "": "weft-go".
	Name string
	// Header is sent with the handshake; it must not be changed later.
	Header http.Header
	// DialContext makes the connection below the WebSocket; nil: TCP.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS configures wss; nil: the defaults of package tls.
	TLS *tls.Config
	// ConnectTimeout bounds connecting until the server's Welcome; 0: 20 s.
	ConnectTimeout time.Duration
	// MaxMessage bounds a message of the server in bytes, which is as much as a document may have; 0: 256 MiB.
	MaxMessage int
	// Status is called when the state of the connection changes, by the goroutine that connects: it must not block.
	Status func(Status)
}

// Defaults of Options.
const (
	defaultName           = "weft-go"
	defaultConnectTimeout = 20 * time.Second
	defaultMaxMessage     = 256 << 20 // bytes
)

// Status is the state of a client's connection.
type Status struct {
	State State
	// Err is why there is no connection, and Retry when the next try is; zero: not before GoOnline.
	Err   error
	Retry time.Time
}

// State is what a connection is doing.
type State uint8

// The states.
const (
	Offline State = iota
	Connecting
	Online
	Ended // for good
)

// String returns the name of the state in lower case.
func (s State) String() string {
	return [...]string{"offline", "connecting", "online", "ended"}[s]
}

// errLost is the cause of a connection's end that neither this side nor the server's goodbye has given one.
var errLost = errors.New("the connection has ended")

// A Client keeps one connection to a server for any number of rooms. Make it with New or Dial and end it with Close.
type Client struct {
	// Static after construction.
	url    string
	o      Options
	stop   context.CancelCauseFunc // ends run
	done   chan struct{}           // closed when run has ended
	woken  chan struct{}           // holds one when there may be something to write
	nudged chan struct{}           // holds one when paused has changed
	// For the goroutine that asks for tokens: each holds one when the connection, or rooms, need a newer one.
	refresh, roomTokens chan struct{}
	wg                  sync.WaitGroup // run, and the goroutines of sessions

	mu sync.Mutex

	// Guarded by mu.
	sessions map[uint32]*Session
	lastRef  uint32
	paused   bool
	closed   bool
	link     *link // nil: not welcome anywhere
	status   Status
	changed  chan struct{} // closed at the next change of status
	err      error         // why run has ended
}

// References of messages that are not about rooms. Sessions have two each, from 4 on.
const (
	refHello   = 1
	refRefresh = 2
)

// New returns a client of the server at a ws or wss URL, such as ws://127.0.0.1:8080/native, which it begins to
// connect to. An error is that of the URL.
func New(address string, o Options) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
		return nil, fmt.Errorf("%q is not a ws or wss URL", address)
	}
	if o.Name == "" {
		o.Name = defaultName
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = defaultConnectTimeout
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = defaultMaxMessage
	}
	ctx, stop := context.WithCancelCause(context.Background())
	c := &Client{
		url: address, o: o, stop: stop,
		done: make(chan struct{}), woken: make(chan struct{}, 1), nudged: make(chan struct{}, 1),
		refresh: make(chan struct{}, 1), roomTokens: make(chan struct{}, 1),
		sessions: map[uint32]*Session{}, lastRef: refRefresh, changed: make(chan struct{}),
	}
	c.wg.Go(func() { c.run(ctx) })
	return c, nil
}

// Dial is New, and waits until the server has welcomed the client. While ctx lives it tries again; the error is a
// final *RefusedError, or the cause of ctx with the last failure.
func Dial(ctx context.Context, address string, o Options) (*Client, error) {
	c, err := New(address, o)
	if err != nil {
		return nil, err
	}
	if err := c.WaitOnline(ctx); err != nil {
		c.abandon()
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	return c, nil
}

// abandon ends the client without waiting for anything to be saved.
func (c *Client) abandon() {
	c.stop(ErrClosed)
	c.wg.Wait()
}

// WaitOnline waits until there is a connection. It returns why there will be none, or the cause of ctx with the last
// failure.
func (c *Client) WaitOnline(ctx context.Context) error {
	for {
		c.mu.Lock()
		status, changed := c.status, c.changed
		c.mu.Unlock()
		switch status.State {
		case Online:
			return nil
		case Ended:
			return status.Err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), status.Err)
		}
	}
}

// Join opens a session and waits until it has the server's document. On an error, as of Session.WaitSynced, there is
// no session.
func (c *Client) Join(ctx context.Context, room string, o JoinOptions) (*Session, error) {
	s, err := c.Open(room, o)
	if err != nil {
		return nil, err
	}
	if err := s.WaitSynced(ctx); err != nil {
		s.end(ErrClosed)
		<-s.told
		return nil, err
	}
	return s, nil
}

// Open returns a session at once, whose document is empty, or JoinOptions.Copy, until the server is reached. A room
// can be open only once in a client.
func (c *Client) Open(room string, o JoinOptions) (*Session, error) {
	c.mu.Lock()
	c.lastRef += 2
	ref := c.lastRef
	c.mu.Unlock()
	s, err := newSession(c, ref, room, o)
	if err != nil {
		return nil, err
	}
	if err := c.add(s); err != nil {
		return nil, err
	}
	if o.Token != nil {
		poke(c.roomTokens)
	}
	poke(c.nudged)
	c.wake()
	return s, nil
}

// add makes s known and starts the goroutine that tells its events.
func (c *Client) add(s *Session) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.status.State == Ended {
		return cmp.Or(c.err, ErrClosed)
	}
	for _, other := range c.sessions {
		if other.room == s.room {
			return fmt.Errorf("room %q is open in this client already", s.room)
		}
	}
	c.sessions[s.ref] = s
	c.wg.Go(s.tell)
	return nil
}

// GoOffline gives the connection up and makes no other until GoOnline. Sessions stay, and take edits.
func (c *Client) GoOffline() { c.pause(true) }

// GoOnline ends GoOffline, and any pause before another try: programs call it when they learn that there is a network
// again.
func (c *Client) GoOnline() { c.pause(false) }

func (c *Client) pause(paused bool) {
	c.mu.Lock()
	c.paused = paused
	link := c.link
	c.mu.Unlock()
	if paused && link != nil {
		link.hangUp(ErrOffline)
	}
	poke(c.nudged)
}

// Status returns the state of the connection.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// Done is closed when the client has ended for good, after Close or a final refusal.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the client has ended: ErrClosed or a *RefusedError; nil while it has not.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status.State != Ended {
		return nil
	}
	return c.err
}

// Close closes all sessions as Session.Close does, says goodbye to the server and returns when everything that the
// client started has ended. When ctx ends first it does so at once, and the error matches ErrUnsaved if edits were
// not saved. It must not be called by an event.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	errs := make(chan error)
	sessions := c.all()
	for _, s := range sessions {
		go func() { errs <- s.Close(ctx) }() // waited for below
	}
	var err error
	for range sessions {
		err = errors.Join(err, <-errs)
	}
	c.abandon()
	return err
}

// all returns the sessions in the order in which they were opened.
func (c *Client) all() []*Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*Session
	for _, ref := range slices.Sorted(maps.Keys(c.sessions)) {
		all = append(all, c.sessions[ref])
	}
	return all
}

// forget removes a session that has ended.
func (c *Client) forget(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, s.ref)
}

// session returns the session that sent something under ref, or nil.
func (c *Client) session(ref uint32) *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessions[ref&^1]
}

// wake has the writer look for something to write.
func (c *Client) wake() { poke(c.woken) }

// current returns the present connection, or nil.
func (c *Client) current() *link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link
}

// leave gives up the place of a session that has ended.
func (c *Client) leave(roomID uint64) {
	if l := c.current(); l != nil {
		l.sayLeave(roomID)
	}
}

// poke puts one into a channel that holds one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
