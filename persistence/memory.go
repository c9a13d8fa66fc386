package persistence

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a store that keeps the promises of Store without files, for tests: the same bounds, the same order of done
// functions, which run on a goroutine of its own, and faults on demand. It may be used inside a testing/synctest bubble.
type Memory struct {
	// Static after construction.
	opts  Options
	queue *queue
	stop  chan struct{} // closed by Close
	dead  chan struct{} // closed by Crash: nothing is answered any more
	wg    sync.WaitGroup
	once  sync.Once

	// Guarded by mu.
	mu      sync.Mutex
	rooms   map[string]*memoryRoom
	log     []memoryRun // in order, also those that a Save or Delete has made superfluous, until forget
	forgets int         // length of log from which forget is worth it
	lsn     uint64
	gen     uint64
	faults  Faults
	fence   error
	stalled error
	failed  error // what Close reports
}

// Faults are what a Memory can be told to do wrong. A nil function does nothing; they run on the store's goroutine or the
// caller's, may block, and must not call the Memory.
type Faults struct {
	// Commit is asked before each group commit, and again every 250 ms after it returned an error that is ErrDiskFull.
	// Any other error fences the store.
	Commit func(Commit) error
	// Save is asked before each Save; its error is returned, and one that is ErrFenced fences the store.
	Save func(room string) error
	// Load is asked before each Load; its error is returned.
	Load func(room string) error
}

type memoryRoom struct {
	snap   Snapshot
	gen    uint64
	saved  time.Time
	tail   []Record
	damage *DamageError
	life   uint64 // LSN with which the room began
}

// memoryRun is what a Memory remembers of the records of one room in one commit, for Backlog.
type memoryRun struct {
	room  string
	life  uint64
	last  Position
	bytes int64
	at    time.Time
}

// NewMemory returns an empty Memory. Close ends its goroutine.
func NewMemory(o Options) *Memory { return newMemory(o, make(map[string]*memoryRoom), nil, 0, 0) }

func newMemory(o Options, rooms map[string]*memoryRoom, log []memoryRun, lsn, gen uint64) *Memory {
	o = o.withDefaults()
	m := &Memory{
		opts:  o,
		queue: newQueue(o.QueueBytes),
		stop:  make(chan struct{}),
		dead:  make(chan struct{}),
		rooms: rooms,
		log:   log,
		lsn:   lsn,
		gen:   gen,
	}
	m.wg.Go(m.run)
	return m
}

// SetFaults replaces the faults from the next operation on.
func (m *Memory) SetFaults(f Faults) {
	m.mu.Lock()
	m.faults = f
	m.mu.Unlock()
}

// Damage sets the room aside as if its files were damaged.
func (m *Memory) Damage(room string) {
	d := &DamageError{Room: room, File: "memory", What: "damaged on demand"}
	m.mu.Lock()
	r := m.room(room)
	r.damage = d
	m.mu.Unlock()
	m.opts.Events.damaged(d)
}

