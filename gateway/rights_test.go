package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"weft/crdt"
	"weft/crdt/lib0"
	"weft/gateway"
	"weft/gateway/auth"
	"weft/protocol"
	"weft/room"
)

// forgeries are updates that somebody without the right to write may try: good ones, ones of each kind that a document
// refuses or waits with, and bytes that are none.
func forgeries(t *testing.T, state []byte) map[string][]byte {
	t.Helper()
	d := crdt.New(crdt.Options{})
	if _, err := d.Apply(state, crdt.V1); err != nil {
		t.Fatal(err)
	}
	edit := func(f func(*crdt.Tx) error) []byte {
		u, err := d.Edit(f)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	first := edit(func(tx *crdt.Tx) error { return tx.Text("codemirror").Insert(0, "forged") })
	second := edit(func(tx *crdt.Tx) error { return tx.Text("codemirror").Insert(3, "forged again") })
	deletion := edit(func(tx *crdt.Tx) error { return tx.Text("codemirror").Delete(0, tx.Text("codemirror").Len()) })
	return map[string][]byte{
		"insertion":        first,
		"without its past": second,
		"deletion":         deletion,
		"another root":     edit(func(tx *crdt.Tx) error { return tx.Map("m").Set("k", "forged") }),
		"whole state":      d.AppendDiff(nil, nil, crdt.V1),
		"state in V2":      d.AppendDiff(nil, nil, crdt.V2),
		"what is there":    state,
		"empty":            {0, 0},
		"no bytes":         {},
		"cut off":          first[:len(first)-3],
		"with a tail":      append(bytes.Clone(first), 1, 2, 3),
		"huge count":       {0xff, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3},
		"delete the future": {
			0, 1, 9, 1, 0, 0x7f, // no structs; of one client, one range of 127 units
		},
		"noise": bytes.Repeat([]byte{0xde, 0xad, 0xbe, 0xef}, 50),
	}
}

// watcher is a client that only looks on. It keeps what it is shown of the document and of the application's messages.
type watcher struct{ *client }

// wantNothingBut checks that from now on the first change which is shown is that of the room's owner.
func (w watcher) wantNothingBut(what string, want []byte) {
	w.t.Helper()
	m := w.receive("the owner's change", func(m protocol.Message) bool {
		return m.Kind == protocol.Update || m.Kind == protocol.SyncStep2 || m.Kind == protocol.Stateless
	})
	if m.Kind != protocol.Update || !bytes.Equal(m.Data, want) {
		w.t.Errorf("after %s others are shown kind %v %x, want nothing but the owner's %x", what, m.Kind, m.Data, want)
	}
}

// TestReaderChangesNothing sends everything that writes from a client that may only read, in both protocols.
func TestReaderChangesNothing(t *testing.T) {
	r := startAuth(t, gateway.Options{})
	owner := r.join("/yjs/room?token=" + userToken(t, "owner", canWrite("**")))
	doc := crdt.New(crdt.Options{})
	edit := func(text string) []byte {
		u, err := doc.Edit(func(tx *crdt.Tx) error { return tx.Text("codemirror").Insert(0, text) })
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	owner.send(frame(protocol.Update, edit("the owner's text")))
	owner.echo("1")
	state := r.state("room")
	token := userToken(t, "reader", canRead("**"))
	w := watcher{r.join("/yjs/room?token=" + userToken(t, "watcher", canRead("**")))}
	w.send(frame(protocol.SyncStep1, []byte{0}))
	w.receive("the state", func(m protocol.Message) bool { return m.Kind == protocol.SyncStep2 })

	check := func(what string) {
		t.Helper()
		if got := r.state("room"); !bytes.Equal(got, state) {
			t.Errorf("after %s of a reader the room is %x, want %x", what, got, state)
		}
		u := edit("!")
		owner.send(frame(protocol.Update, u))
		owner.echo("2")
		w.wantNothingBut(what, u)
		state = r.state("room")
	}
	for name, update := range forgeries(t, state) {
		for _, kind := range []protocol.Kind{protocol.Update, protocol.SyncStep2} {
			what := fmt.Sprintf("%s as kind %v", name, kind)
			y := r.join("/yjs/room?token=" + token)
			y.send(frame(kind, update))
			r.settle(y)
			check(what + " by y-websocket")

			h := r.joinHocuspocus()
			h.show("room", token)
			h.wantScope("room", protocol.ReadOnly)
			h.say("room", kind, update)
			r.settle(h.client)
			check(what + " by Hocuspocus")

			// SyncReply (4) is a sync message by another name, which servers send each other.
			h = r.joinHocuspocus()
			h.show("room", token)
			h.wantScope("room", protocol.ReadOnly)
			sync := append(lib0.AppendString(nil, "room"), 4, map[protocol.Kind]byte{protocol.SyncStep2: 1, protocol.Update: 2}[kind])
			h.send(lib0.AppendBytes(sync, update))
			r.settle(h.client)
			check(what + " in a SyncReply")
		}
	}
	h := r.joinHocuspocus()
	h.show("room", token)
	h.wantScope("room", protocol.ReadOnly)
	h.say("room", protocol.Stateless, []byte("forged"))
	h.say("room", protocol.ServerOnly, []byte("forged"))
	r.settle(h.client)
	check("the application's messages")
}

// settle ends a client's side and waits until the server has ended the connection, having handled all it was sent.
func (r *rig) settle(c *client) {
	r.t.Helper()
	if err := c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience)); err != nil {
		r.t.Fatalf("close: %v", err)
	}
	_, _ = c.closeCode()
	c.Close()
}

