package gateway_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"

	"weft/crdt"
	"weft/gateway"
	"weft/protocol"
)

// dialDeflate opens a connection whose client offers permessage-deflate, and tells whether the server took that up.
func (r *rig) dialDeflate(path string) (c *client, agreed bool) {
	r.t.Helper()
	d := websocket.Dialer{HandshakeTimeout: patience, EnableCompression: true}
	ws, resp, err := d.Dial("ws://"+r.addr+path, nil)
	if err != nil {
		r.t.Fatalf("dial %s = %v, want nil", path, err)
	}
	resp.Body.Close()
	r.t.Cleanup(func() { ws.Close() })
	return &client{r.t, ws}, strings.Contains(resp.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate")
}

// deflateFrame returns one final frame with a compressed message.
func deflateFrame(t *testing.T, write func(w *flate.Writer)) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	write(w)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return clientFrame(0xC2, bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff}))
}

// longText is an update with a text that compresses well.
func longText(t *testing.T) []byte {
	t.Helper()
	d := crdt.New(crdt.Options{})
	u, err := d.Edit(func(tx *crdt.Tx) error {
		return tx.Text("text").Insert(0, strings.Repeat("to be or not to be, that is the question; ", 200))
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestDeflate sends a compressed update to clients that compress and to one that does not.
func TestDeflate(t *testing.T) {
	r := start(t, gateway.Options{Compression: true})
	author, agreed := r.dialDeflate("/yjs/room")
	reader, alike := r.dialDeflate("/yjs/room")
	if !agreed || !alike {
		t.Fatalf("compression agreed on: %v and %v, want both", agreed, alike)
	}
	plain := r.join("/yjs/room")
	for _, c := range []*client{author, reader, plain} {
		c.echo("in")
	}
	if n := r.server.Compressing(); n != 2 {
		t.Errorf("Compressing = %d, want 2", n)
	}
	update := longText(t)
	author.send(frame(protocol.Update, update))
	for i, c := range []*client{author, reader, plain} {
		got := c.receive("the update", func(m protocol.Message) bool { return m.Kind == protocol.Update })
		if !bytes.Equal(got.Data, update) {
			t.Errorf("client %d was sent %d bytes, want the %d of the author", i, len(got.Data), len(update))
		}
	}
	late, _ := r.dialDeflate("/yjs/room")
	late.send(frame(protocol.SyncStep1, []byte{0}))
	got := late.receive("the state", func(m protocol.Message) bool { return m.Kind == protocol.SyncStep2 })
	if ok, err := crdt.UpdateContains(got.Data, update, crdt.V1); err != nil || !ok {
		t.Errorf("a newcomer's state has the text: %v, %v, want true", ok, err)
	}
	r.events.mu.Lock()
	deflated, sent := r.events.deflated, 0
	for _, d := range deflated {
		if d[0] < len(update) || d[1] > d[0]/5 {
			t.Errorf("%d bytes became %d, want a fifth of %d at most", d[0], d[1], len(update))
		}
		sent += d[1]
	}
	r.events.mu.Unlock()
	if len(deflated) != 2 || sent == 0 {
		t.Errorf("compressed %d payloads, want the broadcast once and the state once", len(deflated))
	}
	for _, c := range []*client{author, reader, late} {
		c.Close()
	}
	r.events.until(t, "the ends", func() bool { return len(r.events.closed) == 3 })
	if n := r.server.Compressing(); n != 0 {
		t.Errorf("Compressing = %d after the clients left, want 0", n)
	}
}

// TestDeflateIsOptional checks who is not offered it.
func TestDeflateIsOptional(t *testing.T) {
	r := start(t, gateway.Options{})
	if _, agreed := r.dialDeflate("/yjs/off"); agreed {
		t.Error("compression was agreed on although it is off")
	}
	r = start(t, gateway.Options{Compression: true, MaxCompressed: 1})
	first, agreed := r.dialDeflate("/yjs/one")
	second, too := r.dialDeflate("/yjs/one")
	if !agreed || too {
		t.Errorf("compression agreed on with the first: %v, with the second: %v, want true and false", agreed, too)
	}
	second.echo("plain")
	first.Close()
	r.events.until(t, "the end of the first", func() bool { return len(r.events.closed) == 1 })
	third, again := r.dialDeflate("/yjs/one")
	if !again {
		t.Error("compression was not agreed on although the one that had it has gone")
	}
	third.echo("compressed")

	third.Close()
	r.events.until(t, "the end of the third", func() bool { return len(r.events.closed) == 2 })
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.addr+"/yjs/one", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Extensions": "permessage-deflate"} {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != http.StatusBadRequest || r.server.Compressing() != 0 {
		t.Errorf("a handshake without a version = %s, Compressing = %d, want 400 and 0", resp.Status, r.server.Compressing())
	}
}

// TestDeflateBomb sends a small message that inflates to a large one, in one frame and in many.
func TestDeflateBomb(t *testing.T) {
	const limit, size = 256 << 10, 40 << 20
	bomb := deflateFrame(t, func(w *flate.Writer) {
		zeros := make([]byte, 1<<20)
		for range size / len(zeros) {
			if _, err := w.Write(zeros); err != nil {
				t.Fatal(err)
			}
		}
	})
	for _, c := range []struct {
		name  string
		limit int
		most  uint64 // bytes allocated
	}{
		{"small limit", limit, 4 << 20},
		{"default limit", 0, 48 << 20}, // buffers that grow to 8 MiB, each twice the last, are 16 MiB
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, gateway.Options{Compression: true, Limits: protocol.Limits{Message: c.limit}})
			victim := r.join("/yjs/room")
			victim.echo("before")
			k, agreed := r.dialDeflate("/yjs/room")
			if !agreed {
				t.Fatal("compression was not agreed on")
			}
			k.echo("in")
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := k.NetConn().Write(bomb); err != nil {
				t.Fatal(err)
			}
			k.wantClose(protocol.TooLarge)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > c.most {
				t.Errorf("a bomb of %d bytes that becomes %d made the server allocate %d, want at most %d", len(bomb), size, n, c.most)
			}
			if n := r.server.MessageMemory(); n != 0 {
				t.Errorf("MessageMemory = %d afterwards, want 0", n)
			}
			victim.echo("after")
		})
	}
}

