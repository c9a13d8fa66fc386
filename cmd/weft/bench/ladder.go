package bench

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"time"
)

// Ladder is how a server fared at growing rates of updates.
type Ladder struct {
	Clients int `json:"clients"`
	Rooms   int `json:"rooms"`
	Writers int `json:"writers"`
	Record  int `json:"record_bytes"`
	// Best is the highest rate in updates a second that was kept with the p99 latency below LimitMS.
	Best    float64 `json:"best"`
	LimitMS float64 `json:"limit_ms"`
	// GeneratorLimited tells that this process had no more CPU when it ended: the server may be better than Best.
	GeneratorLimited bool   `json:"generator_limited"`
	Steps            []Step `json:"steps"`
}

// Step is one rate, held for some time.
type Step struct {
	Rate       float64 `json:"rate"`       // updates a second that were due
	Deliveries float64 `json:"deliveries"` // updates received by clients, a second, until everything had come
	Messages   float64 `json:"messages"`   // in which they came
	Kept       bool    `json:"kept"`       // complete, and p99 within the limit
	Late       int     `json:"late"`       // clients that lacked something when the time for catching up was over
	Latency    Latency `json:"latency"`
	load
	RSS int64 `json:"server_rss"` // bytes at the end
}

// busy is the share of its cores from which on this process counts as the limit.
const busy = 0.95

// refinements is how many rates are tried between the last that was kept and the first that was not.
const refinements = 2

// fanout is one room in which a few write and all read.
func (r *runner) fanout(ctx context.Context, result *Result) error {
	return r.climb(ctx, result, 1, or(r.o.Clients, 1000), or(r.o.Writers, 10), or(r.o.Rate, 20))
}

// rooms is many rooms in which everybody writes.
func (r *runner) rooms(ctx context.Context, result *Result) error {
	each := or(r.o.PerRoom, 5)
	return r.climb(ctx, result, or(r.o.Rooms, 200), each, each, or(r.o.Rate, 1000))
}

// climb connects the clients and raises the rate until it is not kept.
func (r *runner) climb(ctx context.Context, result *Result, rooms, each, writers int, rate float64) error {
	writers = min(writers, each)
	size := or(r.o.Record, 1)
	c := r.newCrew()
	defer c.end()
	list, turns := newRooms(r.roomPrefix(), rooms, writers, int64(size))
	for _, room := range list {
		for i := range each {
			var w *writer
			if i < writers {
				w = room.writers[i]
			}
			c.newClient(room, w, nil)
		}
	}
	l := &Ladder{Clients: rooms * each, Rooms: rooms, Writers: rooms * writers, Record: size, LimitMS: ms(r.o.Limit)}
	result.Ladder = l
	if err := c.connect(ctx, c.clients, dialAtOnce); err != nil {
		return err
	}
	err := c.raise(ctx, l, turns, rate)
	result.Faults = c.faults.sum()
	return err
}

// dialAtOnce is how many connections are opened at a time where that is not what is measured.
const dialAtOnce = 64

// raise doubles the rate until it is not kept, then looks between the last two.
func (c *crew) raise(ctx context.Context, l *Ladder, turns []*turn, rate float64) error {
	last, tried := 0.0, 0.0 // the last rates that were not kept: twice, and once
	for refined := 0; rate <= c.runner.o.MaxRate; {
		s, err := c.step(ctx, turns, rate)
		if err != nil {
			return err
		}
		c.runner.progress("%.0f updates/s: %s", s.Rate, s)
		l.Steps = append(l.Steps, s)
		if again := !s.Kept && s.Late == 0 && s.Rate != tried; again { // it may have been somebody else's doing
			tried = s.Rate
			continue
		}
		if s.Late > 0 || c.faults.sum().Any() {
			c.verify(c.clients)
			return nil
		}
		if s.Kept {
			l.Best = max(l.Best, s.Rate)
		} else {
			last = s.Rate
			l.GeneratorLimited = s.OwnCPU > busy*float64(runtime.GOMAXPROCS(0))
		}
		if last == 0 {
			rate *= 2
			continue
		}
		if refined++; refined > refinements || l.Best == 0 {
			break
		}
		rate = math.Sqrt(l.Best * last)
	}
	c.verify(c.clients)
	return nil
}

// step holds one rate and waits until everything has come.
func (c *crew) step(ctx context.Context, turns []*turn, rate float64) (Step, error) {
	c.meter.reset()
	d := or(c.runner.o.Step, 2*time.Second)
	gap := time.Duration(float64(time.Second) / rate)
	total := int(d / gap)
	total += (len(turns) - total%len(turns)) % len(turns)
	before := c.received()
	w, err := c.runner.watch()
	if err != nil {
		return Step{}, err
	}
	if err := c.pace(ctx, turns, total, gap); err != nil {
		return Step{}, err
	}
	s := Step{Rate: float64(time.Second) / float64(gap)}
	s.Late = c.settle(ctx, c.clients, c.runner.o.CatchUp)
	if s.load, err = w.stop(); err != nil {
		return Step{}, err
	}
	u, err := c.runner.server.usage()
	if err != nil {
		return Step{}, err
	}
	s.RSS = u.rss
	s.Latency = c.meter.summary()
	s.Deliveries = float64(s.Latency.Count) / s.elapsed.Seconds()
	s.Messages = float64(c.received()-before) / s.elapsed.Seconds()
	s.Kept = s.Late == 0 && s.Latency.P99 <= ms(c.runner.o.Limit)
	return s, context.Cause(ctx)
}

// received returns the messages that all clients have received.
func (c *crew) received() (n int64) {
	for _, k := range c.clients {
		n += k.messages.Load()
	}
	return n
}

// String is one line for people.
func (s Step) String() string {
	verdict := "kept"
	switch {
	case s.Late > 0:
		verdict = fmt.Sprintf("%d clients incomplete", s.Late)
	case !s.Kept:
		verdict = "too slow"
	}
	return fmt.Sprintf("%s, p50 %.1f p99 %.1f ms, %.0f deliveries/s in %.0f messages/s, server %.2f generator %.2f cpu",
		verdict, s.Latency.P50, s.Latency.P99, s.Deliveries, s.Messages, s.ServerCPU, s.OwnCPU)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
