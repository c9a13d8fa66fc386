package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"runtime"
	"runtime/metrics"
	"slices"
	"time"
	"unicode/utf8"

	"weft/crdt"
	"weft/gateway/adminpage"
	"weft/gateway/auth"
	"weft/room"
)

// adminNode shows a Server to the admin page. What it does to clients and rooms goes the way of the REST routes.
type adminNode struct{ s *Server }

var _ adminpage.Node = adminNode{}

// Overview implements adminpage.Node.
func (n adminNode) Overview() adminpage.Overview {
	s := n.s
	o := adminpage.Overview{
		Version: s.o.Version, Started: s.started, Draining: s.conns.isDraining(),
		Conns: s.conns.count(), MaxConns: s.o.MaxConns, OpenRooms: -1,
		Memory: residentMemory(), Goroutines: runtime.NumGoroutine(), Messages: s.MessageMemory(),
	}
	if s.o.Ready != nil {
		if err := s.o.Ready(); err != nil {
			o.NotReady = err.Error()
		}
	}
	s.places.mu.Lock()
	o.Places, o.Users = len(s.places.all), len(s.places.users)
	s.places.mu.Unlock()
	if g, ok := s.o.Rooms.(interface{ OpenRooms() int }); ok {
		o.OpenRooms = g.OpenRooms()
	}
	closed, barred, refused := s.ends.counts()
	o.Ends, o.Barred, o.Refused = pageCounts(closed), pageCounts(barred), pageCounts(refused)
	return o
}

// residentMemory is what the Go runtime has from the system and has not given back.
func residentMemory() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}

func pageCounts(list []total) []adminpage.Count {
	counts := make([]adminpage.Count, len(list))
	for i, t := range list {
		counts[i] = adminpage.Count{Name: t.Name, N: t.Count}
	}
	return counts
}

// Rooms implements adminpage.Node.
func (n adminNode) Rooms(ctx context.Context, q adminpage.RoomQuery) (adminpage.RoomList, error) {
	var list []room.Status
	var more bool
	var err error
	rooms := n.s.o.Rooms
	switch {
	case !q.ByName:
		list, more, err = rooms.List(ctx, q.Limit)
	case q.After != "" || q.From == "":
		list, more, err = rooms.ListAfter(ctx, q.After, q.Limit)
	default:
		first, missing := rooms.Status(ctx, q.From) // an error of the store comes again
		list, more, err = rooms.ListAfter(ctx, q.From, q.Limit)
		if missing == nil && err == nil {
			list = append([]room.Status{first}, list...)
			if len(list) > q.Limit {
				list, more = list[:q.Limit], true
			}
		}
	}
	if err != nil {
		return adminpage.RoomList{}, roomRefusal(err)
	}
	page := adminpage.RoomList{Rooms: make([]adminpage.RoomRow, len(list)), More: more}
	for i, st := range list {
		page.Rooms[i] = pageRoom(st)
	}
	return page, nil
}

func pageRoom(st room.Status) adminpage.RoomRow {
	return adminpage.RoomRow{
		Name: st.Room, Open: st.Open, Conns: st.Conns, People: st.People, Lagging: st.Lagging,
		Bytes: st.Bytes + st.Unsaved, Unsaved: st.Unsaved,
		Pos: adminpage.Position(st.Pos), Durable: adminpage.Position(st.Durable), Saved: adminpage.Position(st.Saved),
		ReadOnly: st.ReadOnly, Damage: st.Damage,
	}
}

// inspector are Rooms that can look into an open one.
type inspector interface {
	Inspect(ctx context.Context, name string, people int) (in room.Inspection, open bool, err error)
}

// Bounds of what is shown of one room.
const (
	shownPeople = 200
	shownState  = 300 // bytes of a presence state
	shownRoots  = 50
	shownBody   = 16 << 10 // bytes of a root
	// largestShown is the memory of a document beyond which it is not read for the page: the room stands still
	// meanwhile, for a time guessed at 10 ms for each MiB.
	largestShown = 16 << 20
)

// Room implements adminpage.Node.
func (n adminNode) Room(ctx context.Context, name string) (adminpage.Room, error) {
	if rooms, ok := n.s.o.Rooms.(inspector); ok {
		in, open, err := rooms.Inspect(ctx, name, shownPeople)
		if err != nil {
			return adminpage.Room{}, roomRefusal(err)
		}
		if open {
			r := adminpage.Room{
				RoomRow: pageRoom(in.Status), Owner: n.s.o.Node, Known: true,
				Authors: in.Doc.Clients, Structs: in.Doc.Structs, Deleted: in.Doc.Deleted, Memory: int64(in.Doc.Bytes),
				Pending: int(in.Pending),
			}
			for _, p := range in.Present {
				r.Present = append(r.Present, pagePresent(p))
			}
			return r, nil
		}
	}
	st, err := n.s.o.Rooms.Status(ctx, name)
	if err != nil {
		return adminpage.Room{}, roomRefusal(err)
	}
	return adminpage.Room{RoomRow: pageRoom(st)}, nil
}

// pagePresent reads what editors of the Yjs family put into their states: a user with a name and a colour.
func pagePresent(p room.Person) adminpage.Present {
	var state struct {
		User struct {
			Name any `json:"name"`
		} `json:"user"`
	}
	_ = json.Unmarshal(p.State, &state) // a state may be any JSON; then it has no name
	name, _ := state.User.Name.(string)
	body, cut := clip(string(p.State), shownState)
	if cut > 0 {
		body += " ..."
	}
	name, _ = clip(name, shownState)
	return adminpage.Present{Client: uint64(p.Client), Conn: p.Peer, Name: name, State: body}
}

