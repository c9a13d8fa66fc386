package gateway_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"weft/gateway"
	"weft/persistence"
	"weft/protocol"
	"weft/room"
)

// pipes is a listener whose connections are pipes, so that time in a synctest bubble can pass.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// listenPipes serves h on pipes until stop is called.
func listenPipes(h http.Handler) (l *pipes, stop func()) {
	l = &pipes{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	hs := &http.Server{Handler: h}
	go func() { _ = hs.Serve(l) }() // ends with Close
	return l, func() { _ = hs.Close() }
}

// inBubble runs f in a bubble with a server and the socket of one upgraded client; the client's part is f's.
func inBubble(t *testing.T, rooms gateway.Rooms, f func(t *testing.T, r *recorder, client net.Conn)) {
	synctest.Test(t, func(t *testing.T) { bubble(t, rooms, f) })
}

// bubble is the inside of inBubble.
func bubble(t *testing.T, rooms gateway.Rooms, f func(t *testing.T, r *recorder, client net.Conn)) {
	bubbleAt(t, gateway.Options{Rooms: rooms}, "/yjs/time", f)
}

// bubbleAt is bubble with the server's options and the path that the client asks for.
func bubbleAt(t *testing.T, o gateway.Options, path string, f func(t *testing.T, r *recorder, client net.Conn)) {
	events := &recorder{}
	o.Events = events.events()
	s, err := gateway.New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, stop := listenPipes(s)
	near, far := net.Pipe()
	l.conns <- far
	d := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return near, nil }}
	ws, resp, err := d.Dial("ws://pipe"+path, nil)
	if err != nil {
		t.Fatalf("Dial = %v, want nil", err)
	}
	resp.Body.Close()
	f(t, events, ws.NetConn())
	near.Close()
	if err := s.Drain(t.Context()); err != nil {
		t.Errorf("Drain = %v, want nil", err)
	}
	stop()
}

// wantEnd checks how and when the only connection of a bubble ended.
func wantEnd(t *testing.T, r *recorder, reason string, after, slack time.Duration) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.closed) != 1 {
		t.Fatalf("%d connections ended, want 1", len(r.closed))
	}
	if got := r.closed[0]; got.Reason.Name != reason || got.Duration < after || got.Duration > after+slack {
		t.Errorf("ended after %v with %s (%s), want %s after %v to %v", got.Duration, got.Reason.Name, got.Detail, reason, after, after+slack)
	}
}

// TestSilentClient sends nothing at all: it is pinged and then given up.
func TestSilentClient(t *testing.T) {
	inBubble(t, &fakeRooms{}, func(t *testing.T, r *recorder, client net.Conn) {
		began := time.Now()
		ping := make([]byte, 2)
		if _, err := io.ReadFull(client, ping); err != nil || ping[0] != 0x89 || ping[1] != 0 {
			t.Fatalf("read %x, %v, want a ping", ping, err)
		}
		if took := time.Since(began); took != 15*time.Second {
			t.Errorf("pinged after %v, want 15 s", took)
		}
		if b, err := io.ReadAll(client); err != nil || len(b) != 0 {
			t.Errorf("read %x, %v after the ping, want the end", b, err)
		}
		wantEnd(t, r, "lost", 35*time.Second, 0)
	})
}

// TestClientThatDoesNotRead neither reads nor sends: the ping cannot be written, and it is given up all the same.
func TestClientThatDoesNotRead(t *testing.T) {
	inBubble(t, &fakeRooms{}, func(t *testing.T, r *recorder, _ net.Conn) {
		time.Sleep(36 * time.Second)
		wantEnd(t, r, "lost", 35*time.Second, 0)
	})
}

// TestClientThatOnlySends is alive and never reads the answers.
func TestClientThatOnlySends(t *testing.T) {
	inBubble(t, &fakeRooms{}, func(t *testing.T, r *recorder, client net.Conn) {
		for range 12 {
			time.Sleep(5 * time.Second)
			if _, err := client.Write(clientFrame(0x89, nil)); err != nil {
				break
			}
		}
		wantEnd(t, r, "too_slow", 35*time.Second, time.Second) // the first answer waits from 5 s on, for 30 s
	})
}

// TestIdleClientStaysUp answers pings and does nothing else for an hour.
func TestIdleClientStaysUp(t *testing.T) {
	inBubble(t, &fakeRooms{}, func(t *testing.T, r *recorder, client net.Conn) {
		deadline := time.Now().Add(time.Hour)
		pings, ping := 0, make([]byte, 2)
		for time.Now().Before(deadline) {
			if _, err := io.ReadFull(client, ping); err != nil || ping[0] != 0x89 {
				t.Fatalf("read %x, %v, want a ping", ping, err)
			}
			pings++
			if _, err := client.Write(clientFrame(0x8A, nil)); err != nil {
				t.Fatalf("write of a pong = %v, want nil", err)
			}
		}
		if pings < 180 || pings > 240 { // the deadline that pings is only looked at when it has expired
			t.Errorf("%d pings in an hour, want one in 15 to 20 s", pings)
		}
		if opened, closed := r.counts(); opened != 1 || closed != 0 {
			t.Errorf("%d opened and %d closed, want 1 and 0", opened, closed)
		}
	})
}

