// Package conformance holds transcripts of the native protocol, in testdata, and
// runs them against a server. They are what any server and, read the other way,
// any client can be held to. Only tests import it.
//
// A transcript is lines of text. A line that begins with # is for people, an
// empty one for nobody. The first word of the others is the name of a client, or
// let; the second is what happens:
//
//	let NAME BASE64           stands for these bytes as "$NAME" in what follows
//	NAME connect [SUBPROTOCOL...]    opens a connection that must be accepted, with the protocol's own subprotocol by default
//	NAME refused STATUS [SUBPROTOCOL...]    as connect, but it must be answered with that status
//	let NAME zeros N          stands for N bytes of zero
//	NAME send JSON            sends one envelope, in the JSON form of weft.proto
//	NAME parts N JSON         sends one envelope in Fragments of at most N bytes of data
//	NAME batch [JSON, ...]    sends several in one WebSocket message
//	NAME raw HEX              sends these bytes as one WebSocket message
//	NAME text TEXT            sends a WebSocket text message
//	NAME recv JSON            the next envelope must match
//	NAME await JSON           some envelope must match; those before it are skipped
//	NAME closed CODE          the connection must be closed with that code; envelopes before that are skipped
//	NAME cut                  breaks the connection off
//
// JSON stands to the end of the line. An envelope matches when it has all that
// JSON has; what JSON leaves out may be anything. "$NAME" matches anything the
// first time, and then stands for what it was; "$_" matches anything always, and
// null what is absent. Pings of the server are answered and never match, and
// fragments are put together.
//
// The server under test takes WebSocket messages of 1 KiB and envelopes of 4 KiB,
// and has nothing stored. "$writer" is a token with which one may write in every
// room but "secret", which is for nobody, "$reader" one of the same user to read.
package conformance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"weft/protocol"
	"weft/protocol/weftv1"
)

// patience bounds every wait for the server.
const patience = 30 * time.Second

// Server is where the server under test is, and who may enter its rooms.
type Server struct {
	URL    string            // such as "ws://127.0.0.1:8080/native"
	Header http.Header       // of every handshake
	Names  map[string]string // what "$NAME" stands for from the beginning, such as tokens
}

// Run runs a transcript. The error names the line that the server did not keep
// to, or that cannot be read.
func Run(ctx context.Context, s Server, transcript []byte) error {
	r := run{server: s, names: map[string]any{}, clients: map[string]*Client{}}
	defer r.close()
	for name, value := range s.Names {
		r.names[name] = value
	}
	lines := bufio.NewScanner(bytes.NewReader(transcript))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := r.line(ctx, line); err != nil {
			return fmt.Errorf("line %d: %.200s: %w", n, line, err)
		}
	}
	return lines.Err()
}

// run is one run of a transcript.
type run struct {
	server  Server
	names   map[string]any
	clients map[string]*Client
}

func (r *run) close() {
	for _, c := range r.clients {
		c.Cut()
	}
}

// line does what one line says.
func (r *run) line(ctx context.Context, line string) error {
	who, rest, _ := strings.Cut(line, " ")
	verb, rest, _ := strings.Cut(strings.TrimSpace(rest), " ")
	rest = strings.TrimSpace(rest)
	if who == "let" {
		r.names[verb] = rest
		if n, ok := strings.CutPrefix(rest, "zeros "); ok {
			size, err := strconv.Atoi(n)
			r.names[verb] = base64.StdEncoding.EncodeToString(make([]byte, max(size, 0)))
			return err
		}
		return nil
	}
	switch verb {
	case "connect":
		c, err := Connect(ctx, r.server, strings.Fields(rest)...)
		if err != nil {
			return err
		}
		if old := r.clients[who]; old != nil {
			old.Cut()
		}
		r.clients[who] = c
		return nil
	case "refused":
		words := strings.Fields(rest)
		return refused(ctx, r.server, words[0], words[1:]...)
	}
	c := r.clients[who]
	if c == nil {
		return fmt.Errorf("%s is not connected", who)
	}
	switch verb {
	case "send", "batch":
		if verb == "send" {
			rest = "[" + rest + "]"
		}
		batch, err := r.batch(rest)
		if err != nil {
			return err
		}
		return c.SendBatch(batch)
	case "parts":
		return r.sendParts(c, rest)
	case "raw":
		b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
		if err != nil {
			return err
		}
		return c.ws.WriteMessage(websocket.BinaryMessage, b)
	case "text":
		return c.ws.WriteMessage(websocket.TextMessage, []byte(rest))
	case "recv", "await":
		return r.receive(c, verb == "await", rest)
	case "closed":
		return c.closed(rest)
	case "cut":
		c.Cut()
		return nil
	}
	return fmt.Errorf("unknown verb %q", verb)
}

