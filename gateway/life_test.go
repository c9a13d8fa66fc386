package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"weft/crdt"
	"weft/crdt/lib0"
	"weft/gateway"
	"weft/protocol"
	"weft/room"
)

// TestRoomEndsSession checks that an idle connection is closed as soon as the room ends its session.
func TestRoomEndsSession(t *testing.T) {
	sessions := make(chan *fakeSession, 1)
	r := start(t, gateway.Options{Rooms: &fakeRooms{join: func(context.Context, string, room.Peer) (gateway.Session, error) {
		s := newFakeSession(nil)
		sessions <- s
		return s, nil
	}}})
	c := r.join("/yjs/ended")
	(<-sessions).End(protocol.TooSlow.Closef("did not read"))
	c.wantClose(protocol.TooSlow)
	if got := r.events.end(t, 0); got.Detail != "did not read" {
		t.Errorf("Closed.Detail = %q, want the session's", got.Detail)
	}
}

// TestHandleThatWaits checks that a connection whose room takes nothing can still be drained.
func TestHandleThatWaits(t *testing.T) {
	waiting := make(chan struct{})
	r := start(t, gateway.Options{Rooms: &fakeRooms{join: func(context.Context, string, room.Peer) (gateway.Session, error) {
		return newFakeSession(func(ctx context.Context, _ protocol.Message) error {
			close(waiting)
			<-ctx.Done()
			return context.Cause(ctx)
		}), nil
	}}})
	c := r.join("/yjs/waits")
	c.send(frame(protocol.QueryAwareness, nil))
	<-waiting
	drained := make(chan error, 1)
	go func() { drained <- r.drain(patience) }()
	c.wantClose(protocol.Restarting)
	if err := <-drained; err != nil {
		t.Errorf("Drain = %v, want nil", err)
	}
}

// drain drains the server in at most d.
func (r *rig) drain(d time.Duration) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), d)
	defer cancel()
	return r.server.Drain(ctx)
}

func TestPanicsEndOneConnection(t *testing.T) {
	r := start(t, gateway.Options{Rooms: &fakeRooms{
		join: func(_ context.Context, name string, _ room.Peer) (gateway.Session, error) {
			if name == "join" {
				panic("at join")
			}
			return newFakeSession(func(context.Context, protocol.Message) error {
				if name == "handle" {
					panic("at handle")
				}
				return nil
			}), nil
		},
		status: func(string) (room.Status, error) { panic("at status") },
	}})
	other := r.join("/yjs/other")
	r.join("/yjs/join").wantClose(protocol.Internal)
	c := r.join("/yjs/handle")
	c.send(frame(protocol.Update, make([]byte, 100_000)))
	c.wantClose(protocol.Internal)
	if resp := r.get("/v1/rooms/x", nil); resp.StatusCode != http.StatusInternalServerError || refusal(t, resp).Error.Code != "internal" {
		t.Errorf("GET /v1/rooms/x = %d, want 500 internal", resp.StatusCode)
	}
	if err := other.WriteControl(9, nil, time.Now().Add(patience)); err != nil {
		t.Errorf("ping on the other connection = %v, want nil", err)
	}
	r.events.end(t, 1)
	if got := r.server.MessageMemory(); got != 0 {
		t.Errorf("after a panic with a message %d bytes are taken, want 0", got)
	}
	r.events.mu.Lock()
	defer r.events.mu.Unlock()
	if len(r.events.panics) != 3 || len(r.events.closed) != 2 {
		t.Errorf("%d panics %q and %d connections ended, want 3 and 2", len(r.events.panics), r.events.panics, len(r.events.closed))
	}
}

func TestDrain(t *testing.T) {
	r := start(t, gateway.Options{})
	clients := make([]*client, 20)
	for i := range clients {
		clients[i] = r.join("/yjs/drain")
		clients[i].echo("x")
	}
	if resp := r.get("/readyz", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("GET /readyz = %d, want 200", resp.StatusCode)
	}
	drained := make(chan error, 1)
	go func() { drained <- r.drain(patience) }()
	for _, c := range clients {
		c.wantClose(protocol.Restarting)
	}
	if err := <-drained; err != nil {
		t.Errorf("Drain = %v, want nil", err)
	}
	if resp := r.get("/readyz", nil); resp.StatusCode != http.StatusServiceUnavailable || refusal(t, resp).Error.Code != "draining" {
		t.Errorf("GET /readyz after Drain = %d, want 503 draining", resp.StatusCode)
	}
	if resp := r.get("/healthz", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("GET /healthz after Drain = %d, want 200", resp.StatusCode)
	}
	_, resp, err := r.dial("/yjs/drain", nil)
	wantRefused(t, resp, err, http.StatusServiceUnavailable, "draining")
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || s < 1 {
		t.Errorf("Retry-After = %q, want a number of seconds", resp.Header.Get("Retry-After"))
	}
}

