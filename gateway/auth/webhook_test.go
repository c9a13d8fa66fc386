package auth_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weft/gateway/auth"
	"weft/protocol"
)

// app is an application that answers a webhook.
type app struct {
	*httptest.Server
	asked  atomic.Int64
	answer func(w http.ResponseWriter, question []byte, r *http.Request)
}

func newApp(t *testing.T, answer func(w http.ResponseWriter, question []byte, r *http.Request)) *app {
	t.Helper()
	a := &app{answer: answer}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the question: %v", err)
		}
		a.answer(w, b, r)
	}))
	t.Cleanup(a.Close)
	return a
}

// says answers every question with a status and a body.
func says(status int, body string) func(http.ResponseWriter, []byte, *http.Request) {
	return func(w http.ResponseWriter, _ []byte, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func newWebhook(t *testing.T, o auth.WebhookOptions) *auth.Webhook {
	t.Helper()
	w, err := auth.NewWebhook(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

var request = auth.Request{
	Token: "opaque-token-of-the-app", Room: "docs/a", Origin: "https://app.example.com", Remote: netip.MustParseAddr("192.0.2.7"),
}

func TestWebhookQuestion(t *testing.T) {
	checked := false
	a := newApp(t, func(w http.ResponseWriter, question []byte, r *http.Request) {
		var got map[string]string
		if err := json.Unmarshal(question, &got); err != nil {
			t.Errorf("the question is %q: %v", question, err)
		}
		want := map[string]string{"token": request.Token, "room": request.Room, "remote": "192.0.2.7", "origin": request.Origin}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("question (-want +got):\n%s", diff)
		}
		if r.Method != http.MethodPost || r.URL.Path != "/weft/auth" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("asked %s %s with %q, want POST of JSON", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
		}
		var at, mac string
		if _, err := fmt.Sscanf(strings.NewReplacer("=", " ", ",", " ").Replace(r.Header.Get("Weft-Signature")), "t %s v1 %s", &at, &mac); err != nil {
			t.Errorf("Weft-Signature = %q: %v", r.Header.Get("Weft-Signature"), err)
		}
		if want := hex.EncodeToString(auth.Signature([]byte(secret), at, question)); mac != want {
			t.Errorf("Weft-Signature has %s, want %s", mac, want)
		}
		checked = true
		_, _ = io.WriteString(w, `{"allow":true,"write":true,"user":{"id":"u1","name":"A\nda"},"session":"s1","expires":4102444800,"more":[1]}`)
	})
	w := newWebhook(t, auth.WebhookOptions{URL: a.URL + "/weft/auth", Secret: []byte(secret)})
	got, err := w.Authorize(t.Context(), request)
	want := auth.Grant{User: auth.User{ID: "u1", Name: "Ada"}, Session: "s1", Write: true, Expires: time.Unix(4102444800, 0)}
	if err != nil || !cmp.Equal(got, want) || !checked {
		t.Errorf("Authorize = %+v, %v, want %+v", got, err, want)
	}
}

func TestWebhookAnswers(t *testing.T) {
	past := fmt.Sprintf(`{"allow":true,"expires":%d}`, time.Now().Add(-time.Second).Unix())
	for _, c := range []struct {
		name   string
		status int
		body   string
		reason protocol.Reason // zero: granted, for reading
		failed bool
	}{
		{"allow", 200, `{"allow":true}`, protocol.Reason{}, false},
		{"deny", 200, `{"allow":false,"write":true}`, protocol.Forbidden, false},
		{"401", 401, "who?", protocol.Unauthorized, false},
		{"403", 403, "", protocol.Forbidden, false},
		{"already expired", 200, past, protocol.Unauthorized, false},
		{"empty", 200, "", protocol.Overloaded, true},
		{"no JSON", 200, "<html>login</html>", protocol.Overloaded, true},
		{"no allow", 200, `{"write":true}`, protocol.Overloaded, true},
		{"allow null", 200, `{"allow":null}`, protocol.Overloaded, true},
		{"allow a word", 200, `{"allow":"yes"}`, protocol.Overloaded, true},
		{"two answers", 200, `{"allow":true}{"allow":true}`, protocol.Overloaded, true},
		{"strange user", 200, `{"allow":true,"user":{"id":"a\nb"}}`, protocol.Overloaded, true},
		{"strange session", 200, `{"allow":true,"session":"a\u0000b"}`, protocol.Overloaded, true},
		{"too large", 200, `{"allow":true}` + strings.Repeat(" ", 64<<10), protocol.Overloaded, true},
		{"201", 201, `{"allow":true}`, protocol.Overloaded, true},
		{"404", 404, `{"allow":true}`, protocol.Overloaded, true},
		{"500", 500, `{"allow":true}`, protocol.Overloaded, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApp(t, says(c.status, c.body))
			var failures atomic.Int64
			w := newWebhook(t, auth.WebhookOptions{URL: a.URL, Failed: func(err error) {
				failures.Add(1)
				if strings.Contains(err.Error(), request.Token) || strings.Contains(err.Error(), a.URL) {
					t.Errorf("Failed was told %v, which quotes what it should not", err)
				}
			}})
			g, err := w.Authorize(t.Context(), request)
			if c.reason == (protocol.Reason{}) {
				if err != nil || g.Write || len(g.Session) != 32 || !g.Expires.IsZero() {
					t.Errorf("Authorize = %+v, %v, want a grant for reading", g, err)
				}
			} else {
				wantRefusal(t, err, c.reason, "webhook", request.Token)
			}
			if got := failures.Load() > 0; got != c.failed {
				t.Errorf("Failed was called: %v, want %v", got, c.failed)
			}
		})
	}
}

func TestWebhookIsNotRedirected(t *testing.T) {
	other := newApp(t, says(200, `{"allow":true}`))
	for _, status := range []int{301, 302, 303, 307, 308} {
		a := newApp(t, func(w http.ResponseWriter, _ []byte, r *http.Request) { http.Redirect(w, r, other.URL, status) })
		_, err := newWebhook(t, auth.WebhookOptions{URL: a.URL}).Authorize(t.Context(), request)
		wantRefusal(t, err, protocol.Overloaded, "does not answer", request.Token)
	}
	if n := other.asked.Load(); n != 0 {
		t.Errorf("the redirect's target was asked %d times, want 0", n)
	}
}

func TestWebhookDownOrHanging(t *testing.T) {
	_, err := newWebhook(t, auth.WebhookOptions{URL: "http://127.0.0.1:1"}).Authorize(t.Context(), request)
	wantRefusal(t, err, protocol.Overloaded, "does not answer", request.Token)

	a := newApp(t, func(_ http.ResponseWriter, _ []byte, r *http.Request) { <-r.Context().Done() })
	_, err = newWebhook(t, auth.WebhookOptions{URL: a.URL, Timeout: time.Millisecond}).Authorize(t.Context(), request)
	wantRefusal(t, err, protocol.Overloaded, "does not answer", request.Token)
}

func TestWebhookOptions(t *testing.T) {
	for _, o := range []auth.WebhookOptions{
		{},
		{URL: "app.example.com/x"},
		{URL: "http://app.example.com/x"},
		{URL: "https://u:p@app.example.com/x"},
		{URL: "https://app.example.com", Secret: []byte(secret[1:])},
	} {
		if w, err := auth.NewWebhook(o); err == nil {
			w.Close()
			t.Errorf("NewWebhook(%+v) = nil, want an error", o)
		}
	}
	for _, o := range []auth.WebhookOptions{
		{URL: "https://app.example.com/x?y=z"}, {URL: "http://[::1]:1/x"}, {URL: "http://localhost/x"}, {URL: "http://app.example.com/x", Insecure: true},
	} {
		newWebhook(t, o)
	}
}

// TestWebhookAnswersAreKept counts how often the application is asked.
func TestWebhookAnswersAreKept(t *testing.T) {
	other := request
	other.Token += "2"
	room := request
	room.Room = "docs/b"
	remote := request
	remote.Remote = netip.MustParseAddr("192.0.2.8")
	origin := request
	origin.Origin = ""
	shifted := request
	shifted.Token, shifted.Room = request.Token+"d", "ocs/a"
	all := []auth.Request{request, other, room, remote, origin, shifted}
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   int64 // times, for asking twice about all
	}{
		{"as long as usual", 200, `{"allow":true}`, int64(len(all))},
		{"for a time", 200, `{"allow":true,"cache":60}`, int64(len(all))},
		{"not", 200, `{"allow":true,"cache":0}`, 2 * int64(len(all))},
		{"for less than no time", 200, `{"allow":true,"cache":-5}`, 2 * int64(len(all))},
		{"denied", 200, `{"allow":false}`, int64(len(all))},
		{"denied but asked again", 200, `{"allow":false,"cache":0}`, 2 * int64(len(all))},
		{"failures", 500, "", 2 * int64(len(all))},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApp(t, says(c.status, c.body))
			w := newWebhook(t, auth.WebhookOptions{URL: a.URL})
			for range 2 {
				for _, r := range all {
					_, _ = w.Authorize(t.Context(), r) // counted, not judged
				}
			}
			if got := a.asked.Load(); got != c.want {
				t.Errorf("the app was asked %d times, want %d", got, c.want)
			}
		})
	}
}

