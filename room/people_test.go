package room_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weft/presence"
	"weft/protocol"
	"weft/room"
)

func TestPresenceInTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		a.announce(7, 1, `"a"`)
		settle(a, b)
		want := map[uint64]person{7: {1, `"a"`}}
		if fmt.Sprint(a.people) != fmt.Sprint(want) || fmt.Sprint(b.people) != fmt.Sprint(want) {
			t.Errorf("author sees %v and the other %v, want both %v", a.people, b.people, want)
		}
		b.announce(7, 9, `"forged"`)
		settle(a, b)
		b.people = map[uint64]person{}
		b.send(protocol.QueryAwareness, nil)
		settle(a, b)
		if fmt.Sprint(b.people) != fmt.Sprint(want) {
			t.Errorf("a query is answered with %v, want %v", b.people, want)
		}
		a.session.Leave()
		settle(b)
		if len(b.people) != 0 {
			t.Errorf("after a left b sees %v, want nobody", b.people)
		}
		// y-websocket comes back with the clock it had; it is told of its removal and
		// answers with the next clock.
		c := w.join("r", &client{}, peer(0))
		c.people[7] = person{1, `"a"`}
		c.announce(7, 1, `"a"`)
		settle(b, c)
		if _, ok := c.people[7]; ok {
			t.Error("a client with an old clock is not told of its removal")
		}
		c.announce(7, 2, `"a"`)
		settle(b, c)
		if fmt.Sprint(b.people) != fmt.Sprint(map[uint64]person{7: {2, `"a"`}}) {
			t.Errorf("after the reconnect b sees %v", b.people)
		}
	})
}

func TestDeadConnLosesItsIDToTheNewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		dead, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		dead.announce(7, 1, `"a"`)
		settle(dead, b)
		time.Sleep(time.Second)
		dead.deaf = true // its network is gone; the server does not know yet
		again := w.join("r", &client{}, peer(0))
		again.announce(7, 2, `"a again"`)
		settle(b, again)
		if b.people[7] != (person{1, `"a"`}) {
			t.Errorf("at once b sees %v, want the old state", b.people[7])
		}
		time.Sleep(8 * time.Second)
		settle(b, again)
		if b.people[7] != (person{2, `"a again"`}) {
			t.Errorf("after 8 s b sees %v, want the new conn's state", b.people[7])
		}
		// A live conn, which answers the probe, keeps its id.
		thief := w.join("r", &client{}, peer(0))
		thief.announce(7, 50, `"thief"`)
		for range 20 {
			time.Sleep(time.Second)
			settle(b, again, thief)
		}
		if b.people[7] != (person{2, `"a again"`}) {
			t.Errorf("after a stranger's claim b sees %v, want the owner's state", b.people[7])
		}
	})
}

// TestPresenceIsStamped relays states with the identity of the token, to those
// who are there and to those who join later.
func TestPresenceIsStamped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{StampPresence: true})
		defer w.stop()
		p := peer(0)
		p.User = presence.User{ID: "u1", Name: "Ada"}
		a, guest := w.join("r", &client{}, p), w.join("r", &client{}, peer(0))
		settle(a, guest)
		a.announce(7, 1, `{"user":{"name":"Eve","color":"red"}}`)
		guest.announce(8, 1, `{"user":{"id":"u1","name":"Ada","color":"blue"}}`)
		settle(a, guest)
		late := w.join("r", &client{}, peer(0))
		settle(late)
		want := map[uint64]person{
			7: {1, `{"user":{"color":"red","id":"u1","name":"Ada"}}`},
			8: {1, `{"user":{"color":"blue"}}`},
		}
		for who, c := range map[string]*client{"the author": a, "another": guest, "a joiner": late} {
			if diff := cmp.Diff(want, c.people, cmp.AllowUnexported(person{})); diff != "" {
				t.Errorf("%s sees (-want +got):\n%s", who, diff)
			}
		}
	})
}

func TestPresenceOfALaggingPeerIsTheLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(4<<10))
		gone := w.join("r", &client{}, peer(0))
		gone.announce(9, 1, `"gone"`)
		settle(a, b, gone)
		b.deaf, b.inbox = true, nil
		state := strings.Repeat("x", 500)
		for clock := uint64(1); clock <= 300; clock++ {
			a.announce(7, clock, `"`+state+string(rune('a'+clock%26))+`"`)
			settle(a, b, gone)
		}
		gone.session.Leave()
		settle(a, b)
		if got := b.out.Size(); got > 4<<10 {
			t.Errorf("outbox holds %d bytes of presence, want at most its bound", got)
		}
		b.deaf = false
		settle(a, b)
		if diff := cmp.Diff(a.people, b.people, cmp.AllowUnexported(person{})); diff != "" {
			t.Errorf("peer that caught up sees other people (-prompt +lagging):\n%s", diff)
		}
		if got := len(b.kinds()); got > 10 {
			t.Errorf("300 moves arrive in %d messages, want what fitted and one more", got)
		}
	})
}

