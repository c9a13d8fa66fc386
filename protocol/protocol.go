// Package protocol owns the words that clients and rooms exchange: the
// dialect-independent Message, the dialects that turn frames into messages and
// back, the limits of what a frame may hold, and the one table of close
// reasons.
//
// It holds no state and starts no goroutine; every function may be called from
// any goroutine. It knows no sockets (a frame is a byte slice) and no documents
// (an update is a byte slice that package crdt judges).
//
// Decoders take untrusted bytes: they are strict (no trailing bytes, canonical
// varints, limits before anything else), never panic, never allocate from a
// number on the wire, and what they return aliases the frame. Encoders append
// to a slice of the caller.
package protocol

import "time"

// Kind tells what a Message asks for or carries.
type Kind uint8

// The kinds of message. The zero Kind is a message that asks for nothing.
const (
	// Ignored is a well-formed frame of a type that the dialect does not act
	// on; rooms skip it without punishment.
	Ignored Kind = iota
	// SyncStep1 carries a state vector; the answer is a SyncStep2.
	SyncStep1
	// SyncStep2 carries the update that a SyncStep1 asked for.
	SyncStep2
	// Update carries a document update.
	Update
	// Awareness carries an awareness update of y-protocols.
	Awareness
	// QueryAwareness has no data; the answer is an Awareness of everybody.
	QueryAwareness
	// SaveMarker carries opaque bytes that come back once everything that the
	// sender sent before them is durable.
	SaveMarker
	// Denied carries a reason as text (UTF-8): something was refused.
	Denied
	// Saved has no data: the oldest unanswered SyncStep2 or Update of its
	// receiver is durable, together with everything received before it.
	Saved
	// NotSaved has no data: the oldest unanswered SyncStep2 or Update of its
	// receiver was refused and will not become durable.
	NotSaved
	// Applied is Saved but for the disk: the update is in the document.
	Applied
	// Joined carries what a client lacks, as an update; Join says the rest.
	Joined
	// Credit lets its receiver send ID bytes of updates more.
	Credit
	// Stateless carries text (UTF-8) of the application for the other peers of
	// the room. It is neither stored nor ordered with the document.
	Stateless

	// The kinds below are between a client and the conn; rooms never see them.

	// Token carries what a client shows to be let into a room; SplitToken takes
	// it apart.
	Token
	// TokenWanted has no data; the answer is a Token.
	TokenWanted
	// Granted carries "read-write" or "readonly": the client is in the room.
	Granted
	// Barred carries a reason as text (UTF-8): the client is not in the room.
	Barred
	// Leave asks for, or confirms, the end of the client's place in a room. Data
	// is a reason as text (UTF-8), nil when a client asks.
	Leave
	// Ping has no data; the answer is a Pong.
	Ping
	// Pong has no data.
	Pong
	// ServerOnly is a message that only servers may send to each other.
	ServerOnly
)

// String returns the kind's name in lower case, for logs and metrics.
func (k Kind) String() string {
	switch k {
	case Ignored:
		return "ignored"
	case SyncStep1:
		return "sync step 1"
	case SyncStep2:
		return "sync step 2"
	case Update:
		return "update"
	case Awareness:
		return "awareness"
	case QueryAwareness:
		return "query awareness"
	case SaveMarker:
		return "save marker"
	case Denied:
		return "denied"
	case Saved:
		return "saved"
	case NotSaved:
		return "not saved"
	case Applied:
		return "applied"
	case Joined:
		return "joined"
	case Credit:
		return "credit"
	case Stateless:
		return "stateless"
	case Token:
		return "token"
	case TokenWanted:
		return "token wanted"
	case Granted:
		return "granted"
	case Barred:
		return "barred"
	case Leave:
		return "leave"
	case Ping:
		return "ping"
	case Pong:
		return "pong"
	case ServerOnly:
		return "server only"
	}
	return "unknown"
}

// Writes reports whether a message of this kind asks to change the document.
// It is the whole of what a read-only peer may not send.
func (k Kind) Writes() bool { return k == SyncStep2 || k == Update }

// Message is one message of any dialect. A decoded message's Data aliases the
// frame it was read from.
type Message struct {
	Kind Kind
	Data []byte // what the kind says; nil where it carries nothing

	// The fields below are what only the native dialect has words for.

	ID    uint64      // number of an Update among its sender's; Saved, Applied and NotSaved repeat it
	Pos   Position    // of an Update: of its last change; of Saved and Applied: of the room, with all until ID
	First uint64      // of an Update: seq of its first change
	Why   *CloseError // of NotSaved
	Join  *Joining    // of Joined
}

// Position is a place in a room's order of updates: seq counts within an epoch.
type Position struct{ Epoch, Seq uint64 }

// Joining is what a Joined message says beside the update.
type Joining struct {
	Ref     uint32    // of the client's question
	Write   bool      // the client may change the document
	Mode    SyncMode  // how the update relates to what the client has
	Vector  []byte    // the room's state vector
	People  [][]byte  // awareness updates of everybody; nil when the client did not ask for them
	Expires time.Time // when the client's right ends; zero: never
}

// SyncMode tells how the update of a Joined message relates to what the client has.
type SyncMode uint8

// The modes, in the numbering of the native protocol.
const (
	Tail SyncMode = iota + 1 // the updates after the client's position
	Diff                     // what the client's state vector lacks
	Full                     // the whole document
)

// Encoder writes the frames of a protocol. Its implementations are comparable
// values: two equal ones write equal frames, so that a room encodes a broadcast
// once per distinct value.
type Encoder interface {
	// Append appends the frame of m to dst and returns it. Ignored messages, and
	// kinds that the protocol has no word for, have no frame: dst comes back as it
	// was.
	Append(dst []byte, m Message) []byte
}

// Dialect reads and writes the frames of one browser protocol, where a frame is
// a message.
type Dialect interface {
	Encoder
	// Decode reads one frame. The result aliases frame. Every error is a
	// *CloseError that says how the connection ends.
	Decode(frame []byte, l Limits) (Message, error)
}
