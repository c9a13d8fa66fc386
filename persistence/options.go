package persistence

import "time"

// Options are the settings of a Store or a Memory. The zero value is ready to use.
type Options struct {
	// QueueBytes bounds what Append has accepted and the disk has not confirmed, in bytes; 0 means 64 MiB.
	// Over it Append answers ErrFull, except that one call is always accepted by an empty queue.
	QueueBytes int64
	// LogBytes is the size of the log, in bytes of batches, from which rooms are told that a checkpoint is due; 0 means 64 MiB.
	LogBytes int64
	// LogAge is how long a record may wait in the log before its room is told that a checkpoint is due; 0 means 60 s.
	LogAge time.Duration
	// ReserveBytes is the size of the file that is kept to be given up when the disk is full, so that checkpoints can still be
	// written and the log shortened; 0 means 64 MiB, negative means none.
	ReserveBytes int64
	// ScrubEvery is how often everything stored is read and checked in the background; 0 means 24 h, negative means never.
	ScrubEvery time.Duration
	// CompactFree and CompactRatio decide about compaction of rooms.db while opening: more than CompactFree bytes (0 means
	// 256 MiB) and more than CompactRatio of the file (0 means 0.5) must be free. A negative CompactFree means never.
	CompactFree  int64
	CompactRatio float64
	// Events tells what happens inside.
	Events Events
}

// Events are told by the store's goroutines. A nil function is not called. They must not block and must not call the store.
type Events struct {
	// Committed is told after each group commit.
	Committed func(Commit)
	// Checkpointed is told after each Save that succeeded.
	Checkpointed func(Checkpoint)
	// CheckpointDue asks for a Save of the room, because the log has become long or old. The room may be one that nobody has
	// open. It is repeated, not more than every 10 s per room, until the room is saved.
	CheckpointDue func(room string)
	// Parked is told after a room's records were moved out of the log, because nobody could save the room.
	Parked func(Parked)
	// Truncated is told after the log was shortened; floor is the first LSN that remains.
	Truncated func(floor uint64)
	// Renewed is told after wal.db was replaced by a file without free pages; size is its size in bytes.
	Renewed func(size int64)
	// Damaged is told once for each damage found.
	Damaged func(*DamageError)
	// Stalled is told when a batch found the disk full. The batch keeps its place.
	Stalled func(error)
	// Resumed is told when the stalled batch was committed.
	Resumed func(after time.Duration)
	// Fenced is told once, when an error of the disk ends all writing.
	Fenced func(error)
	// Scrubbed is told after each background pass.
	Scrubbed func(Scrub)
}

// Commit describes one group commit.
type Commit struct {
	LSN     uint64
	Rooms   int
	Records int
	Bytes   int
	Took    time.Duration
}

// Checkpoint describes one saved snapshot.
type Checkpoint struct {
	Room  string
	Pos   Position
	Bytes int
	Took  time.Duration // from the start of the first write
}

// Parked describes the records that were moved out of the log for one room.
type Parked struct {
	Room    string
	Records int
	Bytes   int64
	Took    time.Duration
}

// Scrub describes one pass over everything stored.
type Scrub struct {
	Rooms   int // rooms read
	Bytes   int64
	Damaged int // rooms newly found damaged
	Took    time.Duration
}

const (
	defaultQueueBytes   = 64 << 20
	defaultLogBytes     = 64 << 20
	defaultLogAge       = 60 * time.Second
	defaultReserveBytes = 64 << 20
	defaultScrubEvery   = 24 * time.Hour
	defaultCompactFree  = 256 << 20
	defaultCompactRatio = 0.5
)

func (o Options) withDefaults() Options {
	orInt := func(v *int64, def int64) {
		if *v == 0 {
			*v = def
		}
	}
	orInt(&o.QueueBytes, defaultQueueBytes)
	orInt(&o.LogBytes, defaultLogBytes)
	orInt((*int64)(&o.LogAge), int64(defaultLogAge))
	orInt(&o.ReserveBytes, defaultReserveBytes)
	orInt((*int64)(&o.ScrubEvery), int64(defaultScrubEvery))
	orInt(&o.CompactFree, defaultCompactFree)
	if o.CompactRatio == 0 {
		o.CompactRatio = defaultCompactRatio
	}
	return o
}

func (e *Events) committed(c Commit) {
	if e.Committed != nil {
		e.Committed(c)
	}
}

func (e *Events) checkpointed(c Checkpoint) {
	if e.Checkpointed != nil {
		e.Checkpointed(c)
	}
}

func (e *Events) checkpointDue(room string) {
	if e.CheckpointDue != nil {
		e.CheckpointDue(room)
	}
}

func (e *Events) parked(p Parked) {
	if e.Parked != nil {
		e.Parked(p)
	}
}

func (e *Events) truncated(floor uint64) {
	if e.Truncated != nil {
		e.Truncated(floor)
	}
}

func (e *Events) renewed(size int64) {
	if e.Renewed != nil {
		e.Renewed(size)
	}
}

func (e *Events) damaged(d *DamageError) {
	if e.Damaged != nil {
		e.Damaged(d)
	}
}

func (e *Events) stalled(err error) {
	if e.Stalled != nil {
		e.Stalled(err)
	}
}

func (e *Events) resumed(after time.Duration) {
	if e.Resumed != nil {
		e.Resumed(after)
	}
}

func (e *Events) fenced(err error) {
	if e.Fenced != nil {
		e.Fenced(err)
	}
}

func (e *Events) scrubbed(s Scrub) {
	if e.Scrubbed != nil {
		e.Scrubbed(s)
	}
}
