package auth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"weft/gateway/auth"
	"weft/protocol"
)

// jwk writes a public key as a JSON Web Key.
func jwk(t *testing.T, kid string, public any, more map[string]any) map[string]any {
	t.Helper()
	text := base64.RawURLEncoding.EncodeToString
	k := map[string]any{"kid": kid}
	switch p := public.(type) {
	case *rsa.PublicKey:
		k["kty"], k["n"], k["e"] = "RSA", text(p.N.Bytes()), text(big.NewInt(int64(p.E)).Bytes())
	case *ecdsa.PublicKey:
		b, err := p.Bytes() // 4, x, y
		if err != nil {
			t.Fatal(err)
		}
		n := len(b) / 2
		k["kty"], k["crv"], k["x"], k["y"] = "EC", p.Curve.Params().Name, text(b[1:1+n]), text(b[1+n:])
	case ed25519.PublicKey:
		k["kty"], k["crv"], k["x"] = "OKP", "Ed25519", text(p)
	}
	maps.Copy(k, more)
	return k
}

// keySet writes a JSON Web Key Set.
func keySet(t *testing.T, keys ...map[string]any) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// provider is an identity provider that can be told what to answer.
type provider struct {
	mu    sync.Mutex
	set   []byte
	err   error
	hang  bool
	asked int
}

func (p *provider) read(ctx context.Context) ([]byte, error) {
	p.mu.Lock()
	p.asked++
	set, err, hang := p.set, p.err, p.hang
	p.mu.Unlock()
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return set, err
}

func (p *provider) answer(set []byte, err error, hang bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set, p.err, p.hang = set, err, hang
}

func (p *provider) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// ask authorizes a token that the Ed25519 key of the ring signed under that kid.
func ask(t *testing.T, j *auth.JWT, kid string) error {
	t.Helper()
	_, err := j.Authorize(t.Context(), auth.Request{Token: sign(t, jwt.SigningMethodEdDSA, ring().ed, kid, body(nil)), Room: "r"})
	return err
}

// jwksTest runs f in a bubble, with a JWKS that reads what p answers.
func jwksTest(t *testing.T, p *provider, f func(t *testing.T, j *auth.JWT)) {
	ring() // outside of the bubble: others use it too
	synctest.Test(t, func(t *testing.T) {
		var failures int
		keys := auth.NewJWKSFrom(auth.JWKSOptions{Failed: func(error) { failures++ }}, p.read)
		defer keys.Close()
		synctest.Wait()
		if p.err != nil && failures == 0 {
			t.Error("Failed was not called for a set that cannot be read")
		}
		f(t, newJWT(t, auth.JWTOptions{Keys: keys}))
	})
}

func TestJWKSRotation(t *testing.T) {
	p := &provider{set: keySet(t, jwk(t, "old", ring().ed.Public(), nil))}
	both := keySet(t, jwk(t, "old", ring().ed.Public(), nil), jwk(t, "new", ring().ed.Public(), nil))
	jwksTest(t, p, func(t *testing.T, j *auth.JWT) {
		if err := ask(t, j, "old"); err != nil {
			t.Fatalf("Authorize = %v, want a grant", err)
		}
		p.answer(both, nil, false)
		wantRefusal(t, ask(t, j, "new"), protocol.Overloaded, "not in the key set", "") // a moment after the reading
		time.Sleep(11 * time.Second)
		if err := ask(t, j, "new"); err != nil {
			t.Errorf("Authorize(key that came later) = %v, want a grant", err)
		}
		p.answer(keySet(t, jwk(t, "new", ring().ed.Public(), nil)), nil, false)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		wantRefusal(t, ask(t, j, "old"), protocol.Unauthorized, "not in the key set", "")
	})
}

// TestJWKSUnknownKeys floods with kids that nobody has.
func TestJWKSUnknownKeys(t *testing.T) {
	p := &provider{set: keySet(t, jwk(t, "k", ring().ed.Public(), nil))}
	jwksTest(t, p, func(t *testing.T, j *auth.JWT) {
		begin := time.Now()
		for i := range 60 {
			reason := protocol.Overloaded // the key may have come after the last reading
			if i > 0 && i%10 == 0 {
				reason = protocol.Unauthorized
			}
			wantRefusal(t, ask(t, j, "unknown"), reason, "not in the key set", "")
			time.Sleep(time.Second)
		}
		if n := p.count(); n > 8 {
			t.Errorf("the set was read %d times in %v, want once in 10 s at most", n, time.Since(begin))
		}
	})
}

