package gateway

import (
	"errors"
	"net"
	"slices"
	"testing"
	"time"
)

// breaking is a connection that takes a number of bytes and then breaks.
type breaking struct {
	net.Conn
	left int
}

var errBroken = errors.New("broken")

func (b *breaking) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	if n < len(p) {
		return n, errBroken
	}
	return n, nil
}

func (b *breaking) SetWriteDeadline(time.Time) error { return nil }

// TestBrokenWriteLeavesNothingBehind breaks connections at different places of what they write and looks at the shared
// buffer, which the next connection gets: nothing in it may belong to the dead one.
func TestBrokenWriteLeavesNothingBehind(t *testing.T) {
	small, large := make([]byte, 100), make([]byte, 2*writeChunk)
	for _, c := range []struct {
		name     string
		breaksAt int
		messages int64 // begun when it broke
	}{
		{"before anything", 0, 2},
		{"in the small message's frame", 50, 2},
		{"in the large message's header", 103, 2},
		{"at the large message's start", 102 + 10, 2},
		{"in the large message", 102 + 10 + writeChunk + 7, 2},
		{"in the last message", 102 + 10 + 2*writeChunk + 1, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			var messages, bytes int
			s := &Server{o: Options{Events: Events{Sent: func(m, n int) { messages, bytes = messages+m, bytes+n }}}}
			conn := &conn{sock: new(socket), srv: s, nc: &breaking{left: c.breaksAt}}
			o := &outgoing{payloads: [][]byte{small, large, small}}
			if err := conn.writeFrames(o, nil); !errors.Is(err, errBroken) {
				t.Errorf("writeFrames = %v, want %v", err, errBroken)
			}
			if len(o.buf) != 0 || o.messages != 0 || o.bytes != 0 || slices.ContainsFunc(o.payloads, func(p []byte) bool { return p != nil }) {
				t.Errorf("%d bytes, %d messages and %d sent bytes are left in the buffer, want nothing", len(o.buf), o.messages, o.bytes)
			}
			if bytes != c.breaksAt || conn.bytesOut.Load() != int64(c.breaksAt) {
				t.Errorf("%d bytes reported and %d counted, want %d: what the socket took", bytes, conn.bytesOut.Load(), c.breaksAt)
			}
			if got := conn.messagesOut.Load(); got != c.messages {
				t.Errorf("%d messages counted, want %d", got, c.messages)
			}
			if bytes > 0 && int64(messages) != c.messages {
				t.Errorf("%d messages reported, want %d", messages, c.messages)
			}
		})
	}
}
