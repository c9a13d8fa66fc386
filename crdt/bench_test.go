//go:build unix

package crdt_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// The benchmarks run on recorded sessions; `make bench-crdt` times yjs beside
// them. They report CPU time beside the clock's: on a machine that has other
// work it is what can be compared.

func eachStream(b *testing.B, f func(*testing.B, *crdttest.Stream)) {
	for _, info := range crdttest.Streams(b) {
		b.Run(info.Name, func(b *testing.B) { f(b, info.Load(b)) })
	}
}

// BenchmarkStream applies a session update by update, as a server receives it.
func BenchmarkStream(b *testing.B) {
	eachStream(b, func(b *testing.B, s *crdttest.Stream) {
		loop(b, func() { replay(b, s) })
	})
}

// replay applies all updates of a session to a new document.
func replay(b *testing.B, s *crdttest.Stream) *crdt.Doc {
	d := crdt.New(crdt.Options{})
	for _, u := range s.Updates {
		if _, err := d.Apply(u, crdt.V1); err != nil {
			b.Fatal(err)
		}
	}
	return d
}

func BenchmarkLoadV1(b *testing.B) { benchmarkLoad(b, crdt.V1) }
func BenchmarkLoadV2(b *testing.B) { benchmarkLoad(b, crdt.V2) }

func benchmarkLoad(b *testing.B, v crdt.Version) {
	eachStream(b, func(b *testing.B, s *crdttest.Stream) {
		state := s.V1
		if v == crdt.V2 {
			state = s.V2
		}
		loop(b, func() { loadState(b, state, v) })
	})
}

// loadState returns a new document with a state.
func loadState(b *testing.B, state []byte, v crdt.Version) *crdt.Doc {
	d := crdt.New(crdt.Options{})
	if _, err := d.Load(state, v); err != nil {
		b.Fatal(err)
	}
	return d
}

func BenchmarkEncodeV1(b *testing.B) { benchmarkEncode(b, crdt.V1) }
func BenchmarkEncodeV2(b *testing.B) { benchmarkEncode(b, crdt.V2) }

func benchmarkEncode(b *testing.B, v crdt.Version) {
	eachStream(b, func(b *testing.B, s *crdttest.Stream) {
		d := loadState(b, s.V1, crdt.V1)
		dst := make([]byte, 0, len(s.V1)*2)
		loop(b, func() { dst = d.AppendDiff(dst[:0], nil, v) })
	})
}

// BenchmarkHeap reports the heap that a document holds: once it was loaded,
// and once it has received a whole session.
func BenchmarkHeap(b *testing.B) {
	eachStream(b, func(b *testing.B, s *crdttest.Stream) {
		var loaded, received uint64
		for b.Loop() {
			loaded += held(func() *crdt.Doc { return loadState(b, s.V1, crdt.V1) })
			received += held(func() *crdt.Doc { return replay(b, s) })
		}
		b.ReportMetric(float64(loaded)/float64(b.N)/1000, "kB-loaded")
		b.ReportMetric(float64(received)/float64(b.N)/1000, "kB-received")
	})
}

// held returns what the heap has grown by for a document.
func held(open func() *crdt.Doc) uint64 {
	before := heap()
	d := open()
	size := heap() - before
	runtime.KeepAlive(d)
	return size
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
	runtime.GC()
	b.Run("b4", func(b *testing.B) {
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
	})
}

// BenchmarkCold holds rooms of the size of b4 as bytes only and wakes one after the other.
func BenchmarkCold(b *testing.B) {
	s := loadStream(b, "b4")
	b.Run("b4", func(b *testing.B) {
		const rooms = 1000
		before := heap()
		cold := make([][]byte, rooms)
		for i := range cold {
			cold[i] = loadState(b, s.V1, crdt.V1).AppendDiff(nil, nil, crdt.V2)
			cold[i] = append(make([]byte, 0, len(cold[i])), cold[i]...)
		}
		held := heap() - before
		next := 0
		loop(b, func() {
			loadState(b, cold[next], crdt.V2)
			next = (next + 1) % rooms
		})
		b.ReportMetric(float64(held)/1e6, "MB-held")
	})
}

// BenchmarkConcurrent applies 20,000 inserts of as many authors at one place, in any order.
func BenchmarkConcurrent(b *testing.B) {
	b.Run("20000", func(b *testing.B) {
		first, inserts := concurrent(20_000)
		rand.New(rand.NewPCG(1, 1)).Shuffle(len(inserts), func(i, j int) { inserts[i], inserts[j] = inserts[j], inserts[i] })
		loop(b, func() {
			d := crdt.New(crdt.Options{})
			for _, u := range append([][]byte{first}, inserts...) {
				if _, err := d.Apply(u, crdt.V1); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// BenchmarkMerge merges the beginning of a session and all of it.
func BenchmarkMerge(b *testing.B) {
	s := loadStream(b, "b4")
	for _, n := range []int{8_000, 16_000, len(s.Updates)} {
		b.Run(fmt.Sprint("b4-", n), func(b *testing.B) {
			loop(b, func() {
				if _, err := crdt.MergeUpdates(crdt.V1, s.Updates[:n]...); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}
