package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"weft/crdt/lib0"
)

// kind is what a message is about, in every dialect.
type kind byte

const (
	other     kind = iota // nothing that a generator answers or counts
	step1                 // body: a state vector
	step2                 // body: an update, the answer to step1
	update                // body: an update
	awareness             // body: an awareness update
	query                 // the server wants to be told the client's awareness; no body
	saved                 // the server confirms one update or step2 of this client; no body
	refused               // body: the reason why this client may not enter
)

// dialect is a protocol of clients, seen from the client. Its methods may be called from any goroutine.
//
// It is written from the protocols' own description and shares nothing with the server, whose mistakes it should not
// repeat.
type dialect interface {
	// address returns the URL of the WebSocket for a room.
	address(base, room, token string) (string, error)
	// prefix returns what every frame about the room starts with.
	prefix(room string) []byte
	// hello returns the frames that come before anything else; they may be none.
	hello(room, token string) [][]byte
	// confirms tells whether the server answers each update and step2 with saved.
	confirms() bool
	// read finds the message in a frame behind its prefix. The body aliases the frame.
	read(frame []byte) (kind, []byte, error)
}

// newDialect returns the dialect of that name.
func newDialect(name string) (dialect, error) {
	switch name {
	case "yws", "y-websocket":
		return yWebsocket{}, nil
	case "hocuspocus":
		return hocuspocus{}, nil
	}
	return nil, fmt.Errorf("unknown protocol %q: want yws or hocuspocus", name)
}

// Message types of both dialects, y-protocols' sync.js and y-websocket's, then what Hocuspocus adds.
const (
	typeSync      = 0 // then a type of sync message
	typeAwareness = 1 // varUint8Array
	typeAuth      = 2
	typeQuery     = 3
	typeClose     = 7 // varString reason
	typeStatus    = 8 // varUint 1: saved, 0: not taken

	syncStep1  = 0 // varUint8Array of a state vector
	syncStep2  = 1 // varUint8Array of an update
	syncUpdate = 2 // likewise

	authToken  = 0 // client: varString token, varString version; server: without a body, asks for one
	authDenied = 1 // varString reason
)

// appendHead appends what stands between a frame's prefix and the body of a message, which is n bytes long; both
// dialects write these alike.
func appendHead(dst []byte, k kind, n int) []byte {
	switch k {
	case step1:
		dst = append(dst, typeSync, syncStep1)
	case step2:
		dst = append(dst, typeSync, syncStep2)
	case update:
		dst = append(dst, typeSync, syncUpdate)
	case awareness:
		dst = append(dst, typeAwareness)
	default:
		panic(fmt.Sprintf("bench: clients do not send messages of kind %d", k))
	}
	return lib0.AppendUint(dst, uint64(n))
}

var errMessage = errors.New("message cannot be read")

// readMessage reads what both dialects have in common; known is false for other types.
func readMessage(frame []byte) (k kind, body []byte, known bool, err error) {
	d := lib0.NewDecoder(frame)
	switch d.Uint() {
	case typeSync:
		switch d.Uint() {
		case syncStep1:
			k = step1
		case syncStep2:
			k = step2
		case syncUpdate:
			k = update
		default:
			return other, nil, true, fmt.Errorf("%w: unknown kind of sync message", errMessage)
		}
		body = d.Bytes()
	case typeAwareness:
		k, body = awareness, d.Bytes()
	case typeQuery:
		k = query
	default:
		return other, nil, false, d.Err()
	}
	return k, body, true, d.Err()
}

// yWebsocket is the protocol of y-websocket: one room for each connection, named by the path.
type yWebsocket struct{}

func (yWebsocket) address(base, room, token string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "/" + room
	if token != "" {
		q := u.Query()
		q.Set("token", token)
		u.RawQuery = q.Encode()
	}
	return u.String(), nil
}

func (yWebsocket) prefix(string) []byte          { return nil }
func (yWebsocket) hello(string, string) [][]byte { return nil }
func (yWebsocket) confirms() bool                { return false }
func (yWebsocket) read(f []byte) (kind, []byte, error) {
	k, body, known, err := readMessage(f)
	if known || err != nil {
		return k, body, err
	}
	d := lib0.NewDecoder(f)
	if d.Uint() == typeAuth && d.Uint() == 0 { // y-protocols' auth.js: permission denied
		return refused, d.Bytes(), d.Err()
	}
	return other, nil, nil
}

// hocuspocus is the protocol of the Hocuspocus providers: every frame names its document.
type hocuspocus struct{}

// providerVersion is the version of the provider whose messages these are.
const providerVersion = "4.8.0"

func (hocuspocus) address(base, _, _ string) (string, error) { return base, nil }
func (hocuspocus) prefix(room string) []byte                 { return lib0.AppendString(nil, room) }
func (hocuspocus) confirms() bool                            { return true }

func (h hocuspocus) hello(room, token string) [][]byte {
	f := append(h.prefix(room), typeAuth, authToken)
	f = lib0.AppendString(f, token)
	return [][]byte{lib0.AppendString(f, providerVersion)}
}

func (hocuspocus) read(f []byte) (kind, []byte, error) {
	k, body, known, err := readMessage(f)
	if known || err != nil {
		return k, body, err
	}
	d := lib0.NewDecoder(f)
	switch d.Uint() {
	case typeAuth:
		if d.Uint() == authDenied {
			return refused, d.Bytes(), d.Err()
		}
	case typeClose:
		return refused, d.Bytes(), d.Err()
	case typeStatus:
		if d.Uint() == 1 {
			return saved, nil, d.Err()
		}
		return refused, []byte("an update was not taken"), d.Err()
	}
	return other, nil, d.Err()
}

// cutPrefix returns what stands behind the prefix of a frame.
func cutPrefix(frame, prefix []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(frame, prefix)
	if !ok {
		return nil, fmt.Errorf("%w: about another room", errMessage)
	}
	return rest, nil
}
