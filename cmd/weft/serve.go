package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"weft/client-demo/web"
	"weft/gateway"
	"weft/gateway/auth"
	"weft/persistence"
	"weft/room"
)

// serveCmd is the verb serve. Every flag can also be given as an environment variable: --ready-file as WEFT_READY_FILE.
type serveCmd struct {
	Listen         string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address of editors, REST and the demo (${default}). Port 0 picks a free one."`
	Data           string        `default:"./weft-data" placeholder:"DIR" help:"Directory that everything is stored in (${default})."`
	Admin          string        `default:"${admin}" placeholder:"HOST:PORT" help:"Address of /metrics and /admin/, for operators (${default}); empty for none."`
	AdminTokenFile string        `placeholder:"FILE" help:"What requests to --admin must show as Authorization: Bearer; needed when other machines can reach it."`
	Auth           authFlags     `embed:""`
	Insecure       bool          `help:"Serve other machines although everybody who can reach the address may read and write, and ask other machines over plain http."`
	Compression    bool          `help:"Compress messages of 512 bytes and more for clients that can (permessage-deflate). Costs CPU and up to 50 kB for each such connection."`
	Origin         []string      `placeholder:"ORIGIN" help:"Web origin whose pages may connect beside the server's own, such as https://docs.example.com; may be repeated."`
	Log            logSetting    `default:"auto" placeholder:"FORMAT,LEVEL" help:"Log format (auto, text, json) or level (debug, info, warn, error), or both. auto is text on a terminal."`
	DrainTimeout   time.Duration `default:"20s" help:"Longest time to say goodbye and save at SIGTERM (${default}); a second signal hurries."`
	ReadyFile      string        `placeholder:"FILE" help:"Write a JSON file with the bound addresses once everything is ready; removed at the end."`

	Limits limitFlags `embed:""`
}

// defaultAdmin is the admin address that is given up, aloud, when it is taken: port 9090 is many programs' favourite.
const defaultAdmin = "127.0.0.1:9090"

// restrictionsFile is the file in the data directory that remembers whom operators locked out.
const restrictionsFile = "restrictions.json"

// Limits of HTTP requests; WebSockets have their own once they are upgraded.
const (
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = time.Minute
	maxHeaderBytes    = 16 << 10
)

// Run serves until a signal asks it to stop.
func (c *serveCmd) Run(std streams) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)

	s := newServer(c, std.err)
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.open(); err != nil {
		return err
	}
	if err := s.announce(std.out); err != nil {
		return err
	}
	select {
	case err := <-s.served:
		return fmt.Errorf("serve: %w", err)
	case sig := <-signals:
		s.log.Info("stopping", "signal", sig.String(), "connections", s.gateway.Conns(), "within", c.DrainTimeout)
	case <-s.asked:
		s.log.Info("stopping", "by", "operator", "connections", s.gateway.Conns(), "within", c.DrainTimeout)
	}
	return s.drain(signals)
}

// check refuses settings that would serve strangers by accident, and those that cannot work, before anything is opened.
func (c *serveCmd) check() error {
	for _, origin := range c.Origin {
		if err := gateway.CheckOrigin(origin); err != nil {
			return usagef("--origin: %v", err)
		}
	}
	if err := c.Auth.check(); err != nil {
		return err
	}
	return c.checkAddresses()
}

// checkAddresses refuses addresses that cannot be listened on, or that strangers can reach.
func (c *serveCmd) checkAddresses() error {
	strangers, err := reachable(c.Listen)
	switch {
	case err != nil:
		return usagef("--listen %s is not an address to listen on: %v", c.Listen, err)
	case strangers && !c.Insecure && !c.authorizes():
		return usagef("--listen %s can be reached from other machines and --auth none lets everybody in; use a loopback address such as 127.0.0.1, choose another --auth, or say --insecure if that is what you want", c.Listen)
	case c.Admin == "" && c.AdminTokenFile != "":
		return usagef("--admin-token-file does nothing without --admin")
	case c.Admin == "":
		return nil
	}
	strangers, err = reachable(c.Admin)
	switch {
	case err != nil:
		return usagef("--admin %s is not an address to listen on: %v", c.Admin, err)
	case strangers && c.AdminTokenFile == "":
		return usagef("--admin %s can be reached from other machines, which could then end connections; use a loopback address such as 127.0.0.1, or say what they must show with --admin-token-file", c.Admin)
	}
	return nil
}

// reachable tells whether other machines can reach a listener at the address.
func reachable(address string) (bool, error) {
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return false, err
	}
	return a.IP == nil || !a.IP.IsLoopback(), nil
}

