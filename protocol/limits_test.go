package protocol_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"weft/protocol"
)

func TestValidRoomName(t *testing.T) {
	tests := []struct {
		label, name string
		want        bool
	}{
		{"one byte", "a", true},
		{"slashes", "team/notes/2026", true},
		{"dots inside", "a..b/../c", true},
		{"three dots", "...", true},
		{"script and emoji", "Küche 厨房 🍳", true},
		{"redis and bbolt characters", "{room}:*:?[x]%00", true},
		{"spaces", "  ", true},
		{"256 bytes", strings.Repeat("x", 256), true},
		{"256 bytes of two-byte letters", strings.Repeat("ü", 128), true},
		{"empty", "", false},
		{"257 bytes", strings.Repeat("x", 257), false},
		{"dot", ".", false},
		{"dot dot", "..", false},
		{"NUL", "a\x00b", false},
		{"line feed", "a\nb", false},
		{"escape", "\x1b[31mred", false},
		{"DEL", "a\x7f", false},
		{"C1 control", "a\u0085b", false},
		{"lone continuation byte", "a\x80", false},
		{"surrogate half", "a\xed\xa0\x80", false},
		{"overlong slash", "a\xc0\xaf", false},
	}
	for _, tt := range tests {
		t.Run(tt.label, func(t *testing.T) {
			if got := protocol.ValidRoomName(tt.name); got != tt.want {
				t.Errorf("ValidRoomName(%q) = %v, want %v (%v)", tt.name, got, tt.want, protocol.CheckRoomName(tt.name))
			}
		})
	}
}

func FuzzCheckRoomName(f *testing.F) {
	f.Add("a/b")
	f.Add("\xff")
	f.Fuzz(func(t *testing.T, name string) {
		err := protocol.CheckRoomName(name)
		if err == nil && (!utf8.ValidString(name) || strings.ContainsAny(name, "\x00\n\r\t\x1b") || len(name) > 256) {
			t.Errorf("CheckRoomName(%q) = nil, want an error", name)
		}
		if err != nil && len(name) > 4 && strings.Contains(err.Error(), name) {
			t.Errorf("CheckRoomName(%q) = %v, which repeats the name", name, err)
		}
	})
}
