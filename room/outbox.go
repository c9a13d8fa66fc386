package room

import "sync"

// Outbox is the bounded queue between rooms and the writer of one conn. It
// keeps the order in which payloads were offered and shares them: one payload
// may stand in a thousand outboxes and is never modified.
//
// The bound counts bytes: what is queued, and what the writer took and has not
// come back from. Its full case: document updates are refused, and the
// queued ones dropped, because the room can make up for them with one diff;
// states and diffs, one per session at a time, are taken until the bound is passed,
// so that a joiner gets a state larger than the bound, and then wait until all has
// been written, so that many sessions of one conn cost no more than one; other
// answers are bounded elsewhere and always taken.
//
// The writer's part: once wake was called, call Take and write what it returns,
// until it returns nothing; that last call is what tells rooms that everything
// was written. wake is not called between its call and that last Take, so it may
// start a goroutine that lives exactly as long as there is something to write.
type Outbox struct {
	// Static after construction.
	limit int
	wake  func()

	// Guarded by mu.
	mu      sync.Mutex
	queue   []parcel
	queued  int  // bytes in queue
	writing int  // bytes that the last Take handed out
	awake   bool // wake was called and Take has not returned nothing since
	closed  bool
	waiting []func() // called when everything was written
	inline  [2]parcel
}

// parcel is one queued payload.
type parcel struct {
	payload []byte
	from    *Session // whose document update it is; nil for what is never dropped
	frame   uint64   // the number of the update in the session's room, from 1
	bytes   int      // of the update in the payload
}

// defaultOutboxBytes bounds an outbox: a tenth of a second of a fast link, and
// a thousand outboxes of lagging readers stay below a gigabyte. Guessed.
const defaultOutboxBytes = 1 << 20

// parcelCost is what a queued payload costs beside its bytes.
const parcelCost = 32 // bytes

// keptParcels is the longest queue whose memory survives a drain, so that a
// conn which was busy once does not hold a large queue for ever.
const keptParcels = 32

// NewOutbox returns an empty outbox bounded to limit bytes (0: 1 MiB). wake is
// called, from goroutines of rooms, when there is something to write and the
// writer rests; it must not block and must not call back into the outbox.
func NewOutbox(limit int, wake func()) *Outbox {
	if limit == 0 {
		limit = defaultOutboxBytes
	}
	o := &Outbox{limit: limit, wake: wake}
	o.queue = o.inline[:0]
	return o
}

// Take appends all queued payloads to dst in order and returns it. The payloads
// are shared: they must not be modified. The call says that everything taken
// before has been written; when it returns nothing more, the writer may rest
// until wake is called. Only the conn's writer calls it.
func (o *Outbox) Take(dst [][]byte) [][]byte {
	o.mu.Lock()
	for i := range o.queue {
		dst = append(dst, o.queue[i].payload)
	}
	idle := len(o.queue) == 0
	o.writing, o.queued = o.queued, 0
	clear(o.queue) // the payloads are the writer's now
	if cap(o.queue) > keptParcels {
		o.queue = o.inline[:0]
	}
	o.queue = o.queue[:0]
	var waiting []func()
	if idle {
		o.awake = false
		waiting, o.waiting = o.waiting, nil
	}
	o.mu.Unlock()

	for _, drained := range waiting {
		drained()
	}
	return dst
}

// Close drops what is queued and everything offered from now on. The conn calls
// it when it ends; calling it again does nothing.
func (o *Outbox) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.queue, o.queued, o.writing, o.waiting = nil, 0, 0, nil
}

// Size returns the bytes that are queued or being written.
func (o *Outbox) Size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queued + o.writing
}

// Offer queues a payload of the conn itself behind everything offered before. It
// is never dropped, so the caller bounds what it offers; nobody may modify it
// afterwards. A closed outbox takes and forgets it.
func (o *Outbox) Offer(payload []byte) { o.offer(payload) }

// offer queues a payload that is never dropped.
func (o *Outbox) offer(payload []byte) {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return
	}
	o.push(parcel{payload: payload})
	o.wakeAndUnlock()
}

// offerAnswer queues the payloads of a state or diff, all or none, and reports
// whether they were taken: they are not when the outbox is over its bound already.
// They are never dropped. A closed outbox takes and forgets them.
func (o *Outbox) offerAnswer(payloads ...[]byte) bool {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return true
	}
	if o.queued+o.writing > o.limit {
		o.mu.Unlock()
		return false
	}
	for _, p := range payloads {
		o.push(parcel{payload: p})
	}
	o.wakeAndUnlock()
	return true
}

// offerIfRoom queues payloads that can be made up for later, all or none, and
// reports whether the bound allowed it. A closed outbox takes everything.
func (o *Outbox) offerIfRoom(payloads [][]byte) bool {
	cost := len(payloads) * parcelCost
	for _, p := range payloads {
		cost += len(p)
	}
	return o.offerAll(payloads, nil, cost, nil, 0)
}

// offerUpdates queues document updates of a session, all or none, which cost
// that many bytes together; the first has the number frame, and sizes are the
// bytes of the updates in them. It reports whether the bound allowed it.
func (o *Outbox) offerUpdates(payloads [][]byte, sizes []int, cost int, s *Session, frame uint64) bool {
	return o.offerAll(payloads, sizes, cost, s, frame)
}

func (o *Outbox) offerAll(payloads [][]byte, sizes []int, cost int, s *Session, frame uint64) bool {
	o.mu.Lock()
	if o.closed { // the conn is ending: nothing to make up for
		o.mu.Unlock()
		return true
	}
	if used := o.queued + o.writing; used > 0 && used+cost > o.limit {
		o.mu.Unlock()
		return false
	}
	for i, p := range payloads {
		parcel := parcel{payload: p, from: s, frame: frame + uint64(i)}
		if sizes != nil {
			parcel.bytes = sizes[i]
		}
		o.push(parcel)
	}
	o.wakeAndUnlock()
	return true
}

// push queues p. Called with mu held.
func (o *Outbox) push(p parcel) {
	o.queue = append(o.queue, p)
	o.queued += len(p.payload) + parcelCost
}

// wakeAndUnlock wakes the writer if it rests. Called with mu held.
func (o *Outbox) wakeAndUnlock() {
	rests := !o.awake
	o.awake = true
	o.mu.Unlock()
	if rests && o.wake != nil {
		o.wake()
	}
}

// dropUpdates removes the queued document updates of a session and returns the
// lowest number among them, 0 when there are none, and their bytes.
func (o *Outbox) dropUpdates(s *Session) (lowest uint64, bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	kept := o.queue[:0]
	for _, p := range o.queue {
		if p.from != s {
			kept = append(kept, p)
			continue
		}
		if lowest == 0 {
			lowest = p.frame
		}
		o.queued -= len(p.payload) + parcelCost
		bytes += p.bytes
	}
	clear(o.queue[len(kept):])
	o.queue = kept
	return lowest, bytes
}

// whenDrained has f called, by the writer, when everything offered until then is
// written; at once when nothing is under way. f must not block. It returns
// false when the outbox is closed: f is not called then.
func (o *Outbox) whenDrained(f func()) bool {
	o.mu.Lock()
	switch {
	case o.closed:
		o.mu.Unlock()
		return false
	case o.awake:
		o.waiting = append(o.waiting, f)
		o.mu.Unlock()
	default:
		o.mu.Unlock()
		f()
	}
	return true
}

// excess returns by how many bytes the outbox is over its bound.
func (o *Outbox) excess() int { return max(0, o.Size()-o.limit) }
