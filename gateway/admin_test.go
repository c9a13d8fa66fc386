package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"weft/gateway"
)

// adminRequest asks the operator's listener of a server as a program on its machine would; change may make it differ.
func adminRequest(s *gateway.Server, method, path, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Host = "127.0.0.1:9090"
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if change != nil {
		change(req)
	}
	w := httptest.NewRecorder()
	s.Admin(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, req)
	return w
}

// errorCode reads the code of a refusal; empty when w is none.
func errorCode(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var body struct {
		Error struct{ Code string }
	}
	if w.Code >= 400 {
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatalf("answer %d is %q: %v", w.Code, w.Body, err)
		}
	}
	return body.Error.Code
}

func TestAdminGuard(t *testing.T) {
	const token = "a-token-of-the-operator"
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	header := func(pairs ...string) func(*http.Request) {
		return func(r *http.Request) {
			for i := 0; i < len(pairs); i += 2 {
				r.Header.Set(pairs[i], pairs[i+1])
			}
		}
	}
	const get, post = http.MethodGet, http.MethodPost
	for _, c := range []struct {
		name         string
		token        string
		method, path string
		change       func(*http.Request)
		want         string // code of the refusal
	}{
		{"address", "", get, "/metrics", nil, ""},
		{"other address", "", get, "/metrics", host("192.0.2.1:9090"), ""},
		{"IPv6", "", get, "/metrics", host("[::1]:9090"), ""},
		{"localhost", "", get, "/metrics", host("localhost:9090"), ""},
		{"listed host", "", get, "/metrics", host("docs.example.com:9090"), ""},
		{"rebound name", "", get, "/metrics", host("evil.example:9090"), "host_refused"},
		{"rebound name to nothing", "", get, "/other", host("evil.example"), "host_refused"},
		{"rebound name to health", "", get, "/healthz", host("evil.example"), ""}, // tells nothing, and is asked under any name
		{"rebound name to kick", "", post, "/admin/kick", host("evil.example:9090"), "host_refused"},
		{"page of another site", "", get, "/admin/connections", header("Sec-Fetch-Site", "cross-site"), "cross_site"},
		{"page of a sibling", "", get, "/admin/backup", header("Sec-Fetch-Site", "same-site"), "cross_site"},
		{"typed in", "", get, "/admin/connections", header("Sec-Fetch-Site", "none"), ""},
		{"own page", "", post, "/admin/kick", header("Sec-Fetch-Site", "same-origin", "Origin", "http://127.0.0.1:9090"), ""},
		{"post of another site", "", post, "/admin/kick", header("Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"), "cross_site"},
		{"post of an old browser", "", post, "/admin/kick", header("Origin", "https://evil.example"), "cross_site"},
		{"post of a listed page", "", post, "/admin/kick", header("Origin", "https://docs.example.com"), "cross_site"},
		{"post of a sandbox", "", post, "/admin/kick", header("Origin", "null"), "cross_site"},
		{"post of a form", "", post, "/admin/kick", header("Content-Type", "text/plain"), "not_json"},
		{"post without a type", "", post, "/admin/kick", header("Content-Type", ""), "not_json"},
		{"wrong method", "", get, "/admin/kick", nil, "method_not_allowed"},
		{"wrong method", "", post, "/admin/connections", nil, "method_not_allowed"},
		{"no such path", "", get, "/v1/rooms", nil, "not_found"},

		{"token missing", token, get, "/metrics", nil, "admin_token_needed"},
		{"token missing", token, post, "/admin/kick", nil, "admin_token_needed"},
		{"token missing for nothing", token, get, "/other", nil, "admin_token_needed"},
		{"token wrong", token, get, "/metrics", header("Authorization", "Bearer "+token+"x"), "admin_token_needed"},
		{"token cut", token, get, "/metrics", header("Authorization", "Bearer "+token[1:]), "admin_token_needed"},
		{"token empty", token, get, "/metrics", header("Authorization", "Bearer "), "admin_token_needed"},
		{"token as a password", token, get, "/metrics", header("Authorization", "Basic "+token), "admin_token_needed"},
		{"token", token, get, "/metrics", header("Authorization", "Bearer "+token), ""},
		{"token under any name", token, post, "/admin/kick", func(r *http.Request) {
			r.Host = "weft.internal"
			r.Header.Set("Authorization", "bearer "+token)
		}, ""},
		{"health without token", token, get, "/healthz", nil, ""},
	} {
		t.Run(c.name+" "+c.path, func(t *testing.T) {
			events := &recorder{}
			s, err := gateway.New(gateway.Options{
				Rooms: &fakeRooms{}, Origins: []string{"https://docs.example.com"}, AdminToken: []byte(c.token), Events: events.events(),
			})
			if err != nil {
				t.Fatal(err)
			}
			body := ""
			if c.method == post {
				body = `{"user":"u1"}`
			}
			w := adminRequest(s, c.method, c.path, body, c.change)
			if got := errorCode(t, w); got != c.want {
				t.Errorf("%s %s = %d %q, want %q", c.method, c.path, w.Code, got, c.want)
			}
			if (c.want == "admin_token_needed") != (w.Code == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "Bearer") {
				t.Errorf("%s %s = %d with WWW-Authenticate %q, want 401 with Bearer exactly where a token is needed", c.method, c.path, w.Code, w.Header().Get("WWW-Authenticate"))
			}
			if (c.want != "") != (len(events.refused) == 1) || strings.Contains(events.dump(), token) {
				t.Errorf("%d refusals were reported: %s", len(events.refused), events.dump())
			}
		})
	}
}

