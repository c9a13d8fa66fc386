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

// hpFrames are what the providers 4.8.0, 3.4.4 and 2.15.3 and the server 4.7.0 put on the wire for the document "d",
// in hex: the captured handshake first, in its order, then what follows it.
var hpFrames = []struct {
	label, frame string
	want         protocol.Message
}{
	{"token of 4.8", "01640200" + "03746f6b" + "05342e382e30", protocol.Message{Kind: protocol.Token, Data: protocol.JoinToken("tok", "4.8.0")}},
	{"token of 3.4 and 2.15", "0164020003746f6b", protocol.Message{Kind: protocol.Token, Data: protocol.JoinToken("tok", "")}},
	{"token that is not set", "0164020000", protocol.Message{Kind: protocol.Token, Data: []byte{0}}},
	{"sync step 1 of an empty doc", "016400000100", protocol.Message{Kind: protocol.SyncStep1, Data: []byte{0}}},
	{"awareness at clock 0", "01640106010700027b7d", protocol.Message{Kind: protocol.Awareness, Data: []byte("\x01\x07\x00\x02{}")}},
	{"authenticated", "016402020a" + "726561642d7772697465", protocol.Message{Kind: protocol.Granted, Data: []byte(protocol.ReadWrite)}},
	{"authenticated to read", "0164020208" + "726561646f6e6c79", protocol.Message{Kind: protocol.Granted, Data: []byte(protocol.ReadOnly)}},
	{"sync step 2 of an empty doc", "01640001020000", protocol.Message{Kind: protocol.SyncStep2, Data: []byte{0, 0}}},
	{"sync status 1", "01640801", protocol.Message{Kind: protocol.Saved}},
	{"sync status 0", "01640800", protocol.Message{Kind: protocol.NotSaved}},
	{"update", "0164000204" + "01020304", protocol.Message{Kind: protocol.Update, Data: []byte{1, 2, 3, 4}}},
	{"permission denied", "01640201026e6f", protocol.Message{Kind: protocol.Barred, Data: []byte("no")}},
	{"token request", "01640200", protocol.Message{Kind: protocol.TokenWanted}},
	{"query awareness", "016403", protocol.Message{Kind: protocol.QueryAwareness}},
	{"stateless", "016405026869", protocol.Message{Kind: protocol.Stateless, Data: []byte("hi")}},
	{"broadcast stateless", "016406026869", protocol.Message{Kind: protocol.ServerOnly, Data: []byte("hi")}},
	{"close of a client", "016407", protocol.Message{Kind: protocol.Leave}},
	{"close of a server", "01640703627965", protocol.Message{Kind: protocol.Leave, Data: []byte("bye")}},
	{"ping", "09", protocol.Message{Kind: protocol.Ping}},
	{"pong", "0a", protocol.Message{Kind: protocol.Pong}},
}

