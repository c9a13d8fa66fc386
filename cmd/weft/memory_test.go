package main

import (
	"math"
	"testing"
	"testing/fstest"
)

func TestSystemMemory(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	const meminfo = "MemTotal:       16384 kB\nMemFree:         100 kB\n"
	for _, c := range []struct {
		name string
		fs   fstest.MapFS
		want int64
	}{
		{"nothing is told", fstest.MapFS{}, math.MaxInt64},
		{"a machine", fstest.MapFS{"proc/meminfo": file(meminfo)}, 16 << 20},
		{"cgroup 2 without a limit", fstest.MapFS{
			"proc/meminfo": file(meminfo), "proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("max\n"),
		}, 16 << 20},
		{"cgroup 2 limits a parent", fstest.MapFS{
			"proc/meminfo": file(meminfo), "proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("max\n"),
			"sys/fs/cgroup/a/memory.max": file("1048576\n"),
		}, 1 << 20},
		{"container with a path of outside", fstest.MapFS{
			"proc/meminfo": file(meminfo), "proc/self/cgroup": file("0::/kubepods/x\n"), "sys/fs/cgroup/memory.max": file("2097152\n"),
		}, 2 << 20},
		{"cgroup 1", fstest.MapFS{
			"proc/meminfo": file(meminfo), "proc/self/cgroup": file("5:cpu:/x\n4:memory:/x\n0::/\n"),
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": file("3145728\n"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n"),
		}, 3 << 20},
		{"garbage", fstest.MapFS{"proc/meminfo": file("MemTotal: lots\n"), "proc/self/cgroup": file("?\n0::\n")}, math.MaxInt64},
	} {
		if got := systemMemory(c.fs); got != c.want {
			t.Errorf("systemMemory(%s) = %d, want %d", c.name, got, c.want)
		}
	}
}
