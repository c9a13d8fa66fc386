package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"weft/crdt"
	"weft/gateway"
	"weft/internal/weftbin"
	"weft/persistence"
	"weft/protocol"
	"weft/room"
)

func TestMain(m *testing.M) {
	verbs := map[string]func([]string) error{serveVerb: serveForProviders, joinVerb: joinForNode}
	if len(os.Args) > 1 && verbs[os.Args[1]] != nil {
		if err := verbs[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		weftbin.Remove()
		os.Exit(code)
	}))
}

// patience bounds every wait of these tests. Nothing waits that long unless it is broken.
const patience = 30 * time.Second

// rig is a server on a loopback port with everything behind it.
type rig struct {
	t      testing.TB
	server *gateway.Server
	rooms  gateway.Rooms
	addr   string
	events *recorder
}

// start serves o on a loopback port. A nil o.Rooms stands for real rooms over a store in memory. Everything has ended
// when the test has.
func start(t testing.TB, o gateway.Options) *rig {
	t.Helper()
	if o.Rooms == nil {
		store := persistence.NewMemory(persistence.Options{})
		rooms := room.NewRegistry(room.Options{Store: store})
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := rooms.Close(ctx); err != nil {
				t.Errorf("close rooms: %v", err)
			}
			if err := store.Close(); err != nil {
				t.Errorf("close store: %v", err)
			}
		})
		o.Rooms = gateway.Local(rooms)
	}
	r := &rig{t: t, rooms: o.Rooms, events: &recorder{}}
	o.Events = r.events.events()
	var err error
	if r.server, err = gateway.New(o); err != nil {
		t.Fatalf("New = %v, want nil", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	hs := &http.Server{Handler: r.server, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- hs.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.server.Drain(ctx); err != nil {
			t.Errorf("Drain = %v, want nil", err)
		}
		_ = hs.Close() // its error is that of a listener that is closed
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve = %v, want %v", err, http.ErrServerClosed)
		}
		if n := r.server.Conns(); n != 0 {
			t.Errorf("Conns after Drain = %d, want 0", n)
		}
		if opened, closed := r.events.counts(); opened != closed {
			t.Errorf("%d connections opened and %d closed, want as many", opened, closed)
		}
		if in, out := len(r.events.entered), len(r.events.exited); in != out {
			t.Errorf("%d times a room was entered and %d times left, want as many", in, out)
		}
	})
	return r
}

// dial opens a connection; path is sent as it is.
func (r *rig) dial(path string, header http.Header) (*websocket.Conn, *http.Response, error) {
	d := websocket.Dialer{HandshakeTimeout: patience}
	ws, resp, err := d.Dial("ws://"+r.addr+path, header)
	if resp != nil {
		r.t.Cleanup(func() { resp.Body.Close() })
	}
	return ws, resp, err
}

// client is one y-websocket client, seen from its frames.
type client struct {
	t testing.TB
	*websocket.Conn
}

// join opens a connection that must succeed.
func (r *rig) join(path string) *client {
	r.t.Helper()
	ws, _, err := r.dial(path, nil)
	if err != nil {
		r.t.Fatalf("dial %s = %v, want nil", path, err)
	}
	r.t.Cleanup(func() { ws.Close() })
	return &client{r.t, ws}
}

// send sends one message in one frame.
func (c *client) send(frame []byte) {
	c.t.Helper()
	if err := c.WriteMessage(websocket.BinaryMessage, frame); err != nil {
		c.t.Fatalf("WriteMessage(%d bytes) = %v, want nil", len(frame), err)
	}
}

// receive waits for a message for which want is true and returns it; others are skipped.
func (c *client) receive(what string, want func(protocol.Message) bool) protocol.Message {
	c.t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	for {
		_, frame, err := c.ReadMessage()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", what, err)
		}
		m, err := protocol.YWebsocket{}.Decode(frame, protocol.Limits{Message: 1 << 30})
		if err != nil {
			c.t.Fatalf("Decode(%x) = %v, want nil", frame, err)
		}
		if want(m) {
			return m
		}
	}
}

