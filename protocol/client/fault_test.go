package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weft/crdt"
	"weft/protocol/client"
	"weft/protocol/weftv1"
)

// A lost connection costs nothing: the client comes back, resumes, and sends what was not acknowledged.
func TestReconnectResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, doc := newFake(t), crdt.New(crdt.Options{})
		c := f.client(client.Options{})
		s := open(t, c, client.JoinOptions{})
		conn := f.accept(weftv1.Welcome_builder{})
		if j := conn.joined(doc, 5); j.HasResume() || len(j.GetStateVector()) != 0 {
			t.Errorf("first Join = %v, want no position and no state", j)
		}
		insert(t, s, "a")
		conn.ack(conn.take(doc), 9) // ahead of what has arrived: no place to resume from
		conn.send(weftv1.ServerEnvelope_builder{Updated: weftv1.Updated_builder{
			RoomId: 7, Position: weftv1.Position_builder{Epoch: 1, Seq: 6}.Build(), FirstSeq: 6, Update: doc.AppendDiff(nil, nil, crdt.V1),
		}.Build()})
		insert(t, s, "b")
		if id := conn.take(doc); id != 2 { // taken, but the ack is lost
			t.Errorf("second Update has id %d, want 2", id)
		}
		synctest.Wait()
		if got, want := s.Saved(), (client.Saved{Edits: 2, Saved: 1, Position: client.Position{Epoch: 1, Seq: 9}}); got != want {
			t.Errorf("Saved = %+v, want %+v", got, want)
		}
		conn.drop()
		insert(t, s, "c")
		conn = f.accept(weftv1.Welcome_builder{})
		if j := conn.joined(doc, 7); j.GetResume().GetEpoch() != 1 || j.GetResume().GetSeq() != 6 {
			t.Errorf("second Join = %v, want to resume at 1:6", j)
		}
		u := conn.update()
		if u.GetId() != 1 || len(u.GetUpdates()) != 1 {
			t.Errorf("Update after resume = %v, want one with id 1", u)
		}
		if _, err := doc.Apply(u.GetUpdates()[0], crdt.V1); err != nil {
			t.Fatal(err)
		}
		conn.ack(1, 8)
		if err := s.WaitSaved(t.Context()); err != nil {
			t.Errorf("WaitSaved = %v, want nil", err)
		}
		if got := doc.Text(text); got != "abc" {
			t.Errorf("the server has %q, want abc", got)
		}
	})
}

// The pauses between tries grow to 30 s and are drawn at random.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.setDown(true)
		f.client(client.Options{})
		time.Sleep(30 * time.Minute) // of the bubble's clock
		dials := f.dialed()
		most := 250 * time.Millisecond
		var late time.Duration
		for i, at := range dials[1:] {
			gap := at.Sub(dials[i])
			if gap > most+time.Millisecond {
				t.Errorf("pause %d = %v, want at most %v", i, gap, most)
			}
			if most = min(2*most, 30*time.Second); i >= 7 {
				late += gap
			}
		}
		// 120 pauses of 15 s on average: 3 s to either side would be twenty times their deviation.
		if average := late / time.Duration(len(dials)-8); average < 10*time.Second || average > 20*time.Second {
			t.Errorf("average of the later pauses = %v, want about 15s", average)
		}
	})
}

func TestServerSaysWhenToComeBack(t *testing.T) {
	const ms = 123456
	cases := []struct {
		name string
		send weftv1.ServerEnvelope_builder
	}{
		{"draining", weftv1.ServerEnvelope_builder{Draining: weftv1.Draining_builder{ReconnectAfterMs: ms}.Build()}},
		{"closing", weftv1.ServerEnvelope_builder{Closing: weftv1.Closing_builder{Code: weftv1.Code_CODE_OVERLOADED, Retry: true, RetryAfterMs: ms}.Build()}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t)
				f.client(client.Options{})
				conn := f.accept(weftv1.Welcome_builder{})
				conn.send(c.send)
				begun := time.Now()
				synctest.Wait()
				conn.drop()
				f.accept(weftv1.Welcome_builder{})
				if got := time.Since(begun); got != ms*time.Millisecond {
					t.Errorf("the client came back after %v, want %v", got, ms*time.Millisecond)
				}
			})
		})
	}
}

