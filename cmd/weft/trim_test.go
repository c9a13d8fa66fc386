package main

import (
	"testing"
	"time"
)

func TestTrimDue(t *testing.T) {
	const mb = 1 << 20
	// After a rush: 50 MB in use, 30 MB of garbage, and the runtime would let it become 100 MB.
	rush := heap{allocated: 1000 * mb, objects: 80 * mb, live: 50 * mb, goal: 100 * mb, free: 5 * mb}
	with := func(change func(*heap)) heap {
		h := rush
		change(&h)
		return h
	}
	for _, c := range []struct {
		name  string
		h     heap
		since time.Duration // the last time
		rate  uint64        // bytes allocated since the last look
		want  bool
	}{
		{"after a rush", rush, time.Hour, 0, true},
		{"hardly anything happens", rush, time.Hour, mb, true},
		{"still busy", rush, time.Hour, 3 * mb, false},
		{"just done", rush, trimPause - 1, 0, false},
		{"only free memory", with(func(h *heap) { h.objects, h.free = h.live, 20*mb }), time.Hour, 0, true},
		{"little to gain", with(func(h *heap) { h.objects, h.free = h.live, 15*mb }), time.Hour, 0, false},
		{"little of much", with(func(h *heap) { h.live, h.objects, h.goal = 500*mb, 600*mb, 1000*mb }), time.Hour, 0, false},
		{"collected just now", with(func(h *heap) { h.objects, h.free = h.live-mb, 0 }), time.Hour, 0, false},
	} {
		now := time.Now()
		before := c.h
		before.allocated -= c.rate
		tr := trimmer{before: before, last: now.Add(-c.since)}
		if got := tr.due(now, c.h); got != c.want {
			t.Errorf("%s: due = %v, want %v", c.name, got, c.want)
		}
		if c.want && tr.due(now.Add(trimLook), c.h) {
			t.Errorf("%s: due twice", c.name)
		}
	}
	first := new(trimmer)
	if first.due(time.Now(), rush) {
		t.Error("due at the first look, when nothing is known of the rate")
	}
}

func TestReadHeap(t *testing.T) {
	h := readHeap()
	if h.allocated == 0 || h.objects == 0 || h.objects > h.allocated || h.goal == 0 {
		t.Errorf("readHeap = %+v, want the runtime's numbers", h)
	}
}
