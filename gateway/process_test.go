package gateway_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"weft/crdt"
	"weft/internal/weftbin"
	"weft/protocol"
)

// weftBinary returns the path of the binary.
func weftBinary(t *testing.T) string {
	t.Helper()
	bin, err := weftbin.Build()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// needNode skips a test where node or the packages of a folder are missing, and fails it where nothing may be missing.
// otherwise says what was not done.
func needNode(t *testing.T, otherwise string, folders ...string) {
	t.Helper()
	missing := ""
	if _, err := exec.LookPath("node"); err != nil {
		missing = "node is not installed"
	}
	for _, folder := range folders {
		if _, err := os.Stat(filepath.Join(folder, "node_modules")); err != nil {
			missing = path.Join("gateway", folder) + "/node_modules is missing; run npm ci there"
		}
	}
	if missing == "" {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skipf("NOT RUN, %s: %s", otherwise, missing)
}

// TestProviders runs the tests in providers/: the real y-websocket and Hocuspocus providers in Node, against the binary
// and, where it takes tokens or a slow disk, against this test binary (see serveForProviders).
func TestProviders(t *testing.T) {
	needNode(t, "the real providers were not tested", "providers")
	// A destroyed Hocuspocus provider may go on trying to connect, which would keep Node running for ever.
	cmd := exec.CommandContext(t.Context(), "node", "--test", "--test-force-exit", "--test-reporter=spec")
	cmd.Dir = "providers"
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "WEFT_BIN="+weftBinary(t), "WEFT_TEST_BIN="+self)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("node --test in gateway/providers = %v, want nil", err)
	}
}

// process is one weft process on a data directory that survives it.
type process struct {
	t    *testing.T
	dir  string
	addr string
	cmd  *exec.Cmd
	log  *os.File
}

// spawn starts the binary; addr is where it is to listen.
func spawn(t *testing.T, dir, addr string) *process {
	t.Helper()
	ready := filepath.Join(dir, "ready.json")
	_ = os.Remove(ready) // of a process that was killed
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, dir: dir, log: log}
	p.cmd = exec.Command(weftBinary(t), "serve", "--listen", addr, "--admin=", "--log", "json,info", "--max-message-rate=0", "--max-byte-rate=0",
		"--data", filepath.Join(dir, "data"), "--ready-file", ready)
	p.cmd.Stderr = log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	at, ok := weftbin.Await(ready, patience)
	if !ok {
		p.kill()
		t.Fatalf("weft did not start:\n%s", p.logged())
	}
	p.addr = at
	return p
}

// kill ends the process at once.
func (p *process) kill() { _ = p.stop(syscall.SIGKILL) }

// stop sends a signal and waits for the end.
func (p *process) stop(sig syscall.Signal) error {
	_ = p.cmd.Process.Signal(sig) // of a process that has ended: Wait tells
	err := p.cmd.Wait()
	p.log.Close()
	return err
}

// goroutines ends the process with its goroutines in the log, which it returns.
func (p *process) goroutines() string {
	_ = p.stop(syscall.SIGQUIT)
	return p.logged()
}

// logged returns what the process wrote to its log.
func (p *process) logged() string {
	b, _ := os.ReadFile(p.log.Name())
	return string(b)
}

// writer is a Yjs client with a document of its own that speaks the y-websocket protocol, save markers included.
type writer struct {
	t    *testing.T
	addr string
	room string
	name string
	done chan struct{} // closed when the connection is gone

	// Guarded by mu.
	mu    sync.Mutex
	doc   *crdt.Doc
	ws    *websocket.Conn
	sent  int // edits that were sent, numbered from 0
	acked int // edits below this number are durable, says the server
	step2 bool
	news  chan struct{} // closed and replaced when something of the above changed
}

func newWriter(t *testing.T, name, room string) *writer {
	return &writer{t: t, name: name, room: room, doc: crdt.New(crdt.Options{}), news: make(chan struct{})}
}

