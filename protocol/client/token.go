package client

import (
	"context"
	"fmt"
	"time"

	"weft/protocol/weftv1"
)

// Times at which tokens are asked for.
const (
	// refreshAhead is how long before its end a token is replaced where the server does not ask earlier, or a quarter
	// of what is left of it, if that is less.
	refreshAhead = 30 * time.Second
	// tokenTime is how long the program may take to answer.
	tokenTime = 30 * time.Second
)

// askFor calls a Token function; nil answers "".
func askFor(ctx context.Context, f func(context.Context) (string, error)) (string, error) {
	if f == nil {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, tokenTime)
	defer cancel()
	token, err := f(ctx)
	if err != nil {
		return "", fmt.Errorf("get a token: %w", err)
	}
	return token, nil
}

// tokens asks the program for tokens until ctx ends: for the connection when that was asked for or the token will end,
// and for rooms that have their own. A failure is tried again.
func (l *link) tokens(ctx context.Context) {
	var tries backoff
	timer := time.NewTimer(tokenTime)
	defer timer.Stop()
	next := func() {
		if left := time.Until(time.UnixMilli(l.expires.Load())); left > 0 {
			timer.Reset(max(left-min(refreshAhead, left/4), time.Second))
		} else {
			timer.Stop()
		}
	}
	for next(); ; {
		forConn := false
		select {
		case <-ctx.Done():
			return
		case <-l.expiry:
			next()
			continue
		case <-l.client.refresh:
			forConn = true
		case <-timer.C:
			forConn = true
		case <-l.client.roomTokens:
		}
		if forConn && l.client.o.Token != nil {
			token, err := askFor(ctx, l.client.o.Token)
			if err != nil {
				timer.Reset(tries.next())
				continue
			}
			tries.reset()
			l.say(weftv1.ClientEnvelope_builder{Ref: refRefresh, Refresh: weftv1.Refresh_builder{Token: token}.Build()}.Build())
		}
		for _, s := range l.client.all() {
			if s.takeWantToken() {
				s.setToken(askFor(ctx, s.o.Token))
			}
		}
	}
}

// askToken has a newer token fetched, for this room or for the connection.
func (s *Session) askToken() {
	if s.o.Token == nil {
		poke(s.client.refresh)
		return
	}
	s.wantToken = true
	poke(s.client.roomTokens)
}

// needToken is askToken for a session that cannot join without.
func (s *Session) needToken() {
	s.waitToken = true
	s.askToken()
}

func (s *Session) takeWantToken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	want := s.wantToken && !s.ended
	s.wantToken = false
	return want
}

// setToken takes the answer for the room.
func (s *Session) setToken(token string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.wantToken = true
		s.retryToken()
		return
	}
	s.token, s.newToken, s.waitToken = token, s.place == placeLive, false
	s.client.wake()
}

// retryToken asks again after a while.
func (s *Session) retryToken() {
	time.AfterFunc(s.backoff.next(), func() { poke(s.client.roomTokens) })
}

// tokenCame says that the connection has another token, or cannot have one.
func (s *Session) tokenCame() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waitToken {
		s.waitToken = false
		s.client.wake()
	}
}

// refreshed takes the end of the newer token that the room is held by.
func (s *Session) refreshed(expiresMs int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.place == placeLive {
		s.access.Expires, s.notes.access = unixMilli(expiresMs), true
		s.poke()
	}
}

// unixMilli returns a time of the protocol, where 0 stands for none.
func unixMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
