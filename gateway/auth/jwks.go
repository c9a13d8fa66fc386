package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/MicahParks/keyfunc/v3"

	"weft/protocol"
)

// JWKSOptions configures a JWKS. Zero fields mean their defaults.
type JWKSOptions struct {
	// Source is where the key set is: an https URL, or the name of a file. Required.
	Source string
	// Insecure allows plain http to other machines.
	Insecure bool
	// Refresh is how often the set is read again. Default 5 min.
	Refresh time.Duration
	// Failed is told why the set could not be read; it is tried again. It must not block. Nil: nobody.
	Failed func(error)
}

// Times and bounds of a JWKS.
const (
	defaultRefresh = 5 * time.Minute
	fetchTime      = 4 * time.Second  // for one reading of the set
	fetchGap       = 10 * time.Second // between readings that tokens ask for
	staleAfter     = 24 * time.Hour   // a set that could not be read again for so long is not believed any more
	maxKeys        = 64               // of one set; the others are not used
)

// JWKS are the keys of a JSON Web Key Set (RFC 7517) that is read again and again, so that an identity provider can
// change its keys. Private parts, secrets ("oct") and keys for other uses or methods are left out.
//
// One goroutine reads. Tokens of known keys never wait for it. A token that names an unknown key has the set read again,
// at most every 10 s however many of them come, and waits for that, at most 4 s; in between it is told to come back
// later, for its key may have been added since. A server that is down or hangs leaves
// the keys as they are for a day; then, or when there never were any, everybody is told to come back later.
type JWKS struct {
	// Static after construction.
	o      JWKSOptions
	read   func(context.Context) ([]byte, error)
	stop   context.CancelFunc
	wanted chan struct{} // holds one wish to read now
	wg     sync.WaitGroup

	// Guarded by mu.
	mu    sync.Mutex
	keys  []key
	since time.Time     // when keys were read; zero: never
	tried time.Time     // when the last reading ended, whatever came of it
	round chan struct{} // closed when the next reading ends
}

// NewJWKS starts reading. A file must be readable now; a URL need not be. Close it.
func NewJWKS(o JWKSOptions) (*JWKS, error) {
	read, err := source(o)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	if !remote(o.Source) {
		b, err := read(context.Background())
		if err == nil {
			_, err = parseKeySet(b)
		}
		if err != nil {
			return nil, fmt.Errorf("key set %s: %w", o.Source, err)
		}
	}
	return startJWKS(o, read), nil
}

func startJWKS(o JWKSOptions, read func(context.Context) ([]byte, error)) *JWKS {
	if o.Refresh == 0 {
		o.Refresh = defaultRefresh
	}
	ctx, stop := context.WithCancel(context.Background())
	j := &JWKS{o: o, read: read, stop: stop, wanted: make(chan struct{}, 1), round: make(chan struct{})}
	j.wg.Go(func() { j.run(ctx) })
	return j
}

// Close stops the reading and waits for its end. Keys that were read stay usable.
func (j *JWKS) Close() {
	j.stop()
	j.wg.Wait()
}

func remote(source string) bool { return strings.Contains(source, "://") }

// source returns what reads the set.
func source(o JWKSOptions) (func(context.Context) ([]byte, error), error) {
	if !remote(o.Source) {
		return func(context.Context) ([]byte, error) { return readFile(o.Source) }, nil
	}
	u, err := endpoint(o.Source, o.Insecure)
	if err != nil {
		return nil, err
	}
	client, address := newClient(1), u.String()
	return func(ctx context.Context) ([]byte, error) {
		defer client.CloseIdleConnections() // minutes pass until the next one
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Accept", "application/jwk-set+json, application/json")
		resp, err := client.Do(req)
		if err != nil {
			return nil, withoutURL(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("status %d", resp.StatusCode)
		}
		return readAll(resp.Body, maxFile)
	}, nil
}

// run reads the set at once, every Refresh, and when somebody wants it.
func (j *JWKS) run(ctx context.Context) {
	ticker := time.NewTicker(j.o.Refresh)
	defer ticker.Stop()
	for {
		j.refresh(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-j.wanted:
		}
	}
}

func (j *JWKS) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	b, err := j.read(ctx)
	var keys []key
	if err == nil {
		keys, err = parseKeySet(b)
	}
	j.mu.Lock()
	j.tried = time.Now()
	if err == nil {
		j.keys, j.since = keys, j.tried
	}
	close(j.round)
	j.round = make(chan struct{})
	j.mu.Unlock()
	if err != nil && j.o.Failed != nil {
		j.o.Failed(fmt.Errorf("read the key set: %w", err))
	}
}

