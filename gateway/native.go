package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/gorilla/websocket"

	"weft/protocol"
	"weft/protocol/weftv1"
)

// nativeName is the native protocol's name in events.
const nativeName = "native"

// Bounds of one native connection, beside those that it shares with Hocuspocus' (maxPending, maxPlaces, maxBarred,
// lonelyTime). Clients are told of them in Welcome.
const (
	nativeMinor      = 0       // the minor version of protocol/PROTOCOL.md
	maxPresence      = 8 << 10 // bytes of a presence state; equals the default of presence.Limits
	maxUnacked       = 256     // updates that a client should have in flight in one room; one that has more is not read for a while
	maxHelloFrame    = 64 << 10
	maxStrangerParts = maxNativeVectors + maxHelloFrame // bytes of what a client that was not let in may send in fragments: a Join
	maxClientName    = 64                               // bytes
	maxRefreshes     = 16                               // that wait to be looked at
	keepAliveTime    = 20 * time.Second
	keepAliveLook    = keepAliveTime / 2 // how often is looked whether something was sent
	maxNativeVectors = 1 << 20           // bytes of a state vector; equals the bound of package room
)

var errSubprotocol = &refusal{http.StatusBadRequest, "bad_subprotocol", "this endpoint speaks the subprotocol " + protocol.NativeSubprotocol, 0}

// serveNative is GET /native, the endpoint of native clients (protocol/PROTOCOL.md).
func (s *Server) serveNative(w http.ResponseWriter, r *http.Request) {
	if websocket.IsWebSocketUpgrade(r) && !slices.Contains(websocket.Subprotocols(r), protocol.NativeSubprotocol) {
		s.refuse(w, r, errSubprotocol)
		return
	}
	token := requestToken(r)
	s.upgrade(w, r, ConnStart{Protocol: nativeName}, func(c *conn) endpoint {
		c.cutAbove = s.o.NativeFrame
		c.in.limit = min(maxHelloFrame, s.o.NativeFrame)
		return &native{
			conn: c, asking: make(chan struct{}, maxPending), token: token,
			names: map[string]*nativePlace{}, places: map[uint64]*nativePlace{},
		}
	})
}

// native is the endpoint of native clients: many rooms on one connection, each with a place of its own. What cannot be
// read ends the connection; what may not be done is refused and changes nothing; what ends one place leaves the others.
type native struct {
	// Static after construction.
	conn   *conn
	asking chan struct{} // a slot for each token being looked at; while there is none the socket is not read

	// Owned by the conn's goroutine.
	hello     *weftv1.Hello // nil: the client has not said it
	until     time.Duration // age until which a stranger may stay that has said it
	parts     assembly
	lookedAt  time.Duration // when was looked last whether something was sent
	sentUntil int64         // messages sent by then

	// Guarded by mu.
	mu         sync.Mutex
	token      string // of the handshake, of Hello or of a Refresh, the last one
	names      map[string]*nativePlace
	places     map[uint64]*nativePlace // those of names that are not being left, by room id
	barred     int                     // times that the client was told that it may not enter
	known      bool                    // a token was good for some room
	lonely     time.Duration           // age at which a place that was entered ended last
	refreshes  []*weftv1.ClientEnvelope
	refreshing bool // a task looks at refreshes
}

func (n *native) start() error { return nil }

func (n *native) receive(frame []byte) error {
	count := 0
	err := protocol.EachEnvelope(frame, func(b []byte) error {
		count++
		return n.envelope(b, len(frame))
	})
	n.conn.in.more = max(count-1, 0)
	return err
}

