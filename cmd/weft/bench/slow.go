package bench

import (
	"context"
	"errors"
	"time"
)

// Slow is how a server bears clients that stop reading.
type Slow struct {
	Clients int       `json:"clients"`
	Stopped int       `json:"stopped"` // of them, for the time of During
	Rate    float64   `json:"rate"`    // updates a second
	Record  int       `json:"record_bytes"`
	Start   int64     `json:"rss_start"` // bytes, before anything was written
	Before  SlowPhase `json:"before"`    // while all read
	During  SlowPhase `json:"during"`
	// After their return: those that the server had given up, those that got everything, and how long the last of
	// those took.
	CutOff       int     `json:"cut_off"`
	CaughtUp     int     `json:"caught_up"`
	CatchUpSecs  float64 `json:"catch_up_seconds"`
	UnreadMBEach float64 `json:"unread_mb_each"` // megabytes written while they did not read
}

// SlowPhase is one phase of Slow; the latency is that of the clients that read.
type SlowPhase struct {
	Latency Latency `json:"latency"`
	RSS     int64   `json:"rss"`  // bytes at the end
	Peak    int64   `json:"peak"` // bytes
	load
}

// slowBuffer is the receive buffer, in bytes, of clients that stop reading: with the kernel's own choice of up to 6 MB
// the server would not notice.
const slowBuffer = 64 << 10

// slow has some of the clients of a room stop reading.
func (r *runner) slow(ctx context.Context, result *Result) error {
	n, writers, rate := or(r.o.Clients, 60), or(r.o.Writers, 10), or(r.o.Rate, 200)
	size := or(r.o.Record, 8<<10)
	writers = min(writers, n)
	stopping := n / 3
	if writers+stopping > n {
		return errors.New("more clients are needed: a third of them stops reading, and writers read")
	}
	c := r.newCrew()
	defer c.end()
	rooms, turns := newRooms(r.roomPrefix(), 1, writers, int64(size))
	for i := range n {
		var w *writer
		if i < writers {
			w = rooms[0].writers[i]
		}
		c.newClient(rooms[0], w, nil).slow = i >= n-stopping
	}
	readers, stopped := c.clients[:n-stopping], c.clients[n-stopping:]
	if err := c.connect(ctx, c.clients, dialAtOnce); err != nil {
		return err
	}
	s := &Slow{Clients: n, Stopped: stopping, Rate: rate, Record: size}
	result.Slow = s
	u, err := r.server.usage()
	if err != nil {
		return err
	}
	s.Start = u.rss
	if s.Before, err = c.phase(ctx, turns, rate, c.clients); err != nil {
		return err
	}
	unread := rooms[0].written(nil)
	for _, k := range stopped {
		k.stopped.Store(true)
	}
	if s.During, err = c.phase(ctx, turns, rate, readers); err != nil {
		return err
	}
	s.UnreadMBEach = float64(rooms[0].written(nil)-unread) / 1e6
	c.verify(readers)
	c.comeBack(ctx, s, stopped)
	result.Faults = c.faults.sum()
	r.progress("p99 %.1f -> %.1f ms, memory %.0f -> %.0f MB (peak %.0f), %d cut off, %d caught up", s.Before.Latency.P99,
		s.During.Latency.P99, mb(s.Before.RSS), mb(s.During.RSS), mb(s.During.Peak), s.CutOff, s.CaughtUp)
	return context.Cause(ctx)
}

// phase writes for a while and waits until those clients have it.
func (c *crew) phase(ctx context.Context, turns []*turn, rate float64, clients []*client) (p SlowPhase, err error) {
	d := or(c.runner.o.Step, 5*time.Second)
	gap := time.Duration(float64(time.Second) / rate)
	total := max(int(d/gap)/len(turns), 1) * len(turns)
	c.meter.reset()
	peak := c.runner.server.peak(ctx)
	w, err := c.runner.watch()
	if err == nil {
		err = c.pace(ctx, turns, total, gap)
	}
	if err == nil {
		c.settle(ctx, clients, c.runner.o.CatchUp)
		p.load, err = w.stop()
	}
	p.Peak = peak()
	if err != nil {
		return p, err
	}
	u, err := c.runner.server.usage()
	p.Latency, p.RSS = c.meter.summary(), u.rss
	return p, err
}

// comeBack has the stopped clients read again. One that the server cut off may lack something, one that it kept may not.
func (c *crew) comeBack(ctx context.Context, s *Slow, stopped []*client) {
	began := time.Now()
	for _, k := range stopped {
		k.stopped.Store(false)
		close(k.resume)
	}
	var kept []*client
	for deadline := time.Now().Add(c.runner.o.Patience); ; time.Sleep(settleEvery) {
		kept = kept[:0]
		open := 0
		for _, k := range stopped {
			all, _ := k.complete()
			switch {
			case all:
				kept = append(kept, k)
			case !k.isGone():
				open++
			}
		}
		if open == 0 || ctx.Err() != nil || !time.Now().Before(deadline) {
			break
		}
	}
	s.CaughtUp, s.CatchUpSecs = len(kept), time.Since(began).Seconds()
	for _, k := range stopped {
		if all, _ := k.complete(); !all && k.isGone() {
			s.CutOff++
		} else if !all {
			c.faults.add(missing, "client %d, which stopped reading and was kept, has %d clocks of %d", k.number, k.have.Load(), k.room.written(nil))
		}
	}
}

func mb(bytes int64) float64 { return float64(bytes) / 1e6 }