// TestJWKSThatHangs checks that a server that does not answer delays only those who need it, and those not for long.
func TestJWKSThatHangs(t *testing.T) {
	p := &provider{set: keySet(t, jwk(t, "k", ring().ed.Public(), nil))}
	jwksTest(t, p, func(t *testing.T, j *auth.JWT) {
		p.answer(nil, nil, true)
		time.Sleep(11 * time.Second)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				begin := time.Now()
				wantRefusal(t, ask(t, j, "unknown"), protocol.Overloaded, "key set", "")
				if took := time.Since(begin); took > 4*time.Second {
					t.Errorf("Authorize(unknown key) took %v, want 4 s at most", took)
				}
			})
		}
		time.Sleep(time.Second)
		begin := time.Now()
		if err := ask(t, j, "k"); err != nil || time.Since(begin) > 0 {
			t.Errorf("Authorize(known key) = %v after %v, want a grant at once", err, time.Since(begin))
		}
		wg.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		time.Sleep(11 * time.Second)
		_, err := j.Authorize(ctx, auth.Request{Token: sign(t, jwt.SigningMethodEdDSA, ring().ed, "unknown", body(nil)), Room: "r"})
		wantRefusal(t, err, protocol.Overloaded, "key set", "")
	})
}

func TestJWKSServerDown(t *testing.T) {
	good := keySet(t, jwk(t, "k", ring().ed.Public(), nil))
	p := &provider{err: errors.New("connection refused")}
	jwksTest(t, p, func(t *testing.T, j *auth.JWT) {
		wantRefusal(t, ask(t, j, "k"), protocol.Overloaded, "cannot be read", "")
		p.answer(good, nil, false)
		time.Sleep(11 * time.Second)
		if err := ask(t, j, "k"); err != nil {
			t.Errorf("Authorize after the server came up = %v, want a grant", err)
		}
		p.answer(nil, errors.New("down again"), false)
		time.Sleep(23 * time.Hour)
		if err := ask(t, j, "k"); err != nil {
			t.Errorf("Authorize 23 h after the server went down = %v, want a grant", err)
		}
		wantRefusal(t, ask(t, j, "unknown"), protocol.Overloaded, "cannot be read", "")
		time.Sleep(2 * time.Hour)
		wantRefusal(t, ask(t, j, "k"), protocol.Overloaded, "cannot be read", "")
	})
}

// TestJWKSKeysThatAreUsed checks which keys of a set verify what.
func TestJWKSKeysThatAreUsed(t *testing.T) {
	private := jwk(t, "private", ring().ed.Public(), map[string]any{"d": base64.RawURLEncoding.EncodeToString(ring().ed.Seed())})
	oct := map[string]any{"kid": "oct", "kty": "oct", "k": base64.RawURLEncoding.EncodeToString([]byte(secret))}
	set := keySet(t,
		map[string]any{"kid": "strange", "kty": "LATTICE"}, map[string]any{"kty": 7}, oct, private,
		jwk(t, "rsa", ring().rsa.Public(), map[string]any{"use": "sig", "alg": "RS256"}),
		jwk(t, "ec", ring().ec.Public(), map[string]any{"key_ops": []string{"verify"}}),
		jwk(t, "ed", ring().ed.Public(), map[string]any{"alg": "EdDSA"}),
		jwk(t, "rs512", ring().rsa.Public(), map[string]any{"alg": "RS512"}),
		jwk(t, "enc", ring().rsa.Public(), map[string]any{"use": "enc"}),
		jwk(t, "wrap", ring().rsa.Public(), map[string]any{"key_ops": []string{"wrapKey"}}),
		jwk(t, "short", ring().shortRSA.Public(), nil),
		jwk(t, "p384", ring().ec384.Public(), nil),
		jwk(t, "rsa", ring().otherRSA.Public(), nil), // the second of this name
	)
	p := &provider{set: set}
	for _, c := range []struct {
		kid     string
		method  jwt.SigningMethod
		key     any
		refusal string
	}{
		{"rsa", jwt.SigningMethodRS256, ring().rsa, ""},
		{"ec", jwt.SigningMethodES256, ring().ec, ""},
		{"ed", jwt.SigningMethodEdDSA, ring().ed, ""},
		{"private", jwt.SigningMethodEdDSA, ring().ed, ""},
		{"", jwt.SigningMethodEdDSA, ring().ed, ""},
		{"", jwt.SigningMethodRS256, ring().rsa, ""},
		{"", jwt.SigningMethodRS256, ring().otherRSA, "signature"},
		{"rsa", jwt.SigningMethodRS256, ring().otherRSA, "signature"},
		{"rsa", jwt.SigningMethodPS256, ring().rsa, "alg"},
		{"rsa", jwt.SigningMethodEdDSA, ring().ed, "alg"},
		{"ed", jwt.SigningMethodHS256, []byte(ring().ed.Public().(ed25519.PublicKey)), "alg"},
		{"oct", jwt.SigningMethodHS256, []byte(secret), "not in the key set"},
		{"", jwt.SigningMethodHS256, []byte(secret), "alg"},
		{"rs512", jwt.SigningMethodRS256, ring().rsa, "not in the key set"},
		{"enc", jwt.SigningMethodRS256, ring().rsa, "not in the key set"},
		{"wrap", jwt.SigningMethodRS256, ring().rsa, "not in the key set"},
		{"short", jwt.SigningMethodRS256, ring().shortRSA, "not in the key set"},
	} {
		t.Run(fmt.Sprintf("%s %s", c.kid, c.method.Alg()), func(t *testing.T) {
			token := sign(t, c.method, c.key, c.kid, body(nil))
			jwksTest(t, p, func(t *testing.T, j *auth.JWT) {
				time.Sleep(11 * time.Second) // so that the set is read for it
				_, err := j.Authorize(t.Context(), auth.Request{Token: token, Room: "r"})
				if c.refusal != "" {
					wantRefusal(t, err, protocol.Unauthorized, c.refusal, token)
				} else if err != nil {
					t.Errorf("Authorize = %v, want a grant", err)
				}
			})
		})
	}
}

