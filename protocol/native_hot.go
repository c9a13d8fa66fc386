package protocol

import (
	"google.golang.org/protobuf/encoding/protowire"

	"weft/protocol/weftv1"
)

// Field numbers of weft.proto for what is read and written by hand: the two
// messages that a room makes for every update, the one that brings it, and the
// frames around all.
const (
	batchEnvelopes   = 1 // ClientBatch, ServerBatch
	envelopeRef      = 1 // ClientEnvelope, ServerEnvelope
	clientUpdate     = 6
	serverUpdated    = 6
	serverAck        = 7
	serverFragment   = 13
	updateRoom       = 1
	updateID         = 2
	updateUpdates    = 3
	updateVersion    = 4
	updatedRoom      = 1
	updatedPosition  = 2
	updatedFirst     = 3
	updatedUpdate    = 4
	updatedVersion   = 5
	ackRoom          = 1
	ackID            = 2
	ackPosition      = 3
	ackDurability    = 4
	positionEpoch    = 1
	positionSeq      = 2
	fragmentIndex    = 1
	fragmentTotal    = 2
	fragmentData     = 3
	fragmentOverhead = 64 // bytes that FragmentNative adds to a piece, at most
)

// appendUpdated appends an Updated.
func (n Native) appendUpdated(dst []byte, m Message) []byte {
	version := n.version()
	position := m.Pos.size()
	size := uintSize(updatedRoom, n.Room) + bytesSize(updatedPosition, position) + uintSize(updatedFirst, m.First) +
		uintSize(updatedVersion, uint64(version))
	if len(m.Data) > 0 {
		size += bytesSize(updatedUpdate, len(m.Data))
	}
	dst = appendBody(dst, serverUpdated, size)
	dst = appendUint(dst, updatedRoom, n.Room)
	dst = m.Pos.append(dst, updatedPosition, position)
	dst = appendUint(dst, updatedFirst, m.First)
	if len(m.Data) > 0 {
		dst = protowire.AppendBytes(protowire.AppendTag(dst, updatedUpdate, protowire.BytesType), m.Data)
	}
	return appendUint(dst, updatedVersion, uint64(version))
}

// appendAck appends an Ack.
func (n Native) appendAck(dst []byte, m Message, level weftv1.Durability) []byte {
	position := m.Pos.size()
	dst = appendBody(dst, serverAck, uintSize(ackRoom, n.Room)+uintSize(ackID, m.ID)+bytesSize(ackPosition, position)+
		uintSize(ackDurability, uint64(level)))
	dst = appendUint(dst, ackRoom, n.Room)
	dst = appendUint(dst, ackID, m.ID)
	dst = m.Pos.append(dst, ackPosition, position)
	return appendUint(dst, ackDurability, uint64(level))
}

// appendBody appends what stands in front of a body of size bytes: the batch, the envelope without a ref, the body's tag.
func appendBody(dst []byte, field protowire.Number, size int) []byte {
	dst = protowire.AppendTag(dst, batchEnvelopes, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(bytesSize(field, size)))
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	return protowire.AppendVarint(dst, uint64(size))
}

func (p Position) size() int {
	return uintSize(positionEpoch, p.Epoch) + uintSize(positionSeq, p.Seq)
}

// append appends the position, which has size bytes, as a field.
func (p Position) append(dst []byte, field protowire.Number, size int) []byte {
	dst = protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.BytesType), uint64(size))
	return appendUint(appendUint(dst, positionEpoch, p.Epoch), positionSeq, p.Seq)
}

// appendUint appends a number, and nothing for 0, as proto3 has it.
func appendUint(dst []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), v)
}

func uintSize(field protowire.Number, v uint64) int {
	if v == 0 {
		return 0
	}
	return protowire.SizeTag(field) + protowire.SizeVarint(v)
}

func bytesSize(field protowire.Number, n int) int {
	return protowire.SizeTag(field) + protowire.SizeBytes(n)
}
