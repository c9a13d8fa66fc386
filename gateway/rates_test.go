package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"weft/gateway"
	"weft/protocol"
	"weft/room"
)

// unbounded rates switch a bound off.
var unbounded = gateway.Rate{Messages: -1, Bytes: -1}

// counting are rooms that count messages.
func counting(n *int) *fakeRooms {
	return &fakeRooms{join: func(context.Context, string, room.Peer) (gateway.Session, error) {
		return newFakeSession(func(context.Context, protocol.Message) error { *n++; return nil }), nil
	}}
}

// pour writes messages until the server says goodbye, and returns the code of its close frame.
func pour(t *testing.T, client net.Conn, message []byte) int {
	t.Helper()
	code := make(chan int, 1)
	go func() { code <- closeFrame(client) }()
	for {
		select {
		case c := <-code:
			return c
		default:
		}
		if _, err := client.Write(message); err != nil {
			return <-code
		}
	}
}

// closeFrame reads short frames until one closes, and returns its code; 0 when there is none.
func closeFrame(client io.Reader) int {
	head := make([]byte, 2)
	for {
		if _, err := io.ReadFull(client, head); err != nil {
			return 0
		}
		payload := make([]byte, head[1])
		if _, err := io.ReadFull(client, payload); err != nil {
			return 0
		}
		if head[0] == 0x88 && len(payload) >= 2 {
			return int(payload[0])<<8 | int(payload[1])
		}
	}
}

// TestRates pours messages into the server as fast as it reads: as many pass as may, and after 30 s it is closed.
func TestRates(t *testing.T) {
	step1 := clientFrame(0x82, frame(protocol.SyncStep1, []byte{0}))
	big := clientFrame(0x82, sizedUpdate(10_000))
	for _, c := range []struct {
		name    string
		rate    gateway.Rate
		message []byte
		want    int // messages in the burst of 25 s and the 30 s after it
	}{
		{"messages", gateway.Rate{Messages: 20, Bytes: -1}, step1, 20 * 55},
		{"bytes", gateway.Rate{Messages: -1, Bytes: 400_000}, big, 40*25 + 40*30},
	} {
		for _, bound := range []string{"connection", "user", "address"} {
			t.Run(c.name+" of a "+bound, func(t *testing.T) {
				got := 0
				o := gateway.Options{Rooms: counting(&got), ConnRate: unbounded, UserRate: unbounded, AddressRate: unbounded}
				o.Limits.Message = 10_000
				*map[string]*gateway.Rate{"connection": &o.ConnRate, "user": &o.UserRate, "address": &o.AddressRate}[bound] = c.rate
				o.Auth = tokens{"t": writers("time")}
				synctest.Test(t, func(t *testing.T) {
					bubbleAt(t, o, "/yjs/time?token=t", func(t *testing.T, r *recorder, client net.Conn) {
						if code := pour(t, client, c.message); code != protocol.RateLimited.Code {
							t.Errorf("closed with %d, want %d", code, protocol.RateLimited.Code)
						}
						time.Sleep(6 * time.Second) // it does not answer the close frame
						wantEnd(t, r, "rate_limited", 30*time.Second, 6*time.Second)
						if got < c.want-2 || got > c.want+2 {
							t.Errorf("the room got %d messages, want %d", got, c.want)
						}
						if total := r.pauses(bound); total < 29*time.Second || total > 31*time.Second {
							t.Errorf("paused for %v by the %s, want 30 s", total, bound)
						}
					})
				})
			})
		}
	}
}

// TestRatesOff pours a million bytes a millisecond through a server without bounds.
func TestRatesOff(t *testing.T) {
	got := 0
	o := gateway.Options{Rooms: counting(&got), ConnRate: unbounded, UserRate: unbounded, AddressRate: unbounded}
	synctest.Test(t, func(t *testing.T) {
		bubbleAt(t, o, "/yjs/time", func(t *testing.T, r *recorder, client net.Conn) {
			began := time.Now()
			message := clientFrame(0x82, sizedUpdate(1000))
			for range 20_000 {
				if _, err := client.Write(message); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			if got != 20_000 || time.Since(began) != 0 {
				t.Errorf("%d messages passed in %v, want 20000 at once", got, time.Since(began))
			}
		})
	})
}

// TestFirstSync sends what may have to be said at once by somebody who comes back: it is neither slowed down nor closed.
func TestFirstSync(t *testing.T) {
	for _, c := range []struct {
		name           string
		messages, size int
	}{
		{"one document of 8 MiB", 1, 8 << 20},
		{"six of them", 6, 8 << 20},
		{"4,900 edits made offline", 4_900, 60},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := 0
			inBubble(t, counting(&got), func(t *testing.T, r *recorder, client net.Conn) {
				message := clientFrame(0x82, sizedUpdate(c.size))
				for range c.messages {
					if _, err := client.Write(message); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				if total := r.pauses("connection"); got != c.messages || total != 0 {
					t.Errorf("%d of %d messages passed with pauses of %v, want all at once", got, c.messages, total)
				}
			})
		})
	}
}

