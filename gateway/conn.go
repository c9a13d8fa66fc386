package gateway

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"weft/gateway/auth"
	"weft/protocol"
	"weft/room"
)

// conn is one WebSocket connection, from the upgrade to its end: the socket with its reader, its writer, its clocks and
// its limits. What its client says, and in which rooms it is, is the business of its endpoint.
type conn struct {
	// Static after construction.
	srv      *Server
	start    ConnStart
	origin   string   // of the page, as its browser says; empty when the client is none
	speaks   endpoint // what is spoken on it
	nc       net.Conn // the connection below socket; only write and the deadlines touch it directly
	ws       *websocket.Conn
	sock     *socket // what ws reads
	out      *room.Outbox
	born     time.Time
	cutAbove int             // bytes of a payload above which it is sent in fragments of the native protocol; 0: none is
	ctx      context.Context // ends with the connection; its end is what joins and sessions wait for
	cancel   context.CancelFunc
	address  *share[netip.Prefix] // what those of its address may; nil: no bound
	user     atomic.Pointer[share[string]]
	who      atomic.Pointer[auth.User]

	written sync.WaitGroup // done after the last write of the writer
	tasks   sync.WaitGroup // goroutines of the endpoint, which end with ctx; run waits for them

	// Owned by run and doze, of which there is one.
	in  incoming
	own *allowance // what this connection may send; nil: it has sent nothing lately

	// Set by the connection's goroutine, read by anyone.
	inRoom atomic.Bool // it has entered a room at least once
	quiet  atomic.Bool // it dozes

	// Counted by the writer, read by anyone.
	bytesOut    atomic.Int64
	messagesOut atomic.Int64

	// Guarded by the lock of Server.places.
	users []string // one for each place of a user with an id

	// Guarded by mu.
	mu      sync.Mutex
	writing bool                 // a writer goroutine exists
	pending bool                 // there may be something to write
	ping    bool                 // a ping is due
	said    int32                // bytes that say has queued since everything was written
	pong    []byte               // the payload of the newest ping of the client, nil when it is answered
	ending  *protocol.CloseError // why the connection ends, the first reason given; nil while it does not
	endBy   time.Duration        // when ending: the deadline of what is left to write and read, since born
}

const (
	// closeTime bounds the end of a connection: the last writes, the close frame and the wait for its answer.
	closeTime = 5 * time.Second
	// discardTime bounds the wait for a client whose frames can no longer be understood.
	discardTime = time.Second
)

// run is the connection's goroutine while something happens. It hands over to doze when its client is quiet, and returns
// when nothing of the connection is left. err is what doze was woken by: nil, as at first, or an error of peek.
func (c *conn) run(err error) {
	why := c.serve(err)
	if why == nil {
		go c.doze() // in wg since its place was taken
		return
	}
	defer c.srv.conns.give(c.start.Remote.Addr())
	c.end(why)
	c.written.Wait()
	c.tasks.Wait()
	c.discard()
	c.srv.users.leave(c.user.Swap(nil))
	c.srv.addresses.leave(c.address)
	c.out.Close()
	c.sock.buf.giveBack()
	if c.sock.deflates {
		c.srv.giveDeflate()
	}
	_ = c.nc.Close() // nothing to do about an error of a socket that is given up
	c.srv.conns.remove(c)
	if c.srv.o.Events.Closed != nil {
		c.srv.o.Events.Closed(c.summary())
	}
}

func (c *conn) summary() ConnEnd {
	c.mu.Lock()
	why := c.ending
	c.mu.Unlock()
	start, user := c.start, auth.User{}
	if c.in.room != "" {
		start.Room = c.in.room
	}
	if u := c.who.Load(); u != nil {
		user = *u
	}
	detail := why.Detail
	if why.Cause != nil {
		if detail != "" {
			detail += ": "
		}
		detail += why.Cause.Error()
	}
	return ConnEnd{
		ConnStart: start, User: user, Client: c.in.client, Reason: why.Reason, Detail: detail, Duration: c.age(),
		BytesIn: c.in.bytes.Load(), BytesOut: c.bytesOut.Load(), MessagesIn: c.in.messages, MessagesOut: c.messagesOut.Load(),
	}
}

