package main

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"weft/gateway/auth"
)

// authFlags say who may connect.
type authFlags struct {
	Auth                  string `default:"none" enum:"none,jwt,webhook" help:"Who may connect: none means everybody who can reach the address, jwt whoever has a signed token, webhook whomever your application lets in."`
	JWTSecretFile         string `name:"jwt-secret-file" placeholder:"FILE" help:"Take tokens that are signed with the secret in this file (HS256)."`
	JWTPublicKeyFile      string `name:"jwt-public-key-file" placeholder:"FILE" help:"Take tokens of the public key in this PEM file (RS256, ES256 or EdDSA)."`
	JWKSURL               string `name:"jwks-url" placeholder:"URL" help:"Take tokens of the keys in this JSON Web Key Set: an https URL or a file, read again every 5 minutes."`
	JWTIssuer             string `name:"jwt-issuer" placeholder:"NAME" help:"What a token's iss must be."`
	JWTAudience           string `name:"jwt-audience" placeholder:"NAME" help:"What a token's aud must have."`
	JWTAllowEndless       bool   `name:"jwt-allow-endless" help:"Take tokens without exp, too."`
	AuthWebhook           string `placeholder:"URL" help:"Ask this address of your application about each token."`
	AuthWebhookSecretFile string `placeholder:"FILE" help:"Sign the questions with the secret in this file."`
	StampPresence         bool   `help:"Write the id and name of a token into the presence of its owner, so that nobody can pretend to be another."`
}

// flagSet is a flag and whether it was given.
type flagSet struct {
	name string
	set  bool
}

// given returns the names of those that were.
func given(flags []flagSet) (names []string) {
	for _, f := range flags {
		if f.set {
			names = append(names, f.name)
		}
	}
	return names
}

// keyFlags are the flags of which --auth jwt needs one.
func (f *authFlags) keyFlags() []flagSet {
	return []flagSet{
		{"--jwt-secret-file", f.JWTSecretFile != ""},
		{"--jwt-public-key-file", f.JWTPublicKeyFile != ""},
		{"--jwks-url", f.JWKSURL != ""},
	}
}

// check refuses settings that contradict each other: somebody who names a key wants it to be used.
func (f *authFlags) check() error {
	jwt := append(f.keyFlags(),
		flagSet{"--jwt-issuer", f.JWTIssuer != ""}, flagSet{"--jwt-audience", f.JWTAudience != ""},
		flagSet{"--jwt-allow-endless", f.JWTAllowEndless})
	webhook := []flagSet{
		{"--auth-webhook", f.AuthWebhook != ""},
		{"--auth-webhook-secret-file", f.AuthWebhookSecretFile != ""},
	}
	if names := given(jwt); f.Auth != "jwt" && len(names) > 0 {
		return usagef("%s is for --auth jwt, and this is --auth %s", names[0], f.Auth)
	}
	if names := given(webhook); f.Auth != "webhook" && len(names) > 0 {
		return usagef("%s is for --auth webhook, and this is --auth %s", names[0], f.Auth)
	}
	if f.StampPresence && f.Auth != "jwt" && f.Auth != "webhook" {
		return usagef("--stamp-presence needs to know who people are: say --auth jwt or --auth webhook")
	}
	switch f.Auth {
	case "jwt":
		switch keys := given(f.keyFlags()); len(keys) {
		case 0:
			return usagef("--auth jwt needs to know whose tokens are good: say one of --jwt-secret-file, --jwt-public-key-file and --jwks-url")
		case 1:
		default:
			return usagef("%s are both where keys come from; say one", strings.Join(keys[:2], " and "))
		}
	case "webhook":
		if f.AuthWebhook == "" {
			return usagef("--auth webhook needs to know whom to ask: say --auth-webhook URL")
		}
	}
	return nil
}

// open returns the Authorizer of the checked settings, nil for none, and what ends it.
func (f *authFlags) open(insecure bool, log *slog.Logger, m *metrics) (auth.Authorizer, func(), error) {
	switch f.Auth {
	case "jwt":
		return f.openJWT(insecure, log, m)
	case "webhook":
		o := auth.WebhookOptions{URL: f.AuthWebhook, Insecure: insecure, Failed: complain(log, m, "webhook")}
		if f.AuthWebhookSecretFile != "" {
			secret, err := auth.ReadSecret(f.AuthWebhookSecretFile)
			if err != nil {
				return nil, nil, usagef("--auth-webhook-secret-file: %v", err)
			}
			o.Secret = secret
		}
		w, err := auth.NewWebhook(o)
		if err != nil {
			return nil, nil, usagef("--auth-webhook: %v", err)
		}
		return w, w.Close, nil
	}
	return nil, func() {}, nil
}

func (f *authFlags) openJWT(insecure bool, log *slog.Logger, m *metrics) (auth.Authorizer, func(), error) {
	stop := func() {}
	var keys auth.Keys
	var err error
	switch {
	case f.JWTSecretFile != "":
		keys, err = auth.SecretFile(f.JWTSecretFile)
	case f.JWTPublicKeyFile != "":
		keys, err = auth.PublicKeyFile(f.JWTPublicKeyFile)
	default: // check saw to it that there is one
		var set *auth.JWKS
		if set, err = auth.NewJWKS(auth.JWKSOptions{Source: f.JWKSURL, Insecure: insecure, Failed: complain(log, m, "jwks")}); err == nil {
			keys, stop = set, set.Close
		}
	}
	if err != nil {
		return nil, nil, usagef("%s: %v", given(f.keyFlags())[0], err)
	}
	j, err := auth.NewJWT(auth.JWTOptions{Keys: keys, Issuer: f.JWTIssuer, Audience: f.JWTAudience, AllowEndless: f.JWTAllowEndless})
	if err != nil {
		stop()
		return nil, nil, err
	}
	return j, stop, nil
}

// complaintGap is the shortest time between two log lines about the same part of auth: while it fails it fails for
// everybody who wants in.
const complaintGap = 10 * time.Second

// complain returns a function that counts failures of a part of auth and logs some of them.
func complain(log *slog.Logger, m *metrics, part string) func(error) {
	some := &rate.Sometimes{Interval: complaintGap}
	count := m.authFailures.WithLabelValues(part)
	return func(err error) {
		count.Inc()
		some.Do(func() { log.Warn("nobody can be let in who needs it", "part", part, "err", clip(fmt.Sprint(err))) })
	}
}
