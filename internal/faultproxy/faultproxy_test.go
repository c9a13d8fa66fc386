package faultproxy_test

import (
	"bufio"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"weft/internal/faultproxy"
)

// long is for what must happen, short for what must not.
const (
	long  = 20 * time.Second
	short = 50 * time.Millisecond
)

// echo answers every line with itself and sends what it has heard on its channel.
func echo(t *testing.T) (addr string, heard chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heard = make(chan string, 100)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				lines := bufio.NewReader(conn)
				for {
					line, err := lines.ReadString('\n')
					if err != nil {
						return
					}
					heard <- line
					if _, err := conn.Write([]byte(line)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String(), heard
}

type client struct {
	net.Conn
	lines *bufio.Reader
}

func start(t *testing.T) (*faultproxy.Proxy, func() *client, chan string) {
	t.Helper()
	addr, heard := echo(t)
	proxy, err := faultproxy.New(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return proxy, func() *client {
		conn, err := net.Dial("tcp", proxy.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return &client{conn, bufio.NewReader(conn)}
	}, heard
}

func (c *client) ask(t *testing.T, line string, wait time.Duration) (string, error) {
	t.Helper()
	if _, err := c.Write([]byte(line + "\n")); err != nil {
		return "", err
	}
	return c.hear(t, wait)
}

func (c *client) hear(t *testing.T, wait time.Duration) (string, error) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	return c.lines.ReadString('\n')
}

func TestForwards(t *testing.T) {
	_, dial, _ := start(t)
	if got, err := dial().ask(t, "hello", long); got != "hello\n" {
		t.Errorf("ask(hello) = %q, %v, want hello", got, err)
	}
}

func TestDelay(t *testing.T) {
	proxy, dial, _ := start(t)
	proxy.Delay(100 * time.Millisecond)
	begin := time.Now()
	got, err := dial().ask(t, "hello", long)
	if took := time.Since(begin); got != "hello\n" || took < 200*time.Millisecond {
		t.Errorf("ask(hello) = %q, %v after %v, want hello after 200ms or more", got, err, took)
	}
}

func TestDropReplies(t *testing.T) {
	proxy, dial, heard := start(t)
	proxy.DropReplies(1)
	c := dial()
	if got, err := c.ask(t, "lost", short); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ask(lost) = %q, %v, want a timeout", got, err)
	}
	if got := <-heard; got != "lost\n" {
		t.Errorf("the server heard %q, want lost", got)
	}
	if got, err := c.ask(t, "more", short); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ask(more) on the same connection = %q, %v, want a timeout", got, err)
	}
	if got, err := dial().ask(t, "hello", long); got != "hello\n" {
		t.Errorf("ask(hello) on another connection = %q, %v, want hello", got, err)
	}
}

func TestSilence(t *testing.T) {
	proxy, dial, heard := start(t)
	c := dial()
	proxy.Silence(faultproxy.Up, true)
	if got, err := c.ask(t, "unheard", short); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ask(unheard) = %q, %v, want a timeout", got, err)
	}
	proxy.Silence(faultproxy.Up, false)
	if got, err := dial().ask(t, "heard", long); got != "heard\n" {
		t.Errorf("ask(heard) = %q, %v, want heard", got, err)
	}
	if got := <-heard; got != "heard\n" {
		t.Errorf("the server heard %q first, want heard", got)
	}
}

func TestStall(t *testing.T) {
	proxy, dial, _ := start(t)
	c := dial()
	proxy.Stall(true)
	if got, err := c.ask(t, "late", short); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ask(late) = %q, %v, want a timeout", got, err)
	}
	proxy.Stall(false)
	if got, err := c.hear(t, long); got != "late\n" {
		t.Errorf("after the stall the answer is %q, %v, want late", got, err)
	}
}

func TestCutAndRefuse(t *testing.T) {
	proxy, dial, _ := start(t)
	c := dial()
	if _, err := c.ask(t, "hello", long); err != nil {
		t.Fatal(err)
	}
	proxy.Refuse(true)
	proxy.Cut()
	if got, err := c.hear(t, long); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after Cut the connection says %q, %v, want its end", got, err)
	}
	if got, err := dial().hear(t, long); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("while refusing a new connection says %q, %v, want its end", got, err)
	}
	proxy.Refuse(false)
	if got, err := dial().ask(t, "hello", long); got != "hello\n" {
		t.Errorf("ask(hello) = %q, %v, want hello", got, err)
	}
}
