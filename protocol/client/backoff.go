package client

import (
	"math/rand/v2"
	"time"
)

// Bounds of the pause before another try.
const (
	minBackoff = 250 * time.Millisecond
	maxBackoff = 30 * time.Second
	// settled is how long a connection must have lasted for the pauses to begin anew: a server that takes connections
	// only to drop them is not to be asked four times a second. Guessed.
	settled = 5 * time.Second
)

// backoff counts tries in a row and says how long to wait before the next.
type backoff struct{ tries int }

// next returns a time drawn from 0 to 250 ms, doubling with every call up to 30 s ("full jitter").
func (b *backoff) next() time.Duration {
	most := maxBackoff
	if b.tries < 7 { // 250 ms << 7 = 32 s
		most = minBackoff << b.tries
	}
	b.tries++
	return rand.N(most) + time.Millisecond
}

// after is next, unless the server has said when to come.
func (b *backoff) after(told time.Duration) time.Duration {
	own := b.next()
	if told > 0 {
		return told
	}
	return own
}

func (b *backoff) reset() { b.tries = 0 }
