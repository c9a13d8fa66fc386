package client_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"google.golang.org/protobuf/proto"

	"weft/crdt"
	"weft/protocol/client"
	"weft/protocol/weftv1"
)

// FuzzServer has a client take whatever a server may send: it must neither panic nor break its document.
func FuzzServer(f *testing.F) {
	update := func() []byte {
		update, err := crdt.New(crdt.Options{ClientID: 1}).Edit(func(tx *crdt.Tx) error { return tx.Text(text).Insert(0, "x") })
		if err != nil {
			f.Fatal(err)
		}
		return update
	}()
	at := weftv1.Position_builder{Epoch: 1, Seq: 2}.Build()
	for _, e := range []weftv1.ServerEnvelope_builder{
		{Ref: 4, Joined: weftv1.Joined_builder{RoomId: 7, Access: weftv1.Access_ACCESS_WRITE, Position: at, Update: update, Peers: []*weftv1.Peer{peer(2, 1, "{}")}}.Build()},
		{Updated: weftv1.Updated_builder{RoomId: 7, Position: at, FirstSeq: 2, Update: update}.Build()},
		{Ack: weftv1.Ack_builder{RoomId: 7, Id: 1, Position: at}.Build()},
		{Refused: weftv1.Refused_builder{RoomId: 7, UpdateId: 1, Code: weftv1.Code_CODE_FORBIDDEN}.Build()},
		{Ref: 4, Refused: weftv1.Refused_builder{Retry: true, RetryAfterMs: 5}.Build()},
		{Left: weftv1.Left_builder{RoomId: 7, Reason: weftv1.Refused_builder{Code: weftv1.Code_CODE_TOO_SLOW, Retry: true}.Build()}.Build()},
		{Presence: weftv1.Presence_builder{RoomId: 7, Peers: []*weftv1.Peer{peer(2, 1, "{}"), peer(2, 1, "")}}.Build()},
		{Fragment: weftv1.Fragment_builder{Index: 0, TotalBytes: 3, Data: []byte{1, 2}}.Build()},
		{AccessChanged: weftv1.AccessChanged_builder{RoomId: 7, Refresh: true}.Build()},
		{Draining: weftv1.Draining_builder{ReconnectAfterMs: 9}.Build()},
		{Closing: weftv1.Closing_builder{Code: weftv1.Code_CODE_OVERLOADED, Retry: true}.Build()},
	} {
		b, err := proto.Marshal(weftv1.ServerBatch_builder{Envelopes: []*weftv1.ServerEnvelope{e.Build()}}.Build())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, batch []byte) {
		c, err := client.New("ws://nowhere/", client.Options{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return nil, errors.New("no network")
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer closeUnsaved(t, c)
		s, err := c.Open("r", client.JoinOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_ = client.HandleAll(s, batch) // an error ends the connection
		s.View(func(d *crdt.Doc) {
			if err := d.Check(); err != nil {
				t.Errorf("Check after %x = %v, want nil", batch, err)
			}
		})
	})
}
