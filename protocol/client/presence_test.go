package client_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"weft/crdt"
	"weft/protocol/client"
	"weft/protocol/weftv1"
)

func peer(id, clock uint64, state string) *weftv1.Peer {
	return weftv1.Peer_builder{ClientId: id, Clock: clock, State: []byte(state)}.Build()
}

func (c *fakeConn) presence(peers ...*weftv1.Peer) {
	c.f.t.Helper()
	c.send(weftv1.ServerEnvelope_builder{Presence: weftv1.Presence_builder{RoomId: 7, Peers: peers}.Build()})
}

// said returns the next envelope, which must be a SetPresence.
func (c *fakeConn) said() *weftv1.SetPresence {
	c.f.t.Helper()
	e := c.next()
	if !e.HasSetPresence() {
		c.f.t.Fatalf("message = %v, want SetPresence", e)
	}
	return e.GetSetPresence()
}

// Presence is said on joining, every 15 s, and when others were told something else, always with a higher clock.
func TestPresenceIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, doc := newFake(t), crdt.New(crdt.Options{})
		s := open(t, f.client(client.Options{}), client.JoinOptions{})
		if err := s.SetPresence(map[string]int{"n": 1}); err != nil {
			t.Fatal(err)
		}
		own := uint64(s.ClientID())
		want := func(conn *fakeConn, clock uint64, state string) {
			t.Helper()
			got := conn.said()
			if got.GetClientId() != own || got.GetClock() != clock || string(got.GetState()) != state {
				t.Errorf("SetPresence = %v, want client %d, clock %d, state %s", got, own, clock, state)
			}
		}
		conn := f.accept(weftv1.Welcome_builder{})
		conn.joined(doc, 1)
		want(conn, 1, `{"n":1}`)
		begun := time.Now()
		conn.presence(peer(own, 1, `{"n":1}`)) // its own echo changes nothing
		want(conn, 2, `{"n":1}`)
		if got := time.Since(begun); got < 14*time.Second || got > 15*time.Second {
			t.Errorf("said again after %v, want 15s after connecting", got)
		}
		conn.presence(peer(own, 2, ""))
		want(conn, 3, `{"n":1}`)
		conn.presence(peer(own, 9, `{"n":0}`)) // from an earlier run
		want(conn, 10, `{"n":1}`)
		conn.drop()
		conn = f.accept(weftv1.Welcome_builder{})
		conn.joined(doc, 1)
		want(conn, 11, `{"n":1}`)
		if err := s.SetPresence(nil); err != nil {
			t.Fatal(err)
		}
		want(conn, 12, "")
	})
}

// The list of others follows what the server says, and is empty without a connection.
func TestPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, doc := newFake(t), crdt.New(crdt.Options{})
		var told [][]client.Peer
		s := open(t, f.client(client.Options{}), client.JoinOptions{
			Events: client.Events{Presence: func(changed []client.Peer) { told = append(told, changed) }},
		})
		conn := f.accept(weftv1.Welcome_builder{})
		conn.joined(doc, 1)
		list := func() (out string) {
			synctest.Wait()
			for _, p := range s.Peers() {
				out += string(p.State)
			}
			return out
		}
		steps := []struct {
			name  string
			peers []*weftv1.Peer
			want  string
			tells int // calls of the event so far
		}{
			{"two come", []*weftv1.Peer{peer(2, 1, `"b"`), peer(1, 1, `"a"`)}, `"a""b"`, 1},
			{"one moves", []*weftv1.Peer{peer(2, 2, `"c"`)}, `"a""c"`, 2},
			{"too old", []*weftv1.Peer{peer(2, 1, `"b"`)}, `"a""c"`, 2},
			{"same clock", []*weftv1.Peer{peer(2, 2, `"d"`)}, `"a""c"`, 2},
			{"renewed", []*weftv1.Peer{peer(2, 3, `"c"`)}, `"a""c"`, 2},
			{"goes", []*weftv1.Peer{peer(1, 1, "null")}, `"c"`, 3},
			{"unknown goes", []*weftv1.Peer{peer(5, 1, "")}, `"c"`, 3},
		}
		for _, step := range steps {
			conn.presence(step.peers...)
			if got := list(); got != step.want || len(told) != step.tells {
				t.Errorf("%s: peers %s, %d events; want %s, %d", step.name, got, len(told), step.want, step.tells)
			}
		}
		conn.drop()
		if got := list(); got != "" || len(told) != 4 || told[3][0].ID != 2 || told[3][0].State != nil {
			t.Errorf("without a connection: peers %s, events %v; want none, the last that 2 has gone", got, told)
		}
	})
}

