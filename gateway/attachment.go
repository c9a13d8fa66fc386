package gateway

import (
	"sync"
	"time"

	"weft/gateway/auth"
	"weft/presence"
	"weft/protocol"
	"weft/room"
)

// attachment is one authorised place of one connection in one room. Access is per room, never per connection: what a
// client may do stands here, and ends here.
//
// It is in Server.places from the moment its grant is known, before the room is joined, until nothing that its client
// sent changes the room any more, also when the client has hung up; so whoever takes rights away and then goes through
// the places misses nobody.
type attachment struct {
	// Static after construction.
	conn    *conn
	room    string // a valid room name
	dialect protocol.Encoder
	acks    bool  // the client's protocol tells what is durable
	voice   voice // how the client is told
	opening *room.Opening
	reads   bool // the client does not want to write

	// Guarded by mu.
	mu      sync.Mutex
	stage   stage
	given   auth.Grant // by the token, or by who called setGrant
	writes  bool       // an operator lets the client write, whatever its tokens say
	write   bool       // what Options.Restrictions leave of both
	askAt   time.Time  // when the client is to be asked for a new token; zero: not any more, or never
	session Session    // once the room is joined
	why     *protocol.CloseError

	// Guarded by the lock of Server.places.
	counted string // the user for whom the place counts
}

// stage is how far a place has come; it only grows.
type stage uint8

const (
	outside stage = iota // no grant yet
	granted              // joining
	inside               // the session exists
	over                 // ended for why, or left when that is nil
)

// voice is how the client of one place is told about it in its protocol. It is called from any goroutine and must not
// block.
type voice interface {
	// changed tells what the client may do: before the room says anything, and when it is something else. It is called
	// with the place's mu held, so that of two changes the last one is told last.
	changed(write bool)
	// renew asks for a new token, where the protocol can.
	renew()
	// over tells that the place has ended for a reason of the server, or was never entered.
	over(why *protocol.CloseError)
}

// enter joins the room with a grant. After an error the caller ends the place with finish or leave.
func (a *attachment) enter(g auth.Grant) error {
	a.mu.Lock()
	if a.stage == over {
		why := a.why
		a.mu.Unlock()
		return ended(why)
	}
	a.stage = granted
	a.setGivenLocked(g)
	a.mu.Unlock()
	srv := a.conn.srv
	if err := srv.places.add(a, g.User.ID); err != nil {
		return err
	}
	a.conn.belongsTo(g.User)
	// After that: of a restriction that is made now, either we learn here or its maker finds this place.
	a.mu.Lock()
	if a.stage == over { // left before it was in the list
		why := a.why
		a.mu.Unlock()
		srv.places.remove(a)
		return ended(why)
	}
	if err := a.applyLocked(); err != nil {
		a.mu.Unlock()
		return err
	}
	write := a.write
	a.voice.changed(write)
	a.mu.Unlock()
	began := time.Now()
	session, err := srv.o.Rooms.Join(a.conn.ctx, a.room, room.Peer{
		ID: a.conn.start.ID, Dialect: a.dialect, Out: a.conn.out, ReadOnly: !write, Acks: a.acks,
		User: presence.User{ID: g.User.ID, Name: g.User.Name}, Opening: a.opening,
		Ended: func(err error) { a.finish(closeError(err)) },
	})
	if err != nil {
		return err
	}
	a.conn.inRoom.Store(true)
	if srv.o.Events.Entered != nil {
		e := a.entry()
		e.Took = time.Since(began)
		srv.o.Events.Entered(e)
	}
	a.mu.Lock()
	if a.stage != over {
		a.stage, a.session = inside, session
		if a.write != write {
			session.SetReadOnly(!a.write)
		}
		a.mu.Unlock()
		return nil
	}
	why := a.why
	a.mu.Unlock()
	if why != nil {
		session.End(why)
	} else {
		session.Leave()
	}
	if srv.o.Events.Exited != nil {
		srv.o.Events.Exited(a.entry(), why)
	}
	return ended(why)
}

// ended is the error of what comes too late for a place that ended for why, nil when it was left.
func ended(why *protocol.CloseError) error {
	if why != nil {
		return why
	}
	return protocol.Normal.Closef("left")
}

// entry describes the place.
func (a *attachment) entry() Entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &a.conn.start
	return Entry{
		Conn: s.ID, Room: a.room, Protocol: s.Protocol, Remote: s.Remote, User: a.given.User, Write: a.write,
	}
}

// granted returns what the client may do, and who it is.
func (a *attachment) granted() auth.Grant {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.given
	g.Write = a.write
	return g
}

