package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Rule allows something in the rooms of a pattern.
type Rule struct {
	Pattern Pattern
	Write   bool // false: reading only
}

// Bounds of what a token may say.
const (
	maxToken   = 8 << 10 // bytes
	maxRules   = 256
	maxUserID  = 256 // bytes
	maxName    = 256 // bytes; longer ones are cut
	maxSession = 128 // bytes
)

// rules is the claim "rooms". It is either a list, [{"pattern":"docs/*","access":"write"}], or a map,
// {"docs/*":"write","public/**":"read"}. Both mean the same; order means nothing.
type rules []Rule

// access reads the word for what is allowed.
func access(word string) (write bool, err error) {
	switch word {
	case "read":
		return false, nil
	case "write":
		return true, nil
	}
	return false, errors.New(`access is neither "read" nor "write"`)
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *rules) UnmarshalJSON(b []byte) error {
	var list []struct {
		Pattern Pattern `json:"pattern"`
		Access  string  `json:"access"`
	}
	var table map[Pattern]string
	if json.Unmarshal(b, &list) != nil {
		if err := json.Unmarshal(b, &table); err != nil {
			return errors.New("rooms is neither a list nor a map of patterns")
		}
	}
	if len(list)+len(table) > maxRules {
		return fmt.Errorf("rooms has more than %d patterns", maxRules)
	}
	*r = make(rules, 0, len(list)+len(table))
	for _, e := range list {
		if err := r.add(e.Pattern, e.Access); err != nil {
			return err
		}
	}
	for p, word := range table {
		if err := r.add(p, word); err != nil {
			return err
		}
	}
	return nil
}

func (r *rules) add(p Pattern, word string) error {
	if err := p.Check(); err != nil {
		return err
	}
	write, err := access(word)
	if err != nil {
		return err
	}
	*r = append(*r, Rule{p, write})
	return nil
}

// MarshalJSON implements json.Marshaler.
func (r rules) MarshalJSON() ([]byte, error) {
	type entry struct {
		Pattern Pattern `json:"pattern"`
		Access  string  `json:"access"`
	}
	list := make([]entry, 0, len(r))
	for _, rule := range r {
		e := entry{rule.Pattern, "read"}
		if rule.Write {
			e.Access = "write"
		}
		list = append(list, e)
	}
	return json.Marshal(list)
}

// allow returns the widest access that any rule gives.
func (r rules) allow(room string) (read, write bool) {
	for _, rule := range r {
		if (!read || rule.Write) && rule.Pattern.Match(room) {
			read, write = true, write || rule.Write
			if write {
				break
			}
		}
	}
	return read, write
}

// user checks who a token names. An id goes into logs, keys and comparisons, so a strange one is refused; a name is
// only shown, so it is tidied up.
func user(id, name string) (User, error) {
	if len(id) > maxUserID || !printable(id) {
		return User{}, errors.New("the user's id is too long or has control characters")
	}
	return User{ID: id, Name: tidy(name)}, nil
}

// printable tells whether s is UTF-8 without control characters.
func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// tidy drops from a name what nobody can read and cuts it to maxName bytes.
func tidy(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, "\uFFFD"))
	if len(name) <= maxName {
		return name
	}
	cut := maxName
	for !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut]
}