// find implements Keys.
func (j *JWKS) find(ctx context.Context, kid string) ([]key, error) {
	found, round := j.look(kid)
	read := round != nil
	if read {
		select {
		case <-round:
		case <-ctx.Done():
			return nil, protocol.Overloaded.Closef("the key set was waited for: %v", context.Cause(ctx))
		case <-time.After(fetchTime):
			return nil, protocol.Overloaded.Closef("the key set does not come")
		}
		found, _ = j.look(kid)
	}
	if len(found) > 0 {
		return found, nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.since.IsZero() || !j.since.Equal(j.tried) || time.Since(j.since) > staleAfter {
		return nil, protocol.Overloaded.Closef("the key set cannot be read")
	}
	if !read {
		return nil, protocol.Overloaded.Closef("the token's key is not in the key set that was read %v ago", time.Since(j.since).Round(time.Second))
	}
	return nil, protocol.Unauthorized.Closef("the token's key is not in the key set")
}

// look returns the keys for kid, all of them when it is empty. When there are none and another reading may help it has
// one begin, and returns what is closed at its end.
func (j *JWKS) look(kid string) ([]key, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.since.IsZero() && time.Since(j.since) <= staleAfter {
		if kid == "" && len(j.keys) > 0 {
			return j.keys, nil
		}
		if i := slices.IndexFunc(j.keys, func(k key) bool { return k.id == kid }); i >= 0 {
			return j.keys[i : i+1], nil
		}
	}
	if !j.tried.IsZero() {
		if time.Since(j.tried) < fetchGap {
			return nil, nil
		}
		select {
		case j.wanted <- struct{}{}:
		default:
		}
	}
	return nil, j.round
}

// publicKey are the members of a JSON Web Key that may leave its file.
type publicKey struct {
	Type   string   `json:"kty"`
	Use    string   `json:"use,omitempty"`
	Ops    []string `json:"key_ops,omitempty"`
	Method string   `json:"alg,omitempty"`
	ID     string   `json:"kid,omitempty"`
	Curve  string   `json:"crv,omitempty"`
	X      string   `json:"x,omitempty"`
	Y      string   `json:"y,omitempty"`
	N      string   `json:"n,omitempty"`
	E      string   `json:"e,omitempty"`
}

// parseKeySet returns the keys of a set that can be used here. A set without any is an error: it is more likely a wrong
// address than a provider that wants everybody out.
func parseKeySet(b []byte) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &set); err != nil {
		return nil, errors.New("not a JSON Web Key Set")
	}
	var keys []key
	seen := map[string]bool{}
	for _, raw := range set.Keys {
		k, err := parseKey(raw)
		if err != nil || k.id != "" && seen[k.id] || len(keys) == maxKeys {
			continue
		}
		seen[k.id] = true
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("none of its %d keys is a public key for RS256, ES256 or EdDSA", len(set.Keys))
	}
	return keys, nil
}

// parseKey reads one key of a set.
func parseKey(raw json.RawMessage) (key, error) {
	var p publicKey
	if err := json.Unmarshal(raw, &p); err != nil {
		return key{}, err
	}
	if p.Use != "" && p.Use != "sig" || len(p.Ops) > 0 && !slices.Contains(p.Ops, "verify") {
		return key{}, errors.New("a key for another use")
	}
	public, err := json.Marshal(p)
	if err != nil {
		return key{}, err
	}
	f, err := keyfunc.NewJWKJSON(public)
	if err != nil {
		return key{}, err
	}
	set, err := f.VerificationKeySet(context.Background())
	if err != nil {
		return key{}, err
	}
	if len(set.Keys) != 1 {
		return key{}, errors.New("not one key")
	}
	k, err := newKey(p.ID, set.Keys[0])
	if err == nil && p.Method != "" && p.Method != k.method {
		err = errors.New("a key for another method")
	}
	return k, err
}
