package protocol

import "weft/crdt/lib0"

// Message types of y-websocket (src/y-websocket.js 3.1.0). A frame is one
// message: varUint type, then the body drawn here.
const (
	ywsSync           = 0   // varUint sync kind, varUint8Array state vector or update
	ywsAwareness      = 1   // varUint8Array awareness update
	ywsAuth           = 2   // varUint 0 (permission denied), varString reason
	ywsQueryAwareness = 3   // nothing
	ywsSaveMarker     = 102 // varUint8Array marker; an extension that y-sweet introduced
)

// ywsDenied is the only auth message (y-protocols/auth.js 1.0.7).
const ywsDenied = 0

// YWebsocket is the dialect of the y-websocket provider, with the save marker
// of y-sweet. Updates are encoded as Yjs update v1.
type YWebsocket struct{}

// Decode reads one frame as Dialect says. A message type that y-websocket does
// not know is Ignored, as its reference server does; everything else that is
// not exactly one message ends the connection with Malformed, and a frame over
// a limit with TooLarge.
func (YWebsocket) Decode(frame []byte, l Limits) (Message, error) {
	l = l.WithDefaults()
	if len(frame) > l.Message {
		return Message{}, TooLarge.Closef("frame of %d bytes, at most %d", len(frame), l.Message)
	}
	d := lib0.NewDecoder(frame)
	m, limit := decodeYWS(&d, l)
	return checkMessage(&d, m, limit)
}

// decodeYWS reads one message and the limit of its data; the decoder holds the error.
func decodeYWS(d *lib0.Decoder, l Limits) (m Message, limit int) {
	switch t := d.Uint(); {
	case d.Err() != nil:
	case t == ywsSync:
		return decodeSync(d), l.Message
	case t == ywsAwareness:
		return Message{Kind: Awareness, Data: d.Bytes()}, l.Awareness
	case t == ywsAuth:
		if kind := d.Uint(); kind != ywsDenied {
			return Message{}, 0 // no auth message that a server could act on
		}
		return Message{Kind: Denied, Data: d.String()}, l.Message
	case t == ywsQueryAwareness:
		return Message{Kind: QueryAwareness}, 0
	case t == ywsSaveMarker:
		return Message{Kind: SaveMarker, Data: d.Bytes()}, l.Marker
	}
	return Message{}, 0
}

// Append appends the frame of m to dst as Dialect says.
func (YWebsocket) Append(dst []byte, m Message) []byte {
	switch m.Kind {
	case SyncStep1, SyncStep2, Update:
		return appendSync(append(dst, ywsSync), m)
	case Awareness:
		return lib0.AppendBytes(append(dst, ywsAwareness), m.Data)
	case QueryAwareness:
		return append(dst, ywsQueryAwareness)
	case SaveMarker:
		return lib0.AppendBytes(append(dst, ywsSaveMarker), m.Data)
	case Denied:
		return lib0.AppendBytes(append(dst, ywsAuth, ywsDenied), m.Data)
	}
	return dst
}
