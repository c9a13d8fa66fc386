package protocol

import (
	"errors"

	"weft/crdt/lib0"
)

// Kinds of sync message (y-protocols/sync.js 1.0.7), which the browser dialects share: varUint kind, then
// varUint8Array with a state vector for step 1, and with an update v1 for the others.
const (
	wireSyncStep1 = 0
	wireSyncStep2 = 1
	wireUpdate    = 2
)

// errSyncKind is what a decoder says about a sync message that is none.
var errSyncKind = errors.New("unknown kind of sync message")

// decodeSync reads a sync message; the decoder holds the error.
func decodeSync(d *lib0.Decoder) Message {
	switch kind := d.Uint(); {
	case d.Err() != nil:
		return Message{}
	case kind == wireSyncStep1:
		return Message{Kind: SyncStep1, Data: d.Bytes()}
	case kind == wireSyncStep2:
		return Message{Kind: SyncStep2, Data: d.Bytes()}
	case kind == wireUpdate:
		return Message{Kind: Update, Data: d.Bytes()}
	}
	d.Fail(errSyncKind)
	return Message{}
}

// appendSync appends a message of one of the three kinds above.
func appendSync(dst []byte, m Message) []byte {
	switch m.Kind {
	case SyncStep1:
		dst = append(dst, wireSyncStep1)
	case SyncStep2:
		dst = append(dst, wireSyncStep2)
	case Update:
		dst = append(dst, wireUpdate)
	}
	return lib0.AppendBytes(dst, m.Data)
}

// checkMessage returns m when it is exactly what d held and within its limit, and else how the connection ends.
func checkMessage(d *lib0.Decoder, m Message, limit int) (Message, error) {
	switch {
	case d.Err() != nil:
		return Message{}, malformed("frame", d.Err())
	case m.Kind == Ignored:
		return m, nil
	case d.Len() > 0:
		return Message{}, Malformed.Closef("%d bytes after the %v message", d.Len(), m.Kind)
	case len(m.Data) > limit:
		return Message{}, TooLarge.Closef("%v of %d bytes, at most %d", m.Kind, len(m.Data), limit)
	}
	return m, nil
}