// echo sends a save marker and waits for it to come back: the connection works in both directions.
func (c *client) echo(marker string) {
	c.t.Helper()
	c.send(frame(protocol.SaveMarker, []byte(marker)))
	c.receive("marker "+marker, func(m protocol.Message) bool {
		return m.Kind == protocol.SaveMarker && string(m.Data) == marker
	})
}

// closeCode reads until the server closes and returns the code.
func (c *client) closeCode() (code int, text string) {
	c.t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	for {
		if _, _, err := c.ReadMessage(); err != nil {
			ce, ok := errors.AsType[*websocket.CloseError](err)
			if !ok {
				c.t.Fatalf("ReadMessage = %v, want a close frame", err)
			}
			return ce.Code, ce.Text
		}
	}
}

// wantClose reads until the server closes and checks the reason.
func (c *client) wantClose(want protocol.Reason) {
	c.t.Helper()
	if code, text := c.closeCode(); code != want.Code || text != want.Text {
		c.t.Errorf("closed with %d %q, want %d %q", code, text, want.Code, want.Text)
	}
}

// frame encodes a message as y-websocket does.
func frame(k protocol.Kind, data []byte) []byte {
	return protocol.YWebsocket{}.Append(nil, protocol.Message{Kind: k, Data: data})
}

// recorder keeps the events of a server.
type recorder struct {
	mu       sync.Mutex
	opened   []gateway.ConnStart
	closed   []gateway.ConnEnd
	refused  []gateway.Refusal
	panics   []string
	entered  []gateway.Entry
	exited   []string // room and reason
	barred   []string
	sent     int
	writes   int
	received int
	deflated [][2]int // bytes before and after
	paused   map[string]time.Duration
	changed  chan struct{} // closed and replaced at each event; nil while nobody waits
}

func (r *recorder) events() gateway.Events {
	return gateway.Events{
		Opened:  func(e gateway.ConnStart) { r.note(func() { r.opened = append(r.opened, e) }) },
		Closed:  func(e gateway.ConnEnd) { r.note(func() { r.closed = append(r.closed, e) }) },
		Refused: func(e gateway.Refusal) { r.note(func() { r.refused = append(r.refused, e) }) },
		Entered: func(e gateway.Entry) { r.note(func() { r.entered = append(r.entered, e) }) },
		Exited: func(e gateway.Entry, why *protocol.CloseError) {
			r.note(func() { r.exited = append(r.exited, e.Room+": "+reasonName(why)) })
		},
		Barred: func(e gateway.Entry, why *protocol.CloseError) {
			r.note(func() { r.barred = append(r.barred, e.Room+": "+reasonName(why)) })
		},
		Received: func(int) { r.note(func() { r.received++ }) },
		Paused: func(by string, d time.Duration) {
			r.note(func() {
				if r.paused == nil {
					r.paused = map[string]time.Duration{}
				}
				r.paused[by] += d
			})
		},
		Deflated: func(from, to int) {
			r.note(func() { r.deflated = append(r.deflated, [2]int{from, to}) })
		},
		Sent: func(n, _ int) { r.note(func() { r.sent, r.writes = r.sent+n, r.writes+1 }) },
		Panicked: func(where string, v any, stack []byte) {
			r.note(func() { r.panics = append(r.panics, fmt.Sprintf("%s: %v: %d bytes of stack", where, v, len(stack))) })
		},
	}
}

// reasonName names why a place ended.
func reasonName(why *protocol.CloseError) string {
	if why == nil {
		return "left"
	}
	return why.Reason.Name
}

func (r *recorder) note(add func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	add()
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

func (r *recorder) counts() (opened, closed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.opened), len(r.closed)
}

// pauses returns how long connections were not read because of by.
func (r *recorder) pauses(by string) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.paused[by]
}

