package gateway

import (
	"context"
	"slices"
	"sync"
)

// budget bounds the memory of the messages that are being read, over all connections of a server. Who needs more than
// is left waits, and its socket is not read meanwhile.
//
// Messages take more while they hold what they have, so those who hold could wait for each other for ever. That is why
// one of them at a time, the first that waits, may go over the bound until it is done: more than size is taken by no
// more than one message.
type budget struct {
	// Static after construction.
	size int64 // bytes

	// Guarded by mu.
	mu      sync.Mutex
	used    int64
	over    *claim    // who may go over size; nil: nobody
	waiting []*waiter // in the order in which they came; empty when over is nil
}

// claim is what one message holds of a budget. It is used by one goroutine.
type claim struct {
	held int64 // bytes; guarded by the budget's mu, and still while its goroutine is in no call of the budget
}

// waiter is a claim that waits for more.
type waiter struct {
	c       *claim
	n       int64
	granted chan struct{} // closed when it is
}

// take adds n bytes to c, waiting for them if it must, which it tells. It fails with the cause of ctx.
func (b *budget) take(ctx context.Context, c *claim, n int64) (waited bool, err error) {
	b.mu.Lock()
	if len(b.waiting) == 0 && b.grant(c, n) || b.over == c && b.grant(c, n) {
		b.mu.Unlock()
		return false, nil
	}
	w := &waiter{c, n, make(chan struct{})}
	b.waiting = append(b.waiting, w)
	b.mu.Unlock()
	select {
	case <-w.granted:
		return true, nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.waiting, w); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
		b.serve() // those behind it may want less
	}
	return true, context.Cause(ctx)
}

// give returns everything that c holds.
func (b *budget) give(c *claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= c.held
	c.held = 0
	if b.over == c {
		b.over = nil
	}
	b.serve()
}

// serve grants what can be granted. Called with mu held.
func (b *budget) serve() {
	for len(b.waiting) > 0 && b.grant(b.waiting[0].c, b.waiting[0].n) {
		close(b.waiting[0].granted)
		b.waiting = slices.Delete(b.waiting, 0, 1)
	}
}

// grant gives n bytes to c if that can be done now. Called with mu held.
func (b *budget) grant(c *claim, n int64) bool {
	if b.used+n > b.size && b.over != c {
		if b.over != nil {
			return false
		}
		b.over = c
	}
	b.used += n
	c.held += n
	return true
}

// inUse returns the bytes that are taken.
func (b *budget) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
