package gateway

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"weft/gateway/auth"
	"weft/protocol"
)

// hpPlace is one document of a Hocuspocus connection. Until its token has been looked at and the room is joined, its
// messages are queued, within the bounds of the connection. Full case: the connection ends with protocol.Flooded.
type hpPlace struct {
	// Static after construction.
	h          *hocuspocus
	since      time.Duration // age of the connection at the document's first message
	attachment attachment

	// Owned by the conn's goroutine.
	asked bool // a token was, or is being, looked at

	// Guarded by h.mu.
	queueing bool
	queue    []protocol.Message
	entered  bool    // the client was let in
	barred   bool    // there is no place (any more); only a new token is looked at
	major    int     // of the provider's version; 0 when it does not say, as before 4.0
	looking  bool    // a task looks at tokens
	newest   *string // a token that it has not taken yet
}

// take handles one message of the client about this document. Its error ends the connection.
func (p *hpPlace) take(m protocol.Message) error {
	switch m.Kind {
	case protocol.Token:
		token, version := protocol.SplitToken(m.Data)
		p.noteVersion(string(version))
		if p.asked {
			p.renewWith(string(token))
			return nil
		}
		return p.ask(string(token))
	case protocol.ServerOnly:
		p.attachment.end(protocol.Malformed.Closef("a message between servers"))
		return nil
	}
	ready := p.asked || p.h.conn.srv.o.Auth == nil || p.h.token != "" // providers before 3 show no token when they have none
	if !ready && m.Kind == protocol.Update {
		return p.wait() // typed while the token is fetched: the SyncStep1 behind the token counts it, and its SyncStep2 brings it
	}
	queued, err := p.enqueue(m)
	if errors.Is(err, errQueueFull) && p.h.letIn() {
		queued, err = p.enqueue(m)
	}
	if err != nil {
		return err
	}
	if !queued {
		return p.handle(m)
	}
	switch {
	case p.asked:
		return nil
	case ready:
		return p.ask("")
	}
	return p.wait()
}

// errQueueFull is why enqueue took no message of a client that may have room for it when it is let in.
var errQueueFull = errors.New("the queue is full")

// enqueue keeps a message for later; false: it can be handled now, or is for nothing.
func (p *hpPlace) enqueue(m protocol.Message) (queued bool, err error) {
	h := p.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if !p.queueing {
		return false, nil
	}
	most, share := maxQueuedBytes, h.conn.srv.memory.size
	if !h.known && h.conn.srv.o.Auth != nil {
		most, share = maxStranger, h.conn.srv.strangers.size
	}
	if h.messages+1 > maxQueuedMessages || h.bytes+len(m.Data) > most {
		why := protocol.Flooded.Closef("%d messages of %d bytes wait for a token", h.messages, h.bytes)
		why.Cause = errQueueFull
		return false, why
	}
	if h.conn.srv.queued.Add(int64(len(m.Data))) > share {
		h.conn.srv.queued.Add(-int64(len(m.Data)))
		return false, protocol.Overloaded.Closef("too much waits for tokens")
	}
	h.messages++
	h.bytes += len(m.Data)
	p.queue = append(p.queue, m)
	return true, nil
}

// wait has the connection look after a document that waits for its token.
func (p *hpPlace) wait() error {
	if len(p.queue) > 1 { // it does already
		return nil
	}
	waiting := 0
	for _, other := range p.h.places {
		if !other.asked {
			waiting++
		}
	}
	if waiting > maxPending {
		return protocol.Flooded.Closef("%d documents wait for a token", waiting)
	}
	p.h.conn.armRead(min(pingAfter, p.h.conn.srv.o.AuthTime))
	return nil
}

// handle hands a message to the room; of a place that has ended, nothing.
func (p *hpPlace) handle(m protocol.Message) error {
	if p.isBarred() {
		return nil
	}
	if err := p.attachment.handle(m); err != nil && p.h.conn.ctx.Err() != nil {
		return err
	}
	return nil // an error of the session's end: the place learns of it by itself
}

func (p *hpPlace) isBarred() bool {
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	return p.barred
}

// noteVersion keeps the major version that a provider says.
func (p *hpPlace) noteVersion(version string) {
	first, _, _ := strings.Cut(version, ".")
	major, _ := strconv.Atoi(first) // what is no number counts as not said
	p.h.mu.Lock()
	p.major = major
	p.h.mu.Unlock()
}

// ask has the first token looked at by a task of the connection. While too many are, it blocks.
func (p *hpPlace) ask(token string) error {
	p.asked = true
	c := p.h.conn
	if p.h.until == 0 {
		p.h.until = c.age() + lonelyTime
	}
	select {
	case p.h.asking <- struct{}{}:
	case <-c.ctx.Done():
		return nil // it is ending
	}
	p.h.mu.Lock()
	p.looking = true
	p.h.looking++
	p.h.mu.Unlock()
	c.tasks.Go(func() {
		defer p.h.recovered()
		p.admit(token)
	})
	return nil
}

// recovered ends the connection when its task panicked.
func (h *hocuspocus) recovered() {
	if v := recover(); v != nil {
		h.conn.srv.panicked("connection", v)
		h.conn.end(protocol.Internal.Closef("panic"))
	}
}

