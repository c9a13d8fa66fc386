// Package presence owns the awareness states of one room: who is here, with
// which cursor, and on whose word.
//
// A Table is a pure state machine. It starts no goroutine, reads no clock (the
// caller passes the time) and sends nothing (it says what changed and encodes
// it). It is not safe for concurrent use: the room's goroutine owns it. It
// knows conns as numbers and does not import the protocol.
//
// The states follow y-protocols 1.0.7 (awareness.js): a state is replaced by
// one with a higher clock, removed by null at a clock at least equal, and the
// first state of an unknown id counts only from clock 1. On top of that, a
// client id belongs to the conn that announced it first, and entries about
// foreign ids are dropped without a word: y-websocket clients send back
// everything they receive, so such entries are normal traffic.
//
// An id changes hands in these cases only:
//   - its conn left: the id is free for whoever announces a newer state, but not
//     for another user than the last known one until its clock is forgotten;
//   - its conn relayed it for another tab, and the tab itself appears: the first
//     id that a conn announces is its own, and a conn's word about its own id
//     outweighs another conn's word about a foreign one;
//   - two conns call it their own, as after a network change when the old
//     connection is not known to be dead yet: the older conn is probed (the
//     caller sends it something that clients answer), and loses the id when it
//     stays silent for challengeTime. Live clients answer within a round trip, so
//     nobody loses their cursor to a stranger, and no identity is needed. Where
//     both identities are known it is quicker: the conn of the same user gets the
//     id at once, that of another user never, not even an id that was relayed.
//
// A conn that announces a free id with a clock that is too old for the others to
// accept is answered with the removal they have seen (Outcome.Stale): clients of
// y-protocols react to their own removal by announcing themselves with the next
// clock. The server never invents a clock.
package presence

import (
	"bytes"
	"time"
)

// ClientID is a client id of Yjs. One conn may speak for several.
type ClientID uint64

// ConnID names a conn of the room; the caller never uses a number twice.
type ConnID uint64

// Limits bounds what one conn may keep in a Table. A zero field means its default.
type Limits struct {
	IDs   int // client ids of a conn, default 8
	State int // bytes of a state's JSON, default 8 KiB
	Depth int // nesting of a state's JSON, default 100
}

const (
	// expireAfter is when a state that was not renewed is removed. Clients renew
	// every 15 s and evict each other after 30 s (awareness.js, outdatedTimeout);
	// the rest is a margin for a renewal on its way.
	expireAfter = 45 * time.Second
	// forgetAfter is how long the clock of a removed state is kept, so that late
	// echoes of it stay refused and a reconnecting client can be told.
	forgetAfter = 30 * time.Second
	// challengeTime is how long a conn may stay silent when another one claims
	// its id. Guessed: several round trips of a bad mobile link.
	challengeTime = 5 * time.Second
	// maxClock bounds the clocks that clients may jump to, so that nobody can
	// freeze an id by using up its clocks.
	maxClock = 1 << 31
	// clockSlack is how far above the known clock a clock over maxClock may lie:
	// a client whose id was driven to maxClock by somebody else can go on.
	clockSlack = 1 << 10
	// keptItems is the longest list of decoded entries whose memory is kept.
	keptItems = 64
	// keptStamps is the largest scratch memory for stamped states that is kept.
	keptStamps = 4 << 10 // bytes
)

// Table holds the presence of one room.
type Table struct {
	limits  Limits
	entries map[ClientID]*entry
	conns   map[ConnID]*conn
	version uint64 // grows with every accepted entry
	live    int    // entries with a state
	changes changes
	claims  []*claim
	scratch []item
	stamped []byte // the state being accepted, with its identity
}

// entry is what is known of one client id.
type entry struct {
	id      ClientID
	clock   uint64
	state   []byte    // JSON; nil: removed
	owner   *conn     // nil: free
	who     *Identity // the last known user among its owners; nil: none was known
	at      time.Time // when the last version was accepted
	version uint64
	claim   *claim // who else calls this id their own; nil: nobody

	prev, next *entry // in changes
}

