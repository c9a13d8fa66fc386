package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Options say how to reach Redis.
type Options struct {
	Addrs    []string    // host:port of one server, or of some nodes of a Redis Cluster
	Cluster  bool        // Redis Cluster behind a single address
	Username string      // for ACL users; they need the keys Prefix:* and the commands that the scripts use
	Password string      // "" for none
	TLS      *tls.Config // nil for plain TCP
	Prefix   string      // of all keys, default "weft"
	// Timeout is for dialling, for writing and for reading all answers of one pipeline; default 300 ms. While Redis hangs
	// nothing waits longer.
	Timeout time.Duration
	// Dialer is for tests; nil is a net.Dialer. It has to do TLS itself.
	Dialer func(ctx context.Context, network, addr string) (net.Conn, error)
}

// ParseURL reads redis://user:password@host:port, or rediss:// for TLS. A Redis Cluster is named by ?addr=host:port for
// further nodes. Errors do not quote the URL, which may hold a password.
func ParseURL(url string) (Options, error) {
	o, err := redis.ParseClusterURL(url)
	if err != nil {
		return Options{}, errors.New("want redis://[user:password@]host:port[?addr=host:port], or rediss:// for TLS")
	}
	return Options{Addrs: o.Addrs, Cluster: len(o.Addrs) > 1, Username: o.Username, Password: o.Password, TLS: o.TLSConfig}, nil
}

// Redis is a Coordinator and a Log in one Redis server or Redis Cluster.
//
// It has three clients, so that heartbeats and claims never wait behind appends, nor appends behind the reading of a long
// log. None of them retries: what an operation may be repeated for, and when, is for its caller.
type Redis struct {
	control, log, bulk redis.UniversalClient
	scripts            scripts
	prefix             string
}

var (
	_ Coordinator = (*Redis)(nil)
	_ Log         = (*Redis)(nil)
)

// NewRedis returns a Redis that connects when it is used. Close ends its connections.
func NewRedis(o Options) *Redis {
	if o.Prefix == "" {
		o.Prefix = "weft"
	}
	if o.Timeout == 0 {
		o.Timeout = 300 * time.Millisecond
	}
	client := func(name string, conns int) redis.UniversalClient {
		return redis.NewUniversalClient(&redis.UniversalOptions{
			Addrs:                 o.Addrs,
			IsClusterMode:         o.Cluster,
			ClientName:            o.Prefix + "-" + name,
			Username:              o.Username,
			Password:              o.Password,
			TLSConfig:             o.TLS,
			Dialer:                o.Dialer,
			Protocol:              2,
			DialTimeout:           o.Timeout,
			ReadTimeout:           o.Timeout,
			WriteTimeout:          o.Timeout,
			PoolTimeout:           o.Timeout,
			PoolSize:              conns,
			MaxRetries:            -1, // a retry that nobody knows of would be a second append
			ContextTimeoutEnabled: true,
			DisableIdentity:       true, // its answer, if late, could be taken for that of a script
			MaintNotificationsConfig: &maintnotifications.Config{
				Mode: maintnotifications.ModeDisabled,
			},
		})
	}
	return &Redis{
		control: client("control", 4),
		log:     client("log", 4),
		bulk:    client("bulk", 4),
		scripts: newScripts(),
		prefix:  o.Prefix,
	}
}

// Close closes all connections.
func (r *Redis) Close() error {
	return errors.Join(r.control.Close(), r.log.Close(), r.bulk.Close())
}

// The keys. What is in braces is all that Redis Cluster looks at to find the server: the keys of a room are together.
//
//	weft:{nodes}:m   sorted set   node -> expiry of its session in Redis' milliseconds
//	weft:{nodes}:i   hash         node -> what others should know of it
//	weft:{nodes}:g   string       generation: random, gone when Redis was wiped
//	weft:{ROOM}:o    hash         e epoch, n owner, s last seq, t trimmed up to, b standbys, p policy,
//	                              ve vn vb vr: epoch, node, standbys and run id of who served last
//	weft:{ROOM}:l    stream       id epoch-seq, one field: the kind and the bytes
//	weft:{ROOM}:c    hash         node -> epoch-seq up to which it has everything on disk
//
// ROOM is the hash of its name. Nothing has a time to live but the sessions.
func (r *Redis) key(tag, kind string) string { return r.prefix + ":{" + tag + "}:" + kind }

func (r *Redis) sessionKeys() []string {
	return []string{r.key("nodes", "m"), r.key("nodes", "i"), r.key("nodes", "g")}
}

func (r *Redis) roomKeys(room string, kinds ...string) []string {
	tag := roomTag(room)
	for i, kind := range kinds {
		kinds[i] = r.key(tag, kind)
	}
	return kinds
}

func roomError(do, room string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s room %q: %w", do, room, err)
}
