package room

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"weft/crdt"
	"weft/crdt/lib0"
	"weft/persistence"
	"weft/presence"
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
			g, stop := memoryRegistry(b)
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
			stop()
			c.stop()
			b.ReportMetric(float64(b.N)/elapsed.Seconds(), "updates/s")
			b.ReportMetric(float64(c.frames)/float64(n)/elapsed.Seconds(), "frames/s/peer")
			b.ReportMetric(float64(c.bytes)/float64(n)/float64(b.N), "B/update/peer")
		})
	}
}

// BenchmarkJoinStorm joins 10,000 sessions at once, each of which asks with the
// vector that it has, and ten of which type: to 1,000 cold rooms of 10 kB, and to
// a cold one of 300 kB. It ends when all have their answer.
func BenchmarkJoinStorm(b *testing.B) {
	const clients = 10_000
	for _, rooms := range []int{1, 1000} {
		b.Run(fmt.Sprint("rooms=", rooms), func(b *testing.B) {
			store := persistence.NewMemory(persistence.Options{})
			author := crdt.New(crdt.Options{})
			paragraph := string(bytes.Repeat([]byte("x"), 300))
			for i := range 1000 / min(rooms, 30) {
				if _, err := author.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Insert(i%2, paragraph) }); err != nil {
					b.Fatal(err)
				}
			}
			snap := persistence.Snapshot{
				Pos: persistence.Position{Epoch: 1, Seq: 1}, State: author.AppendDiff(nil, nil, crdt.V2),
				StateVector: author.AppendStateVector(nil),
			}
			for i := range rooms {
				if err := store.Save(b.Context(), fmt.Sprint(i), snap); err != nil {
					b.Fatal(err)
				}
			}
			vector := author.AppendStateVector(nil)
			for b.Loop() {
				g := NewRegistry(Options{Store: store})
				var wg, synced sync.WaitGroup
				start := time.Now()
				for i := range clients {
					synced.Add(1)
					wg.Go(func() {
						var once sync.Once
						var out *Outbox
						out = NewOutbox(0, func() {
							wg.Go(func() { // a writer
								var scratch [][]byte
								for scratch = out.Take(scratch[:0]); len(scratch) > 0; scratch = out.Take(scratch[:0]) {
									for _, p := range scratch {
										if p[0] == 0 && p[1] == 1 { // SyncStep2
											once.Do(synced.Done)
										}
									}
								}
							})
						})
						s, err := g.Join(b.Context(), fmt.Sprint(i%rooms), Peer{Dialect: protocol.YWebsocket{}, Out: out})
						if err != nil {
							b.Error(err)
							return
						}
						question := []byte{0}
						if i%2 == 0 {
							question = vector
						}
						clock := byte(1)
						_ = s.Handle(b.Context(), protocol.Message{Kind: protocol.SyncStep1, Data: question})
						state := append(lib0.AppendUint([]byte{1}, uint64(i)), clock, 2, '{', '}')
						_ = s.Handle(b.Context(), protocol.Message{Kind: protocol.Awareness, Data: state})
						if i < 10 {
							typist := crdt.New(crdt.Options{})
							for range 100 {
								u, err := typist.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Insert(0, "y") })
								if err != nil {
									b.Error(err)
								}
								_ = s.Handle(b.Context(), protocol.Message{Kind: protocol.Update, Data: u})
							}
						}
					})
				}
				synced.Wait()
				b.ReportMetric(time.Since(start).Seconds(), "s-to-synced")
				if err := g.Close(b.Context()); err != nil {
					b.Error(err)
				}
				wg.Wait()
			}
			if err := store.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

// BenchmarkPresence is a cursor of a room of 100 that moves three times a second
// each: 300 awareness updates a second, which leave 25 times a second. An
// operation is one of them with its share of the fan-out, writers without
// sockets included.
func BenchmarkPresence(b *testing.B) {
	for _, stamp := range []bool{false, true} {
		b.Run(fmt.Sprint("stamp=", stamp), func(b *testing.B) {
			r, sessions := idleRoom(b, 100)
			for _, s := range sessions {
				s.identity = presence.NewIdentity(presence.User{ID: fmt.Sprint("user ", s.id), Name: "Somebody"}, stamp)
			}
			var scratch [][]byte
			updates := make([][]byte, 100)
			clock := uint64(0)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				who := i % 100
				if i++; who == 0 {
					clock++
				}
				state := fmt.Appendf(nil, `{"user":{"name":"Somebody","color":"#30bced"},"cursor":{"anchor":{"item":{"client":%d,"clock":%d}}}}`, who, clock)
				updates[who] = lib0.AppendBytes(lib0.AppendUint(lib0.AppendUint(append(updates[who][:0], 1), uint64(who)), clock), state)
				r.now = r.now.Add(time.Second / 300)
				r.awareness(sessions[who], updates[who])
				r.flushPresence()
				if i%12 == 0 {
					scratch = drain(sessions, scratch)
				}
			}
			if r.people.table.Live() != min(i, 100) {
				b.Errorf("%d people are here, want %d", r.people.table.Live(), min(i, 100))
			}
		})
	}
}
