package room

import (
	"time"

	"weft/persistence"
	"weft/protocol"
)

// Events tells what happens in rooms, for logs and metrics. A nil function is
// not called. The functions run on goroutines of rooms and must not block, call
// the registry, or keep a slice.
type Events struct {
	Opened     func(room string, took time.Duration, updates int)                     // a room was loaded; updates of its tail were replayed
	OpenFailed func(room string, err *protocol.CloseError)                            // a room could not be loaded; Quarantined when it is set aside
	Leftover   func(room string, bytes int)                                           // stored updates build on others that are not stored; they were never acknowledged
	Closed     func(room string)                                                      // a room went cold
	Saved      func(room string, pos persistence.Position, n int, took time.Duration) // n bytes of snapshot are stored
	SaveFailed func(room string, err error)                                           // it is tried again

	Joined func(room string, peer uint64)
	Left   func(room string, peer uint64, err *protocol.CloseError) // err is nil when the conn left by itself

	Batch     func(room string, b Batch)                                     // updates were broadcast
	Committed func(room string, updates int, took time.Duration)             // the store confirmed updates, took after the first of them arrived
	ReadOnly  func(room string, err error)                                   // the store does not take updates; the room refuses them
	Writable  func(room string, after time.Duration)                         // the store takes updates again
	Refused   func(room string, peer uint64, kind protocol.Kind, why string) // a message was not acted on
	Panicked  func(room string, value any, stack, message []byte)            // the room ended; message is the data it choked on

	Lagging       func(room string, peer uint64)              // a peer's outbox is over its bound
	CaughtUp      func(room string, peer uint64, bytes int)   // it drained, bytes of diff were sent
	PendingKept   func(room string, peer uint64, bytes int)   // an update waits for what it builds on
	PendingLost   func(room string, peer uint64, bytes int)   // it waited too long, or was too much
	Presence      func(room string, b PresenceBatch)          // presence was sent on
	PresenceDrops func(room string, peer uint64, entries int) // entries about foreign ids, or over a limit
}

// Batch describes one broadcast: everything that waited for it.
type Batch struct {
	Updates int           // updates sent on
	Bytes   int           // bytes of them
	Frames  int           // frames made for each dialect; fewer than Updates when they were merged
	Peers   int           // sessions that they were offered to
	Applied time.Duration // spent on handling the messages that the updates came in, in all turns that they waited
	Offered time.Duration // spent on merging, encoding and offering them
	Waited  time.Duration // from the arrival of the first message to the end of the broadcast
}

// PresenceBatch describes one time that presence was sent on.
type PresenceBatch struct {
	Updates int // awareness messages taken since the last time
	Frames  int // messages made for each dialect
	Peers   int // sessions that they were offered to
}

// filled returns e with a function that does nothing for each that is nil.
func (e Events) filled() Events {
	if e.Opened == nil {
		e.Opened = func(string, time.Duration, int) {}
	}
	if e.OpenFailed == nil {
		e.OpenFailed = func(string, *protocol.CloseError) {}
	}
	if e.Leftover == nil {
		e.Leftover = func(string, int) {}
	}
	if e.Closed == nil {
		e.Closed = func(string) {}
	}
	if e.Saved == nil {
		e.Saved = func(string, persistence.Position, int, time.Duration) {}
	}
	if e.SaveFailed == nil {
		e.SaveFailed = func(string, error) {}
	}
	if e.Joined == nil {
		e.Joined = func(string, uint64) {}
	}
	if e.Left == nil {
		e.Left = func(string, uint64, *protocol.CloseError) {}
	}
	if e.Batch == nil {
		e.Batch = func(string, Batch) {}
	}
	if e.Committed == nil {
		e.Committed = func(string, int, time.Duration) {}
	}
	if e.ReadOnly == nil {
		e.ReadOnly = func(string, error) {}
	}
	if e.Writable == nil {
		e.Writable = func(string, time.Duration) {}
	}
	if e.Refused == nil {
		e.Refused = func(string, uint64, protocol.Kind, string) {}
	}
	if e.Panicked == nil {
		e.Panicked = func(string, any, []byte, []byte) {}
	}
	if e.Lagging == nil {
		e.Lagging = func(string, uint64) {}
	}
	if e.CaughtUp == nil {
		e.CaughtUp = func(string, uint64, int) {}
	}
	if e.PendingKept == nil {
		e.PendingKept = func(string, uint64, int) {}
	}
	if e.PendingLost == nil {
		e.PendingLost = func(string, uint64, int) {}
	}
	if e.Presence == nil {
		e.Presence = func(string, PresenceBatch) {}
	}
	if e.PresenceDrops == nil {
		e.PresenceDrops = func(string, uint64, int) {}
	}
	return e
}
