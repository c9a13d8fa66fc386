package room

import (
	"slices"

	"weft/crdt"
	"weft/protocol"
)

// count is what the room knows of the number of unsaved changes that a client with
// Peer.Acks keeps (unsyncedChanges of @hocuspocus/provider, HocuspocusProvider.ts).
// Each answer lowers that number by one, so there must be exactly as many answers
// as the client counts: with one too many the number comes to 0 while something is
// not saved, and that of 2.15 stays below what it should be from then on.
//
// A client that connects sends its SyncStep1 and starts to count anew at one, which
// stands for everything it has. What it typed without a connection waits in a queue
// (messageQueue, HocuspocusProviderWebsocket.ts) until it hears the server, and so
// comes behind the SyncStep1, as Updates that do not count any more; those that are
// typed meanwhile come with them and do count. The SyncStep1's state vector tells
// which is which: what was typed later begins behind it. An update that only deletes
// has no such mark. It goes with the update before it, and at the beginning with what
// was typed without a connection: an answer too few keeps a client from saying that
// all is saved until it connects anew, one too many would make it lie.
type count struct {
	begun   bool             // a SyncStep1 came
	joining bool             // the first one, and the SyncStep2 that makes up for it did not yet
	vector  []byte           // while joining: the last SyncStep1; nil when it is longer than maxSince
	since   crdt.StateVector // what is in vector, once it was asked for
	typing  bool             // while joining: the last Update counts
	asks    int              // SyncStep1 sent whose SyncStep2 has not come
	extra   int              // of them, those that the client does not count
	refused int              // NotSaved that it still counts
}

// maxSince bounds the state vector that is kept of a client that joins. Of one who
// sends a longer one no Update counts until its SyncStep2 has come.
const maxSince = 32 << 10 // bytes: some 4,000 authors

// beginCount is called when a client has sent a SyncStep1, whose vector is valid: the
// answers that it is owed are not expected any more, and the next SyncStep2 stands
// for all of them.
func (s *Session) beginCount(vector []byte) {
	c := &s.count
	if !s.peer.Acks {
		return
	}
	if c.joining && c.isOld(vector) {
		// A forced sync that waited in the queue, from before the client began to count.
		if s.asked == nil { // otherwise one answer is for both
			c.extra++
		}
		return
	}
	c.joining = c.joining || !c.begun
	c.begun = true
	if c.joining {
		c.typing, c.vector, c.since = false, nil, nil
		if len(vector) <= maxSince {
			c.vector = vector
		}
	}
	c.refused, c.extra = 0, c.asks
	s.answers = slices.DeleteFunc(s.answers, func(a answer) bool { return a.kind != protocol.SaveMarker })
}

// counts reports whether the client counts a message, and notes that it came. The
// message has been handled, so that of a writer it is valid.
func (s *Session) counts(m protocol.Message) bool {
	c := &s.count
	switch {
	case m.Kind == protocol.SyncStep2:
		c.asks = max(c.asks-1, 0)
		if c.extra > 0 {
			c.extra--
			return false
		}
		c.joining, c.vector, c.since = false, nil, nil
		return true
	case !c.joining:
		return true
	case c.vector == nil:
		return false
	case !s.mayWrite() && len(m.Data) > comparedFreely:
		return c.typing // what readers send is worth little time
	}
	if from, _, err := crdt.UpdateBounds(m.Data, crdt.V1); err == nil && len(from) > 0 {
		since := c.decoded()
		c.typing = !slices.ContainsFunc(from, func(f crdt.Clock) bool { return f.Next < since.Next(f.Client) })
	}
	return c.typing
}

// isOld reports whether a valid state vector has nothing that the last one has not.
func (c *count) isOld(vector []byte) bool {
	if c.vector == nil {
		return false
	}
	v, err := crdt.DecodeStateVector(vector)
	since := c.decoded()
	return err == nil && !slices.ContainsFunc(v, func(k crdt.Clock) bool { return k.Next > since.Next(k.Client) })
}

// decoded returns the last SyncStep1.
func (c *count) decoded() crdt.StateVector {
	if c.since == nil {
		c.since, _ = crdt.DecodeStateVector(c.vector) // it was checked when it came
	}
	return c.since
}