// TestMessageTime sends a large message at various speeds.
func TestMessageTime(t *testing.T) {
	got := make(chan int, 1)
	rooms := &fakeRooms{join: func(context.Context, string, room.Peer) (gateway.Session, error) {
		return newFakeSession(func(_ context.Context, m protocol.Message) error {
			got <- len(m.Data)
			return nil
		}), nil
	}}
	message := clientFrame(0x82, sizedUpdate(8<<20))
	send := func(client net.Conn, piece int, every time.Duration) error {
		for b := message; len(b) > 0; b = b[min(piece, len(b)):] {
			if _, err := client.Write(b[:min(piece, len(b))]); err != nil {
				return err
			}
			time.Sleep(every)
		}
		return nil
	}
	t.Run("80 kB/s", func(t *testing.T) {
		inBubble(t, rooms, func(t *testing.T, _ *recorder, client net.Conn) {
			if err := send(client, 80_000, time.Second); err != nil {
				t.Fatalf("send = %v, want nil", err)
			}
			if n := <-got; n < 8<<20-8 {
				t.Errorf("the room got %d bytes, want all", n)
			}
		})
	})
	t.Run("a byte in two seconds", func(t *testing.T) {
		inBubble(t, rooms, func(t *testing.T, r *recorder, client net.Conn) {
			closed := make(chan error, 1)
			go func() { // reads the close frame, which waits for it in a pipe
				frame := make([]byte, 4)
				_, err := io.ReadFull(client, frame)
				if err == nil && (frame[0] != 0x88 || int(frame[2])<<8|int(frame[3]) != protocol.TimedOut.Code) {
					err = errors.New("another frame")
				}
				_, _ = io.Copy(io.Discard, client) // until the server closes
				closed <- err
			}()
			if _, err := client.Write(message[:14]); err != nil { // the header
				t.Fatal(err)
			}
			for err := error(nil); err == nil; time.Sleep(2 * time.Second) {
				_, err = client.Write([]byte{0}) // until the server closes
			}
			if err := <-closed; err != nil {
				t.Errorf("read of the close frame = %v, want code %d", err, protocol.TimedOut.Code)
			}
			wantEnd(t, r, "timed_out", 30*time.Second, 10*time.Second)
		})
	})
}

// TestCloseThatIsNotAnswered lets the room end the session of a client that reads but never answers.
func TestCloseThatIsNotAnswered(t *testing.T) {
	sessions := make(chan *fakeSession, 1)
	rooms := &fakeRooms{join: func(context.Context, string, room.Peer) (gateway.Session, error) {
		s := newFakeSession(nil)
		sessions <- s
		return s, nil
	}}
	inBubble(t, rooms, func(t *testing.T, r *recorder, client net.Conn) {
		s := <-sessions
		time.Sleep(10 * time.Second)
		s.End(protocol.Draining.Closef("moved"))
		if b, err := io.ReadAll(client); err != nil || len(b) < 4 || b[0] != 0x88 {
			t.Errorf("read %x, %v, want a close frame and the end", b, err)
		}
		wantEnd(t, r, "draining", 15*time.Second, 0)
	})
}

// TestQueuedFramesLeaveInOneWrite lets answers pile up behind a client that does not read for a moment.
func TestQueuedFramesLeaveInOneWrite(t *testing.T) {
	const markers = 100
	synctest.Test(t, func(t *testing.T) {
		store := persistence.NewMemory(persistence.Options{})
		rooms := room.NewRegistry(room.Options{Store: store})
		bubble(t, gateway.Local(rooms), func(t *testing.T, r *recorder, client net.Conn) {
			synctest.Wait() // the writer stands in the Write of the room's first messages
			for i := range markers {
				if _, err := client.Write(clientFrame(0x82, frame(protocol.SaveMarker, []byte{byte(i)}))); err != nil {
					t.Fatal(err)
				}
				synctest.Wait() // it is answered; a room keeps only so many unanswered markers of one session
			}
			got, header := 0, make([]byte, 2)
			for got < markers {
				if _, err := io.ReadFull(client, header); err != nil {
					t.Fatal(err)
				}
				payload := make([]byte, header[1])
				if _, err := io.ReadFull(client, payload); err != nil {
					t.Fatal(err)
				}
				if m, err := (protocol.YWebsocket{}).Decode(payload, protocol.Limits{}); err == nil && m.Kind == protocol.SaveMarker {
					if m.Data[0] != byte(got) {
						t.Fatalf("marker %d came when %d was due", m.Data[0], got)
					}
					got++
				}
			}
			synctest.Wait()
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.writes > 3 || r.sent < markers {
				t.Errorf("%d messages left in %d writes, want at least %d in at most 3", r.sent, r.writes, markers)
			}
		})
		if err := rooms.Close(t.Context()); err != nil {
			t.Errorf("close rooms: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
}
