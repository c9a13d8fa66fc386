package persistence_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sync/errgroup"

	"weft/persistence"
)

// ms returns the q-th quantile in milliseconds.
func ms(d []time.Duration, q float64) float64 {
	slices.Sort(d)
	return float64(d[int(float64(len(d)-1)*q)].Microseconds()) / 1000
}

// syncTimes appends 200 bytes and syncs, n times: what this disk needs for one durable write.
func syncTimes(b *testing.B, dir string, n int) []time.Duration {
	b.Helper()
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var out []time.Duration
	for range n {
		start := time.Now()
		if _, err := f.Write(make([]byte, 200)); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		out = append(out, time.Since(start))
	}
	return out
}

func benchStore(b *testing.B, dir string) *persistence.Store {
	b.Helper()
	s, err := persistence.Open(filepath.Join(dir, "data"), small)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// BenchmarkAck appends 2,000 updates a second, evenly over 100 rooms, and reports how long they wait for their acknowledgement
// beside the disk's own time for one durable write: while nothing else happens, while two rooms at a time are being saved as fast as
// the store takes their snapshots of 200 KB, and while backups are taken without a pause.
func BenchmarkAck(b *testing.B) {
	b.Run("alone", func(b *testing.B) { benchAck(b, nil) })
	b.Run("saving", func(b *testing.B) { benchAck(b, saveAll) })
	b.Run("backup", func(b *testing.B) {
		benchAck(b, func(ctx context.Context, s *persistence.Store) error { return s.WriteTar(ctx, io.Discard) })
	})
}

const ackRooms = 100

func ackRoom(i int) string { return fmt.Sprint("room ", i%ackRooms) }

// saveAll saves all rooms once, two at a time.
func saveAll(ctx context.Context, s *persistence.Store) error {
	infos, err := s.Rooms(ctx, "", 0)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	for _, info := range infos {
		g.Go(func() error {
			err := s.Save(ctx, info.Room, persistence.Snapshot{Pos: info.Pos, State: make([]byte, 200_000)})
			if errors.Is(err, persistence.ErrStale) { // nothing was written since it was saved
				return nil
			}
			return err
		})
	}
	return g.Wait()
}

// benchAck runs beside again and again meanwhile.
func benchAck(b *testing.B, beside func(context.Context, *persistence.Store) error) {
	const rate = 2000
	dir := b.TempDir()
	syncs := syncTimes(b, dir, 500)
	s := benchStore(b, dir)
	ctx, stop := context.WithCancel(b.Context())
	passes := 0
	var running sync.WaitGroup
	if beside != nil {
		running.Go(func() { // ends with ctx
			for ; ctx.Err() == nil; passes++ {
				if err := beside(ctx, s); err != nil && ctx.Err() == nil {
					b.Error(err)
					return
				}
			}
		})
	}
	update := make([]byte, 60)
	var mu sync.Mutex
	var waits []time.Duration
	var wg sync.WaitGroup
	start := time.Now()
	n := 0
	for b.Loop() {
		due := start.Add(time.Duration(n) * time.Second / rate)
		time.Sleep(time.Until(due))
		r := persistence.Record{Room: ackRoom(n), Pos: persistence.Position{Epoch: 1, Seq: uint64(n/ackRooms + 1)}, Update: update}
		wg.Add(1)
		err := s.Append([]persistence.Record{r}, func(err error) {
			took := time.Since(due) // from when it was due: a late send counts as waiting
			mu.Lock()
			waits = append(waits, took)
			mu.Unlock()
			if err != nil {
				b.Error(err)
			}
			wg.Done()
		})
		if err != nil {
			b.Fatal(err)
		}
		n++
	}
	wg.Wait()
	b.ReportMetric(ms(waits, 0.5), "ack-p50-ms")
	b.ReportMetric(ms(waits, 0.99), "ack-p99-ms")
	b.ReportMetric(ms(syncs, 0.5), "fsync-p50-ms")
	b.ReportMetric(ms(syncs, 0.99), "fsync-p99-ms")
	b.ReportMetric(float64(n)/time.Since(start).Seconds(), "acks/s")
	stop()
	running.Wait()
	b.ReportMetric(float64(passes), "passes")
}

// BenchmarkAppend appends 60-byte updates to 1,000 rooms as fast as the queue takes them.
func BenchmarkAppend(b *testing.B) {
	dir := b.TempDir()
	syncs := syncTimes(b, dir, 200)
	s := benchStore(b, dir)
	rooms := make([]string, 1000)
	for i := range rooms {
		rooms[i] = fmt.Sprint("room ", i)
	}
	update := make([]byte, 60)
	var wg sync.WaitGroup
	b.ReportAllocs()
	n := 0
	start := time.Now()
	for b.Loop() {
		r := []persistence.Record{{Room: rooms[n%len(rooms)], Pos: persistence.Position{Epoch: 1, Seq: uint64(n + 1)}, Update: update}}
		wg.Add(1)
		for {
			err := s.Append(r, func(error) { wg.Done() })
			if err == nil {
				break
			}
			if !errors.Is(err, persistence.ErrFull) {
				b.Fatal(err)
			}
			<-s.Space()
		}
		n++
	}
	wg.Wait()
	b.ReportMetric(float64(n)/time.Since(start).Seconds(), "acks/s")
	b.ReportMetric(ms(syncs, 0.5), "fsync-p50-ms")
}

// BenchmarkSave saves snapshots of 20 KB of 100 rooms, 8 at a time.
func BenchmarkSave(b *testing.B) {
	s := benchStore(b, b.TempDir())
	state := make([]byte, 20_000)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	n := 0
	for b.Loop() {
		slots <- struct{}{}
		n++
		wg.Go(func() {
			defer func() { <-slots }()
			snap := persistence.Snapshot{Pos: persistence.Position{Epoch: 1, Seq: uint64(n)}, State: state}
			if err := s.Save(b.Context(), fmt.Sprint("room ", n%100), snap); err != nil && !errors.Is(err, persistence.ErrStale) {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	b.SetBytes(int64(len(state)))
}

// BenchmarkFreelist shows what it costs to write the freelist of the log with every commit, by pages that are free: none, and as
// many as a log of 64 MiB leaves behind when it was shortened.
func BenchmarkFreelist(b *testing.B) {
	for _, free := range []int{0, 64 << 20} {
		for _, noSync := range []bool{false, true} {
			b.Run(fmt.Sprintf("free=%dMiB/NoFreelistSync=%v", free>>20, noSync), func(b *testing.B) {
				db, err := bolt.Open(filepath.Join(b.TempDir(), "log"), 0o600, &bolt.Options{
					FreelistType: bolt.FreelistMapType, NoFreelistSync: noSync, InitialMmapSize: 1 << 30, NoStatistics: true,
				})
				if err != nil {
					b.Fatal(err)
				}
				defer db.Close()
				bucket := []byte("w")
				put := func(lsn uint64, size int) {
					err := db.Update(func(tx *bolt.Tx) error {
						w, err := tx.CreateBucketIfNotExists(bucket)
						if err != nil {
							return err
						}
						w.FillPercent = 1
						return w.Put(binary.BigEndian.AppendUint64(nil, lsn), make([]byte, size))
					})
					if err != nil {
						b.Fatal(err)
					}
				}
				put(0, free)
				if err := db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucket).Delete(make([]byte, 8)) }); err != nil {
					b.Fatal(err)
				}
				var times []time.Duration
				lsn := uint64(1)
				for b.Loop() {
					start := time.Now()
					put(lsn, 500)
					times = append(times, time.Since(start))
					lsn++
				}
				b.ReportMetric(ms(times, 0.5), "p50-ms")
				b.ReportMetric(ms(times, 0.99), "p99-ms")
			})
		}
	}
}
