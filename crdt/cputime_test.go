//go:build unix

package crdt_test

import (
	"syscall"
	"testing"
	"time"
)

// cpuTime returns what this process has used of all cores. Tests bound costs by it: what the clock on the wall says
// depends on what else the machine does.
func cpuTime(t testing.TB) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// loop runs f as often as the benchmark wants and reports the CPU time of one
// run, collecting garbage included: other work on the machine does not count.
func loop(b *testing.B, f func()) {
	b.ReportAllocs()
	start := cpuTime(b)
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64((cpuTime(b)-start).Microseconds())/1000/float64(b.N), "cpu-ms/op")
}
