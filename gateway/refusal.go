package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// refusal is an answer to a request that is not served: an HTTP status with a typed JSON body.
//
//	{"error":{"code":"bad_room","message":"...","retryable":false}}
type refusal struct {
	status     int
	code       string        // snake case, stable: programs and metrics branch on it
	message    string        // a sentence for people, without anything the client sent as a secret
	retryAfter time.Duration // > 0: worth trying again, after this time (whole seconds)
}

func (f refusal) Error() string { return f.message }

// write answers the request.
func (f refusal) write(w http.ResponseWriter) {
	var body struct {
		Error struct {
			Code      string `json:"code"`
			Message   string `json:"message"`
			Retryable bool   `json:"retryable"`
		} `json:"error"`
	}
	body.Error.Code, body.Error.Message, body.Error.Retryable = f.code, f.message, f.retryAfter > 0
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((f.retryAfter+time.Second-1)/time.Second)))
	}
	writeJSON(w, f.status, body)
}

// writeJSON answers with v, which must be a value that encoding/json accepts.
func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // v is one of our own structs
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the client went away; there is nobody left to tell
}
