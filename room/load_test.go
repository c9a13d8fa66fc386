package room

import (
	"fmt"
	"sync"
	"testing"

	"weft/crdt"
	"weft/persistence"
	"weft/protocol"
)

// crowdOf joins n sessions to a running room and empties their outboxes on one
// goroutine, as fast as they fill: writers without sockets.
type crowdOf struct {
	sessions []*Session
	bytes    int // taken, valid after stop
	frames   int

	mu     sync.Mutex
	woken  []*Outbox
	signal chan struct{}
	done   chan struct{}
}

func newCrowd(tb testing.TB, g *Registry, name string, n int) *crowdOf {
	tb.Helper()
	c := &crowdOf{signal: make(chan struct{}, 1), done: make(chan struct{})}
	go c.write()
	for i := range n {
		var out *Outbox
		out = NewOutbox(0, func() {
			c.mu.Lock()
			c.woken = append(c.woken, out)
			c.mu.Unlock()
			select {
			case c.signal <- struct{}{}:
			default:
			}
		})
		s, err := g.Join(tb.Context(), name, Peer{ID: uint64(i), Dialect: protocol.YWebsocket{}, Out: out})
		if err != nil {
			tb.Fatal(err)
		}
		c.sessions = append(c.sessions, s)
	}
	return c
}

func (c *crowdOf) write() {
	defer close(c.done)
	var woken []*Outbox
	var scratch [][]byte
	for range c.signal {
		c.mu.Lock()
		woken, c.woken = c.woken, woken[:0]
		c.mu.Unlock()
		for _, out := range woken {
			for scratch = out.Take(scratch[:0]); len(scratch) > 0; scratch = out.Take(scratch[:0]) {
				c.frames += len(scratch)
				for _, p := range scratch {
					c.bytes += len(p)
				}
			}
		}
	}
}

// stop ends the writer. The room must be closed.
func (c *crowdOf) stop() {
	close(c.signal)
	<-c.done
}

// BenchmarkBusyRoom is one room whose 10 authors write as fast as it takes, to
// 1,000 and to 100 sessions.
func BenchmarkBusyRoom(b *testing.B) {
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			store := persistence.NewMemory(persistence.Options{})
			g := NewRegistry(Options{Store: store})
			c := newCrowd(b, g, "r", n)
			const authors = 10
			docs := make([]*crdt.Doc, authors)
			for i := range docs {
				docs[i] = crdt.New(crdt.Options{})
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				who := i % authors
				u, err := docs[who].Edit(func(tx *crdt.Tx) error { return tx.Text("t").Insert(i/authors, "x") })
				if err != nil {
					b.Fatal(err)
				}
				i++
				if err := c.sessions[who].Handle(b.Context(), protocol.Message{Kind: protocol.Update, Data: u}); err != nil {
					b.Fatal(err)
				}
			}
			elapsed := b.Elapsed()
			if err := g.Close(b.Context()); err != nil {
				b.Error(err)
			}
			c.stop()
			b.ReportMetric(float64(b.N)/elapsed.Seconds(), "updates/s")
			b.ReportMetric(float64(c.frames)/float64(n)/elapsed.Seconds(), "frames/s/peer")
			b.ReportMetric(float64(c.bytes)/float64(n)/float64(b.N), "B/update/peer")
			if err := store.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}
