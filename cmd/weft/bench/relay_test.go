package bench

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"weft/crdt"
	"weft/crdt/lib0"
)

// relay is a small y-websocket server that can be told to misbehave.
type relay struct {
	url string
	// mischief turns the nth update, from 1, of the first client that wrote one into what another client, always the same,
	// is sent instead. Nil: the update as it is.
	mischief func(n int, u []byte) [][]byte
	// greet is sent to every client first. Nil: nothing.
	greet []byte

	// Guarded by mu.
	mu     sync.Mutex
	refuse int // handshakes that are still to be refused for a second
	rooms  map[string]*relayRoom
}

type relayRoom struct {
	doc     *crdt.Doc
	people  map[uint64][]byte // awareness update with one state, by client id
	conns   []*relayConn
	culprit *relayConn // that wrote first
	updates int        // of it
}

type relayConn struct{ nc net.Conn }

// startRelay serves until the test has ended.
func startRelay(t *testing.T, r *relay) *relay {
	t.Helper()
	r.rooms = map[string]*relayRoom{}
	var conns sync.WaitGroup
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		conns.Add(1)
		defer conns.Done()
		r.serve(w, q)
	}))
	t.Cleanup(func() {
		s.Close()
		conns.Wait() // hijacked ones, whose clients have hung up, or the test has failed to end them
	})
	r.url = "ws" + s.URL[len("http"):]
	return r
}

func (r *relay) serve(w http.ResponseWriter, q *http.Request) {
	if r.refuses() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "later", http.StatusServiceUnavailable)
		return
	}
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer nc.Close()
	sum := sha1.Sum([]byte(q.Header.Get("Sec-WebSocket-Key") + acceptSuffix))
	fmt.Fprintf(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	c := &relayConn{nc: nc}
	room := r.enter(q.URL.Path, c)
	defer r.leave(room, c)
	for {
		op, payload, err := readMasked(rw.Reader)
		if err != nil || op == opClose {
			return
		}
		r.take(room, c, payload)
	}
}

// refuses tells whether the next handshake is to be refused.
func (r *relay) refuses() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse == 0 {
		return false
	}
	r.refuse--
	return true
}

func (r *relay) enter(name string, c *relayConn) *relayRoom {
	r.mu.Lock()
	defer r.mu.Unlock()
	room := r.rooms[name]
	if room == nil {
		room = &relayRoom{doc: crdt.New(crdt.Options{}), people: map[uint64][]byte{}}
		r.rooms[name] = room
	}
	room.conns = append(room.conns, c)
	if r.greet != nil {
		c.say(r.greet)
	}
	c.send(step1, room.doc.AppendStateVector(nil))
	for _, p := range room.people {
		c.send(awareness, p)
	}
	return room
}

func (r *relay) leave(room *relayRoom, c *relayConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(room.conns, c)
	room.conns = slices.Delete(slices.Clone(room.conns), i, i+1)
}

func (r *relay) take(room *relayRoom, from *relayConn, payload []byte) {
	k, body, _, err := readMessage(payload)
	if err != nil {
		panic(err) // the generator is wrong
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch k {
	case step1:
		since, err := crdt.DecodeStateVector(body)
		if err != nil {
			panic(err)
		}
		from.send(step2, room.doc.AppendDiff(nil, since, crdt.V1))
	case step2, update:
		if _, err := room.doc.Apply(body, crdt.V1); err != nil {
			panic(err)
		}
		if k == step2 && len(body) == 2 {
			return
		}
		if room.culprit == nil {
			room.culprit = from
		}
		victim := slices.IndexFunc(room.conns, func(c *relayConn) bool { return c != room.culprit })
		if from == room.culprit {
			room.updates++
		}
		for i, c := range room.conns {
			out := [][]byte{body}
			if r.mischief != nil && from == room.culprit && i == victim {
				out = r.mischief(room.updates, body)
			}
			for _, u := range out {
				c.send(update, u)
			}
		}
	case awareness:
		d := lib0.NewDecoder(body[1:])
		room.people[d.Uint()] = body
		for _, c := range room.conns {
			c.send(awareness, body)
		}
	}
}

func (c *relayConn) send(k kind, body []byte) {
	c.say(append(appendHead(nil, k, len(body)), body...))
}

// say writes one message in two frames with a ping between, as a server may.
func (c *relayConn) say(message []byte) {
	half := len(message) / 2
	b := appendServerFrame(nil, opBinary, message[:half])
	b = appendServerFrame(b, finBit|opPing, []byte("there?"))
	b = appendServerFrame(b, finBit|opContinuation, message[half:])
	_, _ = c.nc.Write(b) // the client may be gone; its reader tells
}

func appendServerFrame(dst []byte, first byte, payload []byte) []byte {
	dst = append(dst, first)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
	return append(dst, payload...)
}

// readMasked reads one frame of a client.
func readMasked(r *bufio.Reader) (op byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	if head[1]&maskBit == 0 {
		return 0, nil, fmt.Errorf("frame is not masked")
	}
	var n uint64
	switch size := head[1] &^ maskBit; size {
	case 126, 127:
		long := make([]byte, map[byte]int{126: 2, 127: 8}[size])
		if _, err := io.ReadFull(r, long); err != nil {
			return 0, nil, err
		}
		for _, b := range long {
			n = n<<8 | uint64(b)
		}
	default:
		n = uint64(size)
	}
	payload = make([]byte, 4+n)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, err
	}
	key, payload := payload[:4], payload[4:]
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	return head[0] & 0x0f, payload, nil
}
