package gateway_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"weft/gateway"
	"weft/gateway/auth"
	"weft/persistence"
	"weft/protocol"
	"weft/room"
)

// hpSocket is one Hocuspocus socket, seen from its frames.
type hpSocket struct{ *client }

// joinHP opens a socket that must be accepted.
func (r *rig) joinHP(path string) hpSocket { r.t.Helper(); return hpSocket{r.join(path)} }

// say sends a message about a document.
func (c hpSocket) say(address string, k protocol.Kind, data []byte) {
	c.t.Helper()
	c.send(protocol.Hocuspocus{Address: address}.Append(nil, protocol.Message{Kind: k, Data: data}))
}

func (c hpSocket) token(address, token, version string) {
	c.t.Helper()
	c.say(address, protocol.Token, protocol.JoinToken(token, version))
}

// hear waits for a message about a document for which want is true; others are skipped.
func (c hpSocket) hear(what, address string, want func(protocol.Message) bool) protocol.Message {
	c.t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	for {
		_, frame, err := c.ReadMessage()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", what, err)
		}
		about, m, err := protocol.DecodeHocuspocus(frame, protocol.Limits{Message: 1 << 30})
		if err != nil {
			c.t.Fatalf("DecodeHocuspocus(%x) = %v, want nil", frame, err)
		}
		if string(about) == address && want(m) {
			return m
		}
	}
}

func (c hpSocket) hearKind(address string, k protocol.Kind) protocol.Message {
	c.t.Helper()
	return c.hear(k.String(), address, func(m protocol.Message) bool { return m.Kind == k })
}

// wantBarred waits for a refusal and checks its words.
func (c hpSocket) wantBarred(address, want string) {
	c.t.Helper()
	if m := c.hearKind(address, protocol.Barred); string(m.Data) != want {
		c.t.Errorf("document %q: barred with %q, want %q", address, m.Data, want)
	}
}

// ping checks that the socket works in both directions.
func (c hpSocket) ping() { c.t.Helper(); c.say("", protocol.Ping, nil); c.hearKind("", protocol.Pong) }

// enter syncs a document with nothing in it.
func (c hpSocket) enter(address, token string) {
	c.t.Helper()
	c.token(address, token, "4.8.0")
	c.say(address, protocol.SyncStep1, []byte{0})
	c.hearKind(address, protocol.SyncStep2)
}

// tokens is an authorizer that knows some tokens.
type tokens map[string]ticket

func (k tokens) Authorize(_ context.Context, r auth.Request) (auth.Grant, error) {
	t, ok := k[r.Token]
	switch {
	case !ok:
		return auth.Grant{}, protocol.Unauthorized.Closef("unknown token")
	case !slices.Contains(t.rooms, r.Room):
		return auth.Grant{}, protocol.Forbidden.Closef("not this room")
	}
	return t.grant, nil
}

// writers makes tokens that let their owners write rooms.
func writers(rooms ...string) ticket {
	return ticket{rooms, auth.Grant{User: auth.User{ID: "ada"}, Write: true}}
}

// TestHocuspocusHandshake holds the server to the captured handshake, frame by frame.
func TestHocuspocusHandshake(t *testing.T) {
	r := start(t, gateway.Options{})
	for _, version := range []string{"4.8.0", ""} {
		c := r.joinHP("/hocuspocus/?x=1")
		c.token("d", "tok", version)
		c.say("d", protocol.SyncStep1, []byte{0})
		c.say("d", protocol.Awareness, []byte("\x01\x07\x00\x02{}"))
		for _, want := range []string{
			"016402020a726561642d7772697465", // authenticated, read-write
			"016400000100",                   // the server's own step 1
			"01640001020000",                 // step 2
		} {
			if _, got, err := c.ReadMessage(); err != nil || hex.EncodeToString(got) != want {
				t.Fatalf("version %q: read %x, %v, want %s", version, got, err, want)
			}
		}
		c.say("d", protocol.SyncStep2, []byte{0, 0})
		if _, got, err := c.ReadMessage(); err != nil || hex.EncodeToString(got) != "01640801" {
			t.Fatalf("version %q: read %x, %v, want 01640801", version, got, err)
		}
		c.say("d", protocol.Leave, nil)
		if got := c.hearKind("d", protocol.Leave); string(got.Data) != "provider_initiated" {
			t.Errorf("version %q: the goodbye is answered with %q", version, got.Data)
		}
	}
}

