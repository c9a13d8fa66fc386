package client

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"weft/protocol/weftv1"
)

const (
	batchField = 1  // ClientBatch.envelopes
	partSpare  = 48 // bytes that a Fragment around its data, as an envelope of a batch, needs at most
	minFrame   = 1 << 10
	noFrame    = 256 << 10 // bytes of a frame where the server does not say how many it takes
)

// frames packs envelopes into WebSocket messages of at most max bytes: as many as fit into each, and those that do not
// fit into one in fragments.
func frames(envelopes []*weftv1.ClientEnvelope, max int) ([][]byte, error) {
	switch {
	case max == 0:
		max = noFrame
	case max < minFrame:
		max = minFrame
	}
	var done [][]byte
	var frame []byte
	add := func(encoded []byte) {
		if len(frame) > 0 && len(frame)+protowire.SizeBytes(len(encoded))+1 > max {
			done, frame = append(done, frame), nil
		}
		frame = protowire.AppendTag(frame, batchField, protowire.BytesType)
		frame = protowire.AppendBytes(frame, encoded)
	}
	for _, e := range envelopes {
		encoded, err := proto.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("encode message: %w", err)
		}
		if len(encoded)+partSpare <= max {
			add(encoded)
			continue
		}
		for i, rest := uint32(0), encoded; len(rest) > 0; i++ {
			data := rest[:min(len(rest), max-partSpare)]
			rest = rest[len(data):]
			part := weftv1.Fragment_builder{Index: i, Data: data}
			if i == 0 {
				part.TotalBytes = uint64(len(encoded))
			}
			piece, err := proto.Marshal(weftv1.ClientEnvelope_builder{Fragment: part.Build()}.Build())
			if err != nil {
				return nil, fmt.Errorf("encode fragment: %w", err)
			}
			add(piece)
		}
	}
	if len(frame) > 0 {
		done = append(done, frame)
	}
	return done, nil
}

// assembler puts fragments together. The zero value waits for a first one.
type assembler struct {
	most  int // bytes that all parts may have
	total uint64
	next  uint32
	data  []byte
}

// add takes a fragment and returns the envelope that it completes, nil when more are to come.
func (a *assembler) add(f *weftv1.Fragment) (*weftv1.ServerEnvelope, error) {
	if f.GetIndex() == 0 && a.next == 0 {
		a.total = f.GetTotalBytes()
	}
	switch {
	case f.GetIndex() != a.next:
		return nil, fmt.Errorf("fragment %d follows %d", f.GetIndex(), int64(a.next)-1)
	case a.total > uint64(a.most):
		return nil, fmt.Errorf("fragments of %d bytes: %w", a.total, ErrTooLarge)
	case uint64(len(a.data))+uint64(len(f.GetData())) > a.total || len(f.GetData()) == 0:
		return nil, fmt.Errorf("fragment %d has %d bytes, behind %d of %d", f.GetIndex(), len(f.GetData()), len(a.data), a.total)
	}
	a.data = append(a.data, f.GetData()...)
	a.next++
	if uint64(len(a.data)) < a.total {
		return nil, nil
	}
	e := new(weftv1.ServerEnvelope)
	if err := proto.Unmarshal(a.data, e); err != nil {
		return nil, fmt.Errorf("decode fragments: %w", err)
	}
	if e.HasFragment() {
		return nil, fmt.Errorf("fragments of a fragment")
	}
	a.total, a.next, a.data = 0, 0, nil
	return e, nil
}
