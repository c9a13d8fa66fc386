package auth_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"weft/gateway/auth"
)

func TestSecretFile(t *testing.T) {
	for _, c := range []struct {
		name, content string
		ok            bool
	}{
		{"long enough", secret, true},
		{"with a newline", secret + "\r\n", true},
		{"one byte short", secret[1:], false},
		{"short but for its white space", secret[1:] + " \n", false},
		{"empty", "", false},
		{"huge", strings.Repeat("x", 1<<20+1), false},
	} {
		if _, err := auth.SecretFile(write(t, "secret", c.content)); (err == nil) != c.ok {
			t.Errorf("SecretFile(%s) = %v, want ok %v", c.name, err, c.ok)
		} else if err != nil && strings.Contains(err.Error(), secret[1:]) {
			t.Errorf("SecretFile(%s) = %v, which quotes the secret", c.name, err)
		}
	}
	if _, err := auth.SecretFile("/nowhere"); err == nil {
		t.Error("SecretFile of a file that is not there = nil, want an error")
	}
}

func TestPublicKeyFile(t *testing.T) {
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)},
		&x509.Certificate{SerialNumber: big.NewInt(1)}, ring().ec.Public(), ring().ec)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(ring().ed)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, content string
		method        jwt.SigningMethod // nil: refused
		key           any
	}{
		{"RSA", publicPEM(t, ring().rsa.Public()), jwt.SigningMethodRS256, ring().rsa},
		{"RSA in PKCS #1", block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&ring().rsa.PublicKey)), jwt.SigningMethodRS256, ring().rsa},
		{"P-256", publicPEM(t, ring().ec.Public()), jwt.SigningMethodES256, ring().ec},
		{"certificate", block("CERTIFICATE", cert), jwt.SigningMethodES256, ring().ec},
		{"Ed25519", publicPEM(t, ring().ed.Public()), jwt.SigningMethodEdDSA, ring().ed},
		{"RSA of 1024 bits", publicPEM(t, ring().shortRSA.Public()), nil, nil},
		{"P-384", publicPEM(t, ring().ec384.Public()), nil, nil},
		{"private key", block("PRIVATE KEY", private), nil, nil},
		{"broken", block("PUBLIC KEY", []byte("broken")), nil, nil},
		{"no PEM", secret, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys, err := auth.PublicKeyFile(write(t, "key.pem", c.content))
			if (err == nil) != (c.method != nil) {
				t.Fatalf("PublicKeyFile = %v, want ok %v", err, c.method != nil)
			}
			if err != nil {
				return
			}
			token := sign(t, c.method, c.key, "any-kid", body(nil))
			if _, err := newJWT(t, auth.JWTOptions{Keys: keys}).Authorize(t.Context(), auth.Request{Token: token, Room: "r"}); err != nil {
				t.Errorf("Authorize = %v, want a grant", err)
			}
		})
	}
}
