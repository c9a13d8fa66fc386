package gateway_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"weft/gateway"
	"weft/protocol"
)

// attacker is a hostile client that was let into a room, in one of the dialects.
type attacker struct {
	*client
	wrap func(k protocol.Kind, data []byte) []byte
	hp   bool
}

// throw writes bytes of which the server may close the connection at any point.
func (a attacker) throw(b []byte) {
	_ = a.NetConn().SetWriteDeadline(time.Now().Add(patience)) // a socket that is gone is what it may be
	_, _ = a.NetConn().Write(b)                                // likewise
}

// utter sends one message in one frame.
func (a attacker) utter(k protocol.Kind, data []byte) { a.throw(clientFrame(0x82, a.wrap(k, data))) }

// settle waits until the server has handled everything that was sent, or has closed.
func (a attacker) settle() {
	a.t.Helper()
	answer := protocol.SyncStep2
	if a.hp {
		answer = protocol.Pong
		a.throw(clientFrame(0x82, protocol.Hocuspocus{}.Append(nil, protocol.Message{Kind: protocol.Ping})))
	} else {
		a.utter(protocol.SyncStep1, []byte{0})
	}
	if err := a.SetReadDeadline(time.Now().Add(patience)); err != nil {
		a.t.Fatal(err)
	}
	for {
		_, frame, err := a.ReadMessage()
		if err != nil {
			if os.IsTimeout(err) {
				a.t.Fatalf("neither an answer nor a close in %v", patience)
			}
			return
		}
		var m protocol.Message
		if a.hp {
			_, m, err = protocol.DecodeHocuspocus(frame, protocol.Limits{Message: 1 << 30})
		} else {
			m, err = protocol.YWebsocket{}.Decode(frame, protocol.Limits{Message: 1 << 30})
		}
		if err == nil && m.Kind == answer {
			return
		}
	}
}