// envelope handles one message of the client, which is a part of a frame of that many bytes.
func (n *native) envelope(b []byte, frame int) error {
	e, u, err := protocol.DecodeEnvelope(b)
	switch {
	case err != nil:
		return err
	case n.hello == nil && (u != nil || e.HasBody() && !e.HasHello() && !e.HasClosing()):
		return protocol.Malformed.Closef("something before Hello")
	case u != nil:
		return n.update(u, frame)
	}
	switch e.WhichBody() {
	case weftv1.ClientEnvelope_Hello_case:
		return n.welcome(e.GetRef(), e.GetHello())
	case weftv1.ClientEnvelope_Refresh_case:
		return n.refresh(e)
	case weftv1.ClientEnvelope_Join_case:
		return n.join(e.GetRef(), e.GetJoin())
	case weftv1.ClientEnvelope_Leave_case:
		n.left(e.GetRef(), e.GetLeave().GetRoomId())
	case weftv1.ClientEnvelope_Flow_case:
		f := e.GetFlow()
		return n.pass(e, f.GetRoomId(), protocol.Message{Kind: protocol.Credit, ID: uint64(f.GetBytes())})
	case weftv1.ClientEnvelope_SetPresence_case:
		p := e.GetSetPresence()
		if len(p.GetState()) > maxPresence {
			return n.refuse(e.GetRef(), p.GetRoomId(), 0, weftv1.Code_CODE_TOO_LARGE, "the state is too large")
		}
		return n.pass(e, p.GetRoomId(), protocol.Message{Kind: protocol.Awareness, Data: protocol.AwarenessOf(p)})
	case weftv1.ClientEnvelope_Signal_case:
		m := e.GetSignal()
		if len(m.GetData()) > n.conn.srv.o.Limits.Stateless {
			return n.refuse(e.GetRef(), m.GetRoomId(), 0, weftv1.Code_CODE_TOO_LARGE, "the signal is too large")
		}
		return n.pass(e, m.GetRoomId(), protocol.Message{Kind: protocol.Stateless, Data: m.GetData()})
	case weftv1.ClientEnvelope_Ping_case:
		n.say(weftv1.ServerEnvelope_builder{
			Ref: e.GetRef(), Pong: weftv1.Pong_builder{Time: e.GetPing().GetTime()}.Build(),
		})
	case weftv1.ClientEnvelope_Pong_case:
		if id := e.GetPong().GetTime(); id != 0 { // a room asked
			if p := n.place(uint64(id)); p != nil {
				return p.handle(protocol.Message{Kind: protocol.Pong})
			}
		}
	case weftv1.ClientEnvelope_Fragment_case:
		return n.fragment(e.GetFragment())
	case weftv1.ClientEnvelope_Closing_case:
		return protocol.Normal.Closef("the client says goodbye")
	}
	return nil
}

// welcome answers Hello.
func (n *native) welcome(ref uint32, h *weftv1.Hello) error {
	switch {
	case n.hello != nil:
		return protocol.Malformed.Closef("a second Hello")
	case h.GetRole() != weftv1.Role_ROLE_UNSPECIFIED && h.GetRole() != weftv1.Role_ROLE_CLIENT:
		return protocol.Unsupported.Closef("role %d", h.GetRole())
	case len(h.GetClient()) > maxClientName || strings.ContainsFunc(h.GetClient(), unicode.IsControl):
		return protocol.Malformed.Closef("name of the client")
	case len(h.GetToken()) > n.conn.srv.o.Limits.Token:
		return protocol.TooLarge.Closef("token of %d bytes", len(h.GetToken()))
	}
	c, o := n.conn, &n.conn.srv.o
	n.hello = h
	n.until = c.age() + lonelyTime
	n.mu.Lock()
	n.lonely = c.age()
	if h.GetToken() != "" {
		n.token = h.GetToken()
	}
	n.mu.Unlock()
	c.in.limit, c.in.client = o.NativeFrame, h.GetClient()
	var features []weftv1.Feature
	for _, f := range []weftv1.Feature{weftv1.Feature_FEATURE_FRAGMENTS, weftv1.Feature_FEATURE_FLOW} {
		if n.can(f) {
			features = append(features, f)
		}
	}
	n.say(weftv1.ServerEnvelope_builder{Ref: ref, Welcome: weftv1.Welcome_builder{
		Minor: min(h.GetMinor(), nativeMinor), Features: features, Connection: strconv.FormatUint(c.start.ID, 10),
		Limits: weftv1.Limits_builder{
			MaxFrameBytes: uint32(o.NativeFrame), MaxMessageBytes: uint32(o.Limits.Message), MaxUnackedUpdates: maxUnacked,
			MaxRooms: maxPlaces, MaxPresenceBytes: maxPresence, MaxSignalBytes: uint32(o.Limits.Stateless),
		}.Build(),
		KeepAliveMs: uint32(keepAliveTime.Milliseconds()), ServerTimeMs: time.Now().UnixMilli(),
	}.Build()})
	return nil
}

// can tells whether the client has a feature.
func (n *native) can(f weftv1.Feature) bool { return slices.Contains(n.hello.GetFeatures(), f) }

// say sends one envelope of the connection's own.
func (n *native) say(e weftv1.ServerEnvelope_builder) {
	n.conn.say(protocol.AppendNative(nil, e.Build()))
}

// refuse tells that a message had no effect, and never ends the connection.
func (n *native) refuse(ref uint32, room, update uint64, code weftv1.Code, text string) error {
	n.say(weftv1.ServerEnvelope_builder{Ref: ref, Refused: weftv1.Refused_builder{
		Code: code, Message: text, RoomId: room, UpdateId: update,
	}.Build()})
	return nil
}