// conn is one connection that has announced something.
type conn struct {
	id      ConnID
	who     *Identity // nil: nothing is known
	primary ClientID  // the first id it announced: its own
	denied  bool      // it is not: somebody alive has it
	ids     []*entry  // what it owns
	heard   time.Time
}

// calls reports whether the conn calls an id its own, as far as it is believed.
func (c *conn) calls(id ClientID) bool { return c.primary == id && !c.denied }

// claim is a conn's wish for an id that another live conn calls its own.
type claim struct {
	entry *entry
	by    *conn
	since time.Time
	last  item // the newest state it announced
}

// item is one decoded entry of an awareness update.
type item struct {
	id    ClientID
	clock uint64
	state []byte // nil: removal; aliases the update

	refused bool // it cannot be accepted
}

// Outcome tells what Apply did. Its slices are valid until the next call.
type Outcome struct {
	Changed bool       // a state appeared, changed or went
	Renewed bool       // a state was announced again with a newer clock
	Dropped int        // entries that were not accepted
	Stale   []ClientID // ids to send back to the conn with Append: it must announce them anew
	Probe   []ConnID   // conns to send something that their clients answer
}

// New returns an empty table.
func New(l Limits) *Table {
	if l.IDs == 0 {
		l.IDs = 8
	}
	if l.State == 0 {
		l.State = 8 << 10
	}
	if l.Depth == 0 {
		l.Depth = 100
	}
	return &Table{limits: l, entries: map[ClientID]*entry{}, conns: map[ConnID]*conn{}}
}

// Live returns the number of client ids with a state.
func (t *Table) Live() int { return t.live }

// Version returns a number that grows with every change, for Since.
func (t *Table) Version() uint64 { return t.version }

// Apply takes an awareness update that arrived on conn c, whose identity is who:
// that of its first update counts. The error says why the bytes are not one;
// nothing is changed then. Entries that c may not make, that are too old or over
// a limit are dropped and counted.
func (t *Table) Apply(c ConnID, who *Identity, update []byte, now time.Time) (Outcome, error) {
	items, err := decode(t.scratch[:0], update)
	t.scratch = items
	defer t.tidy()
	if err != nil {
		return Outcome{}, err
	}
	if len(items) == 0 {
		return Outcome{}, nil
	}
	from := t.conns[c]
	if from == nil {
		from = &conn{id: c, who: who, primary: items[0].id}
	}
	for i := range items {
		if err := t.check(from, &items[i]); err != nil {
			return Outcome{}, err
		}
	}
	t.conns[c] = from
	from.heard = now
	var out Outcome
	for i := range items {
		t.apply(&out, from, &items[i], now)
	}
	return out, nil
}

// tidy forgets the update that was applied, and gives back the memory of a large one.
func (t *Table) tidy() {
	clear(t.scratch)
	t.stamped = t.stamped[:0]
	if cap(t.scratch) > keptItems {
		t.scratch = nil
	}
	if cap(t.stamped) > keptStamps {
		t.stamped = nil
	}
}

// check looks at the state of an entry that could be accepted or become a claim,
// as far as can be told before the entries in front of it are applied. Others
// are marked as refused without the cost of reading their JSON.
func (t *Table) check(from *conn, it *item) error {
	e := t.entries[it.id]
	switch {
	case t.jumps(e, it):
		it.refused = true
	case e == nil:
		it.refused = it.clock == 0
	case e.owner == from:
		it.refused = it.clock < e.clock
	case e.owner != nil:
		it.refused = !from.calls(it.id)
	}
	if it.refused || it.state == nil {
		return nil
	}
	if len(it.state) > t.limits.State || depth(it.state) > t.limits.Depth {
		it.refused = true
		return nil
	}
	return checkJSON(it.state)
}

