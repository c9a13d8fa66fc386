package protocol

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"weft/crdt/lib0"
	"weft/protocol/weftv1"
)

// NativeSubprotocol is the WebSocket subprotocol of the native protocol; its
// number is the major version.
const NativeSubprotocol = "weft.v1.protobuf"

// Native is how a room speaks to native clients (PROTOCOL.md, weft.proto). A
// frame is a batch of one envelope. A payload may be larger than a WebSocket
// message of the protocol: FragmentNative cuts it then.
type Native struct {
	Room uint64 // stands for the room in its messages
	V2   bool   // updates are encoded as Yjs update v2
}

// UpdatesV2 tells in which version the Data of Update and Joined messages must be.
func (n Native) UpdatesV2() bool { return n.V2 }

// Append appends the frame of m to dst as Encoder says.
func (n Native) Append(dst []byte, m Message) []byte {
	switch m.Kind {
	case Update:
		return n.appendUpdated(dst, m)
	case Saved:
		return n.appendAck(dst, m, weftv1.Durability_DURABILITY_DURABLE)
	case Applied:
		return n.appendAck(dst, m, weftv1.Durability_DURABILITY_APPLIED)
	case NotSaved:
		refused := Refusal(m.Why)
		refused.SetRoomId(n.Room)
		refused.SetUpdateId(m.ID)
		return AppendNative(dst, weftv1.ServerEnvelope_builder{Refused: refused}.Build())
	case Awareness:
		peers := peersOf(nil, m.Data)
		if len(peers) == 0 {
			return dst
		}
		return AppendNative(dst, weftv1.ServerEnvelope_builder{
			Presence: weftv1.Presence_builder{RoomId: n.Room, Peers: peers}.Build(),
		}.Build())
	case Stateless:
		return AppendNative(dst, weftv1.ServerEnvelope_builder{
			Signal: weftv1.Signal_builder{RoomId: n.Room, Data: m.Data}.Build(),
		}.Build())
	case Ping:
		return AppendNative(dst, weftv1.ServerEnvelope_builder{
			Ping: weftv1.Ping_builder{Time: int64(n.Room)}.Build(),
		}.Build())
	case Joined:
		return n.appendJoined(dst, m)
	}
	return dst
}

// appendJoined appends the answer to a Join.
func (n Native) appendJoined(dst []byte, m Message) []byte {
	j := m.Join
	joined := weftv1.Joined_builder{
		RoomId: n.Room, Access: NativeAccess(j.Write), Mode: weftv1.SyncMode(j.Mode),
		Position: weftv1.Position_builder{Epoch: m.Pos.Epoch, Seq: m.Pos.Seq}.Build(),
		Update:   m.Data, Version: n.version(), StateVector: j.Vector,
	}
	for _, people := range j.People {
		joined.Peers = peersOf(joined.Peers, people)
	}
	if !j.Expires.IsZero() {
		joined.ExpiresMs = j.Expires.UnixMilli()
	}
	return AppendNative(dst, weftv1.ServerEnvelope_builder{Ref: j.Ref, Joined: joined.Build()}.Build())
}

// NativeAccess is the word for what a client may do.
func NativeAccess(write bool) weftv1.Access {
	if write {
		return weftv1.Access_ACCESS_WRITE
	}
	return weftv1.Access_ACCESS_READ
}

func (n Native) version() weftv1.Version {
	if n.V2 {
		return weftv1.Version_VERSION_V2
	}
	return weftv1.Version_VERSION_UNSPECIFIED // version 1
}

// peersOf appends what an awareness update of package presence says.
func peersOf(peers []*weftv1.Peer, update []byte) []*weftv1.Peer {
	d := lib0.NewDecoder(update)
	for range d.Uint() {
		id, clock, state := d.Uint(), d.Uint(), d.String()
		if d.Err() != nil {
			break
		}
		if string(state) == gone {
			state = nil
		}
		peers = append(peers, weftv1.Peer_builder{ClientId: id, Clock: clock, State: state}.Build())
	}
	return peers
}

// gone is the state of somebody who is not there any more (y-protocols/awareness.js 1.0.7).
const gone = "null"

// AwarenessOf returns the awareness update that a SetPresence stands for.
func AwarenessOf(p *weftv1.SetPresence) []byte {
	state := p.GetState()
	if len(state) == 0 {
		state = []byte(gone)
	}
	b := make([]byte, 0, len(state)+24)
	b = lib0.AppendUint(lib0.AppendUint(append(b, 1), p.GetClientId()), p.GetClock())
	return lib0.AppendBytes(b, state)
}

// AppendNative appends a batch of one envelope.
func AppendNative(dst []byte, e *weftv1.ServerEnvelope) []byte {
	size := proto.Size(e)
	dst = protowire.AppendVarint(protowire.AppendTag(dst, batchEnvelopes, protowire.BytesType), uint64(size))
	dst, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(dst, e)
	if err != nil {
		panic("protocol: " + err.Error()) // strings are checked before they get here
	}
	return dst
}
