package bench

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Storm is how a server bears that everybody connects at once.
type Storm struct {
	Connections int     `json:"connections"`
	PerRoom     int     `json:"per_room"`
	PerSecond   float64 `json:"connections_per_second"` // until the last one was synced
	Seconds     float64 `json:"seconds"`                // likewise
	Synced      Latency `json:"synced"`                 // from the start to a client's sync
	CPUEachUS   float64 `json:"server_cpu_us_each"`
	Peak        int64   `json:"rss_peak"` // bytes
	Retries     int64   `json:"retries"`  // of connections that failed before the upgrade; providers do the same
	load
}

// storm connects everybody at one moment.
func (r *runner) storm(ctx context.Context, result *Result) error {
	n, each := or(r.o.Clients, 3000), or(r.o.PerRoom, 10)
	c := r.newCrew()
	defer c.end()
	c.populate(n, each)
	peak := r.server.peak(ctx)
	w, err := r.watch()
	if err != nil {
		peak()
		return err
	}
	errs := make([]error, n)
	tries := newAttempts()
	var wg sync.WaitGroup
	for i, k := range c.clients {
		wg.Go(func() { errs[i] = c.insist(ctx, k, tries) })
	}
	wg.Wait()
	s := &Storm{Connections: n, PerRoom: each, Peak: peak(), Retries: tries.retries.Load()}
	result.Storm = s
	l, err := w.stop()
	if err != nil {
		return err
	}
	for i, err := range errs {
		if err != nil {
			c.faults.add(lost, "connection %d of %d: %v", i, n, err)
		}
	}
	if !c.faults.sum().Any() {
		c.settle(ctx, c.clients, r.o.Patience)
		c.verify(c.clients)
	}
	result.Faults = c.faults.sum()
	c.meter.reset()
	shard := c.meter.shard(0)
	last := w.began
	for _, k := range c.clients {
		if k.hasSyncedNow() {
			shard.mu.Lock()
			shard.record(k.syncedAt.Sub(w.began))
			shard.mu.Unlock()
			last = slices.MaxFunc([]time.Time{last, k.syncedAt}, time.Time.Compare)
		}
	}
	s.Synced, s.load = c.meter.summary(), l
	s.Seconds = last.Sub(w.began).Seconds()
	s.PerSecond = float64(s.Synced.Count) / s.Seconds
	s.CPUEachUS = l.cpu.Seconds() * 1e6 / float64(n)
	r.progress("%d connections in %.2f s, %.0f a second", n, s.Seconds, s.PerSecond)
	return context.Cause(ctx)
}

// hasSyncedNow tells whether the client has been synced; its reader may run.
func (n *client) hasSyncedNow() bool {
	select {
	case <-n.synced:
		return true
	default:
		return false
	}
}
