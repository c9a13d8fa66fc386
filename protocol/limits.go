package protocol

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Limits bounds what one frame may hold. A zero field means its default.
type Limits struct {
	Message   int // bytes of a frame, default 8 MiB
	Awareness int // bytes of an awareness update, default 64 KiB
	Marker    int // bytes of a save marker, default 64
	Stateless int // bytes of a stateless message, default 64 KiB
	Token     int // bytes of a token, default 8 KiB
}

// Defaults of Limits.
const (
	defaultMessageBytes   = 8 << 20
	defaultAwarenessBytes = 64 << 10
	defaultMarkerBytes    = 64
	defaultStatelessBytes = 64 << 10
	defaultTokenBytes     = 8 << 10
)

// maxRoomName is the longest room name in bytes.
const maxRoomName = 256

// WithDefaults returns l with every zero field set to its default.
func (l Limits) WithDefaults() Limits {
	if l.Message == 0 {
		l.Message = defaultMessageBytes
	}
	if l.Awareness == 0 {
		l.Awareness = defaultAwarenessBytes
	}
	if l.Marker == 0 {
		l.Marker = defaultMarkerBytes
	}
	if l.Stateless == 0 {
		l.Stateless = defaultStatelessBytes
	}
	if l.Token == 0 {
		l.Token = defaultTokenBytes
	}
	return l
}

// CheckRoomName returns nil for a name that a room may have: 1 to 256 bytes of
// UTF-8 without control characters, and neither "." nor "..". The error says
// which rule is broken and does not repeat the name. Everything else is
// allowed, slashes included: a name is a key and never a path.
func CheckRoomName(name string) error {
	switch {
	case name == "":
		return errors.New("room name is empty")
	case len(name) > maxRoomName:
		return fmt.Errorf("room name has %d bytes, at most %d are allowed", len(name), maxRoomName)
	case name == "." || name == "..":
		return errors.New(`room name is "." or ".."`)
	case !utf8.ValidString(name):
		return errors.New("room name is not valid UTF-8")
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return fmt.Errorf("room name holds the control character %U", r)
		}
	}
	return nil
}

// ValidRoomName reports whether CheckRoomName finds nothing wrong with name.
func ValidRoomName(name string) bool { return CheckRoomName(name) == nil }
