package gateway_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"weft/gateway"
	"weft/protocol"
	"weft/room"
)

// raw gives the socket below a client that has finished its handshake, to write bytes that no library would.
func (c *client) raw(b []byte) {
	c.t.Helper()
	if _, err := c.NetConn().Write(b); err != nil {
		c.t.Fatalf("Write(%d bytes) = %v, want nil", len(b), err)
	}
}

// clientFrame encodes a client's frame with a mask of zeros, which leaves the payload readable.
func clientFrame(first byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

// fragmented splits a binary message into n frames.
func fragmented(payload []byte, n int) []byte {
	var b []byte
	for i := range n {
		part := payload[len(payload)*i/n : len(payload)*(i+1)/n]
		first := byte(0)
		if i == 0 {
			first = websocket.BinaryMessage
		}
		if i == n-1 {
			first |= 0x80
		}
		b = append(b, clientFrame(first, part)...)
	}
	return b
}

// sizedUpdate returns an update frame of exactly n bytes; rooms do not see it in these tests.
func sizedUpdate(n int) []byte {
	for body := n; ; body-- {
		if f := frame(protocol.Update, make([]byte, body)); len(f) == n {
			return f
		}
	}
}

func TestMessageSize(t *testing.T) {
	const limit = 200_000
	got := make(chan int, 1)
	r := start(t, gateway.Options{
		Limits: protocol.Limits{Message: limit},
		Rooms: &fakeRooms{join: func(context.Context, string, room.Peer) (gateway.Session, error) {
			return newFakeSession(func(_ context.Context, m protocol.Message) error {
				got <- len(m.Data)
				return nil
			}), nil
		}},
	})
	for _, frames := range []int{1, 2, 1000} {
		t.Run(fmt.Sprintf("limit in %d", frames), func(t *testing.T) {
			c := r.join("/yjs/size")
			c.raw(fragmented(sizedUpdate(limit), frames))
			select {
			case n := <-got:
				if want := limit - 5; n != want {
					t.Errorf("room got %d bytes, want %d", n, want)
				}
			case <-time.After(patience):
				t.Fatal("the room got nothing")
			}
		})
		t.Run(fmt.Sprintf("one more in %d", frames), func(t *testing.T) {
			c := r.join("/yjs/size")
			c.raw(fragmented(sizedUpdate(limit+1), frames))
			c.wantClose(protocol.TooLarge)
		})
	}
	t.Run("without end", func(t *testing.T) {
		c := r.join("/yjs/size")
		written := make(chan struct{})
		go func() { // ends when the server resets or the client is closed
			defer close(written)
			chunk := clientFrame(0, make([]byte, 60_000))
			_, err := c.NetConn().Write(clientFrame(websocket.BinaryMessage, nil))
			for err == nil {
				_, err = c.NetConn().Write(chunk)
			}
		}()
		c.wantClose(protocol.TooLarge)
		c.Close()
		<-written
	})
	if len(got) > 0 {
		t.Errorf("the room got %d bytes of a message over the limit, want nothing", <-got)
	}
}

// TestBrokenFrames sends what RFC 6455 forbids, and messages that are none.
func TestBrokenFrames(t *testing.T) {
	r := start(t, gateway.Options{})
	big := make([]byte, 126)
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"text", clientFrame(0x81, []byte("hello"))},
		{"empty text", clientFrame(0x81, nil)},
		{"unmasked", []byte{0x82, 1, 0}},
		{"reserved bit 1", clientFrame(0xC2, []byte{3})},
		{"reserved bit 2", clientFrame(0xA2, []byte{3})},
		{"reserved bit 3", clientFrame(0x92, []byte{3})},
		{"opcode 3", clientFrame(0x83, []byte{3})},
		{"opcode 15", clientFrame(0x8F, []byte{3})},
		{"continuation first", clientFrame(0x80, []byte{3})},
		{"new message inside another", append(clientFrame(0x02, []byte{3}), clientFrame(0x82, []byte{3})...)},
		{"ping of 126 bytes", clientFrame(0x89, big)},
		{"fragmented ping", clientFrame(0x09, nil)},
		{"close code 1005", clientFrame(0x88, []byte{0x03, 0xED})},
		{"close code 0", clientFrame(0x88, []byte{0, 0})},
		{"close text that is not UTF-8", clientFrame(0x88, []byte{0x03, 0xE8, 0xFF})},
		{"length over 63 bits", []byte{0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}},
		{"empty message", clientFrame(0x82, nil)},
		{"sync without kind", clientFrame(0x82, []byte{0})},
		{"unknown sync kind", clientFrame(0x82, []byte{0, 9, 0})},
		{"length past the end", clientFrame(0x82, []byte{0, 2, 9, 1})},
		{"trailing bytes", clientFrame(0x82, []byte{3, 3})},
		{"too many frames", fragmented(make([]byte, 10), 3000)},
		{"update that is none", clientFrame(0x82, frame(protocol.Update, []byte{1, 1, 1}))},
	} {
		t.Run(c.name, func(t *testing.T) {
			ws := r.join("/yjs/broken")
			ws.raw(c.b)
			ws.wantClose(protocol.Malformed)
		})
	}
	r.join("/yjs/broken").echo("the room still works")
	r.events.mu.Lock()
	defer r.events.mu.Unlock()
	if len(r.events.panics) > 0 {
		t.Errorf("panics = %q, want none", r.events.panics)
	}
}

