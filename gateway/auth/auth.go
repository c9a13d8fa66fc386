// Package auth decides who may enter which room, and whether they may write there.
//
// It owns the answer, not its enforcement: an Authorizer looks at a token and a room and returns a Grant or the reason
// why there is none; package gateway keeps the grant with the client's place in that room, and ends it when the grant
// does. A grant is for one room. Somebody who enters two rooms over one socket is asked about twice.
//
// # Invariants
//
//   - An Authorizer that cannot find out refuses.
//   - No token, and nothing that a token could be made from, is in an error, an event, a Grant or a key of a cache.
//   - Every call ends when its context does, and what one call costs is bounded by the length of the token.
package auth

import (
	"context"
	"net/netip"
	"time"
)

// Request is what somebody shows who wants into a room.
type Request struct {
	Token  string     // as the client sent it; may be anything, empty when there was none
	Room   string     // a valid room name
	Origin string     // of the page, as its browser says; empty when the client is none
	Remote netip.Addr // of the client's socket; the zero value when it is unknown
}

// User is who somebody is according to a token. The zero value is nobody in particular.
type User struct {
	ID   string // stable and unique among the users of the application; empty when the token names nobody
	Name string // for other people to read; may be empty
}

// Grant is what an Authorizer allows: to read one room, and perhaps to write it.
type Grant struct {
	User    User
	Session string    // names the token without being it, so that one sign-in can be revoked; empty without a token
	Write   bool      // false: reading only
	Expires time.Time // when the grant ends; zero: never
}

// Authorizer decides about one request. An implementation may be called from many goroutines.
type Authorizer interface {
	// Authorize returns what the request allows. Its error is or wraps a *protocol.CloseError: Unauthorized when the
	// token is missing, broken or expired, Forbidden when it is good but not for this room, Overloaded when nobody
	// could be asked. It may wait, for as long as ctx.
	Authorize(ctx context.Context, r Request) (Grant, error)
}