// batch makes a batch of a JSON list of envelopes.
func (r *run) batch(list string) (*weftv1.ClientBatch, error) {
	var envelopes []any
	if err := decodeJSON(list, &envelopes); err != nil {
		return nil, err
	}
	batch := &weftv1.ClientBatch{}
	for _, e := range envelopes {
		b, err := json.Marshal(r.filled(e))
		if err != nil {
			return nil, err
		}
		envelope := &weftv1.ClientEnvelope{}
		if err := protojson.Unmarshal(b, envelope); err != nil {
			return nil, err
		}
		batch.SetEnvelopes(append(batch.GetEnvelopes(), envelope))
	}
	return batch, nil
}

// sendParts sends an envelope in fragments.
func (r *run) sendParts(c *Client, text string) error {
	number, text, _ := strings.Cut(text, " ")
	size, err := strconv.Atoi(number)
	if err != nil || size < 1 {
		return fmt.Errorf("size %q of a part", number)
	}
	batch, err := r.batch("[" + text + "]")
	if err != nil {
		return err
	}
	whole, err := proto.Marshal(batch.GetEnvelopes()[0])
	if err != nil {
		return err
	}
	total := uint64(len(whole))
	for index := uint32(0); len(whole) > 0; index++ {
		data := whole[:min(size, len(whole))]
		whole = whole[len(data):]
		part := weftv1.Fragment_builder{Index: index, TotalBytes: total, Data: data}.Build()
		if err := c.Send(weftv1.ClientEnvelope_builder{Fragment: part}.Build()); err != nil {
			return err
		}
		total = 0
	}
	return nil
}

// filled returns v with what names stand for.
func (r *run) filled(v any) any {
	switch v := v.(type) {
	case string:
		if name, ok := strings.CutPrefix(v, "$"); ok {
			return r.names[name]
		}
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[k] = r.filled(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = r.filled(x)
		}
		return out
	}
	return v
}

// receive waits for an envelope that matches.
func (r *run) receive(c *Client, skip bool, pattern string) error {
	var want any
	if err := decodeJSON(pattern, &want); err != nil {
		return err
	}
	var skipped []string
	for {
		e, err := c.Receive()
		if err != nil {
			return fmt.Errorf("%w; before that: %s", err, strings.Join(skipped, " "))
		}
		b, err := protojson.Marshal(e)
		if err != nil {
			return err
		}
		var got any
		if err := decodeJSON(string(b), &got); err != nil {
			return err
		}
		if r.matches(want, got) {
			return nil
		}
		if !skip {
			return fmt.Errorf("got %.500s", b)
		}
		skipped = append(skipped, fmt.Sprintf("%.200s", b))
	}
}

// matches reports whether got has all that want has, and binds names. What a
// failed match has bound stays bound only when the whole matched.
func (r *run) matches(want, got any) bool {
	bound := map[string]any{}
	if !r.match(bound, want, got) {
		return false
	}
	maps.Copy(r.names, bound)
	return true
}

