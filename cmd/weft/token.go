package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"weft/gateway/auth"
)

// tokenCmd is the verb token. Only the secret, issuer and audience can come from the environment, where serve looks too.
type tokenCmd struct {
	JWTSecretFile string        `name:"jwt-secret-file" required:"" placeholder:"FILE" help:"The secret that the server was given."`
	NewSecret     bool          `env:"-" help:"Make the secret file first; it must not exist yet."`
	JWTIssuer     string        `name:"jwt-issuer" placeholder:"NAME" help:"The token's iss."`
	JWTAudience   string        `name:"jwt-audience" placeholder:"NAME" help:"The token's aud."`
	User          string        `env:"-" placeholder:"ID" help:"Whose token it is."`
	Name          string        `env:"-" help:"Their name, for others to read."`
	Session       string        `env:"-" placeholder:"ID" help:"The token's jti, by which it can be revoked."`
	Room          []string      `env:"-" sep:"none" placeholder:"PATTERN=ACCESS" help:"Rooms that may be read, or read and written: docs/*=write, public/**=read; may be repeated. Without any it is **=write."`
	TTL           time.Duration `env:"-" name:"ttl" default:"1h" help:"For how long it is good (${default})."`
}

// Help is what --help says beside the flags.
func (tokenCmd) Help() string {
	return `Prints a token for a server that runs with --auth jwt and the same --jwt-secret-file, and nothing else. It is for development
and tests: in production your application makes the tokens, after it has found out who somebody is.

  weft token --jwt-secret-file secret --new-secret --user ada --name Ada --room 'docs/*=write'`
}

// Run prints a token.
func (c *tokenCmd) Run(std streams) error {
	rooms, err := parseRules(c.Room)
	if err != nil {
		return err
	}
	if c.TTL < time.Second {
		return usagef("--ttl %v is shorter than a second", c.TTL)
	}
	if c.NewSecret {
		if err := newSecret(c.JWTSecretFile); err != nil {
			return err
		}
	}
	secret, err := auth.ReadSecret(c.JWTSecretFile)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no file %s; --new-secret makes one", c.JWTSecretFile)
	}
	if err != nil {
		return err
	}
	now := time.Now()
	token, err := auth.Mint(secret, auth.Claims{
		User: auth.User{ID: c.User, Name: c.Name}, Session: c.Session, Rooms: rooms,
		Issuer: c.JWTIssuer, Audience: c.JWTAudience, Issued: now, Expires: now.Add(c.TTL),
	})
	if err != nil {
		return usagef("%v", err)
	}
	_, err = fmt.Fprintln(std.out, token)
	return err
}

// parseRules reads PATTERN=read and PATTERN=write.
func parseRules(list []string) ([]auth.Rule, error) {
	if len(list) == 0 {
		return []auth.Rule{{Pattern: "**", Write: true}}, nil
	}
	rules := make([]auth.Rule, 0, len(list))
	for _, s := range list {
		i := strings.LastIndexByte(s, '=')
		if i < 0 || s[i+1:] != "read" && s[i+1:] != "write" {
			return nil, usagef("--room %s: want a pattern and what is allowed, such as docs/*=write or docs/*=read", s)
		}
		r := auth.Rule{Pattern: auth.Pattern(s[:i]), Write: s[i+1:] == "write"}
		if err := r.Pattern.Check(); err != nil {
			return nil, usagef("--room %s: %v", s, err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// newSecret makes a file with a secret that only its owner may read: 32 random bytes in base64.
func newSecret(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists; leave out --new-secret to use it", name)
	}
	if err != nil {
		return err
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	_, err = fmt.Fprintln(f, base64.RawURLEncoding.EncodeToString(secret[:]))
	if bad := f.Close(); err == nil {
		err = bad
	}
	return err
}
