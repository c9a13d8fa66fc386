package protocol_test

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"weft/crdt/lib0"
	"weft/protocol"
	"weft/protocol/weftv1"
)

// TestNativeAppend holds every message that a room has for native clients to the encoding of the protobuf runtime.
func TestNativeAppend(t *testing.T) {
	at := time.UnixMilli(1_800_000_000_000)
	position := func(epoch, seq uint64) *weftv1.Position {
		return weftv1.Position_builder{Epoch: epoch, Seq: seq}.Build()
	}
	people := lib0.AppendUint(nil, 2)
	people = lib0.AppendString(lib0.AppendUint(lib0.AppendUint(people, 7), 3), `{"a":1}`)
	people = lib0.AppendString(lib0.AppendUint(lib0.AppendUint(people, 1<<53-1), 300), "null")
	peers := []*weftv1.Peer{
		weftv1.Peer_builder{ClientId: 7, Clock: 3, State: []byte(`{"a":1}`)}.Build(),
		weftv1.Peer_builder{ClientId: 1<<53 - 1, Clock: 300}.Build(),
	}
	large := bytes.Repeat([]byte{7}, 70_000)
	v1, v2 := protocol.Native{Room: 300}, protocol.Native{Room: 300, V2: true}
	cases := []struct {
		name    string
		dialect protocol.Native
		m       protocol.Message
		want    weftv1.ServerEnvelope_builder
	}{
		{
			"update", v1,
			protocol.Message{Kind: protocol.Update, Data: []byte("u"), Pos: protocol.Position{Epoch: 5, Seq: 9}, First: 8},
			weftv1.ServerEnvelope_builder{Updated: weftv1.Updated_builder{RoomId: 300, Position: position(5, 9), FirstSeq: 8, Update: []byte("u")}.Build()},
		},
		{
			"large update v2", v2,
			protocol.Message{Kind: protocol.Update, Data: large, Pos: protocol.Position{Epoch: math.MaxUint64, Seq: 1 << 40}, First: 1},
			weftv1.ServerEnvelope_builder{Updated: weftv1.Updated_builder{RoomId: 300, Position: position(math.MaxUint64, 1<<40), FirstSeq: 1, Update: large, Version: weftv1.Version_VERSION_V2}.Build()},
		},
		{
			"update of nothing",
			protocol.Native{},
			protocol.Message{Kind: protocol.Update},
			weftv1.ServerEnvelope_builder{Updated: weftv1.Updated_builder{Position: position(0, 0)}.Build()},
		},
		{
			"saved", v1,
			protocol.Message{Kind: protocol.Saved, ID: 1 << 33, Pos: protocol.Position{Epoch: 5, Seq: 9}},
			weftv1.ServerEnvelope_builder{Ack: weftv1.Ack_builder{RoomId: 300, Id: 1 << 33, Position: position(5, 9), Durability: weftv1.Durability_DURABILITY_DURABLE}.Build()},
		},
		{
			"applied", v2,
			protocol.Message{Kind: protocol.Applied, ID: 1, Pos: protocol.Position{Epoch: 5}},
			weftv1.ServerEnvelope_builder{Ack: weftv1.Ack_builder{RoomId: 300, Id: 1, Position: position(5, 0), Durability: weftv1.Durability_DURABILITY_APPLIED}.Build()},
		},
		{
			"not saved", v1,
			protocol.Message{Kind: protocol.NotSaved, ID: 4, Why: protocol.Forbidden.Closef("a secret")},
			weftv1.ServerEnvelope_builder{Refused: weftv1.Refused_builder{Code: weftv1.Code_CODE_FORBIDDEN, Message: protocol.Forbidden.Text, RoomId: 300, UpdateId: 4}.Build()},
		},
		{"presence", v1, protocol.Message{Kind: protocol.Awareness, Data: people}, weftv1.ServerEnvelope_builder{Presence: weftv1.Presence_builder{RoomId: 300, Peers: peers}.Build()}},
		{"signal", v1, protocol.Message{Kind: protocol.Stateless, Data: []byte{0xff}}, weftv1.ServerEnvelope_builder{Signal: weftv1.Signal_builder{RoomId: 300, Data: []byte{0xff}}.Build()}},
		{"ping", v1, protocol.Message{Kind: protocol.Ping}, weftv1.ServerEnvelope_builder{Ping: weftv1.Ping_builder{Time: 300}.Build()}},
		{
			"joined", v2,
			protocol.Message{Kind: protocol.Joined, Data: []byte("doc"), Pos: protocol.Position{Epoch: 5, Seq: 9}, Join: &protocol.Joining{
				Ref: 8, Write: true, Mode: protocol.Diff, Vector: []byte("sv"), People: [][]byte{people}, Expires: at,
			}},
			weftv1.ServerEnvelope_builder{Ref: 8, Joined: weftv1.Joined_builder{
				RoomId: 300, Access: weftv1.Access_ACCESS_WRITE, Mode: weftv1.SyncMode_SYNC_MODE_DIFF, Position: position(5, 9),
				Update: []byte("doc"), Version: weftv1.Version_VERSION_V2, StateVector: []byte("sv"), Peers: peers, ExpiresMs: at.UnixMilli(),
			}.Build()},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			want, err := proto.Marshal(weftv1.ServerBatch_builder{Envelopes: []*weftv1.ServerEnvelope{c.want.Build()}}.Build())
			if err != nil {
				t.Fatal(err)
			}
			if got := c.dialect.Append([]byte("x"), c.m); !bytes.Equal(got[1:], want) || got[0] != 'x' {
				t.Errorf("Append(x, %v) = %.80x, want 78%.80x", c.m.Kind, got, want)
			}
		})
	}
}

