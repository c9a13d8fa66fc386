package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"weft/gateway"
	"weft/protocol"
	"weft/room"
)

// apiError is the body of every refusal.
type apiError struct {
	Error struct {
		Code      string `json:"code"`
		Message   string `json:"message"`
		Retryable bool   `json:"retryable"`
	} `json:"error"`
}

// refusal reads the typed error from a response.
func refusal(t *testing.T, resp *http.Response) apiError {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var e apiError
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatalf("answer %d %q is not a typed error: %v", resp.StatusCode, body, err)
	}
	if e.Error.Message == "" {
		t.Errorf("answer %d %q has no message", resp.StatusCode, body)
	}
	return e
}

// wantRefused checks that a handshake failed with this status and code.
func wantRefused(t *testing.T, resp *http.Response, err error, status int, code string) {
	t.Helper()
	if !errors.Is(err, websocket.ErrBadHandshake) || resp == nil {
		t.Fatalf("dial = %v, want a refused handshake", err)
	}
	if got := refusal(t, resp); resp.StatusCode != status || got.Error.Code != code {
		t.Errorf("dial = %d %q, want %d %q", resp.StatusCode, got.Error.Code, status, code)
	}
}

func TestOrigin(t *testing.T) {
	r := start(t, gateway.Options{Origins: []string{"https://docs.example", "http://dev.example:5173"}})
	for _, c := range []struct {
		name   string
		origin []string
		ok     bool
	}{
		{"none", nil, true},
		{"own", []string{"http://" + r.addr}, true},
		{"own behind a proxy with TLS", []string{"https://" + r.addr}, true},
		{"own in upper case", []string{"HTTP://" + strings.ToUpper(r.addr)}, true},
		{"listed", []string{"https://docs.example"}, true},
		{"listed with its default port", []string{"https://docs.example:443"}, true},
		{"listed with a port", []string{"http://dev.example:5173"}, true},
		{"listed host with another scheme", []string{"http://docs.example"}, false},
		{"listed host with another port", []string{"https://docs.example:8443"}, false},
		{"listed without its port", []string{"http://dev.example"}, false},
		{"stranger", []string{"https://evil.example"}, false},
		{"listed as a subdomain of a stranger", []string{"https://docs.example.evil.example"}, false},
		{"subdomain of a listed one", []string{"https://a.docs.example"}, false},
		{"listed as a user", []string{"https://docs.example@evil.example"}, false},
		{"listed as a path", []string{"https://evil.example/https://docs.example"}, false},
		{"own host as a prefix", []string{"http://" + r.addr + ".evil.example"}, false},
		{"own port on a name", []string{"http://localhost" + r.addr[strings.LastIndex(r.addr, ":"):]}, false},
		{"null", []string{"null"}, false},
		{"empty", []string{""}, false},
		{"own with a scheme that is no page's", []string{"ftp://" + r.addr}, false},
		{"two", []string{"http://" + r.addr, "https://evil.example"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := http.Header{}
			if c.origin != nil {
				header["Origin"] = c.origin
			}
			ws, resp, err := r.dial("/yjs/origin", header)
			if !c.ok {
				wantRefused(t, resp, err, http.StatusForbidden, "origin_refused")
				return
			}
			if err != nil {
				t.Fatalf("dial with Origin %q = %v, want nil", c.origin, err)
			}
			ws.Close()
		})
	}
}

func TestOriginListIsChecked(t *testing.T) {
	for _, bad := range []string{"", "docs.example", "https://", "https://docs.example/", "https://*.example", "https://a@b", "https://a?b", "://"} {
		if _, err := gateway.New(gateway.Options{Rooms: &fakeRooms{}, Origins: []string{bad}}); err == nil {
			t.Errorf("New with origin %q = nil, want an error", bad)
		}
		if gateway.CheckOrigin(bad) == nil {
			t.Errorf("CheckOrigin(%q) = nil, want an error", bad)
		}
	}
}

func TestHostGuard(t *testing.T) {
	r := start(t, gateway.Options{GuardHost: true, Origins: []string{"https://docs.example"}})
	port := r.addr[strings.LastIndex(r.addr, ":"):]
	for _, c := range []struct {
		host string
		ok   bool
	}{
		{r.addr, true},
		{"localhost" + port, true},
		{"LOCALHOST", true},
		{"app.localhost" + port, true},
		{"[::1]" + port, true},
		{"docs.example", true},
		{"evil.example" + port, false},
		{"127.0.0.1.evil.example" + port, false},
		{"localhost.evil.example", false},
	} {
		// A rebound page is of the same origin as what it asks.
		ws, resp, err := r.dial("/yjs/host", http.Header{"Host": {c.host}, "Origin": {"http://" + c.host}})
		if c.ok {
			if err != nil {
				t.Errorf("dial with Host %q = %v, want nil", c.host, err)
				continue
			}
			ws.Close()
			continue
		}
		wantRefused(t, resp, err, http.StatusForbidden, "host_refused")
	}
}

