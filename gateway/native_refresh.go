package gateway

import (
	"slices"
	"time"

	"weft/gateway/auth"
	"weft/protocol"
	"weft/protocol/weftv1"
)

// refresh has a further token of the client looked at, by one task, in the order in which tokens come.
func (n *native) refresh(e *weftv1.ClientEnvelope) error {
	r := e.GetRefresh()
	if len(r.GetToken()) > n.conn.srv.o.Limits.Token {
		return n.refuse(e.GetRef(), r.GetRoomId(), 0, weftv1.Code_CODE_TOO_LARGE, "the token is too large")
	}
	if id := r.GetRoomId(); id != 0 && n.place(id) == nil {
		return n.noPlace(e.GetRef(), id, 0)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.refreshes) >= maxRefreshes {
		return protocol.RateLimited.Closef("%d tokens wait to be looked at", len(n.refreshes))
	}
	n.refreshes = append(n.refreshes, e)
	if !n.refreshing {
		n.refreshing = true
		n.conn.tasks.Go(func() {
			defer n.recovered()
			n.lookOn()
		})
	}
	return nil
}

// lookOn looks at tokens until there is no further one.
func (n *native) lookOn() {
	for {
		n.mu.Lock()
		if n.refreshing = len(n.refreshes) > 0 && n.conn.ctx.Err() == nil; !n.refreshing {
			n.mu.Unlock()
			return
		}
		e := n.refreshes[0]
		n.refreshes = slices.Delete(n.refreshes, 0, 1)
		n.mu.Unlock()
		n.renew(e.GetRef(), e.GetRefresh())
	}
}

// renew applies one token to the places that it is for, and answers when that is done: with the first refusal, if there
// was one, or with when the first of the new grants ends.
func (n *native) renew(ref uint32, r *weftv1.Refresh) {
	var first *protocol.CloseError
	var expires time.Time
	for _, p := range n.renewable(r) {
		g, err := p.authorize(r.GetToken())
		if n.conn.ctx.Err() != nil {
			return
		}
		if why := p.renewed(g, err); why != nil {
			if first == nil {
				first = why
			}
			continue
		}
		if !g.Expires.IsZero() && (expires.IsZero() || g.Expires.Before(expires)) {
			expires = g.Expires
		}
	}
	if first != nil {
		refused := protocol.Refusal(first)
		refused.SetRoomId(r.GetRoomId())
		n.say(weftv1.ServerEnvelope_builder{Ref: ref, Refused: refused})
		return
	}
	n.say(weftv1.ServerEnvelope_builder{Ref: ref, Refreshed: weftv1.Refreshed_builder{TokenExpiresMs: milliseconds(expires)}.Build()})
}

// renewable returns the places that a token is for; one for all becomes the connection's.
func (n *native) renewable(r *weftv1.Refresh) (places []*nativePlace) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if id := r.GetRoomId(); id != 0 {
		if p := n.places[id]; p != nil && p.answered {
			places = append(places, p)
		}
		return places
	}
	n.token = r.GetToken()
	for _, p := range n.places {
		if !p.ownToken && p.answered {
			places = append(places, p)
		}
	}
	return places
}

// renewed applies what became of a new token, and tells why it is of no use. When nobody could be asked, the old grant
// stays for as long as it lasts.
func (p *nativePlace) renewed(g auth.Grant, err error) (why *protocol.CloseError) {
	switch {
	case err != nil && closeError(err).Reason.Retry:
		return closeError(err)
	case err != nil:
		why = closeError(err)
	case g.User.ID != p.attachment.entry().User.ID:
		why = protocol.Unauthorized.Closef("token of another user")
	default:
		p.attachment.setGrant(g)
		return nil
	}
	p.attachment.end(why)
	return why
}