// TestWebhookAsksOnce lets many ask the same at one time.
func TestWebhookAsksOnce(t *testing.T) {
	open := make(chan struct{})
	a := newApp(t, func(w http.ResponseWriter, _ []byte, _ *http.Request) {
		<-open
		_, _ = io.WriteString(w, `{"allow":true,"cache":60}`)
	})
	w := newWebhook(t, auth.WebhookOptions{URL: a.URL, Timeout: time.Minute})
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if _, err := w.Authorize(t.Context(), request); err != nil {
				t.Errorf("Authorize = %v, want a grant", err)
			}
		})
	}
	close(open)
	wg.Wait()
	if got := a.asked.Load(); got != 1 {
		t.Errorf("the app was asked %d times, want 1", got)
	}
}

// TestWebhookFlood asks more than an application should have to answer.
func TestWebhookFlood(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	open := make(chan struct{})
	a := newApp(t, func(w http.ResponseWriter, _ []byte, _ *http.Request) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		<-open
		mu.Lock()
		now--
		mu.Unlock()
		_, _ = io.WriteString(w, `{"allow":true}`)
	})
	w := newWebhook(t, auth.WebhookOptions{URL: a.URL, Timeout: time.Minute})
	const flood = auth.MaxWaiting + 200
	var wg sync.WaitGroup
	var turned, granted atomic.Int64
	enough := make(chan struct{})
	for i := range flood {
		wg.Go(func() {
			r := request
			r.Room = fmt.Sprint(i)
			r.Remote = netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 50)})
			_, err := w.Authorize(t.Context(), r)
			if err == nil {
				granted.Add(1)
				return
			}
			if ce, ok := errors.AsType[*protocol.CloseError](err); !ok || ce.Reason != protocol.Overloaded {
				t.Errorf("Authorize = %v, want overloaded", err)
			}
			if turned.Add(1) == flood-auth.MaxWaiting {
				close(enough)
			}
		})
	}
	<-enough // all who were turned away
	close(open)
	wg.Wait()
	if granted.Load() != auth.MaxWaiting || most > auth.MaxAsking {
		t.Errorf("granted %d with %d questions at a time, want %d with %d at most", granted.Load(), most, auth.MaxWaiting, auth.MaxAsking)
	}
}