// serve hands the endpoint every message, and goes on reading when the connection is to end, for the client's answer to
// the close frame: closing a socket with unread bytes in it resets the connection, and the client would lose the close
// code with it. It returns when nothing more can be read, with the reason for that, and with nil when the connection may
// doze. err is that of run.
func (c *conn) serve(err error) (why *protocol.CloseError) {
	defer func() {
		if v := recover(); v != nil {
			c.srv.panicked("connection", v)
			c.in.broken = true
			why = protocol.Internal.Closef("panic")
		}
		if why != nil {
			c.giveMemory() // of a message whose handling panicked
			c.speaks.leave()
		}
	}()
	if c.in.started {
		err = c.rouse(err)
	} else {
		c.in.started = true
		if err := c.speaks.start(); err != nil {
			c.end(closeError(err))
		}
	}
	if err == nil {
		c.armRead(dozeAfter)
	}
	for {
		if err == nil {
			err = c.peek()
		}
		if err == nil {
			err = c.receive()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if err = c.watch(); err == nil && c.mayDoze() {
				return nil
			}
			c.armRead(dozeAfter)
		}
		if err != nil {
			return c.readFailure(err)
		}
	}
}

// receive takes what peek has found, the rest of which it waits for.
func (c *conn) receive() error {
	if taken, err := c.takeControl(); taken || err != nil {
		return err
	}
	frame, ok, err := c.readMessage()
	if err != nil || !ok {
		return err
	}
	err = c.speaks.receive(frame)
	c.giveMemory()
	if err != nil {
		c.end(closeError(err))
	}
	c.pace(len(frame))
	return nil
}

// Bounds of what a connection says by itself, beside what rooms tell: answers to tokens, goodbyes, pongs.
const (
	maxSaid = 256 << 10 // bytes that the client has not read, each frame counted with sayCost more; guessed
	sayCost = 64
)

// say queues a frame of the connection's own behind everything that rooms have told it. Full case: a client that makes
// the server say more than maxSaid without reading it is ended. Any goroutine may call it.
func (c *conn) say(frame []byte) {
	c.mu.Lock()
	c.said = int32(min(int(c.said)+len(frame)+sayCost, math.MaxInt32))
	said := c.said
	c.mu.Unlock()
	if said > maxSaid {
		c.end(protocol.TooSlow.Closef("%d bytes of answers not read", said))
		return
	}
	c.out.Offer(frame)
}

// closeError finds the reason in an error of the room or the dialect; an error without one is a mistake of ours.
func closeError(err error) *protocol.CloseError {
	if ce, ok := errors.AsType[*protocol.CloseError](err); ok {
		return ce
	}
	return &protocol.CloseError{Reason: protocol.Internal, Cause: err}
}

// readFailure turns an error that no read can follow into the reason for which the connection ends.
func (c *conn) readFailure(err error) *protocol.CloseError {
	if ce, ok := errors.AsType[*protocol.CloseError](err); ok { // from readSocket, through gorilla
		c.in.broken = true
		return ce
	}
	if c.in.failed != nil {
		return &protocol.CloseError{Reason: protocol.Lost, Cause: c.in.failed}
	}
	if ce, ok := errors.AsType[*websocket.CloseError](err); ok {
		return protocol.Normal.Closef("closed by the client with %d", ce.Code) // its text is the client's own, not for logs
	}
	c.in.broken = true
	return &protocol.CloseError{Reason: protocol.Malformed, Cause: err}
}

// end gives the reason why the connection ends; the first one given counts. It returns at once: the writer sends what
// is queued and the close frame, and the reader is woken. Any goroutine may call it.
func (c *conn) end(why *protocol.CloseError) {
	c.mu.Lock()
	if c.ending == nil {
		c.ending = why
		now := time.Now()
		c.endBy = now.Sub(c.born)
		if why.Reason != protocol.Lost {
			c.endBy += closeTime
		}
		// Errors of a socket that is gone: its reads and writes will tell.
		_ = c.nc.SetReadDeadline(now)
		_ = c.nc.SetWriteDeadline(c.born.Add(c.endBy))
	}
	c.mu.Unlock()
	c.cancel() // a Join or Handle that waits gives up
	c.wake()
}

// discard reads what a client sends whose frames can no longer be understood, until it hangs up or had its time.
func (c *conn) discard() {
	if !c.in.broken || c.nc.SetReadDeadline(time.Now().Add(discardTime)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, onlyReader{c.nc}) // ends with the deadline or the client; both are fine
}

// onlyReader hides the connection's other methods from io.Copy.
type onlyReader struct{ io.Reader }

// age returns the time since the upgrade.
func (c *conn) age() time.Duration { return time.Since(c.born) }
