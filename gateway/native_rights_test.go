package gateway_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"weft/crdt"
	"weft/gateway"
	"weft/protocol"
	"weft/protocol/conformance"
	"weft/protocol/weftv1"
)

// nativePeer is a native client, seen from its envelopes.
type nativePeer struct {
	t testing.TB
	*conformance.Client
	room uint64 // the last one it joined
}

// native opens a connection and says Hello.
func (r *rig) native(token string, features ...weftv1.Feature) *nativePeer {
	r.t.Helper()
	c, err := conformance.Connect(r.t.Context(), conformance.Server{URL: "ws://" + r.addr + "/native"})
	if err != nil {
		r.t.Fatalf("Connect = %v, want nil", err)
	}
	r.t.Cleanup(c.Cut)
	p := &nativePeer{t: r.t, Client: c}
	p.tell(weftv1.ClientEnvelope_builder{Hello: weftv1.Hello_builder{Token: token, Features: features, Client: "test/1"}.Build()})
	p.await("Welcome", (*weftv1.ServerEnvelope).HasWelcome)
	return p
}

func (p *nativePeer) tell(e weftv1.ClientEnvelope_builder) {
	p.t.Helper()
	if err := p.Send(e.Build()); err != nil {
		p.t.Fatalf("Send = %v, want nil", err)
	}
}

// await waits for an envelope for which want is true; others are skipped.
func (p *nativePeer) await(what string, want func(*weftv1.ServerEnvelope) bool) *weftv1.ServerEnvelope {
	p.t.Helper()
	for {
		e, err := p.Receive()
		if err != nil {
			p.t.Fatalf("waiting for %s: %v", what, err)
		}
		if want(e) {
			return e
		}
	}
}

// ask joins a room and returns the answer.
func (p *nativePeer) ask(name string) *weftv1.ServerEnvelope {
	p.t.Helper()
	p.tell(weftv1.ClientEnvelope_builder{Ref: 9, Join: weftv1.Join_builder{Room: name}.Build()})
	return p.await("the answer to Join", func(e *weftv1.ServerEnvelope) bool { return e.GetRef() == 9 })
}

// join joins a room, which must succeed.
func (p *nativePeer) join(name string) *weftv1.Joined {
	p.t.Helper()
	e := p.ask(name)
	if !e.HasJoined() {
		p.t.Fatalf("Join(%s) = %v, want Joined", name, e)
	}
	p.room = e.GetJoined().GetRoomId()
	return e.GetJoined()
}

func (p *nativePeer) update(id uint64, v weftv1.Version, updates ...[]byte) {
	p.t.Helper()
	p.tell(weftv1.ClientEnvelope_builder{Update: weftv1.Update_builder{RoomId: p.room, Id: id, Updates: updates, Version: v}.Build()})
}

// refusal waits for what became of an update.
func (p *nativePeer) refusal(id uint64) weftv1.Code {
	p.t.Helper()
	e := p.await("a refusal", func(e *weftv1.ServerEnvelope) bool {
		return e.HasRefused() && e.GetRefused().GetUpdateId() == id || e.HasAck() && e.GetAck().GetId() >= id
	})
	return e.GetRefused().GetCode()
}

// TestNativeForgeries has a reader and a stranger try to write, in every way in which an update can be sent.
func TestNativeForgeries(t *testing.T) {
	r := startAuth(t, gateway.Options{})
	writer := r.native(userToken(t, "ada", canWrite("**")))
	writer.join("room")
	writer.update(1, 0, insertion(t, "what ada wrote"))
	if code := writer.refusal(1); code != 0 {
		t.Fatalf("the writer's update = %v, want an Ack", code)
	}
	want := r.state("room")
	reader := r.native(userToken(t, "mallory", canRead("room")))
	if access := reader.join("room").GetAccess(); access != weftv1.Access_ACCESS_READ {
		t.Errorf("Joined says %v, want %v", access, weftv1.Access_ACCESS_READ)
	}
	id := uint64(0)
	for name, forged := range forgeries(t, want) {
		if name == "empty" {
			continue
		}
		for _, v := range []weftv1.Version{weftv1.Version_VERSION_V1, weftv1.Version_VERSION_V2} {
			for _, updates := range [][][]byte{{forged}, {forged, forged}} {
				if id++; id%2 == 0 { // as parts of an envelope, too
					updates = append(updates, []byte{0, 0})
				}
				reader.update(id, v, updates...)
				e := reader.await("a refusal of "+name, (*weftv1.ServerEnvelope).HasRefused)
				switch code := e.GetRefused().GetCode(); code {
				default:
					t.Errorf("%s in version %d: %v, want it forbidden, or no update", name, v, code)
				case weftv1.Code_CODE_FORBIDDEN:
				case weftv1.Code_CODE_MALFORMED, weftv1.Code_CODE_TOO_LARGE:
					reader.await("the end of the place", (*weftv1.ServerEnvelope).HasLeft)
					reader.join("room")
				}
			}
		}
		if got := r.state("room"); !bytes.Equal(got, want) {
			t.Fatalf("%s: the room changed from %x to %x", name, want, got)
		}
	}
	for _, other := range []string{"", "no token", userToken(t, "eve", canWrite("elsewhere"))} {
		stranger := r.native(other)
		if e := stranger.ask("room"); !e.HasRefused() || e.GetRefused().GetCode() != weftv1.Code_CODE_UNAUTHORIZED && e.GetRefused().GetCode() != weftv1.Code_CODE_FORBIDDEN {
			t.Errorf("a stranger's Join = %v, want a refusal", e)
		}
		stranger.room = writer.room // which it may guess
		stranger.update(1, 0, insertion(t, "forged"))
		if code := stranger.refusal(1); code != weftv1.Code_CODE_NOT_FOUND {
			t.Errorf("a stranger's update = %v, want %v", code, weftv1.Code_CODE_NOT_FOUND)
		}
	}
	if got := r.state("room"); !bytes.Equal(got, want) {
		t.Errorf("the room changed from %x to %x", want, got)
	}
}

