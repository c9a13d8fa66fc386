package gateway

import (
	"net/http"
	"strings"
	"time"
)

// Refusals without detail.
var (
	errOrigin    = &refusal{http.StatusForbidden, "origin_refused", "pages of this origin may not connect; the server's --origin lists those that may", 0}
	errHost      = &refusal{http.StatusForbidden, "host_refused", "this server is not known by that host name; the server's --origin makes one known", 0}
	errMethod    = &refusal{http.StatusMethodNotAllowed, "method_not_allowed", "only GET is answered here", 0}
	errNotFound  = &refusal{http.StatusNotFound, "not_found", "nothing is served here", 0}
	errDraining  = &refusal{http.StatusServiceUnavailable, "draining", "the server is going down for a restart", 2 * time.Second}
	errInternal  = &refusal{http.StatusInternalServerError, "internal", "the server made a mistake", time.Second}
	errLimit     = &refusal{http.StatusBadRequest, "bad_limit", "limit is a number from 1 to 1000", 0}
	errNoSuchDoc = &refusal{http.StatusNotFound, "room_not_found", "nothing is stored under this room name", 0}
)

// ServeHTTP serves the public listener.
//
// Paths are matched as they were sent: net/http's multiplexer would redirect a room named "a//b" to another one, and
// WebSocket clients do not follow redirects.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			s.panicked("request", v)
			s.refuse(w, r, errInternal) // too late where the answer has begun; the client then sees it cut off
		}
	}()
	hurryBody(w, r)
	path := r.URL.EscapedPath()
	if s.serveHealth(w, r, path) {
		return
	}
	if !s.origins.checkHost(r) {
		s.refuse(w, r, errHost)
		return
	}
	if name, ok := strings.CutPrefix(path, "/yjs/"); ok {
		s.serveYWebsocket(w, r, name)
		return
	}
	if path == "/hocuspocus" || strings.HasPrefix(path, "/hocuspocus/") {
		s.serveHocuspocus(w, r)
		return
	}
	if path == "/native" {
		s.serveNative(w, r)
		return
	}
	if rest, ok := strings.CutPrefix(path, "/v1/"); ok {
		s.serveREST(w, r, rest)
		return
	}
	if s.o.Demo == nil {
		s.refuse(w, r, errNotFound)
		return
	}
	s.o.Demo.ServeHTTP(w, r)
}

// bodyTime bounds the time in which the body of a request must come, which net/http reads to its end even when the
// handler does not.
const bodyTime = 5 * time.Second

// hurryBody bounds the time for the body of a request that has one. A hijack lifts that, as does the next request.
func hurryBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // what is no socket has no slow client
	}
}

// serveHealth answers the two health paths: /healthz while the process can answer at all, /readyz while it should get
// new clients.
func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request, path string) bool {
	switch path {
	case "/healthz":
	case "/readyz":
		if s.conns.isDraining() {
			errDraining.write(w)
			return true
		}
		if s.o.Ready != nil {
			if err := s.o.Ready(); err != nil {
				(&refusal{http.StatusServiceUnavailable, "not_ready", err.Error(), 5 * time.Second}).write(w)
				return true
			}
		}
	default:
		return false
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return true
}
