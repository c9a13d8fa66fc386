package client

import (
	"context"
	"errors"
	"time"
)

// run connects, again and again, until ctx ends or the server's refusal is final.
func (c *Client) run(ctx context.Context) {
	defer close(c.done)
	var tries backoff
	rejected := false // the last token was refused, without having been good before
	for {
		if !c.waitAllowed(ctx) {
			c.finish(context.Cause(ctx))
			return
		}
		c.setStatus(Status{State: Connecting})
		end := c.connect(ctx)
		if ctx.Err() != nil {
			c.finish(context.Cause(ctx))
			return
		}
		if end.lasted >= settled {
			tries.reset()
		}
		if end.lasted > 0 {
			rejected = false
		}
		if errors.Is(end.err, ErrOffline) {
			continue
		}
		told := end.after
		if refused, ok := errors.AsType[*RefusedError](end.err); ok {
			retry := refused.Retry
			if refused.Code == CodeUnauthorized && c.o.Token != nil && !rejected {
				retry, rejected = true, true // the next token may be better
			}
			if !retry {
				c.finish(refused)
				return
			}
			told = max(told, refused.After)
		}
		c.rest(ctx, end.err, tries.after(told))
	}
}

// rest waits before another try, for as long as given, until the program wants one, or until ctx ends. A client
// without sessions, which servers send away after a while, waits for one.
func (c *Client) rest(ctx context.Context, why error, pause time.Duration) {
	status := Status{State: Offline, Err: why, Retry: time.Now().Add(pause)}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	due := timer.C
	if end, lost := errors.AsType[*RefusedError](why); lost && end.Code == CodeTimedOut && len(c.all()) == 0 {
		due, status.Retry = nil, time.Time{}
	}
	c.setStatus(status)
	select {
	case <-due:
	case <-c.nudged:
	case <-ctx.Done():
	}
}

// waitAllowed waits while the program wants to be offline; false when ctx has ended.
func (c *Client) waitAllowed(ctx context.Context) bool {
	for {
		c.mu.Lock()
		paused := c.paused
		c.mu.Unlock()
		if !paused {
			return ctx.Err() == nil
		}
		if c.Status().State != Offline || !errors.Is(c.Status().Err, ErrOffline) {
			c.setStatus(Status{State: Offline, Err: ErrOffline})
		}
		select {
		case <-c.nudged:
		case <-ctx.Done():
			return false
		}
	}
}

// finish ends everything for good.
func (c *Client) finish(err error) {
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	c.setStatus(Status{State: Ended, Err: err})
	for _, s := range c.all() {
		s.end(err)
	}
}

func (c *Client) setStatus(status Status) {
	c.mu.Lock()
	c.status = status
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	if c.o.Status != nil {
		c.o.Status(status)
	}
}
