package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"weft/cmd/weft/bench"
)

// benchCmd is the verb bench. Only the token can come from the environment.
type benchCmd struct {
	URL      string        `env:"-" name:"url" required:"" placeholder:"URL" help:"The server's WebSocket endpoint, such as ws://127.0.0.1:8080/yjs or ws://127.0.0.1:8080/hocuspocus."`
	Protocol string        `env:"-" required:"" enum:"yws,hocuspocus" help:"What is spoken there: yws, of y-websocket, or hocuspocus."`
	Scenario []string      `env:"-" required:"" placeholder:"NAME" help:"What to measure: ${scenarios}; or several with commas between, or all."`
	PID      int           `env:"-" name:"pid" placeholder:"PID" help:"The server's process on this machine, to report its CPU and memory."`
	Kill     bool          `env:"-" help:"Kill the process --pid in reconnect. Something must start the server again, at the same address."`
	Token    string        `placeholder:"TOKEN" help:"What clients show to the server."`
	JSON     string        `env:"-" name:"json" placeholder:"FILE" help:"Write the report as JSON, too."`
	Clients  int           `env:"-" placeholder:"N" help:"Connections, instead of 1000 in fanout, 10000 in idle and reconnect, 3000 in storm, 100 in awareness, 60 in slow; in join how many there are."`
	Writers  int           `env:"-" placeholder:"N" help:"How many of them write in fanout and slow, instead of 10."`
	Rooms    int           `env:"-" placeholder:"N" help:"Rooms in rooms, instead of 200."`
	PerRoom  int           `env:"-" placeholder:"N" help:"Clients in each room, instead of 5 in rooms, 10 in idle and storm, and in most rooms of reconnect."`
	Record   int           `env:"-" placeholder:"BYTES" help:"What is typed at a time, instead of 1 byte, or 8192 in slow."`
	Rate     float64       `env:"-" placeholder:"N" help:"Updates a second: the first rate of fanout (20) and rooms (1000), the only one of slow (200); states a second of each client in awareness (3)."`
	MaxRate  float64       `env:"-" placeholder:"N" help:"The last rate of fanout and rooms, instead of 200000."`
	Step     time.Duration `env:"-" placeholder:"TIME" help:"How long each rate is held (2s), and each phase of awareness and slow (5s); how long idle is idle (4s)."`
	Limit    time.Duration `env:"-" placeholder:"TIME" help:"The p99 latency that a rate may have, instead of 50ms."`
	Document string        `env:"-" placeholder:"FILE" help:"A document for join and reconnect, as a Yjs update in format V1, instead of one that is made."`
}

// Help is what --help says beside the flags.
func (benchCmd) Help() string {
	return `Puts load on a server, this one or another that Yjs editors can use, and prints what it bears:

  fanout     one room, a few write and all read; the rate is raised until p99 passes the limit
  rooms      many small rooms in which everybody writes; likewise
  idle       memory of connections that do nothing
  storm      everybody connects at once
  reconnect  everybody is cut off, or with --kill the server is killed, and comes back at once
  join       cost of opening a large document
  awareness  cost of moving cursors
  slow       some clients stop reading

Every latency counts from when an update was due. At the end every client must have every update, in order and as it was
written; otherwise, the exit code is 1. The rooms, named bench-..., stay on the server.

  weft bench --url ws://127.0.0.1:8080/yjs --protocol yws --scenario fanout --pid "$(pidof weft)"`
}

// Run runs the scenarios and prints their report.
func (c *benchCmd) Run(std streams) error {
	o := bench.Options{
		URL: c.URL, Protocol: c.Protocol, Scenarios: c.Scenario, Token: c.Token, PID: c.PID, Clients: c.Clients,
		Writers: c.Writers, Rooms: c.Rooms, PerRoom: c.PerRoom, Record: c.Record, Rate: c.Rate, MaxRate: c.MaxRate,
		Step: c.Step, Limit: c.Limit, Progress: std.err,
	}
	if err := c.check(); err != nil {
		return err
	}
	if len(c.Scenario) == 1 && c.Scenario[0] == "all" {
		o.Scenarios = bench.Scenarios()
	}
	if c.Kill {
		o.Kill = func() error {
			p, err := os.FindProcess(c.PID)
			if err != nil {
				return err
			}
			return p.Kill()
		}
	}
	if c.Document != "" {
		var err error
		if o.Document, err = os.ReadFile(c.Document); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	report, err := bench.Run(ctx, o)
	if report == nil {
		return usagef("%v", err)
	}
	if bad := report.WriteText(std.out); bad != nil {
		return bad
	}
	if c.JSON != "" {
		b, bad := json.MarshalIndent(report, "", "  ")
		if bad == nil {
			bad = os.WriteFile(c.JSON, append(b, '\n'), 0o666)
		}
		err = errors.Join(err, bad)
	}
	if err == nil && !report.OK() {
		err = errors.New("the server broke promises, see FAULTS")
	}
	return err
}

// check finds numbers that make no sense.
func (c *benchCmd) check() error {
	if c.Kill && c.PID == 0 {
		return usagef("--kill needs the process to kill, --pid")
	}
	for _, f := range []struct {
		flag  string
		value float64
	}{
		{"clients", float64(c.Clients)},
		{"writers", float64(c.Writers)},
		{"rooms", float64(c.Rooms)},
		{"per-room", float64(c.PerRoom)},
		{"record", float64(c.Record)},
		{"rate", c.Rate},
		{"max-rate", c.MaxRate},
		{"step", c.Step.Seconds()},
		{"limit", c.Limit.Seconds()},
		{"pid", float64(c.PID)},
	} {
		if f.value < 0 {
			return usagef("--%s is negative", f.flag)
		}
	}
	return nil
}
