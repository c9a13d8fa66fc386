package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"weft/crdt"
	"weft/protocol"
	"weft/room"
)

// restTime bounds one REST request, the writing of its answer included.
const restTime = 30 * time.Second

// position orders the updates of a room: epochs grow with every opening of it, seq counts inside.
type position struct {
	Epoch uint64 `json:"epoch"`
	Seq   uint64 `json:"seq"`
}

// roomEntry is one room of GET /v1/rooms.
type roomEntry struct {
	Name     string   `json:"name"`
	Open     bool     `json:"open"`   // it is in memory
	Conns    int      `json:"conns"`  // connections
	People   int      `json:"people"` // clients with a presence state
	Bytes    int64    `json:"bytes"`  // stored: snapshot and the updates since
	Pos      position `json:"pos"`    // last update applied
	Saved    position `json:"saved"`  // last update that is durable
	ReadOnly string   `json:"readOnly,omitempty"`
	Damage   string   `json:"damage,omitempty"`
}

// savedAnswer is GET /v1/rooms/{room}/saved: the last update applied, and the last one that is durable.
type savedAnswer struct {
	position
	Saved position `json:"saved"`
}

// exports are the formats of GET /v1/rooms/{room}. The root types of a Yjs document have no type until a program uses
// them, so the format says how to read one, and each has the root name that its editors use when nothing else is said.
//
// XML is served as plain text: a document is its writers' content, and as markup it would be run in our origin.
var exports = map[string]struct {
	root, contentType string
	read              func(d *crdt.Doc, root string) ([]byte, error)
}{
	"text":  {"codemirror", "text/plain; charset=utf-8", func(d *crdt.Doc, root string) ([]byte, error) { return []byte(d.Text(root)), nil }},
	"xml":   {"default", "text/plain; charset=utf-8", func(d *crdt.Doc, root string) ([]byte, error) { return []byte(d.XML(root)), nil }},
	"json":  {"data", "application/json", (*crdt.Doc).JSON},
	"delta": {"quill", "application/json", (*crdt.Doc).Delta},
}

// serveREST serves the routes below /v1/. A room name is one percent-encoded segment there.
func (s *Server) serveREST(w http.ResponseWriter, r *http.Request, rest string) {
	page, ok := s.origins.check(r)
	if !ok {
		s.refuse(w, r, errOrigin)
		return
	}
	if page {
		w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		w.Header().Add("Vary", "Origin")
	}
	if page && r.Method == http.MethodOptions { // whether the page may show a token, which browsers ask first
		w.Header().Set("Access-Control-Allow-Headers", "Authorization")
		w.Header().Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		s.refuse(w, r, errMethod)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), restTime)
	defer cancel()
	// Not every writer has deadlines (tests' recorders); the real one does.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(restTime))

	seg := strings.Split(rest, "/")
	switch {
	case len(seg) == 1 && seg[0] == "rooms":
		s.listRooms(ctx, w, r)
	case len(seg) == 2 && seg[0] == "rooms":
		s.withRoom(ctx, w, r, seg[1], s.exportRoom)
	case len(seg) == 3 && seg[0] == "rooms" && seg[2] == "saved":
		s.withRoom(ctx, w, r, seg[1], s.savedRoom)
	default:
		s.refuse(w, r, errNotFound)
	}
}

// withRoom runs f with the status of a room that is open or stored, for somebody who may read it.
func (s *Server) withRoom(ctx context.Context, w http.ResponseWriter, r *http.Request, escaped string,
	f func(ctx context.Context, w http.ResponseWriter, r *http.Request, st room.Status),
) {
	name, bad := roomName(escaped)
	if bad != nil {
		s.refuse(w, r, bad)
		return
	}
	if _, err := s.mayRead(ctx, r, name); err != nil {
		s.refuseREST(w, r, err)
		return
	}
	st, err := s.o.Rooms.Status(ctx, name)
	if err != nil {
		s.refuse(w, r, roomRefusal(err))
		return
	}
	f(ctx, w, r, st)
}

