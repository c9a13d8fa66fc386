package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// socket is the client's side of a WebSocket (RFC 6455) that allocates nothing for a message. One goroutine may read
// while another one writes.
type socket struct {
	// Static after dial.
	nc   net.Conn
	mask [4]byte // of every frame of this connection

	// Owned by the reader.
	buf     []byte
	r, w    int    // buf[r:w] was received and not used
	message []byte // of a message in several frames
}

// Opcodes of frames.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10

	finBit  = 0x80
	maskBit = 0x80
)

const (
	firstBuffer = 2 << 10   // bytes; grows with the messages
	keptBuffer  = 64 << 10  // bytes; a larger one is given back when it is empty
	maxPayload  = 256 << 20 // bytes; more is a mistake of the server
)

// dialer opens sockets.
type dialer struct {
	timeout    time.Duration // of everything until the upgrade
	readBuffer int           // of the kernel, in bytes; 0: its own choice
}

// dial connects to a ws or wss URL and upgrades.
func (d dialer) dial(ctx context.Context, address string) (*socket, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	nd := net.Dialer{KeepAlive: -1}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), map[string]string{"ws": "80", "wss": "443"}[u.Scheme])
	}
	nc, err := nd.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	if tc, ok := nc.(*net.TCPConn); ok && d.readBuffer > 0 {
		_ = tc.SetReadBuffer(d.readBuffer) // only a wish
	}
	if u.Scheme == "wss" {
		nc = tls.Client(nc, &tls.Config{ServerName: u.Hostname()})
	}
	s := &socket{nc: nc, buf: make([]byte, firstBuffer)}
	_, _ = rand.Read(s.mask[:]) // never fails
	deadline, _ := ctx.Deadline()
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) }) // the read tells
	err = errors.Join(nc.SetDeadline(deadline), s.upgrade(u))
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = nc.Close() // err is what went wrong
		return nil, err
	}
	return s, nil
}

// acceptSuffix is the GUID of RFC 6455 section 1.3.
const acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// upgrade does the handshake. What the server sent behind it stays in the buffer.
func (s *socket) upgrade(u *url.URL) error {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	key := base64.StdEncoding.EncodeToString(nonce[:])
	_, err := fmt.Fprintf(s.nc, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n", u.RequestURI(), u.Host, key)
	if err != nil {
		return err
	}
	end := -1
	for end < 0 {
		if err := s.fill(); err != nil {
			return fmt.Errorf("handshake: %w", err)
		}
		if s.w > 64<<10 {
			return errors.New("handshake: the answer's header does not end")
		}
		end = bytes.Index(s.buf[:s.w], []byte("\r\n\r\n"))
	}
	head := s.buf[:end+4]
	s.r = len(head)
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	_ = resp.Body.Close() // what was read of it is in our buffer
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return refusal(resp)
	}
	sum := sha1.Sum([]byte(key + acceptSuffix))
	if resp.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		return errors.New("handshake: Sec-WebSocket-Accept does not answer the key")
	}
	return nil
}

// fill reads more into the buffer, which grows when it is full.
func (s *socket) fill() error {
	switch {
	case s.r == s.w:
		s.r, s.w = 0, 0
		if len(s.buf) > keptBuffer {
			s.buf = make([]byte, firstBuffer)
		}
	case s.w == len(s.buf) && s.r > 0:
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	if s.w == len(s.buf) {
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	n, err := s.nc.Read(s.buf[s.w:])
	s.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// closed is the error of a socket that the server closed with a close frame.
type closed struct {
	code   int // 0: none was given
	reason string
}

func (c *closed) Error() string { return fmt.Sprintf("closed by the server: %d %s", c.code, c.reason) }

// next returns the payload of the next message, which is valid until next is called again, and the frame of a control
// message that must be answered, to be sent as it is; one of the two is nil.
func (s *socket) next() (payload, answer []byte, err error) {
	for {
		fin, op, p, err := s.frame()
		if err != nil {
			return nil, nil, err
		}
		switch op {
		case opPing:
			return nil, s.appendFrame(nil, opPong, p), nil
		case opPong:
		case opClose:
			c := new(closed)
			if len(p) >= 2 {
				c.code, c.reason = int(binary.BigEndian.Uint16(p)), string(p[2:])
			}
			return nil, nil, c
		case opText, opBinary, opContinuation:
			if fin && len(s.message) == 0 {
				return p, nil, nil
			}
			s.message = append(s.message, p...)
			if fin {
				p, s.message = s.message, nil
				return p, nil, nil
			}
		default:
			return nil, nil, fmt.Errorf("the server sends opcode %d", op)
		}
	}
}

// frame reads one frame. Its payload is valid until the next call.
func (s *socket) frame() (fin bool, op byte, payload []byte, err error) {
	for {
		have := s.buf[s.r:s.w]
		header, length := 2, 0
		if len(have) >= 2 {
			length = int(have[1] &^ maskBit)
			switch length {
			case 126:
				header = 4
			case 127:
				header = 10
			}
		}
		if len(have) >= header {
			switch header {
			case 4:
				length = int(binary.BigEndian.Uint16(have[2:]))
			case 10:
				length = int(min(binary.BigEndian.Uint64(have[2:]), maxPayload+1))
			}
			if length > maxPayload || have[1]&maskBit != 0 {
				return false, 0, nil, errors.New("the server sends a frame that it may not send")
			}
			if len(have) >= header+length {
				s.r += header + length
				return have[0]&finBit != 0, have[0] & 0x0f, have[header : header+length : header+length], nil
			}
		}
		if err := s.fill(); err != nil {
			return false, 0, nil, err
		}
	}
}

// appendFrame appends a masked frame whose payload is all parts together.
func (s *socket) appendFrame(dst []byte, op byte, parts ...[]byte) []byte {
	length := 0
	for _, p := range parts {
		length += len(p)
	}
	dst = append(dst, finBit|op)
	switch {
	case length < 126:
		dst = append(dst, maskBit|byte(length))
	case length < 1<<16:
		dst = append(dst, maskBit|126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(length))
	default:
		dst = append(dst, maskBit|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(length))
	}
	dst = append(dst, s.mask[:]...)
	start := len(dst)
	for _, p := range parts {
		dst = append(dst, p...)
	}
	mask(dst[start:], s.mask)
	return dst
}

// mask masks b in place with the key of RFC 6455 section 5.3.
func mask(b []byte, key [4]byte) {
	k := uint64(binary.LittleEndian.Uint32(key[:]))
	k |= k << 32
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= key[i&3]
	}
}
