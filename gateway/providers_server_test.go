package gateway_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"weft/gateway"
	"weft/gateway/auth"
	"weft/persistence"
	"weft/protocol"
	"weft/room"
)

// serveVerb as the first argument makes the test binary a server instead of a test: what weft serve is, with a disk that
// can be stopped and tokens that can be given out. The tests in providers/ start it and tell it what to do at /test/.
const serveVerb = "serve-for-providers"

// serveForProviders serves until SIGTERM. Its flags are named as those of weft serve.
func serveForProviders(args []string) error {
	flags := flag.NewFlagSet(serveVerb, flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:0", "")
	data := flags.String("data", "", "")
	readyFile := flags.String("ready-file", "", "")
	tokens := flags.Bool("tokens", false, "ask for tokens")
	transcripts := flags.Bool("transcripts", false, "be as the transcripts of the native protocol want it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	store, err := persistence.Open(*data, persistence.Options{})
	if err != nil {
		return err
	}
	d := &desk{disk: &heldStore{Store: store}, tokens: map[string]ticket{}}
	rooms := room.NewRegistry(room.Options{Store: d.disk, StallAfter: time.Minute})
	o := gateway.Options{Rooms: gateway.Local(rooms), Events: d.events()}
	if *tokens {
		o.Auth = d
	}
	if *transcripts {
		forTranscripts(&o)
	}
	if d.server, err = gateway.New(o); err != nil {
		return err
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	ready, err := json.Marshal(map[string]string{"listen": l.Addr().String()})
	if err != nil {
		return err
	}
	hs := &http.Server{Handler: d, ReadHeaderTimeout: patience}
	go func() { _ = hs.Serve(l) }() // ends with the process
	if err := os.WriteFile(*readyFile, ready, 0o600); err != nil {
		return err
	}
	<-term
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.server.Drain(ctx); err != nil {
		return err
	}
	d.disk.release()
	if err := rooms.Close(ctx); err != nil {
		return err
	}
	return store.Close()
}

// heldStore is a store whose confirmations can be held back, as by a disk that takes its time.
type heldStore struct {
	*persistence.Store

	mu       sync.Mutex
	held     bool
	appended int // calls of Append
	mark     int // of them, those that pass lets through
	passed   int // of them, those that are let through although it is held
	late     []late
}

// late is a confirmation that is held back.
type late struct {
	number int // of the Append
	done   func()
}

func (s *heldStore) Append(recs []persistence.Record, done func(error)) error {
	s.mu.Lock()
	s.appended++
	number := s.appended
	s.mu.Unlock()
	return s.Store.Append(recs, func(err error) {
		s.mu.Lock()
		if s.held && number > s.passed {
			s.late = append(s.late, late{number, func() { done(err) }})
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		done(err)
	})
}

func (s *heldStore) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
}

// markHere remembers what was appended until now, for pass.
func (s *heldStore) markHere() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mark = s.appended
}

// pass lets through what had been appended at markHere, and goes on holding the rest.
func (s *heldStore) pass() { s.let(func() { s.passed = s.mark }) }

func (s *heldStore) release() { s.let(func() { s.held = false }) }

// let changes what is held back, and lets through what is not any more.
func (s *heldStore) let(change func()) {
	s.mu.Lock()
	change()
	n := 0
	for n < len(s.late) && (!s.held || s.late[n].number <= s.passed) {
		n++
	}
	through := s.late[:n]
	s.late = s.late[n:]
	s.mu.Unlock()
	for _, l := range through {
		l.done()
	}
}

// ticket is what a token is good for.
type ticket struct {
	rooms []string
	grant auth.Grant
}

// desk gives out tokens and does what the tests ask for.
type desk struct {
	server *gateway.Server
	disk   *heldStore

	mu     sync.Mutex
	tokens map[string]ticket
	log    []string
}

// Authorize implements auth.Authorizer.
func (d *desk) Authorize(_ context.Context, r auth.Request) (auth.Grant, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, ok := d.tokens[r.Token]
	switch {
	case r.Token == "judge": // the tests' own, for looking into rooms over REST
		return auth.Grant{}, nil
	case !ok:
		return auth.Grant{}, protocol.Unauthorized.Closef("unknown token")
	case !slices.Contains(t.rooms, r.Room):
		return auth.Grant{}, protocol.Forbidden.Closef("not this room")
	}
	return t.grant, nil
}

func (d *desk) events() gateway.Events {
	note := func(format string, args ...any) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.log = append(d.log, fmt.Sprintf(format, args...))
	}
	return gateway.Events{
		Entered: func(e gateway.Entry) { note("entered %s %s", e.Room, e.User.ID) },
		Exited: func(e gateway.Entry, why *protocol.CloseError) {
			note("exited %s %s %s", e.Room, e.User.ID, reasonName(why))
		},
		Barred: func(e gateway.Entry, why *protocol.CloseError) { note("barred %s %s", e.Room, reasonName(why)) },
		Closed: func(e gateway.ConnEnd) { note("closed %d %s", e.Reason.Code, e.Detail) },
		Panicked: func(where string, v any, stack []byte) {
			fmt.Fprintf(os.Stderr, "panic in %s: %v\n%s\n", where, v, stack)
			os.Exit(3)
		},
	}
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	what, ok := strings.CutPrefix(r.URL.Path, "/test/")
	if !ok {
		d.server.ServeHTTP(w, r)
		return
	}
	q := r.URL.Query()
	switch what {
	case "hold":
		d.disk.hold()
	case "release":
		d.disk.release()
	case "mark":
		d.disk.markHere()
	case "pass":
		d.disk.pass()
	case "token":
		d.give(q.Get("token"), strings.Split(q.Get("rooms"), ","), q.Get("write") == "1", q.Get("user"), q.Get("ttl"))
	case "untoken":
		d.mu.Lock()
		delete(d.tokens, q.Get("token"))
		d.mu.Unlock()
	case "end":
		for _, p := range d.server.Places(q.Get("room")) {
			p.End(protocol.Forbidden.Closef("the test wants it"))
		}
	case "reader":
		for _, p := range d.server.Places(q.Get("room")) {
			g := p.Grant()
			g.Write = false
			p.SetGrant(g)
		}
	case "log":
		d.mu.Lock()
		defer d.mu.Unlock()
		_ = json.NewEncoder(w).Encode(append([]string{}, d.log...)) // the test sees what is missing
	default:
		http.NotFound(w, r)
	}
}

// give makes a token good for rooms; ttl is its life in milliseconds, empty for ever.
func (d *desk) give(token string, rooms []string, write bool, user, ttl string) {
	g := auth.Grant{User: auth.User{ID: user, Name: user}, Session: "s-" + user, Write: write}
	if ms, err := strconv.Atoi(ttl); err == nil {
		g.Expires = time.Now().Add(time.Duration(ms) * time.Millisecond)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tokens[token] = ticket{rooms, g}
}