func TestHocuspocusNames(t *testing.T) {
	r := start(t, gateway.Options{})
	c := r.joinHP("/hocuspocus")
	for _, address := range []string{"", "..", "a\nb", "\x00session", "d\x00", "d\x00a\x00b", strings.Repeat("x", 257)} {
		c.token(address, "tok", "")
		c.hearKind(address, protocol.Barred)
	}
	for _, address := range []string{"d", "d\x00k3j9", "d\x00other", "a/b", "ü😀"} {
		c.enter(address, "tok")
	}
	st, err := r.rooms.Status(t.Context(), "d")
	if err != nil || st.Conns != 3 {
		t.Errorf("room d has %d sessions, %v, want 3", st.Conns, err)
	}
}

// TestHocuspocusAccessIsPerDocument has one socket in one room, refused by two, and let into one of them later.
func TestHocuspocusAccessIsPerDocument(t *testing.T) {
	r := start(t, gateway.Options{Auth: tokens{"good": writers("mine", "too")}})
	c := r.joinHP("/hocuspocus")
	c.enter("mine", "good")
	c.token("yours", "good", "4.8.0")
	c.wantBarred("yours", protocol.Forbidden.Text)
	c.token("too", "bad", "")
	c.wantBarred("too", protocol.Unauthorized.Text)
	for _, k := range []protocol.Kind{protocol.SyncStep1, protocol.Update, protocol.SyncStep2, protocol.Awareness, protocol.QueryAwareness} {
		c.say("yours", k, []byte{0})
		c.say("too", k, []byte{0})
	}
	c.ping()
	c.enter("too", "good")
	c.say("mine", protocol.Update, textUpdate(7, 0, "x"))
	c.hearKind("mine", protocol.Saved)
	if _, err := r.rooms.Status(t.Context(), "yours"); err == nil {
		t.Error("the room of a refused client was opened")
	}
	if diff := cmp.Diff([]string{"yours: forbidden", "too: unauthorized"}, r.events.barred); diff != "" {
		t.Errorf("Barred (-want +got):\n%s", diff)
	}
}

// TestHocuspocusTokenOfTheHandshake enters with a token of the address where the message has none.
func TestHocuspocusTokenOfTheHandshake(t *testing.T) {
	r := start(t, gateway.Options{Auth: tokens{"good": writers("d", "e")}})
	c := r.joinHP("/hocuspocus?token=good")
	c.enter("d", "")
	c.say("e", protocol.SyncStep1, []byte{0}) // as provider 2.15, which does not mention a token that it has not
	c.hearKind("e", protocol.SyncStep2)
	c.token("f", "bad", "") // the message's own counts
	c.wantBarred("f", protocol.Unauthorized.Text)
}

// TestHocuspocusFlood sends too much before the server knows who sends it.
func TestHocuspocusFlood(t *testing.T) {
	for _, tt := range []struct {
		name string
		auth auth.Authorizer
		send func(c hpSocket)
	}{
		{"messages without a token", tokens{}, func(c hpSocket) {
			for range 1001 {
				c.say("d", protocol.QueryAwareness, nil)
			}
		}},
		{"bytes", tokens{}, func(c hpSocket) {
			for i := range 2 {
				c.say(fmt.Sprint(i), protocol.SyncStep1, make([]byte, 40<<10))
			}
		}},
		{"documents", tokens{}, func(c hpSocket) {
			for i := range 101 {
				c.say(fmt.Sprint(i), protocol.QueryAwareness, nil)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, gateway.Options{Auth: tt.auth, AuthTime: patience})
			c := r.joinHP("/hocuspocus")
			tt.send(c)
			c.wantClose(protocol.Flooded)
		})
	}
}

// authFunc is an authorizer.
type authFunc func(context.Context, auth.Request) (auth.Grant, error)

func (f authFunc) Authorize(ctx context.Context, r auth.Request) (auth.Grant, error) {
	return f(ctx, r)
}

