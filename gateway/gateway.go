// Package gateway is everything between a client's socket and a room: the public HTTP listener with its WebSocket
// endpoint, origin check, limits, REST routes and health, and the life of each connection from the upgrade to the one
// event that says why it ended.
//
// It owns connections, not documents: a connection reads frames, its endpoint decodes them and hands the messages to a
// session, and the connection writes what its outbox holds. Package room decides what a message does. Which rooms a
// client may enter is package auth's decision; the gateway asks for it, keeps it with the client's place in that one
// room (attachment), and ends the place when it ends. A connection as such has no rights.
//
// # Goroutines
//
// A connection has one goroutine that reads, started fresh after the hijack so that net/http's buffers and deep stack are
// freed; when its client is quiet, one that has no more than the smallest stack takes its place until something comes, see doze.
// A second one exists only while there is something to write, and is the only one that ever writes to
// the socket: data, pings, pongs and the close frame leave through it, everything queued in one Write. gorilla/websocket
// does the handshake and reads frames; it never writes after the upgrade, see socket. The Hocuspocus endpoint, whose
// clients enter many rooms over one socket, has a third one for as long as a token is being looked at. Grants that run
// out are found by one timer for all attachments, see expiry.
//
// # Invariants
//
//   - Every connection that was accepted ends with exactly one Closed event that carries a protocol.Reason.
//   - No query string, token, header or payload reaches an event or an error.
//   - A panic while serving one connection or request ends that one alone.
//
// Follows RFC 6455 (WebSocket), and on top of it the y-websocket provider 3.1.0 and the Hocuspocus providers 2.15, 3.4
// and 4.8.
package gateway

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"weft/crdt"
	"weft/gateway/adminpage"
	"weft/gateway/auth"
	"weft/protocol"
	"weft/room"
)

// Rooms is where connections find their rooms: those of this process (Local), or a cluster's.
type Rooms interface {
	// Join makes p a peer of the room. Its error says why there is no place when it is, or wraps, a
	// *protocol.CloseError; it may wait for the room to be loaded. When the room ends the session, it calls p.Ended.
	Join(ctx context.Context, name string, p room.Peer) (Session, error)
	// Admit tells whether a join of the room would be answered soon; if not, after is when to come again, spread at random.
	// Join decides anew. It does not block.
	Admit(name string) (after time.Duration, ok bool)
	// Status describes one room without opening it.
	Status(ctx context.Context, name string) (room.Status, error)
	// List describes up to limit rooms, the open ones first; more tells that there are others.
	List(ctx context.Context, limit int) (list []room.Status, more bool, err error)
	// ListAfter describes up to limit rooms, open or stored, in the order of their names, from the first one behind after.
	ListAfter(ctx context.Context, after string, limit int) (list []room.Status, more bool, err error)
	// Export calls f with the room's document on the goroutine that owns it, opening the room when it is cold.
	Export(ctx context.Context, name string, f func(*crdt.Doc) error) error
}

// Session is one connection's place in a room; *room.Session is one.
type Session interface {
	// Handle takes one message of this connection, in order. It blocks while the room's inbox is full, and its
	// error ends the connection.
	Handle(ctx context.Context, m protocol.Message) error
	// Leave ends the session from the client's side; it may be called more than once.
	Leave()
	// Done is closed when the session has ended and nothing that was handed to Handle waits any more.
	Done() <-chan struct{}
	// End ends it from the server's side. When it returns, no message of the session changes the document any more.
	End(why *protocol.CloseError)
	// SetReadOnly changes what the client may do from its next message on. It does not block.
	SetReadOnly(bool)
}

// Local makes the rooms of this process fit Rooms.
func Local(g *room.Registry) Rooms { return local{g} }

type local struct{ *room.Registry }

func (l local) Join(ctx context.Context, name string, p room.Peer) (Session, error) {
	s, err := l.Registry.Join(ctx, name, p)
	if err != nil {
		return nil, err // not s: a nil *room.Session would be a non-nil Session
	}
	return s, nil
}

