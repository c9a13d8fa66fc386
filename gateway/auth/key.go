package auth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// The signing methods of tokens. Each key is good for exactly one, so a token cannot choose how it is checked.
const (
	methodHS256 = "HS256"
	methodRS256 = "RS256"
	methodES256 = "ES256"
	methodEdDSA = "EdDSA"
)

// Sizes of keys.
const (
	minSecret = 32   // bytes, as many as HS256 has (RFC 7518 section 3.2)
	minRSA    = 2048 // bits (RFC 7518 section 3.3)
	maxRSA    = 8192 // bits; larger ones only cost time
	maxFile   = 1 << 20
)

// key verifies the tokens of one signing method.
type key struct {
	id     string // kid; empty: none
	method string
	value  any // []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// Keys verify the signatures of tokens: a secret, a public key or a JWKS.
type Keys interface {
	// find returns the keys that may have signed a token with this kid ("" when it names none). Its error is a
	// *protocol.CloseError.
	find(ctx context.Context, kid string) ([]key, error)
}

// fixed is a key that does not change; tokens may name it as they like.
type fixed struct{ key }

func (f fixed) find(context.Context, string) ([]key, error) { return []key{f.key}, nil }

// SecretFile reads the secret of HS256 from a file. White space around it is not part of it, so that an editor's last
// newline does no harm; the rest is used byte for byte. It must have 32 bytes or more.
func SecretFile(name string) (Keys, error) {
	secret, err := ReadSecret(name)
	if err != nil {
		return nil, err
	}
	return fixed{key{method: methodHS256, value: secret}}, nil
}

// ReadSecret reads a secret as SecretFile does, for Mint, for a webhook's signature or for a comparison.
func ReadSecret(name string) ([]byte, error) {
	b, err := readFile(name)
	if err != nil {
		return nil, err
	}
	secret := bytes.TrimSpace(b)
	if len(secret) < minSecret {
		return nil, fmt.Errorf("the secret in %s has %d bytes, %d are the least; weft token --new-secret makes a good one", name, len(secret), minSecret)
	}
	return secret, nil
}

// PublicKeyFile reads a public key from a PEM file: a SubjectPublicKeyInfo ("PUBLIC KEY"), a PKCS #1 key ("RSA PUBLIC
// KEY") or a certificate, whose dates and signature are not looked at. RSA keys of 2,048 to 8,192 bits are for RS256,
// P-256 for ES256, Ed25519 for EdDSA.
func PublicKeyFile(name string) (Keys, error) {
	b, err := readFile(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s is not a PEM file", name)
	}
	var value any
	switch block.Type {
	case "PUBLIC KEY":
		value, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		value, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
			value = cert.PublicKey
		}
	default:
		return nil, fmt.Errorf("%s holds a %q, want a public key", name, block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("read the public key in %s: %w", name, err)
	}
	k, err := newKey("", value)
	if err != nil {
		return nil, fmt.Errorf("the public key in %s cannot be used: %w", name, err)
	}
	return fixed{k}, nil
}

// newKey finds the method of a public key and checks its size.
func newKey(id string, value any) (key, error) {
	switch v := value.(type) {
	case *rsa.PublicKey:
		if n := v.N.BitLen(); n < minRSA || n > maxRSA {
			return key{}, fmt.Errorf("an RSA key of %d bits, want %d to %d", n, minRSA, maxRSA)
		}
		return key{id, methodRS256, v}, nil
	case *ecdsa.PublicKey:
		if v.Curve != elliptic.P256() {
			return key{}, fmt.Errorf("a key on curve %s, want P-256", v.Curve.Params().Name)
		}
		return key{id, methodES256, v}, nil
	case ed25519.PublicKey:
		return key{id, methodEdDSA, v}, nil
	}
	return key{}, errors.New("want an RSA, a P-256 or an Ed25519 key")
}

// readFile reads a small file.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, maxFile)
}
