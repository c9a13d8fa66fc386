package room

import "context"

// Limit returns the bound of an outbox; 0 for a nil outbox.
func (o *Outbox) Limit() int {
	if o == nil {
		return 0
	}
	return o.limit
}

// Waiting returns the length of an open room's list of sessions with pending updates.
func Waiting(ctx context.Context, g *Registry, name string) (n int, err error) {
	sl, err := g.acquire(ctx, name)
	if err != nil {
		return 0, err
	}
	defer g.release(sl)
	err = sl.room.do(ctx, func() { n = len(sl.room.waiting) })
	return n, err
}