// Bounds of one answer of GET /v1/rooms.
const (
	defaultListed = 100   // rooms
	maxListed     = 1_000 // rooms; some 200 kB of JSON
)

// listRooms is GET /v1/rooms?limit=N&after=NAME: the rooms that the asker may read. Without after it shows what a person
// wants to see, the open rooms before the others. With after it goes through all rooms by name: a program starts with an
// empty after and goes on with the next of each answer while more is true.
func (s *Server) listRooms(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit, f := listLimit(query.Get("limit"))
	if f != nil {
		s.refuse(w, r, f)
		return
	}
	readable, err := s.readable(ctx, r)
	if err != nil {
		s.refuseREST(w, r, err)
		return
	}
	var answer struct {
		Rooms []roomEntry `json:"rooms"`
		More  bool        `json:"more,omitempty"` // there may be others
		Next  string      `json:"next,omitempty"` // where to go on after, when there may be
	}
	var list []room.Status
	if query.Has("after") {
		list, answer.Next, err = s.listAfter(ctx, query.Get("after"), limit, readable)
		answer.More = answer.Next != ""
	} else {
		list, answer.More, err = s.listBusy(ctx, limit, readable)
	}
	if err != nil {
		s.refuse(w, r, roomRefusal(err))
		return
	}
	answer.Rooms = make([]roomEntry, 0, len(list))
	for _, st := range list {
		answer.Rooms = append(answer.Rooms, roomEntry{
			Name: st.Room, Open: st.Open, Conns: st.Conns, People: st.People, Bytes: st.Bytes + st.Unsaved,
			Pos: position(st.Pos), Saved: position(st.Durable), ReadOnly: st.ReadOnly, Damage: st.Damage,
		})
	}
	writeJSON(w, http.StatusOK, answer)
}

func (s *Server) savedRoom(_ context.Context, w http.ResponseWriter, _ *http.Request, st room.Status) {
	writeJSON(w, http.StatusOK, savedAnswer{position(st.Pos), position(st.Durable)})
}

func (s *Server) exportRoom(ctx context.Context, w http.ResponseWriter, r *http.Request, st room.Status) {
	query := r.URL.Query()
	format := query.Get("format")
	if format == "" {
		format = "text"
	}
	export, ok := exports[format]
	if !ok {
		s.refuse(w, r, &refusal{http.StatusBadRequest, "bad_format", "format is one of text, xml, json and delta", 0})
		return
	}
	root := query.Get("name")
	if root == "" {
		root = export.root
	}
	var body []byte
	var unreadable error
	err := s.o.Rooms.Export(ctx, st.Room, func(d *crdt.Doc) error {
		body, unreadable = export.read(d, root)
		return nil
	})
	switch {
	case err != nil:
		s.refuse(w, r, roomRefusal(err))
	case unreadable != nil:
		s.refuse(w, r, &refusal{http.StatusUnprocessableEntity, "bad_root", "the named root cannot be read in this format", 0})
	default:
		h := w.Header()
		h.Set("Content-Type", export.contentType)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		_, _ = w.Write(body) // the client went away; there is nobody left to tell
	}
}

// roomRefusal answers for an error of the rooms.
func roomRefusal(err error) *refusal {
	if errors.Is(err, context.DeadlineExceeded) {
		return &refusal{http.StatusServiceUnavailable, "timeout", "the room did not answer in time", 5 * time.Second}
	}
	ce, ok := errors.AsType[*protocol.CloseError](err)
	if !ok {
		return errInternal
	}
	f := &refusal{http.StatusInternalServerError, ce.Reason.Name, ce.Reason.Text, 0}
	switch ce.Reason {
	case protocol.NotFound:
		return errNoSuchDoc
	case protocol.Malformed:
		f.status = http.StatusBadRequest
	case protocol.Unauthorized:
		f.status = http.StatusUnauthorized
	case protocol.Forbidden:
		f.status = http.StatusForbidden
	case protocol.Overloaded, protocol.Draining, protocol.Restarting, protocol.Quarantined:
		f.status = http.StatusServiceUnavailable
	}
	if ce.Reason.Retry {
		f.retryAfter = 2 * time.Second
	}
	return f
}
