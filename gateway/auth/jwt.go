package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"weft/protocol"
)

// JWTOptions configures a JWT. Zero fields mean their defaults.
type JWTOptions struct {
	// Keys verify the signatures. Required.
	Keys Keys
	// Issuer is what iss must be. Empty: anything.
	Issuer string
	// Audience is what aud must have among its values. Empty: anything.
	Audience string
	// AllowEndless lets tokens without exp in. Their grants never expire.
	AllowEndless bool
	// Leeway is by how much clocks may differ: a token is taken that long after exp and before nbf. Default 30 s;
	// negative: none.
	Leeway time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

const defaultLeeway = 30 * time.Second

// JWT is an Authorizer for signed tokens (RFC 7519). It reads the claims
//
//	sub    who it is; at most 256 bytes without control characters
//	name   for others to read
//	rooms  what may be read and written, see Rule; without it nothing may
//	exp    when the token ends, in seconds since 1970; required unless AllowEndless
//	nbf    when it begins
//	jti    names the sign-in, for revoking it; without it a hash of the token does
//	iss, aud
//
// and no others. A token is at most 8 KiB. The grant ends at exp, not later: the leeway is for getting in, and whoever
// got in by it stays until the leeway is over.
type JWT struct {
	// Static after construction.
	o      JWTOptions
	parser *jwt.Parser
}

// NewJWT returns an Authorizer for the tokens that o describes. The keys stay the caller's to close.
func NewJWT(o JWTOptions) (*JWT, error) {
	if o.Keys == nil {
		return nil, errors.New("auth: JWTOptions.Keys is nil")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	switch {
	case o.Leeway == 0:
		o.Leeway = defaultLeeway
	case o.Leeway < 0:
		o.Leeway = 0
	}
	return &JWT{o: o, parser: newParser(o)}, nil
}

func newParser(o JWTOptions) *jwt.Parser {
	options := []jwt.ParserOption{
		jwt.WithValidMethods([]string{methodHS256, methodRS256, methodES256, methodEdDSA}), // and the one of the key, see keysFor
		jwt.WithStrictDecoding(), jwt.WithTimeFunc(o.Now), jwt.WithLeeway(o.Leeway),
	}
	if !o.AllowEndless {
		options = append(options, jwt.WithExpirationRequired())
	}
	if o.Issuer != "" {
		options = append(options, jwt.WithIssuer(o.Issuer))
	}
	if o.Audience != "" {
		options = append(options, jwt.WithAudience(o.Audience))
	}
	return jwt.NewParser(options...)
}

// claims are those of a token that this package knows.
type claims struct {
	jwt.RegisteredClaims
	Name  string `json:"name,omitempty"`
	Rooms rules  `json:"rooms,omitempty"`
}

// Authorize implements Authorizer. It waits only for the keys.
func (j *JWT) Authorize(ctx context.Context, r Request) (Grant, error) {
	allow, err := j.Rooms(ctx, r.Token)
	if err != nil {
		return Grant{}, err
	}
	g, ok := allow(r.Room)
	if !ok {
		return Grant{}, protocol.Forbidden.Closef("the token has no pattern for this room")
	}
	return g, nil
}

// Rooms returns what a token allows in whichever room, so that a list of rooms need not be asked about one by one; false
// is nothing. Its errors are those of Authorize but Forbidden.
func (j *JWT) Rooms(ctx context.Context, token string) (func(room string) (Grant, bool), error) {
	if err := checkToken(token); err != nil {
		return nil, err
	}
	var c claims
	_, err := j.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) { return j.keysFor(ctx, t) })
	if err != nil {
		return nil, refused(err)
	}
	g, err := j.grant(token, c)
	if err != nil {
		return nil, err
	}
	return func(room string) (Grant, bool) {
		read, write := c.Rooms.allow(room)
		if !read {
			return Grant{}, false
		}
		g := g
		g.Write = write
		return g, true
	}, nil
}

// checkToken refuses what is no token at all.
func checkToken(token string) error {
	switch {
	case token == "":
		return protocol.Unauthorized.Closef("no token")
	case len(token) > maxToken:
		return protocol.Unauthorized.Closef("a token of more than %d bytes", maxToken)
	}
	return nil
}

// keysFor returns the keys that fit a token whose signature has not been checked yet. A key is only ever used with its
// own method, whatever the token says: a public key is no HMAC secret.
func (j *JWT) keysFor(ctx context.Context, t *jwt.Token) (any, error) {
	if _, ok := t.Header["crit"]; ok { // RFC 7515 section 4.1.11: what must be understood and is not
		return nil, protocol.Unauthorized.Closef("the token's header has crit")
	}
	kid := ""
	if v, ok := t.Header["kid"]; ok {
		if kid, ok = v.(string); !ok {
			return nil, protocol.Unauthorized.Closef("the token's kid is not a string")
		}
	}
	keys, err := j.o.Keys.find(ctx, kid)
	if err != nil {
		return nil, err
	}
	var set jwt.VerificationKeySet
	for _, k := range keys {
		if k.method == t.Method.Alg() {
			set.Keys = append(set.Keys, k.value)
		}
	}
	if len(set.Keys) == 0 {
		return nil, protocol.Unauthorized.Closef("the token's alg is not that of the key")
	}
	return set, nil
}

// grant is what a token with a good signature says, without the rooms.
func (j *JWT) grant(token string, c claims) (Grant, error) {
	who, err := user(c.Subject, c.Name)
	if err != nil {
		return Grant{}, protocol.Unauthorized.Closef("%v", err)
	}
	g := Grant{User: who, Session: c.ID}
	if g.Session == "" || len(g.Session) > maxSession || !printable(g.Session) {
		g.Session = sessionOf(token)
	}
	if c.ExpiresAt != nil {
		g.Expires = c.ExpiresAt.Time
		if !j.o.Now().Before(g.Expires) {
			g.Expires = g.Expires.Add(j.o.Leeway)
		}
	}
	return g, nil
}

// sessionOf names a token without being it: half of its SHA-256, in hexadecimal digits.
func sessionOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:16])
}

// refused turns an error of the jwt package into ours. Its texts may quote the token, so none of them is passed on.
func refused(err error) error {
	if ce, ok := errors.AsType[*protocol.CloseError](err); ok { // from keysFor
		return ce
	}
	for _, known := range []struct {
		err  error
		text string
	}{
		{jwt.ErrTokenExpired, "the token has expired"},
		{jwt.ErrTokenNotValidYet, "the token is not valid yet"},
		{jwt.ErrTokenInvalidAudience, "the token is for another audience"},
		{jwt.ErrTokenInvalidIssuer, "the token is of another issuer"},
		{jwt.ErrTokenRequiredClaimMissing, "the token lacks a claim that is required"},
		{jwt.ErrTokenSignatureInvalid, "the token's signature or its alg is wrong"},
		{jwt.ErrTokenUnverifiable, "the token's alg is unknown"},
	} {
		if errors.Is(err, known.err) {
			return protocol.Unauthorized.Closef("%s", known.text)
		}
	}
	return protocol.Unauthorized.Closef("the token cannot be read")
}
