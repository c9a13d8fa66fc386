package gateway

import (
	"context"
	"errors"
	"time"

	"weft/gateway/auth"
	"weft/protocol"
)

// endpoint is what is spoken on one connection. The connection calls it from its own goroutine only, but for drain and
// farewell, which are called from any and must not block.
type endpoint interface {
	// start is called once, before the first message is read. Its error ends the connection.
	start() error
	// receive takes one message, whose bytes are the endpoint's from now on. It may block, and then the socket is not
	// read. Its error ends the connection.
	receive(frame []byte) error
	// due does what is late at the age now, tells the age at which it wants to be asked again (0: at any), or why the
	// connection ends.
	due(now time.Duration) (next time.Duration, why *protocol.CloseError)
	// drain tells the client that the connection will end soon, and after which time to come back, where the protocol can.
	drain(after time.Duration)
	// farewell returns the last message before the close frame; empty where the protocol has none.
	farewell(why *protocol.CloseError) []byte
	// leave gives up every place of the client. It may be called more than once.
	leave()
}

// guarded is an endpoint whose clients may speak before they are let in. Until then their messages are short, and have a
// smaller share of the server's memory. The connection calls it from its own goroutine.
type guarded interface {
	// isStranger tells whether the client was not let in yet, and somebody has to be.
	isStranger() bool
	// letIn tells whether the client was let in, and waits while that is being decided.
	letIn() bool
}

// budget returns what the memory of the next message is taken from.
func (c *conn) budget() *budget {
	if g, ok := c.speaks.(guarded); ok && g.isStranger() {
		return &c.srv.strangers
	}
	return &c.srv.memory
}

// staysStranger tells whether the client is not let in, and waits while that is being decided.
func (c *conn) staysStranger() bool {
	g, ok := c.speaks.(guarded)
	return ok && !g.letIn()
}

// authorize asks whether a token lets its owner into a room. The error is a *protocol.CloseError, or says that the
// connection is ending.
func (c *conn) authorize(token, room string) (auth.Grant, error) {
	if c.srv.o.Auth == nil {
		return auth.Grant{Write: true}, nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.srv.o.AuthTime)
	defer cancel()
	g, err := c.srv.o.Auth.Authorize(ctx, auth.Request{
		Token: token, Room: room, Origin: c.origin, Remote: c.start.Remote.Addr().Unmap(),
	})
	switch {
	case c.ctx.Err() != nil:
		return auth.Grant{}, context.Cause(c.ctx)
	case errors.Is(err, context.DeadlineExceeded):
		return auth.Grant{}, &protocol.CloseError{Reason: protocol.Overloaded, Detail: "token not looked at in time", Cause: err}
	case err != nil:
		return auth.Grant{}, closeError(err)
	case !g.Expires.IsZero() && !time.Now().Before(g.Expires):
		return auth.Grant{}, protocol.Unauthorized.Closef("token has expired")
	}
	return g, nil
}

// bars tells whether a reason is about who the client is and what it may, rather than about what it sent.
func bars(r protocol.Reason) bool { return r == protocol.Unauthorized || r == protocol.Forbidden }
