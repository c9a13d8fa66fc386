package cluster_test

import (
	"testing"
	"time"

	"weft/cluster"
	"weft/internal/faultproxy"
	"weft/internal/redistest"
)

// proxied is a Redis behind a network that fails on demand, and the same without it.
func proxied(t *testing.T) (through *cluster.Redis, direct system, proxy *faultproxy.Proxy) {
	t.Helper()
	server := redistest.Start(t)
	proxy, err := faultproxy.New(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	through = dial(t, cluster.Options{Addrs: []string{proxy.Addr()}, Timeout: time.Second})
	return through, dial(t, cluster.Options{Addrs: []string{server.Addr()}}), proxy
}

// TestLostReplies repeats every append whose answer was lost; each entry is in the log once.
func TestLostReplies(t *testing.T) {
	through, direct, proxy := proxied(t)
	room, claimed := own(t, direct, "a")
	a := cluster.Append{Room: room, Node: "a", Epoch: claimed.Epoch, Prev: claimed.Seq, Entries: updates("x", "y")}
	failed := 0
	for i := range 30 {
		if i%10 == 5 { // the connection stands, so it is an answer that is lost and not a greeting
			proxy.DropReplies(1)
		}
		for tries := 0; ; tries++ {
			answers, err := through.Append(t.Context(), []cluster.Append{a})
			if err == nil && a.Judge(answers[0]) == cluster.Applied {
				break
			}
			if err == nil || tries > 20 {
				t.Fatalf("Append(%d) = %+v, %v, want applied or an error now and then", i, answers, err)
			}
			failed++
		}
		a.Prev += 2
	}
	if got := len(readAll(t, direct, room)); got != 61 || failed < 3 {
		t.Errorf("the log has %d entries after %d lost answers, want a barrier and 60 after 3 or more", got, failed)
	}
}

// TestHang is a Redis that takes everything and says nothing: calls end with the client's timeout.
func TestHang(t *testing.T) {
	through, direct, proxy := proxied(t)
	room, claimed := own(t, direct, "a")
	a := cluster.Append{Room: room, Node: "a", Epoch: claimed.Epoch, Prev: claimed.Seq, Entries: updates("x")}
	proxy.Stall(true)
	if answers, err := through.Append(t.Context(), []cluster.Append{a}); err == nil || answers[0].Status != 0 {
		t.Errorf("Append() while Redis hangs = %+v, %v, want an error and no answer", answers, err)
	}
	proxy.Stall(false)
	for range 20 {
		if answers, err := through.Append(t.Context(), []cluster.Append{a}); err == nil {
			if a.Judge(answers[0]) != cluster.Applied {
				t.Errorf("Append() afterwards = %+v, want applied", answers[0])
			}
			return
		}
	}
	t.Error("Append() fails 20 times after Redis went on, want an answer")
}
