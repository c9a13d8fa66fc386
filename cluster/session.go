package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"
)

// ErrNodeTaken is returned by RunSession when another process beats with the same node name; the other one gets it too.
var ErrNodeTaken = errors.New("another process uses this node's name")

// SessionOptions say how a node keeps its session.
type SessionOptions struct {
	Node        NodeID
	Incarnation string        // random for each start of the process, one line
	Every       time.Duration // between beats, default 1 s
	TTL         time.Duration // of the session by Redis' clock, default 5 s
	Timeout     time.Duration // of one beat, default 300 ms
	// Info is what others should know of the node, asked before each beat; nil is nothing.
	Info   func() string
	Events SessionEvents
}

// SessionEvents are told by RunSession, on its goroutine; beats wait for them. All may be nil.
type SessionEvents struct {
	// Seen gets what each successful beat found.
	Seen func(View)
	// Lost is told once when the session is over: no beat has succeeded for a TTL, or Redis says that it had expired.
	// Others may claim this node's rooms; appends tell about each of them. err is the last failure, or nil.
	Lost func(err error)
	// Regained is told at the next beat that succeeds.
	Regained func()
	// Forgot is told when Redis may have forgotten something: it restarted or failed over, or, with wiped, it was emptied.
	// Owners look after their rooms then.
	Forgot func(wiped bool)
}

// RunSession keeps a node's session in c alive until ctx ends, and ends the session then, if Redis can be reached. It
// returns nil, or ErrNodeTaken. The loss of a session stops nothing here: safety rests on epochs, not on clocks.
func RunSession(ctx context.Context, c Coordinator, o SessionOptions) error {
	o = o.withDefaults()
	ticker := time.NewTicker(o.Every)
	defer ticker.Stop()
	var last View // the last beat that succeeded
	alive := time.Now()
	lost := false
	for {
		began := time.Now()
		view, err := o.beat(ctx, c, o.TTL)
		switch {
		case err != nil:
			if !lost && ctx.Err() == nil && time.Since(alive) >= o.TTL {
				lost = true
				o.Events.lost(err)
			}
		case last.RunID != "" && o.taken(view):
			return ErrNodeTaken
		default:
			if !lost && last.RunID != "" && !view.Before.After(view.Now) {
				lost = true // suspended, or Redis' clock jumped
				o.Events.lost(nil)
			}
			if lost {
				lost = false
				o.Events.regained()
			}
			if last.RunID != "" && (view.RunID != last.RunID || view.Generation != last.Generation) {
				o.Events.forgot(view.Generation != last.Generation)
			}
			o.Events.seen(view)
			last, alive = view, began
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			_, _ = o.beat(context.WithoutCancel(ctx), c, 0) // else the session expires by itself
			return nil
		}
	}
}

func (o SessionOptions) withDefaults() SessionOptions {
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.TTL == 0 {
		o.TTL = 5 * time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = 300 * time.Millisecond
	}
	if o.Info == nil {
		o.Info = func() string { return "" }
	}
	return o
}

// beat puts the incarnation in front of the info, and takes it off those of others.
func (o SessionOptions) beat(ctx context.Context, c Coordinator, ttl time.Duration) (View, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	view, err := c.Beat(ctx, Beat{Node: o.Node, TTL: ttl, Info: o.Incarnation + "\n" + o.Info(), Generation: rand.Text()})
	for i := range view.Members {
		_, view.Members[i].Info = cutIncarnation(view.Members[i].Info)
	}
	return view, err
}

// taken reports whether the session of before was another process', and lives.
func (o SessionOptions) taken(v View) bool {
	incarnation, _ := cutIncarnation(v.BeforeInfo)
	return incarnation != "" && incarnation != o.Incarnation && v.Before.After(v.Now)
}

func cutIncarnation(info string) (incarnation, rest string) {
	incarnation, rest, _ = strings.Cut(info, "\n")
	return incarnation, rest
}

func (e SessionEvents) seen(v View) {
	if e.Seen != nil {
		e.Seen(v)
	}
}

func (e SessionEvents) lost(err error) {
	if e.Lost != nil {
		e.Lost(err)
	}
}

func (e SessionEvents) regained() {
	if e.Regained != nil {
		e.Regained()
	}
}

func (e SessionEvents) forgot(wiped bool) {
	if e.Forgot != nil {
		e.Forgot(wiped)
	}
}
