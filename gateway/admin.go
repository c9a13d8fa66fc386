package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"weft/gateway/auth"
)

// Refusals of the operator's listener.
var (
	errAdminToken = &refusal{http.StatusUnauthorized, "admin_token_needed", "the operator's listener wants the header Authorization: Bearer TOKEN", 0}
	errCrossSite  = &refusal{http.StatusForbidden, "cross_site", "pages of other sites may not talk to the operator's listener", 0}
	errNotJSON    = &refusal{http.StatusUnsupportedMediaType, "not_json", "the body must be JSON, and Content-Type must say application/json", 0}
)

// AdminAction describes what an operator has done to clients.
type AdminAction struct {
	Verb     string // "revoke", "unrevoke", "access", "kick", "checkpoint" or "drain"
	Subject  auth.Subject
	Access   string // of "access": "read" or "write"
	Conn     uint64 // of "kick": the connection's number, 0 when none was given
	Affected int    // places in rooms that were ended or changed
}

// adminRoute is one path of the operator's listener.
type adminRoute struct {
	method string
	serve  http.HandlerFunc
}

// Admin returns the handler of the operator's listener: health, metrics at /metrics, the load at /v1/load, and the routes below /admin/.
//
// With Options.AdminToken everything but health wants that token. Without, the listener trusts its machine, and guards
// it against the pages that a browser on it visits: names that a stranger may have pointed here (DNS rebinding) and
// requests of other sites are refused. See origins.knows and errCrossSite.
func (s *Server) Admin(metrics http.Handler) http.Handler {
	routes := map[string]adminRoute{
		"/metrics":           {http.MethodGet, metrics.ServeHTTP},
		"/admin/backup":      {http.MethodGet, s.serveBackup},
		"/admin/connections": {http.MethodGet, s.adminConnections},
		"/admin/revocations": {http.MethodGet, s.adminRevocations},
		"/admin/revoke":      {http.MethodPost, s.adminRevoke},
		"/admin/unrevoke":    {http.MethodPost, s.adminUnrevoke},
		"/admin/access":      {http.MethodPost, s.adminAccess},
		"/admin/kick":        {http.MethodPost, s.adminKick},
		"/admin/ends":        {http.MethodGet, s.adminEnds},
		"/admin/checkpoint":  {http.MethodPost, s.adminCheckpoint},
		"/admin/drain":       {http.MethodPost, s.adminDrain},
	}
	if s.o.Load != nil {
		routes["/v1/load"] = adminRoute{http.MethodGet, s.o.Load.ServeHTTP}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler: // an answer that must not look whole, see serveBackup
				panic(v)
			default:
				s.panicked("admin request", v)
				s.refuse(w, r, errInternal)
			}
		}()
		hurryBody(w, r)
		path := r.URL.EscapedPath()
		if s.serveHealth(w, r, path) {
			return
		}
		isPage := s.page.Serves(path)
		if isPage && len(s.o.AdminToken) > 0 {
			s.page.ServeHTTP(w, r) // which asks for the token in its own way
			return
		}
		if f := s.adminGuard(r); f != nil {
			if f == errAdminToken {
				w.Header().Set("WWW-Authenticate", "Bearer")
			}
			s.refuse(w, r, f)
			return
		}
		if isPage {
			s.page.ServeHTTP(w, r)
			return
		}
		route, ok := routes[path]
		switch {
		case !ok:
			s.refuse(w, r, errNotFound)
		case r.Method != route.method && (route.method != http.MethodGet || r.Method != http.MethodHead):
			w.Header().Set("Allow", route.method)
			s.refuse(w, r, &refusal{http.StatusMethodNotAllowed, "method_not_allowed", "only " + route.method + " is answered here", 0})
		default:
			route.serve(w, r)
		}
	})
}

// adminGuard tells why a request to the operator's listener is refused.
func (s *Server) adminGuard(r *http.Request) *refusal {
	if len(s.o.AdminToken) > 0 {
		want, got := sha256.Sum256(s.o.AdminToken), sha256.Sum256([]byte(bearerToken(r)))
		if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			return errAdminToken
		}
		return nil
	}
	if !s.origins.knows(r.Host) {
		return errHost
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		return errCrossSite
	}
	if http.NewCrossOriginProtection().Check(r) != nil { // goes by Origin where there is no Sec-Fetch-Site
		return errCrossSite
	}
	return nil
}

// Bounds of the requests to the operator's listener.
const (
	adminBody = 64 << 10         // bytes
	adminTime = 30 * time.Second // for reading one
)

// readAdmin reads the JSON body of a POST into v, or refuses the request. A member that is not known is refused as well:
// whoever misspells "user" must not revoke everybody.
func (s *Server) readAdmin(w http.ResponseWriter, r *http.Request, v any) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" { // which no page can send to another site without asking
		s.refuse(w, r, errNotJSON)
		return false
	}
	// Not every writer has deadlines (tests' recorders); the real one does.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(adminTime))
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, adminBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		s.refuse(w, r, badRequest(err))
		return false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		s.refuse(w, r, badRequest(errors.New("there is something behind the JSON")))
		return false
	}
	return true
}

// badRequest answers an operator's mistake.
func badRequest(err error) *refusal {
	return &refusal{http.StatusBadRequest, "bad_request", err.Error(), 0}
}

// administered reports what an operator has done.
func (s *Server) administered(a AdminAction) {
	if s.o.Events.Administered != nil {
		s.o.Events.Administered(a)
	}
}
