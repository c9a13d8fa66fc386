package gateway_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gorilla/websocket"

	"weft/gateway"
	"weft/room"
)

// pipeTest runs f in a synctest bubble with a server whose connections are pipes.
func pipeTest(t *testing.T, o gateway.Options, f func(t *testing.T, r *recorder, dial func(path string) *websocket.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		events := &recorder{}
		o.Events = events.events()
		s, err := gateway.New(o)
		if err != nil {
			t.Fatal(err)
		}
		l := &pipes{conns: make(chan net.Conn, 1), done: make(chan struct{})}
		hs := &http.Server{Handler: s}
		go func() { _ = hs.Serve(l) }() // ends with Close below
		f(t, events, func(path string) *websocket.Conn {
			near, far := net.Pipe()
			l.conns <- far
			d := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return near, nil }}
			ws, resp, err := d.Dial("ws://pipe"+path, nil)
			if err != nil {
				t.Fatalf("Dial(%s) = %v, want nil", path, err)
			}
			resp.Body.Close()
			return ws
		})
		if err := s.Drain(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Drain = %v, want nil", err)
		}
		hs.Close()
	})
}

// manyRooms are n rooms that are only listed: room-00000, room-00001 and so on.
func manyRooms(n int) *fakeRooms {
	names := make([]room.Status, n)
	for i := range names {
		names[i].Room = roomNumber(i)
	}
	return &fakeRooms{list: func(after string, limit int) ([]room.Status, bool, error) {
		begin := 0
		if name, ok := strings.CutPrefix(after, "after "); ok {
			at, found := slices.BinarySearchFunc(names, name, func(s room.Status, name string) int { return strings.Compare(s.Room, name) })
			if begin = at; found {
				begin++
			}
		}
		end := min(begin+limit, n)
		return names[begin:end], end < n, nil
	}}
}

// roomNumber is the name of a room of manyRooms.
func roomNumber(i int) string { return fmt.Sprintf("room-%05d", i) }
