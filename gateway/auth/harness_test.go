package auth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"weft/gateway/auth"
	"weft/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret is the HS256 secret of the tests.
const secret = "0123456789abcdef0123456789abcdef"

// noon is the time at which the tests' tokens are judged.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// ring has one private key of each kind; making an RSA key takes a moment.
var ring = sync.OnceValue(func() (k struct {
	rsa, otherRSA, shortRSA *rsa.PrivateKey
	ec, ec384               *ecdsa.PrivateKey
	ed                      ed25519.PrivateKey
},
) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var err error
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	k.otherRSA, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	k.shortRSA, err = rsa.GenerateKey(rand.Reader, 1024)
	must(err)
	k.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	k.ec384, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(err)
	_, k.ed, err = ed25519.GenerateKey(rand.Reader)
	must(err)
	return k
})

// body returns the claims of a token that writes everywhere until an hour after noon, with some set otherwise; nil
// takes a claim away.
func body(set jwt.MapClaims) jwt.MapClaims {
	c := jwt.MapClaims{
		"sub": "u1", "name": "Ada", "jti": "s1", "exp": noon.Add(time.Hour).Unix(),
		"rooms": map[string]string{"**": "write"},
	}
	maps.Copy(c, set)
	for k, v := range c {
		if v == nil {
			delete(c, k)
		}
	}
	return c
}

// sign makes a token; kid "" for none.
func sign(t *testing.T, m jwt.SigningMethod, key any, kid string, c jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(m, c)
	if kid != "" {
		token.Header["kid"] = kid
	}
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatalf("sign with %s: %v", m.Alg(), err)
	}
	return s
}

// hs256 makes a token that is signed with secret.
func hs256(t *testing.T, c jwt.MapClaims) string {
	t.Helper()
	return sign(t, jwt.SigningMethodHS256, []byte(secret), "", c)
}

// write puts content into a new file.
func write(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// publicPEM is the PEM file of a public key.
func publicPEM(t *testing.T, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// secretKeys are the Keys of secret.
func secretKeys(t *testing.T) auth.Keys {
	t.Helper()
	k, err := auth.SecretFile(write(t, "secret", secret+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// newJWT returns an Authorizer whose clock stands at noon.
func newJWT(t *testing.T, o auth.JWTOptions) *auth.JWT {
	t.Helper()
	if o.Keys == nil {
		o.Keys = secretKeys(t)
	}
	if o.Now == nil {
		o.Now = func() time.Time { return noon }
	}
	j, err := auth.NewJWT(o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// wantRefusal checks that err ends for the reason, says detail, and does not say anything of the token.
func wantRefusal(t *testing.T, err error, reason protocol.Reason, detail, token string) {
	t.Helper()
	ce, ok := errors.AsType[*protocol.CloseError](err)
	if !ok || ce.Reason != reason || !strings.Contains(ce.Detail, detail) {
		t.Errorf("Authorize = %v, want %s: %s", err, reason.Name, detail)
		return
	}
	for part := range strings.SplitSeq(token, ".") {
		if len(part) >= 8 && strings.Contains(err.Error(), part) {
			t.Errorf("Authorize = %v, which quotes the token", err)
		}
	}
}
