package room

import (
	"context"
	"time"

	"weft/crdt"
	"weft/persistence"
	"weft/presence"
)

// Store is what rooms need of the data directory; persistence.Store and
// persistence.Memory keep its promises. All methods may be called from any
// goroutine, Append must not block.
type Store interface {
	Append(recs []persistence.Record, done func(error)) error
	Load(ctx context.Context, room string) (persistence.Stored, error)
	Save(ctx context.Context, room string, s persistence.Snapshot) error
	Rooms(ctx context.Context, after string, limit int) ([]persistence.Info, error)
	Health() error // why updates cannot be stored; nil when they can
}

// Options configures a Registry. A zero field means its default, except Store,
// which is required.
type Options struct {
	Store Store

	IdleAfter time.Duration // an empty room is saved and closed after this, default 60 s
	LagAfter  time.Duration // a session that lags this long is ended, default 30 s; see Session

	SaveUpdates int           // updates after which a room is saved, default 500
	SaveBytes   int           // bytes of updates after which a room is saved, default 256 KiB
	SaveAfter   time.Duration // age of the oldest unsaved update at which a room is saved, default 30 s
	SaveEvery   time.Duration // shortest time between two saves of one room that nobody asked for, default 5 s
	SaveRetry   time.Duration // wait after a save that failed, default 5 s
	Savers      int           // rooms saved at the same time, default 2
	Loaders     int           // rooms loaded at the same time, default 8

	JoinWithin       time.Duration // a join of a cold room that would wait longer to be loaded is refused, default 10 s
	MaxRooms         int           // open rooms; one more is refused with Overloaded, default 100,000
	InboxBytes       int           // bytes of messages waiting in one room, each counted with 256 more; default 4 MiB
	UncommittedBytes int           // bytes of updates of one room that the store has not confirmed, default 8 MiB
	StallAfter       time.Duration // a room whose updates wait longer for the disk is read-only, default 5 s

	KeepDeleted   bool // keep deleted content (crdt.Options.KeepDeleted)
	StampPresence bool // write Peer.User into the presence states that are relayed, see presence.NewIdentity

	Limits Limits
	Events Events
}

// Limits bounds what one session may cost its room. A zero field means its default.
type Limits struct {
	Doc          crdt.Limits
	Presence     presence.Limits
	PendingBytes int           // bytes of updates kept while what they build on is missing, default 1 MiB
	PendingFor   time.Duration // how long they are kept, default 30 s
}

// withDefaults returns o with every zero field set.
func (o Options) withDefaults() Options {
	def(&o.IdleAfter, 60*time.Second)
	def(&o.LagAfter, 30*time.Second)
	def(&o.SaveUpdates, 500)
	def(&o.SaveBytes, 256<<10)
	def(&o.SaveAfter, 30*time.Second)
	def(&o.SaveEvery, 5*time.Second)
	def(&o.SaveRetry, 5*time.Second)
	def(&o.Savers, 2)
	def(&o.Loaders, 8)
	def(&o.JoinWithin, 10*time.Second)
	def(&o.MaxRooms, 100_000)
	def(&o.InboxBytes, 4<<20)
	def(&o.UncommittedBytes, 8<<20)
	def(&o.StallAfter, 5*time.Second)
	def(&o.Limits.PendingBytes, 1<<20)
	def(&o.Limits.PendingFor, 30*time.Second)
	o.Events = o.Events.filled()
	return o
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}
