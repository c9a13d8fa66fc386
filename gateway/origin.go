package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// origins decides which web pages may talk to this server. A browser names the page's origin in every WebSocket
// handshake and sends the handshake wherever a page asks, so this check is the only thing between a stranger's page
// and the rooms its visitor can reach (cross-site WebSocket hijacking).
//
//   - Without a list a page must come from the host it connects to.
//   - With a list its origin must also be allowed when it stands there, compared exactly: scheme, host and port.
//   - A request without Origin does not come from a page. It is allowed only while nothing it could abuse is attached to
//     the browser: the server keeps no cookies, so that holds as long as auth is none or a token is presented.
type origins struct {
	// Static after construction.
	listed map[string]bool // canonical origins
	hosts  map[string]bool // the host names of listed
	guard  bool            // refuse host names that nobody announced, see checkHost
}

// CheckOrigin tells why s cannot be an entry of Options.Origins; nil when it can.
func CheckOrigin(s string) error {
	_, _, err := parseOrigin(s)
	return err
}

// newOrigins reads the allowlist. guard tells that the server serves only its own machine, without auth.
func newOrigins(list []string, guard bool) (origins, error) {
	o := origins{listed: map[string]bool{}, hosts: map[string]bool{}, guard: guard}
	for _, s := range list {
		canonical, host, err := parseOrigin(s)
		if err != nil {
			return origins{}, err
		}
		o.listed[canonical] = true
		o.hosts[host] = true
	}
	return o, nil
}

// parseOrigin brings an origin to the form that is compared, and names its host (without port).
func parseOrigin(s string) (canonical, host string, err error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", "", fmt.Errorf("origin %q: not a URL", s)
	case u.Scheme == "" || u.Host == "" || u.Hostname() == "":
		return "", "", fmt.Errorf("origin %q: want scheme://host or scheme://host:port", s)
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return "", "", fmt.Errorf("origin %q: an origin has no path, query, fragment or user", s)
	case strings.Contains(u.Host, "*"):
		return "", "", fmt.Errorf("origin %q: origins are compared exactly, there are no wildcards", s)
	}
	scheme := strings.ToLower(u.Scheme)
	return scheme + "://" + canonicalHost(scheme, u.Host), strings.ToLower(u.Hostname()), nil
}

// canonicalHost lowers a host:port and drops the port that scheme implies, as browsers do.
func canonicalHost(scheme, hostport string) string {
	hostport = strings.ToLower(hostport)
	switch scheme {
	case "http", "ws":
		return strings.TrimSuffix(hostport, ":80")
	case "https", "wss":
		return strings.TrimSuffix(hostport, ":443")
	}
	return hostport
}

// check tells whether the page behind r may use the server; page is false when r names no origin.
//
// Only hosts are compared with the request's own: behind a proxy that ends TLS the page is https and the request is not.
func (o origins) check(r *http.Request) (page, ok bool) {
	values := r.Header["Origin"]
	if len(values) == 0 {
		return false, true
	}
	if len(values) > 1 {
		return true, false
	}
	canonical, _, err := parseOrigin(values[0])
	if err != nil { // also "null", which a sandboxed page sends
		return true, false
	}
	if o.listed[canonical] {
		return true, true
	}
	scheme, host, _ := strings.Cut(canonical, "://")
	return true, (scheme == "http" || scheme == "https") && host == canonicalHost(scheme, r.Host)
}

// checkHost tells whether the request's Host is one that this server may be known by.
//
// A page whose own name was made to resolve to 127.0.0.1 (DNS rebinding) is of the same origin as everything that it
// asks there, so on a server that trusts its machine the name itself must be known: an address, localhost, or the host
// of a listed origin.
func (o origins) checkHost(r *http.Request) bool { return !o.guard || o.knows(r.Host) }

// knows tells whether a Host is an address, localhost, or the host of a listed origin.
func (o origins) knows(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || o.hosts[host] {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}
