package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"weft/persistence"
)

// printable returns s when it can be shown on a terminal and is not mistaken for a quoted one, else s quoted as in Go.
func printable(s string) string {
	plain := utf8.ValidString(s) && s != "" && s[0] != '"' && strings.TrimSpace(s) == s
	for _, r := range s {
		plain = plain && strconv.IsPrint(r)
	}
	if plain {
		return s
	}
	return strconv.Quote(s)
}

// oneLine makes control characters of a message visible; joined errors stand behind each other.
func oneLine(s string) string {
	s = strings.ReplaceAll(s, "\n", "; ")
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '\ufffd'
		}
		return r
	}, s)
}

// namedRoom names a room in JSON.
type namedRoom struct {
	Room string `json:"room"`
	// RoomBytes is the name when it is not UTF-8, which JSON cannot say.
	RoomBytes []byte `json:"roomBytes,omitempty"`
}

func nameRoom(room string) namedRoom {
	if utf8.ValidString(room) {
		return namedRoom{Room: room}
	}
	return namedRoom{Room: strings.ToValidUTF8(room, "\ufffd"), RoomBytes: []byte(room)}
}

// shown returns the name for people.
func (n namedRoom) shown() string {
	if n.RoomBytes != nil {
		return printable(string(n.RoomBytes))
	}
	return printable(n.Room)
}

// wrongRoom is a room in JSON that something is wrong with.
type wrongRoom struct {
	namedRoom
	Problem string `json:"problem"`
}

// storedPosition is a position in JSON, as in the REST interface.
type storedPosition struct {
	Epoch uint64 `json:"epoch"`
	Seq   uint64 `json:"seq"`
}

// storedFile is one file of the directory in JSON.
type storedFile struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	Free  int64  `json:"free"` // bytes
}

func storedFilesOf(a *persistence.Archive) []storedFile {
	files := []storedFile{}
	for _, f := range a.Files() {
		files = append(files, storedFile{f.Name, f.Size, f.Free})
	}
	return files
}

func problemsOf(a *persistence.Archive) []string {
	problems := []string{}
	for _, p := range a.Problems() {
		problems = append(problems, p.Error())
	}
	return problems
}

// jsonList writes one JSON object whose first member is the list "rooms", element by element, so that a long list is never in
// memory. Errors of w show in end.
type jsonList struct {
	w *bufio.Writer
	n int
}

func newJSONList(w io.Writer) *jsonList {
	l := &jsonList{w: bufio.NewWriter(w)}
	l.w.WriteString(`{"rooms":[`)
	return l
}

func (l *jsonList) add(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if l.n++; l.n > 1 {
		l.w.WriteByte(',')
	}
	l.w.WriteByte('\n')
	l.w.Write(b)
	return nil
}

// end writes the other members: those of the struct v, which has at least one.
func (l *jsonList) end(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	fmt.Fprintf(l.w, "\n],%s\n", b[1:])
	return l.w.Flush()
}

// writeJSON writes a result of one object.
func writeJSON(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }

// counted returns "1 room", "2 rooms".
func counted(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
