package auth

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"weft/protocol"
)

// WebhookOptions configures a Webhook. Zero fields mean their defaults.
type WebhookOptions struct {
	// URL is asked. Required; https, or http on this machine.
	URL string
	// Insecure allows plain http to other machines.
	Insecure bool
	// Secret signs the questions; see Webhook. At least 32 bytes, or none at all.
	Secret []byte
	// Timeout bounds one question. Default 5 s.
	Timeout time.Duration
	// Failed is told why a question was not answered. It must not block. Nil: nobody.
	Failed func(error)
}

// Times and bounds of a Webhook.
const (
	defaultAskTime = 5 * time.Second
	defaultKept    = 10 * time.Second // of an answer that does not say for how long it may be kept
	longestKept    = 5 * time.Minute
	maxKept        = 10_000   // answers that let somebody in
	maxRefused     = 1_000    // answers that do not, which strangers can have made in any number
	maxAsking      = 64       // questions at one time
	maxWaiting     = 1_024    // questions asked or waiting for their turn
	maxOfAddress   = 64       // of them for one client address (IPv6: one /64)
	maxAnswer      = 64 << 10 // bytes
)

// Webhook is an Authorizer that asks the application. For each token and room it sends
//
//	POST <URL>
//	Content-Type: application/json
//	Weft-Signature: t=<seconds since 1970>,v1=<HMAC-SHA256 of "<t>." and the body, in hexadecimal digits>
//
//	{"token":"...","room":"docs/a","remote":"192.0.2.7","origin":"https://app.example.com"}
//
// and understands these answers:
//
//	200 {"allow":true,"write":true,"user":{"id":"u1","name":"Ada"},"session":"s1","expires":1767225600,"cache":30}
//	200 {"allow":false}   or 403: the token is good, but not for this room
//	401: the token is not good
//
// expires is in seconds since 1970, cache in seconds (10 when it is absent, 300 at most, 0 for not at all); all but allow
// may be left out. Whatever else comes, or nothing within the timeout, refuses as Overloaded, and so does a flood: at
// most 64 questions are asked at a time and 1,024 wait, 64 of them for one client address. Redirects are not followed.
//
// An answer is kept for everybody who shows the same token for the same room from the same address and origin; who asks
// the same while a question is under way waits for its answer.
type Webhook struct {
	// Static after construction.
	o      WebhookOptions
	url    string
	client *http.Client
	turns  chan struct{}   // holds one value for each question being asked
	ctx    context.Context // stored because its end is Close's
	stop   context.CancelFunc
	wg     sync.WaitGroup // questions

	// Guarded by mu.
	mu        sync.Mutex
	kept      answers // that let somebody in
	refused   answers // that do not
	asking    map[question]*asked
	addresses map[netip.Prefix]int // questions by who had them asked
}

// asked is a question that was not answered yet.
type asked struct {
	done chan struct{} // closed when verdict is there
	verdict
}

// verdict is what Authorize returns.
type verdict struct {
	grant Grant
	err   error // a *protocol.CloseError
}

