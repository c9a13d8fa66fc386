package main

import (
	"context"
	"runtime"
	"runtime/debug"
	rtm "runtime/metrics" // metrics is a type of this package
	"time"
)

// After a rush, such as everybody coming back at once, the Go runtime keeps the memory of the rush for its next one: up
// to twice of what is in use, for minutes. Where memory is what a server is paid by or killed for, that is what an
// idle connection costs. So trim gives it back when the rush is over.
//
// That takes two garbage collections, each about a millisecond of CPU for a megabyte in use, at most once in trimPause
// and only while the server allocates so little that the runtime would not collect soon by itself.

const (
	trimLook  = time.Second      // how often it looks
	trimQuiet = 10 * time.Second // the runtime's next collection must be farther away than that
	trimPause = 30 * time.Second // from one to the next
	trimWorth = 16 << 20         // bytes that must be there to gain
	trimShare = 4                // and at least the share 1/trimShare of what is in use
)

// heap is what the runtime tells of its memory, in bytes.
type heap struct {
	allocated uint64 // since the start
	objects   uint64 // in use, or garbage that was not collected yet
	live      uint64 // in use at the last collection
	goal      uint64 // of objects at which the next collection is made
	free      uint64 // neither in use nor given back
}

// readHeap asks the runtime; names as in package runtime/metrics.
func readHeap() (h heap) {
	samples := []rtm.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/heap/goal:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	rtm.Read(samples)
	for i, field := range []*uint64{&h.allocated, &h.objects, &h.live, &h.goal, &h.free} {
		*field = samples[i].Value.Uint64() // panics if the runtime has no such metric, which a test would show
	}
	return h
}

// trimmer decides when memory is given back.
type trimmer struct {
	before heap // at the last look
	last   time.Time
}

// due tells whether it should be done now. It is to be called every trimLook.
func (t *trimmer) due(now time.Time, h heap) bool {
	rate := (h.allocated - t.before.allocated) / uint64(trimLook/time.Second)
	first := t.before.allocated == 0
	t.before = h
	if first || now.Sub(t.last) < trimPause || h.objects+rate*uint64(trimQuiet/time.Second) > h.goal {
		return false
	}
	gain := h.free
	if h.objects > h.live { // what is not garbage of that costs a collection in vain, once
		gain += h.objects - h.live
	}
	if gain < trimWorth || gain < h.live/trimShare {
		return false
	}
	t.last = now
	return true
}

// trim gives memory back until ctx ends.
func trim(ctx context.Context) {
	var t trimmer
	tick := time.NewTicker(trimLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if t.due(now, readHeap()) {
				runtime.GC() // pools let go of what they keep at the second one, and stacks become smaller at each
				debug.FreeOSMemory()
			}
		}
	}
}
