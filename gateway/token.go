package gateway

import (
	"net/http"
	"strings"

	"github.com/gorilla/websocket"
)

// tokenProtocol is how a WebSocket subprotocol begins whose rest is a token: the one place beside the address where a
// page can put something into a handshake. The convention is y-redis's.
const tokenProtocol = "yauth-"

// requestToken finds the token of a request: in a subprotocol, in an Authorization header, which only programs can send,
// or in the query, where it is called token, or yauth as y-redis does. Empty when there is none.
func requestToken(r *http.Request) string {
	for _, p := range websocket.Subprotocols(r) {
		if token, ok := strings.CutPrefix(p, tokenProtocol); ok {
			return token
		}
	}
	if token := bearerToken(r); token != "" {
		return token
	}
	query := r.URL.Query()
	for _, name := range []string{"token", "yauth"} {
		if token := query.Get(name); token != "" {
			return token
		}
	}
	return ""
}

// bearerToken returns the token of an Authorization header (RFC 6750); empty when there is none.
func bearerToken(r *http.Request) string {
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return ""
}

// chooseProtocol returns the subprotocol that the answer to a handshake must name, for browsers fail a connection that
// offered some and got none: the one with the token, or else the client's first choice. Empty when none was offered.
func chooseProtocol(r *http.Request) string {
	offered := websocket.Subprotocols(r)
	for _, p := range offered {
		if strings.HasPrefix(p, tokenProtocol) {
			return p
		}
	}
	if len(offered) > 0 {
		return offered[0]
	}
	return ""
}