// TestDrainGivesUp checks that a client which neither reads nor answers cannot hold a drain past its deadline.
func TestDrainGivesUp(t *testing.T) {
	r := start(t, gateway.Options{})
	r.join("/yjs/drain").echo("x") // and never reads again
	began := time.Now()
	if err := r.drain(200 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain = %v, want %v", err, context.DeadlineExceeded)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("Drain took %v, want about 200 ms", took)
	}
}

// TestSlowReaderStallsNobody has one client of a room that does not read while another writes more than the kernel's
// buffers and its outbox take. Nobody waits for it (a Write that did would wait for 30 s), and when it reads again it
// gets everything, in fewer messages than were written.
func TestSlowReaderStallsNobody(t *testing.T) {
	const size, atMost, after = 64 << 10, 640, 32
	r := start(t, gateway.Options{})
	writer, reader, slow := r.join("/yjs/slow"), r.join("/yjs/slow"), r.join("/yjs/slow")
	writer.echo("ready")
	reader.echo("ready")
	slow.echo("and does not read")
	go func() { // reads what comes back to the writer; ends with the connection
		for {
			if _, _, err := writer.ReadMessage(); err != nil {
				return
			}
		}
	}()
	text := strings.Repeat("x", size)
	slowest := time.Duration(0)
	messages := 0
	for left := atMost; left > 0; left-- {
		began := time.Now()
		writer.send(frame(protocol.Update, textUpdate(7, messages*size, text)))
		messages++
		reader.receive("the update", func(m protocol.Message) bool { return m.Kind == protocol.Update })
		slowest = max(slowest, time.Since(began))
		if st, err := r.rooms.Status(t.Context(), "slow"); err == nil && st.Lagging > 0 && left > after {
			left = after
		}
	}
	if messages == atMost {
		t.Fatalf("nobody lags after %d updates of %d bytes", messages, size)
	}
	doc, got := crdt.New(crdt.Options{}), 0
	all := lib0.AppendUint([]byte{1, 7}, uint64(messages*size)) // the state vector: client 7 up to there
	slow.receive("everything", func(m protocol.Message) bool {
		if m.Kind != protocol.Update && m.Kind != protocol.SyncStep2 {
			return false
		}
		got++
		if _, err := doc.Apply(m.Data, crdt.V1); err != nil {
			t.Fatalf("Apply(message %d) = %v, want nil", got, err)
		}
		return bytes.Equal(doc.AppendStateVector(nil), all)
	})
	if n := len(doc.Text("t")); n != messages*size {
		t.Errorf("the slow reader has %d characters, want %d", n, messages*size)
	}
	t.Logf("slowest delivery to the others: %v; the slow reader got %d updates in %d messages", slowest, messages, got)
	if got >= messages {
		t.Errorf("the slow reader got %d messages, want fewer than the %d updates", got, messages)
	}
}

// textUpdate encodes, as Yjs update v1, ASCII text inserted at the start of the root type "t".
func textUpdate(client, clock int, text string) []byte {
	b := lib0.AppendUint([]byte{1, 1}, uint64(client)) // one client with one struct
	b = lib0.AppendUint(b, uint64(clock))
	b = append(b, 4, 1)       // ContentString without origins; its parent is a root type,
	b = append(b, "\x01t"...) // by this name
	b = lib0.AppendString(b, text)
	return append(b, 0) // no deletions
}

// TestSecretsStayOut presents a token in every place that clients use and looks for it in all that was reported.
func TestSecretsStayOut(t *testing.T) {
	r := start(t, gateway.Options{})
	const secret = "s3cr3t-t0ken"
	ws, _, err := r.dial("/yjs/room?token="+secret, http.Header{"Authorization": {"Bearer " + secret}, "Cookie": {"t=" + secret}})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t, ws}
	c.raw(clientFrame(0x88, append([]byte{0x03, 0xE8}, secret...)))
	c.closeCode()
	r.events.end(t, 0)
	if _, _, err := r.dial("/yjs/%00?token="+secret, nil); err == nil {
		t.Error("dial of a bad room = nil, want an error")
	}
	r.get("/v1/rooms/nothing?token="+secret, nil)
	r.get("/yjs/room?token="+secret, nil)
	r.events.until(t, "three refusals", func() bool { return len(r.events.refused) == 3 })
	if dump := r.events.dump(); strings.Contains(dump, secret) {
		t.Errorf("the events hold the token:\n%s", dump)
	}
}
