package gateway

import (
	"bytes"
	"errors"
	"time"

	"weft/crdt"
	"weft/gateway/auth"
	"weft/protocol"
	"weft/protocol/weftv1"
	"weft/room"
)

// nativePlace is one room of a native connection.
type nativePlace struct {
	// Static after construction.
	n          *native
	id         uint64 // stands for the room
	ref        uint32 // of the Join
	ownToken   bool   // it was joined with a token of its own
	attachment attachment
	entered    chan struct{} // closed when the attempt to enter is over

	// Guarded by n.mu.
	answered  bool // Joined has left
	forgotten bool
}

// join begins to enter a room.
func (n *native) join(ref uint32, j *weftv1.Join) error {
	name := j.GetRoom()
	if err := protocol.CheckRoomName(name); err != nil {
		return n.refuse(ref, 0, 0, weftv1.Code_CODE_MALFORMED, err.Error())
	}
	n.conn.in.room = name
	if j.GetVersion() > weftv1.Version_VERSION_V2 || j.GetAck() > weftv1.Durability_DURABILITY_DURABLE {
		return n.refuse(ref, 0, 0, weftv1.Code_CODE_UNSUPPORTED, "unknown version or durability")
	}
	if len(j.GetToken()) > n.conn.srv.o.Limits.Token || len(j.GetStateVector()) > maxNativeVectors {
		return n.refuse(ref, 0, 0, weftv1.Code_CODE_TOO_LARGE, "the token or the state vector is too large")
	}
	p := &nativePlace{n: n, ref: ref, ownToken: j.GetToken() != "", entered: make(chan struct{})}
	if text := n.add(name, p); text != "" {
		return n.refuse(ref, 0, 0, weftv1.Code_CODE_LIMIT_EXCEEDED, text)
	}
	p.attachment = attachment{
		conn: n.conn, room: name, voice: p, reads: j.GetReadOnly(),
		dialect: protocol.Native{Room: p.id, V2: j.GetVersion() == weftv1.Version_VERSION_V2},
		opening: &room.Opening{
			Ref: ref, Vector: j.GetStateVector(), Window: j.GetWindowBytes(), Presence: j.GetPresence(),
			Resume:   protocol.Position{Epoch: j.GetResume().GetEpoch(), Seq: j.GetResume().GetSeq()},
			Applied:  j.GetAck() == weftv1.Durability_DURABILITY_APPLIED,
			Answered: p.wasAnswered, Changed: p.accessChanged,
		},
	}
	if !n.can(weftv1.Feature_FEATURE_FRAGMENTS) {
		p.attachment.opening.Largest = n.conn.srv.o.NativeFrame
	}
	select {
	case n.asking <- struct{}{}:
	case <-n.conn.ctx.Done():
		return nil // it is ending
	}
	n.conn.tasks.Go(func() {
		defer n.recovered()
		p.admit(j.GetToken())
	})
	return nil
}

// add makes room for a place, or says why there is none.
func (n *native) add(name string, p *nativePlace) (refused string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.names[name] != nil:
		return "you have a place in that room"
	case len(n.names) >= maxPlaces:
		return "too many rooms"
	}
	p.id = n.conn.srv.native.take(name)
	n.names[name] = p
	n.places[p.id] = p // nobody knows the number before Joined says it
	return ""
}

// forget takes a place out that has ended. It may be called more than once.
func (n *native) forget(p *nativePlace) {
	now := n.conn.age()
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.forgotten {
		return
	}
	p.forgotten = true
	delete(n.names, p.attachment.room)
	if n.places[p.id] == p {
		delete(n.places, p.id)
	}
	n.conn.srv.native.give(p.attachment.room)
	n.lonely = now
}

// recovered ends the connection when a task of it panicked.
func (n *native) recovered() {
	if v := recover(); v != nil {
		n.conn.srv.panicked("connection", v)
		n.conn.end(protocol.Internal.Closef("panic"))
	}
}

// admit lets the client in if its token is good.
func (p *nativePlace) admit(token string) {
	err := p.letIn(token)
	close(p.entered)
	<-p.n.asking
	if err != nil && p.n.conn.ctx.Err() == nil {
		p.attachment.finish(closeError(err))
	}
}

func (p *nativePlace) letIn(token string) error {
	if after, ok := p.n.conn.srv.o.Rooms.Admit(p.attachment.room); !ok {
		return protocol.Overloaded.Closef("too many rooms are being opened, for about %v", after)
	}
	g, err := p.authorize(token)
	if err != nil {
		return err
	}
	p.n.mu.Lock()
	p.n.known = true
	p.n.mu.Unlock()
	p.attachment.opening.Expires = g.Expires
	return p.attachment.enter(g)
}

// authorize looks at a token; an empty one stands for the connection's.
func (p *nativePlace) authorize(token string) (auth.Grant, error) {
	if token == "" {
		p.n.mu.Lock()
		token = p.n.token
		p.n.mu.Unlock()
	}
	return p.n.conn.authorize(token, p.attachment.room)
}

// wasAnswered is called by the room when it has sent Joined.
func (p *nativePlace) wasAnswered() {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.answered = true
}