// authorizes tells whether clients have to show who they are.
func (c *serveCmd) authorizes() bool { return c.Auth.Auth == "jwt" || c.Auth.Auth == "webhook" }

// loopback tells whether the checked public address is this machine's own.
func (c *serveCmd) loopback() bool {
	strangers, err := reachable(c.Listen)
	return err == nil && !strangers
}

// server is a running serve.
type server struct {
	// Static after open.
	c         *serveCmd
	log       *slog.Logger
	watch     *observer
	store     *persistence.Store
	rooms     *room.Registry
	auth      auth.Authorizer
	authEnd   func() // ends what auth started
	gateway   *gateway.Server
	public    *http.Server
	admin     *http.Server
	publicAt  net.Addr
	adminAt   net.Addr      // nil: none
	adminGone error         // why there is none although one was wanted
	served    chan error    // what ended a listener before its time; holds one for each
	asked     chan struct{} // holds a token once an operator wants the process to end

	stop      context.CancelFunc // ends trim
	listeners sync.WaitGroup     // goroutines of serve, trim and the load's meter; close ends them and waits
}

// newServer returns a server that logs to w; open starts it, close ends it.
func newServer(c *serveCmd, w io.Writer) *server {
	log := c.Log.logger(w)
	return &server{
		c: c, log: log, served: make(chan error, 2), asked: make(chan struct{}, 1),
		watch: &observer{log: log, m: newMetrics(), panicDir: filepath.Join(c.Data, "panics")},
	}
}

// open starts everything, from the outside in, so that a taken port is found before the data directory is touched, and
// clients that come early wait instead of being refused. What it started is ended by close.
func (s *server) open() (err error) {
	public, err := net.Listen("tcp", s.c.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; choose another address with --listen", s.c.Listen, unwrapNet(err))
	}
	defer closeUnlessNil(&err, public)
	s.publicAt = public.Addr()
	s.public = s.httpServer()
	admin, err := s.listenAdmin()
	if err != nil {
		return err
	}
	if admin != nil {
		defer closeUnlessNil(&err, admin)
	}
	if s.auth, s.authEnd, err = s.c.Auth.open(s.c.Insecure, s.log, s.watch.m); err != nil {
		return err
	}
	var adminToken []byte
	if s.c.AdminTokenFile != "" {
		if adminToken, err = auth.ReadSecret(s.c.AdminTokenFile); err != nil {
			return usagef("--admin-token-file: %v", err)
		}
	}
	if s.store, err = persistence.Open(s.c.Data, persistence.Options{Events: s.watch.store()}); err != nil {
		return s.explainOpen(err)
	}
	s.rooms = room.NewRegistry(room.Options{Store: s.store, StampPresence: s.c.Auth.StampPresence, Events: s.watch.room()})
	s.watch.rooms.Store(s.rooms)
	taken, err := auth.OpenRestrictions(filepath.Join(s.c.Data, restrictionsFile))
	if err != nil {
		return fmt.Errorf("%w; without it people could get in who must not, so repair it or, to let all of them in, remove it", err)
	}
	o := gateway.Options{
		Rooms: gateway.Local(s.rooms), Origins: s.c.Origin, GuardHost: s.c.loopback() && !s.c.Insecure && s.auth == nil,
		Auth: s.auth, Restrictions: taken, AdminToken: adminToken,
		Compression: s.c.Compression, Demo: web.Handler(), Backup: s.store.WriteTar, Load: &s.watch.load, Ready: s.store.Health, Events: s.watch.gateway(),
		Shutdown: s.ask, Version: buildVersion(),
	}
	s.c.Limits.apply(&o)
	s.gateway, err = gateway.New(o)
	if err != nil {
		return &usageError{err.Error()}
	}
	s.measure()
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.listeners.Go(func() { trim(ctx) })
	s.listeners.Go(func() { s.watch.load.run(ctx) })
	s.serve(s.public, public, s.gateway)
	if admin != nil {
		s.admin = s.httpServer()
		s.serve(s.admin, admin, s.gateway.Admin(s.watch.m.handler()))
	}
	return nil
}

// measure makes the metrics of what has a state and not only events, and those of the limits.
func (s *server) measure() {
	l := &s.watch.load
	l.connections, l.connectionsLimit = s.gateway.Conns, s.c.Limits.MaxConnections
	l.memoryLimit, l.usage = memoryLimit(), ownUsage
	s.watch.m.registry.MustRegister(newStateGauges(sources{
		connections: s.gateway.Usage, messages: s.gateway.MessageMemory, compressing: s.gateway.Compressing, rooms: s.rooms.Totals,
		backlog: s.store.Backlog, queued: s.store.Queued, setAside: func() int { return len(s.store.Quarantined()) },
		load: l.load,
	}))
	s.watch.m.limits(&s.c.Limits)
}

