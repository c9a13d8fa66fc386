package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// load is how full the process is: what GET /v1/load answers, for autoscalers and whoever decides where newcomers go.
type load struct {
	Load      float64    `json:"load"` // 0 to 1, the highest ratio
	By        string     `json:"by"`   // the resource that has it
	Resources []resource `json:"resources"`
}

// resource is one thing that a process can run out of.
type resource struct {
	Name  string  `json:"name"`
	Use   float64 `json:"use"`
	Limit float64 `json:"limit"`
	Unit  string  `json:"unit"`
	Ratio float64 `json:"ratio"` // Use by Limit, 1 at most
}

// commitLimit is how long a group commit may take on the average before the disk counts as full: authors wait for about
// one and a half of them, and a quarter of a second is where a saved state begins to lag behind typing. Guessed.
const commitLimit = 250 * time.Millisecond

const (
	loadEvery  = time.Second // how often the meter looks
	loadWindow = 10          // looks that CPU and commits are averaged over
)

// sample is what the meter has seen until some moment.
type sample struct {
	at      time.Time
	cpu     time.Duration
	commits int64
	waited  int64 // nanoseconds in commits
}

// loadMeter finds the load. run is its goroutine; committed is told of each commit; the rest may be called by anyone.
type loadMeter struct {
	// Static after construction.
	connections      func() int
	connectionsLimit int
	memoryLimit      int64               // bytes; 0: none is known
	usage            func() processUsage // of this process

	commits, waited atomic.Int64

	// Guarded by mu.
	mu      sync.Mutex
	samples []sample // the oldest first, loadWindow at most
}

// committed counts a group commit.
func (m *loadMeter) committed(took time.Duration) {
	m.commits.Add(1)
	m.waited.Add(int64(took))
}

// run looks every loadEvery until ctx ends.
func (m *loadMeter) run(ctx context.Context) {
	t := time.NewTicker(loadEvery)
	defer t.Stop()
	for {
		m.look()
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

func (m *loadMeter) sample(u processUsage) sample {
	return sample{time.Now(), u.cpu, m.commits.Load(), m.waited.Load()}
}

func (m *loadMeter) look() {
	s := m.sample(m.usage())
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.samples) == loadWindow {
		m.samples = slices.Delete(m.samples, 0, 1)
	}
	m.samples = append(m.samples, s)
}

// load measures now. What the system does not tell is left out.
func (m *loadMeter) load() load {
	u := m.usage()
	now := m.sample(u)
	before := now
	m.mu.Lock()
	if len(m.samples) > 0 {
		before = m.samples[0]
	}
	m.mu.Unlock()

	var l load
	l.add("connections", "connections", float64(m.connections()), float64(m.connectionsLimit))
	l.add("memory", "bytes", float64(u.memory), float64(m.memoryLimit))
	l.add("files", "descriptors", float64(u.files), float64(u.filesLimit))
	cpu := 0.0
	if d := now.at.Sub(before.at); d > 0 {
		cpu = (now.cpu - before.cpu).Seconds() / d.Seconds()
	}
	l.add("cpu", "cores", cpu, float64(runtime.GOMAXPROCS(0)))
	commit := 0.0
	if n := now.commits - before.commits; n > 0 {
		commit = time.Duration((now.waited - before.waited) / n).Seconds()
	}
	l.add("commit", "seconds", commit, commitLimit.Seconds())
	return l
}

// add adds a resource whose limit is known.
func (l *load) add(name, unit string, use, limit float64) {
	if limit <= 0 {
		return
	}
	r := resource{name, use, limit, unit, min(max(use/limit, 0), 1)}
	l.Resources = append(l.Resources, r)
	if r.Ratio > l.Load || l.By == "" {
		l.Load, l.By = r.Ratio, r.Name
	}
}

// ServeHTTP answers GET /v1/load.
func (m *loadMeter) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(m.load()) // a client that is gone
}

// processUsage is what a process uses, and may.
type processUsage struct {
	cpu        time.Duration // since its start
	memory     int64         // resident bytes; 0: not known
	files      int           // open descriptors; 0: not known
	filesLimit uint64
}

// ownUsage asks the system about this process. What it does not tell stays zero.
func ownUsage() (u processUsage) {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil {
		u.cpu = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	u.memory = residentMemory()
	u.files = openDescriptors()
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil && u.files > 0 {
		u.filesLimit = limit.Cur
	}
	return u
}

// openDescriptors counts the descriptors of this process. Linux says the number since 6.2; before, they have to be listed.
func openDescriptors() int {
	const dir = "/proc/self/fd"
	if st, err := os.Stat(dir); err == nil && st.Size() > 0 {
		return int(st.Size())
	}
	d, err := os.Open(dir)
	if err != nil {
		return 0
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1) // what there is
	return len(names)
}
