package room_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"

	"weft/protocol"
	"weft/room"
)

// TestReadersUpdatesAreNotDecoded sends what would end a session if the room read
// it, and what it has to read.
func TestReadersUpdatesAreNotDecoded(t *testing.T) {
	garbage, large := []byte{0xff}, bytes.Repeat([]byte{0xff}, 64<<10+1)
	tests := []struct {
		label   string
		acks    bool
		kind    protocol.Kind
		data    []byte
		decoded bool
	}{
		{"update", false, protocol.Update, garbage, false},
		{"answer", false, protocol.SyncStep2, garbage, false},
		{"update of a peer with acks", true, protocol.Update, garbage, false},
		{"large answer of a peer with acks", true, protocol.SyncStep2, large, false},
		{"small answer of a peer with acks", true, protocol.SyncStep2, garbage, true},
	}
	for _, tt := range tests {
		t.Run(tt.label, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, room.Options{})
				defer w.stop()
				reader := w.join("r", &client{}, room.Peer{Dialect: plain{}, Acks: tt.acks, ReadOnly: true})
				settle(reader)
				reader.acks = ""
				reader.send(tt.kind, bytes.Clone(tt.data))
				settle(reader)
				var err error
				select {
				case err = <-reader.ended:
				default:
				}
				switch {
				case tt.decoded:
					if got := reason(err); got != protocol.Malformed {
						t.Errorf("session ended with %v, want Malformed", err)
					}
				case err != nil:
					t.Errorf("session ended with %v, want it to go on", err)
				case tt.acks:
					reader.wantAcks("what was refused", "N")
				case len(reader.denied) != 1 || !strings.HasPrefix(reader.denied[0], "read-only"):
					t.Errorf("reader is told %q, want the reason once", reader.denied)
				}
			})
		})
	}
}
