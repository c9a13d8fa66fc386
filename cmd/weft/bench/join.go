package bench

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"weft/crdt"
)

// Join is what it costs to open a large document.
type Join struct {
	Document   int     `json:"document_bytes"`
	Joins      int     `json:"joins"`
	CPUEachMS  float64 `json:"server_cpu_ms_each"`
	Synced     Latency `json:"synced"`  // from the connection's start to the whole document
	AtOnce     int     `json:"at_once"` // joins at one moment
	AtOnceSecs float64 `json:"at_once_seconds"`
	BytesEach  int64   `json:"bytes_each"` // received by a client
	load
}

// joinsAtOnce is how many clients join together at the end.
const joinsAtOnce = 50

// join puts a document into a room and has clients open it, one after the other, then some at once.
func (r *runner) join(ctx context.Context, result *Result) error {
	document, err := r.document()
	if err != nil {
		return err
	}
	c := r.newCrew()
	defer c.end()
	rooms, _ := newRooms(r.roomPrefix(), 1, 0, 1)
	j := &joiner{crew: c, room: rooms[0], document: document}
	author, err := j.upload(ctx)
	if err != nil {
		return err
	}
	n := or(r.o.Clients, 200)
	out := &Join{Document: len(document), Joins: n, AtOnce: joinsAtOnce}
	result.Join = out
	w, err := r.watch()
	if err != nil {
		return err
	}
	for i := range n {
		k, err := j.open(ctx)
		if err != nil {
			return fmt.Errorf("join %d: %w", i, err)
		}
		out.BytesEach = k.bytes.Load()
		k.hangUp()
	}
	if out.load, err = w.stop(); err != nil {
		return err
	}
	out.CPUEachMS = out.cpu.Seconds() * 1000 / float64(n)
	out.Synced = c.meter.summary()
	if out.AtOnceSecs, err = j.together(ctx); err != nil {
		return err
	}
	author.hangUp()
	result.Faults = c.faults.sum()
	r.progress("%d joins, server %.2f ms each, p50 %.1f ms", n, out.CPUEachMS, out.Synced.P50)
	return nil
}

// joiner opens the document of one room.
type joiner struct {
	crew     *crew
	room     *chatRoom
	document []byte
	good     atomic.Pointer[[]byte] // an update that brings the document, once one was looked at
}

// upload sends the document and waits until another client can open it.
func (j *joiner) upload(ctx context.Context) (*client, error) {
	author := j.crew.newClient(j.room, nil, nil)
	author.whole = func([]byte) {}
	if err := j.crew.connect(ctx, []*client{author}, 1); err != nil {
		return nil, err
	}
	if err := author.send(update, j.document); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(j.crew.runner.o.Patience); ; {
		k, err := j.dial(ctx)
		if err != nil {
			return nil, err
		}
		whole := k.brought.Load()
		k.hangUp()
		if whole {
			j.crew.meter.reset()
			return author, nil
		}
		if !time.Now().Before(deadline) {
			return nil, fmt.Errorf("the server has not taken the document of %d bytes within %v", len(j.document), j.crew.runner.o.Patience)
		}
		if err := sleep(ctx, settleEvery); err != nil {
			return nil, err
		}
	}
}

// visit is a client that opens the document.
type visit struct {
	*client
	brought *atomic.Bool // its first step 2 was the whole document
}

// visit adds a client that is to open the document.
func (j *joiner) visit() visit {
	v := visit{j.crew.newClient(j.room, nil, nil), new(atomic.Bool)}
	v.whole = func(update []byte) {
		if !v.hasSynced && j.brings(update) {
			v.brought.Store(true)
		}
	}
	return v
}

// dial opens the document and records how long that took.
func (j *joiner) dial(ctx context.Context) (visit, error) {
	v := j.visit()
	began := time.Now()
	if err := j.crew.connectOne(ctx, v.client); err != nil {
		return v, err
	}
	v.shard.mu.Lock()
	v.shard.record(v.syncedAt.Sub(began))
	v.shard.mu.Unlock()
	return v, nil
}

// open is dial, of which a document that is not whole is a fault.
func (j *joiner) open(ctx context.Context) (visit, error) {
	v, err := j.dial(ctx)
	if err == nil && !v.brought.Load() {
		j.crew.faults.add(missing, "client %d did not get the whole document", v.number)
	}
	return v, err
}

// brings tells whether an update is the whole document. Most servers send the same bytes each time, so that it is looked
// into once.
func (j *joiner) brings(update []byte) bool {
	if good := j.good.Load(); good != nil && bytes.Equal(*good, update) {
		return true
	}
	whole, err := crdt.UpdateContains(update, j.document, crdt.V1)
	if err != nil {
		j.crew.faults.add(unreadable, "a document was sent that is none: %v", err)
	}
	if !whole {
		return false
	}
	keep := bytes.Clone(update)
	j.good.Store(&keep)
	return true
}

// together has clients join at one moment and returns the seconds until the last one has the document.
func (j *joiner) together(ctx context.Context) (float64, error) {
	began := time.Now()
	visits := make([]visit, joinsAtOnce)
	errs := make(chan error, joinsAtOnce)
	for i := range visits {
		visits[i] = j.visit()
	}
	var wg sync.WaitGroup
	for _, v := range visits {
		wg.Go(func() { errs <- j.crew.connectOne(ctx, v.client) })
	}
	var failed error
	wg.Wait()
	for range visits {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	seconds := time.Since(began).Seconds()
	for _, v := range visits {
		if failed == nil && !v.brought.Load() {
			j.crew.faults.add(missing, "client %d did not get the whole document", v.number)
		}
		v.hangUp()
	}
	return seconds, failed
}
