package room

import (
	"context"

	"weft/protocol"
)

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

// Prepared returns how many answers to SyncStep1 an open room keeps, with their
// bytes and those of the frames that complete them.
func Prepared(ctx context.Context, g *Registry, name string, d protocol.Encoder) (answers, size int, err error) {
	sl, err := g.acquire(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	defer g.release(sl)
	err = sl.room.do(ctx, func() {
		for _, group := range sl.room.hub.groups {
			if group.dialect != d {
				continue
			}
			answers, size = len(group.prepared.answers), group.prepared.size
			for _, a := range group.prepared.answers {
				size += len(a.payload)
			}
		}
	})
	return answers, size, err
}