// Final refusals end the client, or one session, once and with their code.
func TestFinalRefusals(t *testing.T) {
	forbidden := weftv1.Refused_builder{Code: weftv1.Code_CODE_FORBIDDEN, Message: "no"}
	check := func(t *testing.T, what string, err error) {
		t.Helper()
		refused, ok := errors.AsType[*client.RefusedError](err)
		if !ok || refused.Code != client.CodeForbidden || refused.Retry {
			t.Errorf("%s = %v, want forbidden", what, err)
		}
	}
	connection := map[string]func(conn *fakeConn){
		"hello": func(conn *fakeConn) {
			conn.send(weftv1.ServerEnvelope_builder{Ref: conn.next().GetRef(), Refused: forbidden.Build()})
		},
		"closing": func(conn *fakeConn) {
			conn.next()
			conn.send(weftv1.ServerEnvelope_builder{Closing: weftv1.Closing_builder{Code: weftv1.Code_CODE_FORBIDDEN, Message: "no"}.Build()})
		},
		"close code": func(conn *fakeConn) {
			conn.next()
			conn.closeWith(4403, "no")
		},
	}
	for name, end := range connection {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t)
				c := f.client(client.Options{})
				s := open(t, c, client.JoinOptions{})
				end(f.acceptOnly())
				<-c.Done()
				<-s.Done()
				check(t, "Client.Err", c.Err())
				check(t, "Session.Err", s.Err())
				check(t, "Edit", s.Edit(func(*crdt.Tx) error { return nil }))
				check(t, "WaitOnline", c.WaitOnline(t.Context()))
				if _, err := c.Open("other", client.JoinOptions{}); err == nil {
					t.Error("Open of an ended client = nil, want why it has ended")
				}
			})
		})
	}
	t.Run("join", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t)
			c := f.client(client.Options{})
			s := open(t, c, client.JoinOptions{})
			conn := f.accept(weftv1.Welcome_builder{})
			conn.send(weftv1.ServerEnvelope_builder{Ref: conn.next().GetRef(), Refused: forbidden.Build()})
			<-s.Done()
			check(t, "Err", s.Err())
			check(t, "WaitSynced", s.WaitSynced(t.Context()))
			open(t, c, client.JoinOptions{}) // the room is free again, the connection goes on
			if conn.next().GetJoin().GetRoom() != "r" {
				t.Error("the next session did not join on the same connection")
			}
		})
	})
	t.Run("left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, doc := newFake(t), crdt.New(crdt.Options{})
			s := open(t, f.client(client.Options{}), client.JoinOptions{})
			conn := f.accept(weftv1.Welcome_builder{})
			conn.joined(doc, 1)
			conn.send(weftv1.ServerEnvelope_builder{Left: weftv1.Left_builder{RoomId: 7, Reason: forbidden.Build()}.Build()})
			<-s.Done()
			check(t, "Err", s.Err())
		})
	})
}

// A refusal to join that can be retried is, when the server said.
func TestJoinAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, doc := newFake(t), crdt.New(crdt.Options{})
		s := open(t, f.client(client.Options{}), client.JoinOptions{})
		conn := f.accept(weftv1.Welcome_builder{})
		conn.send(weftv1.ServerEnvelope_builder{Ref: conn.next().GetRef(), Refused: weftv1.Refused_builder{
			Code: weftv1.Code_CODE_UNAVAILABLE, Retry: true, RetryAfterMs: 5000,
		}.Build()})
		begun := time.Now()
		conn.joined(doc, 1)
		if got := time.Since(begun); got != 5*time.Second {
			t.Errorf("the client joined after %v, want 5s", got)
		}
		conn.send(weftv1.ServerEnvelope_builder{Left: weftv1.Left_builder{RoomId: 7, Reason: weftv1.Refused_builder{
			Code: weftv1.Code_CODE_TOO_SLOW, Retry: true, RetryAfterMs: 2000,
		}.Build()}.Build()})
		conn.joined(doc, 1)
		if got := time.Since(begun); got != 7*time.Second {
			t.Errorf("the client joined again after %v, want 7s", got)
		}
		if err := s.WaitSynced(t.Context()); err != nil {
			t.Errorf("WaitSynced = %v, want nil", err)
		}
	})
}

