package room_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"

	"weft/protocol"
	"weft/room"
)

func TestStatelessReachesTheOthersThatKnowIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a, b := w.join("r", &client{}, acking()), w.join("r", &client{}, acking())
		old := w.join("r", &client{}, peer(0))
		small := acking()
		small.Out = room.NewOutbox(100, nil)
		full := w.join("r", &client{}, small)
		readOnly := acking()
		readOnly.ReadOnly = true
		reader := w.join("r", &client{}, readOnly)
		settle(a, b, old, full, reader)
		full.deaf = true
		b.deaf = true
		old.kinds()
		a.send(protocol.Stateless, []byte("1"))
		a.send(protocol.Stateless, bytes.Repeat([]byte("x"), 90))
		a.send(protocol.Stateless, []byte("3"))
		reader.send(protocol.Stateless, []byte("from a reader"))
		settle(a, b, old, full, reader)
		full.deaf, b.deaf = false, false
		settle(a, b, old, full, reader)
		check := func(who string, c *client, want ...string) {
			t.Helper()
			var short []string
			for _, s := range c.heard {
				short = append(short, s[:1])
			}
			if got := fmt.Sprint(short); got != fmt.Sprint(want) {
				t.Errorf("%s hears %v, want %v", who, got, want)
			}
		}
		check("the sender", a)
		check("another", b, "1", "x", "3")
		check("a reader", reader, "1", "x", "3")
		check("one whose outbox is full", full, "1", "3")
		if got := old.kinds(); got != nil {
			t.Errorf("a peer whose dialect has no such message gets %v", got)
		}
		a.send(protocol.Stateless, make([]byte, 64<<10+1))
		synctest.Wait()
		if got := reason(a.session.Err()); got != protocol.TooLarge {
			t.Errorf("after 64 KiB and a byte Err() = %v, want TooLarge", a.session.Err())
		}
	})
}
