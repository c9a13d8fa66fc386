package client_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"weft/crdt"
	"weft/internal/weftbin"
	"weft/protocol/client"
)

// patience bounds every wait for the real server.
const patience = time.Minute

// server is a weft process on a data directory.
type server struct {
	cmd *exec.Cmd
	dir string
	at  string // host and port
	log bytes.Buffer
}

// url is where native clients connect.
func (s *server) url() string { return "ws://" + s.at + "/native" }

// startServer starts the binary on a directory; at is where it shall listen.
func startServer(dir, at string, flags ...string) (*server, error) {
	bin, err := weftbin.Build()
	if err != nil {
		return nil, err
	}
	ready := filepath.Join(dir, "ready.json")
	_ = os.Remove(ready) // of a process that was killed
	s := &server{dir: dir}
	s.cmd = exec.Command(bin, append([]string{
		"serve", "--listen", at, "--admin=", "--max-message-rate=0", "--max-byte-rate=0",
		"--data", filepath.Join(dir, "data"), "--ready-file", ready,
	}, flags...)...)
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	var ok bool
	if s.at, ok = weftbin.Await(ready, patience); !ok {
		s.stop(syscall.SIGKILL)
		return nil, fmt.Errorf("weft did not start:\n%s", &s.log)
	}
	return s, nil
}

// stop sends a signal and waits for the end.
func (s *server) stop(sig syscall.Signal) {
	_ = s.cmd.Process.Signal(sig) // of a process that has ended: Wait tells
	_ = s.cmd.Wait()              // killed processes end with an error
}

// start starts a server for a test.
func start(t *testing.T, dir, at string, flags ...string) *server {
	t.Helper()
	s, err := startServer(dir, at, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.stop(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("the server's log:\n%s", &s.log)
		}
	})
	return s
}

// patient is a context for one wait.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// dial connects; the client is closed at the end of the test, with nothing unsaved.
func dial(t *testing.T, url string, o client.Options) *client.Client {
	t.Helper()
	c, err := client.Dial(patient(t), url, o)
	if err != nil {
		t.Fatalf("Dial = %v, want nil", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.Close(ctx); err != nil && !t.Failed() {
			t.Errorf("Close = %v, want nil", err)
		}
	})
	return c
}

func join(t *testing.T, c *client.Client, room string, o client.JoinOptions) *client.Session {
	t.Helper()
	s, err := c.Join(patient(t), room, o)
	if err != nil {
		t.Fatalf("Join(%q) = %v, want nil", room, err)
	}
	return s
}

func saved(t *testing.T, s *client.Session) {
	t.Helper()
	if err := s.WaitSaved(patient(t)); err != nil {
		t.Fatalf("WaitSaved = %v, want nil", err)
	}
}

// watcher waits for things that events announce.
type watcher struct{ news chan struct{} }

func newWatcher() *watcher { return &watcher{make(chan struct{}, 1)} }

func (w *watcher) tell() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// events has all changes of a session wake the watcher.
func (w *watcher) events() client.Events {
	return client.Events{
		Changed: w.tell, Live: func(bool) { w.tell() }, Presence: func([]client.Peer) { w.tell() },
		Saved: func(client.Saved) { w.tell() }, Access: func(client.Access) { w.tell() },
	}
}

