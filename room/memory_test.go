package room

import (
	"fmt"
	"runtime"
	"testing"

	"weft/crdt/lib0"
	"weft/protocol"
)

// BenchmarkIdleSession measures what a session costs that does nothing: 10,000
// of them, ten in a room, each with one presence state of 80 bytes, empty
// outboxes included.
func BenchmarkIdleSession(b *testing.B) {
	const perRoom = 10
	for b.Loop() {
		before := inUse()
		g, stop := memoryRegistry(b)
		sessions := idleSessions(b, g, 1000, perRoom)
		after := inUse()
		b.ReportMetric(float64(after-before)/float64(len(sessions)), "B/session")
		stop()
		runtime.KeepAlive(sessions)
	}
}

// idleSessions fills rooms with sessions that have joined, asked and announced
// themselves, and whose outboxes are read.
func idleSessions(tb testing.TB, g *Registry, rooms, perRoom int) []*Session {
	tb.Helper()
	var sessions []*Session
	for i := range rooms {
		for j := range perRoom {
			s, err := g.Join(tb.Context(), fmt.Sprint("room ", i), Peer{
				ID: uint64(i*perRoom + j), Dialect: protocol.YWebsocket{}, Out: NewOutbox(0, func() {}),
			})
			if err != nil {
				tb.Fatal(err)
			}
			sessions = append(sessions, s)
			state := fmt.Sprintf(`{"user":{"name":"Somebody %d","color":"#30bced","colorLight":"#30bced33"},"c":1}`, j%10)
			update := lib0.AppendString(append(lib0.AppendUint([]byte{1}, uint64(1<<30+i*perRoom+j)), 1), state)
			for _, m := range []protocol.Message{{Kind: protocol.SyncStep1, Data: []byte{0}}, {Kind: protocol.Awareness, Data: update}, {Kind: protocol.SyncStep2, Data: []byte{0, 0}}} {
				if err := s.Handle(tb.Context(), m); err != nil {
					tb.Fatal(err)
				}
			}
		}
	}
	for quiet := false; !quiet; {
		drain(sessions, nil)
		quiet = true
		for i := range rooms {
			quiet = isQuiet(tb, sessions[i*perRoom:(i+1)*perRoom]) && quiet
		}
	}
	return sessions
}

// isQuiet reports whether the room of these sessions has handled what they sent and
// has nothing to send them, now or later.
func isQuiet(tb testing.TB, sessions []*Session) (quiet bool) {
	r := sessions[0].room
	look := func() {
		quiet = r.broadcastDue().IsZero() && r.askingDue().IsZero() && r.people.due.IsZero()
		for _, s := range sessions {
			quiet = quiet && s.answers == nil && !s.draining && s.peer.Out.Size() == 0
		}
	}
	for _, f := range []func(){func() {}, look} { // the letters of a turn are read behind its calls
		if err := r.do(tb.Context(), f); err != nil {
			tb.Fatal(err)
		}
	}
	return quiet
}

// inUse returns the bytes of live objects and of stacks.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