// TestNativeHasNoWord is about what rooms tell browsers only, and people who are not there.
func TestNativeHasNoWord(t *testing.T) {
	for _, m := range []protocol.Message{
		{Kind: protocol.Ignored},
		{Kind: protocol.SyncStep1, Data: []byte{0}},
		{Kind: protocol.SyncStep2, Data: []byte{0, 0}},
		{Kind: protocol.QueryAwareness},
		{Kind: protocol.SaveMarker},
		{Kind: protocol.Denied},
		{Kind: protocol.Awareness, Data: []byte{0}},
	} {
		if got := (protocol.Native{Room: 1}).Append(nil, m); len(got) != 0 {
			t.Errorf("Append(%v) = %x, want nothing", m.Kind, got)
		}
	}
}

func TestNativeUpdateAllocatesNothing(t *testing.T) {
	m := protocol.Message{Kind: protocol.Update, Data: make([]byte, 100), Pos: protocol.Position{Epoch: 1 << 40, Seq: 1 << 20}, First: 1 << 20}
	dst := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { dst = protocol.Native{Room: 9}.Append(dst[:0], m) }); n != 0 {
		t.Errorf("Append of an update allocates %v times, want 0", n)
	}
}

func TestAwarenessOf(t *testing.T) {
	for _, c := range []struct{ state, want string }{{`{"a":1}`, "\x01\x07\x02\x07{\"a\":1}"}, {"", "\x01\x07\x02\x04null"}} {
		p := weftv1.SetPresence_builder{ClientId: 7, Clock: 2, State: []byte(c.state)}.Build()
		if got := protocol.AwarenessOf(p); string(got) != c.want {
			t.Errorf("AwarenessOf(%q) = %q, want %q", c.state, got, c.want)
		}
	}
}

// TestFragmentNative puts fragments together again, as clients do.
func TestFragmentNative(t *testing.T) {
	const frame = 100
	for _, size := range []int{0, 1, 35, 36, 37, 1000} {
		payload := protocol.Native{Room: 1}.Append(nil, protocol.Message{Kind: protocol.Update, Data: make([]byte, size)})
		var parts []byte
		total, count := uint64(0), 0
		err := protocol.FragmentNative(payload, frame, func(head, data []byte) error {
			b := append(bytes.Clone(head), data...)
			if len(b) > frame {
				t.Errorf("a fragment of %d bytes, want at most %d", len(b), frame)
			}
			var batch weftv1.ServerBatch
			if err := proto.Unmarshal(b, &batch); err != nil || len(batch.GetEnvelopes()) != 1 {
				t.Fatalf("Unmarshal(%x) = %d envelopes, %v, want 1", b, len(batch.GetEnvelopes()), err)
			}
			f := batch.GetEnvelopes()[0].GetFragment()
			if f.GetIndex() != uint32(count) || (f.GetTotalBytes() != 0) != (count == 0) {
				t.Errorf("fragment %d has index %d and total %d", count, f.GetIndex(), f.GetTotalBytes())
			}
			total += f.GetTotalBytes()
			count++
			parts = append(parts, f.GetData()...)
			return nil
		})
		if err != nil || uint64(len(parts)) != total {
			t.Errorf("FragmentNative(%d bytes) = %d bytes of %d, %v", len(payload), len(parts), total, err)
		}
		whole := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), parts)
		if !bytes.Equal(whole, payload) {
			t.Errorf("fragments of %d bytes make %x, want %x", len(payload), whole, payload)
		}
	}
	broken := errors.New("broken")
	if err := protocol.FragmentNative(protocol.Native{}.Append(nil, protocol.Message{Kind: protocol.Update, Data: make([]byte, 500)}), frame, func([]byte, []byte) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("FragmentNative with a broken writer = %v, want its error", err)
	}
}

