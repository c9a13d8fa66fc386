package adminpage

import (
	"context"
	"time"
)

// Node is the server that the page shows. Its methods are called from many goroutines. Each list of what can be many is
// asked for in pages, so that an answer is bounded.
type Node interface {
	// Overview tells what the node as a whole is doing. It must be quick: it is asked for with every page.
	Overview() Overview
	// Rooms lists rooms: the busiest first, or by name from a name on.
	Rooms(ctx context.Context, q RoomQuery) (RoomList, error)
	// Room looks into one room, without opening it. An error is for the operator to read.
	Room(ctx context.Context, name string) (Room, error)
	// Document reads the document of a room, which it opens when it is cold.
	Document(ctx context.Context, name string) (Document, error)
	// Clients lists connections with their places in rooms.
	Clients(q ClientQuery) ClientList
	// People lists the users who are known by an id, those with the most connections first.
	People(offset, limit int) (list []Person, total int)
	// Ends returns the last ends, the newest first.
	Ends() []End
	// Restrictions returns what was taken away from whom and not given back, the oldest first.
	Restrictions() []Restriction
	// Do does something to clients or rooms and tells how many places in rooms it concerned. An error is for the
	// operator to read.
	Do(ctx context.Context, a Action) (affected int, err error)
}

// Overview describes the whole node.
type Overview struct {
	Version  string
	Started  time.Time
	Draining bool   // it is going down
	NotReady string // why it should get no new clients; empty when it should

	Conns, MaxConns int // connections, and as many as there may be
	Places          int // clients in rooms
	Users           int // users who are known by an id
	OpenRooms       int // rooms in memory; negative when that is not known

	Memory     int64 // bytes that the process holds
	Goroutines int
	Messages   int64 // bytes of messages that are being read
	Ends       []Count
	Barred     []Count // clients that were not let into a room, by reason
	Refused    []Count // requests that were refused, by code
}

// Count is how often something happened since the start.
type Count struct {
	Name string
	N    uint64
}

// RoomQuery says which rooms.
type RoomQuery struct {
	ByName bool   // all rooms by name; false: the busiest first
	From   string // by name: this room and what sorts behind it
	After  string // by name: what sorts behind it; counts instead of From unless it is empty
	Limit  int    // at least 1
}

// RoomList is one page of rooms.
type RoomList struct {
	Rooms []RoomRow
	More  bool // there are others behind
}

// RoomRow is one room in a list.
type RoomRow struct {
	Name     string
	Open     bool     // it is in memory
	Conns    int      // clients
	People   int      // clients with a presence state
	Lagging  int      // clients that wait for a diff
	Bytes    int64    // stored: snapshot and the updates since
	Unsaved  int64    // bytes of the updates since the snapshot
	Pos      Position // of the last update applied
	Durable  Position // of the last update that is on disk
	Saved    Position // of the snapshot
	ReadOnly string   // why updates are refused; empty when they are not
	Damage   string   // why it is set aside; empty when it is not
}

// Position orders the updates of a room.
type Position struct{ Epoch, Seq uint64 }

// Room is one room seen from inside. What follows the row is known of open rooms only.
type Room struct {
	RoomRow
	Owner   string // the node that owns it
	Known   bool   // the fields below are
	Authors int    // client ids that have written
	Structs int
	Deleted int   // of the structs
	Memory  int64 // bytes that the document takes, about
	Pending int   // bytes of updates that wait for what they build on
	Present []Present
}

// Present is a client with a presence state.
type Present struct {
	Client uint64 // Yjs client id
	Conn   uint64 // the connection that speaks for it; 0: none any more
	Name   string // as the client calls its person; may be anything, or empty
	State  string // JSON, perhaps cut
}

// Document is what a room holds.
type Document struct {
	Roots    []Root
	MoreRoot int    // roots that were left out
	TooLarge string // why there are no roots; empty when that is not the reason
}

// Root is one named part of a document.
type Root struct {
	Name string
	Kind string // text, map ...: what it seems to be
	Body string // text or JSON
	Cut  int    // bytes that Body lacks at its end
}

// ClientQuery says which connections.
type ClientQuery struct {
	Room, User, Session string // exactly; empty: any
	Conn                uint64 // exactly; 0: any
	Text                string // stands in the room, the user, the session or the address; empty: any
	Order               string // of Orders; empty: the first
	Offset, Limit       int
}

// Orders are the words of ClientQuery.Order.
func Orders() []string { return []string{"oldest", "newest", "lag", "in", "out"} }

// ClientList is one page of connections.
type ClientList struct {
	Clients []Client
	Total   int // that fit the query
}

// Client is one connection in one room; one that is in several rooms is listed for each, one in none once.
type Client struct {
	Conn     uint64
	Room     string // empty: in none
	Protocol string
	Remote   string
	User     string // id; empty when it is not known
	Name     string
	Session  string
	Write    bool
	Age      time.Duration
	Expires  time.Time // of the token; zero: never
	In, Out  int64     // bytes of the socket
	Queued   int       // bytes that wait to be written to it
	Lagging  time.Time // since when updates are withheld because it reads too slowly; zero: they are not
}

// Person is one user.
type Person struct {
	User  string
	Name  string
	Conns int
	Rooms []string // some of them, by name
	Count int      // all of them
}

// End is the end of a connection, or of a place in a room.
type End struct {
	At       time.Time
	What     string // "connection", "place" (the connection lives on) or "door" (it was not let into the room)
	Conn     uint64
	Room     string // may be empty
	Protocol string
	Remote   string
	User     string
	Name     string
	Reason   string
	Code     int
	Detail   string
	Duration time.Duration // of a connection
	In, Out  int64         // bytes of a connection
	Returns  bool          // the client may come back by itself
}

// Restriction is what was taken away from somebody.
type Restriction struct {
	User, Session, Room string
	Read                bool // reading is left
	Since, Until        time.Time
}

// Action is what an operator wants done.
type Action struct {
	Verb                string // of Verbs
	User, Session, Room string
	Conn                uint64
	Read                bool  // of "unrevoke": what was taken was writing alone
	Seconds             int64 // of "revoke" and "readonly": for how long; 0: until it is lifted
}

// The verbs of an Action.
const (
	Kick       = "kick"       // end the places of a connection, user, session or room
	Revoke     = "revoke"     // and let them in no more
	Unrevoke   = "unrevoke"   // lift that
	ReadOnly   = "readonly"   // take writing away
	Writable   = "writable"   // give it back
	Checkpoint = "checkpoint" // save a room
	Drain      = "drain"      // take the node out of service
)
