package gateway

import (
	"context"
	"math/rand/v2"
	"time"

	"weft/protocol"
)

const (
	// drainRate is how many connections are ended in a second, so that their clients, whose back-off has no jitter, do
	// not all come back at once. Guessed; a join costs some tenths of a millisecond.
	drainRate = 2_000
	// drainShare is the part of the time left that the spreading may use.
	drainShare = 2 // one half
	// Clients that can be told are told to come back in that time after the last connection has ended, and up to
	// comeBackSpread later, each at another time. Guessed: a restart takes about a second.
	comeBack       = time.Second
	comeBackSpread = 4 * time.Second
)

// Drain takes the server out of service: new connections are refused with 503 from the first moment and /readyz says
// so, the live ones are ended with a retryable reason, spread over at most half of the time that ctx leaves, and Drain
// returns nil when the last one is gone. When ctx ends first, the sockets that are left are closed, and Drain returns
// the cause of that; it then has also waited for their goroutines.
func (s *Server) Drain(ctx context.Context) error {
	live := s.conns.drain()
	gone := make(chan struct{})
	go func() { // ends when every place is given back, which Drain waits for
		s.conns.wg.Wait()
		close(gone)
	}()
	s.spread(ctx, live)
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
	}
	for _, c := range s.conns.drain() { // anew: a handshake may have ended meanwhile
		_ = c.nc.Close() // wakes its reader and its writer, which report
	}
	<-gone
	return context.Cause(ctx)
}

// spread ends the connections, evenly over the time that they may take.
func (s *Server) spread(ctx context.Context, live []*conn) {
	total := time.Duration(len(live)) * time.Second / drainRate
	if deadline, ok := ctx.Deadline(); ok {
		total = min(total, time.Until(deadline)/drainShare)
	}
	began := time.Now()
	for _, c := range live {
		c.speaks.drain(total + comeBack + rand.N(comeBackSpread))
	}
	for i, c := range live {
		due := total * time.Duration(i) / time.Duration(len(live))
		if wait := due - time.Since(began); wait >= time.Millisecond {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
		}
		c.end(protocol.Restarting.Closef("drain"))
	}
}
