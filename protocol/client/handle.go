package client

import (
	"time"

	"weft/protocol/weftv1"
)

// handle does what an envelope says. Unknown ones, and those about rooms without a place, are ignored. An error ends
// the connection.
func (l *link) handle(e *weftv1.ServerEnvelope) error {
	if l.limits == nil {
		return l.handleFirst(e)
	}
	switch e.WhichBody() {
	case weftv1.ServerEnvelope_Fragment_case:
		whole, err := l.parts.add(e.GetFragment())
		if whole == nil || err != nil {
			return err
		}
		return l.handle(whole)
	case weftv1.ServerEnvelope_Ping_case:
		l.say(weftv1.ClientEnvelope_builder{Pong: weftv1.Pong_builder{Time: e.GetPing().GetTime()}.Build()}.Build())
	case weftv1.ServerEnvelope_Refreshed_case:
		expires := e.GetRefreshed().GetTokenExpiresMs()
		if e.GetRef() == refRefresh {
			l.refreshed(expires, true)
		} else if s := l.client.session(e.GetRef()); s != nil {
			s.refreshed(expires)
		}
	case weftv1.ServerEnvelope_Refused_case:
		l.refused(e.GetRef(), e.GetRefused())
	case weftv1.ServerEnvelope_Draining_case:
		l.after, l.since = max(millis(e.GetDraining().GetReconnectAfterMs()), 1), time.Now()
	case weftv1.ServerEnvelope_Closing_case:
		return l.closing(e.GetClosing())
	case weftv1.ServerEnvelope_Joined_case:
		l.joined(e.GetRef(), e.GetJoined())
	default:
		l.handleRoom(e)
	}
	return nil
}

// handleFirst takes what answers Hello.
func (l *link) handleFirst(e *weftv1.ServerEnvelope) error {
	switch e.WhichBody() {
	case weftv1.ServerEnvelope_Welcome_case:
		w := e.GetWelcome()
		if l.limits = w.GetLimits(); l.limits == nil {
			l.limits = new(weftv1.Limits)
		}
		for _, f := range w.GetFeatures() {
			l.flow = l.flow || f == weftv1.Feature_FEATURE_FLOW
		}
		if ms := w.GetKeepAliveMs(); ms > 0 {
			l.keepAlive = 3 * millis(ms)
		}
		l.expires.Store(w.GetTokenExpiresMs())
	case weftv1.ServerEnvelope_Refused_case:
		return refusal(e.GetRefused(), "")
	case weftv1.ServerEnvelope_Closing_case:
		return l.closing(e.GetClosing())
	}
	return nil
}

func (l *link) closing(c *weftv1.Closing) error {
	return &RefusedError{Code: Code(c.GetCode()), Message: c.GetMessage(), Retry: c.GetRetry(), After: millis(c.GetRetryAfterMs())}
}

// handleRoom does what an envelope says about a room that the client is in.
func (l *link) handleRoom(e *weftv1.ServerEnvelope) {
	switch e.WhichBody() {
	case weftv1.ServerEnvelope_Left_case:
		id := e.GetLeft().GetRoomId()
		if s := l.rooms[id]; s != nil {
			delete(l.rooms, id)
			s.left(e.GetLeft())
		}
	case weftv1.ServerEnvelope_Updated_case:
		if s := l.rooms[e.GetUpdated().GetRoomId()]; s != nil {
			if err := s.updated(e.GetUpdated()); err != nil {
				s.end(err)
			}
		}
	case weftv1.ServerEnvelope_Ack_case:
		if s := l.rooms[e.GetAck().GetRoomId()]; s != nil {
			s.acked(e.GetAck())
		}
	case weftv1.ServerEnvelope_Presence_case:
		if s := l.rooms[e.GetPresence().GetRoomId()]; s != nil {
			s.heard(e.GetPresence())
		}
	case weftv1.ServerEnvelope_Signal_case:
		if s := l.rooms[e.GetSignal().GetRoomId()]; s != nil {
			s.signal(e.GetSignal())
		}
	case weftv1.ServerEnvelope_AccessChanged_case:
		if s := l.rooms[e.GetAccessChanged().GetRoomId()]; s != nil {
			s.accessChanged(e.GetAccessChanged())
		}
	}
}

// joined takes the answer to a Join. A session that has ended meanwhile gives its place up.
func (l *link) joined(ref uint32, j *weftv1.Joined) {
	s := l.client.session(ref)
	if s == nil {
		l.sayLeave(j.GetRoomId())
		return
	}
	l.rooms[j.GetRoomId()] = s
	if err := s.joined(j); err != nil {
		l.sayLeave(j.GetRoomId())
		s.end(err)
	}
}

// refused takes a refusal.
func (l *link) refused(ref uint32, r *weftv1.Refused) {
	s := l.rooms[r.GetRoomId()]
	switch {
	case ref == refRefresh:
		l.refreshed(l.expires.Load(), false) // sessions that waited for the token may as well try
	case s == nil && ref != 0:
		s = l.client.session(ref)
	}
	if s != nil {
		s.refused(ref, r)
	}
}

// refreshed takes the answer to a newer token for the connection, and its end if it is good.
func (l *link) refreshed(expiresMs int64, good bool) {
	l.expires.Store(expiresMs)
	poke(l.expiry)
	for _, s := range l.client.all() {
		if s.o.Token != nil {
			continue
		}
		if good {
			s.refreshed(expiresMs)
		}
		s.tokenCame()
	}
}
