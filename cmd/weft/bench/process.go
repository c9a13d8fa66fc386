package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

// ticks is the unit of /proc/PID/stat a second: USER_HZ, which is 100 in the interface of every Linux architecture.
const ticks = 100

// usage is what a process has used.
type usage struct {
	cpu time.Duration // user and system, of all threads
	rss int64         // bytes
}

// process is a process of this machine that is watched; pid 0 stands for one that cannot be seen, whose usage is zero.
type process struct{ pid int }

// usage reads /proc; where there is none it fails.
func (p process) usage() (u usage, err error) {
	if p.pid == 0 {
		return usage{}, nil
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return usage{}, err
	}
	// proc(5): the second field is the name in brackets, which may hold anything; utime, stime and rss are the 14th, 15th
	// and 24th.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 22 {
		return usage{}, fmt.Errorf("/proc/%d/stat has %d fields", p.pid, len(fields))
	}
	number := func(i int) int64 {
		n, bad := strconv.ParseInt(string(fields[i-3]), 10, 64)
		if err == nil {
			err = bad
		}
		return n
	}
	u.cpu = time.Duration(number(14)+number(15)) * time.Second / ticks
	u.rss = number(24) * int64(os.Getpagesize())
	return u, err
}

// load is what the server and this process used over some time.
type load struct {
	ServerCPU float64       `json:"server_cpu"` // cores
	OwnCPU    float64       `json:"generator_cpu"`
	cpu       time.Duration // of the server
	elapsed   time.Duration
}

// watch measures the load from its call to that of the function it returns.
type watch struct {
	server, own process
	began       time.Time
	from, mine  usage
}

func (r *runner) watch() (*watch, error) {
	w := &watch{server: r.server, own: process{os.Getpid()}}
	var err error
	if w.from, err = w.server.usage(); err != nil {
		return nil, fmt.Errorf("watch the server: %w", err)
	}
	w.mine, _ = w.own.usage() // zero where there is no /proc
	w.began = time.Now()
	return w, nil
}

// stop may be called more than once; each time tells the load since the start.
func (w *watch) stop() (load, error) {
	elapsed := time.Since(w.began)
	now, err := w.server.usage()
	if err != nil {
		return load{}, fmt.Errorf("watch the server: %w", err)
	}
	mine, _ := w.own.usage() // zero where there is no /proc
	return load{
		ServerCPU: (now.cpu - w.from.cpu).Seconds() / elapsed.Seconds(),
		OwnCPU:    (mine.cpu - w.mine.cpu).Seconds() / elapsed.Seconds(),
		cpu:       now.cpu - w.from.cpu, elapsed: elapsed,
	}, nil
}

// peakEvery is how often the memory of the server is looked at for its peak.
const peakEvery = 50 * time.Millisecond

// peak watches the memory of p until stop is called, which returns the highest value seen.
func (p process) peak(ctx context.Context) (stop func() int64) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var highest int64
	wg.Go(func() { // until stop
		tick := time.NewTicker(peakEvery)
		defer tick.Stop()
		for {
			if u, err := p.usage(); err == nil {
				highest = max(highest, u.rss)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return func() int64 {
		cancel()
		wg.Wait()
		return highest
	}
}
