package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/crdt"
	"weft/gateway"
	"weft/protocol"
	"weft/room"
)

// body reads an answer.
func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// fill writes a document of every kind into a room and waits until it is durable.
func fill(t *testing.T, r *rig, path string) {
	t.Helper()
	doc := crdt.New(crdt.Options{ClientID: 5})
	update, err := doc.Edit(func(tx *crdt.Tx) error {
		if err := tx.Text("codemirror").Insert(0, "some <b>text</b> 😀"); err != nil {
			return err
		}
		if err := tx.Text("quill").Insert(0, "ops"); err != nil {
			return err
		}
		return tx.Map("data").Set("k", "v")
	})
	if err != nil {
		t.Fatal(err)
	}
	c := r.join(path)
	c.send(frame(protocol.Update, update))
	c.echo("filled")
}

func TestRESTExport(t *testing.T) {
	r := start(t, gateway.Options{})
	fill(t, r, "/yjs/a/b")
	const text, jsonType = "text/plain; charset=utf-8", "application/json"
	for _, c := range []struct{ query, contentType, want string }{
		{"", text, "some <b>text</b> 😀"},
		{"?format=text", text, "some <b>text</b> 😀"},
		{"?format=text&name=quill", text, "ops"},
		{"?format=text&name=nothing", text, ""},
		{"?format=json", jsonType, `{"k":"v"}`},
		{"?format=delta", jsonType, `[{"insert":"ops"}]`},
		{"?format=xml", text, ""},
	} {
		resp := r.get("/v1/rooms/a%2Fb"+c.query, nil)
		if got := body(t, resp); resp.StatusCode != http.StatusOK || got != c.want || resp.Header.Get("Content-Type") != c.contentType {
			t.Errorf("GET /v1/rooms/a%%2Fb%s = %d %s %q, want 200 %s %q", c.query, resp.StatusCode, resp.Header.Get("Content-Type"), got, c.contentType, c.want)
		}
		if got := resp.Header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("GET /v1/rooms/a%%2Fb%s has X-Content-Type-Options %q, want nosniff", c.query, got)
		}
	}
}

func TestRESTListAndSaved(t *testing.T) {
	r := start(t, gateway.Options{})
	if got, want := body(t, r.get("/v1/rooms", nil)), "{\"rooms\":[]}\n"; got != want {
		t.Errorf("GET /v1/rooms of an empty server = %q, want %q", got, want)
	}
	fill(t, r, "/yjs/a/b")
	var saved struct {
		Epoch, Seq uint64
		Saved      struct{ Epoch, Seq uint64 }
	}
	if err := json.Unmarshal([]byte(body(t, r.get("/v1/rooms/a%2Fb/saved", nil))), &saved); err != nil {
		t.Fatal(err)
	}
	if saved.Seq != 1 || saved.Epoch == 0 || saved.Saved.Seq != saved.Seq || saved.Saved.Epoch != saved.Epoch {
		t.Errorf("GET saved = %+v, want one update that is durable", saved)
	}
	var list struct {
		Rooms []struct {
			Name          string
			Open          bool
			Conns, People int
			Bytes         int64
			Saved         struct{ Epoch, Seq uint64 }
		}
	}
	if err := json.Unmarshal([]byte(body(t, r.get("/v1/rooms", nil))), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Rooms) != 1 || list.Rooms[0].Name != "a/b" || !list.Rooms[0].Open || list.Rooms[0].Conns != 1 || list.Rooms[0].Bytes == 0 || list.Rooms[0].Saved.Seq != 1 {
		t.Errorf("GET /v1/rooms = %+v, want the one open room", list)
	}
}