// Options configures a Server. Zero fields mean their defaults.
type Options struct {
	// Rooms serves the rooms. Required.
	Rooms Rooms
	// Origins lists the web origins (scheme://host[:port], compared exactly) whose pages may connect beside the
	// server's own.
	Origins []string
	// GuardHost refuses requests, those of Admin too, whose Host is neither an address nor localhost nor the host of a listed origin. Set
	// it where the server trusts its own machine, that is on loopback without auth: see origins.checkHost.
	GuardHost bool
	// Demo serves every path that is not the gateway's. Nil: 404.
	Demo http.Handler
	// Auth decides who may enter which room. Nil: everybody may enter and write every room.
	Auth auth.Authorizer
	// Restrictions take away what Auth gives. Nil: nothing.
	Restrictions *auth.Restrictions
	// AdminToken is what requests to Admin must show. Empty: nothing, and then the listener must be one that only this
	// machine can reach.
	AdminToken []byte
	// AuthTime bounds how long a client may take to show a token that is good for some room, and how long Auth may take
	// to look at it. Default 5 s.
	AuthTime time.Duration
	// Limits bounds what a frame may hold.
	Limits protocol.Limits
	// MaxConns bounds the WebSocket connections of the process. Default 20,000.
	MaxConns int
	// MaxConnsPerAddress bounds those of one client address (IPv6: one /64). Default 4,096, which is guessed: high
	// enough for a proxy in front, whose address all clients then share, and low enough to leave places for others.
	MaxConnsPerAddress int
	// MaxConnsPerUser bounds those of one user, among users that are known by an id. Default 1,000; negative: no bound.
	MaxConnsPerUser int
	// MaxPlacesPerRoom bounds the clients of one room. Default 10,000, what a room was measured with; negative: no bound.
	MaxPlacesPerRoom int
	// ConnRate, UserRate and AddressRate bound what one connection, one user that is known by an id, and one client
	// address (IPv6: one /64) may send. Defaults 200 messages and 2 MiB, 2,000 and 16 MiB, 20,000 and 64 MiB a second;
	// after a rest 25 times as much may be sent at once. Over it sockets are not read, and those who still go on after
	// 30 s are closed with RateLimited.
	ConnRate    Rate
	UserRate    Rate
	AddressRate Rate
	// MessageMemory bounds the bytes of memory of all messages that are being read, beside 16 KiB for each, and of all
	// that wait for a token to be looked at. While there is none left, sockets whose messages need more are not read.
	// One message may go over it. Clients that were not let in yet have a quarter. Default 256 MiB; negative: no bound.
	MessageMemory int
	// NativeFrame is the largest WebSocket message of the native protocol in bytes, in both directions; what is larger
	// travels in fragments. Default 1 MiB, at most Limits.Message.
	NativeFrame int
	// Compression lets messages of 512 bytes and more be compressed (permessage-deflate) for clients that offer it. It costs
	// CPU and, for each such connection, up to 50 kB more; MaxCompressed bounds their number, beyond which clients are
	// not offered it. Default 2,000; negative: any number.
	Compression   bool
	MaxCompressed int
	// OutboxBytes bounds what waits for one connection's writer. Default 1 MiB.
	OutboxBytes int
	// Backup serves GET /admin/backup on the operator's listener. Nil: 404.
	Backup Backup
	// Load serves GET /v1/load on the operator's listener. Nil: 404.
	Load http.Handler
	// Shutdown has the process drain and end, as a signal does; it returns at once. Nil: POST /admin/drain is refused.
	Shutdown func()
	// Node names this server among others, and Version its program, on the admin page. Empty: not shown.
	Node, Version string
	// Ready tells whether the parts behind the gateway can work; its error is shown by /readyz. Nil: always.
	Ready func() error
	// Events tells what happens. Its functions are called from many goroutines and must not block.
	Events Events
}