func TestRoomNames(t *testing.T) {
	joined := make(chan string, 1)
	r := start(t, gateway.Options{Rooms: &fakeRooms{join: func(_ context.Context, name string, _ room.Peer) (gateway.Session, error) {
		joined <- name
		return newFakeSession(nil), nil
	}}})
	for _, c := range []struct{ path, name string }{
		{"plain", "plain"},
		{"a/b/c", "a/b/c"},
		{"a//b", "a//b"},
		{"a/../b", "a/../b"},
		{"/a", "/a"},
		{"a/", "a/"},
		{"a%2Fb", "a/b"},
		{"a%252Fb", "a%2Fb"},
		{"a%20b", "a b"},
		{"a+b", "a+b"},
		{"%C3%BC", "ü"},
		{"ü", "ü"},
		{"%F0%9F%98%80", "😀"},
		{"{x}:*;=&,", "{x}:*;=&,"},
		{"...", "..."},
		{strings.Repeat("x", 256), strings.Repeat("x", 256)},
		{"q?token=secret&x=/yjs/other", "q"},
	} {
		ws, _, err := r.dial("/yjs/"+c.path, nil)
		if err != nil {
			t.Errorf("dial /yjs/%s = %v, want nil", c.path, err)
			continue
		}
		if got := <-joined; got != c.name {
			t.Errorf("dial /yjs/%s joined %q, want %q", c.path, got, c.name)
		}
		ws.Close()
	}
	for _, path := range []string{
		"", ".", "..", "%2E", "%2e%2E", "%00", "a%00b", "a%0Ab", "a%7F", "%C2%85", "%FF", "%C3", "%ED%A0%80",
		strings.Repeat("x", 257), strings.Repeat("%C3%BC", 129), "?room=a",
	} {
		_, resp, err := r.dial("/yjs/"+path, nil)
		wantRefused(t, resp, err, http.StatusBadRequest, "bad_room")
	}
	if len(joined) > 0 {
		t.Errorf("a refused name joined room %q, want none", <-joined)
	}
}

func TestHandshakeRefusals(t *testing.T) {
	r := start(t, gateway.Options{})
	for _, c := range []struct {
		name   string
		header http.Header
		status int
		code   string
	}{
		{"no upgrade", http.Header{}, http.StatusUpgradeRequired, "upgrade_required"},
		{"old version", http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"8"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
		}, http.StatusBadRequest, "bad_handshake"},
		{"no key", http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		}, http.StatusBadRequest, "bad_handshake"},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp := r.get("/yjs/room", c.header)
			if got := refusal(t, resp); resp.StatusCode != c.status || got.Error.Code != c.code {
				t.Errorf("GET /yjs/room = %d %q, want %d %q", resp.StatusCode, got.Error.Code, c.status, c.code)
			}
		})
	}
	if n := r.server.Conns(); n != 0 {
		t.Errorf("Conns after refused handshakes = %d, want 0", n)
	}
}

// get sends one plain GET; path is sent as it is.
func (r *rig) get(path string, header http.Header) *http.Response {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.addr+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header = header
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		r.t.Fatalf("GET %s = %v, want nil", path, err)
	}
	r.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// TestConnectionLimits fills the places, finds the next one refused before the upgrade, and the freed place usable.
func TestConnectionLimits(t *testing.T) {
	for _, c := range []struct {
		name string
		o    gateway.Options
		code string
	}{
		{"process", gateway.Options{MaxConns: 3}, "too_many_connections"},
		{"address", gateway.Options{MaxConnsPerAddress: 3}, "too_many_connections_from_address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, c.o)
			var last *client
			for range 3 {
				last = r.join("/yjs/limits")
				last.echo("here")
			}
			_, resp, err := r.dial("/yjs/limits", nil)
			wantRefused(t, resp, err, http.StatusServiceUnavailable, c.code)
			if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || s < 1 {
				t.Errorf("Retry-After = %q, want a number of seconds", resp.Header.Get("Retry-After"))
			}
			last.Close()
			r.events.end(t, 0)
			r.events.until(t, "the refusal", func() bool { return len(r.events.refused) == 1 })
			r.join("/yjs/limits").echo("again")
		})
	}
}

// TestJoinRefusalIsAClose checks that a client which must not come back is told so in its own protocol.
func TestJoinRefusalIsAClose(t *testing.T) {
	for _, c := range []struct {
		err  error
		want protocol.Reason
	}{
		{protocol.Forbidden.Closef("not yours"), protocol.Forbidden},
		{protocol.Quarantined.Closef("damaged"), protocol.Quarantined},
		{protocol.Overloaded.Closef("full"), protocol.Overloaded},
		{errors.New("some mistake"), protocol.Internal},
	} {
		r := start(t, gateway.Options{Rooms: &fakeRooms{join: func(context.Context, string, room.Peer) (gateway.Session, error) {
			return nil, c.err
		}}})
		r.join("/yjs/refused").wantClose(c.want)
		if got := r.events.end(t, 0); got.Reason != c.want || !strings.Contains(c.err.Error(), got.Detail) || got.Detail == "" {
			t.Errorf("Closed = %v %q, want %v and the detail of %q", got.Reason, got.Detail, c.want, c.err)
		}
	}
}