// TestUnknownTypesAreIgnored keeps what y-websocket's reference server does.
func TestUnknownTypesAreIgnored(t *testing.T) {
	c := start(t, gateway.Options{}).join("/yjs/unknown")
	c.send([]byte{77, 1, 2, 3})
	c.echo("still here")
}

func TestClientPings(t *testing.T) {
	c := start(t, gateway.Options{}).join("/yjs/pings")
	var pongs []string
	c.SetPongHandler(func(s string) error { pongs = append(pongs, s); return nil })
	for i := range 5 {
		if err := c.WriteControl(websocket.PingMessage, fmt.Appendf(nil, "ping %d", i), time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
	}
	c.echo("after the pings")
	c.echo("and once more")
	if len(pongs) == 0 || pongs[len(pongs)-1] != "ping 4" {
		t.Errorf("pongs = %q, want the newest ping answered", pongs)
	}
}

func TestPingFlood(t *testing.T) {
	r := start(t, gateway.Options{})
	c := r.join("/yjs/flood")
	c.raw(bytes.Repeat(clientFrame(0x89, nil), 1000))
	c.wantClose(protocol.RateLimited)
}

// TestCloses checks the reason of connections that the client ends.
func TestCloses(t *testing.T) {
	r := start(t, gateway.Options{})
	t.Run("with a close frame", func(t *testing.T) {
		c := r.join("/yjs/close")
		c.echo("x")
		c.raw(clientFrame(0x88, []byte{0x03, 0xE9})) // 1001, as a browser sends that leaves the page
		if code, _ := c.closeCode(); code != protocol.Normal.Code {
			t.Errorf("answered with %d, want %d", code, protocol.Normal.Code)
		}
		got := r.events.end(t, 0)
		if got.Reason != protocol.Normal || got.MessagesIn != 1 || got.BytesIn < 4 || got.BytesOut < 4 || got.MessagesOut < 1 || got.Room != "close" {
			t.Errorf("Closed = %+v, want the reason normal and what was counted", got)
		}
	})
	t.Run("without", func(t *testing.T) {
		c := r.join("/yjs/close")
		c.echo("x")
		c.NetConn().Close()
		if got := r.events.end(t, 1); got.Reason.Name != "lost" {
			t.Errorf("Closed = %+v, want the reason lost", got)
		}
	})
	t.Run("half closed inside a message", func(t *testing.T) {
		c := r.join("/yjs/close")
		c.raw([]byte{0x82, 0x8A, 0, 0, 0, 0, 1, 2})
		if err := c.NetConn().(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c.NetConn()); err != nil {
			t.Errorf("the server did not close its side: %v", err)
		}
		if got := r.events.end(t, 2); got.Reason.Name != "lost" {
			t.Errorf("Closed = %+v, want the reason lost", got)
		}
	})
}