// setGrant replaces what the client may do: after a new token, or because an operator wants it so. It counts from the
// client's next message on; what Options.Restrictions take away stays taken away. Nothing happens to a place that has
// ended.
func (a *attachment) setGrant(g auth.Grant) {
	a.mu.Lock()
	a.setGivenLocked(g)
	a.mu.Unlock()
	a.restrict()
	a.conn.srv.places.watch(a)
}

// restrict applies Options.Restrictions anew to what the client was given, and ends the place when nothing is left.
// Whoever changes the restrictions calls it for every place then.
func (a *attachment) restrict() {
	a.mu.Lock()
	if a.stage == outside || (a.stage == over && a.session == nil) {
		a.mu.Unlock()
		return
	}
	before := a.write // also of a client that has left: the room may have to handle what it sent
	if err := a.applyLocked(); err != nil {
		a.mu.Unlock()
		a.end(closeError(err))
		return
	}
	changed := before != a.write
	if changed && a.session != nil {
		a.session.SetReadOnly(!a.write) // with mu held, so that of two changes the last one counts; it does not block
	}
	if changed && a.stage != over {
		a.voice.changed(a.write)
	}
	a.mu.Unlock()
}

// applyLocked works out what the restrictions leave. It calls out with mu held, so that of two answers the newer one
// counts; the restrictions' own lock is below this one.
func (a *attachment) applyLocked() error {
	g := a.given
	g.Write = (g.Write || a.writes) && !a.reads
	left, err := a.conn.srv.o.Restrictions.Apply(g, a.room)
	if err == nil {
		a.write = left.Write
	}
	return err
}

// A client that can be asked for a new token is asked askBefore its grant ends, or when two thirds of a short one have
// passed.
const askBefore = 10 * time.Second

func (a *attachment) setGivenLocked(g auth.Grant) {
	a.given, a.askAt = g, time.Time{}
	if !g.Expires.IsZero() {
		a.askAt = g.Expires.Add(-min(askBefore, time.Until(g.Expires)/3))
	}
}

// dueAt returns when something is to be done about the grant; zero: never.
func (a *attachment) dueAt() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.askAt.IsZero() {
		return a.given.Expires
	}
	return a.askAt
}

// end takes the place away. When it returns, nothing that the client sent and the room has not handled changes the
// document, and the client is being told. The place is over first: a session that a join brings from then on is ended
// by enter, so none slips through in between.
func (a *attachment) end(why *protocol.CloseError) {
	session, first := a.close(why)
	if session != nil {
		session.End(why) // also when another was first, whose End may still be waiting, or when the client has left
	}
	a.conn.srv.places.remove(a)
	if first {
		a.voice.over(why)
	}
}

// finish notes that the place has ended, and its session if there was one, and has the client told. Only the first call
// does anything.
func (a *attachment) finish(why *protocol.CloseError) {
	if _, first := a.close(why); first {
		a.conn.srv.places.remove(a)
		a.voice.over(why)
	}
}

// leave gives the place up for the client. It stays in Server.places, for those who take rights away, until the room has
// handled what the client sent before; false when it has ended already. The connection's goroutine calls it.
func (a *attachment) leave() bool {
	session, first := a.close(nil)
	if !first {
		return false
	}
	if session == nil {
		a.conn.srv.places.remove(a)
		return true
	}
	session.Leave()
	a.conn.tasks.Go(func() {
		<-session.Done() // at the latest when the room ends
		a.conn.srv.places.remove(a)
	})
	return true
}

// sessionDone is closed when the session has ended, which must exist.
func (a *attachment) sessionDone() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.session.Done()
}

// isOver tells whether the client has no place any more.
func (a *attachment) isOver() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stage == over
}

// close ends the place for its client and returns its session, if it came that far; first is false when it had ended.
// The caller sees to its removal from Server.places.
func (a *attachment) close(why *protocol.CloseError) (session Session, first bool) {
	a.mu.Lock()
	was := a.stage
	if was == over {
		defer a.mu.Unlock()
		return a.session, false
	}
	a.stage, a.why = over, why
	session = a.session
	a.mu.Unlock()
	switch e := a.conn.srv.o.Events; {
	case was == inside && e.Exited != nil:
		e.Exited(a.entry(), why)
	case was != inside && why != nil && e.Barred != nil:
		e.Barred(a.entry(), why)
	}
	return session, true
}

// handle hands a message of the client to the room. Other kinds than those of rooms are skipped.
func (a *attachment) handle(m protocol.Message) error {
	switch m.Kind {
	case protocol.SyncStep1, protocol.SyncStep2, protocol.Update, protocol.Awareness, protocol.QueryAwareness,
		protocol.SaveMarker, protocol.Stateless, protocol.Credit, protocol.Pong:
		return a.session.Handle(a.conn.ctx, m)
	}
	return nil
}
