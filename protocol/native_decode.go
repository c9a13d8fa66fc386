package protocol

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"weft/protocol/weftv1"
)

// NativeUpdate is an Update of a native client, decoded without a copy of what
// it brings.
type NativeUpdate struct {
	Ref     uint32
	Room    uint64
	ID      uint64
	Updates [][]byte // alias the envelope
	Version weftv1.Version
}

// EachEnvelope calls visit with the encoding of each envelope of a ClientBatch,
// in order; they alias frame. It returns the first error of visit, or a
// *CloseError with Malformed when the frame is no batch; the envelopes before the
// place that cannot be read have been visited then.
func EachEnvelope(frame []byte, visit func(envelope []byte) error) error {
	for len(frame) > 0 {
		number, kind, n := consumeTag(frame)
		if n < 0 {
			return malformed("batch", protowire.ParseError(n))
		}
		frame = frame[n:]
		if number != batchEnvelopes || kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, frame); n < 0 {
				return malformed("batch", protowire.ParseError(n))
			}
			frame = frame[n:]
			continue
		}
		envelope, n := protowire.ConsumeBytes(frame)
		if n < 0 {
			return malformed("batch", protowire.ParseError(n))
		}
		frame = frame[n:]
		if err := visit(envelope); err != nil {
			return err
		}
	}
	return nil
}

// DecodeEnvelope decodes one envelope of a client: an Update into u, whatever
// else into e, and the other one is nil. The error is a *CloseError with
// Malformed.
func DecodeEnvelope(b []byte) (e *weftv1.ClientEnvelope, u *NativeUpdate, err error) {
	u, plain, err := decodeUpdateEnvelope(b)
	if err != nil {
		return nil, nil, malformed("envelope", err)
	}
	if plain {
		return nil, u, nil
	}
	e = &weftv1.ClientEnvelope{}
	if err := proto.Unmarshal(b, e); err != nil {
		return nil, nil, malformed("envelope", errProtobuf)
	}
	if e.HasUpdate() { // written in a way that nobody writes it
		m := e.GetUpdate()
		return nil, &NativeUpdate{e.GetRef(), m.GetRoomId(), m.GetId(), m.GetUpdates(), m.GetVersion()}, nil
	}
	return e, nil, nil
}

// errProtobuf stands for what the runtime says, which changes from process to process.
var errProtobuf = errors.New("no message of the protocol")

// decodeUpdateEnvelope reads an envelope that holds one Update, once, and at most
// a ref beside it; for any other plain is false.
func decodeUpdateEnvelope(b []byte) (u *NativeUpdate, plain bool, err error) {
	var ref uint64
	for len(b) > 0 {
		number, kind, n := consumeTag(b)
		if n < 0 {
			return nil, false, protowire.ParseError(n)
		}
		b = b[n:]
		switch {
		case number == envelopeRef && kind == protowire.VarintType:
			if ref, n = protowire.ConsumeVarint(b); n < 0 {
				return nil, false, protowire.ParseError(n)
			}
		case number == clientUpdate && kind == protowire.BytesType && u == nil:
			var body []byte
			if body, n = protowire.ConsumeBytes(b); n < 0 {
				return nil, false, protowire.ParseError(n)
			}
			u = &NativeUpdate{}
			if err := u.decode(body); err != nil {
				return nil, false, err
			}
		default:
			return nil, false, nil
		}
		b = b[n:]
	}
	if u == nil {
		return nil, false, nil
	}
	u.Ref = uint32(ref)
	return u, true, nil
}

// decode reads the body of an Update.
func (u *NativeUpdate) decode(b []byte) error {
	for len(b) > 0 {
		number, kind, n := consumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		switch {
		case number == updateUpdates && kind == protowire.BytesType:
			var update []byte
			if update, n = protowire.ConsumeBytes(b); n >= 0 {
				u.Updates = append(u.Updates, update)
			}
		case kind == protowire.VarintType && number <= updateVersion:
			var v uint64
			v, n = protowire.ConsumeVarint(b)
			switch number {
			case updateRoom:
				u.Room = v
			case updateID:
				u.ID = v
			case updateVersion:
				u.Version = weftv1.Version(int32(v))
			}
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
	}
	return nil
}

// consumeTag is protowire.ConsumeTag, but for numbers that no field may have,
// which the runtime refuses.
func consumeTag(b []byte) (protowire.Number, protowire.Type, int) {
	number, kind, n := protowire.ConsumeTag(b)
	if n >= 0 && number > protowire.MaxValidNumber {
		return 0, 0, -1 // an error of the wire format
	}
	return number, kind, n
}