// An edit that is refused for good takes the local copy with it, and the program gets that copy.
func TestRefusedEdit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, doc := newFake(t), crdt.New(crdt.Options{})
		if _, err := doc.Edit(func(tx *crdt.Tx) error { return tx.Text(text).Insert(0, "theirs ") }); err != nil {
			t.Fatal(err)
		}
		lost := make(chan client.Discarded, 1)
		copies := 0
		s := open(t, f.client(client.Options{}), client.JoinOptions{
			Attach: func(*crdt.Doc) { copies++ },
			Events: client.Events{Discarded: func(d client.Discarded) { lost <- d }},
		})
		conn := f.accept(weftv1.Welcome_builder{})
		conn.joined(doc, 1)
		if err := s.WaitSynced(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := s.ClientID()
		insert(t, s, "mine")
		saved := make(chan error, 1)
		go func() { saved <- s.WaitSaved(t.Context()) }() // answered below
		id := conn.update().GetId()
		synctest.Wait()
		conn.send(weftv1.ServerEnvelope_builder{Refused: weftv1.Refused_builder{
			Code: weftv1.Code_CODE_FORBIDDEN, RoomId: 7, UpdateId: id,
		}.Build()})
		d := <-lost
		if d.Err.Code != client.CodeForbidden || d.Edits != 1 {
			t.Errorf("Discarded = %v with %d edits, want forbidden with 1", d.Err, d.Edits)
		}
		old := crdt.New(crdt.Options{})
		if _, err := old.Apply(d.State, crdt.V1); err != nil || old.Text(text) != "theirs mine" {
			t.Errorf("discarded copy = %q, %v, want all of it", old.Text(text), err)
		}
		if err := <-saved; err == nil || !strings.Contains(err.Error(), "forbidden") {
			t.Errorf("WaitSaved = %v, want forbidden", err)
		}
		leave := conn.next()
		if leave.GetLeave().GetRoomId() != 7 {
			t.Fatalf("message = %v, want Leave", leave)
		}
		conn.send(weftv1.ServerEnvelope_builder{Ref: leave.GetRef(), Left: weftv1.Left_builder{RoomId: 7}.Build()})
		if j := conn.joined(doc, 1); len(j.GetStateVector()) != 0 || j.HasResume() {
			t.Errorf("Join = %v, want one without state", j)
		}
		synctest.Wait()
		if got := read(s); got != "theirs " {
			t.Errorf("text = %q, want the server's", got)
		}
		if s.ClientID() == before || copies != 2 {
			t.Errorf("client id %d, %d copies attached; want another id and 2", s.ClientID(), copies)
		}
		if !s.Saved().All() {
			t.Errorf("Saved = %+v, want all", s.Saved())
		}
		insert(t, s, "again")
		conn.ack(conn.take(doc), 2)
		if err := s.WaitSaved(t.Context()); err != nil || doc.Text(text) != "theirs again" {
			t.Errorf("WaitSaved = %v, text of the server %q, want the new edit", err, doc.Text(text))
		}
	})
}

// An edit that is refused for now is sent again, merged with those after it.
func TestEditRefusedForNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, doc := newFake(t), crdt.New(crdt.Options{})
		s := open(t, f.client(client.Options{}), client.JoinOptions{})
		conn := f.accept(weftv1.Welcome_builder{})
		conn.joined(doc, 1)
		insert(t, s, "a")
		first := conn.update().GetId()
		insert(t, s, "b")
		second := conn.update().GetId()
		conn.send(weftv1.ServerEnvelope_builder{Refused: weftv1.Refused_builder{
			Code: weftv1.Code_CODE_UNAVAILABLE, Retry: true, RetryAfterMs: 3000, RoomId: 7, UpdateId: first,
		}.Build()})
		conn.ack(second, 1) // of nothing that is in flight: it must not count
		begun := time.Now()
		id := conn.take(doc)
		if got := time.Since(begun); got != 3*time.Second || id != second+1 {
			t.Errorf("sent again after %v with id %d, want 3s and %d", got, id, second+1)
		}
		if got := s.Saved(); got.Saved != 0 {
			t.Errorf("Saved = %+v, want nothing", got)
		}
		conn.ack(id, 2)
		if err := s.WaitSaved(t.Context()); err != nil || doc.Text(text) != "ab" {
			t.Errorf("WaitSaved = %v, the server has %q, want ab", err, doc.Text(text))
		}
	})
}

// No more Updates than the server wants are in flight; what is typed meanwhile is merged.
func TestUnacknowledgedLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, doc := newFake(t), crdt.New(crdt.Options{})
		s := open(t, f.client(client.Options{}), client.JoinOptions{})
		conn := f.accept(weftv1.Welcome_builder{Limits: weftv1.Limits_builder{MaxUnackedUpdates: 1}.Build()})
		conn.joined(doc, 1)
		insert(t, s, "0")
		id := conn.take(doc)
		for _, what := range "123456789" {
			insert(t, s, string(what))
		}
		synctest.Wait()
		conn.ack(id, 2)
		id = conn.take(doc)
		if got := doc.Text(text); id != 2 || got != "0123456789" {
			t.Errorf("Update %d leads to %q, want 2 with all the rest", id, got)
		}
		conn.ack(id, 3)
		if err := s.WaitSaved(t.Context()); err != nil {
			t.Errorf("WaitSaved = %v, want nil", err)
		}
	})
}

