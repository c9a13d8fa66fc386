package bench

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
)

// piped returns a socket whose server sends b, so many bytes at a time, and hangs up.
func piped(t *testing.T, b []byte, chunk int) *socket {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() { // ends when b is read or the test closes ours
		defer close(done)
		defer theirs.Close()
		for len(b) > 0 {
			n := min(chunk, len(b))
			if _, err := theirs.Write(b[:n]); err != nil {
				return
			}
			b = b[n:]
		}
	}()
	t.Cleanup(func() {
		ours.Close()
		<-done
	})
	return &socket{nc: ours, buf: make([]byte, 16)}
}

func TestSocketReadsFrames(t *testing.T) {
	long, longer := bytes.Repeat([]byte("long"), 100), bytes.Repeat([]byte("longer"), 20_000)
	var b []byte
	b = appendServerFrame(b, finBit|opBinary, []byte("short"))
	b = appendServerFrame(b, finBit|opBinary, nil)
	b = appendServerFrame(b, finBit|opBinary, long)
	b = appendServerFrame(b, opBinary, []byte("in "))
	b = appendServerFrame(b, finBit|opPing, []byte("ping"))
	b = appendServerFrame(b, opContinuation, []byte("three "))
	b = appendServerFrame(b, finBit|opPong, nil)
	b = appendServerFrame(b, finBit|opContinuation, []byte("frames"))
	b = appendServerFrame(b, finBit|opBinary, longer)
	b = appendServerFrame(b, finBit|opClose, append([]byte{4401 >> 8, 4401 & 0xff}, "go away"...))
	want := [][]byte{[]byte("short"), {}, long, []byte("in three frames"), longer}
	for _, chunk := range []int{1, 3, 100, len(b)} {
		s := piped(t, b, chunk)
		pongs := 0
		for i := 0; ; {
			payload, answer, err := s.next()
			if err != nil {
				c, ok := err.(*closed)
				if !ok || c.code != 4401 || c.reason != "go away" || i != len(want) {
					t.Errorf("in chunks of %d: next = %v after %d messages, want a close with 4401 after %d", chunk, err, i, len(want))
				}
				break
			}
			if answer != nil {
				pongs++
				if answer[0] != finBit|opPong || string(answer[6:]) != "ping" { // the mask of s is zero
					t.Errorf("in chunks of %d: a ping is answered with %q", chunk, answer)
				}
				continue
			}
			if !bytes.Equal(payload, want[i]) {
				t.Errorf("in chunks of %d: message %d has %d bytes, want %d", chunk, i, len(payload), len(want[i]))
			}
			i++
		}
		if pongs != 1 {
			t.Errorf("in chunks of %d: %d pongs, want 1", chunk, pongs)
		}
	}
}

func TestSocketRefusesFrames(t *testing.T) {
	for _, c := range []struct {
		name, bytes, want string
	}{
		{"masked", "\x82\x81\x00\x00\x00\x00a", "may not send"},
		{"huge", "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "may not send"},
		{"unknown opcode", "\x83\x00", "opcode 3"},
		{"cut off", "\x82\x05abc", io.EOF.Error()},
	} {
		if _, _, err := piped(t, []byte(c.bytes), 100).next(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("next(%s) = %v, want an error with %q", c.name, err, c.want)
		}
	}
}

// TestSocketSteadyState checks that neither direction allocates once the buffers have grown.
func TestSocketSteadyState(t *testing.T) {
	frame := appendServerFrame(nil, finBit|opBinary, []byte("a message of usual length"))
	s := &socket{nc: endless{b: bytes.Repeat(frame, 8)}, buf: make([]byte, firstBuffer)}
	if n := testing.AllocsPerRun(1000, func() { _, _, _ = s.next() }); n != 0 { // cannot fail
		t.Errorf("next makes %v allocations, want 0", n)
	}
	out := make([]byte, 0, 1<<10)
	parts := [][]byte{[]byte("head"), []byte("body")}
	if n := testing.AllocsPerRun(1000, func() { out = s.appendFrame(out[:0], opBinary, parts...) }); n != 0 {
		t.Errorf("appendFrame makes %v allocations, want 0", n)
	}
}

// endless is a connection from which the same bytes come again and again.
type endless struct {
	net.Conn // nil: nothing else is called
	b        []byte
}

func (e endless) Read(p []byte) (int, error) { return copy(p, e.b), nil }
