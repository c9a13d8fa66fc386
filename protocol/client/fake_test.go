package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/proto"

	"weft/crdt"
	"weft/protocol/client"
	"weft/protocol/weftv1"
)

const text = "notes" // the root that tests write to

// fake is a server whose every message a test writes by hand. It runs inside a synctest bubble, over pipes.
type fake struct {
	t     *testing.T
	pipes chan net.Conn
	conns chan *fakeConn
	http  http.Server
	wg    sync.WaitGroup
	over  chan struct{} // closed at the end of the test

	mu    sync.Mutex
	down  bool        // dials fail; guarded by mu
	dials []time.Time // guarded by mu
}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, pipes: make(chan net.Conn), conns: make(chan *fakeConn, 8), over: make(chan struct{})}
	up := websocket.Upgrader{Subprotocols: []string{"weft.v1.protobuf"}}
	f.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("upgrade: %v", err)
			return
		}
		select {
		case f.conns <- &fakeConn{f: f, ws: ws}:
		case <-f.over:
			_ = ws.Close() // nobody wants it
		}
	})
	f.wg.Go(func() {
		if err := f.http.Serve(pipeListener{f}); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		close(f.over)
		close(f.pipes)
		f.wg.Wait()
		_ = f.http.Close() // pipes only
	})
	return f
}

type pipeListener struct{ f *fake }

func (l pipeListener) Accept() (net.Conn, error) {
	c, ok := <-l.f.pipes
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l pipeListener) Close() error   { return nil }
func (l pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (f *fake) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	f.mu.Lock()
	f.dials = append(f.dials, time.Now())
	down := f.down
	f.mu.Unlock()
	if down {
		return nil, errors.New("nobody listens")
	}
	mine, theirs := net.Pipe()
	select {
	case f.pipes <- theirs:
		return mine, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// setDown has dials fail, or not.
func (f *fake) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

func (f *fake) dialed() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Time(nil), f.dials...)
}

// client starts a client of the server, which is closed at the end of the test.
func (f *fake) client(o client.Options) *client.Client {
	f.t.Helper()
	o.DialContext = f.dial
	c, err := client.New("ws://fake/native", o)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = c.Close(ctx) // tests that care about its answer close it themselves
	})
	return c
}

// accept waits for a connection and its Hello, and answers it.
func (f *fake) accept(w weftv1.Welcome_builder) *fakeConn {
	f.t.Helper()
	c := f.acceptOnly()
	hello := c.next()
	if !hello.HasHello() {
		f.t.Fatalf("first message = %v, want Hello", hello)
	}
	c.hello = hello.GetHello()
	if w.Features == nil {
		w.Features = c.hello.GetFeatures()
	}
	if w.Limits != nil {
		c.frame = int(w.Limits.GetMaxFrameBytes())
	}
	c.send(weftv1.ServerEnvelope_builder{Ref: hello.GetRef(), Welcome: w.Build()})
	return c
}

// acceptOnly waits for a connection.
func (f *fake) acceptOnly() *fakeConn { return <-f.conns }

// fakeConn is the server's side of one connection.
type fakeConn struct {
	f     *fake
	ws    *websocket.Conn
	hello *weftv1.Hello
	frame int
	queue []*weftv1.ClientEnvelope
	parts []byte
	total uint64
	sizes []int // of the frames that arrived
}

// next returns the next envelope; nil when the connection has ended. It puts fragments together.
func (c *fakeConn) next() *weftv1.ClientEnvelope {
	c.f.t.Helper()
	for len(c.queue) == 0 {
		_, data, err := c.ws.ReadMessage()
		if err != nil {
			return nil
		}
		c.sizes = append(c.sizes, len(data))
		batch := new(weftv1.ClientBatch)
		if err := proto.Unmarshal(data, batch); err != nil {
			c.f.t.Fatalf("the client sent %x: %v", data, err)
		}
		for _, e := range batch.GetEnvelopes() {
			if !e.HasFragment() {
				c.queue = append(c.queue, e)
				continue
			}
			if e.GetFragment().GetIndex() == 0 {
				c.parts, c.total = nil, e.GetFragment().GetTotalBytes()
			}
			if c.parts = append(c.parts, e.GetFragment().GetData()...); uint64(len(c.parts)) == c.total {
				whole := new(weftv1.ClientEnvelope)
				if err := proto.Unmarshal(c.parts, whole); err != nil {
					c.f.t.Fatalf("the client's fragments: %v", err)
				}
				c.queue = append(c.queue, whole)
			}
		}
	}
	e := c.queue[0]
	c.queue = c.queue[1:]
	return e
}

