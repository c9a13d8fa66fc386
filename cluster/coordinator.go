package cluster

import (
	"context"
	"time"

	"weft/persistence"
)

// Coordinator says who is there and who owns what. A returned error means that it is not known whether anything changed;
// each call may be repeated as it was, and its answer then tells.
type Coordinator interface {
	// Beat prolongs a node's session, or ends it, and tells who is there.
	Beat(ctx context.Context, b Beat) (View, error)
	// Look returns the record of a room; the zero Record if there is none.
	Look(ctx context.Context, room string) (Record, error)
	// Claim makes a node the owner, if the record still has the epoch that it expects.
	Claim(ctx context.Context, c Claim) (Claimed, error)
	// Transfer makes another node the owner, on behalf of the present one.
	Transfer(ctx context.Context, t Transfer) (Transferred, error)
	// Release leaves a room without an owner and deletes its empty log.
	Release(ctx context.Context, r Release) (Answer, error)
}

// Log is the durable tail of all rooms.
type Log interface {
	// Append adds entries to many rooms at once, each room's or none of them, in the order given. The answers stand in the
	// order of the appends. With an error those whose Status is zero are unknown: they may be repeated as they were.
	Append(ctx context.Context, appends []Append) ([]Answer, error)
	// Read returns at most limit entries after a position in order, barriers included.
	Read(ctx context.Context, room string, after persistence.Position, limit int) ([]Entry, error)
	// Cover notes that nodes have everything up to positions on disk. A lower position than before changes nothing.
	Cover(ctx context.Context, covers []Cover) error
	// Trim removes from the logs what enough disks have. The answers stand in the order of the trims, as for Append.
	Trim(ctx context.Context, trims []Trim) ([]Trimmed, error)
}

// Status is how an operation ended.
type Status uint8

// What the scripts answer. Zero is no answer.
const (
	OK        Status = iota + 1
	Gap              // the last sequence number is not the one named
	Fenced           // another epoch or owner
	Changed          // the record is not as the claimant knew it
	Restarted        // Redis is another process than at the claim
	Kept             // the log is not empty
)

var statuses = map[string]Status{"OK": OK, "GAP": Gap, "FENCED": Fenced, "CHANGED": Changed, "RESTARTED": Restarted, "KEPT": Kept}

func (s Status) String() string {
	for text, known := range statuses {
		if s == known {
			return text
		}
	}
	return "UNKNOWN"
}

// Answer is what the record said at the end of an operation.
type Answer struct {
	Status Status
	Epoch  uint64
	Owner  NodeID // "" for none
	Seq    uint64 // the last one given, to a barrier or an entry
}

// Beat is one sign of life.
type Beat struct {
	Node       NodeID
	TTL        time.Duration // of the session from now on, by Redis' clock; 0 ends it
	Info       string        // what others should know of the node, opaque here
	Generation string        // random, for a Redis that has none: it is new or was wiped
}

// View is what a beat found.
type View struct {
	Now        time.Time // by Redis' clock
	Generation string    // another one than before: Redis was wiped
	RunID      string    // another one than before: Redis restarted or failed over; unknownRun if it does not tell
	Before     time.Time // when this node's session would have ended; zero if it had none
	BeforeInfo string
	Members    []Member // by name, expired ones of the last hour and this node included
}

// Member is a node with a session.
type Member struct {
	Node    NodeID
	Expires time.Time // by Redis' clock
	Info    string
}

// Record is what Redis has of a room.
type Record struct {
	Epoch    uint64 // 0 if there is no record
	Owner    NodeID // "" if it was released
	Seq      uint64
	Trimmed  persistence.Position // the log begins after it
	Standbys []NodeID
	Policy   string
	Served   Served
}

// Served is who served a room last: whose first append was the last of its kind. What it acknowledged may be nowhere else.
type Served struct {
	Epoch    uint64
	Node     NodeID // "" if nobody did since the record began
	Standbys []NodeID
	RunID    string // of Redis at that append
}

// Claim asks for a room.
type Claim struct {
	Room       string
	Node       NodeID
	Expect     uint64 // epoch of the record, 0 for none
	EpochFloor uint64 // the highest that the node ever saw of this room
	SeqFloor   uint64
	Standbys   []NodeID
	Policy     string
}

// Claimed is the answer to a Claim: OK, or Changed with the record as it is.
type Claimed struct {
	Answer
	Trimmed  persistence.Position
	RunID    string // of Redis at the claim: the first append has to repeat it
	Served   Served
	Coverage map[NodeID]persistence.Position // who has the room on disk, up to where
}

// Forgetful reports whether Redis may have forgotten an owner: it has restarted since somebody served the room, or nobody
// has that it knows of. Then every member must be sealed, and none of them may be missing.
func (c Claimed) Forgetful() bool {
	return c.Served.Node == "" || c.Served.RunID != c.RunID || c.RunID == unknownRun
}

// unknownRun is the run id of a Redis that does not tell it, as to a user without the right to ask.
const unknownRun = "unknown"

// Append adds entries to a room's log.
type Append struct {
	Room    string
	Node    NodeID
	Epoch   uint64
	Prev    uint64  // the last seq that the node knows of
	RunID   string  // for the first append of an epoch that of the claim or transfer, otherwise ""
	Entries []Entry // their positions are not looked at; may be empty; the Data stay the caller's
}

// Kind is what a log entry holds.
type Kind string

// The kinds of entries, as they stand in the stream.
const (
	Update  Kind = "u" // one update or several merged
	Barrier Kind = "b" // an epoch begins; the data is the owner's name
	Seed    Kind = "S" // the whole state
)

// Entry is one entry of a log.
type Entry struct {
	Pos  persistence.Position
	Kind Kind
	Data []byte
}

// Transfer gives a room to another node.
type Transfer struct {
	Room       string
	Node       NodeID
	Epoch      uint64
	Prev       uint64
	Target     NodeID
	EpochFloor uint64 // the highest that the target has promised to
	Standbys   []NodeID
	Policy     string
}

// Transferred is the answer to a Transfer.
type Transferred struct {
	Answer
	RunID string // as in Claimed, for the target; "" unless OK
}

// Release gives a room up.
type Release struct {
	Room  string
	Node  NodeID
	Epoch uint64
	Prev  uint64
}

// Cover says what a node has on disk.
type Cover struct {
	Room string
	Node NodeID
	Pos  persistence.Position
}

// Trim asks for a shorter log.
type Trim struct {
	Room   string
	Node   NodeID
	Epoch  uint64
	Copies int // how many disks must have what goes
}

// Trimmed is the answer to a Trim.
type Trimmed struct {
	Answer
	Trimmed persistence.Position // the log begins after it
}