// stamp returns a state with the identity of a conn in it, valid until the next
// call. Only what is accepted is stamped: a message may hold thousands of states.
func (t *Table) stamp(from *conn, state []byte) []byte {
	if from.who == nil || !from.who.stamp {
		return state
	}
	t.stamped = from.who.appendStamped(t.stamped[:0], state)
	return t.stamped
}

// jumps reports whether it uses up more clocks than a client may.
func (t *Table) jumps(e *entry, it *item) bool {
	return it.clock > maxClock && (e == nil || it.clock > e.clock+clockSlack)
}

// apply takes one entry from a conn.
func (t *Table) apply(out *Outcome, from *conn, it *item, now time.Time) {
	e := t.entries[it.id]
	switch {
	case it.refused:
	case e == nil:
		if it.state != nil && len(from.ids) < t.limits.IDs {
			e = &entry{id: it.id}
			t.entries[it.id] = e
			t.own(e, from)
			t.set(out, e, it, now)
			return
		}
	case e.owner == from:
		if e.clock < it.clock || e.clock == it.clock && it.state == nil && e.state != nil {
			t.set(out, e, it, now)
			return
		}
	case e.owner == nil:
		if it.state != nil && t.takeFree(out, e, from, it, now) {
			return
		}
	case it.state != nil:
		t.contest(out, e, from, it, now)
		return
	}
	out.Dropped++
}

// takeFree gives the free id e to a conn that announces it, or has the conn told
// that its clock is too old.
func (t *Table) takeFree(out *Outcome, e *entry, from *conn, it *item, now time.Time) bool {
	if len(from.ids) >= t.limits.IDs || e.who.differs(from.who) {
		return false
	}
	if it.clock <= e.clock {
		if !from.calls(it.id) {
			return false // an echo of somebody who left
		}
		out.Stale = append(out.Stale, it.id)
		return true
	}
	t.own(e, from)
	t.set(out, e, it, now)
	return true
}

// contest handles a conn that calls an id its own which another conn has.
func (t *Table) contest(out *Outcome, e *entry, from *conn, it *item, now time.Time) {
	switch {
	case e.who.differs(from.who):
		from.denied = true
		out.Dropped++
	case !e.owner.calls(e.id): // it only relayed the id
		t.hand(e, from, *it, now)
		out.Changed = true
	case e.who.same(from.who) && t.takeover(out, e, from, it, now):
	case e.claim == nil:
		e.claim = &claim{entry: e, by: from, since: now, last: item{id: it.id, clock: it.clock, state: bytes.Clone(it.state)}}
		t.claims = append(t.claims, e.claim)
		out.Probe = append(out.Probe, e.owner.id)
	case e.claim.by == from && e.claim.last.clock < it.clock:
		e.claim.last = item{id: it.id, clock: it.clock, state: bytes.Clone(it.state)}
	default:
		out.Dropped++
	}
}

// takeover gives a user's id to another conn of the same user, at once when
// that makes nothing worse for the others: they take the state or have it.
func (t *Table) takeover(out *Outcome, e *entry, from *conn, it *item, now time.Time) bool {
	if len(from.ids) >= t.limits.IDs {
		return false
	}
	newer := it.clock > e.clock
	if !newer && (it.clock < e.clock || !bytes.Equal(t.stamp(from, it.state), e.state)) {
		return false
	}
	e.claim = nil // whoever had one may repeat it
	t.pruneClaims()
	t.disown(e)
	t.own(e, from)
	if newer {
		t.set(out, e, it, now)
	}
	return true
}

// Heard says that something arrived from conn c, which keeps its ids from being
// claimed by others.
func (t *Table) Heard(c ConnID, now time.Time) {
	if k := t.conns[c]; k != nil {
		k.heard = now
	}
}

