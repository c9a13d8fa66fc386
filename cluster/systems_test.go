package cluster_test

import (
	"flag"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"weft/cluster"
	"weft/internal/redistest"
	"weft/persistence"
)

var redisCluster = flag.Bool("redis-cluster", false, "run the conformance tests against a Redis Cluster of three servers too")

// system is what the conformance tests are about.
type system interface {
	cluster.Coordinator
	cluster.Log
}

// subject is a system and how to make it fail; functions that a system lacks are nil.
type subject struct {
	system
	sync, loseTail, wipe, restart func()
	forgetScripts                 func()
}

// eachSystem runs a test with every system there is.
func eachSystem(t *testing.T, test func(t *testing.T, s subject)) {
	t.Run("memory", func(t *testing.T) { test(t, memorySubject()) })
	t.Run("miniredis", func(t *testing.T) { test(t, miniSubject(t)) })
	t.Run("redis", func(t *testing.T) { test(t, redisSubject(t)) })
	if *redisCluster {
		t.Run("redis-cluster", func(t *testing.T) { test(t, clusterSubject(t)) })
	}
}

func memorySubject() subject {
	m := cluster.NewMemory()
	return subject{system: m, sync: m.Sync, loseTail: m.LoseTail, wipe: m.Wipe, restart: m.Restart}
}

func miniSubject(t *testing.T) subject {
	t.Helper()
	mini := miniredis.RunT(t)
	r := dial(t, cluster.Options{Addrs: []string{mini.Addr()}})
	return subject{system: r, wipe: mini.FlushAll}
}

func redisSubject(t *testing.T) subject {
	t.Helper()
	server := redistest.Start(t)
	return subject{
		system:        dial(t, cluster.Options{Addrs: []string{server.Addr()}}),
		sync:          server.Sync,
		loseTail:      server.LoseTail,
		wipe:          func() { command(t, server.Addr(), "flushall") },
		restart:       server.Restart,
		forgetScripts: func() { command(t, server.Addr(), "script", "flush") },
	}
}

func clusterSubject(t *testing.T) subject {
	t.Helper()
	addrs := redistest.StartCluster(t)
	return subject{
		system: dial(t, cluster.Options{Addrs: addrs}),
		wipe: func() {
			for _, addr := range addrs {
				command(t, addr, "flushall")
			}
		},
	}
}

// patience is a timeout for tests in which nothing hangs.
const patience = 20 * time.Second

func dial(t testing.TB, o cluster.Options) *cluster.Redis {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = patience
	}
	r := cluster.NewRedis(o)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return r
}

// command runs one command with a client of its own.
func command(t testing.TB, addr string, args ...any) any {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2})
	defer func() { _ = client.Close() }()
	got, err := client.Do(t.Context(), args...).Result()
	if err != nil {
		t.Fatalf("redis %v: %v", args, err)
	}
	return got
}

var rooms atomic.Int64

// newRoom names a room that no other test has, with what could confuse keys.
func newRoom() string { return fmt.Sprintf("{%d}:*/räume", rooms.Add(1)) }

// own makes node the owner of a new room that it serves, and returns the room and the claim.
func own(t *testing.T, s system, node cluster.NodeID) (string, cluster.Claimed) {
	t.Helper()
	room := newRoom()
	claimed, err := s.Claim(t.Context(), cluster.Claim{Room: room, Node: node, Standbys: []cluster.NodeID{"s"}})
	if err != nil || claimed.Status != cluster.OK {
		t.Fatalf("Claim(%s) = %+v, %v, want OK", room, claimed, err)
	}
	first := cluster.Append{Room: room, Node: node, Epoch: claimed.Epoch, Prev: claimed.Seq, RunID: claimed.RunID}
	if got := appendOne(t, s, first); got.Status != cluster.OK {
		t.Fatalf("Append(first to %s) = %+v, want OK", room, got)
	}
	return room, claimed
}

func appendOne(t *testing.T, s system, a cluster.Append) cluster.Answer {
	t.Helper()
	answers, err := s.Append(t.Context(), []cluster.Append{a})
	if err != nil {
		t.Fatalf("Append(%+v) = %v", a, err)
	}
	return answers[0]
}

func updates(texts ...string) []cluster.Entry {
	var entries []cluster.Entry
	for _, text := range texts {
		entries = append(entries, cluster.Entry{Kind: cluster.Update, Data: []byte(text)})
	}
	return entries
}

func readAll(t *testing.T, s system, room string) []cluster.Entry {
	t.Helper()
	entries, err := s.Read(t.Context(), room, persistence.Position{}, 1_000_000)
	if err != nil {
		t.Fatalf("Read(%s) = %v", room, err)
	}
	return entries
}