// envelopes decodes a frame as a server does.
func envelopes(frame []byte) (list []*weftv1.ClientEnvelope, err error) {
	err = protocol.EachEnvelope(frame, func(b []byte) error {
		e, u, err := protocol.DecodeEnvelope(b)
		if err != nil {
			return err
		}
		if u != nil {
			e = weftv1.ClientEnvelope_builder{Ref: u.Ref, Update: weftv1.Update_builder{
				RoomId: u.Room, Id: u.ID, Updates: u.Updates, Version: u.Version,
			}.Build()}.Build()
		}
		list = append(list, e)
		return nil
	})
	return list, err
}

// sample is a batch with messages of all kinds and what a newer client might add.
func sample() []byte {
	b, err := proto.Marshal(weftv1.ClientBatch_builder{Envelopes: []*weftv1.ClientEnvelope{
		weftv1.ClientEnvelope_builder{Ref: 1, Hello: weftv1.Hello_builder{Features: []weftv1.Feature{1, 2, 99}, Token: "t"}.Build()}.Build(),
		weftv1.ClientEnvelope_builder{Ref: 2, Join: weftv1.Join_builder{Room: "r", StateVector: []byte{0}}.Build()}.Build(),
		weftv1.ClientEnvelope_builder{Update: weftv1.Update_builder{RoomId: 1, Id: 2, Updates: [][]byte{{0, 0}, {1}}, Version: 2}.Build()}.Build(),
		weftv1.ClientEnvelope_builder{SetPresence: weftv1.SetPresence_builder{RoomId: 1, ClientId: 3, Clock: 4, State: []byte("{}")}.Build()}.Build(),
		weftv1.ClientEnvelope_builder{Fragment: weftv1.Fragment_builder{TotalBytes: 9, Data: []byte("x")}.Build()}.Build(),
		{},
	}}.Build())
	if err != nil {
		panic(err)
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, 77, protowire.VarintType), 1) // a field of the batch that nobody knows
	unknown := protowire.AppendBytes(protowire.AppendTag(nil, 150, protowire.BytesType), []byte("new"))
	return protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), unknown)
}

func TestEachEnvelope(t *testing.T) {
	got, err := envelopes(sample())
	if err != nil || len(got) != 7 {
		t.Fatalf("EachEnvelope(sample) = %d envelopes, %v, want 7", len(got), err)
	}
	if got[6].HasBody() || got[5].HasBody() {
		t.Error("an unknown body counts as one")
	}
	for n := range sample() {
		_, err := envelopes(sample()[:n])
		if ce, ok := errors.AsType[*protocol.CloseError](err); err != nil && (!ok || ce.Reason != protocol.Malformed) {
			t.Errorf("EachEnvelope(%d bytes) = %v, want Malformed", n, err)
		}
	}
}

// FuzzNative holds the decoder to the protobuf runtime: it takes the same frames and reads the same in them.
func FuzzNative(f *testing.F) {
	f.Add(sample())
	f.Add([]byte{0x0a, 0x00})
	f.Add([]byte{0x0a, 0x04, 0x32, 0x02, 0x0b, 0x0c})                         // a group in an update
	f.Add([]byte{0x0a, 0x08, 0x32, 0x02, 0x08, 0x01, 0x32, 0x02, 0x10, 0x02}) // an update in two parts, which are merged
	f.Fuzz(func(t *testing.T, frame []byte) {
		got, err := envelopes(frame)
		batch := &weftv1.ClientBatch{}
		want := proto.Unmarshal(frame, batch)
		if (err == nil) != (want == nil) {
			t.Fatalf("EachEnvelope(%x) = %v, the runtime says %v", frame, err, want)
		}
		if err != nil {
			if ce, ok := errors.AsType[*protocol.CloseError](err); !ok || ce.Reason != protocol.Malformed {
				t.Fatalf("EachEnvelope(%x) = %v, want Malformed", frame, err)
			}
			return
		}
		if diff := cmp.Diff(batch.GetEnvelopes(), got, protocmp.Transform(), protocmp.IgnoreUnknown()); diff != "" {
			t.Fatalf("EachEnvelope(%x) (-runtime +ours):\n%s", frame, diff)
		}
	})
}
