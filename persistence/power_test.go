package persistence_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weft/persistence"
)

// The power-loss test records the system calls of a writer with strace, all bytes included, and rebuilds from them what a disk may
// hold when the power fails between any two calls: everything that was synced, and of the later writes none, all, some, or some
// sectors of each.
//
// What it does not show: reordering below the file system (it takes fsync at its word), a sector that is itself torn, a file
// system that loses its own metadata, and the two moments of creating the directory and of replacing a damaged file.

// diskOp is one recorded call.
type diskOp struct {
	kind string // "write", "truncate", "sync", "say"
	file string // base name
	at   int64  // offset, or the new size
	data []byte
}

// recordWriter runs a writer under strace and returns its calls in order.
func recordWriter(t *testing.T, dir string, limit int) []diskOp {
	t.Helper()
	trace := filepath.Join(fastDir(t), "trace")
	t.Setenv(limitEnv, strconv.Itoa(limit))
	cmd, out := startWriter(t, dir, strace(t), "-f", "-y", "-xx", "-s", "100000000", "-e", "signal=none",
		"-e", "trace=pwrite64,write,ftruncate,fdatasync,fsync", "-o", trace)
	readLines(out, func(string) {})
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the writer: %v", err)
	}
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ops, err := parseTrace(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		t.Fatalf("read trace: %v", err)
	}
	return ops
}

// parseTrace reads lines such as `123 pwrite64(5<path>, "bytes", 4096, 8192) = 4096`, and such that are in two parts because
// another thread came between: `123 fdatasync(5<path> <unfinished ...>` and `123 <... fdatasync resumed>) = 0`. A call counts from
// its end.
func parseTrace(r *bufio.Reader) ([]diskOp, error) {
	var ops []diskOp
	begun := make(map[string]string)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return ops, nil
		}
		pid, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		call = strings.TrimSpace(call)
		if head, ok := strings.CutSuffix(call, " <unfinished ...>"); ok {
			begun[pid] = head
			continue
		}
		if strings.HasPrefix(call, "<... ") {
			_, rest, _ := strings.Cut(call, " resumed>")
			call = begun[pid] + rest
			delete(begun, pid)
		}
		op, ok, err := parseCall(call)
		if err != nil {
			return nil, fmt.Errorf("%w in %.200q", err, line)
		}
		if ok {
			ops = append(ops, op)
		}
	}
}

func parseCall(call string) (op diskOp, ok bool, err error) {
	if strings.HasPrefix(call, "+++") || strings.HasPrefix(call, "---") {
		return op, false, nil // an exit or a signal
	}
	name, args, found := strings.Cut(call, "(")
	end := strings.LastIndex(args, ")") // blanks may follow, and the result
	if result := strings.TrimSpace(args[end+1:]); !found || end < 0 || !strings.HasPrefix(result, "= ") || strings.HasPrefix(result, "= -") {
		return op, false, errors.New("unknown call or failed call")
	}
	args = args[:end]
	fd, rest, _ := strings.Cut(args, ">")
	num, hexPath, _ := strings.Cut(fd, "<")
	path, err := unhex(hexPath)
	if err != nil {
		return op, false, err
	}
	op.file = filepath.Base(string(path))
	rest = strings.TrimPrefix(rest, ", ")
	switch name {
	case "write":
		op.kind = "say"
		_, text, _ := strings.Cut(rest, "\"")
		text, _, _ = strings.Cut(text, "\"")
		op.data, err = unhex(text)
		return op, num == "1", err
	case "fsync", "fdatasync":
		op.kind = "sync"
	case "ftruncate":
		op.kind = "truncate"
		op.at, err = strconv.ParseInt(rest, 10, 64)
	case "pwrite64":
		op.kind = "write"
		text, tail, _ := strings.Cut(strings.TrimPrefix(rest, "\""), "\", ")
		if op.data, err = unhex(text); err != nil {
			return op, false, err
		}
		var size int
		_, err = fmt.Sscanf(tail, "%d, %d", &size, &op.at)
		if err == nil && size != len(op.data) {
			err = fmt.Errorf("%d bytes of %d", len(op.data), size)
		}
	}
	return op, strings.HasSuffix(op.file, ".db"), err
}

