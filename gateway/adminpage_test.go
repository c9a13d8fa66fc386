package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"weft/gateway"
	"weft/room"
)

// TestAdminPageEscapes lists a room whose name is markup.
func TestAdminPageEscapes(t *testing.T) {
	const name = `<script>alert(1)</script>"'&`
	st := room.Status{Room: name, ReadOnly: `"><img src=x>`}
	s, err := gateway.New(gateway.Options{Rooms: &fakeRooms{
		list:   func(string, int) ([]room.Status, bool, error) { return []room.Status{st}, false, nil },
		status: func(string) (room.Status, error) { return st, nil },
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/admin/", "/admin/page/rooms", "/admin/page/rooms?by=name&from=" + "%3Cscript%3E%22", "/admin/page/ends?reason=%3Cscript%3E"} {
		w := adminRequest(s, http.MethodGet, path, "", nil)
		body := w.Body.String()
		if w.Code != http.StatusOK || strings.Contains(body, "<script>") || strings.Contains(body, "<img") {
			t.Errorf("GET %s = %d with markup of strangers: %.300s", path, w.Code, body)
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("GET %s has the policy %q, want one that allows nothing else", path, csp)
		}
	}
}

// TestAdminPageForms checks that a form needs the value of our pages.
func TestAdminPageForms(t *testing.T) {
	s, restrictions := adminServer(t)
	form := func(csrf string) *httptest.ResponseRecorder {
		return adminRequest(s, http.MethodPost, "/admin/page/act", "verb=revoke&user=ada&csrf="+csrf, func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		})
	}
	if w := form(""); w.Code != http.StatusForbidden || len(restrictions.List()) != 0 {
		t.Errorf("revoke without the value = %d with %d restrictions, want 403 with none", w.Code, len(restrictions.List()))
	}
	page := adminRequest(s, http.MethodGet, "/admin/page/confirm?verb=revoke&user=ada", "", nil).Body.String()
	_, rest, _ := strings.Cut(page, `name="csrf" value="`)
	csrf, _, _ := strings.Cut(rest, `"`)
	if w := form(csrf); w.Code != http.StatusSeeOther || len(restrictions.List()) != 1 {
		t.Errorf("revoke with the value = %d with %d restrictions, want 303 with one", w.Code, len(restrictions.List()))
	}
}

// TestAdminPageLogin checks who sees the page where there is a token.
func TestAdminPageLogin(t *testing.T) {
	const token = "a-token-of-the-operator"
	s, err := gateway.New(gateway.Options{Rooms: &fakeRooms{}, AdminToken: []byte(token)})
	if err != nil {
		t.Fatal(err)
	}
	if w := adminRequest(s, http.MethodGet, "/admin/", "", nil); w.Code != http.StatusUnauthorized {
		t.Errorf("GET without a token = %d, want 401", w.Code)
	}
	login := func(value string) *httptest.ResponseRecorder {
		return adminRequest(s, http.MethodPost, "/admin/page/login?back=https://evil.example/", "token="+value, func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		})
	}
	if w := login(token + "x"); w.Code != http.StatusUnauthorized || len(w.Result().Cookies()) != 0 {
		t.Errorf("login with a wrong token = %d and cookies %v, want 401 and none", w.Code, w.Result().Cookies())
	}
	w := login(token)
	cookies := w.Result().Cookies()
	if w.Code != http.StatusSeeOther || len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode || w.Header().Get("Location") != "/admin/" {
		t.Fatalf("login = %d to %q with %v, want 303 to the page with a strict cookie", w.Code, w.Header().Get("Location"), cookies)
	}
	with := func(r *http.Request) { r.AddCookie(cookies[0]) }
	if w := adminRequest(s, http.MethodGet, "/admin/", "", with); w.Code != http.StatusOK {
		t.Errorf("GET with a login = %d, want 200", w.Code)
	}
	if w := adminRequest(s, http.MethodGet, "/admin/connections", "", with); w.Code != http.StatusUnauthorized {
		t.Errorf("GET of a JSON route with a login = %d, want 401: it is good for the page only", w.Code)
	}
}