// admit lets the client in if its token, or one that it sent meanwhile, is good, and handles what it sent meanwhile.
func (p *hpPlace) admit(token string) {
	err := func() error {
		defer p.looked()
		return p.letIn(token)
	}()
	<-p.h.asking
	if err != nil {
		if p.h.conn.ctx.Err() == nil {
			p.attachment.finish(closeError(err))
		}
		return
	}
	for queue := p.dequeue(); queue != nil; queue = p.dequeue() {
		for _, m := range queue {
			if p.handle(m) != nil {
				return
			}
		}
	}
	p.lookOn()
}

// looked is called when the place's first token was looked at.
func (p *hpPlace) looked() {
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	p.h.looking--
	p.h.verdict.Broadcast()
}

func (p *hpPlace) letIn(token string) error {
	if after, ok := p.h.conn.srv.o.Rooms.Admit(p.attachment.room); !ok {
		return protocol.Overloaded.Closef("too many rooms are being opened, for about %v", after)
	}
	g, err := p.authorize(token)
	for err != nil {
		newer := p.nextToken()
		if newer == nil {
			return err
		}
		g, err = p.authorize(*newer)
	}
	if err := p.attachment.enter(g); err != nil {
		return err
	}
	p.h.mu.Lock()
	p.entered, p.h.known = true, true
	p.h.mu.Unlock()
	return nil
}

// authorize looks at a token; an empty one stands for that of the handshake.
func (p *hpPlace) authorize(token string) (auth.Grant, error) {
	if token == "" {
		token = p.h.token
	}
	return p.h.conn.authorize(token, p.attachment.room)
}

// dequeue returns what waits; when that is nothing, messages are handled as they come from then on.
func (p *hpPlace) dequeue() []protocol.Message {
	h := p.h
	h.mu.Lock()
	defer h.mu.Unlock()
	queue := p.dequeueLocked()
	p.queueing = len(queue) > 0
	return queue
}

func (p *hpPlace) dequeueLocked() []protocol.Message {
	queue := p.queue
	p.queue = nil
	for _, m := range queue {
		p.h.messages--
		p.h.bytes -= len(m.Data)
		p.h.conn.srv.queued.Add(-int64(len(m.Data)))
	}
	return queue
}

// drop forgets what waits, of a place that has ended.
func (p *hpPlace) drop() {
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	p.barred, p.queueing = true, false
	p.dequeueLocked()
}

// renewWith has a further token of the client looked at. Of several that come meanwhile the last one counts.
func (p *hpPlace) renewWith(token string) {
	h := p.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.barred {
		return
	}
	p.newest = &token
	if p.looking {
		return
	}
	p.looking = true
	h.conn.tasks.Go(func() {
		defer h.recovered()
		p.lookOn()
	})
}

// lookOn looks at the tokens of a client that is inside, until there is no further one.
func (p *hpPlace) lookOn() {
	for token := p.nextToken(); token != nil; token = p.nextToken() {
		p.renewed(p.authorize(*token))
	}
}

// nextToken takes the newest token; when there is none, the task that asks must end.
func (p *hpPlace) nextToken() *string {
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	token := p.newest
	p.newest = nil
	p.looking = token != nil
	return token
}

// renewed applies what became of a new token. When nobody could be asked, the old grant stays for as long as it lasts.
func (p *hpPlace) renewed(g auth.Grant, err error) {
	switch {
	case p.h.conn.ctx.Err() != nil:
	case err != nil && closeError(err).Reason.Retry:
	case err != nil:
		p.attachment.end(closeError(err))
	case g.User.ID != p.attachment.entry().User.ID:
		p.attachment.end(protocol.Unauthorized.Closef("token of another user"))
	default:
		p.attachment.setGrant(g)
	}
}

func (p *hpPlace) say(m protocol.Message) { p.h.conn.say(p.attachment.dialect.Append(nil, m)) }

func (p *hpPlace) changed(write bool) {
	scope := protocol.ReadOnly
	if write {
		scope = protocol.ReadWrite
	}
	p.say(protocol.Message{Kind: protocol.Granted, Data: []byte(scope)})
}

func (p *hpPlace) renew() { p.say(protocol.Message{Kind: protocol.TokenWanted}) }

// over says goodbye in the words of the provider's version. A CLOSE makes 4.x forget the others' cursors and that it is
// synced, but 2.15 throws; PERMISSION DENIED is known to all, and the only word where the version is not said.
func (p *hpPlace) over(why *protocol.CloseError) {
	p.drop()
	p.h.mu.Lock()
	major, entered := p.major, p.entered
	p.h.mu.Unlock()
	if why.Reason.Retry {
		p.h.conn.end(why)
		return
	}
	text := []byte(why.Reason.Text)
	if major < 4 || !entered || bars(why.Reason) {
		p.say(protocol.Message{Kind: protocol.Barred, Data: text})
	}
	if major >= 4 && entered {
		p.say(protocol.Message{Kind: protocol.Leave, Data: text})
	}
	if entered {
		p.h.lonelySince()
	} else if err := p.h.refused(); err != nil {
		p.h.conn.end(closeError(err))
	}
}
