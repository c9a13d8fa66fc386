package gateway

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"weft/protocol"
)

// Times of a connection's reading side.
const (
	// A client that was silent for pingAfter is pinged, and given up after deadAfter. These pings are for the server's
	// knowledge; what keeps a browser's side content is the room's business, for providers count messages only.
	pingAfter = 15 * time.Second
	deadAfter = 35 * time.Second
	// A message must arrive within messageTime and a second more for every messageRate bytes of it, so that a large
	// one passes a slow link and a trickled one does not hold its memory.
	messageTime = 30 * time.Second
	messageRate = 64 << 10 // bytes
)

// Bounds of what a client may send beside payload.
const (
	maxControls = 10 // pings and pongs in any second; a browser answers one ping in 15 s
	// maxOverhead bounds the bytes of one message that are not payload. A frame adds 6 to 14 of them, so a message may
	// come in at least 1,024 frames and in at most about 2,500; gorilla does not tell frames, but bytes can be counted.
	maxOverhead = 1024*14 + readBuffer
)

// incoming is the reading side of a conn; it belongs to the goroutine that runs it.
type incoming struct {
	started   bool    // the endpoint was
	lingering bool    // the connection is ending: messages are read for the sake of the close frame behind them
	broken    bool    // the frames can no longer be understood
	between   bool    // the next byte is the first of a frame, and no message is unfinished; not known with compression
	inMessage bool    // between a message's first frame header and its end
	peeking   bool    // a read that ends with the deadline, see peek
	controls  uint8   // pings and pongs in this second
	unread    uint8   // bytes at the beginning of first
	first     [8]byte // what doze has read
	failed    error   // the socket's own error, or what gave it up

	client string // what the client calls itself
	limit  int    // bytes of a message
	more   int    // messages of the protocol in the last one, beyond the first
	room   string // of the last message, where the connection may be in several

	bytes    atomic.Int64 // read by anyone
	messages int64
	lastRead time.Duration // since the connection was born
	armed    time.Duration // the read deadline, since then; 0: it has expired, and watch was called
	pinged   bool          // since then

	messageStart time.Duration // since the connection was born, without the waits for memory
	startBytes   int64         // value of bytes at its start
	payload      int64         // bytes of it that were delivered

	memory claim   // of the message
	budget *budget // that it is taken from

	excess      time.Duration // when the client began to send more than it may
	restedUntil time.Duration // end of the last rest for that, 0: there was none

	controlSecond time.Duration // start of the second in which controls are counted
}

// messageBuffers holds *[]byte for messages that are being read, so that an idle connection has none.
var messageBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// freeBuffer is the size of a message buffer up to which it goes back to the pool and is not counted in Server.memory.
const freeBuffer = 16 << 10 // bytes

// errStranger is why a message is skipped: it is long, and its sender was not let in. What providers send before their
// tokens is in their SyncStep2 again.
var errStranger = errors.New("a long message of a stranger")

// grow makes room for more of a message, in a buffer of at most largest bytes. A buffer counts twice, for what it is
// copied from while it grows, and into when the message is whole. The error is errStranger, or that of a connection that
// is ending.
func (c *conn) grow(buf *[]byte, largest int) error {
	size := max(min(2*cap(*buf), largest), len(*buf)+1)
	if size > maxStranger && c.staysStranger() {
		return errStranger
	}
	if size > freeBuffer {
		began := c.age()
		waited, err := c.in.budget.take(c.ctx, &c.in.memory, int64(2*size)-c.in.memory.held)
		if waited {
			now := c.age()
			c.in.messageStart += now - began
			c.rested(pausedByMemory, now-began)
		}
		if err != nil {
			return err
		}
	}
	*buf = append(make([]byte, 0, size), *buf...)
	return nil
}

// giveMemory gives back what the message that was read holds.
func (c *conn) giveMemory() {
	if c.in.budget != nil {
		c.in.budget.give(&c.in.memory)
	}
}

// readMessage waits for the next message and returns its bytes, which are the caller's. ok is false when there is
// nothing to handle: the connection is ending, perhaps because of this message. An error is final.
func (c *conn) readMessage() (frame []byte, ok bool, err error) {
	c.in.between = false
	kind, r, err := c.ws.NextReader()
	if err != nil {
		return nil, false, err
	}
	if c.in.lingering {
		return nil, false, nil // the next call skips it
	}
	if kind != websocket.BinaryMessage {
		c.end(protocol.Malformed.Closef("text frame"))
		return nil, false, nil
	}
	c.in.inMessage, c.in.messageStart, c.in.startBytes, c.in.payload = true, c.age(), c.in.bytes.Load(), 0
	c.in.budget = c.budget()
	defer func() {
		c.in.inMessage = false
		if !ok {
			c.giveMemory()
		}
	}()

	buf := messageBuffers.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= freeBuffer {
			*buf = (*buf)[:0]
			messageBuffers.Put(buf)
		}
	}()
	limit := c.in.limit
	for {
		if len(*buf) == cap(*buf) {
			if err := c.grow(buf, limit+1); err != nil {
				return nil, false, nil // it is ending; the next call skips the message
			}
		}
		n, err := r.Read((*buf)[len(*buf):min(cap(*buf), limit+1)])
		*buf = (*buf)[:len(*buf)+n]
		c.in.payload += int64(n)
		switch {
		case len(*buf) > limit:
			c.end(protocol.TooLarge.Closef("more than %d bytes", limit))
			return nil, false, nil
		case errors.Is(err, io.EOF) && c.in.failed == nil:
			c.in.between = !c.sock.deflates
			return c.received(*buf), true, nil
		case err != nil:
			return nil, false, err
		case c.in.lingering:
			return nil, false, nil
		}
	}
}