// varints encodes numbers as lib0 does.
func varints(n ...uint64) (b []byte) {
	for _, v := range n {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

// hostileUpdates are updates that must change nothing; package crdt has the whole list.
func hostileUpdates(t testing.TB) map[string][]byte {
	valid := insertion(t, "hostile content")
	text := append(varints(1, 1, 9, 0, 4, 1, 4), "text"...) // one string of client 9 in the root text
	return map[string][]byte{
		"nothing":               nil,
		"cut":                   valid[:len(valid)/2],
		"trailing byte":         append(slices.Clone(valid), 0),
		"version 2":             {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"2^53 sections":         varints(1<<53 - 1),
		"2^53 structs":          varints(1, 1<<53-1, 9, 0),
		"client id of 63 bits":  append(varints(1, 1, 1<<63-1, 0), 0, 1, 0),
		"clock of 60 bits":      append(varints(1, 1, 9, 1<<60), 0, 1, 0),
		"2^53 bytes of text":    append(slices.Clone(text), varints(1<<53-1)...),
		"text not UTF-8":        append(slices.Clone(text), 1, 0xff, 0),
		"2^53 deleted ranges":   varints(0, 1, 1, 1<<53-1),
		"values 100,000 deep":   append(append(append(varints(1, 1, 9, 0, 8, 1, 1), 'a', 1), bytes.Repeat([]byte{117, 1}, 100_000)...), 126, 0),
		"varint without end":    bytes.Repeat([]byte{0xff}, 5000),
		"future delete":         varints(0, 1, 77, 1, 0, 1000),
		"builds on what is not": append(append(varints(1, 1, 9, 0, 4|0x80, 8, 5), 1), 'x', 0),
		"gap":                   append(append(append(varints(1, 1, 9, 500, 4, 1, 4), "text"...), 1), 'x', 0),
	}
}

// attack is one class of hostility.
type attack struct {
	name   string
	do     func(a attacker)
	reader bool // of a client that may only read
	gone   bool // what was sent is no whole message: nothing answers it
}

// attacks are the classes of what one connection can do that was let in, the same for both dialects.
func attacks(t testing.TB) (list []attack) {
	valid := insertion(t, "hostile content")
	add := func(name string, do func(a attacker)) { list = append(list, attack{name: name, do: do}) }
	updates := hostileUpdates(t)
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range updates {
			if !yield(name) {
				return
			}
		}
	}) {
		u := updates[name]
		add("update: "+name, func(a attacker) { a.utter(protocol.Update, u) })
		add("step 2: "+name, func(a attacker) { a.utter(protocol.SyncStep2, u) })
	}
	for name, vector := range map[string][]byte{
		"nothing": nil, "2^53 clients": varints(1<<53 - 1), "cut": {2, 1, 1}, "varint without end": bytes.Repeat([]byte{0x80}, 4000),
	} {
		add("step 1: "+name, func(a attacker) { a.utter(protocol.SyncStep1, vector) })
	}
	entry := func(id, clock uint64, state string) []byte {
		return append(varints(id, clock, uint64(len(state))), state...)
	}
	many := func(n int) []byte {
		b := varints(uint64(n))
		for i := range n {
			b = append(b, entry(uint64(1000+i), 1, "{}")...)
		}
		return b
	}
	for name, states := range map[string][]byte{
		"nothing": nil, "2^53 entries": varints(1<<53 - 1), "not JSON": append(varints(1), entry(5, 1, "{")...),
		"clock of 53 bits": append(varints(1), entry(5, 1<<53-1, "{}")...), "deep": append(varints(1), entry(5, 1, strings.Repeat("[", 30_000)+strings.Repeat("]", 30_000))...),
		"of somebody else": append(varints(1), entry(victimID, 1<<31, `{"user":"mallory"}`)...), "removal of somebody else": append(varints(1), entry(victimID, 1<<31, "null")...),
		"5,000 ids": many(5_000), "200,000 ids": many(200_000),
	} {
		add("awareness: "+name, func(a attacker) { a.utter(protocol.Awareness, states) })
	}
	add("text", func(a attacker) { a.throw(clientFrame(0x81, []byte("hello"))) })
	add("unmasked", func(a attacker) { a.throw([]byte{0x82, 1, 0}) })
	add("reserved bits", func(a attacker) { a.throw(clientFrame(0xF2, a.wrap(protocol.Update, valid))) })
	add("opcode 3", func(a attacker) { a.throw(clientFrame(0x83, nil)) })
	add("long ping", func(a attacker) { a.throw(clientFrame(0x89, make([]byte, 126))) })
	add("pings", func(a attacker) { a.throw(bytes.Repeat(clientFrame(0x89, []byte("x")), 5000)) })
	add("pongs", func(a attacker) { a.throw(bytes.Repeat(clientFrame(0x8A, []byte("x")), 5000)) })
	add("3,000 fragments", func(a attacker) { a.throw(fragmented(make([]byte, 3000), 3000)) })
	add("empty fragments without end", func(a attacker) {
		a.throw(append(clientFrame(websocket.BinaryMessage, nil), bytes.Repeat(clientFrame(0, nil), 100_000)...))
	})
	add("over the size", func(a attacker) { a.utter(protocol.Update, make([]byte, hostileLimit+1)) })
	add("over the size in 1,000 fragments", func(a attacker) {
		a.throw(fragmented(a.wrap(protocol.Update, make([]byte, hostileLimit+1)), 1000))
	})
	add("bytes of no protocol", func(a attacker) { a.throw(clientFrame(0x82, bytes.Repeat([]byte{0xfe}, 300))) })
	add("close code 1005", func(a attacker) { a.throw(clientFrame(0x88, []byte{0x03, 0xED})) })
	add("close with content", func(a attacker) { a.throw(clientFrame(0x88, append([]byte{0x03, 0xE8}, "hostile content"...))) })
	add("questions without reading", func(a attacker) {
		a.throw(bytes.Repeat(clientFrame(0x82, a.wrap(protocol.SyncStep1, []byte{0})), 3000))
	})
	add("presence without reading", func(a attacker) {
		a.throw(bytes.Repeat(clientFrame(0x82, a.wrap(protocol.QueryAwareness, nil)), 3000))
	})
	list = append(list,
		attack{name: "reader: update", reader: true, do: func(a attacker) { a.utter(protocol.Update, valid) }},
		attack{name: "reader: step 2", reader: true, do: func(a attacker) { a.utter(protocol.SyncStep2, valid) }},
		attack{name: "length of 63 bits", gone: true, do: func(a attacker) {
			a.throw([]byte{0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4})
		}},
		attack{name: "half a frame", gone: true, do: func(a attacker) { f := clientFrame(0x82, valid); a.throw(f[:len(f)-3]) }},
		attack{name: "half a message", gone: true, do: func(a attacker) { a.throw(clientFrame(0x02, a.wrap(protocol.Update, valid))) }},
		attack{name: "half of 1 MiB", gone: true, do: func(a attacker) { a.throw(clientFrame(0x82, make([]byte, 1<<20))[:1<<19]) }},
	)
	return list
}

const (
	victimID     = 4242
	victimState  = `{"user":"the victim"}`
	hostileLimit = 2 << 20 // bytes of a message
)

// TestHostileClients lets one client after another do each thing that it must not, in both dialects, beside a victim
// in the same room and a bystander in another one. Nothing may change for either, and nothing may be left behind.
func TestHostileClients(t *testing.T) {
	for _, dialect := range []string{"y-websocket", "hocuspocus"} {
		t.Run(dialect, func(t *testing.T) {
			o := gateway.Options{}
			o.Limits.Message = hostileLimit
			r := startAuth(t, o)
			good := userToken(t, "victim", canWrite("**"))
			bystander, victim := r.join("/yjs/other?token="+good), r.join("/yjs/room?token="+good)
			victim.send(frame(protocol.Update, insertion(t, "what the victim wrote")))
			victim.send(frame(protocol.Awareness, append(varints(1, victimID, 1, uint64(len(victimState))), victimState...)))
			victim.echo("written")
			bystander.echo("in")
			want := r.state("room")
			settled := resources()

			tokens := map[bool]string{
				false: userToken(t, "mallory", canWrite("room")),
				true:  userToken(t, "mallory", canRead("room")),
			}
			slowest, ended := time.Duration(0), 0
			for _, at := range attacks(t) {
				a := r.attacker(dialect, tokens[at.reader])
				at.do(a)
				if !at.gone {
					a.settle()
				}
				a.Close()
				end := r.events.end(t, ended)
				ended++
				if end.Room != "room" || end.User.ID != "mallory" || end.Reason.Name == "" || end.ID == 0 {
					t.Errorf("%s: ended with room %q, user %q, reason %q, want room, mallory and a reason", at.name, end.Room, end.User.ID, end.Reason.Name)
				}
				if got := r.state("room"); !bytes.Equal(got, want) {
					t.Fatalf("%s: the room changed from %x to %x", at.name, want, got)
				}
				began := time.Now()
				bystander.echo(at.name[:min(len(at.name), 64)])
				slowest = max(slowest, time.Since(began))
				victim.echo("still here")
			}
			t.Logf("the other room answered in at most %v (aim: 250 ms)", slowest)
			if slowest > 5*time.Second {
				t.Errorf("the other room answered in at most %v, want at most 5 s", slowest)
			}
			r.wantPresence(good)
			settled.wantBack(t)
			dump := r.events.dump()
			for _, secret := range []string{"hostile content", "what the victim wrote", tokens[false], tokens[true], good} {
				if strings.Contains(dump, secret) {
					t.Errorf("the events hold %q", secret)
				}
			}
			if len(r.events.panics) > 0 {
				t.Errorf("panics = %q, want none", r.events.panics)
			}
		})
	}
}

// attacker opens a connection that is in the room.
func (r *rig) attacker(dialect, token string) attacker {
	if dialect == "hocuspocus" {
		c := r.joinHP("/hocuspocus")
		c.enter("room", token)
		d := protocol.Hocuspocus{Address: "room"}
		return attacker{c.client, func(k protocol.Kind, data []byte) []byte {
			return d.Append(nil, protocol.Message{Kind: k, Data: data})
		}, true}
	}
	c := r.join("/yjs/room?token=" + token)
	c.send(frame(protocol.SyncStep1, []byte{0})) // a room asks writers only
	c.receive("the room", func(m protocol.Message) bool { return m.Kind == protocol.SyncStep2 })
	return attacker{c, frame, false}
}

// wantPresence checks that a newcomer is told the victim's presence, and nobody else's.
func (r *rig) wantPresence(token string) {
	r.t.Helper()
	c := r.join("/yjs/room?token=" + token)
	c.send(frame(protocol.QueryAwareness, nil))
	m := c.receive("presence", func(m protocol.Message) bool { return m.Kind == protocol.Awareness && len(m.Data) > 1 })
	if !bytes.Contains(m.Data, []byte(victimState)) || m.Data[0] != 1 {
		r.t.Errorf("presence = %q, want the victim's %q alone", m.Data, victimState)
	}
	c.Close()
}

// held is what a process holds.
type held struct {
	goroutines, files int
	heap              uint64
}

func resources() held {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	files, _ := os.ReadDir("/proc/self/fd") // none where there is no such thing
	return held{runtime.NumGoroutine(), len(files), m.HeapAlloc}
}

func (h held) String() string {
	return fmt.Sprintf("%d goroutines, %d files, %d KiB", h.goroutines, h.files, h.heap>>10)
}

// wantBack waits until the process holds about what it held: a goroutine that is ending has no event of its own.
func (h held) wantBack(t *testing.T) {
	t.Helper()
	var got held
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if got = resources(); got.goroutines <= h.goroutines+2 && got.files <= h.files+2 && got.heap <= h.heap+16<<20 {
			t.Logf("held before %v, after %v", h, got)
			return
		}
	}
	t.Errorf("afterwards held are %v, want about %v", got, h)
}
