package cluster_test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"weft/cluster"
	"weft/internal/redistest"
)

// BenchmarkAppend appends updates of 60 bytes to 1,000 rooms of a real Redis, so many rooms in one pipeline, and also
// says what that cost Redis' main thread.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("pipelined-%d", n), func(b *testing.B) {
			server := redistest.Start(b)
			r := dial(b, cluster.Options{Addrs: []string{server.Addr()}})
			appends := make([]cluster.Append, 1000)
			for i := range appends {
				room := newRoom()
				claimed, err := r.Claim(b.Context(), cluster.Claim{Room: room, Node: "a"})
				if err != nil {
					b.Fatal(err)
				}
				appends[i] = cluster.Append{Room: room, Node: "a", Epoch: claimed.Epoch, Prev: claimed.Seq, Entries: updates(fmt.Sprintf("%060d", i))}
			}
			before := redisCPU(b, server.Addr())
			at, done := 0, 0
			for b.Loop() {
				if at+n > len(appends) {
					at = 0
				}
				batch := appends[at : at+n]
				answers, err := r.Append(b.Context(), batch)
				if err != nil {
					b.Fatal(err)
				}
				for i, got := range answers {
					if got.Status != cluster.OK {
						b.Fatalf("Append() = %+v, want OK", got)
					}
					batch[i].Prev = got.Seq
				}
				at, done = at+n, done+n
			}
			b.ReportMetric(float64(done)/b.Elapsed().Seconds(), "appends/s")
			b.ReportMetric((redisCPU(b, server.Addr())-before)*1e6/float64(done), "redis-us/append")
		})
	}
}

var cpu = regexp.MustCompile(`used_cpu_(?:user|sys)_main_thread:([0-9.]+)`)

// redisCPU is the time that Redis' main thread has used, in seconds.
func redisCPU(b *testing.B, addr string) float64 {
	b.Helper()
	info, _ := command(b, addr, "info", "cpu").(string)
	sum := 0.0
	for _, field := range cpu.FindAllStringSubmatch(info, -1) {
		seconds, err := strconv.ParseFloat(field[1], 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += seconds
	}
	return sum
}