// A newer token is asked for when the server says so and before the old one ends; a refused one leads to one more try.
func TestTokenRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		n := 0
		f.client(client.Options{Token: func(context.Context) (string, error) {
			if n++; n == 2 {
				return "", errors.New("not now")
			}
			return string(rune('a' + n - 1)), nil
		}})
		conn := f.accept(weftv1.Welcome_builder{
			TokenExpiresMs: time.Now().Add(time.Hour).UnixMilli(), KeepAliveMs: uint32(5 * time.Hour / time.Millisecond),
		})
		if got := conn.hello.GetToken(); got != "a" {
			t.Errorf("Hello.token = %q, want a", got)
		}
		begun := time.Now()
		e := conn.next() // the second answer was an error
		if got := time.Since(begun); e.GetRefresh().GetToken() != "c" || got < time.Hour-time.Minute || got > time.Hour {
			t.Errorf("after %v: %v, want Refresh with token c shortly before an hour is over", got, e)
		}
		conn.send(weftv1.ServerEnvelope_builder{Ref: e.GetRef(), Refreshed: weftv1.Refreshed_builder{
			TokenExpiresMs: time.Now().Add(time.Hour).UnixMilli(),
		}.Build()})
		begun = time.Now()
		if e = conn.next(); e.GetRefresh().GetToken() != "d" || time.Since(begun) < time.Hour-time.Minute {
			t.Errorf("after %v: %v, want Refresh with token d", time.Since(begun), e)
		}
	})
}

func TestRefusedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		n := 0
		c := f.client(client.Options{Token: func(context.Context) (string, error) { n++; return "bad", nil }})
		for range 2 {
			conn := f.acceptOnly()
			conn.next()
			conn.closeWith(4401, "no")
		}
		<-c.Done()
		if got := codeOf(c.Err()); got != client.CodeUnauthorized || n != 2 {
			t.Errorf("Err = %v after %d tokens, want unauthorized after 2", c.Err(), n)
		}
	})
}

// A room that may only be read takes no edits; when writing is taken away the program is told.
func TestAccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, doc := newFake(t), crdt.New(crdt.Options{})
		var told []client.Access
		s := open(t, f.client(client.Options{}), client.JoinOptions{Events: client.Events{Access: func(a client.Access) { told = append(told, a) }}})
		conn := f.accept(weftv1.Welcome_builder{})
		conn.joined(doc, 1)
		conn.send(weftv1.ServerEnvelope_builder{AccessChanged: weftv1.AccessChanged_builder{
			RoomId: 7, Access: weftv1.Access_ACCESS_READ, Reason: "because",
		}.Build()})
		synctest.Wait()
		err := s.Edit(func(tx *crdt.Tx) error { return tx.Text(text).Insert(0, "x") })
		if !errors.Is(err, client.ErrReadOnly) || read(s) != "" {
			t.Errorf("Edit = %v, text %q; want ErrReadOnly and nothing", err, read(s))
		}
		if len(told) != 1 || told[0] != (client.Access{Reason: "because"}) {
			t.Errorf("events = %v, want one that says why", told)
		}
	})
}

// What is unknown is ignored; a message about a room that the client is not in, too.
func TestUnknownMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, doc := newFake(t), crdt.New(crdt.Options{})
		s := open(t, f.client(client.Options{}), client.JoinOptions{})
		conn := f.accept(weftv1.Welcome_builder{})
		conn.joined(doc, 1)
		conn.send(
			weftv1.ServerEnvelope_builder{},
			weftv1.ServerEnvelope_builder{Ack: weftv1.Ack_builder{RoomId: 99, Id: 1}.Build()},
			weftv1.ServerEnvelope_builder{Left: weftv1.Left_builder{RoomId: 99}.Build()},
			weftv1.ServerEnvelope_builder{Ref: 77, Joined: weftv1.Joined_builder{RoomId: 98}.Build()},
			weftv1.ServerEnvelope_builder{Moved: weftv1.Moved_builder{RoomId: 7}.Build()},
		)
		if e := conn.next(); e.GetLeave().GetRoomId() != 98 {
			t.Errorf("message = %v, want a place that nobody wants to be left", e)
		}
		insert(t, s, "x")
		conn.ack(conn.take(doc), 2)
		if err := s.WaitSaved(t.Context()); err != nil || !s.Live() {
			t.Errorf("WaitSaved = %v, live %v; want the session to go on", err, s.Live())
		}
	})
}