// until waits until cond is true, which only something that the watcher is told of may change.
func (w *watcher) until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	timeout := time.After(patience)
	for !cond() {
		select {
		case <-w.news:
		case <-timeout:
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// state returns everything that the document of a session holds.
func state(s *client.Session) (b []byte) {
	s.View(func(d *crdt.Doc) { b = d.AppendDiff(nil, nil, crdt.V1) })
	return b
}

// Two clients that write at once, also without a connection, come to the same bytes.
func TestConverge(t *testing.T) {
	srv := start(t, t.TempDir(), "127.0.0.1:0")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := newWatcher()
	var clients [2]*client.Client
	var sessions [2]*client.Session
	for i := range sessions {
		clients[i] = dial(t, srv.url(), client.Options{})
		sessions[i] = join(t, clients[i], "r", client.JoinOptions{Events: w.events()})
	}
	var wg sync.WaitGroup
	for i, s := range sessions {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for n := range 400 {
				if n%100 == 50 {
					clients[i].GoOffline()
				} else if n%100 == 80 {
					clients[i].GoOnline()
				}
				err := s.Edit(func(tx *crdt.Tx) error {
					txt := tx.Text(text)
					if l := txt.Len(); l > 10 && r.IntN(3) == 0 {
						return txt.Delete(r.IntN(l-3), 3)
					}
					return txt.Insert(r.IntN(txt.Len()+1), fmt.Sprint(i, "-", n, " "))
				})
				if err != nil {
					t.Errorf("Edit = %v, want nil", err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, s := range sessions {
		saved(t, s)
	}
	w.until(t, "the same state", func() bool { return bytes.Equal(state(sessions[0]), state(sessions[1])) })
	for i, s := range sessions {
		s.View(func(d *crdt.Doc) {
			if err := d.Check(); err != nil {
				t.Errorf("Check of document %d = %v, want nil", i, err)
			}
		})
	}
	fresh := join(t, dial(t, srv.url(), client.Options{}), "r", client.JoinOptions{})
	if !bytes.Equal(state(fresh), state(sessions[0])) {
		t.Error("the server's document is another one than the clients'")
	}
}

// Presence and signals reach the others, and end with their client.
func TestPresenceOnServer(t *testing.T) {
	srv := start(t, t.TempDir(), "127.0.0.1:0")
	w := newWatcher()
	heard := make(chan string, 1)
	events := w.events()
	events.Signal = func(data []byte) { heard <- string(data) }
	ada := join(t, dial(t, srv.url(), client.Options{}), "r", client.JoinOptions{Events: events})
	if err := ada.SetPresence(map[string]any{"user": map[string]any{"name": "Ada"}}); err != nil {
		t.Fatal(err)
	}
	c := dial(t, srv.url(), client.Options{})
	bob := join(t, c, "r", client.JoinOptions{Events: w.events()})
	if err := bob.SetPresence(map[string]any{"user": map[string]any{"name": "Bob"}}); err != nil {
		t.Fatal(err)
	}
	w.until(t, "both to see each other", func() bool { return len(ada.Peers()) == 1 && len(bob.Peers()) == 1 })
	if p := ada.Peers()[0]; p.ID != bob.ClientID() || string(p.State) != `{"user":{"name":"Bob"}}` {
		t.Errorf("Peers = %d %s, want Bob as %d", p.ID, p.State, bob.ClientID())
	}
	bob.Signal([]byte("hello"))
	if got := <-heard; got != "hello" {
		t.Errorf("signal = %q, want hello", got)
	}
	c.GoOffline()
	w.until(t, "Bob to be gone", func() bool { return len(ada.Peers()) == 0 })
	c.GoOnline()
	w.until(t, "Bob to be back", func() bool { return len(ada.Peers()) == 1 })
}

// counted counts the bytes that connections have received.
type counted struct {
	net.Conn
	n *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// counting returns options that count what is received.
func counting(n *atomic.Int64) client.Options {
	return client.Options{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return counted{c, n}, nil
	}}
}

// After a break, and after a restart of the server, only what was missed travels.
func TestResumeBytes(t *testing.T) {
	dir := t.TempDir()
	srv := start(t, dir, "127.0.0.1:0")
	var received atomic.Int64
	w := newWatcher()
	c := dial(t, srv.url(), counting(&received))
	s := join(t, c, "r", client.JoinOptions{Events: w.events()})
	other := join(t, dial(t, srv.url(), client.Options{}), "r", client.JoinOptions{})
	// Text in pieces that do not merge, with gaps between: a document that is expensive to send.
	for i := range 2000 {
		if err := s.Edit(func(tx *crdt.Tx) error { return tx.Map("m").Set(fmt.Sprint("key ", i), fmt.Sprint("value ", i)) }); err != nil {
			t.Fatal(err)
		}
	}
	saved(t, s)
	whole := int64(len(state(s)))
	missed := func(restart bool, what string) int64 {
		c.GoOffline()
		w.until(t, "the session to be offline", func() bool { return !s.Live() })
		if restart {
			srv.stop(syscall.SIGTERM)
			srv = start(t, dir, srv.at)
		}
		insert(t, other, what)
		saved(t, other)
		received.Store(0)
		c.GoOnline()
		w.until(t, what, func() bool { return read(s) == read(other) && s.Live() })
		return received.Load()
	}
	brief := missed(false, "one ")
	restarted := missed(true, "two ")
	t.Logf("document %d bytes; received after a break %d, after a restart %d", whole, brief, restarted)
	for what, n := range map[string]int64{"a break": brief, "a restart": restarted} {
		if n > whole/20 {
			t.Errorf("received after %s = %d bytes, want far less than the document's %d", what, n, whole)
		}
	}
}

// No edit that was called saved is lost when the server is killed.
func TestKillLosesNothingSaved(t *testing.T) {
	dir := t.TempDir()
	srv := start(t, dir, "127.0.0.1:0")
	var journal []string // what was called saved
	edited := 0
	for round := range 3 {
		c := dial(t, srv.url(), client.Options{})
		ctx, lost := context.WithCancel(patient(t))
		s := join(t, c, "r", client.JoinOptions{Events: client.Events{Live: func(live bool) {
			if !live {
				lost()
			}
		}}})
		var tokens []string
		begun := s.Saved().Edits
		kill := time.AfterFunc(200*time.Millisecond, func() { _ = srv.cmd.Process.Signal(syscall.SIGKILL) })
		for ctx.Err() == nil { // until the server is dead
			token := fmt.Sprint(round, "-", len(tokens))
			if err := s.Edit(func(tx *crdt.Tx) error { return tx.Map("log").Set(token, true) }); err != nil {
				t.Fatal(err)
			}
			if tokens = append(tokens, token); len(tokens)%64 == 0 {
				_ = s.WaitSaved(ctx) // or the server is dead
			}
		}
		kill.Stop()
		n := s.Saved().Saved - begun
		journal = append(journal, tokens[:n]...)
		edited += len(tokens)
		closeUnsaved(t, c) // or it would send again what it has
		srv.stop(syscall.SIGKILL)
		srv = start(t, dir, srv.at)
		fresh := join(t, dial(t, srv.url(), client.Options{}), "r", client.JoinOptions{})
		fresh.View(func(d *crdt.Doc) {
			d.View(func(tx *crdt.Tx) {
				for _, token := range journal {
					if !tx.Map("log").Has(token) {
						t.Errorf("%s was called saved and is lost", token)
					}
				}
			})
		})
	}
	t.Logf("%d edits, %d of them called saved before the kills", edited, len(journal))
	if len(journal) == 0 {
		t.Error("no edit was saved before the kills: nothing was tested")
	}
}

// closeUnsaved ends a client without waiting for anything.
func closeUnsaved(t *testing.T, c *client.Client) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = c.Close(ctx) // edits are unsaved on purpose
}

// Edits made while the server is down reach it when it is back, and the other client.
func TestServerRestart(t *testing.T) {
	dir := t.TempDir()
	srv := start(t, dir, "127.0.0.1:0")
	w := newWatcher()
	s := join(t, dial(t, srv.url(), client.Options{}), "r", client.JoinOptions{Events: w.events()})
	other := join(t, dial(t, srv.url(), client.Options{}), "r", client.JoinOptions{Events: w.events()})
	insert(t, s, "before ")
	saved(t, s)
	srv.stop(syscall.SIGTERM)
	w.until(t, "the session to notice", func() bool { return !s.Live() })
	insert(t, s, "between ")
	start(t, dir, srv.at)
	saved(t, s)
	w.until(t, "the other client to see it", func() bool { return read(other) == "before between " })
}

// A client is asked for a newer token before the old one ends, and stays; one without a newer one is told why it went.
func TestTokens(t *testing.T) {
	t.Parallel() // it waits for tokens to end
	dir := t.TempDir()
	secret := bytes.Repeat([]byte("k"), 32)
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	srv := start(t, dir, "127.0.0.1:0", "--auth=jwt", "--jwt-secret-file", file)
	var asked atomic.Int64
	w := newWatcher()
	c := dial(t, srv.url(), client.Options{Token: func(context.Context) (string, error) {
		life := 12 * time.Second
		if asked.Add(1) > 1 {
			life = time.Hour
		}
		w.tell()
		return signed(secret, life), nil
	}})
	s := join(t, c, "docs/a", client.JoinOptions{Events: w.events()})
	ends := s.Access().Expires
	w.until(t, "a newer token to count", func() bool { return s.Access().Expires.After(ends.Add(time.Minute)) })
	if got := asked.Load(); got != 2 {
		t.Errorf("the program was asked for a token %d times, want 2", got)
	}
	insert(t, s, "still here")
	saved(t, s)

	_, err := c.Join(patient(t), "other", client.JoinOptions{})
	refusedWith(t, "Join of a room that the token does not have", err, client.CodeForbidden)
	if !s.Live() {
		t.Error("the refusal of one room has ended another")
	}
	bad := dial(t, srv.url(), client.Options{Token: func(context.Context) (string, error) { return "nonsense", nil }})
	_, err = bad.Join(patient(t), "docs/a", client.JoinOptions{})
	refusedWith(t, "Join with a bad token", err, client.CodeUnauthorized)
}

// A room's own token is asked for and sent with the Join.
func TestRoomToken(t *testing.T) {
	dir := t.TempDir()
	secret := bytes.Repeat([]byte("k"), 32)
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	srv := start(t, dir, "127.0.0.1:0", "--auth=jwt", "--jwt-secret-file", file)
	c := dial(t, srv.url(), client.Options{})
	s := join(t, c, "docs/a", client.JoinOptions{Token: func(context.Context) (string, error) { return signed(secret, time.Hour), nil }})
	insert(t, s, "x")
	saved(t, s)
}

func refusedWith(t *testing.T, what string, err error, want client.Code) {
	t.Helper()
	if got := codeOf(err); got != want {
		t.Errorf("%s = %v, want %v", what, err, want)
	}
}

// signed returns a token for docs/* that lives so long.
func signed(secret []byte, life time.Duration) string {
	part := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"sub":"ada","rooms":{"docs/*":"write"},"exp":%d}`, time.Now().Add(life).Unix())
	body := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + part([]byte(claims))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(body))
	return body + "." + part(mac.Sum(nil))
}

// A client that does not get to applying what others write is sent it merged, once it does.
func TestSlowReader(t *testing.T) {
	srv := start(t, t.TempDir(), "127.0.0.1:0")
	var received atomic.Int64
	w := newWatcher()
	slow := join(t, dial(t, srv.url(), counting(&received)), "r", client.JoinOptions{Window: 64 << 10, Events: w.events()})
	fast := join(t, dial(t, srv.url(), client.Options{}), "r", client.JoinOptions{})
	const values, size = 300, 10 << 10
	slow.View(func(*crdt.Doc) { // nothing is applied meanwhile
		for i := range values {
			value := bytes.Repeat([]byte{byte(i)}, size)
			if err := fast.Edit(func(tx *crdt.Tx) error { return tx.Map("m").Set("k", value) }); err != nil {
				t.Fatal(err)
			}
			saved(t, fast)
		}
	})
	w.until(t, "the slow reader to catch up", func() bool { return bytes.Equal(state(slow), state(fast)) })
	t.Logf("%d bytes written, %d received", values*size, received.Load())
	if got := received.Load(); got > values*size/4 {
		t.Errorf("received %d bytes, want far less than the %d that were overwritten", got, values*size)
	}
}
