package auth

import (
	"context"
	"time"
)

// NewJWKSFrom is NewJWKS with a function in the place of a file or server.
func NewJWKSFrom(o JWKSOptions, read func(context.Context) ([]byte, error)) *JWKS {
	return startJWKS(o, read)
}

// Limits for tests.
const (
	MaxKept    = maxKept
	MaxAsking  = maxAsking
	MaxWaiting = maxWaiting

	MaxOfAddress = maxOfAddress
	MaxRefused   = maxRefused
)

// Signature is the HMAC that a webhook's question carries.
var Signature = signature

// DecodeRestrictions and EncodeRestrictions are the file's format.
var (
	DecodeRestrictions = decodeRestrictions
	EncodeRestrictions = encodeRestrictions
)

// MaxRestrictions is how many there may be.
const MaxRestrictions = maxRestrictions

// SetClock replaces the clock.
func (r *Restrictions) SetClock(now func() time.Time) { r.now = now }