func TestHocuspocusFrames(t *testing.T) {
	doc := protocol.Hocuspocus{Address: "d"}
	for _, tt := range hpFrames {
		t.Run(tt.label, func(t *testing.T) {
			frame := unhex(t, tt.frame)
			got, err := doc.Decode(frame, protocol.Limits{})
			if err != nil {
				t.Fatalf("Decode(%s) = %v", tt.frame, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Decode(%s) (-want +got):\n%s", tt.frame, diff)
			}
			if got := doc.Append([]byte("kept"), tt.want); string(got) != "kept"+string(frame) {
				t.Errorf("Append(kept, %v) = %x, want it to end with %x", tt.want, got, frame)
			}
		})
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestHocuspocusToken(t *testing.T) {
	for _, tt := range [][2]string{{"tok", "4.8.0"}, {"tok", ""}, {"", ""}, {"", "4.8.0"}, {strings.Repeat("x", 300), "4"}} {
		token, version := protocol.SplitToken(protocol.JoinToken(tt[0], tt[1]))
		if string(token) != tt[0] || string(version) != tt[1] {
			t.Errorf("SplitToken(JoinToken(%q)) = %q, %q", tt, token, version)
		}
	}
}

func TestHocuspocusIgnores(t *testing.T) {
	for _, frame := range []string{
		"0164" + "0400000100",        // sync reply, between servers
		"0164" + "0b", "0164" + "7f", // types of a later version
		"0164" + "0203", "0164" + "020500", // auth messages of a later version
	} {
		_, m, err := protocol.DecodeHocuspocus(unhex(t, frame), protocol.Limits{})
		if err != nil || m.Kind != protocol.Ignored {
			t.Errorf("DecodeHocuspocus(%s) = %v, %v, want Ignored", frame, m.Kind, err)
		}
	}
	for _, kind := range []protocol.Kind{protocol.Ignored, protocol.Denied, protocol.SaveMarker} {
		if got := (protocol.Hocuspocus{Address: "d"}).Append(nil, protocol.Message{Kind: kind, Data: []byte("x")}); got != nil {
			t.Errorf("Append(%v) = %x, want nothing", kind, got)
		}
	}
}

func TestHocuspocusRefuses(t *testing.T) {
	limits := protocol.Limits{Message: 400, Awareness: 100, Stateless: 50, Token: 20}
	tests := []struct {
		label, frame string
		address      bool // whether it can be told
		want         protocol.Reason
	}{
		{"empty frame", "", false, protocol.Malformed},
		{"address beyond the end", "0564", false, protocol.Malformed},
		{"address without UTF-8", "02c328" + "03", false, protocol.Malformed},
		{"address over the limit", "c202" + strings.Repeat("61", 322) + "03", false, protocol.Malformed},
		{"frame over the limit", "0164" + "05" + "f503" + strings.Repeat("61", 501), false, protocol.TooLarge},
		{"ping with a byte behind it", "0900", false, protocol.Malformed},
		{"no type", "0164", true, protocol.Malformed},
		{"no sync kind", "016400", true, protocol.Malformed},
		{"unknown sync kind", "0164000300", true, protocol.Malformed},
		{"length beyond the end", "01640002050102", true, protocol.Malformed},
		{"length of 2^53", "01640002" + "8080808080808010", true, protocol.Malformed},
		{"endless varint", "016400" + strings.Repeat("ff", 64), true, protocol.Malformed},
		{"type in two bytes for one", "01648000" + "000100", true, protocol.Malformed},
		{"byte after an update", "01640002010055", true, protocol.Malformed},
		{"byte after a query", "01640300", true, protocol.Malformed},
		{"sync status 2", "01640802", true, protocol.Malformed},
		{"stateless without UTF-8", "01640501ff", true, protocol.Malformed},
		{"token without UTF-8", "0164020001ff", true, protocol.Malformed},
		{"byte after the version", "01640200" + "0174" + "0134" + "00", true, protocol.Malformed},
		{"version over the limit", "01640200" + "0174" + "41" + strings.Repeat("34", 65), true, protocol.Malformed},
		{"token over the limit", "01640200" + "15" + strings.Repeat("74", 21), true, protocol.TooLarge},
		{"token over the limit, with a version", "01640200" + "15" + strings.Repeat("74", 21) + "0134", true, protocol.TooLarge},
		{"awareness over the limit", "0164" + "01" + "65" + strings.Repeat("00", 101), true, protocol.TooLarge},
		{"stateless over the limit", "0164" + "05" + "33" + strings.Repeat("61", 51), true, protocol.TooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.label, func(t *testing.T) {
			address, m, err := protocol.DecodeHocuspocus(unhex(t, tt.frame), limits)
			ce, ok := errors.AsType[*protocol.CloseError](err)
			if !ok || ce.Reason != tt.want || (address != nil) != tt.address {
				t.Errorf("DecodeHocuspocus(%s) = %q, %v, %v, want %v, address told: %v", tt.frame, address, m, err, tt.want.Name, tt.address)
			}
		})
	}
	if _, err := (protocol.Hocuspocus{Address: "e"}).Decode([]byte("\x01d\x03"), limits); err == nil {
		t.Error("Decode of a frame for another address = nil, want an error")
	}
}

func TestSplitAddress(t *testing.T) {
	tests := []struct {
		address, room, session string
		ok                     bool
	}{
		{"d", "d", "", true},
		{"team/notes", "team/notes", "", true},
		{"d\x00k3j9", "d", "k3j9", true},
		{strings.Repeat("x", 256) + "\x00" + strings.Repeat("s", 64), strings.Repeat("x", 256), strings.Repeat("s", 64), true},
		{"", "", "", false},
		{"\x00k3j9", "", "", false},
		{"d\x00", "", "", false},
		{"d\x00a\x00b", "", "", false},
		{"d\x00a\n", "", "", false},
		{"..", "", "", false},
		{"d\x00" + strings.Repeat("s", 65), "", "", false},
		{strings.Repeat("x", 257), "", "", false},
	}
	for _, tt := range tests {
		room, session, err := protocol.SplitAddress([]byte(tt.address))
		if string(room) != tt.room || string(session) != tt.session || (err == nil) != tt.ok {
			t.Errorf("SplitAddress(%q) = %q, %q, %v, want %q, %q, ok %v", tt.address, room, session, err, tt.room, tt.session, tt.ok)
		}
	}
}

func TestHocuspocusDecodeAliasesTheFrame(t *testing.T) {
	frame := []byte("\x01d\x00\x02\x02ab")
	address, m, err := protocol.DecodeHocuspocus(frame, protocol.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if &address[0] != &frame[1] || &m.Data[0] != &frame[5] {
		t.Error("DecodeHocuspocus copied, want results that alias the frame")
	}
	if n := testing.AllocsPerRun(100, func() { _, _, _ = protocol.DecodeHocuspocus(frame, protocol.Limits{}) }); n != 0 {
		t.Errorf("DecodeHocuspocus allocates %v times, want 0", n)
	}
}

func FuzzHocuspocusDecode(f *testing.F) {
	for _, tt := range hpFrames {
		f.Add(unhex(f, tt.frame))
	}
	f.Add([]byte("\x06d\x00k3j9\x03"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		before := bytes.Clone(frame)
		address, m, err := protocol.DecodeHocuspocus(frame, protocol.Limits{Message: 1 << 16})
		if !bytes.Equal(frame, before) {
			t.Fatalf("DecodeHocuspocus(%x) changed the frame to %x", before, frame)
		}
		if err != nil {
			if _, ok := errors.AsType[*protocol.CloseError](err); !ok {
				t.Fatalf("DecodeHocuspocus(%x) = %v, which is no CloseError", frame, err)
			}
			return
		}
		if m.Kind == protocol.Ignored {
			return
		}
		// One message has one frame: what decodes is what is encoded.
		if again := (protocol.Hocuspocus{Address: string(address)}).Append(nil, m); !bytes.Equal(again, frame) {
			t.Fatalf("Append(DecodeHocuspocus(%x)) = %x", frame, again)
		}
		if room, _, err := protocol.SplitAddress(address); err == nil && !protocol.ValidRoomName(string(room)) {
			t.Fatalf("SplitAddress(%q) = %q, which is no room name", address, room)
		}
	})
}

// TestHocuspocusStatelessIsText keeps bytes that are no text from providers, whose decoder throws at them.
func TestHocuspocusStatelessIsText(t *testing.T) {
	d := protocol.Hocuspocus{Address: "d"}
	if got := d.Append([]byte("x"), protocol.Message{Kind: protocol.Stateless, Data: []byte{0xff}}); string(got) != "x" {
		t.Errorf("Append(no text) = %x, want nothing added", got)
	}
}
