// Package bench generates load for servers of Yjs documents and measures how they bear it: any server that speaks the
// protocol of y-websocket or of Hocuspocus, ours or another's.
//
// It owns clients, schedules, checks and reports; it starts no server. Clients keep no document. What they write is made
// by template (appendUpdate), so what they receive can be checked for order, completeness and content at a few
// nanoseconds a record, and every run ends by verifying that every client has every update: a server that drops,
// reorders or invents one fails the scenario, however fast it was.
//
// The load is open-loop: when a record is due follows from a schedule alone, and its latency counts from then, so a
// server that stalls is charged for everything that it kept waiting. Records leave up to a millisecond late, which is in
// every latency, of every server, alike.
//
// # Goroutines
//
// A connection is one goroutine that reads, and one that sends for those that are due to send something. The scenario's
// goroutine paces them. Run waits for all.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Options says what to measure and where. Zero fields mean their defaults, which differ by scenario where none is named.
type Options struct {
	// URL is the server's WebSocket endpoint. For y-websocket the room's name is appended to it as a path. Required.
	URL string
	// Protocol is yws or hocuspocus. Required.
	Protocol string
	// Scenarios are names of Scenarios, run in this order. Required.
	Scenarios []string
	// Token is shown to the server by every client.
	Token string
	// PID is the server's process on this machine, for its CPU and memory. 0: it cannot be seen.
	PID int

	// Kill ends the server's process at once in reconnect; somebody else starts it again at the same address. Nil: the
	// server goes on, and all connections are cut.
	Kill func() error

	// Clients is the number of connections of fanout, idle, storm, reconnect, awareness and slow, and of joins.
	Clients int
	// Writers is how many of them write in fanout and slow.
	Writers int
	// Rooms is the number of rooms in rooms.
	Rooms int
	// PerRoom is the number of clients in each room of rooms, idle and storm, and in most of reconnect.
	PerRoom int
	// Record is the length in bytes of what is typed at a time, default 1; in slow it is 8,192.
	Record int
	// Rate is the first rate of the ladders of fanout and rooms, in updates a second over all writers, and the rate of
	// slow. In awareness it is per client.
	Rate float64
	// MaxRate ends a ladder. Default 200,000.
	MaxRate float64
	// Step is how long each rate is held, and each phase of slow and awareness. Default 2 s; 5 s for slow and awareness.
	Step time.Duration
	// Limit is the p99 latency that a rate may have. Default 50 ms.
	Limit time.Duration
	// Patience bounds every wait for the server. Default 30 s.
	Patience time.Duration
	// CatchUp is how long clients may take to get everything when the writers have stopped. Default 15 s.
	CatchUp time.Duration
	// Document is a state in update format V1 for join and reconnect. Nil: one of the size of a long article with its history is made.
	Document []byte

	// Progress is told what is going on, a line at a time. Nil: nobody is.
	Progress io.Writer
}

// Report is what a run found.
type Report struct {
	Started    time.Time `json:"started"`
	URL        string    `json:"url"`
	Protocol   string    `json:"protocol"`
	CPUs       int       `json:"generator_cpus"` // that this process may use
	GoVersion  string    `json:"go"`
	ServerSeen bool      `json:"server_seen"` // a pid was given; without, its CPU and memory are zero
	Results    []Result  `json:"results"`
}

// OK tells whether the server kept every promise in every scenario.
func (r *Report) OK() bool {
	return !slices.ContainsFunc(r.Results, func(s Result) bool { return s.Faults.Any() })
}

// Result is what one scenario found; the field of that scenario is set.
type Result struct {
	Scenario  string     `json:"scenario"`
	Seconds   float64    `json:"seconds"`
	Faults    Faults     `json:"faults"`
	Ladder    *Ladder    `json:"ladder,omitempty"` // fanout, rooms
	Idle      *Idle      `json:"idle,omitempty"`
	Storm     *Storm     `json:"storm,omitempty"`
	Reconnect *Reconnect `json:"reconnect,omitempty"`
	Join      *Join      `json:"join,omitempty"`
	Awareness *Awareness `json:"awareness,omitempty"`
	Slow      *Slow      `json:"slow,omitempty"`
}

