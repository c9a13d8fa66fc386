package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weft/crdt"
)

// scriptJoin enters a room and tries to write there. What it prints is "write" when that was saved, "read" when the
// room only let it read, and the code when the server closed the connection.
func scriptJoin(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: join ROOM [TOKEN]")
	}
	target := "/yjs/" + args[0]
	if len(args) == 2 {
		target += "?token=" + args[1]
	}
	what, err := tryWriting(ts.Getenv("LISTEN"), target)
	ts.Check(err)
	_, err = fmt.Fprintln(ts.Stdout(), what)
	ts.Check(err)
}

// scriptToken reads a token from a file, so that it can be given to a command.
func scriptToken(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: token FILE")
	}
	ts.Setenv("TOKEN", strings.TrimSpace(ts.ReadFile(args[0])))
}

func tryWriting(addr, target string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", target, addr)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return "", fmt.Errorf("upgrade = %s, want 101", resp.Status)
	}
	d := crdt.New(crdt.Options{})
	update, err := d.Edit(func(tx *crdt.Tx) error { return tx.Text("codemirror").Insert(0, "x") })
	if err != nil {
		return "", err
	}
	message := append([]byte{0, 2}, binary.AppendUvarint(nil, uint64(len(update)))...) // sync, update
	marker := clientFrame([]byte{102, 1, 7})                                           // answered when what is before it is saved
	if _, err := conn.Write(append(clientFrame(append(message, update...)), marker...)); err != nil {
		return "", err
	}
	for {
		opcode, payload, err := readOpcode(in)
		switch {
		case err != nil:
			return "", err
		case opcode == 8 && len(payload) >= 2: // close
			return fmt.Sprint(binary.BigEndian.Uint16(payload)), nil
		case len(payload) > 0 && payload[0] == 102:
			return "write", nil
		case len(payload) > 1 && payload[0] == 2 && payload[1] == 0 && bytes.Contains(payload, []byte("read-only")): // auth, permission denied
			return "read", nil
		}
	}
}

// readOpcode returns the next frame of the server.
func readOpcode(in *bufio.Reader) (opcode byte, payload []byte, err error) {
	first, err := in.Peek(1)
	if err != nil {
		return 0, nil, err
	}
	opcode = first[0] & 0xf
	payload, err = readServerFrame(in)
	return opcode, payload, err
}