// Defaults of Options.
const (
	defaultMaxConns           = 20_000
	defaultMaxConnsPerAddress = 4_096
	defaultMaxConnsPerUser    = 1_000
	defaultMaxPlacesPerRoom   = 10_000
	defaultMessageMemory      = 256 << 20
	// Inflaters of this many connections, 45 kB each in package flate, are 90 MB.
	defaultMaxCompressed = 2_000
	defaultOutboxBytes   = 1 << 20
	defaultNativeFrame   = 1 << 20
	defaultAuthTime      = 5 * time.Second
)

// strangersShare is the part of Options.MessageMemory that clients may use who were not let in yet.
const strangersShare = 4

// Events are the things worth logging and counting. Nil functions are skipped.
type Events struct {
	// Opened is called when a connection has been upgraded, before it entered a room.
	Opened func(ConnStart)
	// Closed is called once for every Opened, when nothing of the connection is left.
	Closed func(ConnEnd)
	// Entered is called when a client was let into a room.
	Entered func(Entry)
	// Exited is called once for every Entered, when the client has no place in the room any more. why is nil when it
	// left by itself.
	Exited func(e Entry, why *protocol.CloseError)
	// Barred is called when a client was not let into a room.
	Barred func(e Entry, why *protocol.CloseError)
	// Refused is called when a request was answered with an error instead of being served.
	Refused func(Refusal)
	// Received is called for each message that was read, with its payload's length in bytes.
	Received func(bytes int)
	// Paused is called after a time in which a connection was not read: because it ("connection"), its user ("user") or
	// its address ("address") sends more than it may, for want of memory ("memory"), or while its token is looked at ("token").
	Paused func(by string, d time.Duration)
	// Sent is called after each Write to a socket with the messages and bytes (headers included) it carried.
	Sent func(messages, bytes int)
	// Deflated is called when a payload was compressed, once for however many connections, with its bytes before and after.
	Deflated func(from, to int)
	// Administered is called when an operator has done something to clients.
	Administered func(AdminAction)
	// Panicked is called when a panic was recovered; where names the activity.
	Panicked func(where string, value any, stack []byte)
}

// ConnStart describes a connection that was accepted.
type ConnStart struct {
	ID       uint64 // unique in this process
	Room     string // a valid room name; empty where a connection may enter several
	Protocol string // "y-websocket", "hocuspocus" or "native"
	Remote   netip.AddrPort
	Accept   time.Duration // from the request's arrival in the handler to the end of the upgrade
}

// ConnEnd describes a connection that has ended. Room is that of the last message where it may enter several.
type ConnEnd struct {
	ConnStart
	User        auth.User // who entered a room last; the zero value when it is not known
	Reason      protocol.Reason
	Detail      string // for logs, may be empty; holds neither content nor tokens
	Duration    time.Duration
	Client      string // what the client calls itself, at most 64 bytes of plain text; empty where protocols do not ask
	BytesIn     int64  // of the socket, frame headers included
	BytesOut    int64
	MessagesIn  int64
	MessagesOut int64
}

// Entry describes a client at the door of a room. What it may do there can change later.
type Entry struct {
	Conn     uint64 // ConnStart.ID
	Room     string // a valid room name
	Protocol string // as in ConnStart
	Remote   netip.AddrPort
	User     auth.User // the zero value when it is not known
	Write    bool
	Took     time.Duration // of Entered: from the grant to the place, the loading of a cold room included; else 0
}

// Refusal describes a request that was answered with an error.
type Refusal struct {
	Status int    // HTTP status
	Code   string // as in the JSON answer
	Path   string // decoded path without the query; may hold anything a client can send
	Remote netip.AddrPort
}

// Server serves the public listener. It is an http.Handler; Admin gives the handler of the operator's listener.
type Server struct {
	// Static after construction.
	o        Options
	origins  origins
	upgrader websocket.Upgrader
	deflater *deflater // nil: nothing is compressed
	places   *places
	conns    *registry
	native   nativeRooms
	started  time.Time
	ends     *ends
	page     *adminpage.Page

	users     *shares[string]
	addresses *shares[netip.Prefix]
	memory    budget       // of messages being read
	strangers budget       // of those of clients that were not let in yet
	queued    atomic.Int64 // bytes that wait for tokens to be looked at
	ids       atomic.Uint64

	deflating atomic.Int64 // connections whose messages are compressed

	backingUp atomic.Bool // somebody reads a backup
}

