package bench

import (
	"context"
	"time"
)

// Idle is what connections cost that do nothing.
type Idle struct {
	Connections int     `json:"connections"`
	PerRoom     int     `json:"per_room"`
	Before      int64   `json:"rss_before"` // bytes
	After       int64   `json:"rss_after"`
	EachKB      float64 `json:"kb_each"` // of 1,000 bytes
	Seconds     float64 `json:"connect_seconds"`
	CPU         float64 `json:"server_cpu_idle"` // cores while nothing happens
}

// rest is how long nothing happens before the memory is read.
const rest = 4 * time.Second

// idle opens connections, each synced and showing its presence to its room, and leaves them alone.
func (r *runner) idle(ctx context.Context, result *Result) error {
	n, each := or(r.o.Clients, 10_000), or(r.o.PerRoom, 10)
	c := r.newCrew()
	defer c.end()
	c.populate(n, each)
	before, err := r.server.usage()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := c.connect(ctx, c.clients, dialAtOnce); err != nil {
		return err
	}
	i := &Idle{Connections: n, PerRoom: each, Before: before.rss, Seconds: time.Since(began).Seconds()}
	result.Idle = i
	c.settle(ctx, c.clients, r.o.Patience)
	w, err := r.watch()
	if err != nil {
		return err
	}
	if err := sleep(ctx, or(r.o.Step, rest)); err != nil {
		return err
	}
	l, err := w.stop()
	if err != nil {
		return err
	}
	after, err := r.server.usage()
	if err != nil {
		return err
	}
	c.verify(c.clients)
	result.Faults = c.faults.sum()
	i.After, i.CPU = after.rss, l.ServerCPU
	i.EachKB = float64(after.rss-before.rss) / 1000 / float64(n)
	r.progress("%d connections, %.1f kB each", n, i.EachKB)
	return nil
}

// populate makes n clients in rooms of each, who show their presence and write nothing.
func (c *crew) populate(n, each int) {
	rooms, _ := newRooms(c.runner.roomPrefix(), (n+each-1)/each, 0, 1)
	for i, room := range rooms {
		here := min(each, n-i*each)
		room.addPeople(here)
		for k := range here {
			c.newClient(room, nil, room.people[k])
		}
	}
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
