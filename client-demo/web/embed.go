// Package web serves the browser demo: a landing page and a page for every room, with a code editor and a
// rich-text editor on one document.
//
// The bundle under dist is built by Vite from src and committed, so that Go alone builds the binary. This package
// knows the bundle's files and how browsers may keep them; it does not know rooms, sockets or the REST API.
// Everything is read once in Handler and immutable afterwards, so a handler may be used by any number of goroutines.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"
)

// dist is what `npm run build` wrote. The go:embed directive wants a package variable; nothing assigns to it.
//
//go:embed all:dist
var dist embed.FS

// How browsers may keep a file. Names under assets carry a hash of their content, all others stay the same between
// builds and are asked for again, which costs a 304.
const (
	cacheHashed = "public, max-age=31536000, immutable" // a year, the longest that caches honour
	cacheNamed  = "no-cache"
)

// policy lets the pages load and run what this server serves and nothing else. Inline styles are allowed because
// both editors write style elements; inline scripts are not.
const policy = "default-src 'self'; connect-src 'self' ws: wss:; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'self'; object-src 'none'"

// Handler serves the demo: the landing page at /, the room page at /r/{room} where the room may contain slashes, the
// bundle's files, and a page with status 404 for every other path. Methods other than GET and HEAD get 405.
// Responses are compressed for clients that accept it. It panics if the bundle is incomplete, which a build that
// passed this package's tests is not.
func Handler() http.Handler {
	files := load()
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", files.must("index.html"))
	mux.Handle("GET /r/{$}", http.RedirectHandler("/", http.StatusFound))
	mux.Handle("GET /r/{room...}", files.must("room.html"))
	mux.HandleFunc("GET /", files.must("404.html").serveNotFound)
	for name, f := range files {
		if path.Ext(name) != ".html" {
			mux.Handle("GET /"+name, f)
		}
	}
	compress, err := gzhttp.NewWrapper()
	if err != nil {
		panic(fmt.Sprintf("web: default options refused: %v", err))
	}
	return compress(guard(mux))
}

// guard sets the headers that every response carries.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// file is one file of the bundle, ready to serve.
type file struct {
	body  []byte
	kind  string // Content-Type
	cache string // Cache-Control
	// etag is weak: the compressed and the plain form carry the same one.
	etag string
}

// ServeHTTP answers with the file, or with 304 when the client has it already.
func (f *file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.describe(w.Header())
	// An empty name and no time: type and validator are set above, and embedded files carry no modification time.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}

func (f *file) serveNotFound(w http.ResponseWriter, r *http.Request) {
	f.describe(w.Header())
	w.Header().Del("ETag")
	w.WriteHeader(http.StatusNotFound)
	if r.Method != http.MethodHead {
		_, _ = w.Write(f.body) // The client is gone; there is nobody to tell.
	}
}

func (f *file) describe(h http.Header) {
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", f.cache)
	h.Set("ETag", f.etag)
}

// bundle maps paths below dist, without a leading slash, to files.
type bundle map[string]*file

func load() bundle {
	files := bundle{}
	root, err := fs.Sub(dist, "dist")
	if err == nil {
		err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			body, err := fs.ReadFile(root, name)
			if err != nil {
				return err
			}
			files[name] = newFile(name, body)
			return nil
		})
	}
	if err != nil {
		panic(fmt.Sprintf("web: read the embedded bundle: %v", err))
	}
	return files
}

func newFile(name string, body []byte) *file {
	sum := sha256.Sum256(body)
	f := &file{
		body:  body,
		kind:  contentType(name),
		cache: cacheNamed,
		etag:  `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
	}
	if strings.HasPrefix(name, "assets/") {
		f.cache = cacheHashed
	}
	return f
}

// contentType knows the kinds of file that Vite writes for this demo. The mime package is not asked, because its
// answers depend on the machine.
func contentType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	default:
		panic(fmt.Sprintf("web: no content type for %q in the embedded bundle", name))
	}
}

func (b bundle) must(name string) *file {
	f, ok := b[name]
	if !ok {
		panic(fmt.Sprintf("web: %q is missing in the embedded bundle", name))
	}
	return f
}
