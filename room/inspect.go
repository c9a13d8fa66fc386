package room

import (
	"context"
	"time"

	"weft/crdt"
	"weft/presence"
)

// Inspection is an open room seen from inside, at one moment.
type Inspection struct {
	Status
	Doc     crdt.Stats
	Present []Person // who has a presence state, at most as many as were asked for
}

// Person is a client with a presence state.
type Person struct {
	Client presence.ClientID
	Peer   uint64 // Peer.ID of who speaks for it; 0 when it has left
	State  []byte // JSON as the room's peers see it: the client's own words, at most 8 KiB
}

// Inspect looks into an open room, on its goroutine, and copies the states of at
// most people clients. open is false for a room that is not in memory, which
// stays so. What it costs grows with the structs of the document, about a
// millisecond for 100,000.
func (g *Registry) Inspect(ctx context.Context, name string, people int) (in Inspection, open bool, err error) {
	sl := g.openSlot(name)
	if sl == nil {
		return Inspection{}, false, nil
	}
	defer g.release(sl)
	var result Inspection // valid only when do says that the function has returned
	err = sl.room.do(ctx, func() { result = sl.room.inspect(people) })
	if err != nil {
		return Inspection{}, false, err
	}
	return result, true, nil
}

// openSlot returns the slot of a room that is in memory with a reference that the
// caller must release; nil when there is none.
func (g *Registry) openSlot(name string) *slot {
	g.mu.Lock()
	defer g.mu.Unlock()
	sl := g.slots[name]
	if sl == nil || sl.opened() == nil {
		return nil
	}
	sl.refs++
	return sl
}

// inspect describes the room. It runs on the room's goroutine.
func (r *room) inspect(people int) Inspection {
	r.publish()
	in := Inspection{Status: r.status, Doc: r.doc.Stats()} // only this goroutine writes status
	r.people.table.Present(func(id presence.ClientID, by presence.ConnID, state []byte) bool {
		if len(in.Present) >= people {
			return false
		}
		p := Person{Client: id, State: append([]byte(nil), state...)}
		if s := r.sessions[by]; s != nil {
			p.Peer = s.peer.ID
		}
		in.Present = append(in.Present, p)
		return true
	})
	return in
}

// LaggingSince returns since when document updates are withheld from the peer,
// because its outbox was over its bound; the zero time when they are not.
func (s *Session) LaggingSince() time.Time {
	if at := s.laggingSince.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// OpenRooms returns how many rooms are in memory or being loaded.
func (g *Registry) OpenRooms() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.slots)
}
