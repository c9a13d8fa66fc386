package adminpage

import (
	"bytes"
	"context"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Bounds of pages.
const (
	pageSize    = 100 // rows of a list
	shownBusy   = 12  // rooms of the overview
	shownEnds   = 10
	shownDone   = 5
	lookTime    = 10 * time.Second // for asking the node
	writeTime   = 30 * time.Second // for sending a page
	maxQuestion = 300              // bytes of what is searched for
)

// frame is what every page is made of.
type frame struct {
	Title  string
	View   string // which entry of the menu is lit
	Menu   []entry
	Node   Overview
	Now    time.Time
	Self   string // the page's own address, to come back to
	Form   string // the value that forms carry
	Logged bool   // there is a login to end
	Notice *Notice
	Data   any // of the view
}

// entry is one of the menu.
type entry struct{ View, Href, Text string }

// parseViews reads the templates: each view is the layout with its own content.
func parseViews() map[string]*template.Template {
	layout := template.Must(template.New("layout.html").Funcs(funcs()).ParseFS(files, "templates/layout.html", "templates/parts.html"))
	views := map[string]*template.Template{}
	for _, name := range []string{"overview", "rooms", "room", "clients", "people", "ends", "restrictions", "confirm", "login", "message"} {
		views[name] = template.Must(template.Must(layout.Clone()).ParseFS(files, "templates/"+name+".html"))
	}
	return views
}

// frame begins a page.
func (p *Page) frame(r *http.Request, who visitor, title, view string) *frame {
	query := r.URL.Query()
	query.Del("notice")
	query.Del("live")
	f := &frame{
		Title: title, View: view, Node: p.o.Node.Overview(), Now: time.Now(), Form: p.formValue(who), Logged: who.logged,
		Self:   (&url.URL{Path: r.URL.Path, RawQuery: query.Encode()}).String(),
		Notice: p.notices.find(r.URL.Query().Get("notice")),
		Menu: []entry{
			{"overview", Home, "Overview"},
			{"rooms", Below + "rooms", "Rooms"},
			{"people", Below + "people", "People"},
			{"clients", Below + "clients", "Connections"},
			{"ends", Below + "ends", "Ends"},
			{"restrictions", Below + "restrictions", "Restrictions"},
		},
	}
	return f
}

// render answers with a view. It is built before the first byte leaves, so that a page is whole or an error.
func (p *Page) render(w http.ResponseWriter, r *http.Request, status int, view string, f *frame) {
	var body bytes.Buffer
	if err := p.views[view].Execute(&body, f); err != nil {
		panic(err) // a template asks for what its data does not have
	}
	// Not every writer has deadlines (tests' recorders); the real one does.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime))
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes()) // the client went away; there is nobody left to tell
	}
}

// fail answers with a sentence.
func (p *Page) fail(w http.ResponseWriter, r *http.Request, who visitor, status int, code, text string) {
	p.denied(r, status, code)
	f := p.frame(r, who, "That did not work", "")
	f.Data = text
	p.render(w, r, status, "message", f)
}

// failed answers for an error of the node.
func (p *Page) failed(w http.ResponseWriter, r *http.Request, who visitor, err error) {
	p.fail(w, r, who, http.StatusServiceUnavailable, "not_shown", err.Error())
}

// rated is a room of a list with its updates a second.
type rated struct {
	RoomRow
	Rate  float64
	Known bool // Rate is
}

func (p *Page) rated(rows []RoomRow) []rated {
	list := make([]rated, len(rows))
	now := time.Now()
	for i, row := range rows {
		list[i].RoomRow = row
		if row.Open {
			list[i].Rate, list[i].Known = p.rates.see(row.Name, row.Pos, now)
		}
	}
	return list
}

// overview shows the node, its busiest rooms and the last ends.
func (p *Page) overview(w http.ResponseWriter, r *http.Request, who visitor) {
	ctx, cancel := context.WithTimeout(r.Context(), lookTime)
	defer cancel()
	var data struct {
		Rooms   []rated
		More    bool
		Problem string // why there are no rooms
		Ends    []End
		Most    uint64 // the highest of the totals
		Done    []Notice
	}
	list, err := p.o.Node.Rooms(ctx, RoomQuery{Limit: shownBusy})
	if err != nil {
		data.Problem = err.Error()
	}
	data.Rooms, data.More = p.rated(list.Rooms), list.More
	data.Ends = p.o.Node.Ends()
	data.Ends = data.Ends[:min(len(data.Ends), shownEnds)]
	data.Done = p.notices.last(shownDone)
	f := p.frame(r, who, "Overview", "overview")
	for _, c := range f.Node.Ends {
		data.Most = max(data.Most, c.N)
	}
	f.Data = data
	p.render(w, r, http.StatusOK, "overview", f)
}

// rooms lists rooms: the busiest, or all by name.
func (p *Page) rooms(w http.ResponseWriter, r *http.Request, who visitor) {
	ctx, cancel := context.WithTimeout(r.Context(), lookTime)
	defer cancel()
	query := r.URL.Query()
	q := RoomQuery{ByName: query.Get("by") == "name", From: bounded(query.Get("from")), After: bounded(query.Get("after")), Limit: pageSize}
	list, err := p.o.Node.Rooms(ctx, q)
	if err != nil {
		p.failed(w, r, who, err)
		return
	}
	data := struct {
		RoomQuery
		Rooms []rated
		More  bool
		Next  string // by name: where to go on
	}{RoomQuery: q, Rooms: p.rated(list.Rooms), More: list.More}
	if list.More && q.ByName && len(list.Rooms) > 0 {
		data.Next = list.Rooms[len(list.Rooms)-1].Name
	}
	f := p.frame(r, who, "Rooms", "rooms")
	f.Data = data
	p.render(w, r, http.StatusOK, "rooms", f)
}