func TestJWKSFile(t *testing.T) {
	file := write(t, "jwks.json", string(keySet(t, jwk(t, "k", ring().ed.Public(), nil))))
	keys, err := auth.NewJWKS(auth.JWKSOptions{Source: file})
	if err != nil {
		t.Fatalf("NewJWKS = %v, want nil", err)
	}
	defer keys.Close()
	if err := ask(t, newJWT(t, auth.JWTOptions{Keys: keys}), "k"); err != nil {
		t.Errorf("Authorize = %v, want a grant", err)
	}
	if err := os.WriteFile(file, []byte(`{"keys":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{
		file, "/nowhere", write(t, "x", "no json"), "ftp://127.0.0.1/x", "http://id.example.com/jwks", "https://u:p@id.example.com/", "https://", "https://h/#x",
	} {
		if keys, err := auth.NewJWKS(auth.JWKSOptions{Source: source}); err == nil {
			keys.Close()
			t.Errorf("NewJWKS(%s) = nil, want an error", source)
		}
	}
}

// TestJWKSServer reads from real servers, good and bad.
func TestJWKSServer(t *testing.T) {
	good := keySet(t, jwk(t, "k", ring().ed.Public(), nil))
	serve := func(f http.HandlerFunc) string {
		s := httptest.NewServer(f)
		t.Cleanup(s.Close)
		return s.URL + "/jwks?secret=hidden"
	}
	honest := serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(good) })
	for _, c := range []struct {
		name, source string
		ok           bool
	}{
		{"good", honest, true},
		{"redirect", serve(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, honest, http.StatusFound) }), false},
		{"status 500", serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); _, _ = w.Write(good) }), false},
		{"too large", serve(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(append([]byte(strings.Repeat(" ", 1<<20)), good...))
		}), false},
		{"not there", "http://127.0.0.1:1/jwks?secret=hidden", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			failed := make(chan error, 100)
			keys, err := auth.NewJWKS(auth.JWKSOptions{Source: c.source, Failed: func(err error) { failed <- err }})
			if err != nil {
				t.Fatalf("NewJWKS = %v, want nil", err)
			}
			err = ask(t, newJWT(t, auth.JWTOptions{Keys: keys}), "k")
			keys.Close()
			if c.ok {
				if err != nil {
					t.Errorf("Authorize = %v, want a grant", err)
				}
				return
			}
			wantRefusal(t, err, protocol.Overloaded, "key set", "")
			if err := <-failed; strings.Contains(err.Error(), "hidden") {
				t.Errorf("Failed was told %v, which quotes the URL's query", err)
			}
		})
	}
}