// TestHocuspocusManyDocuments opens more documents at once than tokens are looked at, and is not taken for a flood.
func TestHocuspocusManyDocuments(t *testing.T) {
	r := start(t, gateway.Options{Auth: authFunc(func(context.Context, auth.Request) (auth.Grant, error) {
		return auth.Grant{Write: true}, nil
	})})
	c := r.joinHP("/hocuspocus")
	const n = 300
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range n {
			c.token(fmt.Sprint(i), "t", "")
			c.say(fmt.Sprint(i), protocol.SyncStep1, []byte{0})
		}
	}()
	synced := map[string]bool{}
	for len(synced) < n {
		_, frame, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("ReadMessage after %d documents = %v", len(synced), err)
		}
		if address, m, err := protocol.DecodeHocuspocus(frame, protocol.Limits{}); err == nil && m.Kind == protocol.SyncStep2 {
			synced[string(address)] = true
		}
	}
	<-sent
}

// TestHocuspocusSessionsOfOneRoom opens one document under many session ids, which must not multiply what a connection
// may cost.
func TestHocuspocusSessionsOfOneRoom(t *testing.T) {
	r := start(t, gateway.Options{})
	c := r.joinHP("/hocuspocus")
	session := func(i int) string { return fmt.Sprintf("d\x00s%d", i) }
	for i := range 8 {
		c.say(session(i), protocol.SyncStep1, []byte{0})
		c.hearKind(session(i), protocol.SyncStep2)
	}
	c.say(session(8), protocol.SyncStep1, []byte{0})
	c.hearKind(session(8), protocol.Barred)
	c.say("e", protocol.SyncStep1, []byte{0}) // another document
	c.hearKind("e", protocol.SyncStep2)
	c.say(session(0), protocol.Leave, nil)
	c.hearKind(session(0), protocol.Leave)
	c.say(session(8), protocol.SyncStep1, []byte{0})
	c.hearKind(session(8), protocol.SyncStep2)
}

// TestHocuspocusQueueKeepsOrder sends edits before the token is looked at, of which each needs the one before.
func TestHocuspocusQueueKeepsOrder(t *testing.T) {
	looked := make(chan struct{})
	r := start(t, gateway.Options{AuthTime: patience, Auth: authFunc(func(context.Context, auth.Request) (auth.Grant, error) {
		<-looked
		return auth.Grant{Write: true}, nil
	})})
	c := r.joinHP("/hocuspocus")
	c.token("d", "t", "4.8.0")
	const before, after = 300, 300
	for i := range before + after {
		if i == before {
			c.ping() // everything before has been read
			close(looked)
		}
		c.say("d", protocol.Update, textUpdate(7, i, "x"))
	}
	for range before + after {
		c.hear("an answer", "d", func(m protocol.Message) bool {
			if m.Kind == protocol.NotSaved {
				t.Fatal("an edit was refused")
			}
			return m.Kind == protocol.Saved
		})
	}
	st, err := r.rooms.Status(t.Context(), "d")
	if err != nil || st.Pos.Seq == 0 || st.Durable != st.Pos {
		t.Errorf("Status = %+v, %v, want everything durable", st, err)
	}
}

// TestHocuspocusNewestTokenCounts sends a good token while a bad one is being looked at.
func TestHocuspocusNewestTokenCounts(t *testing.T) {
	asked, looked := make(chan string, 10), make(chan struct{})
	r := start(t, gateway.Options{AuthTime: patience, Auth: authFunc(func(ctx context.Context, q auth.Request) (auth.Grant, error) {
		asked <- q.Token
		<-looked
		return tokens{"good": writers("d")}.Authorize(ctx, q)
	})})
	c := r.joinHP("/hocuspocus")
	c.token("d", "bad", "4.8.0")
	<-asked
	c.token("d", "worse", "4.8.0")
	c.token("d", "good", "4.8.0")
	c.ping()
	close(looked)
	c.hearKind("d", protocol.Granted)
	if got := <-asked; got != "good" {
		t.Errorf("token %q was looked at, want the newest", got)
	}
}