// The server is told what was applied, before it has used up what it was given.
func TestFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, doc := newFake(t), crdt.New(crdt.Options{})
		s := open(t, f.client(client.Options{}), client.JoinOptions{Window: 4000})
		conn := f.accept(weftv1.Welcome_builder{})
		if j := conn.joined(doc, 1); j.GetWindowBytes() != 4000 {
			t.Errorf("Join.window_bytes = %d, want 4000", j.GetWindowBytes())
		}
		sent, told := 0, 0
		for seq := uint64(2); sent < 20_000; seq++ {
			update, err := doc.Edit(func(tx *crdt.Tx) error { return tx.Text(text).Insert(0, strings.Repeat("x", 300)) })
			if err != nil {
				t.Fatal(err)
			}
			conn.send(weftv1.ServerEnvelope_builder{Updated: weftv1.Updated_builder{
				RoomId: 7, Position: weftv1.Position_builder{Epoch: 1, Seq: seq}.Build(), FirstSeq: seq, Update: update,
			}.Build()})
			if sent += len(update); sent-told >= 1000 {
				told += int(conn.next().GetFlow().GetBytes())
				if told != sent {
					t.Fatalf("after %d bytes the client has told %d", sent, told)
				}
			}
		}
		synctest.Wait()
		if got := read(s); got != doc.Text(text) {
			t.Errorf("the text has %d characters, want %d", len(got), len(doc.Text(text)))
		}
	})
}

// A server that says nothing for three intervals is dead.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.client(client.Options{})
		conn := f.accept(weftv1.Welcome_builder{KeepAliveMs: 10_000})
		for range 5 {
			time.Sleep(29 * time.Second)
			conn.send(weftv1.ServerEnvelope_builder{Ping: weftv1.Ping_builder{Time: 42}.Build()})
			if got := conn.next().GetPong().GetTime(); got != 42 {
				t.Fatalf("Pong.time = %d, want 42", got)
			}
		}
		begun := time.Now()
		f.accept(weftv1.Welcome_builder{})
		if got := time.Since(begun); got < 30*time.Second || got > 31*time.Second {
			t.Errorf("the client gave the connection up after %v, want 30s and a short pause", got)
		}
	})
}

// What does not fit into a frame travels in fragments, in both directions.
func TestFragments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, doc := newFake(t), crdt.New(crdt.Options{})
		s := open(t, f.client(client.Options{}), client.JoinOptions{})
		conn := f.accept(weftv1.Welcome_builder{Limits: weftv1.Limits_builder{MaxFrameBytes: 2048}.Build()})
		conn.joined(doc, 1)
		long := strings.Repeat("long ", 5000)
		insert(t, s, long)
		conn.ack(conn.take(doc), 2)
		if doc.Text(text) != long {
			t.Errorf("the server has %d characters, want %d", len(doc.Text(text)), len(long))
		}
		for _, n := range conn.sizes {
			if n > 2048 {
				t.Errorf("a frame of %d bytes, want at most 2048", n)
			}
		}
		update, err := doc.Edit(func(tx *crdt.Tx) error { return tx.Text(text).Insert(0, strings.ToUpper(long)) })
		if err != nil {
			t.Fatal(err)
		}
		conn.sendInParts(weftv1.ServerEnvelope_builder{Updated: weftv1.Updated_builder{
			RoomId: 7, Position: weftv1.Position_builder{Epoch: 1, Seq: 3}.Build(), Update: update,
		}.Build()}, 1000)
		synctest.Wait()
		if got := read(s); got != doc.Text(text) {
			t.Errorf("the text has %d characters, want %d", len(got), len(doc.Text(text)))
		}
	})
}

