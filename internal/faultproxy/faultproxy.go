// Package faultproxy is a TCP proxy for tests that makes a network fail on demand: slow, silent in one direction or both,
// losing answers, cut, refusing. Only tests import it.
//
// Each connection has two goroutines that copy, one for each direction; Close ends all and waits for them. Methods may be
// called from any goroutine, and act on what is copied from then on.
package faultproxy

import (
	"net"
	"sync"
	"time"
)

// Direction is which way bytes flow.
type Direction int

// Up is from clients to the server, Down back.
const (
	Up Direction = iota
	Down
)

// Proxy forwards connections to one address.
type Proxy struct {
	// Static after construction.
	target   string
	listener net.Listener
	wg       sync.WaitGroup

	// Guarded by mu.
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
	links   map[*link]bool
	delay   time.Duration
	silent  [2]bool // discards
	stalled bool
	refuses bool
	drop    int // answers still to be lost
	closed  bool
}

// link is one client's connection and the one to the server.
type link struct {
	client, server net.Conn
	end            chan struct{} // closed when both are
	once           sync.Once
	deaf           [2]bool // guarded by Proxy.mu: something of this direction was discarded, so nothing may follow
}

func (l *link) close() {
	l.once.Do(func() {
		close(l.end)
		_ = l.client.Close() // nothing can be done about it
		_ = l.server.Close()
	})
}

// New listens on a free port of loopback.
func New(target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, listener: listener, links: map[*link]bool{}, changed: make(chan struct{})}
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close closes everything and waits for the goroutines.
func (p *Proxy) Close() error {
	p.change(func() { p.closed = true })
	err := p.listener.Close()
	p.Cut()
	p.wg.Wait()
	return err
}

// Delay makes every chunk wait before it is passed on, in both directions.
func (p *Proxy) Delay(d time.Duration) { p.change(func() { p.delay = d }) }

// Stall holds everything back, in both directions, and loses nothing; Stall(false) lets it go on.
func (p *Proxy) Stall(on bool) { p.change(func() { p.stalled = on }) }

// Silence discards all that flows one way while it is on. A connection that lost something stays silent that way.
func (p *Proxy) Silence(d Direction, on bool) { p.change(func() { p.silent[d] = on }) }

// DropReplies discards the next n chunks from the server; nothing more comes back on the connections that they were for.
func (p *Proxy) DropReplies(n int) { p.change(func() { p.drop = n }) }

// Refuse closes new connections at once while it is on.
func (p *Proxy) Refuse(on bool) { p.change(func() { p.refuses = on }) }

// Cut closes all connections there are. New ones are accepted.
func (p *Proxy) Cut() {
	p.mu.Lock()
	var cut []*link
	for l := range p.links {
		cut = append(cut, l)
	}
	p.mu.Unlock()
	for _, l := range cut {
		l.close()
	}
}

func (p *Proxy) change(what func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refuses := p.refuses
		p.mu.Unlock()
		server, err := net.Dial("tcp", p.target)
		if refuses || err != nil {
			_ = client.Close()
			if err == nil {
				_ = server.Close()
			}
			continue
		}
		p.start(&link{client: client, server: server, end: make(chan struct{})})
	}
}

func (p *Proxy) start(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		l.close()
		return
	}
	p.links[l] = true
	p.wg.Go(func() { p.copy(l, l.server, l.client, Up) })
	p.wg.Go(func() {
		p.copy(l, l.client, l.server, Down)
		p.mu.Lock()
		delete(p.links, l)
		p.mu.Unlock()
	})
}

func (p *Proxy) copy(l *link, to, from net.Conn, d Direction) {
	defer l.close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && p.passes(l, d) {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// passes waits as long as a chunk has to, and reports whether it is passed on.
func (p *Proxy) passes(l *link, d Direction) bool {
	waited := false
	for {
		p.mu.Lock()
		delay, stalled, changed := p.delay, p.stalled, p.changed
		if !stalled && (delay == 0 || waited) {
			break
		}
		p.mu.Unlock()
		if !stalled {
			select {
			case <-time.After(delay):
				waited = true
			case <-l.end:
				return false
			}
			continue
		}
		select {
		case <-changed:
		case <-l.end:
			return false
		}
	}
	defer p.mu.Unlock()
	if d == Down && p.drop > 0 && !l.deaf[d] {
		p.drop--
		l.deaf[d] = true
	}
	l.deaf[d] = l.deaf[d] || p.silent[d]
	return !l.deaf[d]
}