// TestStaleAnswersOfALaggingPeerAreDropped has a peer that does not read announce
// a state that the room knows to be outdated, which is answered each time.
func TestStaleAnswersOfALaggingPeerAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		gone, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(4<<10))
		gone.announce(9, 5, `"gone"`)
		settle(gone, b)
		gone.session.Leave()
		settle(b)
		b.deaf = true
		for range 1000 {
			b.announce(9, 1, `"again"`)
			synctest.Wait()
			if got := b.out.Size(); got > 4<<10 {
				t.Fatalf("outbox of a peer that does not read holds %d bytes of answers, want at most its bound of 4 KiB", got)
			}
		}
		if b.out.Size() == 0 {
			t.Error("the outdated state was not answered at all")
		}
		b.deaf = false
		settle(b)
		b.people[9] = person{1, `"again"`}
		b.announce(9, 1, `"again"`)
		settle(b)
		if _, ok := b.people[9]; ok {
			t.Error("a peer that caught up is not told of its outdated state")
		}
	})
}

func TestPresenceOfACrowdIsCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		var clients []*client
		for range 60 {
			clients = append(clients, w.join("r", &client{}, peer(0)))
		}
		settle(clients...)
		watcher := clients[59]
		watcher.kinds()
		for clock := range uint64(10) {
			for i, c := range clients[:50] {
				c.announce(uint64(i+1), clock+1, `"x"`)
				if clock > 0 {
					c.announce(uint64(i+1), clock+1, `"y"`)
				}
			}
		}
		settle(clients...)
		time.Sleep(10 * time.Millisecond)
		settle(clients...)
		if got := len(watcher.kinds()); got != 1 {
			t.Errorf("950 changes of 50 people within 10 ms arrive as %d messages, want 1", got)
		}
		if got := len(watcher.people); got != 50 {
			t.Errorf("watcher sees %d people, want 50", got)
		}
	})
}

func TestRenewalsAreRelayedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, peer(0)), w.join("r", &client{}, peer(0))
		a.announce(7, 1, `"a"`)
		b.announce(8, 1, `"b"`)
		settle(a, b)
		for clock := uint64(2); clock < 20; clock++ { // as awareness.js does
			time.Sleep(15 * time.Second)
			a.kinds()
			a.announce(7, clock, `"a"`)
			b.announce(8, clock, `"b"`)
			time.Sleep(3 * time.Second)
			settle(a, b)
			if got, want := a.people[8], (person{clock, `"b"`}); got != want {
				t.Fatalf("3 s after the renewal a sees %v, want %v", got, want)
			}
			if got := len(a.kinds()); got > 2 {
				t.Errorf("two renewals arrive as %d messages, want one and at most a keep-alive", got)
			}
		}
	})
}

// TestReconnectOfTheSameUserTakesOver comes back on a new conn while the old one
// is not known to be dead, with the state it had and with a newer one.
func TestReconnectOfTheSameUserTakesOver(t *testing.T) {
	for clock, state := range map[uint64]string{3: `"me"`, 4: `"me, elsewhere"`} {
		synctest.Test(t, func(t *testing.T) {
			w := start(t, room.Options{})
			defer w.stop()
			p := peer(0)
			p.User = presence.User{ID: "u1"}
			old, other := w.join("r", &client{}, p), w.join("r", &client{}, peer(0))
			old.announce(7, 3, `"me"`)
			settle(old, other)
			old.deaf = true // its network is gone

			back := w.join("r", &client{}, p)
			back.announce(7, clock, state)
			settle(back, other)
			old.session.Leave()
			settle(back, other)
			if diff := cmp.Diff(map[uint64]person{7: {clock, state}}, other.people, cmp.AllowUnexported(person{})); diff != "" {
				t.Errorf("after the old conn is gone others see (-want +got):\n%s", diff)
			}
			for i, m := range other.inbox {
				if m.Kind == protocol.Awareness && bytes.Contains(m.Data, []byte("null")) {
					t.Errorf("message %d removes somebody who was here all the time: %q", i, m.Data)
				}
			}
			back.session.Leave()
			settle(other)
			if len(other.people) != 0 {
				t.Errorf("after the new conn left others see %v, want nobody", other.people)
			}
		})
	}
}
