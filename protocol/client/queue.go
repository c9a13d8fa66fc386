package client

import (
	"weft/crdt"
)

const (
	// keptOffline is how many bytes of unsaved edits are kept while there is no connection. What is beyond is only in
	// the document and taken out of it when the server has said what it has, with all deletions of the document,
	// which is why a few edits are kept.
	keptOffline = 64 << 10
	// mergeFrom is how many bytes of edits may wait before they are merged.
	mergeFrom = 32 << 10
)

// queue holds the local edits that the server has not confirmed: sent ones, in the order of their ids, and those that
// wait. Edits are counted from 1; what is not saved is always the last of them.
type queue struct {
	edits uint64 // counted so far
	saved uint64 // that many of them are saved

	next    uint64   // id of the next Update in this place
	flight  []sent   // not acknowledged
	waiting [][]byte // V1 updates
	bytes   int      // of waiting
	mergeAt int      // bytes of waiting
	whole   bool     // there are edits that only the document has; waiting and flight are empty
	offline bool     // there is no place to send to
}

// sent is one Update.
type sent struct {
	id     uint64
	update []byte
	edits  uint64 // saved, once this is acknowledged
}

// add takes the update of one more local edit.
func (q *queue) add(update []byte) {
	q.edits++
	if q.whole {
		return
	}
	q.waiting = append(q.waiting, update)
	q.bytes += len(update)
	if q.bytes > max(q.mergeAt, mergeFrom) {
		q.merge()
		q.mergeAt = 2 * q.bytes
	}
	q.trim()
}

// unsaved tells whether anything is not confirmed.
func (q *queue) unsaved() bool { return q.saved < q.edits }

// merge joins what waits. Updates that cannot be merged, because they are too large together, stay as they are.
func (q *queue) merge() {
	if len(q.waiting) < 2 {
		return
	}
	if one, err := crdt.MergeUpdates(crdt.V1, q.waiting...); err == nil {
		q.waiting = append(q.waiting[:0:0], one)
		q.bytes = len(one)
	}
}

// trim lets go of bytes that the document has, while there is nobody to send them to.
func (q *queue) trim() {
	if !q.offline || q.bytes <= keptOffline {
		return
	}
	q.merge()
	if q.bytes > keptOffline {
		q.waiting, q.bytes, q.whole = nil, 0, true
	}
}

// take returns what to send next, at most as much as may be unacknowledged; false when there is nothing, or too much
// is in flight.
func (q *queue) take(mostFlights int) (sent, bool) {
	if q.offline || len(q.waiting) == 0 || mostFlights > 0 && len(q.flight) >= mostFlights {
		return sent{}, false
	}
	q.merge()
	s := sent{id: q.next, update: q.waiting[0], edits: q.edits}
	q.waiting = q.waiting[1:]
	q.bytes -= len(s.update)
	if len(q.waiting) > 0 {
		s.edits = q.saved // more of the same edits has to follow
	} else {
		q.waiting, q.mergeAt = nil, 0
	}
	q.next++
	q.flight = append(q.flight, s)
	return s, true
}

// ack takes the word that everything up to id is saved; false when nothing of that was in flight.
func (q *queue) ack(id uint64) bool {
	n := 0
	for n < len(q.flight) && q.flight[n].id <= id {
		q.saved = max(q.saved, q.flight[n].edits)
		n++
	}
	q.flight = q.flight[n:]
	return n > 0
}

// recall has everything that was sent under id or a later one wait again.
func (q *queue) recall(id uint64) {
	n := len(q.flight)
	for n > 0 && q.flight[n-1].id >= id {
		n--
	}
	var updates [][]byte
	for _, s := range q.flight[n:] {
		updates = append(updates, s.update)
		q.bytes += len(s.update)
	}
	q.waiting = append(updates, q.waiting...)
	q.flight = q.flight[:n:n]
}

// has tells whether an Update of that id is in flight.
func (q *queue) has(id uint64) bool {
	for _, s := range q.flight {
		if s.id == id {
			return true
		}
	}
	return false
}

// disconnect says that the place is gone.
func (q *queue) disconnect() {
	q.recall(0)
	q.offline = true
	q.trim()
}

// connect begins a place with a server that has what its state vector says: everything that is not confirmed waits
// to be sent, and what else the document has beyond the server.
func (q *queue) connect(doc *crdt.Doc, server crdt.StateVector) {
	q.offline, q.next = false, 1
	if q.whole || !q.covers(doc.StateVector(), server) {
		q.waiting = [][]byte{doc.AppendDiff(nil, server, crdt.V1)}
		q.bytes = len(q.waiting[0])
		q.whole = false
	}
}

// covers tells whether what waits is all that a document in state own has beyond the server.
func (q *queue) covers(own, server crdt.StateVector) bool {
	var from, to crdt.StateVector
	for _, c := range own {
		have := server.Next(c.Client)
		if have >= c.Next {
			continue
		}
		if from == nil {
			q.merge()
			if len(q.waiting) != 1 {
				return false
			}
			var err error
			if from, to, err = crdt.UpdateBounds(q.waiting[0], crdt.V1); err != nil || from == nil {
				return false
			}
		}
		// An author that is not in the update has to.Next 0.
		if from.Next(c.Client) > have || to.Next(c.Client) < c.Next {
			return false
		}
	}
	return true
}

// discard forgets everything that is not saved, and returns how many edits that were.
func (q *queue) discard() uint64 {
	lost := q.edits - q.saved
	*q = queue{edits: q.edits, saved: q.edits, offline: true}
	return lost
}
