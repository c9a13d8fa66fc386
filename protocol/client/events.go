package client

import (
	"maps"
	"slices"
	"time"

	"weft/crdt"
)

// Events are told what happens to a session; nil ones are left out. One goroutine of the session calls them, one after
// the other and without a lock, so that they may call anything but Close. What happens while one runs is told together
// afterwards, as it then is: a slow one delays only itself.
type Events struct {
	// Changed tells that the document changed by what others did, or is another one.
	Changed func()
	// Live tells that the session has a place in the room and the server's document, or has lost it.
	Live func(bool)
	// Saved tells that edits were made or saved.
	Saved func(Saved)
	// Presence tells what became of others; Peer.State is nil for those who have gone.
	Presence func(changed []Peer)
	// Signal brings a message of another client. Of more than 256 that wait the oldest are dropped.
	Signal func(data []byte)
	// Access tells what the client may do in the room.
	Access func(Access)
	// Discarded tells that edits were refused for good and the local copy was replaced (see Session).
	Discarded func(Discarded)
	// Refused tells of a signal or presence that the server did not take, or of a try to join that will be repeated.
	Refused func(*RefusedError)
}

// Access is what a client may do in a room.
type Access struct {
	Write bool
	// Expires is when the right ends unless the token is refreshed; zero: not known, or never.
	Expires time.Time
	Reason  string // why it changed, for people; may be empty
}

// Discarded is a local copy that a session gave up.
type Discarded struct {
	Err   *RefusedError
	Edits uint64 // how many edits of this client were not saved
	// State is the copy that was given up, as an update of the whole document in V1, for showing it to the user or
	// keeping it somewhere. It belongs to the receiver.
	State []byte
}

const (
	maxSignals = 256 // that wait to be told
	maxRefused = 16
)

// notes is what the goroutine of a session's events has to tell.
type notes struct {
	changed, live, saved, access bool
	peers                        map[crdt.ClientID]struct{}
	signals                      [][]byte
	discarded                    []Discarded
	refused                      []*RefusedError
}

func (n *notes) signal(data []byte) {
	if len(n.signals) == maxSignals {
		n.signals = slices.Delete(n.signals, 0, 1)
	}
	n.signals = append(n.signals, data)
}

func (n *notes) people(ids []crdt.ClientID) {
	if n.peers == nil {
		n.peers = map[crdt.ClientID]struct{}{}
	}
	for _, id := range ids {
		n.peers[id] = struct{}{}
	}
}

func (n *notes) refuse(e *RefusedError) {
	if len(n.refused) < maxRefused {
		n.refused = append(n.refused, e)
	}
}

func (n *notes) empty() bool {
	return !n.changed && !n.live && !n.saved && !n.access &&
		len(n.peers) == 0 && len(n.signals) == 0 && len(n.discarded) == 0 && len(n.refused) == 0
}

// tell calls the events until the session has ended and everything is told.
func (s *Session) tell() {
	defer close(s.told)
	for {
		select {
		case <-s.noted:
		case <-s.done:
		}
		for s.tellOnce() {
		}
		select {
		case <-s.done:
			for s.tellOnce() {
			}
			return
		default:
		}
	}
}

// tellOnce tells what is noted; false when that is nothing.
func (s *Session) tellOnce() bool {
	s.mu.Lock()
	n := s.notes
	s.notes = notes{}
	live, saved, access := s.place == placeLive, s.savedLocked(), s.access
	var peers []Peer
	for _, id := range slices.Sorted(maps.Keys(n.peers)) {
		if p, here := s.presence.peers[id]; here {
			peers = append(peers, p)
		} else {
			peers = append(peers, Peer{ID: id})
		}
	}
	s.mu.Unlock()
	if n.empty() {
		return false
	}
	e := &s.o.Events
	for _, d := range n.discarded {
		call(e.Discarded, d)
	}
	for _, r := range n.refused {
		call(e.Refused, r)
	}
	if n.live {
		call(e.Live, live)
	}
	if n.access {
		call(e.Access, access)
	}
	if n.changed && e.Changed != nil {
		e.Changed()
	}
	if n.saved {
		call(e.Saved, saved)
	}
	if len(peers) > 0 {
		call(e.Presence, peers)
	}
	for _, data := range n.signals {
		call(e.Signal, data)
	}
	return true
}

func call[T any](f func(T), v T) {
	if f != nil {
		f(v)
	}
}
