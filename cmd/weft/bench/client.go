package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// client is one connection of the run. It keeps no document: what it receives is read, checked against what was
// written and counted.
type client struct {
	// Static after construction.
	crew    *crew
	number  int
	room    *chatRoom
	writes  *writer // what it writes as; nil: it only reads
	person  *person // its presence; nil: it shows none
	slow    bool    // its latencies do not count
	prefix  []byte
	vector  []byte              // what it asks with for what it does not have; nil: it has nothing
	whole   func(update []byte) // takes updates instead of the ledger; nil: the ledger does
	noteRun func(run)           // c.enter
	sock    *socket

	synced     chan struct{} // closed at the first step 2
	syncedAt   time.Time     // valid when synced is closed
	hasSynced  bool          // owned by the reader
	stopped    atomic.Bool   // the reader is to wait for resume
	resume     chan struct{}
	gone       chan struct{} // closed when the reader has ended
	finished   atomic.Bool   // the end of the connection is our own doing
	failure    error         // why the connection ended; valid when gone is closed
	have       atomic.Int64  // clocks of others that it has without a gap
	messages   atomic.Int64  // data messages received
	bytes      atomic.Int64  // payload of those
	asked      atomic.Int64  // messages that the server is to confirm
	confirmed  atomic.Int64
	duplicates atomic.Int64 // structs that it had already

	// Owned by the reader.
	ledger  ledger
	now     time.Time // when the message at hand came
	shard   *meterShard
	newRuns []arrived
	states  int64 // of others that it was shown

	// Guarded by out.
	out     sync.Mutex
	frames  []byte
	payload []byte
	records int64 // that were written
	turn    *turn // of what write sends; nil: nothing
}

// arrived is clocks of a writer that were completed by the update at hand.
type arrived struct {
	w           *writer
	first, last int64
}

// dialAndSync connects the client and says what a provider says first. It returns before the answer has come; the
// reader runs from then on.
func (c *client) dialAndSync(ctx context.Context) error {
	r := c.crew.runner
	address, err := r.dialect.address(r.o.URL, c.room.name, r.o.Token)
	if err != nil {
		return err
	}
	d := r.dialer
	if c.slow {
		d.readBuffer = slowBuffer
	}
	if c.sock, err = d.dial(ctx, address); err != nil {
		return err
	}
	c.out.Lock()
	defer c.out.Unlock()
	c.frames = c.frames[:0]
	for _, h := range r.dialect.hello(c.room.name, r.o.Token) {
		c.frames = c.sock.appendFrame(c.frames, opBinary, h)
	}
	if c.vector == nil {
		c.add(step1, []byte{0})
	} else {
		c.add(step1, c.vector)
	}
	if c.person != nil {
		c.payload = c.person.next(c.payload[:0])
		c.add(awareness, c.payload)
	}
	if err := c.flush(); err != nil {
		_ = c.sock.nc.Close() // err is what went wrong
		return err
	}
	c.crew.readers.Go(c.read)
	return nil
}

// add appends the frame of a message to those that flush writes. It must be called under out.
func (c *client) add(k kind, body []byte) {
	var head [1 << 8]byte
	h := append(head[:0], c.prefix...)
	h = appendHead(h, k, len(body))
	c.frames = c.sock.appendFrame(c.frames, opBinary, h, body)
	if k == update || k == step2 {
		c.asked.Add(1)
	}
}

// flush writes what was added. It must be called under out.
func (c *client) flush() error {
	_, err := c.sock.nc.Write(c.frames)
	c.frames = c.frames[:0]
	if cap(c.frames) > keptBuffer {
		c.frames = nil
	}
	return err
}

// send writes one message.
func (c *client) send(k kind, body []byte) error {
	c.out.Lock()
	defer c.out.Unlock()
	c.add(k, body)
	return c.flush()
}

// maxBatch bounds what a writer that is late puts into one Write; in bytes, about.
const maxBatch = 256 << 10

// write sends what is due until the crew or the connection ends.
func (c *client) write() {
	for {
		select {
		case <-c.turn.kick:
		case <-c.gone:
			return
		case <-c.crew.ending:
			return
		}
		for c.records < c.turn.due.Load() {
			if err := c.writeDue(); err != nil {
				return // the reader tells why
			}
		}
	}
}

// writeDue writes what is due, each record as a message of its own, in one Write.
func (c *client) writeDue() error {
	c.out.Lock()
	defer c.out.Unlock()
	for due := c.turn.due.Load(); c.records < due && len(c.frames) < maxBatch; c.records++ {
		if w := c.writes; w != nil {
			c.payload = appendUpdate(c.payload[:0], w.id, w.root, c.records*w.size, w.size)
			c.add(update, c.payload)
		} else {
			c.payload = c.person.next(c.payload[:0])
			c.add(awareness, c.payload)
		}
	}
	if c.writes != nil {
		c.writes.sent.Store(c.records * c.writes.size) // before it is sent: nobody may have it earlier
	}
	return c.flush()
}

// read is the reader goroutine: it takes messages until the connection ends.
func (c *client) read() {
	defer close(c.gone)
	for {
		if c.stopped.Load() {
			select {
			case <-c.resume:
			case <-c.crew.ending:
			}
		}
		message, answer, err := c.sock.next()
		if err == nil && answer != nil {
			err = c.reply(answer)
		} else if err == nil {
			c.now = time.Now()
			err = c.take(message)
		}
		if err != nil {
			c.ended(err)
			return
		}
	}
}

