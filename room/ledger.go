package room

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"weft/persistence"
)

// ledger holds what was handed to the store and is not confirmed, in order. Its
// bound is Options.UncommittedBytes: over it the room stops reading its inbox,
// nothing is dropped. When the store refuses or keeps updates waiting for too
// long, the room becomes read-only instead: it reads on and refuses updates,
// their authors keep them, and are asked for them when the store takes updates
// again.
type ledger struct {
	entries []*entry
	bytes   int
	durable persistence.Position // everything until here is confirmed
	heard   time.Time            // when the store confirmed something last
	failure error                // why the room is read-only; nil: it is not
	since   time.Time            // since when it is
	retryAt time.Time            // when refused entries are handed over again; zero: there are none
	backoff time.Duration
}

// entry is the updates of one turn.
type entry struct {
	records []persistence.Record
	last    persistence.Position
	bytes   int
	at      time.Time // when it was made
	from    time.Time // when the first letter in it arrived
	state   entryState
}

type entryState uint8

const (
	queued    entryState = iota // the store has it
	refused                     // the store does not have it
	confirmed                   // it is durable
)

// Pauses before refused updates are offered to the store again.
const (
	minRetry = 20 * time.Millisecond
	maxRetry = 2 * time.Second
)

// empty reports whether everything is confirmed.
func (l *ledger) empty() bool { return len(l.entries) == 0 }

// stallsAt returns when the oldest entry will have waited for too long without
// any progress; zero when nothing waits or the room is read-only already.
func (l *ledger) stallsAt(after time.Duration) time.Time {
	if len(l.entries) == 0 || l.failure != nil {
		return time.Time{}
	}
	return later(l.entries[0].at, l.heard).Add(after)
}

// mayRead reports whether the room takes letters.
func (r *room) mayRead() bool {
	return r.ledger.failure != nil || r.ledger.bytes < r.o.UncommittedBytes
}

// store hands the updates of this turn to the store.
func (r *room) store() {
	o := &r.out
	if len(o.fresh) == 0 {
		return
	}
	e := &entry{last: r.pos, bytes: o.freshBytes, at: r.now, from: o.freshFrom, state: refused}
	e.records = make([]persistence.Record, len(o.fresh))
	for i, u := range o.fresh {
		pos := r.pos
		pos.Seq -= uint64(len(o.fresh) - 1 - i)
		e.records[i] = persistence.Record{Room: r.name, Pos: pos, Update: u}
	}
	r.saves.wrote(len(o.fresh), o.freshBytes, r.now)
	clear(o.fresh)
	o.fresh, o.freshBytes = o.fresh[:0], 0
	if cap(o.fresh) > keptUpdates {
		o.fresh = nil
	}

	l := &r.ledger
	l.entries = append(l.entries, e)
	l.bytes += e.bytes
	if len(l.entries) > 1 && l.entries[len(l.entries)-2].state == refused {
		return // it waits behind that one
	}
	r.submit(e)
}

// submit offers an entry to the store.
func (r *room) submit(e *entry) bool {
	l := &r.ledger
	err := r.o.Store.Append(e.records, func(err error) {
		r.post(func() { r.answered(e, err) })
	})
	if err == nil {
		e.state = queued
		return true
	}
	e.state = refused
	if errors.Is(err, persistence.ErrFull) { // ordinary backpressure, until it stalls
		l.retryAt = r.now.Add(minRetry)
		return false
	}
	r.retryLater()
	r.fail(err)
	return false
}

// retryLater has refused entries offered again after a growing pause.
func (r *room) retryLater() {
	l := &r.ledger
	l.backoff = min(max(2*l.backoff, minRetry), maxRetry)
	l.retryAt = r.now.Add(l.backoff)
}

// answered takes the store's answer about an entry.
func (r *room) answered(e *entry, err error) {
	l := &r.ledger
	if err != nil {
		e.state = refused
		r.retryLater()
		r.fail(err)
		return
	}
	e.state = confirmed
	r.o.Events.Committed(r.name, len(e.records), r.now.Sub(e.from))
	e.records = nil
	l.heard, l.backoff = r.now, 0
	if !l.retryAt.IsZero() { // there is space again
		l.retryAt = r.now
	}
	l.advance()
}

// advance moves durable over what is confirmed without a gap.
func (l *ledger) advance() {
	n := 0
	for n < len(l.entries) && l.entries[n].state == confirmed {
		l.bytes -= l.entries[n].bytes
		l.durable = l.entries[n].last
		n++
	}
	clear(l.entries[:n])
	l.entries = l.entries[n:]
	if len(l.entries) == 0 {
		l.entries, l.backoff, l.retryAt = nil, 0, time.Time{}
	}
}

// cover counts everything until pos as durable, because a snapshot of it is
// stored. What the store has in its queue is still waited for.
func (l *ledger) cover(pos persistence.Position) {
	for _, e := range l.entries {
		if e.state == refused && e.last.Compare(pos) <= 0 {
			e.state, e.records = confirmed, nil
		}
	}
	l.advance()
}

// mindDisk offers refused entries again when it is time, and notices that the
// store stalls or has recovered.
func (r *room) mindDisk() {
	l := &r.ledger
	if !l.retryAt.IsZero() && !r.now.Before(l.retryAt) {
		l.retryAt = time.Time{}
		r.resubmit()
	}
	if at := l.stallsAt(r.o.StallAfter); !at.IsZero() && !r.now.Before(at) {
		err := r.o.Store.Health()
		if err == nil {
			err = fmt.Errorf("store has not confirmed updates for %v", r.o.StallAfter)
		}
		r.fail(err)
	}
	if l.failure != nil && l.empty() && r.o.Store.Health() == nil {
		r.recovered()
	}
}

// resubmit offers refused entries again, in order. While the store still has
// entries behind them, it waits for those, so that the order stays.
func (r *room) resubmit() {
	l := &r.ledger
	first := slices.IndexFunc(l.entries, func(e *entry) bool { return e.state == refused })
	if first < 0 {
		return
	}
	behind := l.entries[first:]
	if slices.ContainsFunc(behind, func(e *entry) bool { return e.state == queued }) {
		l.retryAt = r.now.Add(minRetry)
		return
	}
	for _, e := range behind {
		if e.state == refused && !r.submit(e) {
			return
		}
	}
}

// fail makes the room read-only.
func (r *room) fail(err error) {
	l := &r.ledger
	if l.failure != nil {
		return
	}
	l.failure, l.since = err, r.now
	r.o.Events.ReadOnly(r.name, err)
}

// recovered makes the room writable again and asks the sessions whose updates
// were refused for everything the room does not have.
func (r *room) recovered() {
	l := &r.ledger
	l.failure = nil
	r.o.Events.Writable(r.name, r.now.Sub(l.since))
	for _, s := range r.sessions {
		if s.resync && s.mayWrite() {
			r.askAgain(s)
		}
		s.resync, s.denied = false, false
	}
}