// ask has Run drain and return, as a signal does. Asking again does nothing.
func (s *server) ask() {
	select {
	case s.asked <- struct{}{}:
	default:
	}
}

// closeUnlessNil closes a listener that nothing serves because err says that open gives up.
func closeUnlessNil(err *error, l net.Listener) {
	if *err != nil {
		_ = l.Close() // err is what went wrong
	}
}

func (s *server) httpServer() *http.Server {
	return &http.Server{
		ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // strangers' broken requests
	}
}

// serve runs h on l until close, which closes the http.Server and waits.
func (s *server) serve(hs *http.Server, l net.Listener, h http.Handler) {
	hs.Handler = h
	s.listeners.Go(func() {
		if err := hs.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.served <- err
		}
	})
}

// listenAdmin opens the operators' listener. Only the default address may be taken.
func (s *server) listenAdmin() (net.Listener, error) {
	if s.c.Admin == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", s.c.Admin)
	switch {
	case err == nil:
		s.adminAt = l.Addr()
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE) && s.c.Admin == defaultAdmin:
		s.adminGone = fmt.Errorf("%s is taken by another program; choose another address with --admin", s.c.Admin)
		s.log.Warn("there is no admin listener, so no metrics", "err", s.adminGone)
		return nil, nil
	}
	return nil, fmt.Errorf("cannot listen on %s for the admin: %w; choose another address with --admin", s.c.Admin, unwrapNet(err))
}

// unwrapNet drops the address from a listener's error, which the sentence around it names.
func unwrapNet(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// explainOpen says in a sentence why a data directory cannot be used.
func (s *server) explainOpen(err error) error {
	switch {
	case errors.Is(err, persistence.ErrLocked):
		return fmt.Errorf("the data directory %s is in use by another weft; stop that one, or choose another with --data", s.dataDir())
	case errors.Is(err, persistence.ErrNewer):
		return fmt.Errorf("the data directory %s was written by a newer weft and was left unchanged; use that version, or choose another with --data (%w)", s.dataDir(), err)
	}
	return fmt.Errorf("cannot open the data directory %s: %w", s.dataDir(), err)
}

// dataDir is the data directory as people can find it.
func (s *server) dataDir() string {
	if abs, err := filepath.Abs(s.c.Data); err == nil {
		return abs
	}
	return s.c.Data
}

// drainShare is the part of the drain timeout that connections may use; the rest is for saving.
const drainShare = 0.6

// drain says goodbye to the clients and saves the rooms; a second signal ends the waiting. What was acknowledged is in
// the log either way, so running out of time is a warning and not a failure.
func (s *server) drain(signals <-chan os.Signal) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.c.DrainTimeout)
	defer cancel()
	var watching sync.WaitGroup
	defer watching.Wait()
	hurry, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	watching.Go(func() { // ends with hurry
		select {
		case sig := <-signals:
			stop(fmt.Errorf("second signal: %v", sig))
		case <-hurry.Done():
		}
	})
	goodbye, done := context.WithTimeout(hurry, time.Duration(float64(s.c.DrainTimeout)*drainShare))
	defer done()
	if err := s.gateway.Drain(goodbye); err != nil {
		s.log.Warn("connections were cut off", "err", err)
	}
	if err := s.closeRooms(hurry); err != nil {
		s.log.Warn("not every room was saved; the log has what is missing", "err", err)
	}
	return nil
}

func (s *server) closeRooms(ctx context.Context) error {
	rooms := s.rooms
	if rooms == nil {
		return nil
	}
	s.rooms = nil
	return rooms.Close(ctx)
}

// close ends what is left, in whatever state open or drain have reached.
func (s *server) close() error {
	var errs []error
	for _, hs := range []*http.Server{s.public, s.admin} {
		if hs != nil {
			_ = hs.Close() // its listener's error; the process is ending
		}
	}
	if s.stop != nil {
		s.stop()
	}
	s.listeners.Wait()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	if s.gateway != nil {
		_ = s.gateway.Drain(now) // nothing after a drain; cuts the connections off after a failure
	}
	if s.authEnd != nil {
		s.authEnd()
	}
	_ = s.closeRooms(now) // likewise
	if s.store != nil {
		if err := s.store.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close the data directory: %w", err))
		}
		s.log.Info("stopped")
	}
	if s.c.ReadyFile != "" && s.store != nil {
		_ = os.Remove(s.c.ReadyFile) // perhaps never written
	}
	return errors.Join(errs...)
}