// NewWebhook returns an Authorizer that asks o.URL. Close it.
func NewWebhook(o WebhookOptions) (*Webhook, error) {
	u, err := endpoint(o.URL, o.Insecure)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	if n := len(o.Secret); n > 0 && n < minSecret {
		return nil, fmt.Errorf("webhook: the secret has %d bytes, %d are the least", n, minSecret)
	}
	if o.Timeout == 0 {
		o.Timeout = defaultAskTime
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Webhook{
		o: o, url: u.String(), client: newClient(maxAsking), turns: make(chan struct{}, maxAsking),
		ctx: ctx, stop: stop, kept: answers{limit: maxKept}, refused: answers{limit: maxRefused},
		asking: map[question]*asked{}, addresses: map[netip.Prefix]int{},
	}, nil
}

// Close ends the questions under way and waits for their goroutines. Authorize refuses afterwards.
func (w *Webhook) Close() {
	w.mu.Lock()
	w.stop() // with mu held: nobody adds to wg from here on
	w.mu.Unlock()
	w.wg.Wait()
	w.client.CloseIdleConnections()
}

// Authorize implements Authorizer.
func (w *Webhook) Authorize(ctx context.Context, r Request) (Grant, error) {
	if err := checkToken(r.Token); err != nil {
		return Grant{}, err
	}
	q := questionOf(r)
	w.mu.Lock()
	for _, kept := range []*answers{&w.kept, &w.refused} {
		if v, ok := kept.get(q, time.Now()); ok {
			w.mu.Unlock()
			return v.grant, v.err
		}
	}
	a, ok := w.asking[q]
	if !ok {
		if a = w.begin(q, r); a == nil {
			w.mu.Unlock()
			return Grant{}, protocol.Overloaded.Closef("too many questions to the webhook, or it is closed")
		}
	}
	w.mu.Unlock()
	select {
	case <-a.done:
		return a.grant, a.err
	case <-ctx.Done():
		return Grant{}, protocol.Overloaded.Closef("the webhook was waited for: %v", context.Cause(ctx))
	}
}

// begin asks in a goroutine of its own, for whoever asked first may go away. It returns nil when too many wait. Called
// with mu held.
func (w *Webhook) begin(q question, r Request) *asked {
	from := household(r.Remote)
	if len(w.asking) >= maxWaiting || w.addresses[from] >= maxOfAddress || w.ctx.Err() != nil {
		return nil
	}
	w.addresses[from]++
	a := &asked{done: make(chan struct{})}
	w.asking[q] = a
	w.wg.Go(func() {
		v, keep := w.ask(r)
		w.mu.Lock()
		delete(w.asking, q)
		if w.addresses[from]--; w.addresses[from] == 0 {
			delete(w.addresses, from)
		}
		switch {
		case keep <= 0:
		case v.err == nil:
			w.kept.put(q, v, time.Now().Add(keep))
		default:
			w.refused.put(q, v, time.Now().Add(keep))
		}
		w.mu.Unlock()
		a.verdict = v
		close(a.done)
	})
	return a
}

// household is what the bound per address counts: the address itself, or its /64 for IPv6.
func household(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails only for the zero address, which counts as one client
	return p
}

// ask asks one question and tells for how long the answer may be kept.
func (w *Webhook) ask(r Request) (verdict, time.Duration) {
	ctx, cancel := context.WithTimeout(w.ctx, w.o.Timeout)
	defer cancel()
	select {
	case w.turns <- struct{}{}:
		defer func() { <-w.turns }()
	case <-ctx.Done():
		return w.failed(errors.New("no turn within the timeout"))
	}
	req, err := w.request(ctx, r)
	if err != nil {
		return w.failed(err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return w.failed(withoutURL(err))
	}
	defer resp.Body.Close()
	body, err := readAll(resp.Body, maxAnswer)
	if err != nil {
		return w.failed(withoutURL(err))
	}
	switch resp.StatusCode {
	case http.StatusOK:
		v, keep, err := readAnswer(r.Token, body)
		if err != nil {
			return w.failed(err)
		}
		return v, keep
	case http.StatusUnauthorized:
		return verdict{err: protocol.Unauthorized.Closef("the webhook says that the token is not good")}, defaultKept
	case http.StatusForbidden:
		return verdict{err: protocol.Forbidden.Closef("the webhook does not allow this room")}, defaultKept
	}
	return w.failed(fmt.Errorf("status %d", resp.StatusCode))
}

// failed is the verdict when nobody could be asked; it is not kept.
func (w *Webhook) failed(err error) (verdict, time.Duration) {
	if w.o.Failed != nil && w.ctx.Err() == nil {
		w.o.Failed(fmt.Errorf("ask the webhook: %w", err))
	}
	return verdict{err: protocol.Overloaded.Closef("the webhook does not answer")}, 0
}

// request is the question as a signed HTTP request.
func (w *Webhook) request(ctx context.Context, r Request) (*http.Request, error) {
	var body struct {
		Token  string `json:"token"`
		Room   string `json:"room"`
		Remote string `json:"remote,omitempty"`
		Origin string `json:"origin,omitempty"`
	}
	body.Token, body.Room, body.Origin = r.Token, r.Room, r.Origin
	if r.Remote.IsValid() {
		body.Remote = r.Remote.Unmap().String()
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, errors.New("the question cannot be written")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(b))
	if err != nil {
		return nil, withoutURL(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "weft")
	if len(w.o.Secret) > 0 {
		at := strconv.FormatInt(time.Now().Unix(), 10)
		req.Header.Set("Weft-Signature", "t="+at+",v1="+hex.EncodeToString(signature(w.o.Secret, at, b)))
	}
	return req, nil
}

// signature is the HMAC of a question that was asked at that time.
func signature(secret []byte, at string, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(at))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return mac.Sum(nil)
}

// readAnswer reads the body of an answer with status 200.
func readAnswer(token string, body []byte) (verdict, time.Duration, error) {
	var a struct {
		Allow *bool `json:"allow"`
		Write bool  `json:"write"`
		User  struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"user"`
		Session string   `json:"session"`
		Expires *int64   `json:"expires"`
		Cache   *float64 `json:"cache"`
	}
	if err := json.Unmarshal(body, &a); err != nil || a.Allow == nil {
		return verdict{}, 0, errors.New("the answer is not JSON with allow")
	}
	keep := defaultKept
	if a.Cache != nil {
		keep = time.Duration(min(max(*a.Cache, 0), longestKept.Seconds()) * float64(time.Second))
	}
	if !*a.Allow {
		return verdict{err: protocol.Forbidden.Closef("the webhook does not allow this room")}, keep, nil
	}
	who, err := user(a.User.ID, a.User.Name)
	if err != nil {
		return verdict{}, 0, err
	}
	if len(a.Session) > maxSession || !printable(a.Session) {
		return verdict{}, 0, errors.New("the session is too long or has control characters")
	}
	g := Grant{User: who, Session: a.Session, Write: a.Write}
	if g.Session == "" {
		g.Session = sessionOf(token)
	}
	if a.Expires != nil {
		g.Expires = time.Unix(*a.Expires, 0)
		left := time.Until(g.Expires)
		if left <= 0 {
			return verdict{err: protocol.Unauthorized.Closef("the webhook says that the token has expired")}, keep, nil
		}
		keep = min(keep, left)
	}
	return verdict{grant: g}, keep, nil
}