// handle hands a message of the client to the room.
func (p *nativePlace) handle(m protocol.Message) error {
	select {
	case <-p.entered: // at once, but for a client that is quicker than the task which let it in
	case <-p.n.conn.ctx.Done():
		return nil
	}
	if p.attachment.isOver() {
		return nil // the client is being told
	}
	if err := p.attachment.handle(m); err != nil && p.n.conn.ctx.Err() != nil {
		return err
	}
	return nil // an error of the session's end: the place learns of it by itself
}

// update hands an update to its room, which came in a frame of that many bytes.
func (n *native) update(u *protocol.NativeUpdate, frame int) error {
	p := n.place(u.Room)
	switch {
	case u.ID == 0:
		return protocol.Malformed.Closef("update without an id")
	case p == nil:
		return n.noPlace(u.Ref, u.Room, u.ID)
	case len(u.Updates) == 0:
		return n.refuse(u.Ref, u.Room, u.ID, weftv1.Code_CODE_MALFORMED, "an update without updates")
	case u.Version > weftv1.Version_VERSION_V2:
		return n.refuse(u.Ref, u.Room, u.ID, weftv1.Code_CODE_UNSUPPORTED, "unknown version")
	}
	data, err := asOne(u)
	if err != nil {
		why := &protocol.CloseError{Reason: protocol.Malformed, Detail: "update", Cause: err}
		if errors.Is(err, crdt.ErrLimit) {
			why.Reason = protocol.TooLarge
		}
		n.conn.say(p.attachment.dialect.Append(nil, protocol.Message{Kind: protocol.NotSaved, ID: u.ID, Why: why}))
		p.attachment.end(why)
		return nil
	}
	if 2*len(data) < frame { // rooms keep it: let it not keep the frame
		data = bytes.Clone(data)
	}
	return p.handle(protocol.Message{Kind: protocol.Update, Data: data, ID: u.ID})
}

// asOne returns what an Update brings as one update v1, which may alias it.
func asOne(u *protocol.NativeUpdate) ([]byte, error) {
	version := crdt.V1
	if u.Version == weftv1.Version_VERSION_V2 {
		version = crdt.V2
	}
	one := u.Updates[0]
	if len(u.Updates) > 1 {
		var err error
		if one, err = crdt.MergeUpdates(version, u.Updates...); err != nil {
			return nil, err
		}
	}
	if version == crdt.V1 {
		return one, nil
	}
	return crdt.ConvertUpdate(one, crdt.V2, crdt.V1)
}

// left answers a client that leaves a room, when nothing about it comes any more.
func (n *native) left(ref uint32, id uint64) {
	p := n.place(id)
	if p == nil {
		_ = n.noPlace(ref, id, 0) // nil
		return
	}
	select {
	case <-p.entered: // at once, or nearly: Joined has left
	case <-n.conn.ctx.Done():
		return
	}
	if !p.attachment.leave() {
		_ = n.noPlace(ref, id, 0) // nil; the client has been told why
		return
	}
	n.mu.Lock()
	delete(n.places, id)
	n.mu.Unlock()
	n.conn.tasks.Go(func() {
		select {
		case <-p.attachment.sessionDone():
		case <-n.conn.ctx.Done():
			return // leave forgets the place
		}
		n.forget(p)
		n.say(weftv1.ServerEnvelope_builder{Ref: ref, Left: weftv1.Left_builder{RoomId: id}.Build()})
	})
}

// changed says nothing: the room tells, in Joined and when it has changed what it lets the client do.
func (p *nativePlace) changed(bool) {}

// accessChanged is called by the room when the client may do something else from here on.
func (p *nativePlace) accessChanged(write bool) { p.sayAccess(write, false) }

func (p *nativePlace) renew() {
	p.n.mu.Lock()
	answered := p.answered
	p.n.mu.Unlock()
	if answered {
		p.sayAccess(p.attachment.granted().Write, true)
	}
}

func (p *nativePlace) sayAccess(write, refresh bool) {
	p.n.say(weftv1.ServerEnvelope_builder{AccessChanged: weftv1.AccessChanged_builder{
		RoomId: p.id, Access: protocol.NativeAccess(write), ExpiresMs: milliseconds(p.attachment.granted().Expires), Refresh: refresh,
	}.Build()})
}

// milliseconds returns a Unix time, 0 for the zero one.
func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func (p *nativePlace) over(why *protocol.CloseError) {
	p.n.mu.Lock()
	answered := p.answered
	p.n.mu.Unlock()
	p.n.forget(p)
	refused := protocol.Refusal(why)
	if answered {
		p.n.say(weftv1.ServerEnvelope_builder{Left: weftv1.Left_builder{RoomId: p.id, Reason: refused}.Build()})
		return
	}
	p.n.say(weftv1.ServerEnvelope_builder{Ref: p.ref, Refused: refused})
	if bars(why.Reason) {
		p.n.countBarred()
	}
}

// countBarred notes that the client was told that it may not enter. One that does not take that for an answer is ended.
func (n *native) countBarred() {
	n.mu.Lock()
	n.barred++
	barred := n.barred
	n.mu.Unlock()
	if barred > maxBarred {
		n.conn.end(protocol.Unauthorized.Closef("refused %d times", barred))
	}
}