// TestAdminBadRequests checks that mistakes are told and nothing is done about them.
func TestAdminBadRequests(t *testing.T) {
	s, restrictions := adminServer(t)
	for _, c := range []struct {
		path, body string
		code       string
	}{
		{"revoke", `{}`, "bad_request"},
		{"revoke", `{"usr":"ada"}`, "bad_request"},
		{"revoke", `{"user":"ada","session":"s"}`, "bad_request"},
		{"revoke", `{"user":"ada"} {"user":"bob"}`, "bad_request"},
		{"revoke", `{"user":7}`, "bad_request"},
		{"revoke", `{"user":"a\nb"}`, "bad_request"},
		{"revoke", `{"user":"ada","seconds":-1}`, "bad_request"},
		{"revoke", `{"user":"ada","seconds":9223372036854775807}`, "bad_request"},
		{"revoke", `[]`, "bad_request"},
		{"revoke", `{"user":"` + strings.Repeat("x", 70_000) + `"}`, "bad_request"},
		{"unrevoke", `{"user":"ada"}`, "not_revoked"},
		{"unrevoke", `{}`, "bad_request"},
		{"access", `{"user":"ada"}`, "bad_request"},
		{"access", `{"user":"ada","access":"none"}`, "bad_request"},
		{"access", `{"access":"read"}`, "bad_request"},
		{"kick", `{}`, "bad_request"},
		{"kick", `{"conn":-1}`, "bad_request"},
	} {
		w := adminRequest(s, http.MethodPost, "/admin/"+c.path, c.body, nil)
		if got := errorCode(t, w); got != c.code {
			t.Errorf("%s %.60s = %d %q, want %q", c.path, c.body, w.Code, got, c.code)
		}
	}
	if list := restrictions.List(); len(list) > 0 {
		t.Errorf("after refused requests there are restrictions %+v", list)
	}
	for _, limit := range []string{"0", "-1", "1001", "x"} {
		if w := adminRequest(s, http.MethodGet, "/admin/connections?limit="+limit, "", nil); errorCode(t, w) != "bad_limit" {
			t.Errorf("connections?limit=%s = %d %s, want bad_limit", limit, w.Code, w.Body)
		}
	}
	bare, err := gateway.New(gateway.Options{Rooms: &fakeRooms{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"revoke", "unrevoke", "access"} {
		w := adminRequest(bare, http.MethodPost, "/admin/"+path, `{"user":"ada"`+map[bool]string{true: `,"access":"read"`}[path == "access"]+`}`, nil)
		if got := errorCode(t, w); got != "no_revocations" {
			t.Errorf("%s without Options.Restrictions = %d %q, want no_revocations", path, w.Code, got)
		}
	}
}

// TestAdminRevokedStaysRevoked checks that giving writing back gives nothing else back.
func TestAdminRevokedStaysRevoked(t *testing.T) {
	s, restrictions := adminServer(t)
	steps := []struct{ path, body, code string }{
		{"revoke", `{"user":"ada","seconds":60}`, ""},
		{"access", `{"user":"ada","access":"read"}`, "revoked"},
		{"access", `{"user":"ada","access":"write"}`, "revoked"},
		{"access", `{"user":"bob","access":"read"}`, ""},
		{"unrevoke", `{"user":"bob"}`, "not_revoked"},
		{"revoke", `{"user":"bob"}`, ""},
		{"unrevoke", `{"user":"bob"}`, ""},
	}
	for _, c := range steps {
		w := adminRequest(s, http.MethodPost, "/admin/"+c.path, c.body, nil)
		if got := errorCode(t, w); got != c.code {
			t.Errorf("%s %s = %d %q, want %q", c.path, c.body, w.Code, got, c.code)
		}
	}
	if list := restrictions.List(); len(list) != 1 || list[0].User != "ada" || list[0].Read || list[0].Until.IsZero() {
		t.Errorf("in the end there are %+v, want ada's revocation for a minute", list)
	}
	w := adminRequest(s, http.MethodGet, "/admin/revocations", "", nil)
	if got := w.Body.String(); !strings.Contains(got, `[{"user":"ada","access":"none","since":"`) || !strings.Contains(got, `"until":"`) {
		t.Errorf("revocations = %s, want ada's", got)
	}
}

// TestAdminListIsBounded fills the list of revocations.
func TestAdminListIsBounded(t *testing.T) {
	s, restrictions := adminServer(t)
	code := ""
	n := 0
	for ; n < 20_000 && code == ""; n++ {
		code = errorCode(t, adminRequest(s, http.MethodPost, "/admin/revoke", fmt.Sprintf(`{"user":"u%d"}`, n), nil))
	}
	if list := restrictions.List(); code != "too_many_revocations" || len(list) != 10_000 || n != 10_001 {
		t.Errorf("after %d revocations: %q with %d in the list, want too_many_revocations with 10000", n, code, len(list))
	}
}
