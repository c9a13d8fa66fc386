package auth

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Pattern names a set of rooms. Room names are cut into segments by slashes, and in a pattern
//
//   - a star stands for any characters within a segment, none included: "docs/*" has "docs/a" and "docs/", not "docs/a/b";
//   - two or more stars stand for any characters, slashes included: "team/**" has everything that begins with "team/";
//   - everything else stands for itself, letter case included. There is no way to ask for a star.
//
// Patterns and names are compared byte by byte, without any cleaning: "a//b" and "a/../b" are names like others.
type Pattern string

// maxPattern is the longest pattern in bytes, that of the longest room name.
const maxPattern = 256

// Check tells why p cannot be a pattern: it is empty, too long or not UTF-8.
func (p Pattern) Check() error {
	switch {
	case p == "":
		return errors.New("a pattern is empty")
	case len(p) > maxPattern:
		return errors.New("a pattern is longer than 256 bytes")
	case !utf8.ValidString(string(p)):
		return errors.New("a pattern is not UTF-8")
	}
	return nil
}

// Match tells whether p has the room. It takes at most len(p) times len(room) steps and allocates for rooms longer than
// any that exists only.
func (p Pattern) Match(room string) bool {
	literal := strings.IndexByte(string(p), '*')
	if literal < 0 {
		return string(p) == room
	}
	if !strings.HasPrefix(room, string(p[:literal])) {
		return false
	}
	return matchStars(string(p[literal:]), room[literal:])
}

// matchStars matches a pattern that begins with a star. reached[i] tells that the pattern's part which was looked at
// may end in front of name[i].
func matchStars(pattern, name string) bool {
	var fits [maxPattern + 1]bool
	reached := fits[:]
	if len(name) > maxPattern {
		reached = make([]bool, len(name)+1)
	}
	reached = reached[:len(name)+1]
	reached[0] = true
	for len(pattern) > 0 {
		rest := strings.TrimLeft(pattern, "*")
		switch stars := len(pattern) - len(rest); {
		case stars > 0:
			spread(reached, name, stars > 1)
			pattern = rest
		default:
			for i := len(name); i > 0; i-- {
				reached[i] = reached[i-1] && name[i-1] == pattern[0]
			}
			reached[0] = false
			pattern = pattern[1:]
		}
	}
	return reached[len(name)]
}

// spread lets every place that was reached reach those behind it, up to the next slash or across.
func spread(reached []bool, name string, across bool) {
	for i := range len(name) {
		if reached[i] && (across || name[i] != '/') {
			reached[i+1] = true
		}
	}
}