// unhex decodes \x00\x01...
func unhex(s string) ([]byte, error) { return hex.DecodeString(strings.ReplaceAll(s, "\\x", "")) }

// disk is the state of the recorded files at a moment.
type disk struct {
	synced map[string][]byte
	later  map[string][]diskOp // not synced
	said   *confirmed
}

func (d *disk) apply(op diskOp) {
	switch op.kind {
	case "say":
		d.said.line(strings.TrimSpace(string(op.data)))
	case "sync":
		for _, w := range d.later[op.file] {
			d.synced[op.file] = put(d.synced[op.file], w)
		}
		d.later[op.file] = nil
	default:
		d.later[op.file] = append(d.later[op.file], op)
	}
}

func put(file []byte, w diskOp) []byte {
	size := w.at
	if w.kind == "write" {
		size += int64(len(w.data))
	}
	if int64(len(file)) < size {
		file = append(file, make([]byte, size-int64(len(file)))...)
	}
	if w.kind == "write" {
		copy(file[w.at:], w.data)
	}
	return file
}

// image is what may be in a file after the power failed.
func (d *disk) image(file string, mode string, r *rand.Rand) []byte {
	b := bytes.Clone(d.synced[file])
	for _, w := range d.later[file] {
		switch {
		case mode == "lost", mode == "random" && r.IntN(2) == 0:
		case mode == "torn" && w.kind == "write":
			for at := 0; at < len(w.data); at += 512 {
				if r.IntN(2) == 0 {
					b = put(b, diskOp{kind: "write", at: w.at + int64(at), data: w.data[at:min(at+512, len(w.data))]})
				}
			}
		default:
			b = put(b, w)
		}
	}
	return b
}

var powerModes = []string{"lost", "kept", "random", "torn"}

// TestPowerLoss rebuilds images of a writer's files and looks for everything that it was told is stored.
func TestPowerLoss(t *testing.T) {
	r := random(t)
	dir := t.TempDir()
	s := openStore(t, dir, small)
	appendWait(t, s, persistence.Record{Room: writerRoom(0), Pos: persistence.Position{Epoch: 1, Seq: 1}, Update: writerUpdate(writerRoom(0), 1)})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d := disk{synced: make(map[string][]byte), later: make(map[string][]diskOp), said: newConfirmed()}
	for _, name := range []string{"wal.db", "rooms.db"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		d.synced[name] = usedPart(b)
	}
	limit, images := 120, 160
	if *long {
		limit, images = 400, 2000
	}
	ops := recordWriter(t, dir, limit)
	points := make([]int, images)
	for i := range points {
		points[i] = r.IntN(len(ops))
	}
	slices.Sort(points)
	done := 0
	unsynced := make(map[string]int)
	for i, p := range points {
		for ; done < p; done++ {
			d.apply(ops[done])
		}
		mode := powerModes[i%len(powerModes)]
		work := fastDir(t)
		for name := range d.synced {
			if len(d.later[name]) > 0 {
				unsynced[mode]++
			}
			if err := os.WriteFile(filepath.Join(work, name), d.image(name, mode, r), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := persistence.Open(work, small)
		if err != nil {
			t.Fatalf("image %d, %s, after call %d of %d: Open = %v, want nil", i, mode, p, len(ops), err)
		}
		if err := d.said.check(s); err != nil {
			t.Errorf("image %d, %s, after call %d of %d: %v", i, mode, p, len(ops), err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("image %d: Close() = %v, want nil", i, err)
		}
		os.RemoveAll(work)
		if t.Failed() {
			t.FailNow()
		}
	}
	if len(d.said.errs) > 0 || d.said.total == 0 {
		t.Errorf("the writer confirmed %d records, errors %q", d.said.total, d.said.errs)
	}
	t.Logf("%d images of %d calls, with unsynced writes per mode %v, %d records confirmed, 0 lost",
		images, len(ops), unsynced, d.said.total)
}
