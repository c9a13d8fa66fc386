package auth_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"weft/gateway/auth"
	"weft/protocol"
)

func TestJWTGrants(t *testing.T) {
	exp := noon.Add(time.Hour)
	cases := []struct {
		name   string
		claims jwt.MapClaims
		room   string
		want   auth.Grant
	}{
		{
			"map", body(jwt.MapClaims{"rooms": map[string]string{"docs/*": "write"}}), "docs/a",
			auth.Grant{User: auth.User{ID: "u1", Name: "Ada"}, Session: "s1", Write: true, Expires: exp},
		},
		{
			"list", body(jwt.MapClaims{"rooms": []map[string]string{{"pattern": "docs/*", "access": "read"}}}), "docs/a",
			auth.Grant{User: auth.User{ID: "u1", Name: "Ada"}, Session: "s1", Expires: exp},
		},
		{
			"widest of several", body(jwt.MapClaims{"rooms": map[string]string{"**": "read", "docs/a": "write", "docs/*": "read"}}), "docs/a",
			auth.Grant{User: auth.User{ID: "u1", Name: "Ada"}, Session: "s1", Write: true, Expires: exp},
		},
		{
			"the others of several", body(jwt.MapClaims{"rooms": map[string]string{"**": "read", "docs/a": "write"}}), "docs/b",
			auth.Grant{User: auth.User{ID: "u1", Name: "Ada"}, Session: "s1", Expires: exp},
		},
		{
			"nobody in particular", body(jwt.MapClaims{"sub": nil, "name": nil}), "r",
			auth.Grant{Session: "s1", Write: true, Expires: exp},
		},
		{
			"a name that needs tidying", body(jwt.MapClaims{"name": "A\x1b[31md\na" + strings.Repeat("é", 200)}), "r",
			auth.Grant{User: auth.User{ID: "u1", Name: "A[31mda" + strings.Repeat("é", 124)}, Session: "s1", Write: true, Expires: exp},
		},
		{
			"expired within the leeway", body(jwt.MapClaims{"exp": noon.Add(-29 * time.Second).Unix()}), "r",
			auth.Grant{User: auth.User{ID: "u1", Name: "Ada"}, Session: "s1", Write: true, Expires: noon.Add(time.Second)},
		},
		{
			"valid within the leeway", body(jwt.MapClaims{"nbf": noon.Add(29 * time.Second).Unix()}), "r",
			auth.Grant{User: auth.User{ID: "u1", Name: "Ada"}, Session: "s1", Write: true, Expires: exp},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			j := newJWT(t, auth.JWTOptions{})
			got, err := j.Authorize(t.Context(), auth.Request{Token: hs256(t, c.claims), Room: c.room})
			if err != nil {
				t.Fatalf("Authorize = %v, want a grant", err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("Authorize (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJWTRefuses(t *testing.T) {
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	good := hs256(t, body(nil))
	parts := strings.Split(good, ".")
	withHeader := func(header string) string { return encode(header) + "." + parts[1] + "." + parts[2] }
	rooms := func(v any) string { return hs256(t, body(jwt.MapClaims{"rooms": v})) }
	many := map[string]string{}
	for i := range 300 {
		many[strconv.Itoa(i)] = "read"
	}
	cases := []struct {
		name, token string
		reason      protocol.Reason
		detail      string
	}{
		{"none at all", "", protocol.Unauthorized, "no token"},
		{"garbage", "garbage-garbage", protocol.Unauthorized, "cannot be read"},
		{"two parts", parts[0] + "." + parts[1], protocol.Unauthorized, "cannot be read"},
		{"four parts", good + ".more", protocol.Unauthorized, "cannot be read"},
		{"oversized", good + strings.Repeat("A", 8<<10), protocol.Unauthorized, "more than 8192 bytes"},
		{"not base64", parts[0] + ".!!!!!!!!." + parts[2], protocol.Unauthorized, "cannot be read"},
		{"not JSON", parts[0] + "." + encode("notjsonatall") + "." + parts[2], protocol.Unauthorized, "cannot be read"},
		{"other claims under the signature", parts[0] + "." + encode(`{"sub":"root","exp":99999999999,"rooms":{"**":"write"}}`) + "." + parts[2], protocol.Unauthorized, "signature"},
		{"no signature", parts[0] + "." + parts[1] + ".", protocol.Unauthorized, "signature"},
		{"alg none", encode(`{"alg":"none"}`) + "." + parts[1] + ".", protocol.Unauthorized, "alg"},
		{"alg None", withHeader(`{"alg":"None"}`), protocol.Unauthorized, "alg"},
		{"alg missing", withHeader(`{"typ":"JWT"}`), protocol.Unauthorized, "alg"},
		{"alg a number", withHeader(`{"alg":256}`), protocol.Unauthorized, "alg"},
		{"crit", withHeader(`{"alg":"HS256","crit":["exp"]}`), protocol.Unauthorized, "crit"},
		{"kid a number", withHeader(`{"alg":"HS256","kid":7}`), protocol.Unauthorized, "kid"},
		{"HS512 with the same secret", sign(t, jwt.SigningMethodHS512, []byte(secret), "", body(nil)), protocol.Unauthorized, "alg"},
		{"another secret", sign(t, jwt.SigningMethodHS256, []byte(strings.Repeat("x", 32)), "", body(nil)), protocol.Unauthorized, "signature"},
		{"RS256 where there is a secret", sign(t, jwt.SigningMethodRS256, ring().rsa, "", body(nil)), protocol.Unauthorized, "alg"},
		{"expired", hs256(t, body(jwt.MapClaims{"exp": noon.Add(-30 * time.Second).Unix()})), protocol.Unauthorized, "expired"},
		{"no exp", hs256(t, body(jwt.MapClaims{"exp": nil})), protocol.Unauthorized, "lacks a claim"},
		{"exp null", hs256(t, jwt.MapClaims{"sub": "u1", "exp": nil}), protocol.Unauthorized, "lacks a claim"},
		{"exp a word", hs256(t, body(jwt.MapClaims{"exp": "tomorrow"})), protocol.Unauthorized, "cannot be read"},
		{"exp beyond all time", hs256(t, body(jwt.MapClaims{"exp": 1e300})), protocol.Unauthorized, "expired"},
		{"not valid yet", hs256(t, body(jwt.MapClaims{"nbf": noon.Add(31 * time.Second).Unix()})), protocol.Unauthorized, "not valid yet"},
		{"sub too long", hs256(t, body(jwt.MapClaims{"sub": strings.Repeat("u", 257)})), protocol.Unauthorized, "user's id"},
		{"sub with a line break", hs256(t, body(jwt.MapClaims{"sub": "u\nlevel=ERROR"})), protocol.Unauthorized, "user's id"},
		{"rooms missing", rooms(nil), protocol.Forbidden, "no pattern"},
		{"rooms empty", rooms([]string{}), protocol.Forbidden, "no pattern"},
		{"rooms null", hs256(t, jwt.MapClaims{"exp": noon.Add(time.Hour).Unix(), "rooms": nil}), protocol.Forbidden, "no pattern"},
		{"rooms of others", rooms(map[string]string{"other/*": "write"}), protocol.Forbidden, "no pattern"},
		{"rooms a word", rooms("**"), protocol.Unauthorized, "cannot be read"},
		{"access to do anything", rooms(map[string]string{"**": "admin"}), protocol.Unauthorized, "cannot be read"},
		{"access empty", rooms([]map[string]string{{"pattern": "**"}}), protocol.Unauthorized, "cannot be read"},
		{"pattern empty", rooms(map[string]string{"": "read"}), protocol.Unauthorized, "cannot be read"},
		{"pattern too long", rooms(map[string]string{strings.Repeat("a", 257): "read"}), protocol.Unauthorized, "cannot be read"},
		{"too many patterns", rooms(many), protocol.Unauthorized, "cannot be read"},
	}
	j := newJWT(t, auth.JWTOptions{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g, err := j.Authorize(t.Context(), auth.Request{Token: c.token, Room: "docs/a"})
			if g != (auth.Grant{}) {
				t.Errorf("Authorize = %+v beside its error, want nothing", g)
			}
			wantRefusal(t, err, c.reason, c.detail, c.token)
		})
	}
}

// TestJWTKeyIsForOneMethod shows every public key tokens of all methods, among them the classic: an HMAC whose secret is
// the public key in each form in which it is written down.
func TestJWTKeyIsForOneMethod(t *testing.T) {
	der := func(public any) string {
		b, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	type signer struct {
		method jwt.SigningMethod
		key    any
	}
	for _, c := range []struct {
		name   string
		public any
		good   signer
	}{
		{"RSA", ring().rsa.Public(), signer{jwt.SigningMethodRS256, ring().rsa}},
		{"P-256", ring().ec.Public(), signer{jwt.SigningMethodES256, ring().ec}},
		{"Ed25519", ring().ed.Public(), signer{jwt.SigningMethodEdDSA, ring().ed}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := write(t, "key.pem", publicPEM(t, c.public))
			keys, err := auth.PublicKeyFile(file)
			if err != nil {
				t.Fatalf("PublicKeyFile = %v, want nil", err)
			}
			j := newJWT(t, auth.JWTOptions{Keys: keys})
			for _, s := range []signer{
				{jwt.SigningMethodRS256, ring().rsa},
				{jwt.SigningMethodRS512, ring().rsa},
				{jwt.SigningMethodPS256, ring().rsa},
				{jwt.SigningMethodRS256, ring().otherRSA},
				{jwt.SigningMethodES256, ring().ec},
				{jwt.SigningMethodES384, ring().ec384},
				{jwt.SigningMethodEdDSA, ring().ed},
				{jwt.SigningMethodHS256, []byte(publicPEM(t, c.public))},
				{jwt.SigningMethodHS256, []byte(strings.TrimSpace(publicPEM(t, c.public)))},
				{jwt.SigningMethodHS256, []byte(der(c.public))},
				{jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType},
			} {
				token := sign(t, s.method, s.key, "", body(nil))
				_, err := j.Authorize(t.Context(), auth.Request{Token: token, Room: "r"})
				if s.method == c.good.method && s.key != any(ring().otherRSA) {
					if err != nil {
						t.Errorf("Authorize(%s) = %v, want a grant", s.method.Alg(), err)
					}
					continue
				}
				wantRefusal(t, err, protocol.Unauthorized, "", token)
			}
		})
	}
}

func TestJWTOptions(t *testing.T) {
	cases := []struct {
		name    string
		o       auth.JWTOptions
		claims  jwt.MapClaims
		refusal string // empty: granted
	}{
		{"issuer", auth.JWTOptions{Issuer: "https://id"}, body(jwt.MapClaims{"iss": "https://id"}), ""},
		{"another issuer", auth.JWTOptions{Issuer: "https://id"}, body(jwt.MapClaims{"iss": "https://id.evil"}), "another issuer"},
		{"no issuer", auth.JWTOptions{Issuer: "https://id"}, body(nil), "lacks a claim"},
		{"audience", auth.JWTOptions{Audience: "weft"}, body(jwt.MapClaims{"aud": "weft"}), ""},
		{"one of the audiences", auth.JWTOptions{Audience: "weft"}, body(jwt.MapClaims{"aud": []string{"a", "weft"}}), ""},
		{"another audience", auth.JWTOptions{Audience: "weft"}, body(jwt.MapClaims{"aud": "mail"}), "another audience"},
		{"no audience", auth.JWTOptions{Audience: "weft"}, body(nil), "lacks a claim"},
		{"endless", auth.JWTOptions{AllowEndless: true}, body(jwt.MapClaims{"exp": nil}), ""},
		{"expired where endless is allowed", auth.JWTOptions{AllowEndless: true}, body(jwt.MapClaims{"exp": noon.Add(-time.Hour).Unix()}), "expired"},
		{"no leeway", auth.JWTOptions{Leeway: -1}, body(jwt.MapClaims{"exp": noon.Unix()}), "expired"},
		{"longer leeway", auth.JWTOptions{Leeway: time.Minute}, body(jwt.MapClaims{"exp": noon.Add(-59 * time.Second).Unix()}), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			token := hs256(t, c.claims)
			g, err := newJWT(t, c.o).Authorize(t.Context(), auth.Request{Token: token, Room: "r"})
			if c.refusal != "" {
				wantRefusal(t, err, protocol.Unauthorized, c.refusal, token)
				return
			}
			if err != nil {
				t.Fatalf("Authorize = %v, want a grant", err)
			}
			if endless := c.claims["exp"] == nil; g.Expires.IsZero() != endless {
				t.Errorf("Authorize = %+v, want an expiry: %v", g, !endless)
			}
		})
	}
	if _, err := auth.NewJWT(auth.JWTOptions{}); err == nil {
		t.Error("NewJWT without keys = nil, want an error")
	}
}

// TestSessionNamesTheToken checks that tokens without a usable jti are told apart, and not given away.
func TestSessionNamesTheToken(t *testing.T) {
	j := newJWT(t, auth.JWTOptions{})
	seen := map[string]string{}
	for _, jti := range []any{nil, "", strings.Repeat("s", 129), "a\nb"} {
		for _, sub := range []string{"u1", "u2"} {
			token := hs256(t, body(jwt.MapClaims{"jti": jti, "sub": sub, "rooms": map[string]string{"*": "read"}}))
			g, err := j.Authorize(t.Context(), auth.Request{Token: token, Room: "r"})
			if err != nil {
				t.Fatalf("Authorize = %v, want a grant", err)
			}
			if other, ok := seen[g.Session]; ok && other != token || len(g.Session) != 32 || strings.Contains(token, g.Session) {
				t.Errorf("Session = %q for jti %q, want 32 digits of this token alone", g.Session, jti)
			}
			seen[g.Session] = token
		}
	}
}

func TestMint(t *testing.T) {
	want := auth.Grant{User: auth.User{ID: "u1", Name: "Ada"}, Session: "s1", Write: true, Expires: noon.Add(time.Hour)}
	token, err := auth.Mint([]byte(secret), auth.Claims{
		User: want.User, Session: want.Session, Expires: want.Expires, Issued: noon, Issuer: "i", Audience: "a",
		Rooms: []auth.Rule{{Pattern: "docs/*", Write: true}, {Pattern: "**"}},
	})
	if err != nil {
		t.Fatalf("Mint = %v, want nil", err)
	}
	j := newJWT(t, auth.JWTOptions{Issuer: "i", Audience: "a"})
	for room, write := range map[string]bool{"docs/a": true, "docs/a/b": false} {
		want.Write = write
		got, err := j.Authorize(t.Context(), auth.Request{Token: token, Room: room})
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("Authorize(%q) = %+v, %v, want %+v", room, got, err, want)
		}
	}
	for name, c := range map[string]auth.Claims{
		"user":    {User: auth.User{ID: "a\nb"}},
		"pattern": {Rooms: []auth.Rule{{}}},
		"many":    {Rooms: make([]auth.Rule, 257)},
		"large":   {Rooms: slices.Repeat([]auth.Rule{{Pattern: auth.Pattern(strings.Repeat("p", 256))}}, 40)},
	} {
		if token, err := auth.Mint([]byte(secret), c); err == nil {
			t.Errorf("Mint(%s) = %q, want an error", name, token)
		}
	}
	if _, err := auth.Mint([]byte(secret[:31]), auth.Claims{}); err == nil {
		t.Error("Mint with a secret of 31 bytes = nil, want an error")
	}
}

// FuzzJWT lets anything be a token, and anything be the claims of a signed one.
func FuzzJWT(f *testing.F) {
	f.Add("a.b.c", `{"rooms":{"**":"write"},"exp":99999999999}`)
	f.Add("", `{"rooms":[{"pattern":"*","access":"read"}],"exp":1e300,"nbf":-1e300,"aud":["a",1]}`)
	f.Fuzz(func(t *testing.T, token, claims string) {
		j := newJWT(t, auth.JWTOptions{})
		if g, err := j.Authorize(t.Context(), auth.Request{Token: token, Room: "r"}); err == nil {
			t.Errorf("Authorize(%q) = %+v, want an error for a token that nobody signed", token, g)
		} else {
			wantRefusal(t, err, protocol.Unauthorized, "", token)
		}
		head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
		mac, err := jwt.SigningMethodHS256.Sign(head, []byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		signed := head + "." + base64.RawURLEncoding.EncodeToString(mac)
		g, err := j.Authorize(t.Context(), auth.Request{Token: signed, Room: "r"})
		if err == nil && (!json.Valid([]byte(claims)) || g.Expires.Before(noon)) {
			t.Errorf("Authorize(%q) = %+v, want an error", claims, g)
		}
	})
}