// scenario is one kind of load.
type scenario struct {
	name string
	run  func(*runner, context.Context, *Result) error
}

// scenarios in the order in which they are best run.
var scenarios = []scenario{
	{"fanout", (*runner).fanout},
	{"rooms", (*runner).rooms},
	{"idle", (*runner).idle},
	{"storm", (*runner).storm},
	{"reconnect", (*runner).reconnect},
	{"join", (*runner).join},
	{"awareness", (*runner).awareness},
	{"slow", (*runner).slow},
}

// Scenarios returns the names of all scenarios.
func Scenarios() []string {
	names := make([]string, len(scenarios))
	for i, s := range scenarios {
		names[i] = s.name
	}
	return names
}

// runner is one run.
type runner struct {
	// Static after construction.
	o       Options
	dialect dialect
	dialer  dialer
	server  process
	name    string // of the run: part of its rooms' names

	// Guarded by mu.
	mu    sync.Mutex
	doing string // the scenario
}

// Run runs the scenarios and returns what they found, faults of the server included. Its error says that a scenario
// could not be run to its end, because of the server, of ctx or of the options; the results before it are returned too.
func Run(ctx context.Context, o Options) (*Report, error) {
	r, err := newRunner(o)
	if err != nil {
		return nil, err
	}
	report := &Report{
		Started: time.Now(), URL: o.URL, Protocol: o.Protocol, CPUs: runtime.GOMAXPROCS(0), GoVersion: runtime.Version(),
		ServerSeen: o.PID != 0,
	}
	for _, name := range o.Scenarios {
		s := scenarios[slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })]
		r.begin(name)
		result := Result{Scenario: name}
		began := time.Now()
		err := s.run(r, ctx, &result)
		result.Seconds = time.Since(began).Seconds()
		if err == nil || result.Faults.Any() {
			report.Results = append(report.Results, result)
		}
		if err != nil {
			return report, fmt.Errorf("%s: %w", name, err)
		}
	}
	return report, nil
}

func newRunner(o Options) (*runner, error) {
	if o.URL == "" {
		return nil, errors.New("no URL of a server")
	}
	if len(o.Scenarios) == 0 {
		return nil, errors.New("no scenario")
	}
	for _, name := range o.Scenarios {
		if !slices.Contains(Scenarios(), name) {
			return nil, fmt.Errorf("unknown scenario %q: want some of %v", name, Scenarios())
		}
	}
	d, err := newDialect(o.Protocol)
	if err != nil {
		return nil, err
	}
	r := &runner{o: o, dialect: d, server: process{o.PID}, name: strconv.FormatUint(rand.Uint64(), 36)}
	setDefault(&r.o.Limit, 50*time.Millisecond)
	setDefault(&r.o.Patience, 30*time.Second)
	setDefault(&r.o.CatchUp, 15*time.Second)
	setDefault(&r.o.MaxRate, 200_000)
	r.dialer = dialer{timeout: r.o.Patience}
	if _, err := r.server.usage(); err != nil {
		return nil, fmt.Errorf("pid %d: %w", o.PID, err)
	}
	return r, nil
}

// setDefault replaces a zero.
func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// or returns value, or what stands for zero.
func or[T comparable](value, instead T) T {
	setDefault(&value, instead)
	return value
}

func (r *runner) begin(scenario string) {
	r.mu.Lock()
	r.doing = scenario
	r.mu.Unlock()
}

// progress tells a line.
func (r *runner) progress(format string, args ...any) {
	if r.o.Progress == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.o.Progress, "%s %s: %s\n", r.o.Protocol, r.doing, fmt.Sprintf(format, args...))
}

// roomPrefix returns what the names of the scenario's rooms start with. Nobody else has such rooms.
func (r *runner) roomPrefix() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return "bench-" + r.name + "-" + r.doing
}