// update returns the next envelope, which must be an Update.
func (c *fakeConn) update() *weftv1.Update {
	c.f.t.Helper()
	e := c.next()
	if !e.HasUpdate() {
		c.f.t.Fatalf("message = %v, want Update", e)
	}
	return e.GetUpdate()
}

func (c *fakeConn) send(envelopes ...weftv1.ServerEnvelope_builder) {
	c.f.t.Helper()
	batch := weftv1.ServerBatch_builder{}
	for _, e := range envelopes {
		batch.Envelopes = append(batch.Envelopes, e.Build())
	}
	data, err := proto.Marshal(batch.Build())
	if err != nil {
		c.f.t.Fatal(err)
	}
	if err := c.ws.WriteMessage(websocket.BinaryMessage, data); err != nil {
		c.f.t.Errorf("send: %v", err)
	}
}

// joined reads a Join and lets the client in as room 7, with what doc has beyond it.
func (c *fakeConn) joined(doc *crdt.Doc, seq uint64) *weftv1.Join {
	c.f.t.Helper()
	e := c.next()
	if !e.HasJoin() {
		c.f.t.Fatalf("message = %v, want Join", e)
	}
	since, err := crdt.DecodeStateVector(e.GetJoin().GetStateVector())
	if err != nil && len(e.GetJoin().GetStateVector()) > 0 {
		c.f.t.Fatal(err)
	}
	c.send(weftv1.ServerEnvelope_builder{Ref: e.GetRef(), Joined: weftv1.Joined_builder{
		RoomId: 7, Access: weftv1.Access_ACCESS_WRITE, Mode: weftv1.SyncMode_SYNC_MODE_DIFF,
		Position:    weftv1.Position_builder{Epoch: 1, Seq: seq}.Build(),
		StateVector: doc.AppendStateVector(nil), Update: doc.AppendDiff(nil, since, crdt.V1),
	}.Build()})
	return e.GetJoin()
}

// take reads an Update, makes it part of doc and returns its id.
func (c *fakeConn) take(doc *crdt.Doc) uint64 {
	c.f.t.Helper()
	u := c.update()
	for _, update := range u.GetUpdates() {
		if _, err := doc.Apply(update, crdt.V1); err != nil {
			c.f.t.Fatal(err)
		}
	}
	return u.GetId()
}

func (c *fakeConn) ack(id, seq uint64) {
	c.f.t.Helper()
	c.send(weftv1.ServerEnvelope_builder{Ack: weftv1.Ack_builder{
		RoomId: 7, Id: id, Position: weftv1.Position_builder{Epoch: 1, Seq: seq}.Build(), Durability: weftv1.Durability_DURABILITY_DURABLE,
	}.Build()})
}

// drop cuts the connection.
func (c *fakeConn) drop() { _ = c.ws.Close() }

// insert adds to the end of the text.
func insert(t *testing.T, s *client.Session, what string) {
	t.Helper()
	err := s.Edit(func(tx *crdt.Tx) error { return tx.Text(text).Insert(tx.Text(text).Len(), what) })
	if err != nil {
		t.Fatalf("Edit(insert %q) = %v, want nil", what, err)
	}
}

// read returns the text.
func read(s *client.Session) (got string) {
	s.View(func(d *crdt.Doc) { got = d.Text(text) })
	return got
}

// open opens room "r" or fails.
func open(t *testing.T, c *client.Client, o client.JoinOptions) *client.Session {
	t.Helper()
	s, err := c.Open("r", o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// closeWith closes the connection as a server does that has a code for it.
func (c *fakeConn) closeWith(code int, reason string) {
	_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(time.Minute))
	c.drop()
}

// sendInParts sends an envelope in fragments of n bytes, a message each.
func (c *fakeConn) sendInParts(e weftv1.ServerEnvelope_builder, n int) {
	c.f.t.Helper()
	whole, err := proto.Marshal(e.Build())
	if err != nil {
		c.f.t.Fatal(err)
	}
	total := uint64(len(whole))
	for i := uint32(0); len(whole) > 0; i++ {
		part := weftv1.Fragment_builder{Index: i, Data: whole[:min(n, len(whole))]}
		if i == 0 {
			part.TotalBytes = total
		}
		whole = whole[len(part.Data):]
		c.send(weftv1.ServerEnvelope_builder{Fragment: part.Build()})
	}
}