// noPlace refuses a message about a room in which the client has no place.
func (n *native) noPlace(ref uint32, room, update uint64) error {
	return n.refuse(ref, room, update, weftv1.Code_CODE_NOT_FOUND, "you have no place in that room")
}

// place returns the place whose room has that id; nil when there is none.
func (n *native) place(id uint64) *nativePlace {
	n.mu.Lock()
	p := n.places[id]
	n.mu.Unlock()
	if p != nil {
		n.conn.in.room = p.attachment.room
	}
	return p
}

// pass hands a message to the room that it is about.
func (n *native) pass(e *weftv1.ClientEnvelope, room uint64, m protocol.Message) error {
	p := n.place(room)
	if p == nil {
		return n.noPlace(e.GetRef(), room, 0)
	}
	return p.handle(m)
}

// fragment takes a part of an envelope, and the envelope when it is whole.
func (n *native) fragment(f *weftv1.Fragment) error {
	limit := n.conn.srv.o.Limits.Message
	if n.isStranger() {
		limit = min(limit, maxStrangerParts)
	}
	whole, err := n.parts.add(n.conn, f, limit)
	if err != nil || whole == nil {
		return err
	}
	defer n.parts.reset(n.conn)
	e, _, err := protocol.DecodeEnvelope(whole)
	if err != nil {
		return err
	}
	if e.HasFragment() {
		return protocol.Malformed.Closef("a fragment in fragments")
	}
	return n.envelope(whole, len(whole))
}

// due ends a connection whose client has not said Hello in time, is in no room for too long or does not finish a
// fragmented message, and sends a Ping where nothing was sent.
func (n *native) due(now time.Duration) (next time.Duration, why *protocol.CloseError) {
	authTime := n.conn.srv.o.AuthTime
	if n.hello == nil {
		if now >= authTime {
			return 0, protocol.TimedOut.Closef("no Hello in %v", authTime)
		}
		return authTime, nil
	}
	if next, why = n.patience(now); why != nil {
		return 0, why
	}
	if late := n.parts.deadline(); late > 0 {
		if now >= late {
			return 0, protocol.TimedOut.Closef("fragments not complete")
		}
		next = earliest(next, late)
	}
	if now >= n.lookedAt+keepAliveLook {
		if sent := n.conn.messagesOut.Load(); sent == n.sentUntil {
			n.say(weftv1.ServerEnvelope_builder{Ping: &weftv1.Ping{}})
		} else {
			n.sentUntil = sent
		}
		n.lookedAt = now
	}
	return earliest(next, n.lookedAt+keepAliveLook), nil
}

// earliest returns the earlier of two ages, of which 0 is none.
func earliest(a, b time.Duration) time.Duration {
	if a == 0 || b < a {
		return b
	}
	return a
}

// isStranger tells whether no token of the client was good yet, where tokens are looked at.
func (n *native) isStranger() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.known && n.conn.srv.o.Auth != nil
}

// letIn implements guarded: how long a message may be is bounded by itself here.
func (n *native) letIn() bool { return true }

// patience returns until when, and then why not any more, a connection may stay that is in no room. What a stranger
// sends does not prolong its time.
func (n *native) patience(now time.Duration) (late time.Duration, why *protocol.CloseError) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case !n.known && n.conn.srv.o.Auth != nil:
		late = n.until
	case len(n.names) > 0:
		return 0, nil
	default:
		late = n.lonely + lonelyTime
	}
	if now >= late {
		return 0, protocol.TimedOut.Closef("in no room for %v", lonelyTime)
	}
	return late, nil
}

func (n *native) drain(after time.Duration) {
	n.say(weftv1.ServerEnvelope_builder{Draining: weftv1.Draining_builder{
		Reason: protocol.Restarting.Text, ReconnectAfterMs: uint32(after.Milliseconds()),
	}.Build()})
}

func (n *native) farewell(why *protocol.CloseError) []byte {
	return protocol.AppendNative(nil, weftv1.ServerEnvelope_builder{Closing: weftv1.Closing_builder{
		Code: protocol.NativeCode(why.Reason), Message: why.Reason.Text, Retry: protocol.NativeRetry(why.Reason),
	}.Build()}.Build())
}

func (n *native) leave() {
	n.mu.Lock()
	places := make([]*nativePlace, 0, len(n.names))
	for _, p := range n.names {
		places = append(places, p)
	}
	n.mu.Unlock()
	for _, p := range places {
		p.attachment.leave()
		n.forget(p)
	}
	n.parts.reset(n.conn)
}
