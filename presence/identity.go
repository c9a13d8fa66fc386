package presence

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// User is who a conn speaks for according to its token. Zero: nobody in particular.
type User struct {
	ID   string // stable, unique among users; empty: not known
	Name string // for people; empty: the ID stands for it
}

// maxIdentity bounds what of a User's ID and of its Name is written into states.
const maxIdentity = 256 // bytes

// Identity is a User as Table.Apply takes it, prepared once per conn. A nil
// Identity is that of a conn about which nothing is known.
type Identity struct {
	id      string // of the User
	stamp   bool   // states are stamped
	members []byte // JSON members of the user field, `"id":...,"name":...`; empty for nobody
}

// NewIdentity returns the identity of a conn of user u. With stamp, the table
// writes it into every state that the conn announces: a state that is a JSON
// object gets a member "user" with "id" and "name" of u, in place of what the
// client wrote there; the client's other members, such as a color beside the
// name, are kept. For a User without an ID both are taken out, so that a state
// with an "id" always had a token that says so. States that are no objects have
// no members and stay as they are.
//
// A client cannot get around it by repeating or escaping a name: every member
// whose name decodes to "user" goes, of the kept one every "id" and "name".
func NewIdentity(u User, stamp bool) *Identity {
	if u.ID == "" && !stamp {
		return nil
	}
	who := &Identity{id: u.ID, stamp: stamp}
	if u.ID == "" || !stamp {
		return who
	}
	if u.Name == "" {
		u.Name = u.ID
	}
	who.members = append(who.members, `"id":`...)
	who.members = append(who.members, quote(u.ID)...)
	who.members = append(who.members, `,"name":`...)
	who.members = append(who.members, quote(u.Name)...)
	return who
}

// quote returns the JSON of a text, cut to maxIdentity bytes.
func quote(text string) []byte {
	if len(text) > maxIdentity {
		end := maxIdentity
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	b, err := json.Marshal(text)
	if err != nil {
		panic("presence: marshal a string: " + err.Error()) // it cannot fail
	}
	return b
}

// known reports whether it names a user.
func (i *Identity) known() bool { return i != nil && i.id != "" }

// same reports whether both are known and the same user.
func (i *Identity) same(o *Identity) bool { return i.known() && o.known() && i.id == o.id }

// differs reports whether both are known and not the same user.
func (i *Identity) differs(o *Identity) bool { return i.known() && o.known() && i.id != o.id }

// appendStamped appends state, which is valid JSON, to dst with the identity in it.
func (i *Identity) appendStamped(dst, state []byte) []byte {
	members := scanObject(state)
	if !members.object() {
		return append(dst, state...)
	}
	start := len(dst)
	dst = append(dst, '{')
	var user []byte // the client's, the last one, which is what JSON.parse takes
	for key, value, ok := members.next(); ok; key, value, ok = members.next() {
		if nameIs(key, "user") {
			user = value
			continue
		}
		dst = appendMember(dst, start, key, value)
	}
	inner := scanObject(user)
	if !inner.object() && len(i.members) == 0 {
		return append(dst, '}')
	}
	dst = appendComma(dst, start)
	dst = append(dst, `"user":{`...)
	inside := len(dst) - 1
	for key, value, ok := inner.next(); ok; key, value, ok = inner.next() {
		if !nameIs(key, "id") && !nameIs(key, "name") {
			dst = appendMember(dst, inside, key, value)
		}
	}
	if len(i.members) > 0 {
		dst = append(appendComma(dst, inside), i.members...)
	}
	return append(dst, "}}"...)
}

// appendMember appends a member to the object that begins at dst[start].
func appendMember(dst []byte, start int, key, value []byte) []byte {
	dst = append(appendComma(dst, start), key...)
	return append(append(dst, ':'), value...)
}

// appendComma appends a comma unless the object that begins at dst[start] is empty.
func appendComma(dst []byte, start int) []byte {
	if len(dst) > start+1 {
		dst = append(dst, ',')
	}
	return dst
}

// nameIs reports whether a member's quoted name decodes to name. The usual case
// needs no decoding.
func nameIs(quoted []byte, name string) bool {
	raw := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw) == name
	}
	if len(raw) > 6*len(name) { // longer than with every letter escaped
		return false
	}
	var decoded string
	return json.Unmarshal(quoted, &decoded) == nil && decoded == name
}

// objectScanner walks over the members of an object in valid JSON.
type objectScanner struct {
	text []byte // what is left, behind the brace or a comma; nil: it is no object
}

// scanObject returns a scanner of a JSON value, which may be no object.
func scanObject(value []byte) objectScanner {
	value = bytes.TrimLeft(value, space)
	if len(value) == 0 || value[0] != '{' {
		return objectScanner{}
	}
	return objectScanner{value[1:]}
}

func (s *objectScanner) object() bool { return s.text != nil }

// space is what JSON takes for white space.
const space = " \t\r\n"

// next returns the quoted name and the value of the next member; ok is false
// behind the last one.
func (s *objectScanner) next() (key, value []byte, ok bool) {
	s.text = bytes.TrimLeft(s.text, space)
	if len(s.text) == 0 || s.text[0] != '"' {
		return nil, nil, false
	}
	n := stringLen(s.text)
	key, s.text = s.text[:n], bytes.TrimLeft(s.text[n:], space)
	s.text = s.text[1:] // the colon
	n = valueLen(s.text)
	value, s.text = bytes.Trim(s.text[:n], space), s.text[n:]
	if s.text[0] == ',' {
		s.text = s.text[1:]
	}
	return key, value, true
}

// stringLen returns the length of the JSON string that text begins with.
func stringLen(text []byte) int {
	for i := 1; ; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// valueLen returns the length of the JSON value that text begins with, up to the
// comma or brace behind it.
func valueLen(text []byte) int {
	level := 0
	for i := 0; ; i++ {
		switch text[i] {
		case '"':
			i += stringLen(text[i:]) - 1
		case '{', '[':
			level++
		case '}', ']':
			if level == 0 {
				return i
			}
			level--
		case ',':
			if level == 0 {
				return i
			}
		}
	}
}
