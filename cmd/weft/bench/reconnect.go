package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"weft/crdt"
)

// Reconnect is how a server bears that all its clients come back at one moment, because it was restarted or their
// network was gone.
type Reconnect struct {
	Connections int     `json:"connections"`
	Rooms       []Crowd `json:"rooms"`
	Killed      bool    `json:"killed"`             // the server was; otherwise everybody was cut off
	Down        float64 `json:"down_seconds"`       // from the cut until the server accepted the first connection
	Seconds     float64 `json:"seconds"`            // from then until the last client was synced
	SinceCut    float64 `json:"seconds_since_cut"`  // until then
	Synced      Latency `json:"synced"`             // from the first accepted connection to each client's sync
	Retries     int64   `json:"retries"`            // attempts that failed
	Refused     int64   `json:"refused"`            // of these: the server answered and said when to come again
	Again       int64   `json:"synced_with_vector"` // clients that asked for what they did not have; the others for everything
	load
}

// Crowd is rooms of one size.
type Crowd struct {
	Rooms    int `json:"rooms"`
	Clients  int `json:"clients"`        // in each
	Document int `json:"document_bytes"` // in each, about
}

// Shares of the clients that are in the one room with the large document, and in the one large room.
const (
	documentShare = 20
	crowdShare    = 10
	typedShare    = 100 // bytes in each of the other rooms, and in the large one
)

// reunion is a run of reconnect.
type reunion struct {
	*runner
	rooms   []*chatRoom
	crowd   []int // how many clients each room has
	library *joiner
	vectors map[*chatRoom][]byte // of what is in each room

	attempts *attempts // to come back
}

// reconnect fills rooms of three kinds with clients, cuts all of them off and lets them come back at once.
func (r *runner) reconnect(ctx context.Context, result *Result) error {
	n, each := or(r.o.Clients, 10_000), or(r.o.PerRoom, 10)
	u := &reunion{runner: r, vectors: map[*chatRoom][]byte{}}
	out := &Reconnect{Connections: n}
	before := r.newCrew()
	defer before.end()
	if err := u.furnish(ctx, before, n, each, out); err != nil {
		return err
	}
	if err := before.connect(ctx, before.clients, dialAtOnce); err != nil {
		return err
	}
	if err := u.fill(ctx, before); err != nil {
		return err
	}
	before.settle(ctx, before.clients, r.o.Patience)
	before.verify(before.clients)
	r.progress("%d clients in %d rooms", n, len(u.rooms))
	if err := sleep(ctx, or(r.o.Step, rest)); err != nil { // of y-websocket's clients nobody knows when a server has saved
		return err
	}

	after := r.newCrew()
	defer after.end()
	u.returning(before, after)
	w, err := r.watch()
	if err != nil {
		return err
	}
	if out.Killed = r.o.Kill != nil; out.Killed {
		w.server = process{} // whatever comes in its place has another pid
		w.from = usage{}
	}
	if err := u.comeBack(ctx, before, after); err != nil {
		return err
	}
	after.settle(ctx, after.clients, r.o.Patience)
	after.verify(after.clients)
	if out.load, err = w.stop(); err != nil {
		return err
	}
	u.report(after, out)
	result.Reconnect, result.Faults = out, after.faults.sum()
	if f := before.faults.sum(); f.Any() && !result.Faults.Any() {
		result.Faults = f
	}
	r.progress("%d clients synced %.2f s after the server was back", out.Synced.Count, out.Seconds)
	return context.Cause(ctx)
}

// furnish makes the rooms and their clients. The first client of each room but the first writes its document; the first
// room's comes from elsewhere.
func (u *reunion) furnish(ctx context.Context, c *crew, n, each int, out *Reconnect) error {
	library, crowd := max(n/documentShare, 1), max(n/crowdShare, 1)
	rest := n - library - crowd
	small := (rest + each - 1) / each
	u.rooms, _ = newRooms(u.roomPrefix(), 2+small, 1, typedShare)
	u.crowd = append([]int{library, crowd}, slices.Repeat([]int{each}, small)...)
	if left := rest % each; left > 0 {
		u.crowd[1+small] = left
	}
	document, err := u.document()
	if err != nil {
		return err
	}
	u.library = &joiner{crew: u.newCrew(), room: u.rooms[0], document: document}
	author, err := u.library.upload(ctx)
	if err != nil {
		return err
	}
	author.hangUp()
	u.library.crew.end()
	u.library.crew = c
	v, err := crdt.StateVectorOf(document, crdt.V1)
	if err != nil {
		return fmt.Errorf("the document: %w", err)
	}
	u.vectors[u.rooms[0]] = v.Append(nil)
	out.Rooms = []Crowd{{1, library, len(document)}, {1, crowd, typedShare}, {small, each, typedShare}}
	for i, room := range u.rooms {
		room.addPeople(u.crowd[i])
		for k := range u.crowd[i] {
			switch {
			case i == 0:
				u.library.reader(c.newClient(room, nil, room.people[k]), false)
			case k == 0:
				c.newClient(room, room.writers[0], room.people[k])
			default:
				c.newClient(room, nil, room.people[k])
			}
		}
	}
	return nil
}

// document returns the large document.
func (r *runner) document() ([]byte, error) {
	if r.o.Document != nil {
		return r.o.Document, nil
	}
	d, err := makeDocument(documentTyped)
	if err != nil {
		return nil, fmt.Errorf("make a document: %w", err)
	}
	return d, nil
}

