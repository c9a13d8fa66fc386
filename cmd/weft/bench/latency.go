package bench

import (
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency is a summary of times in milliseconds.
type Latency struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// meter gathers times from many goroutines.
type meter struct {
	shards []meterShard
}

type meterShard struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
	_  [40]byte // two shards are not in one cache line
}

// longest is the largest time that a meter tells from larger ones.
const longest = 2 * time.Minute

func newMeter() *meter {
	m := &meter{shards: make([]meterShard, runtime.GOMAXPROCS(0))}
	for i := range m.shards {
		m.shards[i].h = hdrhistogram.New(1, longest.Microseconds(), 3)
	}
	return m
}

// shard returns where the goroutine with that number records.
func (m *meter) shard(i int) *meterShard { return &m.shards[i%len(m.shards)] }

// record must be called under s.mu.
func (s *meterShard) record(d time.Duration) {
	_ = s.h.RecordValue(min(max(d, time.Microsecond), longest).Microseconds()) // in range
}

// reset forgets everything.
func (m *meter) reset() {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		s.h.Reset()
		s.mu.Unlock()
	}
}

// summary returns what was recorded since the last reset.
func (m *meter) summary() Latency {
	all := hdrhistogram.New(1, longest.Microseconds(), 3)
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		all.Merge(s.h)
		s.mu.Unlock()
	}
	ms := func(q float64) float64 { return float64(all.ValueAtQuantile(q)) / 1000 }
	return Latency{Count: all.TotalCount(), P50: ms(50), P90: ms(90), P99: ms(99), Max: float64(all.Max()) / 1000}
}
