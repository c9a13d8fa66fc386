package gateway_test

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"weft/crdt"
	"weft/gateway"
	"weft/protocol"
)

// BenchmarkFanout sends the updates of one writer to 6 readers through sockets: an operation is an update
// that all readers have. They do not decode it, so that what differs is the server's. Native
// updates are acknowledged, those of y-websocket only with save markers. With more sessions rooms space broadcasts.
func BenchmarkFanout(b *testing.B) {
	const readers = 6
	for _, name := range []string{"y-websocket", "y-websocket with save markers", "native"} {
		b.Run(name, func(b *testing.B) {
			r := start(b, gateway.Options{ConnRate: gateway.Rate{Messages: -1, Bytes: -1}, UserRate: gateway.Rate{Messages: -1, Bytes: -1}, AddressRate: gateway.Rate{Messages: -1, Bytes: -1}})
			doc := crdt.New(crdt.Options{})
			edit := func(i int) []byte {
				u, err := doc.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Insert(i, "x") })
				if err != nil {
					b.Fatal(err)
				}
				return u
			}
			var write func(i int)
			var sockets []*websocket.Conn
			if name == "native" {
				w := r.native("")
				w.join("room")
				write = func(i int) { w.update(uint64(i+1), 0, edit(i)) }
				go drain(w.Socket())
				for range readers {
					p := r.native("")
					p.join("room")
					sockets = append(sockets, p.Socket())
				}
			} else {
				w := r.join("/yjs/room")
				write = func(i int) {
					w.send(frame(protocol.Update, edit(i)))
					if name != "y-websocket" {
						w.send(frame(protocol.SaveMarker, []byte{1}))
					}
				}
				go drain(w.Conn)
				for range readers {
					c := r.join("/yjs/room")
					c.echo("in")
					sockets = append(sockets, c.Conn)
				}
			}
			last := make(chan struct{}, readers)
			var wg sync.WaitGroup
			b.ResetTimer()
			began := cpuTime()
			for _, ws := range sockets {
				wg.Go(func() {
					_ = ws.SetReadDeadline(time.Now().Add(patience))
					for {
						if _, _, err := ws.ReadMessage(); err != nil {
							return
						}
						last <- struct{}{}
					}
				})
			}
			for i := 0; b.Loop(); i++ {
				write(i)
				for range readers {
					<-last
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(cpuTime()-began)/float64(b.N), "cpu-ns/op")
			for _, ws := range sockets {
				ws.Close()
			}
			wg.Wait()
		})
	}
}

// drain reads a connection until it ends.
func drain(ws *websocket.Conn) {
	for {
		if _, _, err := ws.ReadMessage(); err != nil {
			return
		}
	}
}

// cpuTime returns what the process has used of the processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it cannot fail with these arguments
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