// New returns a server. It fails when an entry of Options.Origins is not an origin.
func New(o Options) (*Server, error) {
	if o.Rooms == nil {
		return nil, errors.New("gateway: Options.Rooms is nil")
	}
	allowed, err := newOrigins(o.Origins, o.GuardHost)
	if err != nil {
		return nil, err
	}
	setDefault(&o.MaxConns, defaultMaxConns)
	setDefault(&o.MaxConnsPerAddress, defaultMaxConnsPerAddress)
	setDefault(&o.MaxConnsPerUser, defaultMaxConnsPerUser)
	setDefault(&o.MaxPlacesPerRoom, defaultMaxPlacesPerRoom)
	setDefault(&o.MessageMemory, defaultMessageMemory)
	if o.MessageMemory < 0 {
		o.MessageMemory = math.MaxInt
	}
	setDefault(&o.OutboxBytes, defaultOutboxBytes)
	setDefault(&o.MaxCompressed, defaultMaxCompressed)
	if o.MaxCompressed < 0 {
		o.MaxCompressed = math.MaxInt
	}
	if o.AuthTime == 0 {
		o.AuthTime = defaultAuthTime
	}
	o.Limits = o.Limits.WithDefaults()
	setDefault(&o.NativeFrame, defaultNativeFrame)
	o.NativeFrame = min(o.NativeFrame, o.Limits.Message)
	o.ConnRate = o.ConnRate.withDefaults(defaultConnRate)
	remembered := newEnds()
	o.Events = remembered.watch(o.Events)
	s := &Server{
		o: o, origins: allowed, started: time.Now(), ends: remembered,
		conns:     newRegistry(o.MaxConns, o.MaxConnsPerAddress),
		places:    newPlaces(o.MaxPlacesPerRoom, o.MaxConnsPerUser),
		users:     newShares[string](o.UserRate.withDefaults(defaultUserRate), o.Limits.Message),
		addresses: newShares[netip.Prefix](o.AddressRate.withDefaults(defaultAddressRate), o.Limits.Message),
		memory:    budget{size: int64(o.MessageMemory)},
	}
	s.strangers.size = s.memory.size / strangersShare
	s.upgrader = s.newUpgrader()
	if o.Compression {
		s.deflater = newDeflater(o.Events.Deflated)
	}
	s.page = adminpage.New(adminpage.Options{
		Node: adminNode{s}, Token: o.AdminToken,
		Denied: func(r *http.Request, status int, code string) { s.reportRefusal(r, status, code) },
	})
	return s, nil
}

func setDefault(field *int, value int) {
	if *field == 0 {
		*field = value
	}
}

// Conns returns how many connections have a place.
func (s *Server) Conns() int { return s.conns.count() }

// MessageMemory returns the bytes that Options.MessageMemory bounds.
func (s *Server) MessageMemory() int64 {
	return s.memory.inUse() + s.strangers.inUse() + s.queued.Load()
}

// refuse answers a request with f and reports it.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, f *refusal) {
	f.write(w)
	s.reportRefusal(r, f.status, f.code)
}

func (s *Server) reportRefusal(r *http.Request, status int, code string) {
	if s.o.Events.Refused != nil {
		s.o.Events.Refused(Refusal{Status: status, Code: code, Path: r.URL.Path, Remote: remoteOf(r)})
	}
}

// panicked reports a recovered panic. It must be called from the deferred function that recovered, for the stack.
func (s *Server) panicked(where string, value any) {
	if s.o.Events.Panicked != nil {
		s.o.Events.Panicked(where, value, debug.Stack())
	}
}

// remoteOf returns the address that the request came from: the socket's, for headers can be forged.
func remoteOf(r *http.Request) netip.AddrPort {
	a, _ := netip.ParseAddrPort(r.RemoteAddr) // the zero value where a listener has no such addresses
	return a
}