// connect opens the connection and starts the sync; until the connection ends, a goroutine answers and applies.
func (w *writer) connect(addr string) {
	w.t.Helper()
	d := websocket.Dialer{HandshakeTimeout: patience}
	ws, resp, err := d.Dial("ws://"+addr+"/yjs/"+w.room, nil)
	if err != nil {
		w.t.Fatalf("dial = %v, want nil", err)
	}
	resp.Body.Close()
	w.mu.Lock()
	w.ws, w.addr, w.step2, w.done = ws, addr, false, make(chan struct{})
	w.write(protocol.SyncStep1, w.doc.AppendStateVector(nil))
	w.mu.Unlock()
	go w.read(ws, w.done)
}

// write sends a message. Called with mu held; an error shows in read.
func (w *writer) write(k protocol.Kind, data []byte) {
	_ = w.ws.WriteMessage(websocket.BinaryMessage, frame(k, data))
}

func (w *writer) read(ws *websocket.Conn, done chan struct{}) {
	defer close(done)
	for {
		_, b, err := ws.ReadMessage()
		if err != nil {
			return
		}
		m, err := protocol.YWebsocket{}.Decode(b, protocol.Limits{Message: 1 << 30})
		if err != nil {
			w.t.Errorf("Decode(%x) = %v, want nil", b, err)
			return
		}
		if err := w.act(m); err != nil {
			w.t.Errorf("%s: %v", w.name, err)
			return
		}
	}
}

// act does what a Yjs client does with a message.
func (w *writer) act(m protocol.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch m.Kind {
	case protocol.SyncStep1:
		since, err := crdt.DecodeStateVector(m.Data)
		if err != nil {
			return err
		}
		w.write(protocol.SyncStep2, w.doc.AppendDiff(nil, since, crdt.V1))
	case protocol.SyncStep2, protocol.Update:
		if _, err := w.doc.Apply(m.Data, crdt.V1); err != nil {
			return err
		}
		w.step2 = w.step2 || m.Kind == protocol.SyncStep2
	case protocol.SaveMarker:
		n, err := strconv.Atoi(string(m.Data))
		if err != nil {
			return err
		}
		w.acked = max(w.acked, n)
	default:
		return nil
	}
	close(w.news)
	w.news = make(chan struct{})
	return nil
}

// until waits until cond, called with mu held, is true; false: the connection ended first, or the test has failed.
func (w *writer) until(what string, cond func() bool) bool {
	w.t.Helper()
	timeout := time.After(patience)
	for {
		w.mu.Lock()
		ok, news := cond(), w.news
		w.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-news:
		case <-w.done:
			return false
		case <-timeout:
			w.t.Errorf("%s waited %v for %s", w.name, patience, what)
			return false
		}
	}
}

// window bounds the edits that a writer has sent and not yet got acknowledged.
const window = 64

// run edits until the connection ends or limit edits are sent: each is one token and one save marker.
func (w *writer) run(limit int) {
	for {
		open := w.until("acknowledgements", func() bool { return w.sent-w.acked < window })
		w.mu.Lock()
		if !open || w.sent >= limit {
			w.mu.Unlock()
			return
		}
		token := fmt.Sprintf("%s-%d", w.name, w.sent)
		update, err := w.doc.Edit(func(tx *crdt.Tx) error { return tx.Map("log").Set(token, true) })
		if err != nil {
			w.mu.Unlock()
			w.t.Errorf("Edit = %v, want nil", err)
			return
		}
		w.sent++
		w.write(protocol.Update, update)
		w.write(protocol.SaveMarker, []byte(strconv.Itoa(w.sent)))
		w.mu.Unlock()
	}
}

// settle waits until everything that this client has is durable on the server: its answer to the server's step 1
// precedes the marker.
func (w *writer) settle() {
	w.t.Helper()
	w.until("sync", func() bool { return w.step2 })
	w.mu.Lock()
	w.sent++
	mark := w.sent
	w.write(protocol.SaveMarker, []byte(strconv.Itoa(mark)))
	w.mu.Unlock()
	if !w.until("the marker", func() bool { return w.acked >= mark }) {
		w.t.Fatalf("%s lost its connection", w.name)
	}
}

