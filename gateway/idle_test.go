package gateway_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"weft/gateway"
	"weft/protocol"
)

// BenchmarkIdleConn reports what an idle connection costs in this process after a garbage collection: on the heap and
// in stacks, for the gateway alone and with a room for every ten. The client's side of the socket, which is in this
// process too, is subtracted.
func BenchmarkIdleConn(b *testing.B) {
	for _, c := range []struct {
		name  string
		rooms gateway.Rooms
	}{{"gateway", &fakeRooms{}}, {"rooms of 10", nil}} {
		b.Run(c.name, func(b *testing.B) {
			const n = 2000
			for b.Loop() {
				idle := idleClients(b, n, c.rooms)
				b.ReportMetric(idle.heap, "heap-B/conn")
				b.ReportMetric(idle.stack, "stack-B/conn")
			}
		})
	}
}

// cost is what one connection takes, in bytes.
type cost struct{ heap, stack float64 }

func idleClients(b *testing.B, n int, rooms gateway.Rooms) cost {
	r := start(b, gateway.Options{Rooms: rooms})
	sockets := socketCost(b, n)
	heap, stack := inUse()
	clients := make([]net.Conn, n)
	for i := range clients {
		clients[i] = r.idle(b, fmt.Sprintf("/yjs/idle-%d", i/10))
	}
	// Each sent a sync step 1, and rooms answer; the gateway alone has nothing to say.
	r.events.until(b, "all messages", func() bool { return r.events.received == n })
	for deadline := time.Now().Add(patience); dozing(b) < n; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%d of %d connections doze after %v", dozing(b), n, patience)
		}
	}
	heapAfter, stackAfter := inUse()
	for _, c := range clients {
		c.Close()
	}
	r.events.until(b, "all ends", func() bool { return len(r.events.closed) == n })
	return cost{(heapAfter-heap)/float64(n) - sockets, (stackAfter - stack) / float64(n)}
}

// idle makes one handshake and sends a sync step 1, without a goroutine or buffers that live on.
func (r *rig) idle(b *testing.B, path string) net.Conn {
	b.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		b.Fatal(err)
	}
	_, err = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", path, r.addr)
	if err != nil {
		b.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 16), nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		b.Fatalf("handshake = %v, %v, want 101", resp, err)
	}
	if _, err := c.Write(clientFrame(0x82, frame(protocol.SyncStep1, []byte{0}))); err != nil {
		b.Fatal(err)
	}
	return c
}

// socketCost returns what a client's socket takes on the heap.
func socketCost(b *testing.B, n int) float64 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	before, _ := inUse()
	both := make([]net.Conn, 0, 2*n)
	for range n {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		both = append(both, c, s)
	}
	after, _ := inUse()
	for _, c := range both {
		c.Close()
	}
	return (after - before) / float64(len(both))
}

// inUse returns the bytes in use on the heap and in stacks.
func inUse() (heap, stack float64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one made free is swept
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc), float64(m.StackInuse)
}
