package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"weft/crdt/lib0"
)

// Message types of Hocuspocus (@hocuspocus/common and provider 4.8.0, server
// 4.7.0). A frame is one message: varString address, varUint type, then the body
// drawn here. A ping and a pong have no address: they are their type alone.
const (
	hpSync               = 0  // varUint sync kind, varUint8Array state vector or update
	hpAwareness          = 1  // varUint8Array awareness update
	hpAuth               = 2  // varUint one of the kinds below, and its body
	hpQueryAwareness     = 3  // nothing
	hpStateless          = 5  // varString
	hpBroadcastStateless = 6  // varString; between servers only
	hpClose              = 7  // nothing from a client, varString reason from a server
	hpSyncStatus         = 8  // varUint 1 (saved) or 0 (not saved)
	hpPing               = 9  // the whole frame is this byte
	hpPong               = 10 // likewise
)

// Kinds of auth message.
const (
	hpToken   = 0 // from a client: varString token, and varString version since 4.0; from a server: nothing, it wants one
	hpDenied  = 1 // varString reason
	hpGranted = 2 // varString "read-write" or "readonly"
)

// What a Granted message carries.
const (
	ReadWrite = "read-write"
	ReadOnly  = "readonly"
)

const (
	// maxSession is the longest session id in bytes; the providers' have 11.
	maxSession = 64
	// maxAddress is the longest address: a room name, a NUL and a session id.
	maxAddress = maxRoomName + 1 + maxSession
	// maxVersion is the longest version of a provider in bytes.
	maxVersion = 64
)

// Hocuspocus is the dialect of one document on a socket of the Hocuspocus
// provider, versions 2 to 4. Many documents share a socket; the address says
// which one a frame is about, and is repeated as it came. Updates are encoded as
// Yjs update v1.
type Hocuspocus struct {
	Address string // as SplitAddress takes it
}

// Decode reads one frame as Dialect says; one with another address than the
// dialect's is Malformed. Types that only servers know are Ignored, or ServerOnly
// where the reference server takes offence.
func (h Hocuspocus) Decode(frame []byte, l Limits) (Message, error) {
	address, m, err := DecodeHocuspocus(frame, l)
	if err == nil && string(address) != h.Address && m.Kind != Ping && m.Kind != Pong {
		return Message{}, Malformed.Closef("frame for another address")
	}
	return m, err
}

// DecodeHocuspocus reads one frame of a Hocuspocus socket, whatever its address.
// Both results alias frame. Of an error, which is a *CloseError, address says
// which document the frame was meant for; nil means that it cannot be told.
func DecodeHocuspocus(frame []byte, l Limits) (address []byte, m Message, err error) {
	l = l.WithDefaults()
	if len(frame) > l.Message {
		return nil, Message{}, TooLarge.Closef("frame of %d bytes, at most %d", len(frame), l.Message)
	}
	if len(frame) == 1 {
		switch frame[0] {
		case hpPing:
			return nil, Message{Kind: Ping}, nil
		case hpPong:
			return nil, Message{Kind: Pong}, nil
		}
	}
	d := lib0.NewDecoder(frame)
	address = d.String()
	switch {
	case d.Err() != nil:
		return nil, Message{}, malformed("address", d.Err())
	case len(address) > maxAddress:
		return nil, Message{}, Malformed.Closef("address of %d bytes, at most %d", len(address), maxAddress)
	}
	m, limit := decodeHP(&d, l)
	m, err = checkMessage(&d, m, limit)
	return address, m, err
}

// decodeHP reads what follows the address, and the limit of its data; the decoder holds the error.
func decodeHP(d *lib0.Decoder, l Limits) (m Message, limit int) {
	switch t := d.Uint(); {
	case d.Err() != nil:
	case t == hpSync:
		return decodeSync(d), l.Message
	case t == hpAwareness:
		return Message{Kind: Awareness, Data: d.Bytes()}, l.Awareness
	case t == hpAuth:
		return decodeHPAuth(d, l)
	case t == hpQueryAwareness:
		return Message{Kind: QueryAwareness}, 0
	case t == hpStateless:
		return Message{Kind: Stateless, Data: d.String()}, l.Stateless
	case t == hpBroadcastStateless:
		return Message{Kind: ServerOnly, Data: d.String()}, l.Stateless
	case t == hpClose:
		if d.Len() == 0 {
			return Message{Kind: Leave}, 0
		}
		return Message{Kind: Leave, Data: d.String()}, l.Stateless
	case t == hpSyncStatus:
		return decodeHPStatus(d), 0
	}
	return Message{}, 0
}

// errStatus is what a decoder says about a sync status that is neither yes nor no.
var errStatus = errors.New("unknown sync status")

