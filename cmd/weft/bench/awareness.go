package bench

import (
	"context"
	"time"
)

// Awareness is what moving cursors cost.
type Awareness struct {
	Clients  int     `json:"clients"`
	Rate     float64 `json:"rate_each"` // states a second
	Latency  Latency `json:"latency"`   // of the states that were shown; newer ones may replace older ones on the way
	Messages float64 `json:"messages"`  // a second, received by all clients
	RSS      int64   `json:"server_rss"`
	load
}

// awareness has everybody in one room move a cursor.
func (r *runner) awareness(ctx context.Context, result *Result) error {
	n, rate := or(r.o.Clients, 100), or(r.o.Rate, 3)
	c := r.newCrew()
	defer c.end()
	c.populate(n, n)
	if err := c.connect(ctx, c.clients, dialAtOnce); err != nil {
		return err
	}
	c.settle(ctx, c.clients, r.o.Patience)
	room := c.clients[0].room
	turns := make([]*turn, n)
	for i, p := range room.people {
		turns[i] = &p.turn
	}
	d := or(r.o.Step, 5*time.Second)
	gap := time.Duration(float64(time.Second) / rate / float64(n))
	total := max(int(d/gap)/n, 1) * n
	before := c.received()
	w, err := r.watch()
	if err != nil {
		return err
	}
	if err := c.pace(ctx, turns, total, gap); err != nil {
		return err
	}
	l, err := w.stop()
	if err != nil {
		return err
	}
	messages := float64(c.received()-before) / l.elapsed.Seconds()
	u, err := r.server.usage()
	if err != nil {
		return err
	}
	c.settle(ctx, c.clients, c.runner.o.CatchUp)
	c.verify(c.clients)
	result.Faults = c.faults.sum()
	result.Awareness = &Awareness{Clients: n, Rate: rate, Latency: c.meter.summary(), Messages: messages, RSS: u.rss, load: l}
	r.progress("server %.1f %% of a core", l.ServerCPU*100)
	return nil
}
