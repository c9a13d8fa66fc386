package gateway_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"weft/crdt"
	"weft/gateway"
	"weft/gateway/auth"
	"weft/protocol"
)

// tokenSecret signs the tests' tokens.
const tokenSecret = "a secret of thirty-two bytes ...."

// mint makes a token for some rooms; it is good for an hour unless c says otherwise.
func mint(t testing.TB, c auth.Claims) string {
	t.Helper()
	if c.Expires.IsZero() {
		c.Expires = time.Now().Add(time.Hour)
	}
	token, err := auth.Mint([]byte(tokenSecret), c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// canWrite and canRead are what a token says about a pattern.
func canWrite(p auth.Pattern) auth.Rule { return auth.Rule{Pattern: p, Write: true} }
func canRead(p auth.Pattern) auth.Rule  { return auth.Rule{Pattern: p} }

// userToken makes a token of a user.
func userToken(t testing.TB, id string, rooms ...auth.Rule) string {
	t.Helper()
	return mint(t, auth.Claims{User: auth.User{ID: id, Name: "Name of " + id}, Session: id + "-session", Rooms: rooms})
}

// byToken returns an Authorizer of the tests' tokens.
func byToken(t testing.TB) *auth.JWT {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(tokenSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := auth.SecretFile(file)
	if err != nil {
		t.Fatal(err)
	}
	j, err := auth.NewJWT(auth.JWTOptions{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// startAuth serves o to clients with tokens.
func startAuth(t testing.TB, o gateway.Options) *rig {
	t.Helper()
	o.Auth = byToken(t)
	if o.Restrictions == nil {
		restrictions, err := auth.OpenRestrictions("")
		if err != nil {
			t.Fatal(err)
		}
		o.Restrictions = restrictions
	}
	return start(t, o)
}

// adminServer returns a server without clients, and its restrictions.
func adminServer(t *testing.T) (*gateway.Server, *auth.Restrictions) {
	t.Helper()
	restrictions, err := auth.OpenRestrictions("")
	if err != nil {
		t.Fatal(err)
	}
	s, err := gateway.New(gateway.Options{Rooms: &fakeRooms{}, Restrictions: restrictions})
	if err != nil {
		t.Fatal(err)
	}
	return s, restrictions
}

// administer posts to the operator's listener, which must succeed, and returns the answer's numbers.
func (r *rig) administer(path, body string) map[string]any {
	r.t.Helper()
	w := adminRequest(r.server, http.MethodPost, "/admin/"+path, body, nil)
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		r.t.Fatalf("POST /admin/%s %s = %d %s, want 200", path, body, w.Code, w.Body)
	}
	return answer
}

// state returns a room's document as an update, nil when nothing was ever written there.
func (r *rig) state(room string) []byte {
	r.t.Helper()
	var state []byte
	err := r.rooms.Export(r.t.Context(), room, func(d *crdt.Doc) error {
		state = d.AppendDiff(nil, nil, crdt.V1)
		return nil
	})
	if ce, ok := errors.AsType[*protocol.CloseError](err); ok && ce.Reason == protocol.NotFound {
		return nil
	}
	if err != nil {
		r.t.Fatalf("Export(%q) = %v, want nil", room, err)
	}
	return state
}

// insertion returns an update of a new author that inserts text.
func insertion(t testing.TB, text string) []byte {
	t.Helper()
	update, err := crdt.New(crdt.Options{}).Edit(func(tx *crdt.Tx) error { return tx.Text("codemirror").Insert(0, text) })
	if err != nil {
		t.Fatal(err)
	}
	return update
}

// hpClient is one Hocuspocus client, seen from its frames.
type hpClient struct{ *client }

// joinHocuspocus opens a connection that has no place in any room.
func (r *rig) joinHocuspocus() hpClient {
	r.t.Helper()
	return hpClient{r.join("/hocuspocus")}
}

// say sends a message about a document.
func (c hpClient) say(doc string, k protocol.Kind, data []byte) {
	c.t.Helper()
	c.send(protocol.Hocuspocus{Address: doc}.Append(nil, protocol.Message{Kind: k, Data: data}))
}

// show sends a token for a document as version 4 of the provider does.
func (c hpClient) show(doc, token string) {
	c.t.Helper()
	c.say(doc, protocol.Token, protocol.JoinToken(token, "4.8.0"))
}

// hear waits for a message of one of the kinds about a document; others are skipped.
func (c hpClient) hear(doc string, kinds ...protocol.Kind) protocol.Message {
	c.t.Helper()
	for {
		if address, m := c.next(fmt.Sprintf("%v of %s", kinds, doc)); address == doc && slices.Contains(kinds, m.Kind) {
			return m
		}
	}
}

// hearEach waits for a message of one kind about each of the documents, in whichever order.
func (c hpClient) hearEach(docs []string, k protocol.Kind) {
	c.t.Helper()
	missing := slices.Clone(docs)
	for len(missing) > 0 {
		if address, m := c.next(fmt.Sprintf("%v of %v", k, missing)); m.Kind == k {
			missing = slices.DeleteFunc(missing, func(doc string) bool { return doc == address })
		}
	}
}

// next waits for a message.
func (c hpClient) next(what string) (address string, m protocol.Message) {
	c.t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	_, frame, err := c.ReadMessage()
	if err != nil {
		c.t.Fatalf("waiting for %s: %v", what, err)
	}
	to, m, err := protocol.DecodeHocuspocus(frame, protocol.Limits{})
	if err != nil {
		c.t.Fatalf("DecodeHocuspocus(%x) = %v, want nil", frame, err)
	}
	return string(to), m
}

// wantScope waits for what the client is told that it may do.
func (c hpClient) wantScope(doc, want string) {
	c.t.Helper()
	if m := c.hear(doc, protocol.Granted, protocol.Barred); m.Kind != protocol.Granted || string(m.Data) != want {
		c.t.Errorf("in %s the client is told kind %v %q, want %q", doc, m.Kind, m.Data, want)
	}
}

// turn waits until everything that was sent about a document has been handled.
func (c hpClient) turn(doc string) {
	c.t.Helper()
	c.say(doc, protocol.SyncStep1, []byte{0})
	c.hear(doc, protocol.SyncStep2)
}

// TestTokenForOneRoomOfASocket checks that access is per room: what lets a socket into one opens no other.
func TestTokenForOneRoomOfASocket(t *testing.T) {
	r := startAuth(t, gateway.Options{})
	token := userToken(t, "ada", canWrite("a"))
	c := r.joinHocuspocus()
	c.show("a", token)
	c.wantScope("a", protocol.ReadWrite)
	c.show("b", token)
	c.say("b", protocol.Update, insertion(t, "stolen"))
	c.hear("b", protocol.Barred)
	c.say("b", protocol.Update, insertion(t, "stolen"))
	c.say("a", protocol.Update, insertion(t, "mine"))
	if m := c.hear("a", protocol.Saved, protocol.NotSaved); m.Kind != protocol.Saved {
		t.Errorf("an update of room a is answered by %v, want saved", m.Kind)
	}
	if got := r.state("a"); !bytes.Contains(got, []byte("mine")) {
		t.Errorf("room a is %x, want the update in it", got)
	}
	if got := r.state("b"); bytes.Contains(got, []byte("stolen")) {
		t.Errorf("room b is %x, want nothing of a client that was not let in", got)
	}
	y := r.join("/yjs/b?token=" + token)
	y.wantClose(protocol.Forbidden)
}

// TestRefusedTokens shows tokens of all bad kinds to every door and looks for them in everything that is reported.
func TestRefusedTokens(t *testing.T) {
	r := startAuth(t, gateway.Options{})
	good := userToken(t, "ada", canWrite("room"))
	head, rest, _ := strings.Cut(good, ".")
	claims, signature, _ := strings.Cut(rest, ".")
	other, err := auth.Mint([]byte(strings.Repeat("x", 32)), auth.Claims{Expires: time.Now().Add(time.Hour), Rooms: []auth.Rule{canWrite("**")}})
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, token string
		reason      protocol.Reason
	}{
		{"none", "", protocol.Unauthorized},
		{"garbage", "garbage-that-is-long-enough", protocol.Unauthorized},
		{"expired", mint(t, auth.Claims{Rooms: []auth.Rule{canWrite("**")}, Expires: time.Now().Add(-time.Minute)}), protocol.Unauthorized},
		{"alg none", "eyJhbGciOiJub25lIn0." + claims + ".", protocol.Unauthorized},
		{"alg confused", "eyJhbGciOiJSUzI1NiJ9." + claims + "." + signature, protocol.Unauthorized},
		{"signature of another", head + "." + claims + "." + other[strings.LastIndexByte(other, '.')+1:], protocol.Unauthorized},
		{"another secret", other, protocol.Unauthorized},
		{"oversized", good + strings.Repeat("A", 8<<10), protocol.Unauthorized},
		{"other room", userToken(t, "ada", canWrite("elsewhere/**")), protocol.Forbidden},
	}
	var told strings.Builder
	for _, c := range cases {
		y, _, err := r.dial("/yjs/room", http.Header{"Authorization": {"Bearer " + c.token}})
		if err != nil {
			t.Errorf("%s: dial = %v, want an upgrade", c.name, err)
			continue
		}
		code, text := (&client{t, y}).closeCode()
		y.Close()
		if code != c.reason.Code {
			t.Errorf("%s: y-websocket closed with %d %q, want %d", c.name, code, text, c.reason.Code)
		}
		told.WriteString(text + "\n")

		h := r.joinHocuspocus()
		h.show("room", c.token)
		if len(c.token) > 8<<10 { // more than the protocol allows
			h.wantClose(protocol.TooLarge)
		} else {
			told.Write(h.hear("room", protocol.Barred, protocol.Granted).Data)
		}
		if got := r.state("room"); got != nil {
			t.Errorf("%s: the room is %x, want it empty", c.name, got)
		}

		req := httptest.NewRequest(http.MethodGet, "/v1/rooms/room", nil)
		req.Header.Set("Authorization", "Bearer "+c.token)
		w := httptest.NewRecorder()
		r.server.ServeHTTP(w, req)
		if want := map[protocol.Reason]int{protocol.Unauthorized: 401, protocol.Forbidden: 403}[c.reason]; w.Code != want || errorCode(t, w) != c.reason.Name {
			t.Errorf("%s: GET /v1/rooms/room = %d %s, want %d %s", c.name, w.Code, w.Body, want, c.reason.Name)
		}
		told.WriteString(w.Body.String())
	}
	y := r.join("/yjs/room?token=" + good)
	y.echo("1")
	r.events.until(t, "all of them to end", func() bool { return len(r.events.closed) >= len(cases) })
	told.WriteString(r.events.dump())
	if !strings.Contains(told.String(), "room: unauthorized") || !strings.Contains(told.String(), "room: forbidden") {
		t.Errorf("what was reported lacks refusals:\n%s", &told)
	}
	for _, c := range append(cases, struct {
		name, token string
		reason      protocol.Reason
	}{"good", good, protocol.Reason{}}) {
		for part := range strings.SplitSeq(c.token, ".") {
			if len(part) > 12 && strings.Contains(told.String(), part[:12]) {
				t.Errorf("%s: a part of the token was reported: %.40s", c.name, part)
			}
		}
	}
}

// TestTokenRunsOut checks that a grant ends an open connection on time: a token of 3 s within 4.
func TestTokenRunsOut(t *testing.T) {
	keys := byToken(t)
	pipeTest(t, gateway.Options{Rooms: &fakeRooms{}, Auth: keys}, func(t *testing.T, r *recorder, dial func(path string) *websocket.Conn) {
		ws := dial("/yjs/time?token=" + mint(t, auth.Claims{Rooms: []auth.Rule{canWrite("**")}, Expires: time.Now().Add(3 * time.Second)}))
		defer ws.Close()
		begin := time.Now()
		for {
			_, _, err := ws.ReadMessage()
			if err == nil {
				continue
			}
			if took := time.Since(begin); !websocket.IsCloseError(err, protocol.Unauthorized.Code) || took < 3*time.Second || took > 4*time.Second {
				t.Errorf("after %v: %v, want %d after 3 to 4 s", took, err, protocol.Unauthorized.Code)
			}
			return
		}
	})
}

// TestLateTokenStaysForTheLeeway checks that a token which was let in by the leeway is not thrown out at once.
func TestLateTokenStaysForTheLeeway(t *testing.T) {
	keys := byToken(t)
	pipeTest(t, gateway.Options{Rooms: &fakeRooms{}, Auth: keys}, func(t *testing.T, r *recorder, dial func(path string) *websocket.Conn) {
		time.Sleep(time.Minute) // the bubble's
		ws := dial("/yjs/time?token=" + mint(t, auth.Claims{Rooms: []auth.Rule{canWrite("**")}, Expires: time.Now().Add(-10 * time.Second)}))
		defer ws.Close()
		begin := time.Now()
		for {
			_, _, err := ws.ReadMessage()
			if err == nil {
				continue
			}
			if took := time.Since(begin); !websocket.IsCloseError(err, protocol.Unauthorized.Code) || took < 20*time.Second || took > 21*time.Second {
				t.Errorf("after %v: %v, want %d after 20 to 21 s", took, err, protocol.Unauthorized.Code)
			}
			return
		}
	})
}

// TestRESTListByToken goes through more rooms than one answer looks at.
func TestRESTListByToken(t *testing.T) {
	const n = 25_000
	rooms := manyRooms(n)
	r := startAuth(t, gateway.Options{Rooms: rooms})
	token := userToken(t, "ada", canRead("room-0*7"), canRead("room-24999"))
	var got []string
	next, asked := "", 0
	for {
		answer := r.list(t, "?limit=1000&after="+next, token)
		asked++
		for _, one := range answer.Rooms {
			got = append(got, one.Name)
		}
		if !answer.More {
			break
		}
		next = answer.Next
	}
	want := 0
	for i := range n {
		if name := roomNumber(i); strings.HasPrefix(name, "room-0") && strings.HasSuffix(name, "7") || i == n-1 {
			if want < len(got) && got[want] != name {
				t.Fatalf("room %d of the list is %s, want %s", want, got[want], name)
			}
			want++
		}
	}
	if len(got) != want || asked > 5 {
		t.Errorf("listed %d rooms in %d answers, want %d in 5 at most", len(got), asked, want)
	}
	if answer := r.list(t, "?limit=1", token); len(answer.Rooms) != 1 || !answer.More {
		t.Errorf("the busiest room is %+v, want one and more", answer)
	}
	r.administer("revoke", `{"user":"ada","room":"room-00007"}`)
	if answer := r.list(t, "?limit=1&after=", token); len(answer.Rooms) != 1 || answer.Rooms[0].Name != "room-00017" {
		t.Errorf("the first room after the other was revoked is %+v, want room-00017", answer)
	}
}

// listAnswer is what GET /v1/rooms says.
type listAnswer struct {
	Rooms []struct{ Name string }
	More  bool
	Next  string
}

func (r *rig) list(t *testing.T, query, token string) (answer listAnswer) {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, "/v1/rooms"+query, nil)
	req.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	r.server.ServeHTTP(w, req)
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		t.Fatalf("GET /v1/rooms%s = %d %s, want 200", query, w.Code, w.Body)
	}
	return answer
}

// TestRESTAsksPages checks what a browser needs before a page may show a token, and what it gets without.
func TestRESTAsksPages(t *testing.T) {
	r := startAuth(t, gateway.Options{Origins: []string{"https://docs.example.com"}})
	req := httptest.NewRequest(http.MethodOptions, "/v1/rooms", nil)
	req.Header.Set("Origin", "https://docs.example.com")
	req.Header.Set("Access-Control-Request-Headers", "authorization")
	w := httptest.NewRecorder()
	r.server.ServeHTTP(w, req)
	if got := w.Header().Get("Access-Control-Allow-Headers"); w.Code != http.StatusNoContent || got != "Authorization" {
		t.Errorf("OPTIONS of a listed page = %d allowing %q, want 204 with Authorization", w.Code, got)
	}
	req.Header.Set("Origin", "https://evil.example")
	w = httptest.NewRecorder()
	r.server.ServeHTTP(w, req)
	if w.Code != http.StatusForbidden || w.Header().Get("Access-Control-Allow-Headers") != "" {
		t.Errorf("OPTIONS of a stranger's page = %d, want 403", w.Code)
	}
	w = httptest.NewRecorder()
	r.server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/rooms?token="+userToken(t, "ada", canRead("**")), nil))
	if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("GET with the token in the address = %d, want 401 with Bearer", w.Code)
	}
}

// TestWebhookDecides lets an application decide, and be down.
func TestWebhookDecides(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Token, Room, Origin string }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Errorf("the question cannot be read: %v", err)
		}
		fmt.Fprintf(w, `{"allow":%v,"write":%v,"user":{"id":"u"}}`, strings.HasPrefix(q.Token, q.Room), strings.HasSuffix(q.Token, "write"))
	}))
	defer app.Close()
	asking, err := auth.NewWebhook(auth.WebhookOptions{URL: app.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(asking.Close)
	r := start(t, gateway.Options{Auth: asking})
	c := r.joinHocuspocus()
	for token, want := range map[string]string{"a write": protocol.ReadWrite, "b read": protocol.ReadOnly} {
		c.show(token[:1], token)
		c.wantScope(token[:1], want)
	}
	c.show("c", "a write")
	c.hear("c", protocol.Barred)
	r.join("/yjs/a?token=a+write").echo("1")
	r.join("/yjs/b?token=a+write").wantClose(protocol.Forbidden)
	r.join("/yjs/a").wantClose(protocol.Unauthorized)
	req := httptest.NewRequest(http.MethodGet, "/v1/rooms", nil)
	req.Header.Set("Authorization", "Bearer a write")
	w := httptest.NewRecorder()
	r.server.ServeHTTP(w, req)
	if code := errorCode(t, w); w.Code != http.StatusForbidden || code != "no_list" {
		t.Errorf("GET /v1/rooms = %d %s, want no_list", w.Code, w.Body)
	}
	app.Close()
	r.join("/yjs/d?token=d+write").wantClose(protocol.Overloaded)
}
