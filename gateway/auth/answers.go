package auth

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// question names what a webhook is asked: a hash of the token, the room, the address and the origin.
type question [sha256.Size]byte

// questionOf hashes r, each part with its length in front so that no two requests look the same.
func questionOf(r Request) question {
	h := sha256.New()
	for _, part := range []string{r.Token, r.Room, r.Origin, r.Remote.String()} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return question(h.Sum(nil))
}

// answers keeps up to limit verdicts until their time is over. It is usable when limit is set.
type answers struct {
	limit int // static
	table map[question]answer
	// order holds the questions of table in the order in which they were put; when there are too many the oldest goes.
	// A question that was put again stands in it twice, and counts from its last place only.
	order []place
	count uint64 // of puts
}

type answer struct {
	verdict
	until time.Time
	put   uint64
}

type place struct {
	q   question
	put uint64
}

// get returns the verdict that is kept for q.
func (a *answers) get(q question, now time.Time) (verdict, bool) {
	found, ok := a.table[q]
	if !ok || !now.Before(found.until) {
		return verdict{}, false
	}
	return found.verdict, true
}

// put keeps v for q; the oldest verdicts make room.
func (a *answers) put(q question, v verdict, until time.Time) {
	if a.table == nil {
		a.table = map[question]answer{}
	}
	a.count++
	a.table[q] = answer{v, until, a.count}
	a.order = append(a.order, place{q, a.count})
	for len(a.order) > a.limit {
		oldest := a.order[0]
		a.order = a.order[1:]
		if a.table[oldest.q].put == oldest.put {
			delete(a.table, oldest.q)
		}
	}
}
