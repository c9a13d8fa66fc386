// Package persistence owns the data directory: the log wal.db and the stored rooms in rooms.db, both bbolt files.
//
// It knows rooms by name, positions and opaque bytes; it does not know what the bytes mean. A Store is safe for concurrent use
// by any goroutine. Memory is its twin for tests, and storetest is the suite that both pass.
//
// # What "stored" means
//
// Append queues records and returns; the committer, one goroutine, writes everything that arrived during the previous commit as
// one key of wal.db and calls the done functions with nil only after fsync has returned. The records that were confirmed are
// always a prefix, in the order of Append, of the records that were accepted:
//
//   - An error of fsync, or any error whose effect on the disk is unknown, fences the store: every queued record is answered
//     with ErrFenced and nothing is confirmed again until the directory is opened anew. Records that were not confirmed may or
//     may not be found then.
//   - A full disk is different, because the failed write has provably changed nothing: the batch keeps its place, is written
//     again until there is space, and is confirmed then. Nothing behind it overtakes it, so a confirmed record never depends on
//     one that was dropped. Meanwhile Health tells the reason, the queue fills to its bound, and Append answers ErrFull.
//
// # Files
//
// wal.db
//
//	bucket "w"  LSN(8) -> batch: the records of one group commit, grouped by room, a CRC-32C each (record.go)
//	bucket "d"  LSN(8) -> directory: which rooms have records in that batch, and where (directory.go)
//	bucket "n"  schema, id of the directory, floor (the first LSN that is still needed)
//
// rooms.db
//
//	bucket "r"  room name -> meta: position, generation, sizes, CRC-32C (meta.go)
//	bucket "s"  room name, generation, number -> chunk of a snapshot, at most 16 KB, with CRC-32C (chunk.go)
//	bucket "p"  room name -> list of the room's parked records, which are chunks too (segment.go); only in files of schema 2
//	bucket "g"  room name, generation -> nothing: chunks that nothing else refers to, yet to be removed
//	bucket "q"  room name -> why the room is set aside (quarantine)
//	bucket "n"  schema, id of the directory, floor, last LSN, lost log ranges
//
// Rooms are keyed by their name rather than a hash of it: a list sorted by name is then a cursor walk, and a damaged value can
// still be named. The directory lies in other pages than the batch, so that a damaged page of the log names its rooms.
//
// # Who holds the log
//
// The log is as long as the oldest record that no snapshot covers. When it is too long or too old, the rooms that hold it are asked
// for a checkpoint (Events.CheckpointDue), whether anybody has them open or not. A room that is set aside cannot be saved, and
// others may not be: their document may not be readable, or the server full. The records of the former are parked at once, those of
// the latter when it was asked in vain for five minutes: they are moved to rooms.db as they are. Load, Archive and Repair see no
// difference; a snapshot that covers parked records, or Delete, removes them.
//
// # Versions
//
// Each file has a schema, and a file of a newer one is refused (ErrNewer) without a change. Schema 2 is that of a rooms.db with
// parked records; without any it has schema 1. An older binary therefore opens what has none, and cannot overlook what has some.
//
// # Invariants
//
//   - A batch is in wal.db as long as its LSN is at least the floor; LSNs are contiguous.
//   - The floor passes a record only after a rooms.db commit that is later than the checkpoint which covers it, or the parking of
//     it: either of the two meta pages of rooms.db then leads to that.
//   - A damaged room is named, and neither Save nor Append touches it until it is deleted or repaired.
//   - All access to bbolt happens in goroutines with debug.SetPanicOnFault: a bad page is an error of one call.
package persistence

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Position orders a room's updates: epochs grow with every ownership, Seq counts inside one. The zero Position is before all others.
type Position struct{ Epoch, Seq uint64 }

// Compare returns -1, 0 or 1 as p is before, at or after q.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Epoch, q.Epoch), cmp.Compare(p.Seq, q.Seq))
}

// String returns the position as "epoch-seq".
func (p Position) String() string { return fmt.Sprintf("%d-%d", p.Epoch, p.Seq) }

