package protocol

import "weft/protocol/weftv1"

// codes gives the native protocol's word for each reason. PROTOCOL.md has the
// same table.
var codes = map[string]weftv1.Code{
	Normal.Name:       weftv1.Code_CODE_NORMAL,
	Restarting.Name:   weftv1.Code_CODE_DRAINING,
	Overloaded.Name:   weftv1.Code_CODE_OVERLOADED,
	Flooded.Name:      weftv1.Code_CODE_RATE_LIMITED,
	Malformed.Name:    weftv1.Code_CODE_MALFORMED,
	Unauthorized.Name: weftv1.Code_CODE_UNAUTHORIZED,
	Forbidden.Name:    weftv1.Code_CODE_FORBIDDEN,
	NotFound.Name:     weftv1.Code_CODE_NOT_FOUND,
	TimedOut.Name:     weftv1.Code_CODE_TIMED_OUT,
	Unsupported.Name:  weftv1.Code_CODE_UNSUPPORTED,
	TooLarge.Name:     weftv1.Code_CODE_TOO_LARGE,
	Quarantined.Name:  weftv1.Code_CODE_QUARANTINED,
	Internal.Name:     weftv1.Code_CODE_INTERNAL,
	Draining.Name:     weftv1.Code_CODE_UNAVAILABLE,
	Unavailable.Name:  weftv1.Code_CODE_UNAVAILABLE,
	TooSlow.Name:      weftv1.Code_CODE_TOO_SLOW,
	Incomplete.Name:   weftv1.Code_CODE_UNAVAILABLE,
	RateLimited.Name:  weftv1.Code_CODE_RATE_LIMITED,
}

// NativeCode returns the native protocol's code for a reason.
func NativeCode(r Reason) weftv1.Code { return codes[r.Name] }

// NativeRetry tells whether a native client should try again by itself after an
// end for a reason. It differs from Reason.Retry for TimedOut, whose close code
// stops browsers: a native client that was silent may come back.
func NativeRetry(r Reason) bool { return r.Retry || r == TimedOut }

// Refusal returns the Refused that tells why, without a room or an update. The
// text is the reason's; the detail is for logs.
func Refusal(why *CloseError) *weftv1.Refused {
	return weftv1.Refused_builder{
		Code: NativeCode(why.Reason), Message: why.Reason.Text, Retry: NativeRetry(why.Reason),
	}.Build()
}
