package web_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/client-demo/web"
)

const (
	html   = "text/html; charset=utf-8"
	hashed = "public, max-age=31536000, immutable"
)

// do sends one request to a fresh handler. Pairs of header names and values follow the target.
func do(t *testing.T, method, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read the body: %v", err)
	}
	return string(b)
}

func TestPages(t *testing.T) {
	tests := []struct {
		name, method, target string
		status               int
		contains             string
	}{
		{"landing", "GET", "/", 200, `id="open-form"`},
		{"room", "GET", "/r/notes", 200, `id="code-editor"`},
		{"room with slashes", "GET", "/r/a/b/c", 200, `id="code-editor"`},
		{"room with escapes", "GET", "/r/a%2Fb%20c%3F", 200, `id="code-editor"`},
		{"room named like a file", "GET", "/r/index.html", 200, `id="code-editor"`},
		{"not found", "GET", "/nothing", 404, "Nothing here"},
		{"page files have no address of their own", "GET", "/room.html", 404, "Nothing here"},
		{"no directory listing", "GET", "/assets/", 404, "Nothing here"},
		{"unknown asset", "GET", "/assets/none.js", 404, "Nothing here"},
		{"head", "HEAD", "/r/notes", 200, ""},
		{"head not found", "HEAD", "/nothing", 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := do(t, tt.method, tt.target)
			if resp.StatusCode != tt.status {
				t.Errorf("%s %s: status = %d, want %d", tt.method, tt.target, resp.StatusCode, tt.status)
			}
			if got := body(t, resp); !strings.Contains(got, tt.contains) {
				t.Errorf("%s %s: body does not contain %q:\n%s", tt.method, tt.target, tt.contains, got)
			}
			checkHeaders(t, resp, map[string]string{"Content-Type": html, "Cache-Control": "no-cache"})
		})
	}
}

func TestEveryResponseIsGuarded(t *testing.T) {
	want := map[string]string{
		"Content-Security-Policy": "default-src 'self'; connect-src 'self' ws: wss:; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
			"base-uri 'none'; form-action 'self'; frame-ancestors 'self'; object-src 'none'",
		"X-Content-Type-Options": "nosniff",
		"Referrer-Policy":        "same-origin",
	}
	for _, target := range []string{"/", "/r/notes", "/r/", "/theme.js", "/nothing"} {
		checkHeaders(t, do(t, "GET", target), want)
	}
}

func TestRoomWithoutNameLeadsToLanding(t *testing.T) {
	resp := do(t, "GET", "/r/")
	if got, want := resp.Header.Get("Location"), "/"; resp.StatusCode != 302 || got != want {
		t.Errorf("GET /r/ = %d to %q, want 302 to %q", resp.StatusCode, got, want)
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	for _, target := range []string{"/", "/r/notes", "/nothing"} {
		if resp := do(t, "POST", target); resp.StatusCode != 405 {
			t.Errorf("POST %s: status = %d, want 405", target, resp.StatusCode)
		}
	}
}

var reference = regexp.MustCompile(`(?:src|href)="(/[^"]*\.(js|css))"`)

// references returns the scripts and styles that a page loads.
func references(t *testing.T, target string) []string {
	t.Helper()
	var paths []string
	for _, m := range reference.FindAllStringSubmatch(body(t, do(t, "GET", target)), -1) {
		paths = append(paths, m[1])
	}
	if len(paths) < 2 {
		t.Fatalf("GET %s refers to %q, want at least two scripts and styles", target, paths)
	}
	return paths
}

func TestWhatPagesReferToIsServed(t *testing.T) {
	kinds := map[string]string{"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
	for _, page := range []string{"/", "/r/notes", "/nothing"} {
		for _, target := range references(t, page) {
			resp := do(t, "GET", target)
			if resp.StatusCode != 200 {
				t.Errorf("GET %s, which %s refers to: status = %d, want 200", target, page, resp.StatusCode)
			}
			want := map[string]string{"Content-Type": kinds[target[strings.LastIndex(target, ".")+1:]], "Cache-Control": "no-cache"}
			if strings.HasPrefix(target, "/assets/") {
				want["Cache-Control"] = hashed
			}
			checkHeaders(t, resp, want)
		}
	}
}

// The policy forbids inline scripts and event handlers, so a page that has one is broken in the browser.
func TestPagesHoldNoInlineScript(t *testing.T) {
	inline := regexp.MustCompile(`(?s)<script(?:\s[^>]*)?>\s*\S|\son\w+="|javascript:`)
	for _, page := range []string{"/", "/r/notes", "/nothing"} {
		got := regexp.MustCompile(`</script>`).ReplaceAllString(body(t, do(t, "GET", page)), "")
		for _, m := range regexp.MustCompile(`<script[^>]*>`).FindAllString(got, -1) {
			if !strings.Contains(m, "src=") {
				t.Errorf("GET %s holds a script without a source: %s", page, m)
			}
		}
		got = regexp.MustCompile(`<script[^>]*>`).ReplaceAllString(got, "")
		if m := inline.FindString(got); m != "" {
			t.Errorf("GET %s holds inline script: %q", page, m)
		}
	}
}

func TestCompressed(t *testing.T) {
	script := largest(t, "/r/notes")
	plain := body(t, do(t, "GET", script))
	resp := do(t, "GET", script, "Accept-Encoding", "gzip")
	checkHeaders(t, resp, map[string]string{"Content-Encoding": "gzip", "Vary": "Accept-Encoding", "Cache-Control": hashed})
	packed := body(t, resp)
	if len(packed)*2 > len(plain) {
		t.Errorf("GET %s compressed = %d bytes of %d, want less than half", script, len(packed), len(plain))
	}
	r, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		t.Fatalf("GET %s: not gzip: %v", script, err)
	}
	got, err := io.ReadAll(r)
	if err != nil || string(got) != plain {
		t.Errorf("GET %s: compressed body = %d bytes (%v), want the %d plain bytes", script, len(got), err, len(plain))
	}
}

func TestNotModified(t *testing.T) {
	for _, target := range []string{"/", "/r/notes", "/theme.js", largest(t, "/r/notes")} {
		for _, encoding := range []string{"identity", "gzip", "zstd"} {
			etag := do(t, "GET", target, "Accept-Encoding", encoding).Header.Get("ETag")
			resp := do(t, "GET", target, "Accept-Encoding", encoding, "If-None-Match", etag)
			if resp.StatusCode != 304 || etag == "" {
				t.Errorf("GET %s (%s) with If-None-Match %q: status = %d, want 304", target, encoding, etag, resp.StatusCode)
			}
			if got := body(t, resp); got != "" {
				t.Errorf("GET %s (%s) with If-None-Match: %d bytes of body, want none", target, encoding, len(got))
			}
		}
	}
}

// largest returns the largest file that a page refers to: the editors' chunk.
func largest(t *testing.T, page string) string {
	t.Helper()
	var name string
	var size int
	for _, target := range references(t, page) {
		if n := len(body(t, do(t, "GET", target))); n > size {
			name, size = target, n
		}
	}
	return name
}

func checkHeaders(t *testing.T, resp *http.Response, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for name := range want {
		got[name] = resp.Header.Get(name)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("headers with status %d (-want +got):\n%s", resp.StatusCode, d)
	}
}
