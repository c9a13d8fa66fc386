package gateway

import (
	"errors"
	"os"
	"sync"
	"time"

	"weft/protocol"
)

// Bounds of one Write.
const (
	// stallTime is how long a Write of at most writeChunk bytes may take; a client that takes less than that is not
	// reading. It equals the time that a room lets a session lag.
	stallTime  = 30 * time.Second
	writeChunk = 256 << 10 // bytes
	// Payloads of copyBelow bytes and more are not copied behind their header but written from where they are. Below,
	// one more system call costs more than the copy; guessed, not measured.
	copyBelow = 32 << 10
	// keptBuffer is the largest buffer that goes back to the pool.
	keptBuffer = 64 << 10 // bytes
	flushAt    = 64 << 10 // bytes of a buffer that are written before more is added
)

// outgoing is what a writer goroutine needs while it lives.
type outgoing struct {
	buf      []byte // frames that are ready
	payloads [][]byte
	messages int // frames of data in buf or written since the last report
	bytes    int
}

var outgoings = sync.Pool{New: func() any { return &outgoing{buf: make([]byte, 0, 4<<10)} }}

// queue changes what the writer is to do, under mu, and wakes it.
func (c *conn) queue(change func()) {
	c.mu.Lock()
	change()
	c.mu.Unlock()
	c.wake()
}

// wake has the writer look for something to write, and starts it when there is none. It does not block; it is also the
// wake function of the outbox.
func (c *conn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = true
	if !c.writing {
		c.writing = true
		c.srv.conns.wg.Go(c.write) // the place that this conn holds keeps wg above zero
	}
}

// work is what the writer found to do.
type work struct {
	ping   bool
	pong   []byte
	ending *protocol.CloseError
}

// next takes what is to be done. When that is nothing, ok is false and the writer is no more.
func (c *conn) next(more bool) (w work, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.pending && !more {
		c.writing, c.said = false, 0
		return work{}, false
	}
	w = work{ping: c.ping, pong: c.pong, ending: c.ending}
	c.pending, c.ping, c.pong = false, false, nil
	return w, true
}

// write is the writer goroutine: it lives from a wake until everything is written, and the last one of a connection
// until the close frame is. After that nothing clears c.writing, so there is no other.
func (c *conn) write() {
	o := outgoings.Get().(*outgoing)
	defer func() {
		if v := recover(); v != nil {
			c.srv.panicked("writer", v)
			c.end(protocol.Internal.Closef("panic"))
			c.giveUp()
			c.written.Done()
			return
		}
		if cap(o.buf) <= keptBuffer {
			outgoings.Put(o)
		}
	}()
	for more := false; ; {
		w, ok := c.next(more)
		if !ok {
			return
		}
		taken, err := c.writeWork(o, w)
		if err != nil {
			c.end(writeFailure(err))
			c.giveUp()
		}
		if err != nil || w.ending != nil {
			c.written.Done()
			return
		}
		more = taken
	}
}

// giveUp ends the wait for the client's answer to a close frame that could not be sent.
func (c *conn) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endBy = c.age()
	_ = c.nc.SetReadDeadline(c.born.Add(c.endBy)) // the read tells what is wrong with the socket
}

// writeWork writes everything that is queued and what w asks for; the close frame comes last. It returns whether the
// outbox held anything, for only a Take that finds nothing puts the outbox to rest.
func (c *conn) writeWork(o *outgoing, w work) (taken bool, err error) {
	if w.ending != nil && w.ending.Reason == protocol.Lost { // there is nobody to send to
		return false, nil
	}
	if w.pong != nil {
		o.buf = appendFrame(o.buf, framePong, w.pong)
	}
	if w.ping {
		o.buf = appendFrame(o.buf, framePing, nil)
	}
	o.payloads = c.out.Take(o.payloads[:0])
	return len(o.payloads) > 0, c.writeFrames(o, w.ending)
}

// writeFrames writes o.buf, the payloads of o and, when the connection is ending, the close frame. Whatever comes of
// it, o is empty afterwards and everything that was sent is reported: o goes on to other connections.
func (c *conn) writeFrames(o *outgoing, ending *protocol.CloseError) error {
	err := c.writePayloads(o)
	clear(o.payloads)
	if err == nil && ending != nil {
		if last := c.speaks.farewell(ending); len(last) > 0 {
			o.messages++
			o.buf = appendFrame(o.buf, frameBinary, last)
		}
		o.buf = appendCloseFrame(o.buf, ending.Reason.Code, ending.Reason.Text)
	}
	if err == nil {
		return c.flush(o)
	}
	o.buf = o.buf[:0]
	c.report(o)
	return err
}

// writePayloads frames the payloads into o.buf, writing it whenever it is full.
func (c *conn) writePayloads(o *outgoing) error {
	for _, p := range o.payloads {
		var err error
		if c.cutAbove > 0 && len(p) > c.cutAbove {
			err = protocol.FragmentNative(p, c.cutAbove, func(head, data []byte) error { return c.writePayload(o, head, data) })
		} else {
			err = c.writePayload(o, nil, p)
		}
		if err != nil {
			return err
		}
		if len(o.buf) >= flushAt {
			if err := c.flush(o); err != nil {
				return err
			}
		}
	}
	return nil
}

// writePayload frames one payload in two parts.
func (c *conn) writePayload(o *outgoing, head, data []byte) error {
	o.messages++
	kind := byte(frameBinary)
	if c.sock.deflates && len(head) == 0 {
		if d := c.srv.deflater.deflate(data); d != nil {
			kind, data = frameBinary|frameDeflated, d
		}
	}
	o.buf = append(appendFrameHeader(o.buf, kind, len(head)+len(data)), head...)
	if len(data) < copyBelow {
		o.buf = append(o.buf, data...)
		return nil
	}
	if err := c.flush(o); err != nil {
		return err
	}
	return c.writeAll(o, data)
}

// flush writes o.buf and reports what was sent since the last report.
func (c *conn) flush(o *outgoing) error {
	err := c.writeAll(o, o.buf)
	o.buf = o.buf[:0]
	c.report(o)
	return err
}

// report counts what was sent since the last report. A message that a failed write cut off counts.
func (c *conn) report(o *outgoing) {
	c.messagesOut.Add(int64(o.messages))
	if c.srv.o.Events.Sent != nil && o.bytes > 0 {
		c.srv.o.Events.Sent(o.messages, o.bytes)
	}
	o.messages, o.bytes = 0, 0
}

// writeAll writes b in pieces, each with its own deadline, so that a slow client may take its time for a large payload.
func (c *conn) writeAll(o *outgoing, b []byte) error {
	for len(b) > 0 {
		c.armWrite()
		n, err := c.nc.Write(b[:min(len(b), writeChunk)])
		c.bytesOut.Add(int64(n))
		o.bytes += n
		b = b[n:]
		if err != nil {
			return err
		}
	}
	return nil
}

// armWrite sets the deadline of the next Write; the one of an ending connection stands.
func (c *conn) armWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending == nil {
		_ = c.nc.SetWriteDeadline(time.Now().Add(stallTime)) // the write tells what is wrong with the socket
	}
}

// writeFailure tells why a connection whose socket cannot be written to ends.
func writeFailure(err error) *protocol.CloseError {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &protocol.CloseError{Reason: protocol.TooSlow, Detail: "nothing read for 30 s"}
	}
	return &protocol.CloseError{Reason: protocol.Lost, Cause: err}
}
