package crdt_test

import (
	"runtime"
	"testing"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// The benchmarks run on recorded sessions; `make bench-crdt` times yjs beside them.

func eachStream(b *testing.B, f func(*testing.B, *crdttest.Stream)) {
	for _, info := range crdttest.Streams(b) {
		b.Run(info.Name, func(b *testing.B) { f(b, info.Load(b)) })
	}
}

// BenchmarkStream applies a session update by update, as a server receives it.
func BenchmarkStream(b *testing.B) {
	eachStream(b, func(b *testing.B, s *crdttest.Stream) {
		loop(b, func() {
			d := crdt.New(crdt.Options{})
			for _, u := range s.Updates {
				if _, err := d.Apply(u, crdt.V1); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func BenchmarkLoadV1(b *testing.B) { benchmarkLoad(b, crdt.V1) }
func BenchmarkLoadV2(b *testing.B) { benchmarkLoad(b, crdt.V2) }

func benchmarkLoad(b *testing.B, v crdt.Version) {
	eachStream(b, func(b *testing.B, s *crdttest.Stream) {
		state := s.V1
		if v == crdt.V2 {
			state = s.V2
		}
		loop(b, func() {
			if _, err := crdt.New(crdt.Options{}).Load(state, v); err != nil {
				b.Fatal(err)
			}
		})
	})
}

func BenchmarkEncodeV1(b *testing.B) { benchmarkEncode(b, crdt.V1) }
func BenchmarkEncodeV2(b *testing.B) { benchmarkEncode(b, crdt.V2) }

func benchmarkEncode(b *testing.B, v crdt.Version) {
	eachStream(b, func(b *testing.B, s *crdttest.Stream) {
		d := crdt.New(crdt.Options{})
		if _, err := d.Load(s.V1, crdt.V1); err != nil {
			b.Fatal(err)
		}
		dst := make([]byte, 0, len(s.V1)*2)
		loop(b, func() { dst = d.AppendDiff(dst[:0], nil, v) })
	})
}

// BenchmarkHeap reports the heap that a document which received a whole session holds.
func BenchmarkHeap(b *testing.B) {
	eachStream(b, func(b *testing.B, s *crdttest.Stream) {
		var total uint64
		for b.Loop() {
			before := heap()
			d := crdt.New(crdt.Options{})
			for _, u := range s.Updates {
				if _, err := d.Apply(u, crdt.V1); err != nil {
					b.Fatal(err)
				}
			}
			total += heap() - before
			runtime.KeepAlive(d)
		}
		b.ReportMetric(float64(total)/float64(b.N)/1000, "kB/doc")
	})
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkLocal plays the edits of a recorded session by index, each its own transaction.
func BenchmarkLocal(b *testing.B) {
	edits := crdttest.Trace(b, "b4")
	loop(b, func() {
		d := crdt.New(crdt.Options{})
		for _, e := range edits {
			if _, err := d.Edit(func(tx *crdt.Tx) error {
				text := tx.Text("text")
				if err := text.Delete(e.Pos, e.Delete); err != nil {
					return err
				}
				return text.Insert(e.Pos, e.Insert)
			}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