// TestRESTListIsBounded checks what GET /v1/rooms asks of the rooms, and what it refuses to ask.
func TestRESTListIsBounded(t *testing.T) {
	var asked string
	s, err := gateway.New(gateway.Options{Rooms: &fakeRooms{
		list: func(after string, limit int) ([]room.Status, bool, error) {
			asked = fmt.Sprint(after, "/", limit)
			return []room.Status{{Room: "x"}}, limit == 1, nil
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	const entry = `{"name":"x","open":false,"conns":0,"people":0,"bytes":0,"pos":{"epoch":0,"seq":0},"saved":{"epoch":0,"seq":0}}`
	const all, more = `{"rooms":[` + entry + `]}`, `{"rooms":[` + entry + `],"more":true}`
	const next = `{"rooms":[` + entry + `],"more":true,"next":"x"}`
	const bad = `{"error":{"code":"bad_limit","message":"limit is a number from 1 to 1000","retryable":false}}`
	for _, c := range []struct {
		query, asked string
		status       int
		body         string
	}{
		{"", "/100", http.StatusOK, all},
		{"?limit=", "/100", http.StatusOK, all},
		{"?limit=1", "/1", http.StatusOK, more},
		{"?limit=1000", "/1000", http.StatusOK, all},
		{"?after=", "after /100", http.StatusOK, all},
		{"?after=a%2Fb&limit=1", "after a/b/1", http.StatusOK, next},
		{"?limit=1001", "", http.StatusBadRequest, bad},
		{"?limit=0", "", http.StatusBadRequest, bad},
		{"?limit=-1", "", http.StatusBadRequest, bad},
		{"?limit=many", "", http.StatusBadRequest, bad},
		{"?limit=99999999999999999999", "", http.StatusBadRequest, bad},
	} {
		asked = ""
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/rooms"+c.query, nil))
		if got := strings.TrimSpace(w.Body.String()); w.Code != c.status || got != c.body || asked != c.asked {
			t.Errorf("GET /v1/rooms%s = %d %s, asked for %q, want %d %s, asked for %q", c.query, w.Code, got, asked, c.status, c.body, c.asked)
		}
	}
}

func TestRESTRefusals(t *testing.T) {
	r := start(t, gateway.Options{Origins: []string{"https://docs.example"}})
	fill(t, r, "/yjs/room")
	for _, c := range []struct {
		path   string
		status int
		code   string
	}{
		{"/v1/rooms/none", http.StatusNotFound, "room_not_found"},
		{"/v1/rooms/none/saved", http.StatusNotFound, "room_not_found"},
		{"/v1/rooms/room?format=docx", http.StatusBadRequest, "bad_format"},
		{"/v1/rooms/", http.StatusBadRequest, "bad_room"},
		{"/v1/rooms/%00", http.StatusBadRequest, "bad_room"},
		{"/v1/rooms/room/other", http.StatusNotFound, "not_found"},
		{"/v1/rooms/a/b/saved", http.StatusNotFound, "not_found"},
		{"/v1/", http.StatusNotFound, "not_found"},
		{"/v1/secrets", http.StatusNotFound, "not_found"},
		{"/other", http.StatusNotFound, "not_found"},
	} {
		resp := r.get(c.path, nil)
		if got := refusal(t, resp); resp.StatusCode != c.status || got.Error.Code != c.code {
			t.Errorf("GET %s = %d %q, want %d %q", c.path, resp.StatusCode, got.Error.Code, c.status, c.code)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "BREW"} {
		req := httptest.NewRequest(method, "/v1/rooms", nil)
		w := httptest.NewRecorder()
		r.server.ServeHTTP(w, req)
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s /v1/rooms = %d, Allow %q, want 405, GET, HEAD", method, w.Code, w.Header().Get("Allow"))
		}
	}
	resp := r.get("/v1/rooms", http.Header{"Origin": {"https://evil.example"}})
	if resp.StatusCode != http.StatusForbidden || resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("GET /v1/rooms of a stranger's page = %d, allowed %q, want 403 and nothing", resp.StatusCode, resp.Header.Get("Access-Control-Allow-Origin"))
	}
	resp = r.get("/v1/rooms", http.Header{"Origin": {"https://docs.example"}})
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Access-Control-Allow-Origin") != "https://docs.example" {
		t.Errorf("GET /v1/rooms of a listed page = %d, allowed %q, want 200 and its origin", resp.StatusCode, resp.Header.Get("Access-Control-Allow-Origin"))
	}
}

// TestRESTErrorsOfRooms checks how reasons become statuses.
func TestRESTErrorsOfRooms(t *testing.T) {
	for _, c := range []struct {
		reason protocol.Reason
		status int
		code   string
		retry  bool
	}{
		{protocol.NotFound, http.StatusNotFound, "room_not_found", false},
		{protocol.Quarantined, http.StatusServiceUnavailable, "quarantined", false},
		{protocol.Overloaded, http.StatusServiceUnavailable, "overloaded", true},
		{protocol.Draining, http.StatusServiceUnavailable, "draining", true},
		{protocol.Internal, http.StatusInternalServerError, "internal", true},
		{protocol.Forbidden, http.StatusForbidden, "forbidden", false},
	} {
		s, err := gateway.New(gateway.Options{Rooms: &fakeRooms{
			status: func(string) (room.Status, error) { return room.Status{}, nil },
			export: func(string, func(*crdt.Doc) error) error { return c.reason.Closef("with a detail") },
		}})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/rooms/x", nil))
		got := refusal(t, w.Result())
		if w.Code != c.status || got.Error.Code != c.code || got.Error.Retryable != c.retry || strings.Contains(got.Error.Message, "detail") {
			t.Errorf("export that fails with %s = %d %+v, want %d %s, retryable %v, without the detail", c.reason.Name, w.Code, got, c.status, c.code, c.retry)
		}
	}
}

func TestDemoAndAdmin(t *testing.T) {
	demo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "demo of "+r.URL.Path) })
	notReady := false
	s, err := gateway.New(gateway.Options{Rooms: &fakeRooms{}, Demo: demo, Ready: func() error {
		if notReady {
			return io.ErrShortWrite
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	admin := s.Admin(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") }))
	get := func(h http.Handler, path string) string {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, path, nil)
		req.Host = "127.0.0.1:9090"
		h.ServeHTTP(w, req)
		return http.StatusText(w.Code) + " " + strings.TrimSpace(w.Body.String())
	}
	got := []string{
		get(s, "/"), get(s, "/r/x"), get(s, "/metrics"), get(s, "/readyz"),
		get(admin, "/metrics"), get(admin, "/healthz"), get(admin, "/readyz"),
		get(admin, "/yjs/x"), get(admin, "/v1/rooms"),
	}
	notReady = true
	got = append(got, get(s, "/readyz"), get(admin, "/readyz"), get(s, "/healthz"))
	const ok, none = `OK {"status":"ok"}`, `Not Found {"error":{"code":"not_found","message":"nothing is served here","retryable":false}}`
	const unready = `Service Unavailable {"error":{"code":"not_ready","message":"short write","retryable":true}}`
	want := []string{
		"OK demo of /", "OK demo of /r/x", "OK demo of /metrics", ok, "OK metrics", ok, ok, none, none, unready, unready, ok,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("answers (-want +got):\n%s", d)
	}
}
