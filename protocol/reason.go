package protocol

import "fmt"

// Reason says why a connection or session ends. All reasons stand in the table
// below; a new need is a new row there.
type Reason struct {
	Code  int    // WebSocket close code
	Name  string // short and stable, for metrics and logs
	Text  string // one sentence for people, at most 123 bytes (a close frame's room)
	Retry bool   // whether the client should come back by itself
}

// The close reasons. Codes 4400 to 4499 are final: y-websocket 3.1 and newer
// stop reconnecting on them. All others may be retried; clients do that after a
// back-off of their own.
var (
	Normal     = Reason{Code: 1000, Name: "normal", Text: "closed by agreement", Retry: true}
	Lost       = Reason{Code: 1006, Name: "lost", Text: "the connection broke", Retry: true} // never on the wire (RFC 6455 section 7.4.1): nobody is left to send it to
	Restarting = Reason{Code: 1012, Name: "restarting", Text: "the server restarts, come back in a moment", Retry: true}
	Overloaded = Reason{Code: 1013, Name: "overloaded", Text: "the server has no room for this now, try again later", Retry: true}

	Flooded = Reason{Code: 4205, Name: "flooded", Text: "too much was sent before the server knew who sends it", Retry: true} // the code of Hocuspocus for this

	Malformed    = Reason{Code: 4400, Name: "malformed", Text: "a message could not be read"}
	Unauthorized = Reason{Code: 4401, Name: "unauthorized", Text: "a valid token is needed"}
	Forbidden    = Reason{Code: 4403, Name: "forbidden", Text: "access to this room is not allowed"}
	NotFound     = Reason{Code: 4404, Name: "not_found", Text: "there is no such room"}
	TimedOut     = Reason{Code: 4408, Name: "timed_out", Text: "a message took too long to arrive"}
	Unsupported  = Reason{Code: 4409, Name: "unsupported", Text: "this server does not speak that version of the protocol"}
	TooLarge     = Reason{Code: 4413, Name: "too_large", Text: "a message is larger than this server accepts"}
	Quarantined  = Reason{Code: 4423, Name: "quarantined", Text: "the stored document is damaged and set aside, its operator must look at it"}

	Internal    = Reason{Code: 4500, Name: "internal", Text: "the server made a mistake", Retry: true}
	Draining    = Reason{Code: 4503, Name: "draining", Text: "the room moves or the server stops, come back in a moment", Retry: true}
	Unavailable = Reason{Code: 4505, Name: "unavailable", Text: "the server cannot save changes now, try again later", Retry: true}
	TooSlow     = Reason{Code: 4508, Name: "too_slow", Text: "the client reads more slowly than the room writes", Retry: true}
	Incomplete  = Reason{Code: 4522, Name: "incomplete", Text: "updates build on others that did not arrive, join again", Retry: true}
	RateLimited = Reason{Code: 4529, Name: "rate_limited", Text: "the client sends more than it may", Retry: true}
)

// Reasons returns the whole table in the order of its codes.
func Reasons() []Reason {
	return []Reason{
		Normal, Lost, Restarting, Overloaded,
		Flooded,
		Malformed, Unauthorized, Forbidden, NotFound, TimedOut, Unsupported, TooLarge, Quarantined,
		Internal, Draining, Unavailable, TooSlow, Incomplete, RateLimited,
	}
}

// Closef returns the error that ends a connection for this reason. The detail
// is for logs; what the client is told is the reason's Text.
func (r Reason) Closef(format string, args ...any) *CloseError {
	return &CloseError{Reason: r, Detail: fmt.Sprintf(format, args...)}
}

// CloseError ends a connection or session. Package gateway turns it into a
// close frame with the reason's code and text.
type CloseError struct {
	Reason Reason
	Detail string // for logs: never document content, never a token; may be empty
	Cause  error  // what led to it, nil when nothing did
}

// Error returns the reason's name, the detail and the cause.
func (e *CloseError) Error() string {
	s := e.Reason.Name
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *CloseError) Unwrap() error { return e.Cause }

// malformed returns the error for bytes that could not be read as what.
func malformed(what string, err error) *CloseError {
	return &CloseError{Reason: Malformed, Detail: what, Cause: err}
}