// ended notes why the connection ended.
func (c *client) ended(err error) {
	c.failure = err
	_ = c.sock.nc.Close() // err is what went wrong
	if c.finished.Load() || c.slow && !errors.Is(err, errMessage) {
		return // a server may give up a client that does not read; the scenario asks
	}
	which := lost
	if errors.Is(err, errMessage) {
		which = unreadable
	}
	c.crew.faults.add(which, "client %d in %s: %v", c.number, c.room.name, err)
}

// reply writes a frame as it is.
func (c *client) reply(frame []byte) error {
	c.out.Lock()
	defer c.out.Unlock()
	c.frames = append(c.frames, frame...)
	return c.flush()
}

// take handles one message. Its error ends the connection.
func (c *client) take(message []byte) error {
	c.messages.Add(1)
	c.bytes.Add(int64(len(message)))
	rest, err := cutPrefix(message, c.prefix)
	if err != nil {
		return err
	}
	k, body, err := c.crew.runner.dialect.read(rest)
	if err != nil {
		return fmt.Errorf("%w: %w", errMessage, err)
	}
	switch k {
	case step1:
		return c.tell(body)
	case step2, update:
		if err := c.takeUpdate(body); err != nil {
			return fmt.Errorf("%w: %w", errMessage, err)
		}
		if k == step2 && !c.hasSynced {
			c.hasSynced, c.syncedAt = true, c.now
			close(c.synced)
		}
	case awareness:
		if c.person != nil {
			return c.person.take(c, body)
		}
	case query:
		if c.person != nil {
			c.out.Lock()
			defer c.out.Unlock()
			c.payload = c.person.again(c.payload[:0])
			c.add(awareness, c.payload)
			return c.flush()
		}
	case saved:
		c.confirmed.Add(1)
	case refused:
		return fmt.Errorf("refused: %q", body)
	}
	return nil
}

// tell answers a state vector with what this client has written and the server lacks, as Yjs does.
func (c *client) tell(vector []byte) error {
	c.out.Lock()
	defer c.out.Unlock()
	c.payload = c.payload[:0]
	if w := c.writes; w != nil {
		known, err := clockIn(vector, w.id)
		if err != nil {
			return fmt.Errorf("%w: %w", errMessage, err)
		}
		sent := w.sent.Load()
		if known > sent {
			c.crew.faults.add(invented, "%s: the server knows %d clocks of writer %d, who wrote %d", c.room.name, known, w.index, sent)
		}
		c.payload = appendUpdate(c.payload, w.id, w.root, known, max(sent-known, 0))
	} else {
		c.payload = append(c.payload, 0, 0)
	}
	c.add(step2, c.payload)
	return c.flush()
}

// takeUpdate enters an update into the ledger and records how late its records are.
func (c *client) takeUpdate(body []byte) error {
	if c.whole != nil {
		c.whole(body)
		return nil
	}
	c.newRuns = c.newRuns[:0]
	wrong, err := readUpdate(body, c.noteRun)
	if err != nil {
		return err
	}
	if wrong != "" {
		c.crew.faults.add(invented, "client %d in %s was sent %s", c.number, c.room.name, wrong)
	}
	if len(c.newRuns) == 0 {
		return nil
	}
	var fresh int64
	for _, a := range c.newRuns {
		fresh += a.last - a.first
	}
	if s := c.crew.schedule.Load(); s != nil && !c.slow {
		now := c.now.Sub(s.start)
		c.shard.mu.Lock()
		for _, a := range c.newRuns {
			for record := a.first / a.w.size; record < a.last/a.w.size; record++ {
				if record >= s.first {
					c.shard.record(now - s.offset(&a.w.turn, record))
				}
			}
		}
		c.shard.mu.Unlock()
	}
	c.have.Add(fresh)
	return nil
}

// enter notes one run of an update.
func (c *client) enter(r run) {
	w := c.room.writer(r.id)
	if w == nil || r.clock+r.n > w.sent.Load() {
		c.crew.faults.add(invented, "client %d in %s was sent clocks %d to %d of client %d, which nobody wrote", c.number, c.room.name, r.clock, r.clock+r.n, r.id)
		return
	}
	if w == c.writes {
		return // an echo
	}
	first, last, gap := c.ledger.note(w.index, r.clock, r.n)
	switch {
	case gap:
		c.crew.faults.add(gaps, "client %d in %s was sent clock %d of writer %d before clock %d", c.number, c.room.name, r.clock, w.index, first)
	case first == last:
		c.duplicates.Add(1)
	default:
		c.newRuns = append(c.newRuns, arrived{w, first, last})
	}
}

// complete tells whether the client has everything of everybody else, and whether all its own was confirmed.
func (c *client) complete() (all, confirmed bool) {
	all = c.have.Load() == c.room.written(c.writes)
	if c.person != nil {
		all = all && c.person.sees(c.room)
	}
	confirmed = !c.crew.runner.dialect.confirms() || c.confirmed.Load() >= c.asked.Load()
	return all, confirmed
}

// hangUp closes the connection from our side.
func (c *client) hangUp() {
	if c.finished.Swap(true) || c.sock == nil {
		return
	}
	_ = c.sock.nc.SetWriteDeadline(time.Now().Add(goodbyeTime)) // a write that waits for the server gives up
	c.out.Lock()
	defer c.out.Unlock()
	c.frames = c.sock.appendFrame(c.frames[:0], opClose, []byte{1000 >> 8, 1000 & 0xff})
	_ = c.flush()         // a server that does not read is left without
	_ = c.sock.nc.Close() // what is left of it does not matter
}

// goodbyeTime bounds the writing of a close frame.
const goodbyeTime = 100 * time.Millisecond

// isGone tells whether the connection has ended.
func (c *client) isGone() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}
