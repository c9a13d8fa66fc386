// Package adminpage is the page on which operators watch a node and act on it: rooms, people, connections, recent ends,
// restrictions, and one room from inside.
//
// It owns the HTML and who may see it, not what is shown: a Node answers for the server, and does what operators want in
// the same way as for its JSON routes. The package knows no sockets and no rooms.
//
// Every page is complete without JavaScript; a script of our own asks for it again every few seconds and puts what
// changed in its place. Nothing is loaded from elsewhere, and the pages' policy forbids it.
//
// # Who may see it
//
// Without Options.Token whoever may reach the handler; its caller has to keep other sites' pages and names out. With a
// token, whoever shows it as Authorization: Bearer, or has logged in with it: a login is a random cookie, kept for twelve
// hours as a hash, sent by browsers to this site only and from its own pages only, and good for nothing but the page.
//
// # Invariants
//
//   - GET changes nothing. What changes something is a POST from a page of ours: it carries a value that only those who
//     can read our pages know, and comes from our own origin.
//   - Everything from outside goes through html/template's escaping: names of rooms and people, tokens' claims, documents
//     and presence are written by strangers. No template uses a type that switches it off.
//   - An answer is bounded: lists in pages of 100, documents cut.
//
// A Page may be used by any number of goroutines.
package adminpage

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
	"time"
)

// files are the templates and the two files that pages load. The go:embed directive wants a package variable; nothing
// assigns to it.
//
//go:embed templates static
var files embed.FS

// Home is where the page begins; everything of it lies below Below, beside the JSON routes.
const (
	Home  = "/admin/"
	Below = "/admin/page/"
)

// policy lets a page load what this package serves and nothing else, and nobody frame it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Options configures a Page.
type Options struct {
	// Node is what is shown. Required.
	Node Node
	// Token is what has to be shown. Empty: nothing.
	Token []byte
	// Denied is called when a request was refused. Nil: nobody is told.
	Denied func(r *http.Request, status int, code string)
}

// Page serves the admin page. Use New.
type Page struct {
	// Static after construction.
	o      Options
	views  map[string]*template.Template
	assets map[string]asset
	key    []byte // of the values that forms carry

	logins  logins
	rates   rates
	notices notices
}

// asset is a file that pages load.
type asset struct {
	body       []byte
	kind, etag string
}

// New returns a page. It panics when a template is broken, which one that passed this package's tests is not.
func New(o Options) *Page {
	p := &Page{o: o, views: parseViews(), assets: map[string]asset{}, key: make([]byte, 32)}
	_, _ = rand.Read(p.key) // never fails, see crypto/rand
	for name, kind := range map[string]string{"admin.css": "text/css; charset=utf-8", "admin.js": "text/javascript; charset=utf-8"} {
		body, err := files.ReadFile("static/" + name)
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(body)
		p.assets[Below+name] = asset{body, kind, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	}
	return p
}

// Serves tells whether a path, as it was sent, is the page's.
func (p *Page) Serves(path string) bool {
	return path == "/" || path == "/admin" || path == Home || strings.HasPrefix(path, Below)
}

// ServeHTTP answers a request for a path that Serves knows.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // with less browsers would not name the origin of our own forms
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	path := r.URL.Path
	if a, ok := p.assets[path]; ok {
		h.Set("Content-Type", a.kind)
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", a.etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
		return
	}
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	if get && (path == "/" || path == "/admin") {
		http.Redirect(w, r, Home, http.StatusSeeOther)
		return
	}
	if path == Below+"login" {
		p.login(w, r)
		return
	}
	who, ok := p.who(r)
	if !ok {
		p.turnAway(w, r)
		return
	}
	switch view := p.gets()[path]; {
	case view != nil && get:
		view(w, r, who)
	case path == Below+"act" && r.Method == http.MethodPost:
		p.act(w, r, who)
	case path == Below+"logout" && r.Method == http.MethodPost:
		p.logout(w, r, who)
	case view != nil || path == Below+"act" || path == Below+"logout":
		p.fail(w, r, who, http.StatusMethodNotAllowed, "method_not_allowed", "That is not how this address is used.")
	default:
		p.fail(w, r, who, http.StatusNotFound, "not_found", "There is no such page.")
	}
}

// view answers a GET.
type view func(http.ResponseWriter, *http.Request, visitor)

func (p *Page) gets() map[string]view {
	return map[string]view{
		Home:                   p.overview,
		Below + "rooms":        p.rooms,
		Below + "room":         p.room,
		Below + "clients":      p.clients,
		Below + "people":       p.people,
		Below + "ends":         p.ends,
		Below + "restrictions": p.restrictions,
		Below + "confirm":      p.confirm,
	}
}

// denied reports a refusal.
func (p *Page) denied(r *http.Request, status int, code string) {
	if p.o.Denied != nil {
		p.o.Denied(r, status, code)
	}
}