// TestRevoke revokes users, sessions and rooms while their clients are there.
func TestRevoke(t *testing.T) {
	for _, c := range []struct {
		name, body string
		ended      int  // places
		ada, other bool // whether ada's places in "room" and in "other" ended
		bob        bool // whether bob's in "room" did
	}{
		{"user", `{"user":"ada"}`, 4, true, true, false},
		{"user in a room", `{"user":"ada","room":"room"}`, 2, true, false, false},
		{"session", `{"session":"ada-session"}`, 4, true, true, false},
		{"room", `{"room":"room"}`, 3, true, false, true},
		{"somebody else", `{"user":"eve"}`, 0, false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := startAuth(t, gateway.Options{})
			ada, bob := userToken(t, "ada", canWrite("**")), userToken(t, "bob", canWrite("**"))
			yRoom, yOther, yBob := r.join("/yjs/room?token="+ada), r.join("/yjs/other?token="+ada), r.join("/yjs/room?token="+bob)
			h := r.joinHocuspocus()
			for _, y := range []*client{yRoom, yOther, yBob} {
				y.echo("1")
			}
			for _, doc := range []string{"room", "other"} {
				h.show(doc, ada)
				h.wantScope(doc, protocol.ReadWrite)
				h.turn(doc)
			}
			answer := r.administer("revoke", c.body)
			if got := answer["ended"]; got != float64(c.ended) {
				t.Errorf("revoke %s ended %v places, want %d", c.body, got, c.ended)
			}
			if _, ok := answer["until"]; ok {
				t.Errorf("revoke %s = %v, want no end where no seconds are given", c.body, answer)
			}
			for _, one := range []struct {
				name  string
				y     *client
				path  string
				ended bool
			}{
				{"ada's in room", yRoom, "/yjs/room?token=" + ada, c.ada},
				{"ada's in other", yOther, "/yjs/other?token=" + ada, c.other},
				{"bob's in room", yBob, "/yjs/room?token=" + bob, c.bob},
			} {
				if one.ended {
					one.y.wantClose(protocol.Forbidden)
					r.join(one.path).wantClose(protocol.Forbidden)
				} else {
					one.y.echo("2")
					r.join(one.path).echo("3")
				}
			}
			var ended []string
			for doc, is := range map[string]bool{"room": c.ada, "other": c.other} {
				if is {
					ended = append(ended, doc)
				}
			}
			h.hearEach(ended, protocol.Barred)
			for doc, is := range map[string]bool{"room": c.ada, "other": c.other} {
				if is {
					h.show(doc, ada)
					h.hear(doc, protocol.Barred)
				} else {
					h.turn(doc)
				}
			}
			if c.ended > 0 {
				r.administer("unrevoke", c.body)
				r.join("/yjs/room?token=" + ada).echo("4")
				r.join("/yjs/room?token=" + bob).echo("5")
			}
		})
	}
}