// untilGone waits until a connection of a protocol to a room is gone, and with it the place that it was counted in.
func (r *recorder) untilGone(t testing.TB, proto, name string) {
	t.Helper()
	r.until(t, "the end of a connection to "+name, func() bool {
		return slices.ContainsFunc(r.closed, func(e gateway.ConnEnd) bool { return e.Protocol == proto && e.Room == name })
	})
}

// until waits until cond, which runs with the recorder locked, is true.
func (r *recorder) until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	timeout := time.After(patience)
	for {
		r.mu.Lock()
		if cond() {
			r.mu.Unlock()
			return
		}
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// end waits for the n-th connection (from 0) to end and returns how.
func (r *recorder) end(t *testing.T, n int) gateway.ConnEnd {
	t.Helper()
	r.until(t, fmt.Sprintf("the end of connection %d", n), func() bool { return len(r.closed) > n })
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed[n]
}

// dump returns everything that was reported, as text.
func (r *recorder) dump() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprintf("%+v\n%+v\n%+v\n%+v\n%v\n%v\n%s", r.opened, r.closed, r.refused, r.entered, r.exited, r.barred, strings.Join(r.panics, "\n"))
}

// fakeRooms does what the test says. Nil functions stand for rooms that take everything and say nothing.
type fakeRooms struct {
	admit  func(name string) (time.Duration, bool)
	join   func(ctx context.Context, name string, p room.Peer) (gateway.Session, error)
	status func(name string) (room.Status, error)
	list   func(after string, limit int) ([]room.Status, bool, error) // after is empty for List, else "after " and the name
	export func(name string, f func(*crdt.Doc) error) error
}

func (f *fakeRooms) Join(ctx context.Context, name string, p room.Peer) (gateway.Session, error) {
	if f.join == nil {
		return newFakeSession(nil), nil
	}
	s, err := f.join(ctx, name, p)
	if fake, ok := s.(*fakeSession); ok {
		fake.tell(p.Ended)
	}
	return s, err
}

func (f *fakeRooms) Admit(name string) (time.Duration, bool) {
	if f.admit == nil {
		return 0, true
	}
	return f.admit(name)
}

func (f *fakeRooms) Status(_ context.Context, name string) (room.Status, error) {
	return f.status(name)
}

func (f *fakeRooms) List(_ context.Context, limit int) ([]room.Status, bool, error) {
	if f.list == nil {
		return nil, false, nil
	}
	return f.list("", limit)
}

func (f *fakeRooms) ListAfter(_ context.Context, after string, limit int) ([]room.Status, bool, error) {
	return f.list("after "+after, limit)
}

func (f *fakeRooms) Export(_ context.Context, name string, do func(*crdt.Doc) error) error {
	return f.export(name, do)
}

// fakeSession hands messages to a function.
type fakeSession struct {
	handle func(ctx context.Context, m protocol.Message) error
	slow   bool          // after Leave something still waits, until End
	done   chan struct{} // closed when it has ended

	mu       sync.Mutex
	over     bool
	err      *protocol.CloseError
	ended    func(error)
	readOnly bool
}

func newFakeSession(handle func(context.Context, protocol.Message) error) *fakeSession {
	return &fakeSession{handle: handle, done: make(chan struct{})}
}

func (s *fakeSession) Handle(ctx context.Context, m protocol.Message) error {
	if s.handle == nil {
		return nil
	}
	return s.handle(ctx, m)
}

func (s *fakeSession) Leave() {
	if !s.slow {
		s.End(nil)
	}
}

func (s *fakeSession) Done() <-chan struct{} { return s.done }

func (s *fakeSession) SetReadOnly(ro bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readOnly = ro
}

// End ends the session as a room does, which tells the conn unless why is nil.
func (s *fakeSession) End(why *protocol.CloseError) {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	s.over, s.err = true, why
	close(s.done)
	ended := s.ended
	s.mu.Unlock()
	if why != nil && ended != nil {
		ended(why)
	}
}

// tell has the conn told of the end.
func (s *fakeSession) tell(ended func(error)) {
	s.mu.Lock()
	s.ended = ended
	why := s.err
	s.mu.Unlock()
	if why != nil {
		ended(why)
	}
}