// TestHocuspocusRefresh shows new tokens to a document that is open.
func TestHocuspocusRefresh(t *testing.T) {
	var mu sync.Mutex
	var next error
	grants := map[string]auth.Grant{
		"w": {User: auth.User{ID: "ada"}, Write: true}, "r": {User: auth.User{ID: "ada"}}, "eve": {User: auth.User{ID: "eve"}, Write: true},
	}
	r := start(t, gateway.Options{Auth: authFunc(func(_ context.Context, q auth.Request) (auth.Grant, error) {
		mu.Lock()
		defer mu.Unlock()
		g, ok := grants[q.Token]
		if !ok {
			return g, protocol.Unauthorized.Closef("unknown")
		}
		return g, next
	})})
	c := r.joinHP("/hocuspocus")
	c.enter("d", "w")
	c.token("d", "r", "4.8.0")
	if m := c.hearKind("d", protocol.Granted); string(m.Data) != protocol.ReadOnly {
		t.Errorf("after a reader's token: granted %q, want %q", m.Data, protocol.ReadOnly)
	}
	c.say("d", protocol.Update, textUpdate(7, 0, "x"))
	c.hearKind("d", protocol.NotSaved)
	c.token("d", "w", "4.8.0")
	if m := c.hearKind("d", protocol.Granted); string(m.Data) != protocol.ReadWrite {
		t.Errorf("after a writer's token: granted %q, want %q", m.Data, protocol.ReadWrite)
	}
	c.hearKind("d", protocol.SyncStep1) // the room asks for what it refused
	c.say("d", protocol.SyncStep2, textUpdate(7, 0, "x"))
	c.hearKind("d", protocol.Saved)
	mu.Lock()
	next = protocol.Overloaded.Closef("the webhook does not answer")
	mu.Unlock()
	c.token("d", "r", "4.8.0") // nobody can be asked: the old grant stays
	c.say("d", protocol.Update, textUpdate(7, 1, "x"))
	c.hearKind("d", protocol.Saved)
	mu.Lock()
	next = nil
	mu.Unlock()
	c.token("d", "eve", "4.8.0")
	c.wantBarred("d", protocol.Unauthorized.Text)
	c.hearKind("d", protocol.Leave)
	c.say("d", protocol.Update, textUpdate(7, 1, "y"))
	c.enter("d", "r") // the place is gone, the socket is not
	if got := len(r.server.Places("d")); got != 1 {
		t.Errorf("%d places in the room, want 1", got)
	}
}

// TestHocuspocusGoodbyes ends a place for reasons of both kinds and for clients of both kinds.
func TestHocuspocusGoodbyes(t *testing.T) {
	for _, tt := range []struct {
		version string
		why     protocol.Reason
		want    []protocol.Kind // nil: the socket is closed
	}{
		{"4.8.0", protocol.Forbidden, []protocol.Kind{protocol.Barred, protocol.Leave}},
		{"4.8.0", protocol.Malformed, []protocol.Kind{protocol.Leave}},
		{"", protocol.Forbidden, []protocol.Kind{protocol.Barred}},
		{"", protocol.Malformed, []protocol.Kind{protocol.Barred}},
		{"4.8.0", protocol.Draining, nil},
		{"", protocol.Draining, nil},
	} {
		t.Run(tt.version+" "+tt.why.Name, func(t *testing.T) {
			r := start(t, gateway.Options{})
			c := r.joinHP("/hocuspocus")
			c.enter("other", "")
			c.token("d", "", tt.version)
			c.say("d", protocol.SyncStep1, []byte{0})
			c.hearKind("d", protocol.SyncStep2)
			for _, p := range r.server.Places("d") {
				p.End(tt.why.Closef("the test wants it"))
			}
			if tt.want == nil {
				c.wantClose(tt.why)
				return
			}
			c.say("", protocol.Ping, nil)
			var got []protocol.Kind
			for {
				_, frame, err := c.ReadMessage()
				if err != nil {
					t.Fatal(err)
				}
				address, m, err := protocol.DecodeHocuspocus(frame, protocol.Limits{})
				if err != nil {
					t.Fatal(err)
				}
				if m.Kind == protocol.Pong {
					break
				}
				if string(address) == "d" && (m.Kind == protocol.Barred || m.Kind == protocol.Leave) {
					got = append(got, m.Kind)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("goodbye (-want +got):\n%s", diff)
			}
			c.say("other", protocol.QueryAwareness, nil)
			c.ping()
		})
	}
}

// TestHocuspocusJoinRefusals checks what becomes of the socket when a room cannot be joined.
func TestHocuspocusJoinRefusals(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want protocol.Reason
	}{
		{protocol.Quarantined.Closef("damaged"), protocol.Quarantined},
		{protocol.Overloaded.Closef("full"), protocol.Overloaded},
		{errors.New("some mistake"), protocol.Internal},
	} {
		r := start(t, gateway.Options{Rooms: &fakeRooms{join: func(context.Context, string, room.Peer) (gateway.Session, error) {
			return nil, tt.err
		}}})
		c := r.joinHP("/hocuspocus")
		c.token("d", "", "4.8.0")
		if tt.want.Retry { // the provider comes back only with the socket
			c.wantClose(tt.want)
			continue
		}
		c.wantBarred("d", tt.want.Text)
		c.ping()
	}
}