// reader has a client of the room check the document that it is sent, when it asks for all of it; one that has it
// is not told again.
func (j *joiner) reader(c *client, hasIt bool) {
	c.whole = func(update []byte) {
		if !c.hasSynced && !hasIt && !j.brings(update) {
			c.crew.faults.add(missing, "client %d did not get the whole document", c.number)
		}
	}
}

// fill has the writers write what is in the rooms.
func (u *reunion) fill(ctx context.Context, c *crew) error {
	var turns []*turn
	for _, room := range u.rooms[1:] {
		turns = append(turns, &room.writers[0].turn)
		u.vectors[room] = crdt.StateVector{{Client: crdt.ClientID(room.writers[0].id), Next: typedShare}}.Append(nil)
	}
	return c.pace(ctx, turns, len(turns), time.Second/fillRate)
}

const fillRate = 2000 // updates a second

// returning makes a client for each that is to come back. Every other one is a page that has kept its document and asks
// for what is missing, the others were loaded anew.
func (u *reunion) returning(before, after *crew) {
	k := 0
	for i, old := range u.rooms {
		room := &chatRoom{name: old.name, firstID: old.firstID, writers: old.writers, firstPerson: old.firstPerson + uint64(u.crowd[i]), former: uint64(u.crowd[i])}
		room.addPeople(u.crowd[i])
		for p := range u.crowd[i] {
			c := after.newClient(room, nil, room.people[p])
			keeps := k%2 == 1
			if keeps {
				c.vector = u.vectors[old]
			}
			if i == 0 {
				u.library.crew = after
				u.library.reader(c, keeps)
			} else if keeps {
				w := room.writers[0]
				c.ledger.note(w.index, 0, w.sent.Load())
				c.have.Store(w.sent.Load())
			}
			before.clients[k].finished.Store(true) // that it is cut off is no fault
			k++
		}
	}
}

// comeBack cuts everybody off and waits until all are back, or have failed.
func (u *reunion) comeBack(ctx context.Context, before, after *crew) error {
	peak := len(after.clients)
	errs := make([]error, peak)
	u.attempts = newAttempts()
	if u.o.Kill != nil {
		if err := u.o.Kill(); err != nil {
			return fmt.Errorf("kill the server: %w", err)
		}
	}
	var wg sync.WaitGroup
	for i, c := range after.clients {
		wg.Go(func() {
			if u.o.Kill == nil {
				_ = before.clients[i].sock.nc.Close() // what is left of it does not matter
			}
			select {
			case <-before.clients[i].gone:
				errs[i] = after.insist(ctx, c, u.attempts)
			case <-ctx.Done():
				errs[i] = context.Cause(ctx)
			case <-time.After(u.o.Patience):
				errs[i] = errors.New("the server was killed and the connection is still there")
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			after.faults.add(lost, "connection %d of %d: %v", i, peak, err)
		}
	}
	return nil
}

// report enters what was found.
func (u *reunion) report(c *crew, out *Reconnect) {
	cut := u.attempts.began
	back := cut.Add(time.Duration(u.attempts.first.Load()))
	c.meter.reset()
	shard := c.meter.shard(0)
	last := back
	for _, k := range c.clients {
		if !k.hasSyncedNow() {
			continue
		}
		if k.vector != nil {
			out.Again++
		}
		shard.mu.Lock()
		shard.record(max(k.syncedAt.Sub(back), 0))
		shard.mu.Unlock()
		if k.syncedAt.After(last) {
			last = k.syncedAt
		}
	}
	out.Down, out.Seconds, out.SinceCut = back.Sub(cut).Seconds(), last.Sub(back).Seconds(), last.Sub(cut).Seconds()
	out.Synced, out.Retries, out.Refused = c.meter.summary(), u.attempts.retries.Load(), u.attempts.refused.Load()
}

// attempts counts what it took to connect many clients.
type attempts struct {
	began   time.Time
	first   atomic.Int64 // nanoseconds until a server answered the first of them; 0: none yet
	retries atomic.Int64
	refused atomic.Int64 // of these: the server said so
}

func newAttempts() *attempts { return &attempts{began: time.Now()} }

// Pauses of y-websocket's provider between its attempts.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2500 * time.Millisecond
)

// insistence is for how many times the patience of one attempt a client tries.
const insistence = 4

// insist connects a client as a provider does: an attempt that fails before the upgrade is followed by another one. It
// comes again when the server has told it to, if it has.
func (c *crew) insist(ctx context.Context, k *client, a *attempts) error {
	ctx, cancel := context.WithTimeout(ctx, insistence*c.runner.o.Patience)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := c.connectOne(ctx, k)
		no, refused := errors.AsType[*notUpgraded](err)
		if k.sock != nil || refused {
			a.first.CompareAndSwap(0, int64(time.Since(a.began)))
		}
		if err == nil || k.sock != nil {
			return err
		}
		wait := pause
		if refused {
			a.refused.Add(1)
			wait = max(wait, no.after)
		}
		if sleep(ctx, wait) != nil {
			return err
		}
		a.retries.Add(1)
	}
}

// notUpgraded is a server's answer to a handshake that it refuses.
type notUpgraded struct {
	status string
	after  time.Duration // when to come again; 0: not said
}

func (n *notUpgraded) Error() string { return "handshake: the server answers " + n.status }

// refusal reads the answer to a handshake.
func refusal(resp *http.Response) error {
	n := &notUpgraded{status: resp.Status}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		n.after = time.Duration(s) * time.Second
	}
	return n
}
