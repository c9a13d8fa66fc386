package client

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"weft/protocol"
	"weft/protocol/weftv1"
)

// Errors that callers may tell apart.
var (
	// ErrClosed means that the program has closed the session or the client.
	ErrClosed = errors.New("closed")
	// ErrOffline means that the program wants no connection (Client.GoOffline).
	ErrOffline = errors.New("offline at the program's request")
	// ErrReadOnly means that the client may not change this room.
	ErrReadOnly = errors.New("room may only be read")
	// ErrUnsaved means that Close was not given the time to have all edits saved.
	ErrUnsaved = errors.New("edits are not saved")
	// ErrTooLarge means that what was to be sent is larger than the server takes.
	ErrTooLarge = errors.New("larger than the server takes")
)

// Code says why a server refused something (Code in weft.proto). Servers may use numbers that have no name here.
type Code int32

// The codes.
const (
	CodeNormal        = Code(weftv1.Code_CODE_NORMAL)
	CodeInternal      = Code(weftv1.Code_CODE_INTERNAL)
	CodeUnavailable   = Code(weftv1.Code_CODE_UNAVAILABLE)
	CodeOverloaded    = Code(weftv1.Code_CODE_OVERLOADED)
	CodeDraining      = Code(weftv1.Code_CODE_DRAINING)
	CodeUnauthorized  = Code(weftv1.Code_CODE_UNAUTHORIZED)
	CodeForbidden     = Code(weftv1.Code_CODE_FORBIDDEN)
	CodeNotFound      = Code(weftv1.Code_CODE_NOT_FOUND)
	CodeQuarantined   = Code(weftv1.Code_CODE_QUARANTINED)
	CodeMalformed     = Code(weftv1.Code_CODE_MALFORMED)
	CodeTooLarge      = Code(weftv1.Code_CODE_TOO_LARGE)
	CodeRateLimited   = Code(weftv1.Code_CODE_RATE_LIMITED)
	CodeLimitExceeded = Code(weftv1.Code_CODE_LIMIT_EXCEEDED)
	CodeTooSlow       = Code(weftv1.Code_CODE_TOO_SLOW)
	CodeTimedOut      = Code(weftv1.Code_CODE_TIMED_OUT)
	CodeUnsupported   = Code(weftv1.Code_CODE_UNSUPPORTED)
)

// String returns the name in weft.proto, in lower case and without its prefix.
func (c Code) String() string {
	name := weftv1.Code(c).String()
	if short, ok := strings.CutPrefix(name, "CODE_"); ok {
		return strings.ReplaceAll(strings.ToLower(short), "_", " ")
	}
	return "code " + name
}

// A RefusedError is a server's refusal: of the connection, of a room, or of something sent to it.
type RefusedError struct {
	Code    Code
	Message string // the server's, for people; may be empty
	// Room is what it is about, "" for the whole connection.
	Room string
	// Retry tells whether the same may succeed later, not before After has passed where that is not 0. The client
	// tries again by itself; an error that ended a session or client has Retry false.
	Retry bool
	After time.Duration
}

// Error returns the code, the room and the server's message.
func (e *RefusedError) Error() string {
	var b strings.Builder
	b.WriteString("refused: ")
	b.WriteString(e.Code.String())
	if e.Room != "" {
		fmt.Fprintf(&b, ": room %q", e.Room)
	}
	if e.Message != "" {
		b.WriteString(": ")
		b.WriteString(e.Message)
	}
	return b.String()
}

func refusal(r *weftv1.Refused, room string) *RefusedError {
	return &RefusedError{Code: Code(r.GetCode()), Message: r.GetMessage(), Room: room, Retry: r.GetRetry(), After: millis(r.GetRetryAfterMs())}
}

func millis(ms uint32) time.Duration { return time.Duration(ms) * time.Millisecond }

// codeOf gives a WebSocket close code the meaning that it has for servers of this project.
func codeOf(closeCode int) Code {
	switch closeCode {
	case websocket.CloseMessageTooBig, protocol.TooLarge.Code:
		return CodeTooLarge
	case websocket.CloseServiceRestart, protocol.Draining.Code:
		return CodeDraining
	case websocket.CloseTryAgainLater:
		return CodeOverloaded
	case websocket.CloseProtocolError, protocol.Malformed.Code:
		return CodeMalformed
	case websocket.CloseInternalServerErr, protocol.Internal.Code:
		return CodeInternal
	case protocol.Unauthorized.Code:
		return CodeUnauthorized
	case protocol.Forbidden.Code:
		return CodeForbidden
	case protocol.NotFound.Code:
		return CodeNotFound
	case protocol.TimedOut.Code:
		return CodeTimedOut
	case protocol.Unsupported.Code:
		return CodeUnsupported
	case protocol.Quarantined.Code:
		return CodeQuarantined
	case protocol.TooSlow.Code:
		return CodeTooSlow
	case protocol.RateLimited.Code:
		return CodeRateLimited
	default:
		return CodeUnavailable
	}
}

// closedBy turns a close frame of the server into an error: codes 4400 to 4499 and 1009 are final (package protocol),
// but for the one that says that this side was too slow.
func closedBy(e *websocket.CloseError) *RefusedError {
	final := e.Code >= 4400 && e.Code < 4500 && e.Code != protocol.TimedOut.Code || e.Code == websocket.CloseMessageTooBig
	return &RefusedError{Code: codeOf(e.Code), Message: e.Text, Retry: !final}
}

// notUpgraded turns the answer to a handshake that is no upgrade into an error. What the request itself is to blame
// for is final.
func notUpgraded(resp *http.Response) *RefusedError {
	e := &RefusedError{Message: "the server answers " + resp.Status}
	switch status := resp.StatusCode; {
	case status == http.StatusUnauthorized:
		e.Code = CodeUnauthorized
	case status == http.StatusForbidden:
		e.Code = CodeForbidden
	case status == http.StatusNotFound:
		e.Code = CodeNotFound
	case status == http.StatusTooManyRequests:
		e.Code, e.Retry = CodeRateLimited, true
	case status == http.StatusRequestTimeout || status == http.StatusTooEarly:
		e.Code, e.Retry = CodeUnavailable, true
	case status >= 400 && status < 500:
		e.Code = CodeUnsupported
	default:
		e.Code, e.Retry = CodeUnavailable, true
	}
	if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16); err == nil && e.Retry {
		e.After = time.Duration(seconds) * time.Second
	}
	return e
}
