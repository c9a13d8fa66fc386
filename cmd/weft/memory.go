package main

import (
	"bytes"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// residentMemory returns the bytes of memory that this process holds, 0 where the system does not tell.
func residentMemory() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b) // proc(5): the second one is resident, in pages
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.ParseInt(string(fields[1]), 10, 64) // 0 if it is none
	return n * int64(os.Getpagesize())
}

// memoryLimit returns the bytes of memory that this process may use: the lowest of GOMEMLIMIT, those of its control groups
// and what the machine has; 0 when none is known.
func memoryLimit() int64 {
	limit := min(debug.SetMemoryLimit(-1), systemMemory(os.DirFS("/")))
	if limit == math.MaxInt64 {
		return 0
	}
	return limit
}

// systemMemory returns the lowest limit that Linux tells under root; math.MaxInt64 when there is none.
func systemMemory(root fs.FS) int64 {
	limit := int64(math.MaxInt64)
	lower := func(text string) {
		if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil && n > 0 {
			limit = min(limit, n)
		}
	}
	if b, err := fs.ReadFile(root, "proc/meminfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
				if n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64); err == nil {
					limit = min(limit, n<<10)
				}
			}
		}
	}
	b, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return limit
	}
	for line := range strings.Lines(string(b)) {
		// cgroups(7): id:controllers:path, with id 0 and no controllers in version 2. In a container the path may be one of
		// outside, of which only the root is there.
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		base, file := "", ""
		switch {
		case parts[0] == "0":
			base, file = "sys/fs/cgroup", "memory.max"
		case parts[1] == "memory":
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for dir := path.Clean("/" + parts[2]); ; dir = path.Dir(dir) {
			if b, err := fs.ReadFile(root, path.Join(base, dir, file)); err == nil {
				lower(string(b)) // "max" is none
			}
			if dir == "/" {
				break
			}
		}
	}
	return limit
}
