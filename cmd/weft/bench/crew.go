package bench

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// crew is the clients of one scenario. Its goroutines are a reader for each client and a writer for each that writes;
// end stops them and waits.
type crew struct {
	// Static after construction.
	runner *runner
	faults faults
	meter  *meter
	ending chan struct{}

	clients  []*client
	schedule atomic.Pointer[schedule]
	readers  sync.WaitGroup
	writing  sync.WaitGroup
	records  int64 // that have been due of everybody; owned by the scenario
}

func (r *runner) newCrew() *crew {
	return &crew{runner: r, meter: newMeter(), ending: make(chan struct{})}
}

// newClient adds a client; it is connected by connect or dialAndSync. Either of w and p may be nil.
func (c *crew) newClient(room *chatRoom, w *writer, p *person) *client {
	n := &client{
		crew: c, number: len(c.clients), room: room, writes: w, person: p, prefix: c.runner.dialect.prefix(room.name),
		synced: make(chan struct{}), resume: make(chan struct{}), gone: make(chan struct{}),
		ledger: newLedger(len(room.writers)), shard: c.meter.shard(len(c.clients)),
	}
	n.noteRun = n.enter
	switch {
	case w != nil:
		n.turn = &w.turn
	case p != nil:
		n.turn = &p.turn
	}
	if p != nil {
		p.client = n
	}
	c.clients = append(c.clients, n)
	return n
}

// connect connects clients, so many at a time, and waits until all are synced; then their writers run.
func (c *crew) connect(ctx context.Context, clients []*client, parallel int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var dialing sync.WaitGroup
	var done atomic.Int64
	work := make(chan *client)
	for range min(parallel, len(clients)) {
		dialing.Go(func() { // until work is closed
			for n := range work {
				if ctx.Err() != nil {
					continue
				}
				if err := c.connectOne(ctx, n); err != nil {
					cancel(fmt.Errorf("connect client %d: %w", n.number, err))
				}
				if d := done.Add(1); d%256 == 0 {
					c.runner.progress("%d of %d connected", d, len(clients))
				}
			}
		})
	}
	for _, n := range clients {
		work <- n
	}
	close(work)
	dialing.Wait()
	return context.Cause(ctx)
}

// connectOne connects one client and waits until it is synced.
func (c *crew) connectOne(ctx context.Context, n *client) error {
	ctx, cancel := context.WithTimeout(ctx, c.runner.o.Patience)
	defer cancel()
	if err := n.dialAndSync(ctx); err != nil {
		return err
	}
	if err := n.awaitSync(ctx); err != nil {
		return err
	}
	if n.turn != nil {
		c.writing.Go(n.write)
	}
	return nil
}

// awaitSync waits for the answer to the first step 1.
func (n *client) awaitSync(ctx context.Context) error {
	select {
	case <-n.synced:
		return nil
	case <-n.gone:
		return n.failure
	case <-ctx.Done():
		return fmt.Errorf("not synced: %w", context.Cause(ctx))
	}
}

// pace makes total records due, gap apart, in turns, of which each has the same number, and returns when the last one is.
func (c *crew) pace(ctx context.Context, turns []*turn, total int, gap time.Duration) error {
	s := &schedule{start: time.Now().Add(paceLead), gap: gap, turns: len(turns), first: c.records}
	c.records += int64(total / len(turns))
	c.schedule.Store(s)
	for i := 0; i < total; {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		late := time.Since(s.start)
		for ; i < total && time.Duration(i)*gap <= late; i++ {
			t := turns[i%len(turns)]
			t.due.Add(1)
			select {
			case t.kick <- struct{}{}:
			default: // it has yet to look
			}
		}
		if i < total {
			// Go's timers are late by up to a millisecond; what was due meanwhile counts as late.
			time.Sleep(max(time.Until(s.start.Add(time.Duration(i)*gap)), minNap))
		}
	}
	return nil
}

const (
	paceLead = 2 * time.Millisecond   // from the start of a schedule to its first record
	minNap   = 200 * time.Microsecond // lets readers run on a single core
)

// settle waits until every client is complete, but no longer than d. It returns how many of them are not.
func (c *crew) settle(ctx context.Context, clients []*client, d time.Duration) int {
	for deadline := time.Now().Add(d); ; time.Sleep(settleEvery) {
		n := 0
		for _, k := range clients {
			if all, confirmed := k.complete(); !all || !confirmed {
				n++
				break // as good as many, until the time is over
			}
		}
		if n == 0 {
			return 0
		}
		if ctx.Err() != nil || !time.Now().Before(deadline) {
			break
		}
	}
	n := 0
	for _, k := range clients {
		if all, confirmed := k.complete(); !all || !confirmed {
			n++
		}
	}
	return n
}

const settleEvery = 2 * time.Millisecond

// verify counts the clients that did not end with everything. Nothing may be on its way.
func (c *crew) verify(clients []*client) {
	for _, k := range clients {
		all, confirmed := k.complete()
		if !all {
			c.faults.add(missing, "client %d in %s has %d clocks of the others, who wrote %d", k.number, k.room.name, k.have.Load(), k.room.written(k.writes))
		}
		if !confirmed {
			c.faults.add(unconfirmed, "client %d in %s: %d of %d updates confirmed", k.number, k.room.name, k.confirmed.Load(), k.asked.Load())
		}
	}
}

// end hangs up every client and waits for all goroutines. It may be called more than once.
func (c *crew) end() {
	select {
	case <-c.ending:
		return
	default:
	}
	close(c.ending)
	var hanging sync.WaitGroup
	for part := range runtime.NumCPU() {
		hanging.Go(func() {
			for i := part; i < len(c.clients); i += runtime.NumCPU() {
				c.clients[i].hangUp()
			}
		})
	}
	hanging.Wait()
	c.readers.Wait()
	c.writing.Wait()
}
