package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"weft/gateway"
	"weft/protocol"
	"weft/room"
)

// FuzzClientBytes sends any bytes behind the handshake. Whatever they are, the connection ends once, with a reason, and
// nothing panics.
func FuzzClientBytes(f *testing.F) {
	for _, b := range [][]byte{
		nil,
		clientFrame(0x82, frame(protocol.SyncStep1, []byte{0})),
		clientFrame(0x89, []byte("ping")),
		clientFrame(0x88, []byte{0x03, 0xE8}),
		fragmented(frame(protocol.SaveMarker, []byte("marker")), 3),
		{0x82, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0},
		clientFrame(0x81, []byte("text")),
	} {
		f.Add(b)
	}
	events := &recorder{}
	s, err := gateway.New(gateway.Options{Rooms: &fakeRooms{}, Events: events.events()})
	if err != nil {
		f.Fatal(err)
	}
	serve := servePipes(f, s)
	ended := 0
	f.Fuzz(func(t *testing.T, b []byte) {
		near := serve(t, "/yjs/fuzz")
		defer near.Close()
		read := make(chan struct{})
		go func() { // ends with the pipe
			defer close(read)
			_, _ = io.Copy(io.Discard, near)
		}()
		_, _ = near.Write(b) // an error when the server has closed already
		near.Close()
		<-read
		end := events.end(t, ended)
		ended++
		if end.Reason.Name == "" || end.BytesIn > int64(len(b)) {
			t.Errorf("ended with %+v after %d bytes", end, len(b))
		}
		events.mu.Lock()
		defer events.mu.Unlock()
		if len(events.panics) > 0 {
			t.Errorf("panics = %q, want none", events.panics)
		}
	})
}

// FuzzOrigin holds the origin check against its definition: the page's host is the server's, or the origin is listed.
func FuzzOrigin(f *testing.F) {
	for _, seed := range []string{"https://docs.example", "http://weft.example", "https://weft.example:443", "null", "", "https://docs.example.evil.example", "https://docs.example@evil", "//x", "https://[::1]"} {
		f.Add(seed)
	}
	s, err := gateway.New(gateway.Options{Rooms: &fakeRooms{}, Origins: []string{"https://docs.example"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		r := httptest.NewRequest(http.MethodGet, "http://weft.example/v1/rooms", nil)
		r.Header["Origin"] = []string{origin}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code == http.StatusForbidden {
			return
		}
		switch strings.ToLower(origin) {
		case "https://docs.example", "https://docs.example:443",
			"http://weft.example", "http://weft.example:80", "https://weft.example", "https://weft.example:443":
		default:
			t.Errorf("origin %q was accepted", origin)
		}
	})
}

// FuzzRoomPath holds the room names of the REST routes against the rule for names: whatever the path, a room is only
// reached by its own name.
func FuzzRoomPath(f *testing.F) {
	for _, seed := range []string{"a", "a%2Fb", "a/b", "%00", "%", "..", "%2e%2e", "a//b", "%C3%BC", "%FF", "a?b", "a/saved"} {
		f.Add(seed)
	}
	asked := ""
	s, err := gateway.New(gateway.Options{Rooms: &fakeRooms{status: statusNames(&asked)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, segment string) {
		u, err := url.ParseRequestURI("/v1/rooms/" + segment)
		if err != nil {
			return // net/http answers before us
		}
		asked = ""
		r := &http.Request{Method: http.MethodGet, URL: u, Header: http.Header{}, Host: "weft.example"}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if asked == "" {
			if w.Code != http.StatusBadRequest && w.Code != http.StatusNotFound {
				t.Errorf("path %q = %d without asking for a room, want 400 or 404", segment, w.Code)
			}
			return
		}
		if !protocol.ValidRoomName(asked) {
			t.Errorf("path %q asked for the room %q, which is no name", segment, asked)
		}
		path, _, _ := strings.Cut(segment, "?")
		if got, err := url.PathUnescape(strings.TrimSuffix(path, "/saved")); err != nil || got != asked {
			t.Errorf("path %q asked for the room %q, want %q", segment, asked, got)
		}
	})
}

// statusNames notes the names that are asked for; there is no such room.
func statusNames(asked *string) func(string) (room.Status, error) {
	return func(name string) (room.Status, error) {
		*asked = name
		return room.Status{}, protocol.NotFound.Closef("none")
	}
}
