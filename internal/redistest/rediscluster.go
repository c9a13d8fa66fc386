package redistest

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// StartCluster runs a Redis Cluster of three masters and returns their addresses once all of them say it is complete.
func StartCluster(tb testing.TB) []string {
	tb.Helper()
	var addrs []string
	var firstBus string
	for i, slots := range []string{"0 5460", "5461 10922", "10923 16383"} {
		_, bus, _ := net.SplitHostPort(freeAddr(tb)) // it was just made
		s := Start(tb, "--cluster-enabled", "yes", "--cluster-port", bus)
		addrs = append(addrs, s.addr)
		s.want("+OK", fmt.Sprintf("CLUSTER SET-CONFIG-EPOCH %d", i+1))
		s.want("+OK", "CLUSTER ADDSLOTSRANGE "+slots)
		if i == 0 {
			firstBus = bus
			continue
		}
		host, port, _ := net.SplitHostPort(addrs[0])
		s.want("+OK", fmt.Sprintf("CLUSTER MEET %s %s %s", host, port, firstBus))
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(60 * time.Second); ; <-tick.C {
		complete := 0
		for _, addr := range addrs {
			info, err := ask(addr, "CLUSTER INFO")
			if err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3") {
				complete++
			}
		}
		if complete == len(addrs) {
			return addrs
		}
		if time.Now().After(deadline) {
			tb.Fatalf("the Redis Cluster is not complete after 60 s: %d of %d", complete, len(addrs))
		}
	}
}

func (s *Server) want(answer, command string) {
	s.tb.Helper()
	if got, err := ask(s.addr, command); err != nil || !strings.HasPrefix(got, answer) {
		s.tb.Fatalf("redis %s = %q, %v, want %s", command, got, err, answer)
	}
}

// ask sends an inline command and returns the first line of the answer, or the whole of a bulk string.
func ask(addr, command string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte(command + "\r\n")); err != nil {
		return "", err
	}
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	var size int
	if n, _ := fmt.Sscanf(line, "$%d", &size); n == 1 && size > 0 && size < 1<<20 {
		bulk := make([]byte, size)
		for at := 0; at < size && err == nil; {
			var n int
			n, err = r.Read(bulk[at:])
			at += n
		}
		return string(bulk), err
	}
	return line, err
}
