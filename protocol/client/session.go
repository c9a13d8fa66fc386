package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"weft/crdt"
)

// JoinOptions says how a session works. The zero value is an empty document that may be written to.
type JoinOptions struct {
	// Doc configures the document; ReturnPending is ignored, and ClientID holds until a copy is discarded.
	Doc crdt.Options
	// Attach is called with each local copy before it is used: the first one and, after a refusal, the one that takes
	// its place. Observers and undo managers are made here. It must not call the session; nor may observers, which run
	// wherever the document changes.
	Attach func(*crdt.Doc)
	// Copy is what the program has kept from before (Session.Copy).
	Copy Copy
	// ReadOnly asks for less than the token allows.
	ReadOnly bool
	// Token returns the token for this room; nil: that of the connection. It is called like Options.Token.
	Token func(context.Context) (string, error)
	// Window is how many bytes of others' changes the server may have under way; 0: 1 MiB, negative: any number.
	Window int
	Events Events
}

// defaultWindow is the default of JoinOptions.Window in bytes. Guessed: a second's worth for a slow phone, and more
// than a room of a thousand typists sends in one.
const defaultWindow = 1 << 20

// Position is a place in a room's order of updates.
type Position struct{ Epoch, Seq uint64 }

// Copy is a document as a program may keep it between two sessions.
type Copy struct {
	State    []byte   // an update of the whole document in V2
	Position Position // as far as the server is known to have been followed
	Unsaved  bool     // the server may lack some of it
}

// Saved says how far local edits are safe: durable in the sense of the server.
type Saved struct {
	Edits uint64 // local edits of this session so far
	Saved uint64 // the first that many of them are saved, or were discarded
	// Position is the room's when the last of those had been saved; zero: none has been yet.
	Position Position
}

// All tells whether nothing is unsaved.
func (s Saved) All() bool { return s.Saved == s.Edits }

// A Session is a membership in one room with a live copy of its document. It stays through lost connections: edits
// are taken at any time and sent when the room can be reached. Its methods may be called from several goroutines.
//
// A server may refuse an edit for good, because the right to write was taken away or the edit is too large. Nothing can
// take it out of the local document, so the session gives that copy up, tells Events.Discarded what was in it, and loads the room anew
// into another document with another client id.
type Session struct {
	// Static after construction.
	client *Client
	room   string
	ref    uint32 // of its Join; ref+1 is that of everything else
	o      JoinOptions
	noted  chan struct{} // holds one when notes are to be told
	synced chan struct{} // closed by the first Joined
	done   chan struct{} // closed when the session has ended
	told   chan struct{} // closed when its events have been told

	mu sync.Mutex // held while the document is used, also by Edit's and View's functions

	// Guarded by mu.
	doc      *crdt.Doc
	unwatch  func()
	queue    queue
	position Position // applied, with everything before
	savedAt  Position
	access   Access
	presence presence
	signals  [][]byte // to be sent
	notes    notes
	waiters  map[*waiter]struct{}
	closing  bool // no more edits
	ended    bool
	err      error

	place     place
	roomID    uint64
	quit      bool          // Close wants the place to be given up
	reload    bool          // it belongs to a copy that was discarded: it is to be given up for another one
	verdict   *RefusedError // the server wants no more of this session
	wait      time.Time     // nothing is sent for the room before that
	alarm     *time.Timer   // at wait
	backoff   backoff
	rejected  int    // tries to join in a row that failed for the token
	waitToken bool   // another token is needed before joining
	wantToken bool   // JoinOptions.Token is to be asked
	token     string // what it answered
	newToken  bool   // the place knows an older one
	credit    int    // bytes applied and not told to the server
}

// place is how far a session is in the room, on the present connection.
type place uint8

const (
	placeNone place = iota
	placeJoining
	placeLive
	placeLeaving
)

// waiter is a call of WaitSaved.
type waiter struct {
	target uint64 // edits
	done   chan error
}

