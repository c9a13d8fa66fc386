package adminpage

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	cookieName = "weft_admin"
	// loginTime is how long a login lasts. Guessed: a working day.
	loginTime = 12 * time.Hour
	// maxLogins bounds the logins that are remembered; the one that ends first makes room. Guessed.
	maxLogins = 100
	// maxForm bounds the body of a form.
	maxForm = 64 << 10 // bytes
)

// visitor is somebody who may see the page.
type visitor struct {
	id     string // what the forms' values are made from
	logged bool   // by a login that can be ended
}

// who tells who asks, and whether they may see anything.
func (p *Page) who(r *http.Request) (visitor, bool) {
	if len(p.o.Token) == 0 {
		return visitor{id: "this machine"}, true
	}
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return visitor{id: "bearer"}, p.isToken(strings.TrimSpace(token))
	}
	c, err := r.Cookie(cookieName)
	if err != nil || !p.logins.has(c.Value, time.Now()) {
		return visitor{}, false
	}
	return visitor{id: "login " + c.Value, logged: true}, true
}

// isToken compares in constant time. Tokens have 32 bytes or more, so guessing is not slowed down.
func (p *Page) isToken(s string) bool {
	want, got := sha256.Sum256(p.o.Token), sha256.Sum256([]byte(s))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// formValue is what a form of this visitor must carry.
func (p *Page) formValue(who visitor) string {
	m := hmac.New(sha256.New, p.key)
	m.Write([]byte(who.id))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// readForm reads a POST of one of our forms and tells whether it is one.
func (p *Page) readForm(w http.ResponseWriter, r *http.Request, who visitor) bool {
	if !ownForm(w, r) {
		return false
	}
	return hmac.Equal([]byte(r.PostForm.Get("csrf")), []byte(p.formValue(who)))
}

// ownForm reads a POST that comes from a page of this origin, or from no page at all.
func ownForm(w http.ResponseWriter, r *http.Request) bool {
	if http.NewCrossOriginProtection().Check(r) != nil {
		return false
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	return r.ParseForm() == nil
}

// turnAway answers somebody who has shown nothing: people are asked for the token, programs get 401.
func (p *Page) turnAway(w http.ResponseWriter, r *http.Request) {
	p.denied(r, http.StatusUnauthorized, "admin_token_needed")
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, Below+"login?back="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	http.Error(w, "the operator's page wants the header Authorization: Bearer TOKEN, or a login", http.StatusUnauthorized)
}

// login is the form that asks for the token, and its answer.
func (p *Page) login(w http.ResponseWriter, r *http.Request) {
	back := safeBack(r.URL.Query().Get("back"))
	status, wrong := http.StatusOK, ""
	switch {
	case len(p.o.Token) == 0:
		http.Redirect(w, r, back, http.StatusSeeOther)
		return
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
	case r.Method != http.MethodPost || !ownForm(w, r):
		p.denied(r, http.StatusForbidden, "cross_site")
		http.Error(w, "this form was not sent from the login page", http.StatusForbidden)
		return
	case p.isToken(strings.TrimSpace(r.PostForm.Get("token"))):
		http.SetCookie(w, &http.Cookie{
			Name: cookieName, Value: p.logins.add(time.Now()), Path: Home, MaxAge: int(loginTime / time.Second),
			HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
		})
		http.Redirect(w, r, back, http.StatusSeeOther)
		return
	default:
		p.denied(r, http.StatusUnauthorized, "admin_token_needed")
		status, wrong = http.StatusUnauthorized, "That is not the token."
	}
	p.render(w, r, status, "login", &frame{Title: "Log in", Data: struct{ Back, Wrong string }{back, wrong}})
}

// logout ends the login.
func (p *Page) logout(w http.ResponseWriter, r *http.Request, who visitor) {
	if !p.readForm(w, r, who) {
		p.fail(w, r, who, http.StatusForbidden, "bad_form", badForm)
		return
	}
	if c, err := r.Cookie(cookieName); err == nil {
		p.logins.remove(c.Value)
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: Home, MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, Home, http.StatusSeeOther)
}

// safeBack returns an address of the page to go on to; whatever else was asked for becomes its beginning.
func safeBack(back string) string {
	u, err := url.Parse(back)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || (u.Path != Home && !strings.HasPrefix(u.Path, Below)) || strings.ContainsAny(back, "\\\r\n") {
		return Home
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

// logins remembers who has logged in, by the hash of their cookie.
type logins struct {
	// Guarded by mu.
	mu   sync.Mutex
	ends map[[sha256.Size]byte]time.Time
}

// add makes a login and returns its cookie.
func (l *logins) add(now time.Time) string {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails, see crypto/rand
	cookie := base64.RawURLEncoding.EncodeToString(random)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ends == nil {
		l.ends = map[[sha256.Size]byte]time.Time{}
	}
	if len(l.ends) >= maxLogins {
		var first [sha256.Size]byte
		var at time.Time
		for k, end := range l.ends {
			if at.IsZero() || end.Before(at) {
				first, at = k, end
			}
		}
		delete(l.ends, first)
	}
	l.ends[sha256.Sum256([]byte(cookie))] = now.Add(loginTime)
	return cookie
}

func (l *logins) has(cookie string, now time.Time) bool {
	k := sha256.Sum256([]byte(cookie))
	l.mu.Lock()
	defer l.mu.Unlock()
	end, ok := l.ends[k]
	if ok && !now.Before(end) {
		delete(l.ends, k)
		ok = false
	}
	return ok
}

func (l *logins) remove(cookie string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.ends, sha256.Sum256([]byte(cookie)))
}
