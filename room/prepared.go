package room

import (
	"slices"
	"time"

	"weft/crdt"
	"weft/protocol"
)

// prepared are the answers to SyncStep1 that a group has made, so that a crowd
// which comes with equal state vectors (none, when it is new; the same, when it
// reconnects) costs the room one diff. An answer stays of use while the room goes
// on: the frames broadcast since it was made complete it, and they exist already.
type prepared struct {
	answers []*prepAnswer
	bytes   int      // of their payloads, without that for the empty vector
	tail    [][]byte // frames broadcast since the oldest answer was made
	first   uint64   // number of the first of them
	size    int      // bytes of them
	waiting cached   // what was not broadcast yet, as one frame
}

// prepAnswer is the SyncStep2 for a state vector.
type prepAnswer struct {
	vector  string
	payload []byte
	version uint64    // of the document that it was made of
	frame   uint64    // the last broadcast then
	made    time.Time // when that was
	used    bool      // since the last tick
}

const (
	// maxPrepared bounds the answers that are kept. Few vectors are asked with by
	// many at a time. Guessed.
	maxPrepared = 8
	// maxPreparedBytes bounds their payloads beside that of a newcomer's.
	maxPreparedBytes = 2 << 20
	// maxVector bounds a vector that is kept: of some thousand authors.
	maxVector = 64 << 10 // bytes
	// pausePerByte is how long an answer is not made anew, and no other one for the
	// same session, for each of its bytes. A byte takes about 10 ns to make, so that
	// a room spends at most a twentieth of its time on it however many join, and on
	// one client however often it asks: 60 ms for an answer of 300 kB.
	pausePerByte = 200 * time.Nanosecond
	// alwaysFresh is the size up to which an answer is always made anew.
	alwaysFresh = 4 << 10 // bytes
	// maxTail bounds the frames that complete an answer; with more, answers are made
	// anew. In a busy room they are 40 ms apart (see pace), so that a busy room makes
	// a newcomer's answer less than once a second.
	maxTail = 64
	// maxTailBytes bounds their bytes. Guessed.
	maxTailBytes = 256 << 10
)

// makingPause is how long a room leaves it at an answer that it has made.
func makingPause(payload []byte) time.Duration {
	return time.Duration(max(0, len(payload)-alwaysFresh)) * pausePerByte
}

// find returns the answer for a vector, nil when it is to be made.
func (p *prepared) find(vector []byte) *prepAnswer {
	for _, a := range p.answers {
		if a.vector == string(vector) {
			return a
		}
	}
	return nil
}

// add keeps an answer if it is worth it.
func (p *prepared) add(a *prepAnswer) {
	if len(a.vector) > maxVector {
		return
	}
	cost := a.cost()
	if len(p.answers) >= maxPrepared || p.bytes+cost > maxPreparedBytes {
		p.prune(func(a *prepAnswer) bool { return a.vector == emptyVector })
	}
	if cost > maxPreparedBytes {
		return
	}
	if len(p.answers) == 0 {
		p.first = a.frame + 1
	}
	p.answers = append(p.answers, a)
	p.bytes += cost
}

// emptyVector is the state vector of somebody who has nothing.
const emptyVector = "\x00"

// cost is what an answer counts of maxPreparedBytes. That to a newcomer is as
// large as the document and kept in any case.
func (a *prepAnswer) cost() int {
	if a.vector == emptyVector {
		return 0
	}
	return len(a.payload) + len(a.vector)
}

// since returns the frames that complete an answer.
func (p *prepared) since(a *prepAnswer) [][]byte {
	if skip := a.frame + 1 - p.first; skip < uint64(len(p.tail)) {
		return p.tail[skip:]
	}
	return nil
}

// broadcast takes note of frames that all members are offered, or forgets
// everything when they are too many.
func (p *prepared) broadcast(frames [][]byte, size int) {
	if len(p.answers) == 0 {
		return
	}
	if len(p.tail)+len(frames) > maxTail || p.size+size > maxTailBytes {
		*p = prepared{}
		return
	}
	p.tail = append(p.tail, frames...)
	p.size += size
}

// tick forgets the answers that nobody has asked for since the last tick.
func (p *prepared) tick() {
	if p.answers == nil {
		return
	}
	p.prune(func(a *prepAnswer) bool { return a.used })
	for _, a := range p.answers {
		a.used = false
	}
}

// prune keeps some answers.
func (p *prepared) prune(keep func(*prepAnswer) bool) {
	kept := p.answers[:0]
	p.bytes = 0
	for _, a := range p.answers {
		if keep(a) {
			kept = append(kept, a)
			p.bytes += a.cost()
		}
	}
	clear(p.answers[len(kept):])
	if p.answers = kept; len(kept) == 0 {
		*p = prepared{}
	}
}

// prepare returns the answer of the room to a state vector, which must be one,
// and the frames that complete it. They belong in front of it: a client that has
// the answer counts as synced, and its application may look at the document then.
// What builds on the answer waits in the client until it is there. made tells
// that the answer had to be made.
func (r *room) prepare(g *group, vector []byte) (rest [][]byte, payload []byte, made bool) {
	p := &g.prepared
	a := p.find(vector)
	if a != nil && !r.usable(a) {
		p.prune(func(other *prepAnswer) bool { return other != a })
		a = nil
	}
	if made = a == nil; made {
		since, err := crdt.DecodeStateVector(vector)
		if err != nil {
			panic("room: unchecked state vector: " + err.Error())
		}
		var space []byte
		if len(since) == 0 { // about as much as was stored
			space = make([]byte, 0, int(r.saves.size)+r.saves.bytes+frameSpace)
		}
		a = &prepAnswer{
			vector:  string(vector),
			payload: g.encode(protocol.Message{Kind: protocol.SyncStep2, Data: r.doc.AppendDiff(space, since, crdt.V1)}),
			version: r.out.version,
			frame:   r.out.frame,
			made:    r.now,
		}
		p.add(a)
	}
	a.used = true
	if a.version == r.out.version {
		return nil, a.payload, made
	}
	return append(slices.Clip(p.since(a)), r.waitingFrames(g)...), a.payload, made
}

// usable reports whether an answer need not be made anew.
func (r *room) usable(a *prepAnswer) bool {
	return a.version == r.out.version || r.now.Sub(a.made) < makingPause(a.payload)
}

// waitingFrames returns the frames of what is integrated and not broadcast.
func (r *room) waitingFrames(g *group) (frames [][]byte) {
	if len(r.out.waiting) == 0 {
		return nil
	}
	p := &g.prepared
	if p.waiting.payload == nil || p.waiting.version != r.out.version {
		one, err := crdt.MergeUpdates(crdt.V1, r.out.waiting...)
		if err != nil { // over a limit that none of them is over
			for _, u := range r.out.waiting {
				frames = append(frames, g.encode(protocol.Message{Kind: protocol.Update, Data: u}))
			}
			return frames
		}
		p.waiting = cached{r.out.version, g.encode(protocol.Message{Kind: protocol.Update, Data: one})}
	}
	return [][]byte{p.waiting.payload}
}
