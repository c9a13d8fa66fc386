package auth

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// errTooLong is the error of readAll.
var errTooLong = errors.New("more bytes than are read")

// readAll reads r to its end, which must come within limit bytes.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = errTooLong
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// endpoint checks the URL of a server whose answers decide about access. Over plain HTTP anybody on the way could
// answer, so that is for this machine only, unless insecure says otherwise.
func endpoint(raw string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "":
		return nil, errors.New("want a URL such as https://app.example.com/path")
	case u.User != nil:
		return nil, errors.New("a password in a URL ends up in logs; it is not supported")
	case u.Fragment != "":
		return nil, errors.New("the part behind # is never sent; leave it out")
	case u.Scheme == "https", u.Scheme == "http" && (insecure || loopback(u.Hostname())):
		return u, nil
	case u.Scheme == "http":
		return nil, fmt.Errorf("over plain http anybody between this machine and %s could answer; use https, or say --insecure if nobody can be between", u.Hostname())
	}
	return nil, fmt.Errorf("cannot speak %q, want https", u.Scheme)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// newClient returns an HTTP client that follows no redirects, asks no proxy and never has more than conns connections.
// The contexts of the requests bound their time.
func newClient(conns int) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second,
			MaxConnsPerHost:     conns, MaxIdleConnsPerHost: conns, IdleConnTimeout: time.Minute,
			DisableCompression:     true, // what is read is what came
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
		},
	}
}

// withoutURL drops the URL from an error of net/http: its query may hold a secret, and whoever reads the error knows it.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