// Crash ends m as a power cut would, without answering what is queued, and returns a Memory with what was durable.
func (m *Memory) Crash() *Memory {
	m.once.Do(func() {
		close(m.dead)
		m.queue.shut(ErrClosed)
		m.wg.Wait()
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	rooms := make(map[string]*memoryRoom, len(m.rooms))
	for name, r := range m.rooms {
		c := *r
		c.tail = slices.Clone(r.tail)
		rooms[name] = &c
	}
	return newMemory(m.opts, rooms, slices.Clone(m.log), m.lsn, m.gen)
}

// Append is Store.Append.
func (m *Memory) Append(recs []Record, done func(error)) error {
	m.mu.Lock()
	for _, r := range recs {
		if mr := m.rooms[r.Room]; mr != nil && mr.damage != nil {
			m.mu.Unlock()
			return mr.damage
		}
	}
	m.mu.Unlock()
	return m.queue.put(kindUpdate, recs, done)
}

// Space is Store.Space.
func (m *Memory) Space() <-chan struct{} { return m.queue.roomy() }

// Queued is Store.Queued.
func (m *Memory) Queued() int64 { return m.queue.queued() }

// Health is Store.Health.
func (m *Memory) Health() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fence != nil {
		return m.fence
	}
	return m.stalled
}

// Backlog is Store.Backlog. A Memory counts records that it need not keep out of LogBytes at once, and those of a room that is
// set aside as parked.
func (m *Memory) Backlog() Backlog {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	var b Backlog
	parked := make(map[string]bool)
	for _, r := range m.log {
		if m.rooms[r.room].damage != nil {
			b.ParkedBytes += r.bytes
			parked[r.room] = true
			continue
		}
		b.LogBytes += r.bytes
		if b.LogHolder == "" {
			b.LogHolder, b.LogAge = r.room, time.Since(r.at)
		}
	}
	b.ParkedRooms = len(parked)
	return b
}

// run is the committer.
func (m *Memory) run() {
	for {
		if m.ended(m.dead) {
			return
		}
		g := m.queue.take()
		if g != nil {
			m.commitGroup(g)
			continue
		}
		select {
		case <-m.queue.wake:
		case <-m.dead:
		case <-m.stop:
			if m.queue.queued() == 0 {
				return
			}
		}
	}
}

func (m *Memory) ended(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (m *Memory) commitGroup(g *group) {
	var stalledAt time.Time
	for {
		err := m.tryCommit(g)
		if m.ended(m.dead) {
			return
		}
		if err == nil {
			if !stalledAt.IsZero() {
				m.setStalled(nil)
				m.opts.Events.resumed(time.Since(stalledAt))
			}
			return
		}
		if !errors.Is(err, ErrDiskFull) {
			m.fenceOff(err)
			m.queue.finish(g, m.Health())
			m.queue.fail(m.Health())
			return
		}
		if stalledAt.IsZero() {
			stalledAt = time.Now()
			m.setStalled(err)
			m.opts.Events.stalled(err)
		}
		t := time.NewTimer(stallRetry)
		select {
		case <-t.C:
		case <-m.dead:
			return
		case <-m.stop:
			m.mu.Lock()
			m.failed = err
			m.mu.Unlock()
			m.queue.finish(g, err)
			m.queue.fail(err)
			return
		}
		t.Stop()
	}
}

// tryCommit makes the group part of the rooms unless a fault is wanted, and answers it.
func (m *Memory) tryCommit(g *group) error {
	m.mu.Lock()
	fault, err := m.faults.Commit, m.fence
	value, runs := seal(0).appendBatch(nil, nil, m.lsn+1, 0, g)
	c := Commit{LSN: m.lsn + 1, Rooms: len(runs), Records: len(g.refs), Bytes: len(value)}
	m.mu.Unlock()
	if err != nil {
		return err
	}
	if fault != nil {
		if err := fault(c); err != nil {
			return err
		}
	}
	if m.ended(m.dead) {
		return nil
	}
	m.mu.Lock()
	for _, r := range runs {
		m.store(r, value)
	}
	m.lsn++
	m.mu.Unlock()
	m.queue.finish(g, nil)
	m.opts.Events.committed(c)
	return nil
}

// store adds the records of a run to its room. mu is held.
func (m *Memory) store(r roomRun, value []byte) {
	if r.tomb {
		delete(m.rooms, r.room)
	}
	if r.count == 0 {
		return
	}
	mr := m.room(r.room)
	var err error
	if mr.tail, err = appendRun(mr.tail, value, r.room, r.run); err != nil {
		panic(err) // it was encoded a moment ago
	}
	if len(m.log) >= m.forgets {
		m.forget()
		m.forgets = 1000 + 2*len(m.log)
	}
	m.log = append(m.log, memoryRun{r.room, mr.life, r.last, int64(r.n), time.Now()})
}

// forget takes the runs out of the log that nobody needs. mu is held.
func (m *Memory) forget() {
	m.log = slices.DeleteFunc(m.log, func(r memoryRun) bool {
		mr := m.rooms[r.room]
		return mr == nil || mr.life != r.life || (mr.gen != 0 && r.last.Compare(mr.snap.Pos) <= 0)
	})
}

func (m *Memory) room(name string) *memoryRoom {
	r := m.rooms[name]
	if r == nil {
		r = &memoryRoom{life: m.lsn + 1}
		m.rooms[name] = r
	}
	return r
}

func (m *Memory) setStalled(err error) {
	m.mu.Lock()
	m.stalled = err
	m.mu.Unlock()
}

func (m *Memory) fenceOff(cause error) {
	m.mu.Lock()
	first := m.fence == nil
	if first {
		m.fence = cause
		if !errors.Is(cause, ErrFenced) {
			m.fence = fmt.Errorf("%w: %w", ErrFenced, cause)
		}
	}
	err := m.fence
	m.mu.Unlock()
	m.queue.shut(err)
	if first {
		m.opts.Events.fenced(err)
	}
}

// Load is Store.Load.
func (m *Memory) Load(ctx context.Context, room string) (Stored, error) {
	if err := m.ready(ctx, room); err != nil {
		return Stored{}, err
	}
	m.mu.Lock()
	fault := m.faults.Load
	m.mu.Unlock()
	if fault != nil {
		if err := fault(room); err != nil {
			return Stored{}, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rooms[room]
	if r == nil {
		return Stored{}, fmt.Errorf("load %q: %w", room, ErrNotFound)
	}
	if r.damage != nil {
		return Stored{}, r.damage
	}
	st := Stored{
		Snapshot: Snapshot{
			Pos:         r.snap.Pos,
			State:       slices.Clone(r.snap.State),
			StateVector: slices.Clone(r.snap.StateVector),
		},
		Pos: r.snap.Pos,
		Gen: r.gen,
	}
	for _, rec := range r.tail {
		rec.Update = slices.Clone(rec.Update)
		st.Tail = append(st.Tail, rec)
	}
	st.Tail = orderTail(st.Tail, st.Snapshot.Pos, r.gen != 0)
	if len(st.Tail) > 0 {
		st.Pos = st.Tail[len(st.Tail)-1].Pos
	}
	return st, nil
}

func (m *Memory) ready(ctx context.Context, room string) error {
	if err := checkRoomName(room); err != nil {
		return err
	}
	if m.ended(m.stop) || m.ended(m.dead) {
		return ErrClosed
	}
	return context.Cause(ctx)
}

// Save is Store.Save.
func (m *Memory) Save(ctx context.Context, room string, snap Snapshot) error {
	if err := m.ready(ctx, room); err != nil {
		return err
	}
	m.mu.Lock()
	fault := m.faults.Save
	m.mu.Unlock()
	if fault != nil {
		if err := fault(room); err != nil {
			if errors.Is(err, ErrFenced) {
				m.fenceOff(err)
			}
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fence != nil {
		return m.fence
	}
	r := m.room(room)
	if r.damage != nil {
		return r.damage
	}
	if r.gen != 0 && r.snap.Pos.Compare(snap.Pos) > 0 {
		return fmt.Errorf("save %q at %s over %s: %w", room, snap.Pos, r.snap.Pos, ErrStale)
	}
	m.gen++
	r.gen, r.saved = m.gen, time.Now()
	r.snap = Snapshot{Pos: snap.Pos, State: slices.Clone(snap.State), StateVector: slices.Clone(snap.StateVector)}
	r.tail = orderTail(r.tail, snap.Pos, true)
	m.opts.Events.checkpointed(Checkpoint{Room: room, Pos: snap.Pos, Bytes: len(snap.State)})
	return nil
}

// Delete is Store.Delete.
func (m *Memory) Delete(ctx context.Context, room string) error {
	if err := m.ready(ctx, room); err != nil {
		return err
	}
	m.mu.Lock()
	known := m.rooms[room] != nil
	m.mu.Unlock()
	if !known {
		return fmt.Errorf("delete %q: %w", room, ErrNotFound)
	}
	buried := make(chan error, 1)
	if err := m.queue.put(kindTombstone, []Record{{Room: room}}, func(err error) { buried <- err }); err != nil {
		return err
	}
	return <-buried
}

// Rooms is Store.Rooms.
func (m *Memory) Rooms(ctx context.Context, after string, limit int) ([]Info, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = roomsLimit
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var infos []Info
	for _, name := range slices.Sorted(maps.Keys(m.rooms)) {
		if name > after && len(infos) < limit {
			infos = append(infos, m.rooms[name].info(name))
		}
	}
	return infos, nil
}

func (r *memoryRoom) info(name string) Info {
	i := Info{Room: name, Pos: r.snap.Pos, Checkpoint: r.snap.Pos, Gen: r.gen, Size: int64(len(r.snap.State)), Saved: r.saved}
	for _, rec := range r.tail {
		i.LogRecords++
		i.LogBytes += int64(recordHead + len(name) + len(rec.Update) + recordTail)
		if rec.Pos.Compare(i.Pos) > 0 {
			i.Pos = rec.Pos
		}
	}
	if r.damage != nil {
		i.Damage = r.damage.Error()
	}
	return i
}

// Quarantined is Store.Quarantined.
func (m *Memory) Quarantined() []Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	var infos []Info
	for name, r := range m.rooms {
		if r.damage != nil {
			infos = append(infos, r.info(name))
		}
	}
	slices.SortFunc(infos, func(a, b Info) int { return strings.Compare(a.Room, b.Room) })
	return infos
}

// Close is Store.Close.
func (m *Memory) Close() error {
	m.once.Do(func() {
		m.queue.shut(ErrClosed)
		close(m.stop)
		m.wg.Wait()
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}
