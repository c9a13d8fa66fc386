package room

import (
	"context"
	"sync/atomic"
	"time"

	"weft/presence"
	"weft/protocol"
)

// Peer is who joins a room.
type Peer struct {
	ID       uint64           // names the conn in events; rooms do not interpret it
	Dialect  protocol.Encoder // how payloads for this peer are encoded; peers of equal dialects share them
	Out      *Outbox          // where they go; several sessions of one conn may share it
	ReadOnly bool             // it may not change the document or send Stateless messages, everything else works
	User     presence.User    // who it is according to its token; zero: not known

	// Acks makes the room tell the peer what is saved, for clients of Hocuspocus that
	// count what is not: an Update counts one, and a SyncStep1 starts the count anew at
	// one. So every Update that counts (see count) is answered by one Saved or NotSaved,
	// and every SyncStep1 by the room's own SyncStep1, a SyncStep2, and, for the
	// SyncStep2 that then comes back, one Saved or NotSaved; in order. What the room asks
	// for beside that is not counted and not answered, except that it makes up for what
	// was refused. Saved follows the rule of save markers. NotSaved is
	// final: the peer may not write. A message that the room cannot take now, because
	// the store takes no updates or because it builds on something that is missing,
	// has its answer withheld: the peer is asked for it again, and what is durable
	// then is Saved. Peers without Acks are told in words (Denied), once.
	Acks bool

	// Opening is what a peer says when it joins that numbers its updates, see there.
	// Nil: it has no one message for that.
	Opening *Opening

	// Ended is called once, from a goroutine of the room, when the room or End ends
	// the session, with what Err returns; not after Leave. It must not block or call
	// the session, and may come before Join has returned. Nil: nobody is told.
	Ended func(error)
}

// Session is one peer's place in one room, from Join until Leave or until the
// room ends it. Its methods may be called from any goroutine; the order of a
// peer's messages is the order of its Handle calls.
//
// What the session does not get through its outbox because the outbox is over
// its bound, it gets later: when the outbox has drained, the document updates it
// missed arrive as one diff and the presence as its latest state. A session
// whose outbox does not drain for Options.LagAfter (plus the time that what is
// over the bound takes at 32 KiB/s, so that a slow link can receive a large
// document) is ended with protocol.TooSlow.
type Session struct {
	// Static after construction.
	room *room
	peer Peer
	id   presence.ConnID // unique in the room

	identity *presence.Identity
	done     chan struct{}

	// Written once, before done is closed.
	err *protocol.CloseError

	// Set by the room's run, read by anyone.
	laggingSince atomic.Int64 // Unix time in nanoseconds; 0: it does not lag

	// Set from any goroutine.
	left     atomic.Bool // Leave was called
	revoked  atomic.Bool // End was called: nothing of it is acted on any more
	readOnly atomic.Bool

	// Owned by the room's run; see there.
	state
}

// state is what a room knows of one of its sessions.
type state struct {
	ended bool
	group *group // in the hub
	index int    // in group.members

	sentAt time.Time // when it was last offered something

	// What it missed.
	draining   bool      // a callback is registered with its outbox
	drainSince time.Time // since when that is so
	lagging    bool      // document updates are withheld
	lagFrom    *mark     // what it has of the document; nil: nothing
	seen       uint64    // version of the presence table that it was sent
	behind     bool      // its presence was withheld
	answering  bool      // a SyncStep2 is on its way
	asked      []byte    // the state vector of a SyncStep1 that is to be answered; nil: there is none
	answerAt   time.Time // not before then
	asking     bool      // it stands in room.asking

	// What it sent and is not safe yet.
	pending      []pendingUpdate
	pendingBytes int
	listed       bool // it stands in room.waiting
	lost         bool // an update was refused or dropped that it has not sent again
	resync       bool // ask for it when the room is writable again
	askSoon      bool // ask for it as soon as the pace allows
	askedAt      time.Time
	askedVersion uint64        // of the document, when it was asked last
	askWait      time.Duration // until it is asked again
	answers      []answer      // that it is owed, in order
	owed         bool          // it stands in room.owing
	count        count         // what its client counts as not saved
	compareAt    time.Time     // a reader's answer is not looked into before
	denied       bool          // it was told why its updates are refused

	numbered
}

// Handle hands a message of the peer to the room and returns when it is queued.
// It blocks while the room's inbox is full, so that the caller does not read the
// peer's socket meanwhile; it returns ctx's cause when ctx ends first, and the
// session's Err when the session has ended. The room owns m.Data from now on:
// the caller must not change it.
func (s *Session) Handle(ctx context.Context, m protocol.Message) error {
	select {
	case <-s.done:
		return s.ending()
	default:
	}
	if m.Kind == protocol.Ignored || m.Kind == protocol.Denied {
		return nil
	}
	return s.room.put(ctx, letter{session: s, msg: m, at: time.Now()})
}

// Leave ends the session from the peer's side: the messages handed over before
// are still handled, then its presence is removed and the others are told. It
// does not block and may be called more than once.
func (s *Session) Leave() {
	if s.left.CompareAndSwap(false, true) {
		s.room.send(letter{session: s, leave: true})
	}
}

// End ends the session from outside, for the reason why, which must not be nil:
// the peer is to be gone, or must not write any more. When End returns, no
// message of the session changes the document, neither one that waits in the
// inbox nor one that is handed over later. It waits for the message that the room
// is at, and must not be called from an Events function or Peer.Ended.
func (s *Session) End(why *protocol.CloseError) {
	s.revoked.Store(true)
	// An error says that the room has ended, and with it everything that may change.
	_ = s.room.do(context.Background(), func() { s.room.end(s, why) })
}

// Done is closed when the session has ended, by Leave or by the room.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns why the room ended the session, a *protocol.CloseError. It is nil
// while the session lives and when the peer left by itself.
func (s *Session) Err() error {
	select {
	case <-s.done:
		if s.err != nil {
			return s.err
		}
	default:
	}
	return nil
}

// SetReadOnly changes what the peer may do, from the next message on that the
// room handles. A peer that may write again is asked for what was refused.
func (s *Session) SetReadOnly(ro bool) {
	if s.readOnly.Swap(ro) != ro {
		s.room.post(func() { s.room.rightsChanged(s) })
	}
}

// ending is what Handle returns after the end.
func (s *Session) ending() error {
	if s.err != nil {
		return s.err
	}
	return protocol.Normal.Closef("session has left")
}