// tokens returns what the client's document holds.
func (w *writer) tokens() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	set := map[string]bool{}
	b, err := w.doc.JSON("log")
	if err == nil {
		err = json.Unmarshal(b, &set)
	}
	if err != nil {
		w.t.Errorf("JSON = %v, want a map of booleans", err)
	}
	return set
}

// leave closes the connection and waits for its goroutine.
func (w *writer) leave() {
	w.ws.Close()
	<-w.done
}

// fresh returns what a client gets that has nothing.
func fresh(t *testing.T, addr, room string) map[string]bool {
	t.Helper()
	c := newWriter(t, "fresh", room)
	c.connect(addr)
	defer c.leave()
	if !c.until("sync", func() bool { return c.step2 }) {
		t.Fatal("a fresh client lost its connection before it was synced")
	}
	return c.tokens()
}

var (
	killRounds = flag.Int("kill.rounds", 3, "rounds of TestKillUnderLoad")
	killSeed   = flag.Uint64("kill.seed", uint64(time.Now().UnixNano()), "seed of its random moments")
)

// roundsPerRoom is the number of kills that a room of TestKillUnderLoad lives through.
const roundsPerRoom = 10

// TestKillUnderLoad kills the server at random moments while clients write, starts it again on the same directory and
// looks for the edits. What is promised, and checked each round, also about all rounds before:
//
//   - An edit whose save marker came back is there for a fresh client, with nobody else connected.
//   - An edit that a second client saw is there once that client, or its author, has reconnected: Yjs clients send what
//     the server lacks. Rounds alternate between the two.
//
// Every few rounds go on in new rooms, so that a long run tests crashes and not the sync of ever larger documents; the
// old rooms are looked at again at the end.
func TestKillUnderLoad(t *testing.T) {
	t.Logf("-kill.seed %d", *killSeed)
	rng := rand.New(rand.NewPCG(*killSeed, 0))
	dir := t.TempDir()
	acked, seen := map[string][]string{}, map[string][]string{}
	var total struct{ sent, acked, seen, behind int }
	p := spawn(t, dir, "127.0.0.1:0")
	defer func() { p.kill() }()
	for round := range *killRounds {
		rooms := []string{fmt.Sprintf("load/one-%d", round/roundsPerRoom), fmt.Sprintf("load/two-%d", round/roundsPerRoom)}
		var writers, readers []*writer
		var editing sync.WaitGroup
		for r, room := range rooms {
			reader := newWriter(t, fmt.Sprintf("reader-%d-%d", round, r), room)
			reader.connect(p.addr)
			readers = append(readers, reader)
			for i := range 3 {
				w := newWriter(t, fmt.Sprintf("w%d.%d.%d", round, r, i), room)
				w.connect(p.addr)
				writers = append(writers, w)
				editing.Go(func() { w.run(3000) })
			}
		}
		for _, w := range writers {
			if !w.until("a first acknowledgement", func() bool { return w.acked > 0 }) {
				t.Fatalf("%s is not served:\n%s", w.name, p.goroutines())
			}
		}
		time.Sleep(time.Duration(rng.IntN(400_000)) * time.Microsecond) // the random moment is the point
		p.kill()
		editing.Wait()
		for _, w := range append(writers, readers...) {
			w.leave()
		}
		for _, w := range writers {
			for n := range w.acked {
				acked[w.room] = append(acked[w.room], fmt.Sprintf("%s-%d", w.name, n))
			}
			total.sent += w.sent
			total.acked += w.acked
		}
		seenNow := map[string]map[string]bool{}
		for _, r := range readers {
			seenNow[r.room] = map[string]bool{}
			for token := range r.tokens() {
				if strings.HasPrefix(token, fmt.Sprintf("w%d.", round)) { // the others were checked in their round
					seenNow[r.room][token] = true
				}
			}
		}

		p = spawn(t, dir, p.addr)
		for _, room := range rooms {
			got := fresh(t, p.addr, room)
			wantTokens(t, round, room, "acknowledged", acked[room], got)
			for token := range seenNow[room] {
				if !got[token] {
					total.behind++
				}
			}
			wantTokens(t, round, room, "seen in an earlier round", seen[room], got)
		}
		back := readers
		if round%2 == 1 {
			back = writers
		}
		for _, w := range back {
			w.connect(p.addr)
			w.settle()
		}
		for _, w := range back {
			w.leave()
		}
		for _, room := range rooms {
			for token := range seenNow[room] {
				seen[room] = append(seen[room], token)
			}
			total.seen += len(seenNow[room])
			wantTokens(t, round, room, "seen by a second client", seen[room], fresh(t, p.addr, room))
		}
		if t.Failed() {
			return
		}
	}
	for room, tokens := range acked {
		got := fresh(t, p.addr, room)
		wantTokens(t, *killRounds, room, "acknowledged", tokens, got)
		wantTokens(t, *killRounds, room, "seen", seen[room], got)
	}
	t.Logf("%d rounds: %d edits sent, %d acknowledged, 0 of them lost; %d sightings, of which %d were not yet on the disk and came back with a client",
		*killRounds, total.sent, total.acked, total.seen, total.behind)
	if err := p.stop(syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v at SIGTERM, want exit code 0\n%s", err, p.logged())
	}
	checkLog(t, p)
}