// TestRevokedChangesNothing has clients write as fast as they can while they are revoked: once the answer is there,
// nothing of theirs may come into the room.
func TestRevokedChangesNothing(t *testing.T) {
	for round := range 5 {
		r := startAuth(t, gateway.Options{})
		ada := userToken(t, "ada", canWrite("**"))
		bob := r.join("/yjs/room?token=" + userToken(t, "bob", canWrite("**")))
		bob.echo("1")
		var writing sync.WaitGroup
		begun := make(chan struct{}, 4)
		flood := func(send func(update []byte) error) {
			doc := crdt.New(crdt.Options{})
			writing.Go(func() {
				for i := range 5_000 {
					u, err := doc.Edit(func(tx *crdt.Tx) error { return tx.Text("codemirror").Insert(0, "x") })
					if err != nil {
						t.Errorf("Edit = %v, want nil", err)
						return
					}
					if send(u) != nil {
						return // closed
					}
					if i == 20 {
						begun <- struct{}{}
					}
				}
			})
		}
		for range 2 {
			y := r.join("/yjs/room?token=" + ada)
			flood(func(u []byte) error { return y.WriteMessage(websocket.BinaryMessage, frame(protocol.Update, u)) })
			h := r.joinHocuspocus()
			h.show("room", ada)
			h.wantScope("room", protocol.ReadWrite)
			flood(func(u []byte) error {
				m := protocol.Message{Kind: protocol.Update, Data: u}
				return h.WriteMessage(websocket.BinaryMessage, protocol.Hocuspocus{Address: "room"}.Append(nil, m))
			})
		}
		for range cap(begun) {
			<-begun
		}
		r.administer("revoke", `{"user":"ada"}`)
		after := r.state("room")
		writing.Wait()
		bob.echo("2") // behind whatever else is in the room's inbox
		if later := r.state("room"); !bytes.Equal(after, later) {
			t.Errorf("round %d: the room had %d bytes when the revoke returned and has %d later, want no change", round, len(after), len(later))
		}
		if len(after) < 10 {
			t.Errorf("round %d: the room has %d bytes, want what was written before", round, len(after))
		}
	}
}

// TestRightsEndAfterHangingUp takes rights away from a client that has gone while its room still has messages of it.
func TestRightsEndAfterHangingUp(t *testing.T) {
	for _, c := range []struct{ path, body, number string }{
		{"access", `{"user":"ada","access":"read"}`, "changed"},
		{"revoke", `{"user":"ada"}`, "ended"},
		{"kick", `{"user":"ada"}`, "ended"},
	} {
		for _, path := range []string{"/yjs/room", "/hocuspocus"} {
			t.Run(c.path+path, func(t *testing.T) {
				session := newFakeSession(nil)
				session.slow = true
				r := startAuth(t, gateway.Options{Rooms: &fakeRooms{join: func(context.Context, string, room.Peer) (gateway.Session, error) {
					return session, nil
				}}})
				t.Cleanup(func() { session.End(protocol.Normal.Closef("test is over")) })
				token := userToken(t, "ada", canWrite("room"))
				if path == "/hocuspocus" {
					h := r.joinHocuspocus()
					h.show("room", token)
					h.wantScope("room", protocol.ReadWrite)
					h.say("room", protocol.Leave, nil)
				} else {
					r.settle(r.join(path + "?token=" + token))
				}
				r.events.until(t, "the client's goodbye", func() bool { return len(r.events.exited) == 1 })
				if got := r.administer(c.path, c.body)[c.number]; got != 1.0 {
					t.Errorf("%s %s: %s = %v, want 1", c.path, c.body, c.number, got)
				}
				session.mu.Lock()
				over, readOnly := session.over, session.readOnly
				session.mu.Unlock()
				if c.path == "access" && !readOnly || c.path != "access" && !over {
					t.Errorf("after %s the session may write %v and has ended %v, want what it sent to change nothing", c.path, !readOnly, over)
				}
			})
		}
	}
}