// Leave removes what conn c announced and reports whether anything changed. The
// removals carry the last clock, as y-protocols has it.
func (t *Table) Leave(c ConnID, now time.Time) (changed bool) {
	k := t.conns[c]
	if k == nil {
		return false
	}
	delete(t.conns, c)
	for _, cl := range t.claims {
		if cl.by == k {
			cl.entry.claim = nil
		}
	}
	t.pruneClaims()
	for len(k.ids) > 0 {
		e := k.ids[len(k.ids)-1]
		if e.claim != nil && t.decide(e.claim, now) {
			changed = true
			continue
		}
		t.disown(e)
		if e.state != nil {
			t.remove(e, now)
			changed = true
		}
	}
	t.pruneClaims()
	return changed
}

// Tick does what is due at now: states that were not renewed are removed, clocks
// of removed ones forgotten, and then claims decided. It reports whether a state
// changed. Calling it every few seconds is enough.
func (t *Table) Tick(now time.Time) (changed bool) {
	for e := t.changes.oldest; e != nil && now.Sub(e.at) >= forgetAfter; {
		next := e.next
		switch {
		case e.state == nil && e.claim == nil:
			t.disown(e)
			t.changes.unlink(e)
			delete(t.entries, e.id)
		case now.Sub(e.at) >= expireAfter && e.state != nil:
			t.remove(e, now)
			changed = true
		}
		e = next
	}
	for _, cl := range t.claims {
		if now.Sub(cl.since) < challengeTime {
			continue
		}
		changed = t.decide(cl, now) || changed
	}
	t.pruneClaims()
	return changed
}

// decide ends a claim and reports whether it was granted. A conn that claimed
// what a live one has is not believed again.
func (t *Table) decide(cl *claim, now time.Time) bool {
	if !cl.entry.owner.heard.Before(cl.since) {
		cl.entry.claim, cl.by.denied = nil, true
		return false
	}
	t.hand(cl.entry, cl.by, cl.last, now)
	return true
}

// hand moves an id to another conn. When the others would ignore the state that
// comes with it, the old one is removed instead: the new owner sees that, too,
// and announces itself anew.
func (t *Table) hand(e *entry, to *conn, it item, now time.Time) {
	e.claim = nil
	t.disown(e)
	if it.clock > e.clock && len(to.ids) < t.limits.IDs {
		t.own(e, to)
		t.set(&Outcome{}, e, &it, now)
	} else if e.state != nil {
		t.remove(e, now)
	}
}

// pruneClaims drops the claims that were decided.
func (t *Table) pruneClaims() {
	kept := t.claims[:0]
	for _, cl := range t.claims {
		if cl.entry.claim == cl {
			kept = append(kept, cl)
		}
	}
	clear(t.claims[len(kept):])
	t.claims = kept
}

// own binds a free id to a conn.
func (t *Table) own(e *entry, to *conn) {
	e.owner = to
	if to.who.known() {
		e.who = to.who
	}
	to.ids = append(to.ids, e)
}

// disown frees an id.
func (t *Table) disown(e *entry) {
	if e.owner == nil {
		return
	}
	ids := e.owner.ids
	for i, o := range ids {
		if o == e {
			ids[i] = ids[len(ids)-1]
			ids[len(ids)-1] = nil
			e.owner.ids = ids[:len(ids)-1]
			break
		}
	}
	e.owner = nil
}

// set takes over an accepted state or removal from the owner of e.
func (t *Table) set(out *Outcome, e *entry, it *item, now time.Time) {
	if it.state == nil {
		if e.state != nil {
			t.live--
			out.Changed = true
		}
		e.state = nil
	} else if state := t.stamp(e.owner, it.state); e.state != nil && bytes.Equal(e.state, state) {
		out.Renewed = true
	} else {
		if e.state == nil {
			t.live++
		}
		e.state = bytes.Clone(state)
		out.Changed = true
	}
	e.clock = it.clock
	t.touch(e, now)
}

// remove takes the state away at its own clock, which y-protocols lets win.
func (t *Table) remove(e *entry, now time.Time) {
	e.state = nil
	t.live--
	t.touch(e, now)
}

// touch gives e the next version.
func (t *Table) touch(e *entry, now time.Time) {
	t.version++
	e.version, e.at = t.version, now
	t.changes.moveToEnd(e)
}
