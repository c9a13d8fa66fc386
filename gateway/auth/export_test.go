package auth

import "context"

// NewJWKSFrom is NewJWKS with a function in the place of a file or server.
func NewJWKSFrom(o JWKSOptions, read func(context.Context) ([]byte, error)) *JWKS {
	return startJWKS(o, read)
}

// Limits for tests.
const (
	MaxKept    = maxKept
	MaxAsking  = maxAsking
	MaxWaiting = maxWaiting
)

// Signature is the HMAC that a webhook's question carries.
var Signature = signature