// bounded cuts what somebody typed.
func bounded(s string) string { return s[:min(len(s), maxQuestion)] }

// roomView is the inspector's data.
type roomView struct {
	Room    Room
	Rate    float64
	Known   bool // Rate is
	Clients ClientList
	Show    bool // the document was asked for
	Doc     Document
	Problem string // why it is not there
}

// room is the inspector. The document is read only when it is asked for, and not again by the script.
func (p *Page) room(w http.ResponseWriter, r *http.Request, who visitor) {
	ctx, cancel := context.WithTimeout(r.Context(), lookTime)
	defer cancel()
	query := r.URL.Query()
	name := query.Get("name")
	at, err := p.o.Node.Room(ctx, name)
	if err != nil {
		p.fail(w, r, who, http.StatusNotFound, "room_not_found", "This room cannot be shown: "+err.Error())
		return
	}
	data := roomView{Room: at, Show: query.Get("document") == "1"}
	if at.Open {
		data.Rate, data.Known = p.rates.see(name, at.Pos, time.Now())
	}
	data.Clients = p.o.Node.Clients(ClientQuery{Room: name, Limit: pageSize})
	if data.Show && query.Get("live") == "" {
		if data.Doc, err = p.o.Node.Document(ctx, name); err != nil {
			data.Problem = err.Error()
		}
	}
	f := p.frame(r, who, name, "rooms")
	f.Data = data
	p.render(w, r, http.StatusOK, "room", f)
}

// pager leads through a list by offset.
type pager struct {
	From, To, Total int
	Prev, Next      string // addresses; empty: there is none
}

// pages makes the pager of a list of which the page at offset has n rows.
func pages(r *http.Request, offset, n, total int) pager {
	pg := pager{From: min(offset+1, total), To: offset + n, Total: total}
	at := func(offset int) string {
		query := r.URL.Query()
		query.Del("live")
		query.Del("notice")
		query.Set("offset", strconv.Itoa(offset))
		return (&url.URL{Path: r.URL.Path, RawQuery: query.Encode()}).String()
	}
	if offset > 0 {
		pg.Prev = at(max(0, min(offset, total)-pageSize))
	}
	if offset+n < total {
		pg.Next = at(offset + n)
	}
	return pg
}

// offsetOf reads where a page begins.
func offsetOf(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("offset"))
	if err != nil {
		return 0
	}
	return min(max(n, 0), 1<<30)
}

// clients lists connections.
func (p *Page) clients(w http.ResponseWriter, r *http.Request, who visitor) {
	query := r.URL.Query()
	q := ClientQuery{
		Room: query.Get("room"), User: query.Get("user"), Session: query.Get("session"), Text: bounded(query.Get("q")),
		Order: query.Get("order"), Offset: offsetOf(r), Limit: pageSize,
	}
	if !slices.Contains(Orders(), q.Order) {
		q.Order = Orders()[0]
	}
	list := p.o.Node.Clients(q)
	f := p.frame(r, who, "Connections", "clients")
	f.Data = struct {
		ClientQuery
		Orders []choice
		List   ClientList
		Pages  pager
	}{q, []choice{
		{"oldest", "oldest first"},
		{"newest", "newest first"},
		{"lag", "slowest readers first"},
		{"in", "most bytes in first"},
		{"out", "most bytes out first"},
	}, list, pages(r, q.Offset, len(list.Clients), list.Total)}
	p.render(w, r, http.StatusOK, "clients", f)
}

// people lists users.
func (p *Page) people(w http.ResponseWriter, r *http.Request, who visitor) {
	offset := offsetOf(r)
	list, total := p.o.Node.People(offset, pageSize)
	f := p.frame(r, who, "People", "people")
	f.Data = struct {
		People []Person
		Pages  pager
	}{list, pages(r, offset, len(list), total)}
	p.render(w, r, http.StatusOK, "people", f)
}

// ends lists the last ends, of one reason or of all.
func (p *Page) ends(w http.ResponseWriter, r *http.Request, who visitor) {
	reason, offset := bounded(r.URL.Query().Get("reason")), offsetOf(r)
	list := p.o.Node.Ends()
	if reason != "" {
		list = slices.DeleteFunc(list, func(e End) bool { return e.Reason != reason })
	}
	total := len(list)
	list = cut(list, offset)
	f := p.frame(r, who, "Ends", "ends")
	f.Data = struct {
		Reason string
		Ends   []End
		Pages  pager
	}{reason, list, pages(r, offset, len(list), total)}
	p.render(w, r, http.StatusOK, "ends", f)
}

// restrictions lists what was taken away.
func (p *Page) restrictions(w http.ResponseWriter, r *http.Request, who visitor) {
	offset := offsetOf(r)
	list := p.o.Node.Restrictions()
	total := len(list)
	list = cut(list, offset)
	f := p.frame(r, who, "Restrictions", "restrictions")
	f.Data = struct {
		List  []Restriction
		Pages pager
	}{list, pages(r, offset, len(list), total)}
	p.render(w, r, http.StatusOK, "restrictions", f)
}

// cut returns the page of a list that begins at offset.
func cut[T any](list []T, offset int) []T {
	return list[min(offset, len(list)):min(offset+pageSize, len(list))]
}