func newSession(c *Client, ref uint32, room string, o JoinOptions) (*Session, error) {
	if o.Window == 0 {
		o.Window = defaultWindow
	}
	o.Doc.ReturnPending = false
	s := &Session{
		client: c, room: room, ref: ref, o: o,
		noted: make(chan struct{}, 1), synced: make(chan struct{}), done: make(chan struct{}), told: make(chan struct{}),
		waiters: map[*waiter]struct{}{}, access: Access{Write: !o.ReadOnly},
	}
	s.queue.offline = true
	s.waitToken, s.wantToken = o.Token != nil, o.Token != nil
	doc := crdt.New(o.Doc)
	if len(o.Copy.State) > 0 {
		if _, err := doc.Load(o.Copy.State, crdt.V2); err != nil {
			return nil, fmt.Errorf("load copy of room %q: %w", room, err)
		}
		s.position = o.Copy.Position
		if o.Copy.Unsaved {
			s.queue.edits, s.queue.whole = 1, true
		}
	}
	s.adopt(doc)
	return s, nil
}

// adopt makes doc the local copy.
func (s *Session) adopt(doc *crdt.Doc) {
	if s.unwatch != nil {
		s.unwatch()
	}
	s.doc = doc
	s.unwatch = doc.Observe(crdt.Observer{Update: func(c crdt.Change) {
		if c.Local && s.access.Write { // documents also tidy up by themselves
			s.queue.add(c.Update)
			s.notes.saved = true
		}
	}})
	if s.o.Attach != nil {
		s.o.Attach(doc)
	}
}

// Room returns the name of the room.
func (s *Session) Room() string { return s.room }

// Done is closed when the session has ended for good: closed, or refused. Err then tells why.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns why the session has ended: ErrClosed, a *RefusedError that cannot be retried, or what was wrong with what
// the server sent; nil while it has not.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Edit changes the document; f must not call the session or client. It works without a connection too. It returns f's error, or
// ErrReadOnly, or why the session has ended. What f did before it failed stands, as in crdt.Doc.Edit.
func (s *Session) Edit(f func(*crdt.Tx) error) error {
	return s.Change(func(d *crdt.Doc) error {
		_, err := d.Edit(f)
		return err
	})
}

// Change is Edit for what needs the document itself, such as an undo manager or an origin. f must not use Apply or
// keep d: after Events.Discarded the session has another one.
func (s *Session) Change(f func(d *crdt.Doc) error) error {
	err := s.change(f)
	s.client.wake()
	s.poke()
	return err
}

func (s *Session) change(f func(*crdt.Doc) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return s.err
	case s.closing:
		return ErrClosed
	case !s.access.Write:
		return ErrReadOnly
	}
	return f(s.doc)
}

// View reads the document; f must not change or keep it, nor call the session.
func (s *Session) View(f func(*crdt.Doc)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.doc)
}

// ClientID returns the Yjs client id that edits and presence have now.
func (s *Session) ClientID() crdt.ClientID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doc.ClientID()
}

// Live tells whether the session has a place in the room at the moment.
func (s *Session) Live() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.place == placeLive
}

// Access returns what the client may do, as far as it is known.
func (s *Session) Access() Access {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.access
}

// Position returns how far the document follows the room's order of updates.
func (s *Session) Position() Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.position
}

// Copy returns what JoinOptions.Copy takes. It belongs to the caller.
func (s *Session) Copy() Copy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Copy{State: s.doc.AppendDiff(nil, nil, crdt.V2), Position: s.position, Unsaved: s.queue.unsaved()}
}

// Saved returns how many edits were made and how many of them are saved.
func (s *Session) Saved() Saved {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.savedLocked()
}

func (s *Session) savedLocked() Saved {
	return Saved{Edits: s.queue.edits, Saved: s.queue.saved, Position: s.savedAt}
}

