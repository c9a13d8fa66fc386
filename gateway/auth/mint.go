package auth

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are what a token says.
type Claims struct {
	User     User
	Session  string // jti; may be empty
	Rooms    []Rule
	Issuer   string    // iss; may be empty
	Audience string    // aud; may be empty
	Issued   time.Time // iat; zero: not said
	Expires  time.Time // exp, cut to whole seconds; zero: not said
}

// Mint signs a token with HS256 that JWT accepts. It is meant for development and tests: the application that knows the
// users is the right one to make tokens. It fails for a secret under 32 bytes and for claims that JWT would refuse.
func Mint(secret []byte, c Claims) (string, error) {
	if len(secret) < minSecret {
		return "", fmt.Errorf("the secret has %d bytes, %d are the least", len(secret), minSecret)
	}
	if _, err := user(c.User.ID, c.User.Name); err != nil {
		return "", err
	}
	if len(c.Rooms) > maxRules {
		return "", fmt.Errorf("more than %d patterns", maxRules)
	}
	for _, r := range c.Rooms {
		if err := r.Pattern.Check(); err != nil {
			return "", err
		}
	}
	body := claims{
		RegisteredClaims: jwt.RegisteredClaims{Subject: c.User.ID, ID: c.Session, Issuer: c.Issuer},
		Name:             c.User.Name, Rooms: c.Rooms,
	}
	if c.Audience != "" {
		body.Audience = jwt.ClaimStrings{c.Audience}
	}
	if !c.Issued.IsZero() {
		body.IssuedAt = jwt.NewNumericDate(c.Issued)
	}
	if !c.Expires.IsZero() {
		body.ExpiresAt = jwt.NewNumericDate(c.Expires)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, body).SignedString(secret)
	if err == nil && len(token) > maxToken {
		err = errors.New("the token would be larger than 8 KiB")
	}
	if err != nil {
		return "", err
	}
	return token, nil
}