func TestHocuspocusPanicsEndOneConnection(t *testing.T) {
	r := start(t, gateway.Options{Rooms: &fakeRooms{join: func(_ context.Context, name string, _ room.Peer) (gateway.Session, error) {
		if name == "join" {
			panic("at join")
		}
		return newFakeSession(nil), nil
	}}})
	other := r.joinHP("/hocuspocus")
	other.token("fine", "", "")
	c := r.joinHP("/hocuspocus")
	c.token("join", "", "")
	c.wantClose(protocol.Internal)
	other.ping()
	if len(r.events.panics) != 1 {
		t.Errorf("panics = %q, want 1", r.events.panics)
	}
}

// TestHocuspocusBrokenFrames sends bytes that are no message, first as a stranger and then as a friend.
func TestHocuspocusBrokenFrames(t *testing.T) {
	r := start(t, gateway.Options{Limits: protocol.Limits{Stateless: 10}})
	for _, frame := range []string{"", "\xc8\x01", "\x01d", "\x01d\x00\x02\x09\x01", "\x00\x00"} {
		c := r.joinHP("/hocuspocus")
		c.send([]byte(frame))
		c.wantClose(protocol.Unauthorized)
	}
	c := r.joinHP("/hocuspocus")
	for frame, want := range map[string]protocol.Reason{
		"\x01d":                         protocol.Malformed,
		"\x01d\x00\x02\x09\x01":         protocol.Malformed,
		"\x01d\x00\x02\x01\xff":         protocol.Malformed, // read, and found out by the room
		"\x01d\x05\x0b01234567890":      protocol.TooLarge,
		"\x01d\x06\x01x":                protocol.Malformed,
		"\x01d\x01\x05\x01\x01\x01\x7f": protocol.Malformed,
	} {
		c.enter("d", "")
		c.send([]byte(frame))
		if m := c.hearKind("d", protocol.Leave); string(m.Data) != want.Text {
			t.Errorf("frame %x: goodbye %q, want %q", frame, m.Data, want.Text)
		}
	}
	c.send([]byte("\xc8\x01"))
	c.wantClose(protocol.Malformed)
}

// TestHocuspocusSecretsStayOut presents tokens everywhere and looks for them in all that was reported.
func TestHocuspocusSecretsStayOut(t *testing.T) {
	const secret = "s3cr3t-t0ken"
	r := start(t, gateway.Options{Auth: tokens{secret: writers("d")}})
	c := r.joinHP("/hocuspocus?token=" + secret)
	c.enter("d", secret)
	c.token("e", secret, secret)
	c.hearKind("e", protocol.Barred)
	c.send([]byte("\x01d\x02\x00\x0c" + secret + "\x0c" + secret + "!")) // broken behind the token
	c.hearKind("d", protocol.Leave)
	c.Close()
	r.events.end(t, 0)
	if dump := r.events.dump(); strings.Contains(dump, secret) {
		t.Errorf("the events hold the token:\n%s", dump)
	}
}

// hpFrame is a client's WebSocket frame with a message about a document.
func hpFrame(address string, k protocol.Kind, data []byte) []byte {
	return clientFrame(0x82, protocol.Hocuspocus{Address: address}.Append(nil, protocol.Message{Kind: k, Data: data}))
}

