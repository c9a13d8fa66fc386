package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"net"
	"regexp"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"weft/gateway"
	"weft/protocol"
	"weft/room"
)

// dozing counts the goroutines of this process that wait on a small stack for a quiet client.
func dozing(t testing.TB) (n int) {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		t.Fatal(err)
	}
	for group := range strings.SplitSeq(b.String(), "\n\n") {
		if !strings.Contains(group, "gateway.(*conn).doze+") {
			continue
		}
		if strings.Contains(group, "gorilla") || strings.Contains(group, "bufio") {
			t.Errorf("a dozing connection waits in\n%s", group)
		}
		count, err := strconv.Atoi(groupCount.FindString(group))
		if err != nil {
			t.Fatal(err)
		}
		n += count
	}
	return n
}

// groupCount is how many goroutines have the stack of one group in a profile.
var groupCount = regexp.MustCompile(`(?m)^\d+`)

// heard returns rooms that keep what clients say.
func heard(said *[]string) *fakeRooms {
	return &fakeRooms{join: func(context.Context, string, room.Peer) (gateway.Session, error) {
		return newFakeSession(func(_ context.Context, m protocol.Message) error {
			*said = append(*said, sum(m.Kind, m.Data))
			return nil
		}), nil
	}}
}

// TestDoze lets a client be quiet again and again, and say each time something else, cut into other pieces.
func TestDoze(t *testing.T) {
	marker := frame(protocol.SaveMarker, []byte("m"))
	var long []byte
	for i := range 3000 {
		long = append(long, byte(i))
	}
	binary := func(payload []byte) []byte { return clientFrame(0x82, payload) }
	for _, c := range []struct {
		name string
		send []byte
		want []string
	}{
		{"one message", binary(marker), []string{sum(protocol.SaveMarker, []byte("m"))}},
		{"several messages", slices.Repeat(binary(marker), 5), slices.Repeat([]string{sum(protocol.SaveMarker, []byte("m"))}, 5)},
		{"long message", binary(frame(protocol.Update, long)), []string{sum(protocol.Update, long)}},
		{"fragments", fragmented(frame(protocol.Update, long), 7), []string{sum(protocol.Update, long)}},
		{"pong", clientFrame(0x8A, []byte("late")), nil},
		{"pong and message", append(clientFrame(0x8A, nil), binary(marker)...), []string{sum(protocol.SaveMarker, []byte("m"))}},
	} {
		for _, piece := range []int{1, 5, 8, 9, 4000} {
			t.Run(fmt.Sprintf("%s in pieces of %d", c.name, piece), func(t *testing.T) {
				var got []string
				inBubble(t, heard(&got), func(t *testing.T, _ *recorder, client net.Conn) {
					go swallow(client)
					time.Sleep(2 * time.Second)
					synctest.Wait()
					if n := dozing(t); n != 1 {
						t.Fatalf("%d connections doze, want 1", n)
					}
					for part := range slices.Chunk(c.send, piece) {
						if _, err := client.Write(part); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(2 * time.Second)
					synctest.Wait()
					if !slices.Equal(got, c.want) {
						t.Errorf("the room was told %v, want %v", got, c.want)
					}
					if n := dozing(t); n != 1 {
						t.Errorf("%d connections doze afterwards, want 1", n)
					}
				})
			})
		}
	}
}

// sum is what heard keeps of a message.
func sum(k protocol.Kind, data []byte) string {
	return fmt.Sprintf("%v of %d bytes, %x", k, len(data), crc32.ChecksumIEEE(data))
}

// swallow reads until the connection ends.
func swallow(c net.Conn) {
	b := make([]byte, 512)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

// TestDozePing pings and is pinged while the connection dozes.
func TestDozePing(t *testing.T) {
	inBubble(t, &fakeRooms{}, func(t *testing.T, r *recorder, client net.Conn) {
		expect := func(want []byte) {
			t.Helper()
			got := make([]byte, len(want))
			if _, err := client.Read(got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("the server sent %x, %v, want %x", got, err, want)
			}
		}
		began := time.Now()
		expect([]byte{0x89, 0}) // when it has heard nothing for 15 s
		if d := time.Since(began); d != 15*time.Second {
			t.Errorf("pinged after %v, want 15s", d)
		}
		pong := append([]byte{0x8A, 0x80}, 1, 2, 3, 4)
		if _, err := client.Write(pong); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := dozing(t); n != 1 {
			t.Errorf("%d connections doze after a pong, want 1", n)
		}
		ping := append([]byte{0x89, 0x82, 1, 2, 3, 4}, 'h'^1, 'i'^2)
		if _, err := client.Write(ping); err != nil {
			t.Fatal(err)
		}
		expect([]byte{0x8A, 2, 'h', 'i'})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := dozing(t); n != 1 {
			t.Errorf("%d connections doze after a ping, want 1", n)
		}
	})
}

// TestDozeEnds ends connections that doze, from either side.
func TestDozeEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(t *testing.T, client net.Conn)
		want protocol.Reason
	}{
		{"client hangs up", func(_ *testing.T, c net.Conn) { c.Close() }, protocol.Lost},
		{"client says goodbye", func(t *testing.T, c net.Conn) {
			if _, err := c.Write(clientFrame(0x88, websocket.FormatCloseMessage(1000, ""))); err != nil {
				t.Fatal(err)
			}
		}, protocol.Normal},
		{"client sends text", func(t *testing.T, c net.Conn) {
			if _, err := c.Write(clientFrame(0x81, []byte("hello"))); err != nil {
				t.Fatal(err)
			}
		}, protocol.Malformed},
		{"client is gone", func(*testing.T, net.Conn) { time.Sleep(time.Minute) }, protocol.Lost},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, &fakeRooms{}, func(t *testing.T, r *recorder, client net.Conn) {
				go swallow(client)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if n := dozing(t); n != 1 {
					t.Fatalf("%d connections doze, want 1", n)
				}
				c.end(t, client)
				if e := r.end(t, 0); e.Reason != c.want {
					t.Errorf("ended with %s (%s), want %s", e.Reason.Name, e.Detail, c.want.Name)
				}
			})
		})
	}
}