// WaitSaved waits until every edit made before is saved. It returns the *RefusedError when one of them was discarded,
// why the session ended, or the cause of ctx.
func (s *Session) WaitSaved(ctx context.Context) error {
	s.mu.Lock()
	switch {
	case !s.queue.unsaved():
		s.mu.Unlock()
		return nil
	case s.ended:
		s.mu.Unlock()
		return s.err
	}
	w := &waiter{target: s.queue.edits, done: make(chan error, 1)}
	s.waiters[w] = struct{}{}
	s.mu.Unlock()
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		s.mu.Lock()
		delete(s.waiters, w)
		s.mu.Unlock()
		return fmt.Errorf("wait for room %q to be saved: %w", s.room, context.Cause(ctx))
	}
}

// answer tells those who wait for edits that are saved, or all of them an error.
func (s *Session) answer(err error) {
	for w := range s.waiters {
		if err != nil || w.target <= s.queue.saved {
			w.done <- err
			delete(s.waiters, w)
		}
	}
}

// WaitSynced waits until the document has once been brought to the state that the server had. It returns why the
// session ended, or the cause of ctx.
func (s *Session) WaitSynced(ctx context.Context) error {
	select {
	case <-s.synced:
		return nil
	case <-s.done:
		return s.Err()
	case <-ctx.Done():
		return fmt.Errorf("join room %q: %w", s.room, errors.Join(context.Cause(ctx), s.client.Status().Err))
	}
}

// SetPresence says what others see of this client: any value that encoding/json can write; nil takes it away. By
// convention it is an object with "user", which has a "name" and a "color", and "cursor", which has an "anchor" and a "head", each a
// crdt.RelativePosition. It is said again whenever the session joins.
func (s *Session) SetPresence(state any) error {
	var encoded []byte
	if state != nil {
		var err error
		if encoded, err = json.Marshal(state); err != nil {
			return fmt.Errorf("encode presence: %w", err)
		}
	}
	s.mu.Lock()
	s.presence.set(encoded)
	s.mu.Unlock()
	s.client.wake()
	return nil
}

// Peers returns the other clients in the room, by their ids; none while there is no connection.
func (s *Session) Peers() []Peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.presence.list()
}

// Signal sends data to all others who are in the room now. Nobody keeps it, and it may be lost: without a connection
// it is dropped, and of more than 256 that wait the oldest are.
func (s *Session) Signal(data []byte) {
	s.mu.Lock()
	if s.place == placeLive && !s.closing {
		if len(s.signals) == maxSignals {
			s.signals = s.signals[1:]
		}
		s.signals = append(s.signals, append([]byte(nil), data...))
	}
	s.mu.Unlock()
	s.client.wake()
}

// Close waits until all edits are saved, leaves the room and ends the session. When ctx ends first the session ends
// without, and the error matches ErrUnsaved and the cause of ctx. It must not be called by an event.
func (s *Session) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	err := s.WaitSaved(ctx)
	s.mu.Lock()
	unsaved := s.queue.unsaved()
	s.quit = true
	there := s.place != placeNone
	s.mu.Unlock()
	s.client.wake()
	if err == nil && there {
		select {
		case <-s.done:
		case <-ctx.Done():
		}
	}
	s.end(ErrClosed)
	<-s.told
	if unsaved {
		return fmt.Errorf("close room %q: %w: %w", s.room, ErrUnsaved, err)
	}
	return nil
}

// end ends the session unless it has ended already.
func (s *Session) end(err error) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended, s.err = true, err
	roomID, there := s.roomID, s.place == placeLive
	if there {
		s.lostPlace()
	}
	s.place = placeNone
	if s.alarm != nil {
		s.alarm.Stop()
	}
	s.answer(err)
	close(s.done)
	s.mu.Unlock()
	if there {
		s.client.leave(roomID)
	}
	s.client.forget(s)
}

// poke has the goroutine of the events look.
func (s *Session) poke() { poke(s.noted) }