// TestExcessEndsWithARest checks that only going on without a rest closes a connection: one that sends too much for
// 20 s, rests and does it again stays.
func TestExcessEndsWithARest(t *testing.T) {
	got := 0
	o := gateway.Options{Rooms: counting(&got), ConnRate: gateway.Rate{Messages: 10, Bytes: -1}}
	synctest.Test(t, func(t *testing.T) {
		bubbleAt(t, o, "/yjs/time", func(t *testing.T, r *recorder, client net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, client) }() // until the server closes
			message := clientFrame(0x82, frame(protocol.SyncStep1, []byte{0}))
			for round := range 5 {
				for began := time.Now(); time.Since(began) < 20*time.Second; {
					if _, err := client.Write(message); err != nil {
						t.Fatalf("round %d: write = %v, want nil", round, err)
					}
				}
				time.Sleep(time.Second)
			}
			if opened, closed := r.counts(); opened != 1 || closed != 0 {
				t.Errorf("%d opened and %d closed, want 1 and 0", opened, closed)
			}
		})
	})
}

// TestComingBackDoesNotRefill checks that the allowance of an address outlives its connections.
func TestComingBackDoesNotRefill(t *testing.T) {
	o := gateway.Options{Rooms: &fakeRooms{}, ConnRate: unbounded, AddressRate: gateway.Rate{Messages: 1, Bytes: -1}}
	r := start(t, o)
	first := r.join("/yjs/a")
	for range 25 {
		first.send(frame(protocol.SyncStep1, []byte{0}))
	}
	r.events.until(t, "the messages", func() bool { return r.events.received == 25 })
	first.Close()
	r.events.end(t, 0)
	second := r.join("/yjs/a")
	second.send(frame(protocol.SyncStep1, []byte{0}))
	r.events.until(t, "a pause", func() bool { return r.events.paused["address"] > 0 })
	second.Close()
}

// TestMessageMemory has many connections send large messages at once: all arrive, while at no time more memory is
// taken than may be, and one message more.
func TestMessageMemory(t *testing.T) {
	const conns, size, memory = 40, 2 << 20, 16 << 20
	arrived := make(chan int, conns)
	r := start(t, gateway.Options{
		MessageMemory: memory,
		Rooms: &fakeRooms{join: func(context.Context, string, room.Peer) (gateway.Session, error) {
			return newFakeSession(func(_ context.Context, m protocol.Message) error { arrived <- len(m.Data); return nil }), nil
		}},
	})
	message := clientFrame(0x82, sizedUpdate(size))
	clients := make([]*client, conns)
	for i := range clients {
		clients[i] = r.join(fmt.Sprintf("/yjs/memory-%d", i))
		clients[i].raw(message[:size*3/4]) // none is whole yet, and together they are more than may be
	}
	if got, most := r.server.MessageMemory(), int64(memory+4*size); got < memory/2 || got > most {
		t.Errorf("%d bytes are taken by messages of which a part has come, want %d to %d", got, memory/2, most)
	}
	done := make(chan error, conns)
	for _, c := range clients {
		go func() { // ends when it is sent
			_, err := c.NetConn().Write(message[size*3/4:])
			done <- err
		}()
	}
	timeout := time.After(patience)
	for n := range conns {
		select {
		case got := <-arrived:
			if got < size-8 {
				t.Errorf("a room got %d bytes, want %d", got, size)
			}
		case <-timeout:
			t.Fatalf("%d of %d messages arrived in %v", n, conns, patience)
		}
		if got, most := r.server.MessageMemory(), int64(memory+4*size); got > most {
			t.Errorf("%d bytes are taken, want at most %d", got, most)
		}
	}
	for range conns {
		if err := <-done; err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write = %v, want nil", err)
		}
	}
	for _, c := range clients {
		c.Close()
	}
	r.events.until(t, "the ends", func() bool { return len(r.events.closed) == conns })
	if got := r.server.MessageMemory(); got != 0 {
		t.Errorf("afterwards %d bytes are taken, want none", got)
	}
}
