package protocol_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/protocol"
)

// frames are what y-websocket 3.1.0 and its server put on the wire, in hex.
var frames = []struct {
	label, frame string
	want         protocol.Message
}{
	{"sync step 1 of an empty doc", "00000100", protocol.Message{Kind: protocol.SyncStep1, Data: []byte{0}}},
	{"sync step 2 of an empty doc", "0001020000", protocol.Message{Kind: protocol.SyncStep2, Data: []byte{0, 0}}},
	{"update", "00020401020304", protocol.Message{Kind: protocol.Update, Data: []byte{1, 2, 3, 4}}},
	{"empty update field", "000200", protocol.Message{Kind: protocol.Update, Data: []byte{}}},
	{"awareness at clock 0", "0106010700027b7d", protocol.Message{Kind: protocol.Awareness, Data: []byte("\x01\x07\x00\x02{}")}},
	{"permission denied", "0200026e6f", protocol.Message{Kind: protocol.Denied, Data: []byte("no")}},
	{"query awareness", "03", protocol.Message{Kind: protocol.QueryAwareness}},
	{"save marker", "66022a2b", protocol.Message{Kind: protocol.SaveMarker, Data: []byte{42, 43}}},
}

func TestYWebsocketFrames(t *testing.T) {
	for _, tt := range frames {
		t.Run(tt.label, func(t *testing.T) {
			frame, err := hex.DecodeString(tt.frame)
			if err != nil {
				t.Fatal(err)
			}
			got, err := protocol.YWebsocket{}.Decode(frame, protocol.Limits{})
			if err != nil {
				t.Fatalf("Decode(%s) = %v", tt.frame, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Decode(%s) (-want +got):\n%s", tt.frame, diff)
			}
			if got := (protocol.YWebsocket{}).Append([]byte("kept"), tt.want); string(got) != "kept"+string(frame) {
				t.Errorf("Append(kept, %v) = %x, want it to end with %x", tt.want, got, frame)
			}
		})
	}
}

func TestYWebsocketIgnores(t *testing.T) {
	for _, frame := range []string{"04", "05ffffff", "6500", "c80a00", "0201", "020500"} {
		b, err := hex.DecodeString(frame)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := (protocol.YWebsocket{}).Decode(b, protocol.Limits{}); err != nil || m.Kind != protocol.Ignored {
			t.Errorf("Decode(%s) = %v, %v, want Ignored", frame, m.Kind, err)
		}
	}
	if got := (protocol.YWebsocket{}).Append(nil, protocol.Message{}); got != nil {
		t.Errorf("Append(Ignored) = %x, want nothing", got)
	}
}

func TestYWebsocketRefuses(t *testing.T) {
	limits := protocol.Limits{Message: 200, Awareness: 100, Marker: 8}
	tests := []struct {
		label, frame string
		want         protocol.Reason
	}{
		{"empty frame", "", protocol.Malformed},
		{"no sync kind", "00", protocol.Malformed},
		{"unknown sync kind", "000300", protocol.Malformed},
		{"no length", "0000", protocol.Malformed},
		{"length beyond the end", "00020501020304", protocol.Malformed},
		{"length of 2^53", "00028080808080808010", protocol.Malformed},
		{"length over 2^53", "0002ffffffffffffffffff01", protocol.Malformed},
		{"endless varint", "0002" + strings.Repeat("ff", 64), protocol.Malformed},
		{"type in two bytes for one", "80000100", protocol.Malformed},
		{"length in two bytes for one", "0002810009", protocol.Malformed},
		{"byte after an update", "00020100ff", protocol.Malformed},
		{"byte after a query", "0300", protocol.Malformed},
		{"second message in the frame", "0000010000000100", protocol.Malformed},
		{"denied without UTF-8", "020001ff", protocol.Malformed},
		{"frame over the limit", "0002c501" + strings.Repeat("00", 197), protocol.TooLarge},
		{"awareness over the limit", "0165" + strings.Repeat("00", 101), protocol.TooLarge},
		{"marker over the limit", "6609" + strings.Repeat("00", 9), protocol.TooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.label, func(t *testing.T) {
			frame, err := hex.DecodeString(tt.frame)
			if err != nil {
				t.Fatal(err)
			}
			m, err := protocol.YWebsocket{}.Decode(frame, limits)
			ce, ok := errors.AsType[*protocol.CloseError](err)
			if !ok || ce.Reason != tt.want {
				t.Errorf("Decode(%s) = %v, %v, want %v", tt.frame, m, err, tt.want.Name)
			}
		})
	}
}

func TestYWebsocketTakesWhatTheLimitsAllow(t *testing.T) {
	limits := protocol.Limits{Message: 200, Awareness: 100, Marker: 8}
	for _, m := range []protocol.Message{
		{Kind: protocol.Update, Data: make([]byte, 196)}, // and four bytes of envelope
		{Kind: protocol.Awareness, Data: make([]byte, 100)},
		{Kind: protocol.SaveMarker, Data: make([]byte, 8)},
	} {
		frame := protocol.YWebsocket{}.Append(nil, m)
		if _, err := (protocol.YWebsocket{}).Decode(frame, limits); err != nil {
			t.Errorf("Decode(%v of %d bytes) = %v, want no error", m.Kind, len(m.Data), err)
		}
	}
}

func TestYWebsocketDecodeAliasesTheFrame(t *testing.T) {
	frame := []byte{0, 2, 2, 7, 8}
	m, err := protocol.YWebsocket{}.Decode(frame, protocol.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if &m.Data[0] != &frame[3] {
		t.Error("Decode copied the update, want it to alias the frame")
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = protocol.YWebsocket{}.Decode(frame, protocol.Limits{}) }); n != 0 {
		t.Errorf("Decode allocates %v times, want 0", n)
	}
}

func TestKindWrites(t *testing.T) {
	for k := protocol.Ignored; k <= protocol.ServerOnly; k++ {
		want := k == protocol.SyncStep2 || k == protocol.Update
		if got := k.Writes(); got != want {
			t.Errorf("%v.Writes() = %v, want %v", k, got, want)
		}
		if k.String() == "unknown" {
			t.Errorf("kind %d has no name", k)
		}
	}
}

func FuzzYWebsocketDecode(f *testing.F) {
	for _, tt := range frames {
		b, err := hex.DecodeString(tt.frame)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		before := bytes.Clone(frame)
		m, err := protocol.YWebsocket{}.Decode(frame, protocol.Limits{Message: 1 << 16})
		if !bytes.Equal(frame, before) {
			t.Fatalf("Decode(%x) changed the frame to %x", before, frame)
		}
		if err != nil {
			if _, ok := errors.AsType[*protocol.CloseError](err); !ok {
				t.Fatalf("Decode(%x) = %v, which is no CloseError", frame, err)
			}
			return
		}
		if m.Kind == protocol.Ignored {
			return
		}
		// One message has one frame: what decodes is what is encoded.
		if again := (protocol.YWebsocket{}).Append(nil, m); !bytes.Equal(again, frame) {
			t.Fatalf("Append(Decode(%x)) = %x", frame, again)
		}
	})
}