// drainPipe reads what the server says and answers its pings, until the pipe ends.
func drainPipe(t *testing.T, client net.Conn, said func(payload []byte, at time.Time)) {
	for {
		header := make([]byte, 2)
		if _, err := io.ReadFull(client, header); err != nil {
			return
		}
		n := int(header[1])
		if n == 126 {
			long := make([]byte, 2)
			if _, err := io.ReadFull(client, long); err != nil {
				return
			}
			n = int(long[0])<<8 | int(long[1])
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(client, payload); err != nil {
			return
		}
		switch header[0] {
		case 0x82:
			said(payload, time.Now())
		case 0x89:
			if _, err := client.Write(clientFrame(0x8A, nil)); err != nil {
				return
			}
		case 0x88:
			_, _ = client.Write(clientFrame(0x88, payload)) // an error when the server is gone already
		default:
			t.Errorf("the server sent a frame %x", header)
		}
	}
}

// TestHocuspocusDeadlines lets clients take their time.
func TestHocuspocusDeadlines(t *testing.T) {
	known := tokens{"good": writers("d")}
	for _, tt := range []struct {
		name   string
		auth   auth.Authorizer
		send   [][]byte
		reason string
		after  time.Duration
	}{
		{"nothing", known, nil, "unauthorized", 5 * time.Second},
		{"a document opened and closed", known, [][]byte{
			hpFrame("d", protocol.SyncStep1, []byte{0}), hpFrame("d", protocol.Leave, nil),
		}, "unauthorized", 5 * time.Second},
		{"nothing, where nothing is asked", nil, nil, "timed_out", 60 * time.Second},
		{"pings", known, [][]byte{hpFrame("", protocol.Ping, nil)}, "unauthorized", 5 * time.Second},
		// The document is refused after 5 s, and another may be opened for a minute.
		{"no token", known, [][]byte{hpFrame("d", protocol.SyncStep1, []byte{0})}, "timed_out", 65 * time.Second},
		{"a bad token", known, [][]byte{hpFrame("d", protocol.Token, protocol.JoinToken("bad", ""))}, "timed_out", 60 * time.Second},
		{"a goodbye", known, [][]byte{
			hpFrame("d", protocol.Token, protocol.JoinToken("good", "")), hpFrame("d", protocol.Leave, nil),
		}, "timed_out", 60 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bubbleAt(t, gateway.Options{Rooms: &fakeRooms{}, Auth: tt.auth}, "/hocuspocus", func(t *testing.T, r *recorder, client net.Conn) {
					for _, frame := range tt.send {
						if _, err := client.Write(frame); err != nil {
							t.Fatal(err)
						}
					}
					drainPipe(t, client, func([]byte, time.Time) {})
					wantEnd(t, r, tt.reason, tt.after, 0)
				})
			})
		})
	}
}

// TestHocuspocusStrangersDoNotStay has a client that is never let in do something again and again.
func TestHocuspocusStrangersDoNotStay(t *testing.T) {
	for _, tt := range []struct {
		name  string
		every time.Duration
		send  func(i int) []byte
		after time.Duration
	}{
		// The first document is refused after 5 s.
		{"open documents", 4900 * time.Millisecond, func(i int) []byte {
			return hpFrame(fmt.Sprint(i), protocol.SyncStep1, []byte{0})
		}, 65 * time.Second},
		{"show bad tokens", 10 * time.Second, func(i int) []byte {
			return hpFrame(fmt.Sprint(i), protocol.Token, protocol.JoinToken("bad", ""))
		}, 60 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bubbleAt(t, gateway.Options{Rooms: &fakeRooms{}, Auth: tokens{}}, "/hocuspocus", func(t *testing.T, r *recorder, client net.Conn) {
					done := make(chan struct{})
					go func() {
						defer close(done)
						drainPipe(t, client, func([]byte, time.Time) {})
					}()
					for i := range 50 {
						if _, err := client.Write(tt.send(i)); err != nil {
							break // closed
						}
						time.Sleep(tt.every)
					}
					<-done
					wantEnd(t, r, "timed_out", tt.after, 0)
				})
			})
		})
	}
}

// TestGrantsRunOut has a token of 3 s at both endpoints. The Hocuspocus client is asked for a new one when two seconds
// have passed, and has none.
func TestGrantsRunOut(t *testing.T) {
	for _, tt := range []struct {
		path, message string
		want          []string
	}{
		{"/yjs/d?token=t", "", []string{"denied 3s", "closed 3s"}},
		{"/hocuspocus", "t", []string{"granted 0s", "token wanted 2s", "barred 3s", "leave 3s"}},
	} {
		t.Run(tt.path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				grant := auth.Grant{User: auth.User{ID: "ada"}, Write: true, Expires: began.Add(3 * time.Second)}
				o := gateway.Options{Rooms: &fakeRooms{}, Auth: tokens{"t": ticket{[]string{"d"}, grant}}}
				bubbleAt(t, o, tt.path, func(t *testing.T, r *recorder, client net.Conn) {
					var got []string
					done := make(chan struct{})
					go func() {
						defer close(done)
						drainPipe(t, client, func(payload []byte, at time.Time) {
							var m protocol.Message
							var err error
							if tt.message == "" {
								m, err = protocol.YWebsocket{}.Decode(payload, protocol.Limits{})
							} else {
								_, m, err = protocol.DecodeHocuspocus(payload, protocol.Limits{})
							}
							if err != nil {
								t.Error(err)
							}
							got = append(got, fmt.Sprintf("%v %v", m.Kind, at.Sub(began)))
						})
					}()
					if tt.message != "" {
						if _, err := client.Write(hpFrame("d", protocol.Token, protocol.JoinToken(tt.message, "4.8.0"))); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(10 * time.Second)
					synctest.Wait()
					r.mu.Lock()
					for _, end := range r.closed {
						got = append(got, fmt.Sprintf("closed %v", end.Duration))
					}
					exited := slices.Clone(r.exited)
					r.mu.Unlock()
					if diff := cmp.Diff(tt.want, got); diff != "" {
						t.Errorf("the client hears (-want +got):\n%s", diff)
					}
					if diff := cmp.Diff([]string{"d: unauthorized"}, exited); diff != "" {
						t.Errorf("Exited (-want +got):\n%s", diff)
					}
					client.Close()
					<-done
				})
			})
		})
	}
}

