package gateway

import (
	"bytes"
	"compress/flate"
	"net/http"
	"runtime"
	"strings"
	"sync"
)

// Compression of messages (permessage-deflate, RFC 7692), for connections of clients that offer it. Nothing is kept from
// one message to the next in either direction ("no context takeover"), so an idle connection holds no compressor.
//
// What clients send is inflated by gorilla and counted as what it inflates to, by the limit of a message, by the memory of
// messages and by the rates. An inflater takes 45 kB beside that while its message is being read, which the number of
// compressing connections bounds.
//
// What rooms send is one payload for many, so it is deflated once for all of them, see deflater.
const (
	deflateMin  = 512     // bytes of a payload from which on it is deflated; below, little is saved. Guessed
	deflateKept = 64      // payloads whose deflated form is kept
	deflateSize = 4 << 20 // bytes of both forms of all of them together, beside the newest
)

// deflateTail is what RFC 7692 section 7.2.1 takes off a message.
var deflateTail = []byte{0, 0, 0xff, 0xff}

// deflater deflates payloads, each once, for however many connections it is written to.
type deflater struct {
	// Static after construction.
	report func(from, to int) // told of each payload that was deflated

	slots   chan struct{} // bounds the compressors in use, of about 1.2 MB each, to the number of CPUs
	writers sync.Pool     // *flate.Writer

	// Guarded by mu.
	mu    sync.Mutex
	known map[*byte]*deflated // by the payload's first byte: payloads are never modified, and known keeps them alive
	order []*deflated         // as they came
	size  int
}

// deflated is a payload and what it became.
type deflated struct {
	payload []byte
	once    sync.Once
	frame   []byte // nil: deflating saves nothing. Valid after once
	counted int    // bytes; guarded by the deflater's mu
}

func newDeflater(report func(from, to int)) *deflater {
	return &deflater{report: report, slots: make(chan struct{}, runtime.GOMAXPROCS(0)), known: map[*byte]*deflated{}}
}

// deflate returns what is to be written instead of payload, in a frame with the bit of compression; nil when that would
// save nothing. Both belong to everybody and are never modified. It waits for a compressor.
func (d *deflater) deflate(payload []byte) []byte {
	if len(payload) < deflateMin {
		return nil
	}
	e := d.entry(payload)
	e.once.Do(func() {
		e.frame = d.make(payload)
		d.keep(e)
	})
	return e.frame
}

// entry finds or makes the entry of a payload.
func (d *deflater) entry(payload []byte) *deflated {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.known[&payload[0]]; e != nil && len(e.payload) == len(payload) {
		return e
	}
	e := &deflated{payload: payload}
	d.known[&payload[0]] = e
	d.order = append(d.order, e)
	d.count(e, len(payload))
	return e
}

// keep counts the frame of an entry.
func (d *deflater) keep(e *deflated) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known[&e.payload[0]] == e {
		d.count(e, len(e.frame))
	}
}

// count makes an entry larger and forgets the oldest ones when there is too much. Those who are writing them have them
// still. Called with mu held.
func (d *deflater) count(e *deflated, n int) {
	e.counted += n
	d.size += n
	for len(d.order) > 1 && (len(d.order) > deflateKept || d.size > deflateSize) {
		old := d.order[0]
		d.order[0] = nil
		d.order = d.order[1:]
		d.size -= old.counted
		if d.known[&old.payload[0]] == old {
			delete(d.known, &old.payload[0])
		}
	}
}

// make deflates.
func (d *deflater) make(payload []byte) []byte {
	d.slots <- struct{}{}
	defer func() { <-d.slots }()
	b := bytes.NewBuffer(make([]byte, 0, len(payload)/2+64))
	w, _ := d.writers.Get().(*flate.Writer)
	if w == nil {
		w, _ = flate.NewWriter(b, flate.BestSpeed) // fails for an unknown level only
	} else {
		w.Reset(b)
	}
	defer d.writers.Put(w)
	_, _ = w.Write(payload) // a buffer takes everything
	_ = w.Flush()           // likewise
	frame := bytes.TrimSuffix(b.Bytes(), deflateTail)
	if len(frame) >= len(payload) {
		return nil
	}
	if d.report != nil {
		d.report(len(payload), len(frame))
	}
	return frame
}

// offersDeflate tells whether a client can do permessage-deflate. gorilla decides anew; see socket.deflates.
func offersDeflate(r *http.Request) bool {
	for _, v := range r.Header.Values("Sec-Websocket-Extensions") {
		if strings.Contains(v, "permessage-deflate") {
			return true
		}
	}
	return false
}

// takeDeflate reserves one of the connections that may compress, which giveDeflate returns, if there is one.
func (s *Server) takeDeflate(r *http.Request) bool {
	if s.deflater == nil || !offersDeflate(r) {
		return false
	}
	if s.deflating.Add(1) > int64(s.o.MaxCompressed) {
		s.deflating.Add(-1)
		return false
	}
	return true
}

func (s *Server) giveDeflate() { s.deflating.Add(-1) }

// Compressing returns how many connections have their messages compressed.
func (s *Server) Compressing() int64 { return s.deflating.Load() }