// TestNativeRightsChange takes the right to write away from a client, gives it back, and ends its place.
func TestNativeRightsChange(t *testing.T) {
	r := startAuth(t, gateway.Options{})
	c := r.native(userToken(t, "ada", canWrite("**")))
	c.join("room")
	c.update(1, 0, insertion(t, "x"))
	if code := c.refusal(1); code != 0 {
		t.Fatalf("the first update = %v, want an Ack", code)
	}
	access := func(want weftv1.Access) {
		t.Helper()
		e := c.await("another right", (*weftv1.ServerEnvelope).HasAccessChanged)
		if got := e.GetAccessChanged(); got.GetAccess() != want || got.GetRoomId() != c.room {
			t.Errorf("AccessChanged = %v, want %v", got, want)
		}
	}
	r.administer("access", `{"user":"ada","access":"read"}`)
	access(weftv1.Access_ACCESS_READ)
	c.update(2, 0, insertion(t, "y"))
	if code := c.refusal(2); code != weftv1.Code_CODE_FORBIDDEN {
		t.Errorf("the update of who became a reader = %v, want %v", code, weftv1.Code_CODE_FORBIDDEN)
	}
	r.administer("access", `{"user":"ada","access":"write"}`)
	access(weftv1.Access_ACCESS_WRITE)
	c.update(3, 0, insertion(t, "z"))
	if code := c.refusal(3); code != 0 {
		t.Errorf("the update of who is a writer again = %v, want an Ack", code)
	}
	// A token of somebody else does not do, and ends the place.
	c.tell(weftv1.ClientEnvelope_builder{Ref: 4, Refresh: weftv1.Refresh_builder{Token: userToken(t, "ada", canWrite("**"))}.Build()})
	c.await("Refreshed", func(e *weftv1.ServerEnvelope) bool { return e.GetRef() == 4 && e.HasRefreshed() })
	c.tell(weftv1.ClientEnvelope_builder{Ref: 5, Refresh: weftv1.Refresh_builder{Token: userToken(t, "bob", canWrite("**"))}.Build()})
	if got := c.await("Left", (*weftv1.ServerEnvelope).HasLeft).GetLeft().GetReason().GetCode(); got != weftv1.Code_CODE_UNAUTHORIZED {
		t.Errorf("after the token of somebody else the place ended with %v, want %v", got, weftv1.Code_CODE_UNAUTHORIZED)
	}
	c.await("Refused", func(e *weftv1.ServerEnvelope) bool { return e.GetRef() == 5 && e.HasRefused() })
}

// TestNativeDrain tells clients when to come back, then that the connection ends.
func TestNativeDrain(t *testing.T) {
	r := start(t, gateway.Options{})
	c := r.native("")
	c.join("room")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- r.server.Drain(ctx) }()
	if after := c.await("Draining", (*weftv1.ServerEnvelope).HasDraining).GetDraining().GetReconnectAfterMs(); after < 1000 || after > 10_000 {
		t.Errorf("Draining says to come back after %d ms, want some seconds", after)
	}
	closing := c.await("Closing", (*weftv1.ServerEnvelope).HasClosing).GetClosing()
	if closing.GetCode() != weftv1.Code_CODE_DRAINING || !closing.GetRetry() {
		t.Errorf("Closing = %v, want %v and to try again", closing, weftv1.Code_CODE_DRAINING)
	}
	if _, err := c.Receive(); err == nil || !strings.Contains(err.Error(), "1012") {
		t.Errorf("after Closing = %v, want close code 1012", err)
	}
	c.Cut()
	if err := <-drained; err != nil {
		t.Errorf("Drain = %v, want nil", err)
	}
	if end := r.events.end(t, 0); end.Client != "test/1" || end.Protocol != "native" {
		t.Errorf("the connection of %q with %q ended, want test/1 with native", end.Client, end.Protocol)
	}
}