// TestRevokeWhileJoining revokes somebody who is just coming in: they get in before and are ended, or not at all.
func TestRevokeWhileJoining(t *testing.T) {
	r := startAuth(t, gateway.Options{})
	for round := range 30 {
		user := fmt.Sprintf("u%d", round)
		token := userToken(t, user, canWrite("**"))
		var joining sync.WaitGroup
		for range 4 {
			joining.Go(func() {
				ws, _, err := r.dial("/yjs/room?token="+token, nil)
				if err != nil {
					t.Errorf("dial = %v, want nil", err)
					return
				}
				defer ws.Close()
				c := &client{t, ws}
				_ = ws.WriteMessage(websocket.BinaryMessage, frame(protocol.Update, insertion(t, "x"))) // may come too late
				if code, _ := c.closeCode(); code != protocol.Forbidden.Code {
					t.Errorf("closed with %d, want %d", code, protocol.Forbidden.Code)
				}
			})
		}
		r.administer("revoke", fmt.Sprintf(`{"user":%q}`, user))
		before := r.state("room")
		joining.Wait()
		if after := r.state("room"); !bytes.Equal(before, after) {
			t.Errorf("round %d: the room changed after the revoke returned", round)
		}
	}
	if list := r.server.Places("room"); len(list) > 0 {
		t.Errorf("there are %d places in the room after everybody was revoked, want 0", len(list))
	}
	if st, err := r.rooms.Status(t.Context(), "room"); err == nil && st.Conns > 0 {
		t.Errorf("the room has %d sessions after everybody was revoked, want 0", st.Conns)
	}
}

// TestAccessChangesLive takes writing away from clients and gives it back.
func TestAccessChangesLive(t *testing.T) {
	r := startAuth(t, gateway.Options{})
	ada := userToken(t, "ada", canWrite("room"), canWrite("other"))
	y := r.join("/yjs/room?token=" + ada)
	y.echo("1")
	h := r.joinHocuspocus()
	for _, doc := range []string{"room", "other"} {
		h.show(doc, ada)
		h.wantScope(doc, protocol.ReadWrite)
		h.turn(doc)
	}
	if got := r.administer("access", `{"user":"ada","room":"room","access":"read"}`)["changed"]; got != 2.0 {
		t.Errorf("access read changed %v places, want 2", got)
	}
	h.wantScope("room", protocol.ReadOnly)
	before := r.state("room")
	y.send(frame(protocol.Update, insertion(t, "not any more")))
	y.receive("the reason", func(m protocol.Message) bool { return m.Kind == protocol.Denied })
	h.say("room", protocol.Update, insertion(t, "not any more"))
	h.hear("room", protocol.NotSaved)
	h.say("other", protocol.Update, insertion(t, "still"))
	h.hear("other", protocol.Saved)
	if got := r.state("room"); !bytes.Equal(got, before) {
		t.Errorf("the room is %x after writes of a client that may only read, want %x", got, before)
	}
	late := r.joinHocuspocus() // comes later, with the same token
	late.show("room", ada)
	late.wantScope("room", protocol.ReadOnly)
	h.show("room", ada) // shows it again
	h.turn("room")
	h.say("room", protocol.Update, insertion(t, "nor now"))
	h.hear("room", protocol.NotSaved)

	if got := r.administer("access", `{"user":"ada","room":"room","access":"write"}`)["changed"]; got != 3.0 {
		t.Errorf("access write changed %v places, want 3", got)
	}
	h.wantScope("room", protocol.ReadWrite)
	// What was refused is asked for, since it is still in the clients' documents.
	h.hear("room", protocol.SyncStep1)
	h.say("room", protocol.SyncStep2, insertion(t, "again"))
	h.hear("room", protocol.Saved)
	y.receive("the question", func(m protocol.Message) bool { return m.Kind == protocol.SyncStep1 })
	y.send(frame(protocol.SyncStep2, insertion(t, "and here")))
	y.echo("2")
	if got := r.state("room"); !bytes.Contains(got, []byte("again")) || !bytes.Contains(got, []byte("and here")) {
		t.Errorf("the room is %x after writing was given back, want both clients' text", got)
	}

	reader := r.join("/yjs/room?token=" + userToken(t, "bob", canRead("**")))
	reader.echo("3")
	r.administer("access", `{"user":"bob","access":"write"}`)
	reader.send(frame(protocol.Update, insertion(t, "promoted")))
	reader.echo("4")
	if got := r.state("room"); !bytes.Contains(got, []byte("promoted")) {
		t.Errorf("the room is %x after a reader was made a writer, want its text", got)
	}
	eve := userToken(t, "eve", canRead("**"))
	h = r.joinHocuspocus()
	h.show("room", eve)
	h.wantScope("room", protocol.ReadOnly)
	r.administer("access", `{"user":"eve","access":"write"}`)
	h.wantScope("room", protocol.ReadWrite)
	h.show("room", eve) // a refresh takes nothing back
	h.turn("room")
	h.say("room", protocol.Update, insertion(t, "refreshed"))
	h.hear("room", protocol.Saved)
}

