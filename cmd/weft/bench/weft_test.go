package bench

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"weft/gateway"
	"weft/persistence"
	"weft/room"
)

// TestWeft runs every scenario, small, against our own server.
func TestWeft(t *testing.T) {
	for _, c := range []struct{ protocol, path string }{{"yws", "/yjs"}, {"hocuspocus", "/hocuspocus"}} {
		t.Run(c.protocol, func(t *testing.T) {
			report, err := Run(t.Context(), small(t, startWeft(t)+c.path, c.protocol, Scenarios()...))
			if err != nil {
				t.Fatalf("Run = %v, want nil", err)
			}
			checkHonest(t, report)
		})
	}
}

// startWeft serves rooms over a store in memory until the test has ended, and returns the server's URL.
func startWeft(t *testing.T) string {
	t.Helper()
	store := persistence.NewMemory(persistence.Options{})
	rooms := room.NewRegistry(room.Options{Store: store})
	s, err := gateway.New(gateway.Options{Rooms: gateway.Local(rooms)})
	if err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(s)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		hs.Close()
		if err := s.Drain(ctx); err != nil {
			t.Errorf("Drain = %v, want nil", err)
		}
		if err := rooms.Close(ctx); err != nil {
			t.Errorf("close rooms: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return "ws" + hs.URL[len("http"):]
}