// received counts a message and gives it bytes of its own: a room keeps and relays them.
func (c *conn) received(buf []byte) []byte {
	c.in.messages++
	if c.srv.o.Events.Received != nil {
		c.srv.o.Events.Received(len(buf))
	}
	return append(make([]byte, 0, len(buf)), buf...)
}

// readSocket is Read of the socket below gorilla. An expired read deadline is the connection's clock, see watch.
func (c *conn) readSocket(p []byte) (int, error) {
	if c.in.unread > 0 {
		n := copy(p, c.in.first[:c.in.unread])
		c.in.unread = uint8(copy(c.in.first[:], c.in.first[n:c.in.unread]))
		return n, nil
	}
	for {
		n, err := c.nc.Read(p)
		if n > 0 {
			c.noteRead(n)
			if c.in.inMessage && !c.in.lingering && c.in.bytes.Load()-c.in.startBytes-c.in.payload > maxOverhead+int64(n) {
				return 0, protocol.Malformed.Closef("a message in too many frames")
			}
			return n, nil
		}
		if c.noteFailure(err); c.in.failed != nil || c.in.peeking {
			return 0, err
		}
		if err := c.watch(); err != nil {
			return 0, err
		}
	}
}

// noteRead counts bytes of the socket, which are a sign of life.
func (c *conn) noteRead(n int) {
	c.in.bytes.Add(int64(n))
	c.in.lastRead, c.in.pinged = c.age(), false
}

// errSilent is why a client that does not even answer pings is given up.
var errSilent = errors.New("no sign of life")

// errNoAnswer is why the wait for the client's close frame ended.
var errNoAnswer = errors.New("close frame not answered")

// watch does what is due when the read deadline has expired, and sets the next one. An error gives the connection up.
func (c *conn) watch() error {
	c.in.armed = 0
	if c.isEnding() {
		return c.watchEnd()
	}
	now := c.age()
	due := c.in.lastRead + pingAfter
	switch quiet := now - c.in.lastRead; {
	case quiet >= deadAfter:
		c.in.failed = errSilent
		return errSilent
	case quiet >= pingAfter:
		due = c.in.lastRead + deadAfter
		if !c.in.pinged {
			c.in.pinged = true
			c.queue(func() { c.ping = true })
		}
	}
	if c.in.inMessage {
		late := c.in.messageStart + messageTime + time.Duration(c.in.payload/messageRate)*time.Second
		if now >= late {
			return protocol.TimedOut.Closef("%d bytes of a message in %v", c.in.payload, now-c.in.messageStart)
		}
		due = min(due, late)
	}
	next, why := c.speaks.due(now)
	if why != nil {
		c.end(why) // which sets the deadline
		return nil
	}
	if next > 0 {
		due = min(due, next)
	}
	c.armRead(due - now)
	return nil
}

// watchEnd is watch of a connection that is ending.
func (c *conn) watchEnd() error {
	c.mu.Lock()
	endBy := c.endBy
	c.mu.Unlock()
	if c.in.lingering && c.age() >= endBy {
		c.in.failed = errNoAnswer
		return errNoAnswer
	}
	c.in.lingering = true
	c.speaks.leave()
	return c.nc.SetReadDeadline(c.born.Add(endBy))
}

// armRead sets the read deadline, which it never puts off: what a client makes happen must not keep watch from being
// called. When the connection is ending, the deadline that woke the reader stands.
func (c *conn) armRead(d time.Duration) {
	now := c.age()
	if c.in.armed != 0 && c.in.armed < now+d {
		return
	}
	c.in.armed = now + d
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending == nil {
		_ = c.nc.SetReadDeadline(time.Now().Add(d)) // the next read tells what is wrong with the socket
	}
}

func (c *conn) isEnding() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending != nil
}

// onPing answers a client's ping, unless it sends more than it may. Only the newest ping is answered when several wait,
// as RFC 6455 section 5.5.3 allows.
func (c *conn) onPing(payload string) error {
	if err := c.countControl(); err != nil {
		return err
	}
	p := append(make([]byte, 0, len(payload)), payload...)
	c.queue(func() { c.pong = p })
	return nil
}

// countControl counts a ping or a pong, of which a client may send only so many.
func (c *conn) countControl() error {
	if now := c.age(); now-c.in.controlSecond >= time.Second {
		c.in.controlSecond, c.in.controls = now, 0
	}
	if c.in.controls++; c.in.controls > maxControls && !c.in.lingering {
		return protocol.RateLimited.Closef("more than %d pings and pongs a second", maxControls)
	}
	return nil
}
