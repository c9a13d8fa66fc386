package gateway

import (
	"bufio"
	"errors"
	"os"
	"sync"
	"time"
)

// A goroutine's stack never becomes smaller than its deepest call made it, and handling a message takes 4 to 8 kB of it,
// waiting for one without gorilla less than 1. So a connection whose client is quiet waits in a goroutine that was
// made for waiting and has done nothing else (doze), without a buffer; what wakes it is handled by another goroutine that
// takes its place.
//
// gorilla cannot be left again once it waits. That is why the connection holds the reader between gorilla and the
// socket: what it has not given to gorilla is there, and when nothing is, the connection waits by itself.

const (
	// dozeAfter is how long a client is quiet before its connection dozes: long enough for somebody who types to keep
	// one goroutine, and short enough that a storm of newcomers does not keep them.
	dozeAfter = 500 * time.Millisecond
	// readBuffer is the size of that reader's buffer, which only connections have that do not doze: large enough for
	// most edits and their frames, and for a whole control frame. Longer payloads are read past it. gorilla takes over
	// a reader only if its buffer is larger than 256 bytes.
	readBuffer = 1 << 10 // bytes
)

// readers holds *bufio.Reader with buffers.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readBuffer) }}

// lentReader is a reader for gorilla that has a buffer only between lend and giveBack.
type lentReader struct {
	bufio.Reader
	lender *bufio.Reader // of readers, whose buffer this is; nil: there is none
}

func (l *lentReader) lend(s *socket) {
	l.lender = readers.Get().(*bufio.Reader)
	l.Reader = *l.lender
	l.Reset(s)
}

// giveBack drops what is buffered, if anything is.
func (l *lentReader) giveBack() {
	if l.lender != nil {
		readers.Put(l.lender)
		*l = lentReader{}
	}
}

// doze waits for something to read, or to do, on a small stack: nothing that it calls may need more than about 1 kB of
// it together. It is the connection's goroutine meanwhile.
func (c *conn) doze() {
	c.quiet.Store(true)
	n, err := c.nc.Read(c.in.first[:])
	c.quiet.Store(false)
	c.in.unread = uint8(n)
	go c.run(err) // in wg since its place was taken
}

// rouse makes the connection read through gorilla again, after doze has read something or failed with err. It returns
// what peek would.
func (c *conn) rouse(err error) error {
	c.sock.buf.lend(c.sock)
	if c.in.unread > 0 {
		c.noteRead(int(c.in.unread))
		return nil
	}
	c.noteFailure(err)
	return err
}

// peek waits until something is there that was not handled. Unlike any other read, this one ends when the read deadline
// has expired, with that error, and may be repeated then.
func (c *conn) peek() error {
	c.in.peeking = true
	_, err := c.sock.buf.Peek(1)
	c.in.peeking = false
	return err
}

// noteFailure notes an error of the socket, unless it is the expired deadline, which is the connection's clock.
func (c *conn) noteFailure(err error) {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.in.failed = err
	}
}

// mayDoze tells whether the connection waits for a message of a client that is quiet. Then it lets go of what it does not
// need for that.
func (c *conn) mayDoze() bool {
	now := time.Now()
	if !c.in.between || c.in.lingering || now.Sub(c.born)-c.in.lastRead < dozeAfter {
		return false
	}
	c.sock.buf.giveBack()
	if c.own != nil && c.own.isFull(now) {
		c.own = nil
	}
	return true
}

// takeControl takes a ping or a pong that stands before the next message, where gorilla would take it and then wait for
// the message. ok is false when something else stands there, which is gorilla's.
func (c *conn) takeControl() (ok bool, err error) {
	if !c.in.between {
		return false, nil
	}
	head, err := c.sock.buf.Peek(frameHead)
	if err != nil {
		return false, err
	}
	kind, n := head[0]&^frameFin, int(head[1]&^frameMasked)
	if head[0]&frameFin == 0 || head[1]&frameMasked == 0 || n > maxControlPayload || (kind != framePing && kind != framePong) {
		return false, nil
	}
	frame, err := c.sock.buf.Peek(frameHead + frameMask + n)
	if err != nil {
		return false, err
	}
	if kind == framePong {
		err = c.countControl()
	} else {
		payload := append(make([]byte, 0, n), frame[frameHead+frameMask:]...)
		for i := range payload {
			payload[i] ^= frame[frameHead+i%frameMask]
		}
		err = c.onPing(string(payload))
	}
	_, _ = c.sock.buf.Discard(len(frame)) // it is all there
	return true, err
}