// TestDeflateBroken sends messages that are compressed wrongly, or where they must not be.
func TestDeflateBroken(t *testing.T) {
	update := frame(protocol.SaveMarker, []byte("m"))
	good := deflateFrame(t, func(w *flate.Writer) { _, _ = w.Write(update) })
	t.Run("no deflate", func(t *testing.T) {
		r := start(t, gateway.Options{Compression: true})
		k, _ := r.dialDeflate("/yjs/room")
		k.echo("in")
		if _, err := k.NetConn().Write(clientFrame(0xC2, []byte{0xff, 0xff, 0xff})); err != nil {
			t.Fatal(err)
		}
		k.wantClose(protocol.Malformed)
	})
	t.Run("not agreed on", func(t *testing.T) {
		r := start(t, gateway.Options{Compression: true})
		k := r.join("/yjs/room")
		k.echo("in")
		if _, err := k.NetConn().Write(good); err != nil {
			t.Fatal(err)
		}
		k.wantClose(protocol.Malformed)
	})
	t.Run("bytes behind the end", func(t *testing.T) {
		r := start(t, gateway.Options{Compression: true})
		k, _ := r.dialDeflate("/yjs/room")
		k.echo("in")
		// Stored block, final: what follows looks like a ping, but is the rest of the message.
		stored := append([]byte{1, byte(len(update)), 0, ^byte(len(update)), 0xff}, update...)
		if _, err := k.NetConn().Write(clientFrame(0xC2, append(stored, 0x89, 0x80, 0, 0, 0, 0))); err != nil {
			t.Fatal(err)
		}
		k.receive("the marker", func(m protocol.Message) bool { return m.Kind == protocol.SaveMarker && string(m.Data) == "m" })
		if _, err := k.NetConn().Write(good); err != nil {
			t.Fatal(err)
		}
		k.receive("the marker again", func(m protocol.Message) bool { return m.Kind == protocol.SaveMarker && string(m.Data) == "m" })
		k.echo("out")
	})
	t.Run("nothing in many blocks", func(t *testing.T) {
		r := start(t, gateway.Options{Compression: true})
		k, _ := r.dialDeflate("/yjs/room")
		k.echo("in")
		if _, err := k.NetConn().Write(clientFrame(0xC2, bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 10_000))); err != nil {
			t.Fatal(err)
		}
		k.wantClose(protocol.Malformed)
	})
}

// TestDeflater deflates the same payloads for many at once, and more payloads than it keeps.
func TestDeflater(t *testing.T) {
	var mu sync.Mutex
	made := 0
	d := gateway.NewDeflater(func(int, int) { mu.Lock(); made++; mu.Unlock() })
	payloads := make([][]byte, 100)
	for i := range payloads {
		payloads[i] = []byte(strings.Repeat(fmt.Sprintf("payload %d ", i), 6_000))
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for _, p := range payloads[:10] {
				if z := d.Deflate(p); len(z) == 0 || len(z) > len(p)/10 {
					t.Errorf("Deflate(%d bytes) = %d bytes, want a tenth at most", len(p), len(z))
				}
			}
		})
	}
	wg.Wait()
	if made != 10 {
		t.Errorf("10 payloads were deflated %d times, want once each", made)
	}
	for _, p := range payloads {
		d.Deflate(p)
	}
	if n, size := d.Kept(); n > 64 || size > 4<<20 {
		t.Errorf("%d payloads of %d bytes are kept, want at most 64 of 4 MiB", n, size)
	}
	if z := d.Deflate(bytes.Repeat([]byte{1}, 511)); z != nil {
		t.Errorf("Deflate(511 bytes) = %d bytes, want nil", len(z))
	}
	noise := make([]byte, 4096)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	if z := d.Deflate(noise); z != nil {
		t.Errorf("Deflate(noise) = %d bytes, want nil", len(z))
	}
}
