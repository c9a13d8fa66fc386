package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"weft/cluster"
)

// session runs a session in a bubble; events go to the list that it returns.
func session(t *testing.T, c cluster.Coordinator, node cluster.NodeID, incarnation string) (events *[]string, view *cluster.View, done chan error) {
	t.Helper()
	events, view, done = new([]string), new(cluster.View), make(chan error, 1)
	add := func(format string, args ...any) { *events = append(*events, fmt.Sprintf(format, args...)) }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	go func() {
		defer close(ended)
		done <- cluster.RunSession(ctx, c, cluster.SessionOptions{
			Node: node, Incarnation: incarnation,
			Info: func() string { return "of " + string(node) },
			Events: cluster.SessionEvents{
				Seen:     func(v cluster.View) { *view = v },
				Lost:     func(err error) { add("lost %v", err != nil) },
				Regained: func() { add("regained") },
				Forgot:   func(wiped bool) { add("forgot %v", wiped) },
			},
		})
	}()
	return events, view, done
}

func TestSession(t *testing.T) {
	cases := []struct {
		name string
		do   func(m *cluster.Memory)
		want []string
	}{
		{"nothing happens", func(*cluster.Memory) { time.Sleep(time.Hour) }, nil},
		{"short outage", func(m *cluster.Memory) { m.Hang(); time.Sleep(3 * time.Second); m.Resume() }, nil},
		{"long outage", func(m *cluster.Memory) { m.Hang(); time.Sleep(time.Minute); m.Resume() }, []string{"lost true", "regained"}},
		{"a lost answer", func(m *cluster.Memory) { m.LoseReplies(1) }, nil},
		{"restart", func(m *cluster.Memory) { m.Restart() }, []string{"forgot false"}},
		{"wipe", func(m *cluster.Memory) { m.Wipe() }, []string{"lost false", "regained", "forgot true"}},
		{"redis' clock jumps ahead", func(m *cluster.Memory) { m.JumpClock(time.Hour) }, []string{"lost false", "regained"}},
		{"redis' clock jumps back", func(m *cluster.Memory) { m.JumpClock(-time.Hour) }, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := cluster.NewMemory()
				events, _, _ := session(t, m, "a", "1")
				time.Sleep(10*time.Second + 500*time.Millisecond) // between two beats
				c.do(m)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if !slices.Equal(*events, c.want) {
					t.Errorf("events = %q, want %q", *events, c.want)
				}
			})
		})
	}
}

func TestSessionMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := cluster.NewMemory()
		_, view, _ := session(t, m, "a", "1")
		ctx, stop := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			left <- cluster.RunSession(ctx, m, cluster.SessionOptions{Node: "b", Incarnation: "2"})
		}()
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		if n := view.Members; len(n) != 2 || n[0].Info != "of a" || n[1].Node != "b" || !n[1].Expires.After(view.Now) {
			t.Errorf("members = %+v at %v, want a with its info and b, alive", n, view.Now)
		}
		stop()
		if err := <-left; err != nil {
			t.Errorf("RunSession(b) = %v, want nil", err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := view.Members; len(n) != 1 || n[0].Node != "a" {
			t.Errorf("members after b left = %+v, want a", n)
		}
	})
}

func TestSessionNodeTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := cluster.NewMemory()
		_, _, first := session(t, m, "a", "1")
		time.Sleep(2500 * time.Millisecond)
		_, _, second := session(t, m, "a", "2")
		time.Sleep(10 * time.Second)
		if err := <-first; !errors.Is(err, cluster.ErrNodeTaken) {
			t.Errorf("RunSession of the first process = %v, want ErrNodeTaken", err)
		}
		if err := <-second; !errors.Is(err, cluster.ErrNodeTaken) {
			t.Errorf("RunSession of the second process = %v, want ErrNodeTaken", err)
		}
	})
}

// TestSessionRedis waits for the same events from a real Redis.
func TestSessionRedis(t *testing.T) {
	s := redisSubject(t)
	seen, forgot := make(chan cluster.View, 1), make(chan bool, 10)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- cluster.RunSession(ctx, s, cluster.SessionOptions{
			Node: "a", Incarnation: "1", Every: 20 * time.Millisecond, TTL: time.Hour, Timeout: patience,
			Events: cluster.SessionEvents{
				Seen: func(v cluster.View) {
					select {
					case seen <- v:
					default:
					}
				},
				Forgot: func(wiped bool) { forgot <- wiped },
			},
		})
	}()
	if v := <-seen; len(v.Members) != 1 || v.Members[0].Node != "a" {
		t.Errorf("members = %+v, want a", v.Members)
	}
	s.restart()
	if wiped := <-forgot; wiped {
		t.Errorf("Forgot(%v) after a restart, want false", wiped)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("RunSession() = %v, want nil", err)
	}
}