// wantTokens checks that got holds every token of want.
func wantTokens(t *testing.T, round int, room, what string, want []string, got map[string]bool) {
	t.Helper()
	var missing []string
	for _, token := range want {
		if !got[token] {
			missing = append(missing, token)
		}
	}
	if len(missing) > 0 {
		t.Errorf("round %d, room %q: %d of %d edits %s are missing, such as %s", round, room, len(missing), len(want), what, missing[0])
	}
}

// checkLog checks that the last process logged one line with a reason per connection that ended, and no panic.
func checkLog(t *testing.T, p *process) {
	t.Helper()
	ended := 0
	lines := bufio.NewScanner(strings.NewReader(p.logged()))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Level, Msg, Reason string
			BytesIn, BytesOut  int64
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Errorf("log line %q is not JSON: %v", lines.Text(), err)
		}
		if line.Msg == "connection ended" {
			ended++
			if line.Reason == "" || line.BytesIn == 0 {
				t.Errorf("log line %s has no reason or figures", lines.Text())
			}
		}
		if line.Level == "ERROR" {
			t.Errorf("the server logged an error: %s", lines.Text())
		}
	}
	if ended == 0 {
		t.Errorf("no connection's end in the log:\n%s", p.logged())
	}
}

// TestSignals checks the end of a process whose clients do not help: the first signal drains, the second hurries.
func TestSignals(t *testing.T) {
	dir := t.TempDir()
	p := spawn(t, dir, "127.0.0.1:0")
	c := newWriter(t, "w", "signals")
	c.connect(p.addr)
	c.run(10)
	c.until("the last acknowledgement", func() bool { return c.acked == 10 })
	// A connection that never answers a close frame.
	ws, resp, err := websocket.DefaultDialer.Dial("ws://"+p.addr+"/yjs/signals", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	defer ws.Close()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-c.done // it was told
	if resp, err := http.Get("http://" + p.addr + "/readyz"); err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("GET /readyz while draining = %v, %v, want 503", resp, err)
	} else {
		resp.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	if err := p.stop(syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v, want exit code 0\n%s", err, p.logged())
	}
	if log := p.logged(); !strings.Contains(log, "second signal") {
		t.Errorf("the log does not say that the second signal cut the drain short:\n%s", log)
	}
	c.leave()
	if _, err := os.Stat(filepath.Join(dir, "ready.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ready file after the end: %v, want none", err)
	}
	p = spawn(t, dir, p.addr)
	if got := fresh(t, p.addr, "signals"); len(got) != 10 {
		t.Errorf("%d edits after the restart, want 10", len(got))
	}
	p.kill()
}
