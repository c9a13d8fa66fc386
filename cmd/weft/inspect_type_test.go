package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weft/crdt"
)

// scriptType is an editor that types once and waits until that is saved.
func scriptType(ts *testscript.TestScript, _ bool, args []string) {
	d := crdt.New(crdt.Options{})
	update, err := d.Edit(func(tx *crdt.Tx) error { return tx.Text("codemirror").Insert(0, args[1]+"\n") })
	ts.Check(err)
	ts.Check(sendSaved(ts.Getenv("LISTEN"), args[0], update))
}

// savedMarker is the message that comes back when what was sent before it is saved.
var savedMarker = []byte{102, 1, 7}

// sendSaved sends an update to a room of a y-websocket server and waits for the marker behind it.
func sendSaved(addr, room string, update []byte) error {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	fmt.Fprintf(conn, "GET /yjs/%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", room, addr)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("upgrade = %s, want 101", resp.Status)
	}
	message := append([]byte{0, 2}, binary.AppendUvarint(nil, uint64(len(update)))...) // sync, update
	if _, err := conn.Write(append(clientFrame(append(message, update...)), clientFrame(savedMarker)...)); err != nil {
		return err
	}
	for {
		payload, err := readServerFrame(in)
		if err != nil {
			return err
		}
		if bytes.Equal(payload, savedMarker) {
			return nil
		}
	}
}

// clientFrame returns a binary WebSocket frame with a mask of zeros (RFC 6455, 5.2).
func clientFrame(payload []byte) []byte {
	f := []byte{0x82, 0x80 | 126}
	f = binary.BigEndian.AppendUint16(f, uint16(len(payload)))
	return append(append(f, 0, 0, 0, 0), payload...)
}

// readServerFrame returns the payload of the next frame.
func readServerFrame(in *bufio.Reader) ([]byte, error) {
	head := make([]byte, 2, 10)
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, err
	}
	n, long := uint64(head[1]), map[byte]int{126: 2, 127: 8}[head[1]]
	if long > 0 {
		head = head[:2+long]
		if _, err := io.ReadFull(in, head[2:]); err != nil {
			return nil, err
		}
		n = binary.BigEndian.Uint64(append(make([]byte, 8-long), head[2:]...))
	}
	if n > 1<<20 {
		return nil, fmt.Errorf("frame of %d bytes, want at most 1 MiB", n)
	}
	payload := make([]byte, n)
	_, err := io.ReadFull(in, payload)
	return payload, err
}