// TestKick ends single connections and users, who may come back.
func TestKick(t *testing.T) {
	r := startAuth(t, gateway.Options{})
	ada := userToken(t, "ada", canWrite("**"))
	first := r.join("/yjs/room?token=" + ada)
	first.echo("1")
	r.events.mu.Lock()
	conn := r.events.entered[0].Conn
	r.events.mu.Unlock()
	second := r.join("/yjs/room?token=" + ada)
	second.echo("1")
	if got := r.administer("kick", fmt.Sprintf(`{"conn":%d}`, conn))["ended"]; got != 1.0 {
		t.Errorf("kick of one connection ended %v places, want 1", got)
	}
	first.wantClose(protocol.Forbidden)
	second.echo("2")
	if got := r.administer("kick", `{"user":"ada","room":"elsewhere"}`)["ended"]; got != 0.0 {
		t.Errorf("kick from another room ended %v places, want 0", got)
	}
	if got := r.administer("kick", `{"user":"ada","room":"room"}`)["ended"]; got != 1.0 {
		t.Errorf("kick of the user ended %v places, want 1", got)
	}
	second.wantClose(protocol.Forbidden)
	r.join("/yjs/room?token=" + ada).echo("3")
}

// TestAdminConnections lists who is where.
func TestAdminConnections(t *testing.T) {
	r := startAuth(t, gateway.Options{})
	r.join("/yjs/room?token=" + userToken(t, "ada", canWrite("**"))).echo("1")
	r.join("/yjs/room?token=" + userToken(t, "bob", canRead("**"))).echo("1")
	h := r.joinHocuspocus()
	for _, doc := range []string{"room", "other"} {
		h.show(doc, userToken(t, "ada", canWrite("**")))
		h.wantScope(doc, protocol.ReadWrite)
		h.turn(doc)
	}
	for _, c := range []struct {
		query string
		want  int
		has   string
	}{
		{"", 4, `"room":"room","protocol":"y-websocket","remote":"127.0.0.1:`},
		{"?user=ada", 3, `"user":"ada","name":"Name of ada","session":"ada-session","access":"write","expires":"`},
		{"?user=bob", 1, `"user":"bob","name":"Name of bob","session":"bob-session","access":"read"`},
		{"?room=other", 1, `"room":"other","protocol":"hocuspocus"`},
		{"?session=ada-session&room=room", 2, ``},
		{"?user=eve", 0, `"connections":[],"total":0`},
		{"?limit=1", 4, `"total":4`},
	} {
		w := adminRequest(r.server, http.MethodGet, "/admin/connections"+c.query, "", nil)
		shown := strings.Count(w.Body.String(), `"conn":`)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), fmt.Sprintf(`"total":%d}`, c.want)) || !strings.Contains(w.Body.String(), c.has) || shown > c.want {
			t.Errorf("connections%s = %d %s, want %d with %s", c.query, w.Code, w.Body, c.want, c.has)
		}
		if c.query == "?limit=1" && shown != 1 {
			t.Errorf("connections?limit=1 shows %d, want 1", shown)
		}
	}
}

// TestRevokeThatCannotBeWritten checks that clients are ended although the disk fails, and that the operator is told.
func TestRevokeThatCannotBeWritten(t *testing.T) {
	restrictions, err := auth.OpenRestrictions(filepath.Join(t.TempDir(), "gone", "restrictions.json"))
	if err != nil {
		t.Fatal(err)
	}
	r := startAuth(t, gateway.Options{Restrictions: restrictions})
	ada := userToken(t, "ada", canWrite("**"))
	y := r.join("/yjs/room?token=" + ada)
	y.echo("1")
	w := adminRequest(r.server, http.MethodPost, "/admin/revoke", `{"user":"ada"}`, nil)
	if code := errorCode(t, w); w.Code != http.StatusInternalServerError || code != "not_kept" {
		t.Errorf("revoke without a disk = %d %s, want not_kept", w.Code, w.Body)
	}
	y.wantClose(protocol.Forbidden)
	r.join("/yjs/room?token=" + ada).wantClose(protocol.Forbidden)
}