// Record is one update of one room.
type Record struct {
	Room   string   // 1 to MaxRoomName bytes
	Pos    Position // after all earlier positions of the room
	Update []byte   // opaque; at most MaxUpdate bytes
}

// Snapshot is the whole state of a room at Pos.
type Snapshot struct {
	Pos         Position
	State       []byte // opaque
	StateVector []byte // opaque; may be empty
}

// Stored is what the store has of a room. Its slices belong to the caller.
type Stored struct {
	Snapshot Snapshot
	Tail     []Record // records after Snapshot.Pos, ordered by Pos
	Pos      Position // of the last record, or of the snapshot when there is none
	Gen      uint64   // generation of the snapshot, 0 when there is none; grows with every Save
}

// Gap returns two positions between which records are missing, the first such, and whether there are any. An owner that appends
// every position of its epochs, from 1 on, finds out with it what no checksum shows: that a disk has not written what it said it
// had, or that a file has lost its end.
func (s Stored) Gap() (after, before Position, found bool) {
	at := s.Snapshot.Pos
	for _, r := range s.Tail {
		if r.Pos.Epoch != at.Epoch {
			at = Position{Epoch: r.Pos.Epoch}
		}
		if r.Pos.Seq > at.Seq+1 {
			return at, r.Pos, true
		}
		at = r.Pos
	}
	return Position{}, Position{}, false
}

// Info describes a stored room without its content.
type Info struct {
	Room       string
	Pos        Position  // last position stored
	Checkpoint Position  // position of the snapshot; zero when there is none
	Gen        uint64    // generation of the snapshot; 0 when there is none
	Size       int64     // bytes of the snapshot's state
	LogBytes   int64     // bytes, in the log or parked, that a checkpoint at Pos would free
	LogRecords int       // records, in the log or parked, that a checkpoint at Pos would free, counted by batch
	Saved      time.Time // when the snapshot was written; zero when there is none
	Damage     string    // why the room is set aside; empty when it is not
}

const (
	// MaxRoomName is the longest room name in bytes.
	MaxRoomName = 256
	// MaxUpdate is the longest update of a Record in bytes.
	MaxUpdate = 256 << 20
	// MaxSnapshot is the longest state, and the longest state vector, of a Snapshot in bytes.
	MaxSnapshot = 1 << 30
)

var (
	// ErrNotFound says that the room was never stored, or was deleted.
	ErrNotFound = errors.New("room is not stored")
	// ErrFull says that the queue of records waiting for the disk has reached its bound; nothing was queued.
	ErrFull = errors.New("write queue is full")
	// ErrClosed says that the store is closed.
	ErrClosed = errors.New("store is closed")
	// ErrFenced says that the disk failed in a way that leaves its content in doubt; the directory must be opened anew.
	ErrFenced = errors.New("store is fenced after a disk error")
	// ErrDiskFull says that there is no space left; it ends by itself when there is.
	ErrDiskFull = errors.New("disk is full")
	// ErrLocked says that another process has the data directory.
	ErrLocked = errors.New("data directory is in use by another process")
	// ErrNewer says that the files were written by a newer version; they are unchanged.
	ErrNewer = errors.New("data directory was written by a newer version")
	// ErrInvalid says that an argument is out of its bounds: a room name, an update or a snapshot.
	ErrInvalid = errors.New("invalid argument")
)

// DamageError says that something stored cannot be read back as it was written.
type DamageError struct {
	Room string // the room that is set aside; empty when the damage is not one room's
	File string // base name of the damaged file
	What string // what is wrong and where
	Err  error  // the cause, may be nil
}

// Error names the room, the file and what is wrong.
func (e *DamageError) Error() string {
	s := e.File + ": " + e.What
	if e.Room != "" {
		s = fmt.Sprintf("room %q is damaged: %s", e.Room, s)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *DamageError) Unwrap() error { return e.Err }

func checkRoomName(name string) error {
	if name == "" || len(name) > MaxRoomName {
		return fmt.Errorf("room name of %d bytes, want 1 to %d: %w", len(name), MaxRoomName, ErrInvalid)
	}
	return nil
}
