package bench

import (
	"slices"
	"testing"
	"time"

	"weft/crdt"
	"weft/crdt/lib0"
)

// receiver returns a client that can be given messages, of a room whose writers have all written so many records, which
// were due one second ago and later.
func receiver(tb testing.TB, writers int, records int64) *client {
	tb.Helper()
	r := &runner{dialect: yWebsocket{}}
	c := r.newCrew()
	rooms, turns := newRooms("room", 1, writers, 1)
	for _, w := range rooms[0].writers {
		w.due.Store(records)
		w.sent.Store(records)
	}
	c.schedule.Store(&schedule{start: time.Now().Add(-time.Second), gap: time.Microsecond, turns: len(turns)})
	return c.newClient(rooms[0], nil, nil)
}

// rewind makes the client forget what it has.
func (c *client) rewind() { clear(c.ledger.next) }

// updatesOf returns the messages in which each writer's record k comes, for each k.
func updatesOf(c *client, records int64) (messages [][]byte, updates [][]byte) {
	for k := range records {
		for _, w := range c.room.writers {
			u := appendUpdate(nil, w.id, w.root, k, 1)
			updates = append(updates, u)
			messages = append(messages, lib0.AppendBytes([]byte{typeSync, syncUpdate}, u))
		}
	}
	return messages, updates
}

// BenchmarkTake measures what a delivery costs the generator beside reading the socket: one record a message, and 100
// records merged as yjs merges them, each its own struct.
func BenchmarkTake(b *testing.B) {
	const writers, records = 10, 10
	b.Run("single", func(b *testing.B) {
		c := receiver(b, writers, records)
		messages, _ := updatesOf(c, records)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i%len(messages) == 0 {
				c.rewind()
			}
			if err := c.take(messages[i%len(messages)]); err != nil {
				b.Fatal(err)
			}
		}
		check(b, c)
	})
	b.Run("merged", func(b *testing.B) {
		c := receiver(b, writers, records)
		message := unmerged(c, records)
		b.ReportAllocs()
		for b.Loop() {
			c.rewind()
			if err := c.take(message); err != nil {
				b.Fatal(err)
			}
		}
		check(b, c)
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/writers/records, "ns/record")
	})
}

// unmerged returns one message with every record of every writer as a struct of its own, as Y.mergeUpdates leaves them.
func unmerged(c *client, records int64) []byte {
	u := lib0.AppendUint(nil, uint64(len(c.room.writers)))
	for _, w := range slices.Backward(c.room.writers) {
		u = lib0.AppendUint(u, uint64(records))
		u = lib0.AppendUint(u, w.id)
		u = append(u, 0)
		for k := range records {
			one := appendUpdate(nil, w.id, w.root, k, 1)
			head := 2 + lib0.UintLen(w.id) + lib0.UintLen(uint64(k))
			u = append(u, one[head:len(one)-1]...)
		}
	}
	return lib0.AppendBytes([]byte{typeSync, syncUpdate}, append(u, 0))
}

func check(tb testing.TB, c *client) {
	tb.Helper()
	if f := c.crew.faults.sum(); f.Any() {
		tb.Fatalf("faults = %q, want none", f)
	}
}

// TestTake checks what the benchmarks measure: that nothing is allocated, and that every record is counted once.
func TestTake(t *testing.T) {
	const writers, records = 10, 10
	c := receiver(t, writers, records)
	messages, updates := updatesOf(c, records)
	single := func() {
		for _, m := range messages {
			if err := c.take(m); err != nil {
				t.Fatal(err)
			}
		}
	}
	merged, err := crdt.MergeUpdates(crdt.V1, updates...)
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range []struct {
		name string
		take func()
	}{
		{"single", single},
		{"structs", func() { _ = c.take(unmerged(c, records)) }},
		{"merged", func() { _ = c.take(lib0.AppendBytes([]byte{typeSync, syncUpdate}, merged)) }},
		{"repeated", func() { single(); single() }},
	} {
		c.rewind()
		c.have.Store(0)
		c.crew.meter.reset()
		way.take()
		check(t, c)
		if all, _ := c.complete(); !all || c.crew.meter.summary().Count != writers*records {
			t.Errorf("%s: complete = %v with %d latencies, want true with %d", way.name, all, c.crew.meter.summary().Count, writers*records)
		}
	}
	if n := testing.AllocsPerRun(10, func() { c.rewind(); single() }); n != 0 {
		t.Errorf("taking %d updates makes %v allocations, want 0", len(messages), n)
	}
}
