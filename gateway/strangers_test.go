package gateway_test

import (
	"context"
	"strings"
	"testing"

	"weft/gateway"
	"weft/gateway/auth"
	"weft/protocol"
)

// TestStrangersMessages has a client show its token and send more than a stranger may, before anybody has looked at
// the token: what is not read takes no memory, and arrives when the client is let in.
func TestStrangersMessages(t *testing.T) {
	gate := make(chan struct{})
	r := start(t, gateway.Options{Auth: authFunc(func(ctx context.Context, _ auth.Request) (auth.Grant, error) {
		select {
		case <-gate:
		case <-ctx.Done():
		}
		return auth.Grant{Write: true}, nil
	}), AuthTime: patience})
	const size = 1 << 20
	long := strings.Repeat("x", size)
	c, many := r.joinHP("/hocuspocus"), r.joinHP("/hocuspocus")
	c.token("long", "good", "4.8.0")
	many.token("many", "good", "4.8.0")
	sent := make(chan struct{})
	go func() { // a socket holds some of this, and the rest waits
		defer close(sent)
		c.say("long", protocol.Update, textUpdate(7, 0, long))
		for i := range 200 {
			many.say("many", protocol.Update, textUpdate(10+i, 0, long[:10_000]))
		}
	}()
	const full = 2*64<<10 + 50_000        // the message, with what it is copied from, and a queue with no room for another
	const most = 2 * (3 * 64 << 10)       // of both
	for r.server.MessageMemory() < full { // ends with the test: the server reads what is there
		if t.Context().Err() != nil {
			t.Fatalf("strangers take %d bytes, want %d", r.server.MessageMemory(), full)
		}
		r.get("/healthz", nil)
	}
	for range 100 {
		if got := r.server.MessageMemory(); got > most {
			t.Fatalf("strangers take %d bytes, at most %d are theirs", got, most)
		}
		r.get("/healthz", nil)
	}
	close(gate)
	<-sent
	c.say("long", protocol.SyncStep1, []byte{0})
	if m := c.hearKind("long", protocol.SyncStep2); len(m.Data) < size {
		t.Errorf("the room has %d bytes, want the %d that were sent before the client was let in", len(m.Data), size)
	}
	many.say("many", protocol.SyncStep1, []byte{0})
	if m := many.hearKind("many", protocol.SyncStep2); len(m.Data) < 2_000_000 {
		t.Errorf("the room has %d bytes, want those of 200 updates", len(m.Data))
	}
	if got := r.server.MessageMemory(); got != 0 {
		t.Errorf("%d bytes are taken when everything was handled, want 0", got)
	}
}

// TestStrangersLongMessageIsSkipped sends one before the token, as a provider may that fetches it: the client is let in
// none the less, and what it sends then is read.
func TestStrangersLongMessageIsSkipped(t *testing.T) {
	r := start(t, gateway.Options{Auth: authFunc(func(context.Context, auth.Request) (auth.Grant, error) {
		return auth.Grant{Write: true}, nil
	})})
	c := r.joinHP("/hocuspocus")
	long := textUpdate(7, 0, strings.Repeat("x", 1<<20))
	c.say("d", protocol.Update, long)
	c.say("d", protocol.Update, textUpdate(8, 0, "short"))
	c.enter("d", "good")
	c.say("d", protocol.SyncStep2, long)
	c.hearKind("d", protocol.Saved)
	c.say("d", protocol.SyncStep1, []byte{0})
	if m := c.hearKind("d", protocol.SyncStep2); len(m.Data) < 1<<20 {
		t.Errorf("the room has %d bytes, want what the client sent when it was in", len(m.Data))
	}
}