func (r *run) match(bound map[string]any, want, got any) bool {
	switch w := want.(type) {
	case string:
		name, ok := strings.CutPrefix(w, "$")
		switch {
		case !ok:
			return got == w
		case name == "_":
			return got != nil
		}
		if known, ok := r.names[name]; ok {
			return reflect.DeepEqual(known, got)
		}
		bound[name] = got
		return got != nil
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return false
		}
		for k, x := range w {
			if !r.match(bound, x, g[k]) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !r.match(bound, w[i], g[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(want, got)
}

// decodeJSON decodes numbers as they are written.
func decodeJSON(text string, v any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return d.Decode(v)
}

// refused checks that a handshake is answered with a status.
func refused(ctx context.Context, s Server, status string, subprotocols ...string) error {
	dialer := websocket.Dialer{HandshakeTimeout: patience, Subprotocols: subprotocols}
	ws, resp, err := dialer.DialContext(ctx, s.URL, s.Header)
	if err == nil {
		ws.Close()
		return errors.New("the handshake was accepted")
	}
	if resp == nil {
		return err
	}
	resp.Body.Close()
	if want, _ := strconv.Atoi(status); resp.StatusCode != want {
		return fmt.Errorf("answered with %d", resp.StatusCode)
	}
	return nil
}

// Client is a native client that does nothing by itself but answer Pings and put
// fragments together. It is not safe for concurrent use.
type Client struct {
	ws      *websocket.Conn
	waiting []*weftv1.ServerEnvelope
	parts   []byte
	Bytes   int // of the WebSocket messages received
	Largest int // bytes of the largest one
}

// Connect opens a connection; without subprotocols with the protocol's own one.
func Connect(ctx context.Context, s Server, subprotocols ...string) (*Client, error) {
	if len(subprotocols) == 0 {
		subprotocols = []string{protocol.NativeSubprotocol}
	}
	dialer := websocket.Dialer{HandshakeTimeout: patience, Subprotocols: subprotocols}
	ws, resp, err := dialer.DialContext(ctx, s.URL, s.Header)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	if got := ws.Subprotocol(); got != protocol.NativeSubprotocol {
		ws.Close()
		return nil, fmt.Errorf("the server chose the subprotocol %q", got)
	}
	return &Client{ws: ws}, nil
}

// Cut breaks the connection off, without a word. It may be called again.
func (c *Client) Cut() { _ = c.ws.Close() } // what a second call says is of no use

// Socket returns the connection, for callers that read it themselves from then on.
func (c *Client) Socket() *websocket.Conn { return c.ws }

// Send sends envelopes in one WebSocket message.
func (c *Client) Send(envelopes ...*weftv1.ClientEnvelope) error {
	return c.SendBatch(weftv1.ClientBatch_builder{Envelopes: envelopes}.Build())
}

// SendBatch sends a batch as it is.
func (c *Client) SendBatch(b *weftv1.ClientBatch) error {
	frame, err := proto.Marshal(b)
	if err != nil {
		return err
	}
	return c.SendFrame(frame)
}

// SendFrame sends bytes as one WebSocket message.
func (c *Client) SendFrame(frame []byte) error {
	return c.ws.WriteMessage(websocket.BinaryMessage, frame)
}

// Receive waits for the next envelope that is no Ping of the server's.
func (c *Client) Receive() (*weftv1.ServerEnvelope, error) {
	for {
		for len(c.waiting) > 0 {
			e := c.waiting[0]
			c.waiting = c.waiting[1:]
			switch {
			case e.HasPing():
				pong := weftv1.Pong_builder{Time: e.GetPing().GetTime()}.Build()
				if err := c.Send(weftv1.ClientEnvelope_builder{Pong: pong}.Build()); err != nil {
					return nil, err
				}
			case e.HasFragment():
				whole, err := c.assemble(e.GetFragment())
				if err != nil {
					return nil, err
				}
				if whole != nil {
					return whole, nil
				}
			default:
				return e, nil
			}
		}
		if err := c.ws.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return nil, err
		}
		kind, frame, err := c.ws.ReadMessage()
		if err != nil {
			return nil, err
		}
		c.Bytes += len(frame)
		c.Largest = max(c.Largest, len(frame))
		batch := &weftv1.ServerBatch{}
		if kind != websocket.BinaryMessage {
			return nil, errors.New("the server sent text")
		}
		if err := proto.Unmarshal(frame, batch); err != nil {
			return nil, err
		}
		c.waiting = batch.GetEnvelopes()
	}
}

// assemble takes a fragment and returns the envelope when it is the last one.
func (c *Client) assemble(f *weftv1.Fragment) (*weftv1.ServerEnvelope, error) {
	if f.GetIndex() == 0 {
		c.parts = make([]byte, 0, f.GetTotalBytes())
	}
	c.parts = append(c.parts, f.GetData()...)
	if len(c.parts) < cap(c.parts) {
		return nil, nil
	}
	e := &weftv1.ServerEnvelope{}
	if err := proto.Unmarshal(c.parts, e); err != nil {
		return nil, err
	}
	c.parts = nil
	return e, nil
}

// closed checks that the server closes with a code.
func (c *Client) closed(code string) error {
	for {
		_, err := c.Receive()
		if ce, ok := errors.AsType[*websocket.CloseError](err); ok {
			if strconv.Itoa(ce.Code) != code {
				return fmt.Errorf("closed with %d %q", ce.Code, ce.Text)
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}