// TestWebhookStrangers has one address ask as much as it may, which takes nothing from others.
func TestWebhookStrangers(t *testing.T) {
	open := make(chan struct{})
	a := newApp(t, func(w http.ResponseWriter, question []byte, _ *http.Request) {
		if !strings.Contains(string(question), `"token":"bad`) {
			_, _ = io.WriteString(w, `{"allow":true}`)
			return
		}
		<-open
		w.WriteHeader(http.StatusUnauthorized)
	})
	w := newWebhook(t, auth.WebhookOptions{URL: a.URL, Timeout: time.Minute})
	if _, err := w.Authorize(t.Context(), request); err != nil {
		t.Fatalf("Authorize = %v, want nil", err)
	}
	stranger := func(i int) auth.Request {
		return auth.Request{Token: fmt.Sprintf("bad%d", i), Room: "r", Remote: netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1))}
	}
	turned := make(chan struct{}, 10)
	var wg sync.WaitGroup
	for i := range auth.MaxOfAddress + cap(turned) {
		wg.Go(func() {
			_, err := w.Authorize(t.Context(), stranger(i))
			if ce, ok := errors.AsType[*protocol.CloseError](err); ok && ce.Reason == protocol.Overloaded {
				turned <- struct{}{}
			}
		})
	}
	for range cap(turned) {
		<-turned
	}
	close(open)
	wg.Wait()
	for i := range auth.MaxRefused + 1 {
		_, err := w.Authorize(t.Context(), stranger(1_000+i))
		wantRefusal(t, err, protocol.Unauthorized, "", "")
	}
	before := a.asked.Load()
	if _, err := w.Authorize(t.Context(), request); err != nil || a.asked.Load() != before {
		t.Errorf("Authorize after many refusals = %v with %d more questions, want the answer that was kept", err, a.asked.Load()-before)
	}
	if _, err := w.Authorize(t.Context(), stranger(1_000)); err == nil || a.asked.Load() != before+1 {
		t.Errorf("Authorize(oldest refusal) = %v with %d more questions, want 1: refusals have a bound of their own", err, a.asked.Load()-before)
	}
}

func TestWebhookClose(t *testing.T) {
	begun := make(chan struct{})
	a := newApp(t, func(_ http.ResponseWriter, _ []byte, r *http.Request) {
		close(begun)
		<-r.Context().Done()
	})
	w := newWebhook(t, auth.WebhookOptions{URL: a.URL, Timeout: time.Minute})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := w.Authorize(t.Context(), request)
		wantRefusal(t, err, protocol.Overloaded, "", request.Token)
	})
	<-begun
	w.Close()
	wg.Wait()
	_, err := w.Authorize(t.Context(), request)
	wantRefusal(t, err, protocol.Overloaded, "closed", request.Token)
}
