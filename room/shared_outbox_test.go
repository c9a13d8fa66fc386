package room_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"weft/protocol"
	"weft/room"
)

// TestSessionsOfOneOutboxShareItsBound has one conn join a room many times, ask
// for the document in each session and not read. Then it reads.
func TestSessionsOfOneOutboxShareItsBound(t *testing.T) {
	const sessions, size = 50, 100_000
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		a.typed(strings.Repeat("x", size))
		settle(a)

		out := room.NewOutbox(2*size, nil)
		ask := protocol.Message{Kind: protocol.SyncStep1, Data: []byte{0}}
		for range sessions {
			s, err := w.rooms.Join(t.Context(), "r", room.Peer{Dialect: plain{}, Acks: true, Out: out})
			if err != nil {
				t.Fatalf("Join() = %v, want nil", err)
			}
			if err := s.Handle(t.Context(), ask); err != nil {
				t.Fatalf("Handle(%v) = %v, want nil", ask.Kind, err)
			}
		}
		synctest.Wait()
		if got, most := out.Size(), 4*size; got > most {
			t.Errorf("%d questions without reading queue %d bytes, want at most %d", sessions, got, most)
		}
		counts := map[protocol.Kind]int{}
		for range 10 * sessions {
			for _, f := range out.Take(nil) {
				counts[protocol.Kind(f[0])]++
			}
			synctest.Wait()
		}
		for _, k := range []protocol.Kind{protocol.SyncStep1, protocol.SyncStep2} {
			if counts[k] != sessions {
				t.Errorf("%d questions get %d %v, want one each", sessions, counts[k], k)
			}
		}
	})
}

// TestSessionsOfOneOutboxCatchUpInTurn makes all sessions of a conn lag: what each
// has missed comes when the others' has been read.
func TestSessionsOfOneOutboxCatchUpInTurn(t *testing.T) {
	const sessions, size = 50, 100_000
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		settle(a)
		out := room.NewOutbox(size/2, nil)
		for range sessions {
			if _, err := w.rooms.Join(t.Context(), "r", room.Peer{Dialect: plain{}, Acks: true, Out: out}); err != nil {
				t.Fatalf("Join() = %v, want nil", err)
			}
		}
		synctest.Wait()
		for range 10 {
			a.typed(strings.Repeat("x", size/10))
			settle(a)
		}
		var sizes []int
		bytes := 0
		for range 10 * sessions {
			sizes = append(sizes, out.Size())
			for _, f := range out.Take(nil) {
				bytes += len(f)
			}
			synctest.Wait()
		}
		if got, most := slices.Max(sizes), 2*size; got > most {
			t.Errorf("outbox holds up to %d bytes, want at most %d", got, most)
		}
		if want := sessions * size; bytes < want {
			t.Errorf("%d sessions get %d bytes, want at least %d: all of it each", sessions, bytes, want)
		}
	})
}
