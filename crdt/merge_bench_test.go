package crdt_test

import (
	"fmt"
	"testing"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// loadStream returns the recorded stream of that name.
func loadStream(b *testing.B, name string) *crdttest.Stream {
	b.Helper()
	for _, info := range crdttest.Streams(b) {
		if info.Name == name {
			return info.Load(b)
		}
	}
	b.Skipf("no recorded stream %s", name)
	return nil
}

// BenchmarkMergeUpdates merges the beginning of a session of one author, b4,
// and of many, b4-sessions260: its time per update must not grow with their number.
func BenchmarkMergeUpdates(b *testing.B) {
	for _, name := range []string{"b4", "b4-sessions260"} {
		s := loadStream(b, name)
		for _, n := range []int{1 << 10, 8 << 10, 32 << 10, len(s.Updates)} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				size := 0
				for _, u := range s.Updates[:n] {
					size += len(u)
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := crdt.MergeUpdates(crdt.V1, s.Updates[:n]...); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/update")
			})
		}
	}
}

// BenchmarkMergeUpdatesTied merges a log with one range that another update
// has as an item, for which the sorts of yjs are repeated.
func BenchmarkMergeUpdatesTied(b *testing.B) {
	for _, n := range []int{1 << 10, 8 << 10, 32 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var updates [][]byte
			for i := range n {
				updates = append(updates, append(appendSection([]byte{1}, 7, uint64(i), []piece{{4, 1}}), 0))
			}
			updates = append(updates, append(appendSection([]byte{1}, 7, uint64(n)/2, []piece{{0, 1}}), 0))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := crdt.MergeUpdates(crdt.V1, updates...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDiffUpdate cuts the first half of each author's clocks off a whole state.
func BenchmarkDiffUpdate(b *testing.B) {
	eachStream(b, func(b *testing.B, s *crdttest.Stream) {
		since, err := crdt.DecodeStateVector(s.SV)
		if err != nil {
			b.Fatal(err)
		}
		for i := range since {
			since[i].Next /= 2
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := crdt.DiffUpdate(s.V1, since, crdt.V1); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkStateVectorOf reads the state vector off a whole state.
func BenchmarkStateVectorOf(b *testing.B) {
	eachStream(b, func(b *testing.B, s *crdttest.Stream) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := crdt.StateVectorOf(s.V1, crdt.V1); err != nil {
				b.Fatal(err)
			}
		}
	})
}
