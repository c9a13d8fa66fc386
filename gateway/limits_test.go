package gateway_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"weft/gateway"
	"weft/protocol"
)

// TestRoomIsFull fills a room: one more client is refused, before the upgrade where the room is known then, and the
// place of one that leaves is free at once.
func TestRoomIsFull(t *testing.T) {
	r := start(t, gateway.Options{MaxPlacesPerRoom: 2})
	first := r.join("/yjs/full")
	first.echo("in")
	second := r.joinHP("/hocuspocus")
	second.enter("full", "")

	_, resp, err := r.dial("/yjs/full", nil)
	wantRefused(t, resp, err, http.StatusServiceUnavailable, "room_full")
	third := r.joinHP("/hocuspocus")
	third.token("full", "", "4.8.0")
	third.wantClose(protocol.Overloaded)
	r.join("/yjs/another").echo("not full")

	first.Close()
	r.events.untilGone(t, "y-websocket", "full")
	r.join("/yjs/full").echo("in the free place")
}

// TestConnectionsOfAUser counts connections and not places: a user may be in many rooms over one.
func TestConnectionsOfAUser(t *testing.T) {
	r := startAuth(t, gateway.Options{MaxConnsPerUser: 2})
	ada, bob := userToken(t, "ada", canWrite("**")), userToken(t, "bob", canWrite("**"))
	one := r.joinHP("/hocuspocus")
	for _, doc := range []string{"a", "b", "c"} {
		one.enter(doc, ada)
	}
	two := r.join("/yjs/a?token=" + ada)
	two.echo("in")
	r.join("/yjs/b?token=" + ada).wantClose(protocol.Overloaded)
	three := r.joinHP("/hocuspocus")
	three.token("d", ada, "4.8.0")
	three.wantClose(protocol.Overloaded)
	r.join("/yjs/a?token=" + bob).echo("another user")
	one.enter("d", ada)

	two.Close()
	r.events.untilGone(t, "y-websocket", "a")
	r.join("/yjs/b?token=" + ada).echo("in the free place")
}

// TestAdmission turns clients away before anything is spent on them while too many rooms are being opened.
func TestAdmission(t *testing.T) {
	const after = 7300 * time.Millisecond
	r := start(t, gateway.Options{Rooms: &fakeRooms{admit: func(name string) (time.Duration, bool) { return after, name == "open" }}})
	r.join("/yjs/open")
	_, resp, err := r.dial("/yjs/cold", nil)
	wantRefused(t, resp, err, http.StatusServiceUnavailable, "overloaded")
	if got, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || got != 8 {
		t.Errorf("Retry-After = %q, want the %v of the rooms in whole seconds", resp.Header.Get("Retry-After"), after)
	}
	c := r.joinHP("/hocuspocus")
	c.token("open", "", "4.8.0")
	c.hearKind("open", protocol.Granted)
	c.token("cold", "", "4.8.0")
	c.wantClose(protocol.Overloaded)
}
