package client

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"weft/crdt"
	"weft/protocol/weftv1"
)

// renewPresence is how often a client says again that it is here: editors in browsers take a state that was not
// renewed for 30 s for gone (y-protocols/awareness.js, outdatedTimeout).
const renewPresence = 15 * time.Second

// A Peer is somebody else in the room: one client, not one person.
type Peer struct {
	ID    crdt.ClientID
	Clock uint64
	// State is JSON that its program chose; nil when the peer has gone. It must not be changed.
	State json.RawMessage
}

// presence is what a session says of itself, and what it knows of the others.
type presence struct {
	state []byte // nil: absent
	clock uint64 // of the last that was said, under any id
	said  crdt.ClientID
	dirty bool // the server has not been told
	peers map[crdt.ClientID]Peer
}

// set changes the own state.
func (p *presence) set(state []byte) {
	if p.state == nil && state == nil {
		return
	}
	p.state, p.dirty = state, true
}

// renew has the own state said again.
func (p *presence) renew() { p.dirty = p.dirty || p.state != nil }

// take returns what the server is to be told, for the document's client id.
func (p *presence) take(own crdt.ClientID) []*weftv1.SetPresence {
	var out []*weftv1.SetPresence
	say := func(id crdt.ClientID, state []byte) {
		p.clock++
		out = append(out, weftv1.SetPresence_builder{ClientId: uint64(id), Clock: p.clock, State: state}.Build())
	}
	if p.said != 0 && p.said != own {
		say(p.said, nil)
		p.said, p.dirty = 0, true
	}
	if !p.dirty || p.state == nil && p.said == 0 {
		p.dirty = false
		return out
	}
	say(own, p.state)
	p.said, p.dirty = own, false
	if p.state == nil {
		p.said = 0
	}
	return out
}

// hear takes what the server says about clients, and returns the ids of those others that changed. With all, whoever
// is not among them has gone.
func (p *presence) hear(peers []*weftv1.Peer, all bool, own crdt.ClientID) []crdt.ClientID {
	var changed []crdt.ClientID
	here := make(map[crdt.ClientID]bool, len(peers))
	for _, peer := range peers {
		id, state := crdt.ClientID(peer.GetClientId()), peer.GetState()
		if len(state) == 0 || bytes.Equal(state, []byte("null")) {
			state = nil
		}
		here[id] = state != nil
		if id == own || id == p.said {
			p.correct(peer.GetClock(), state)
			continue
		}
		old, known := p.peers[id]
		switch {
		case known && (peer.GetClock() < old.Clock || peer.GetClock() == old.Clock && state != nil):
			here[id] = true
		case state == nil && known:
			delete(p.peers, id)
			changed = append(changed, id)
		case state != nil:
			if p.peers == nil {
				p.peers = map[crdt.ClientID]Peer{}
			}
			p.peers[id] = Peer{ID: id, Clock: peer.GetClock(), State: state}
			if !bytes.Equal(old.State, state) {
				changed = append(changed, id)
			}
		}
	}
	if all {
		for _, id := range slices.Sorted(maps.Keys(p.peers)) {
			if !here[id] {
				delete(p.peers, id)
				changed = append(changed, id)
			}
		}
	}
	return changed
}

// correct answers what others were told about this client: that it has gone, or something with a later clock, which
// an earlier run of the program has said.
func (p *presence) correct(clock uint64, state []byte) {
	if clock < p.clock || clock == p.clock && state != nil {
		return
	}
	p.clock = clock
	p.renew()
}

// disconnect forgets the others, of whom nothing is known without a connection, and returns who they were.
func (p *presence) disconnect() []crdt.ClientID {
	gone := slices.Sorted(maps.Keys(p.peers))
	clear(p.peers)
	p.renew()
	return gone
}

// list returns the others by their ids.
func (p *presence) list() []Peer {
	return slices.SortedFunc(maps.Values(p.peers), func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) })
}

// renewPresence has the own state said again.
func (s *Session) renewPresence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.presence.renew()
}