// TestNativeLargeDocument sends what does not fit into a WebSocket message to who can put it together, and not to others.
func TestNativeLargeDocument(t *testing.T) {
	const limit = 4 << 10
	r := start(t, gateway.Options{NativeFrame: limit})
	writer := r.join("/yjs/room")
	doc := crdt.New(crdt.Options{})
	write := func(size int) {
		u, err := doc.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Insert(0, strings.Repeat("x", size)) })
		if err != nil {
			t.Fatal(err)
		}
		writer.send(frame(protocol.Update, u))
		writer.echo("written")
	}
	write(10)
	one, whole := r.native(""), r.native("", weftv1.Feature_FEATURE_FRAGMENTS)
	one.join("room")
	whole.join("room")
	write(2_000_000)
	left := one.await("the end of the place", (*weftv1.ServerEnvelope).HasLeft).GetLeft()
	if left.GetReason().GetCode() != weftv1.Code_CODE_TOO_LARGE {
		t.Errorf("without fragments the place ended with %v, want %v", left, weftv1.Code_CODE_TOO_LARGE)
	}
	if e := one.ask("room"); e.GetRefused().GetCode() != weftv1.Code_CODE_TOO_LARGE {
		t.Errorf("Join without fragments = %v, want %v", e, weftv1.Code_CODE_TOO_LARGE)
	}
	one.join("another room")
	got := crdt.New(crdt.Options{})
	if _, err := got.Apply(doc.AppendDiff(nil, nil, crdt.V1), crdt.V1); err != nil {
		t.Fatal(err)
	}
	update := whole.await("the update", func(e *weftv1.ServerEnvelope) bool { return e.HasUpdated() }).GetUpdated()
	if n := len(update.GetUpdate()); n < 2_000_000 || whole.Largest > limit {
		t.Errorf("the update has %d bytes in messages of at most %d, want 2 MB in messages of %d", n, whole.Largest, limit)
	}
	newcomer := r.native("", weftv1.Feature_FEATURE_FRAGMENTS)
	if n := len(newcomer.join("room").GetUpdate()); n < 2_000_000 || newcomer.Largest > limit {
		t.Errorf("Joined has %d bytes in messages of at most %d, want 2 MB in messages of %d", n, newcomer.Largest, limit)
	}
}

// TestNativeEnvelopesCount counts envelopes against the rate of messages, however few WebSocket messages they come in.
func TestNativeEnvelopesCount(t *testing.T) {
	r := start(t, gateway.Options{ConnRate: gateway.Rate{Messages: 20}})
	c := r.native("")
	pings := slices.Repeat([]*weftv1.ClientEnvelope{weftv1.ClientEnvelope_builder{Ping: &weftv1.Ping{}}.Build()}, 20*25+10)
	if err := c.Send(pings...); err != nil {
		t.Fatal(err)
	}
	for range pings {
		c.await("Pong", (*weftv1.ServerEnvelope).HasPong)
	}
	c.tell(weftv1.ClientEnvelope_builder{Ref: 7, Ping: &weftv1.Ping{}})
	c.await("Pong", func(e *weftv1.ServerEnvelope) bool { return e.GetRef() == 7 })
	if got := r.events.pauses("connection"); got == 0 {
		t.Error("the connection was not paused, want a rest for its envelopes")
	}
}

// TestNativeSilence ends who does not say Hello.
func TestNativeSilence(t *testing.T) {
	r := start(t, gateway.Options{AuthTime: 100 * time.Millisecond})
	c, err := conformance.Connect(t.Context(), conformance.Server{URL: "ws://" + r.addr + "/native"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Cut)
	e, err := c.Receive()
	if err != nil || e.GetClosing().GetCode() != weftv1.Code_CODE_TIMED_OUT {
		t.Errorf("without Hello = %v, %v, want %v", e, err, weftv1.Code_CODE_TIMED_OUT)
	}
	if end := r.events.end(t, 0); end.Reason != protocol.TimedOut {
		t.Errorf("the connection ended with %v, want %v", end.Reason, protocol.TimedOut)
	}
}