// clip shortens s to at most n bytes without splitting a character, and tells how many are missing.
func clip(s string, n int) (string, int) {
	if len(s) <= n {
		return s, 0
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n], len(s) - n
}

// Document implements adminpage.Node.
func (n adminNode) Document(ctx context.Context, name string) (adminpage.Document, error) {
	var doc adminpage.Document // complete when Export has returned nil
	err := n.s.o.Rooms.Export(ctx, name, func(d *crdt.Doc) error {
		doc = pageDocument(d)
		return nil
	})
	if err != nil {
		return adminpage.Document{}, roomRefusal(err)
	}
	return doc, nil
}

func pageDocument(d *crdt.Doc) (doc adminpage.Document) {
	if size := d.Stats().Bytes; size > largestShown {
		doc.TooLarge = "the document takes more memory than may be read for this page"
		return doc
	}
	roots := d.Roots()
	for _, r := range roots[:min(len(roots), shownRoots)] {
		one := adminpage.Root{Name: r.Name, Kind: r.Likely.String()}
		one.Body, one.Cut = clip(rootBody(d, r), shownBody)
		doc.Roots = append(doc.Roots, one)
	}
	doc.MoreRoot = len(roots) - len(doc.Roots)
	return doc
}

// rootBody reads a root as what it seems to be.
func rootBody(d *crdt.Doc, r crdt.Root) string {
	switch r.Likely {
	case crdt.Text:
		return d.Text(r.Name)
	case crdt.XMLFragment, crdt.XMLElement, crdt.XMLText:
		return d.XML(r.Name)
	}
	b, err := d.JSON(r.Name)
	if err != nil {
		return err.Error()
	}
	var indented bytes.Buffer
	if len(b) > 4*shownBody || json.Indent(&indented, b, "", "  ") != nil {
		return string(b)
	}
	return indented.String()
}

// Ends implements adminpage.Node.
func (n adminNode) Ends() []adminpage.End {
	last := n.s.ends.last(keptEnds)
	list := make([]adminpage.End, len(last))
	for i, e := range last {
		list[i] = adminpage.End{
			At: e.At, What: e.What, Conn: e.Conn, Room: e.Room, Protocol: e.Protocol, Remote: e.Remote, User: e.User, Name: e.Name,
			Reason: e.Reason, Code: e.Code, Detail: e.Detail, Duration: time.Duration(e.Seconds * float64(time.Second)),
			In: e.In, Out: e.Out, Returns: e.Retry,
		}
	}
	return list
}

// Restrictions implements adminpage.Node.
func (n adminNode) Restrictions() []adminpage.Restriction {
	if n.s.o.Restrictions == nil {
		return nil
	}
	kept := n.s.o.Restrictions.List()
	list := make([]adminpage.Restriction, len(kept))
	for i, r := range kept {
		list[i] = adminpage.Restriction{User: r.User, Session: r.Session, Room: r.Room, Read: r.Read, Since: r.Since, Until: r.Until}
	}
	return list
}

// Do implements adminpage.Node.
func (n adminNode) Do(ctx context.Context, a adminpage.Action) (affected int, err error) {
	q := subjectRequest{Subject: auth.Subject{User: a.User, Session: a.Session, Room: a.Room}, Seconds: a.Seconds}
	var f *refusal
	switch a.Verb {
	case adminpage.Kick:
		affected, f = n.s.kick(q.Subject, a.Conn)
	case adminpage.Revoke:
		affected, _, f = n.s.revoke(q)
	case adminpage.Unrevoke:
		f = n.s.unrevoke(q.Subject)
	case adminpage.ReadOnly:
		affected, f = n.s.setAccess(q, "read")
	case adminpage.Writable:
		affected, f = n.s.setAccess(q, "write")
	case adminpage.Checkpoint:
		f = n.s.checkpoint(ctx, a.Room)
	case adminpage.Drain:
		f = n.s.shutdown()
	default:
		f = errNotFound
	}
	if f != nil {
		return affected, f
	}
	return affected, nil
}

// People implements adminpage.Node.
func (n adminNode) People(offset, limit int) (list []adminpage.Person, found int) {
	type person struct {
		name  string
		conns map[uint64]struct{}
		rooms map[string]struct{}
	}
	people := map[string]*person{}
	for _, a := range n.s.places.list() {
		g := a.granted()
		if g.User.ID == "" || a.isOver() {
			continue
		}
		p := people[g.User.ID]
		if p == nil {
			p = &person{g.User.Name, map[uint64]struct{}{}, map[string]struct{}{}}
			people[g.User.ID] = p
		}
		p.conns[a.conn.start.ID] = struct{}{}
		p.rooms[a.room] = struct{}{}
	}
	ids := slices.SortedFunc(maps.Keys(people), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(people[b].conns), len(people[a].conns)), cmp.Compare(a, b))
	})
	found = len(ids)
	for _, id := range ids[min(offset, found):min(offset+limit, found)] {
		p := people[id]
		rooms := slices.Sorted(maps.Keys(p.rooms))
		list = append(list, adminpage.Person{User: id, Name: p.name, Conns: len(p.conns), Rooms: rooms[:min(len(rooms), shownRooms)], Count: len(rooms)})
	}
	return list, found
}

// shownRooms bounds the rooms that are named for one user.
const shownRooms = 5