// TestManyGrantsRunOut ends places at their own times, those that were prolonged later, and leaves the others.
func TestManyGrantsRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		known := tokens{}
		for i := range 50 {
			g := auth.Grant{User: auth.User{ID: "ada"}, Write: true}
			if i > 0 {
				g.Expires = began.Add(time.Duration(i) * time.Second)
			}
			known[fmt.Sprint(i)] = ticket{[]string{fmt.Sprint(i)}, g}
		}
		known["9"] = ticket{[]string{"9"}, auth.Grant{User: auth.User{ID: "ada"}, Expires: began.Add(time.Hour)}}
		bubbleAt(t, gateway.Options{Rooms: &fakeRooms{}, Auth: known}, "/hocuspocus", func(t *testing.T, r *recorder, client net.Conn) {
			ended := map[string]time.Duration{}
			go drainPipe(t, client, func(payload []byte, at time.Time) {
				if address, m, err := protocol.DecodeHocuspocus(payload, protocol.Limits{}); err == nil && m.Kind == protocol.Barred {
					ended[string(address)] = at.Sub(began)
				}
			})
			for i := range 50 {
				if _, err := client.Write(hpFrame(fmt.Sprint(i), protocol.Token, protocol.JoinToken(fmt.Sprint(i), ""))); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			for i := range 50 {
				at, gone := ended[fmt.Sprint(i)]
				want := time.Duration(i) * time.Second
				if i == 0 || i == 9 {
					if gone {
						t.Errorf("document %d ended after %v, want it to stay", i, at)
					}
				} else if at < want || at > want+250*time.Millisecond {
					t.Errorf("document %d ended after %v, want %v to 250 ms later", i, at, want)
				}
			}
		})
	})
}

// TestHocuspocusKeepAlive leaves a client alone that has no presence: providers give a link up after 30 s of silence, and
// look every 3 s.
func TestHocuspocusKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := persistence.NewMemory(persistence.Options{})
		rooms := room.NewRegistry(room.Options{Store: store})
		bubbleAt(t, gateway.Options{Rooms: gateway.Local(rooms)}, "/hocuspocus", func(t *testing.T, r *recorder, client net.Conn) {
			last, longest := time.Now(), time.Duration(0)
			go drainPipe(t, client, func(payload []byte, at time.Time) {
				longest = max(longest, at.Sub(last))
				last = at
			})
			if _, err := client.Write(hpFrame("d", protocol.Token, []byte{0})); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			if opened, closed := r.counts(); opened != 1 || closed != 0 || longest > 25*time.Second || time.Since(last) > 25*time.Second {
				t.Errorf("%d opened, %d closed, longest silence %v, want 1, 0 and at most 25 s", opened, closed, longest)
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

// TestHocuspocusAnswersAreBounded asks for answers and does not read them.
func TestHocuspocusAnswersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bubbleAt(t, gateway.Options{Rooms: &fakeRooms{}}, "/hocuspocus", func(t *testing.T, r *recorder, client net.Conn) {
			for range 20_000 {
				if _, err := client.Write(hpFrame("", protocol.Ping, nil)); err != nil {
					t.Fatal(err) // after the end they are read and thrown away, for a while
				}
			}
			time.Sleep(10 * time.Second)
			wantEnd(t, r, "too_slow", 0, 10*time.Second)
			if n := r.closed[0].MessagesIn; n > 10_000 {
				t.Errorf("%d questions were answered, want the client ended after a few thousand", n)
			}
		})
	})
}