func decodeHPStatus(d *lib0.Decoder) Message {
	switch status := d.Uint(); {
	case d.Err() != nil:
	case status == 1:
		return Message{Kind: Saved}
	case status == 0:
		return Message{Kind: NotSaved}
	default:
		d.Fail(errStatus)
	}
	return Message{}
}

// errVersion is what a decoder says about a version that is none.
var errVersion = errors.New("version of the provider is too long")

func decodeHPAuth(d *lib0.Decoder, l Limits) (m Message, limit int) {
	switch kind := d.Uint(); {
	case d.Err() != nil:
	case kind == hpToken && d.Len() == 0:
		return Message{Kind: TokenWanted}, 0
	case kind == hpToken:
		rest := *d // the body, read twice: token and version are one Data
		token := d.String()
		if d.Err() == nil && d.Len() > 0 && len(d.String()) > maxVersion {
			d.Fail(errVersion)
		}
		if len(token) > l.Token {
			return Message{Kind: Token, Data: token}, l.Token
		}
		return Message{Kind: Token, Data: rest.Raw(uint64(rest.Len() - d.Len()))}, l.Message
	case kind == hpDenied:
		return Message{Kind: Barred, Data: d.String()}, l.Stateless
	case kind == hpGranted:
		return Message{Kind: Granted, Data: d.String()}, l.Stateless
	}
	return Message{}, 0
}

// SplitToken takes the Data of a decoded Token message apart. version is empty
// for providers before 4.0, which do not say. Both alias data.
func SplitToken(data []byte) (token, version []byte) {
	d := lib0.NewDecoder(data)
	token = d.String()
	if d.Len() > 0 {
		version = d.String()
	}
	return token, version
}

// JoinToken returns the Data of a Token message.
func JoinToken(token, version string) []byte {
	data := lib0.AppendString(nil, token)
	if version != "" {
		data = lib0.AppendString(data, version)
	}
	return data
}

// SplitAddress takes an address apart: the name of a room, or that and the id of
// a provider's session behind a NUL, with which several providers of one
// document share a socket. The error says what is wrong with it, and repeats
// nothing of it. Both results alias address.
func SplitAddress(address []byte) (room, session []byte, err error) {
	room, session, several := bytes.Cut(address, []byte{0})
	if err := CheckRoomName(string(room)); err != nil {
		return nil, nil, err
	}
	switch {
	case !several:
		return room, nil, nil
	case len(session) == 0 || len(session) > maxSession:
		return nil, nil, fmt.Errorf("session id has %d bytes, 1 to %d are allowed", len(session), maxSession)
	case !utf8.Valid(session) || bytes.ContainsFunc(session, unicode.IsControl):
		return nil, nil, errors.New("session id is not plain text")
	}
	return room, session, nil
}

// Append appends the frame of m to dst as Dialect says.
func (h Hocuspocus) Append(dst []byte, m Message) []byte {
	switch m.Kind {
	case SyncStep1, SyncStep2, Update:
		return appendSync(h.begin(dst, hpSync), m)
	case Awareness:
		return lib0.AppendBytes(h.begin(dst, hpAwareness), m.Data)
	case QueryAwareness:
		return h.begin(dst, hpQueryAwareness)
	case Saved:
		return append(h.begin(dst, hpSyncStatus), 1)
	case NotSaved:
		return append(h.begin(dst, hpSyncStatus), 0)
	case Stateless:
		if !utf8.Valid(m.Data) { // a native client's signal: the provider's decoder would throw
			return dst
		}
		return lib0.AppendBytes(h.begin(dst, hpStateless), m.Data)
	case ServerOnly:
		return lib0.AppendBytes(h.begin(dst, hpBroadcastStateless), m.Data)
	case Token:
		return append(append(h.begin(dst, hpAuth), hpToken), m.Data...)
	case TokenWanted:
		return append(h.begin(dst, hpAuth), hpToken)
	case Barred:
		return lib0.AppendBytes(append(h.begin(dst, hpAuth), hpDenied), m.Data)
	case Granted:
		return lib0.AppendBytes(append(h.begin(dst, hpAuth), hpGranted), m.Data)
	case Leave:
		dst = h.begin(dst, hpClose)
		if m.Data == nil {
			return dst
		}
		return lib0.AppendBytes(dst, m.Data)
	case Ping:
		return append(dst, hpPing)
	case Pong:
		return append(dst, hpPong)
	}
	return dst
}

// begin appends the address and the type, which is below 128.
func (h Hocuspocus) begin(dst []byte, t byte) []byte {
	return append(lib0.AppendString(dst, h.Address), t)
}
