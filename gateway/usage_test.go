package gateway_test

import (
	"context"
	"maps"
	"testing"
	"time"

	"weft/gateway"
	"weft/protocol"
	"weft/room"
)

// TestUsage looks at connections of three states: one without a token, one that is quiet, one that is not.
func TestUsage(t *testing.T) {
	r := start(t, gateway.Options{AuthTime: time.Hour})
	if u := r.server.Usage(); len(u.Conns) != 0 || u.Outbox != 0 || u.PerRoom != 0 || u.PerAddr != 0 {
		t.Errorf("Usage() of nobody = %+v, want nothing", u)
	}
	r.join("/hocuspocus")
	quiet, loud := r.join("/yjs/r"), r.join("/yjs/r")
	quiet.echo("here")
	want := map[gateway.Kind]int{
		{Protocol: "hocuspocus", State: gateway.Entering}: 1,
		{Protocol: "y-websocket", State: gateway.Quiet}:   1,
		{Protocol: "y-websocket", State: gateway.Active}:  1,
	}
	for deadline := time.Now().Add(patience); ; { // the echoes keep one awake
		loud.echo("still here")
		u := r.server.Usage()
		if maps.Equal(u.Conns, want) && u.PerRoom == 2 && u.PerAddr == 3 && u.PerUser == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("Usage() = %+v after %v, want %v, 2 in a room, 3 of an address, and nobody known", u, patience, want)
		}
	}
}

// TestUsageOfOutboxes tells a client that does not read more than sockets hold.
func TestUsageOfOutboxes(t *testing.T) {
	const size = 64 << 20
	outs := make(chan *room.Outbox, 2)
	r := start(t, gateway.Options{Rooms: &fakeRooms{join: func(_ context.Context, _ string, p room.Peer) (gateway.Session, error) {
		outs <- p.Out
		return newFakeSession(func(context.Context, protocol.Message) error { return nil }), nil
	}}})
	r.join("/yjs/a")
	r.join("/yjs/b")
	<-outs
	(<-outs).Offer(make([]byte, size))
	if u := r.server.Usage(); u.Outbox < size || u.Outbox > size+1024 || int64(u.OutboxMax) != u.Outbox {
		t.Errorf("Usage() = %d bytes in outboxes, %d in the fullest, want about %d in both", u.Outbox, u.OutboxMax, size)
	}
}