// TestAuthorizerIsLeftWhenTheClientIs has a client hang up while its token is looked at.
func TestAuthorizerIsLeftWhenTheClientIs(t *testing.T) {
	asked, left := make(chan auth.Request, 2), make(chan error, 2)
	r := start(t, gateway.Options{AuthTime: patience, Auth: authFunc(func(ctx context.Context, q auth.Request) (auth.Grant, error) {
		asked <- q
		<-ctx.Done()
		left <- context.Cause(ctx)
		return auth.Grant{}, context.Cause(ctx)
	})})
	for _, path := range []string{"/hocuspocus", "/yjs/d?token=t"} {
		ws, _, err := r.dial(path, map[string][]string{"Origin": {"http://" + r.addr}})
		if err != nil {
			t.Fatal(err)
		}
		c := hpSocket{&client{t, ws}}
		if path == "/hocuspocus" {
			c.token("d", "t", "")
		}
		q := <-asked
		if q.Token != "t" || q.Room != "d" || q.Origin != "http://"+r.addr || !q.Remote.IsLoopback() {
			t.Errorf("%s: Request = %+v", path, q)
		}
		if path == "/hocuspocus" {
			c.raw(clientFrame(0x88, nil))
			if err := <-left; !errors.Is(err, context.Canceled) {
				t.Errorf("%s: the authorizer's context ended with %v", path, err)
			}
		}
		ws.Close()
	}
	go func() { <-left }()
	if err := r.drain(patience); err != nil { // it does not wait for the authorizer's own time
		t.Errorf("Drain = %v, want nil", err)
	}
	if len(r.events.barred) > 0 {
		t.Errorf("Barred = %q, want nothing about clients that left", r.events.barred)
	}
}

// FuzzHocuspocusBytes sends any messages to a server with real tokens. Whatever they are, the connection ends once, with
// a reason, and nothing panics.
func FuzzHocuspocusBytes(f *testing.F) {
	for _, seed := range [][]byte{
		nil,
		{9},
		{10},
		[]byte("\x01d\x03"), []byte("\x01d\x02\x00\x01t"), []byte("\x01d\x02\x00\x01b"),
		[]byte("\x01d\x00\x00\x01\x00"), []byte("\x01d\x07"), []byte("\x01d\x06\x00"), []byte("\x03d\x00s\x02\x00\x01t"), []byte("\x00\x02\x00\x01t"),
	} {
		f.Add(seed, seed)
	}
	events := &recorder{}
	s, err := gateway.New(gateway.Options{Rooms: &fakeRooms{}, Auth: tokens{"t": writers("d")}, Events: events.events()})
	if err != nil {
		f.Fatal(err)
	}
	serve := servePipes(f, s)
	ended := 0
	f.Fuzz(func(t *testing.T, first, second []byte) {
		near := serve(t, "/hocuspocus")
		defer near.Close()
		read := make(chan struct{})
		go func() { // ends with the pipe
			defer close(read)
			_, _ = io.Copy(io.Discard, near)
		}()
		for _, b := range [][]byte{[]byte("\x01d\x02\x00\x01t"), first, second, first} {
			_, _ = near.Write(clientFrame(0x82, b)) // an error when the server has closed already
		}
		near.Close()
		<-read
		if end := events.end(t, ended); end.Reason.Name == "" {
			t.Errorf("ended with %+v", end)
		}
		ended++
		events.mu.Lock()
		defer events.mu.Unlock()
		if len(events.panics) > 0 || len(events.entered) != len(events.exited) {
			t.Errorf("panics = %q, %d entered, %d exited, want none and as many", events.panics, len(events.entered), len(events.exited))
		}
	})
}

// servePipes serves s on pipes and returns a function that opens a connection.
func servePipes(f *testing.F, s *gateway.Server) func(t *testing.T, path string) net.Conn {
	l, stop := listenPipes(s)
	f.Cleanup(stop)
	return func(t *testing.T, path string) net.Conn {
		near, far := net.Pipe()
		l.conns <- far
		d := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return near, nil }}
		ws, resp, err := d.Dial("ws://pipe"+path, nil)
		if err != nil {
			t.Fatalf("Dial = %v, want nil", err)
		}
		resp.Body.Close()
		return ws.NetConn()
	}
}
