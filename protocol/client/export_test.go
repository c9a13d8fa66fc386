package client

import (
	"google.golang.org/protobuf/proto"

	"weft/protocol/weftv1"
)

// HandleAll has a connection of a client, which has session s and nothing to write to, handle the messages of a
// batch. The error is what would end the connection.
func HandleAll(s *Session, batch []byte) error {
	l := &link{client: s.client, hangUp: func(error) {}, limits: new(weftv1.Limits), parts: assembler{most: 1 << 20}, rooms: map[uint64]*Session{7: s}}
	m := new(weftv1.ServerBatch)
	if err := proto.Unmarshal(batch, m); err != nil {
		return err
	}
	for _, e := range m.GetEnvelopes() {
		if err := l.handle(e); err != nil {
			return err
		}
	}
	return nil
}
