package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
)

// ready is the content of the ready file.
type ready struct {
	PID    int    `json:"pid"`
	Listen string `json:"listen"`          // address of the public listener
	Admin  string `json:"admin,omitempty"` // address of the admin listener; absent when there is none
	Data   string `json:"data"`            // absolute path of the data directory
}

// announce says where everything is: to people on out, to programs in the ready file.
func (s *server) announce(out io.Writer) error {
	if err := s.writeReady(); err != nil {
		return err
	}
	_, err := io.WriteString(out, s.banner())
	return err
}

// banner tells a person where to click and what is stored where.
func (s *server) banner() string {
	host := dialable(s.publicAt)
	access := "auth off, this machine only"
	switch {
	case s.c.authorizes():
		access = "auth by " + s.c.Auth.Auth
	case !s.c.loopback():
		access = "auth off, EVERYBODY who can reach " + s.publicAt.String() + " may read and write"
	}
	admin := "off"
	switch {
	case s.adminAt != nil:
		admin = "http://" + dialable(s.adminAt) + "/admin/    rooms, people, connections; metrics at /metrics"
	case s.adminGone != nil:
		admin = "off: " + s.adminGone.Error()
	}
	return fmt.Sprintf(`weft %s: one node, %s
  editor       http://%s/    open it in two windows
  y-websocket  ws://%s/yjs   new WebsocketProvider('ws://%s/yjs', 'my-room', ydoc)
  REST         curl 'http://%s/v1/rooms/my-room?format=text'
  operators    %s
  data         %s
               wal.db has every edit since its room was last saved, rooms.db the saved rooms
`, buildVersion(), access, host, host, host, host, admin, s.dataDir())
}

// dialable turns the address of a listener into one that this machine can connect to.
func dialable(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return a.String()
	}
	if t.IP.IsUnspecified() {
		return fmt.Sprintf("localhost:%d", t.Port)
	}
	return t.String()
}

// writeReady writes the ready file whole: a reader sees all of it or no file.
func (s *server) writeReady() error {
	if s.c.ReadyFile == "" {
		return nil
	}
	r := ready{PID: os.Getpid(), Listen: s.publicAt.String(), Data: s.dataDir()}
	if s.adminAt != nil {
		r.Admin = s.adminAt.String()
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(s.c.ReadyFile), ".ready-*")
	if err != nil {
		return fmt.Errorf("write the ready file: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), s.c.ReadyFile)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // nobody can use it
		return fmt.Errorf("write the ready file: %w", err)
	}
	return nil
}