// Edits without a connection are kept, few as bytes, many in the document alone, and arrive either way.
func TestOfflineEdits(t *testing.T) {
	for name, size := range map[string]int{"few": 10, "many": 1000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, doc := newFake(t), crdt.New(crdt.Options{})
				c := f.client(client.Options{})
				s := open(t, c, client.JoinOptions{})
				conn := f.accept(weftv1.Welcome_builder{})
				conn.joined(doc, 1)
				insert(t, s, "first ")
				conn.ack(conn.take(doc), 2)
				synctest.Wait()
				c.GoOffline()
				for conn.next() != nil { // the goodbye
				}
				synctest.Wait()
				if st := c.Status(); st.State != client.Offline || !errors.Is(st.Err, client.ErrOffline) || s.Live() {
					t.Errorf("Status = %+v, live %v, want offline", st, s.Live())
				}
				for range size {
					insert(t, s, strings.Repeat("offline ", 20))
				}
				if err := s.Edit(func(tx *crdt.Tx) error { return tx.Text(text).Delete(0, 3) }); err != nil {
					t.Fatal(err)
				}
				c.GoOnline()
				conn = f.accept(weftv1.Welcome_builder{})
				conn.joined(doc, 2)
				conn.ack(conn.take(doc), 3)
				if err := s.WaitSaved(t.Context()); err != nil {
					t.Errorf("WaitSaved = %v, want nil", err)
				}
				if got := read(s); doc.Text(text) != got || len(got) != 3+160*size {
					t.Errorf("the server has %d characters, the client %d, want %d", len(doc.Text(text)), len(got), 3+160*size)
				}
			})
		})
	}
}

// What the server has lost is sent again, though it was saved once.
func TestServerLostData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, doc := newFake(t), crdt.New(crdt.Options{})
		s := open(t, f.client(client.Options{}), client.JoinOptions{})
		conn := f.accept(weftv1.Welcome_builder{})
		conn.joined(doc, 1)
		insert(t, s, "saved")
		conn.ack(conn.take(doc), 2)
		synctest.Wait()
		conn.drop()
		restored := crdt.New(crdt.Options{})
		conn = f.accept(weftv1.Welcome_builder{})
		conn.joined(restored, 1)
		conn.take(restored)
		if got := restored.Text(text); got != "saved" {
			t.Errorf("the restored server has %q, want saved", got)
		}
	})
}

// Close waits until edits are saved, and says when they are not.
func TestClose(t *testing.T) {
	t.Run("saved", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, doc := newFake(t), crdt.New(crdt.Options{})
			c := f.client(client.Options{})
			s := open(t, c, client.JoinOptions{})
			conn := f.accept(weftv1.Welcome_builder{})
			conn.joined(doc, 1)
			insert(t, s, "x")
			closed := make(chan error, 1)
			go func() { closed <- c.Close(t.Context()) }() // answered below
			id := conn.take(doc)
			synctest.Wait()
			if err := s.Edit(func(*crdt.Tx) error { return nil }); !errors.Is(err, client.ErrClosed) {
				t.Errorf("Edit while closing = %v, want ErrClosed", err)
			}
			conn.ack(id, 2)
			leave := conn.next()
			if !leave.HasLeave() {
				t.Fatalf("message = %v, want Leave", leave)
			}
			conn.send(weftv1.ServerEnvelope_builder{Ref: leave.GetRef(), Left: weftv1.Left_builder{RoomId: 7}.Build()})
			if e := conn.next(); e.GetClosing().GetCode() != weftv1.Code_CODE_NORMAL {
				t.Errorf("last message = %v, want Closing", e)
			}
			if e := conn.next(); e != nil {
				t.Errorf("message behind Closing: %v", e)
			}
			if err := <-closed; err != nil {
				t.Errorf("Close = %v, want nil", err)
			}
			if !errors.Is(s.Err(), client.ErrClosed) || !errors.Is(c.Err(), client.ErrClosed) {
				t.Errorf("Err = %v, %v, want ErrClosed", s.Err(), c.Err())
			}
		})
	})
	t.Run("unsaved", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t)
			f.setDown(true)
			c := f.client(client.Options{})
			insert(t, open(t, c, client.JoinOptions{}), "x")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := c.Close(ctx); !errors.Is(err, client.ErrUnsaved) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Close = %v, want ErrUnsaved and the deadline", err)
			}
		})
	})
}

// A program can keep its copy and go on from it in another run.
func TestCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, doc := newFake(t), crdt.New(crdt.Options{})
		f.setDown(true)
		c := f.client(client.Options{})
		s := open(t, c, client.JoinOptions{})
		insert(t, s, "kept")
		kept := s.Copy()
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Close(canceled); !errors.Is(err, client.ErrUnsaved) {
			t.Errorf("Close = %v, want ErrUnsaved", err)
		}
		f.setDown(false)
		s = open(t, f.client(client.Options{}), client.JoinOptions{Copy: kept})
		if got := read(s); got != "kept" {
			t.Errorf("text of the copy = %q, want kept", got)
		}
		conn := f.accept(weftv1.Welcome_builder{})
		conn.joined(doc, 1)
		conn.ack(conn.take(doc), 2)
		if err := s.WaitSaved(t.Context()); err != nil || doc.Text(text) != "kept" {
			t.Errorf("WaitSaved = %v, the server has %q, want kept", err, doc.Text(text))
		}
	})
}
