package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode"

	"weft/crdt"
	"weft/protocol/client"
)

// colours are those of the browser demo (client-demo/web/src/identity.ts).
var colours = []string{
	"#c2255c", "#c0392b", "#a65c00", "#4d7c0f", "#0b7a55", "#0e7490", "#1d6fb8", "#5b5bd6", "#8e44ad", "#52606d",
}

var colourPattern = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

const maxName = 40 // runes

// state is a presence state as the browser demo writes it.
type state struct {
	User   user    `json:"user"`
	Cursor *cursor `json:"cursor"`
}

type user struct {
	Name  string `json:"name"`
	Color string `json:"color"`
}

type cursor struct {
	Anchor crdt.RelativePosition `json:"anchor"`
	Head   crdt.RelativePosition `json:"head"`
}

// person is somebody else, as far as their state can be believed: it may hold anything.
type person struct {
	name, color string
	head        *crdt.RelativePosition
}

func personOf(p client.Peer) person {
	var s struct {
		User   user            `json:"user"`
		Cursor json.RawMessage `json:"cursor"`
	}
	var who person
	if json.Unmarshal(p.State, &s) == nil {
		who = person{name: cleanName(s.User.Name), color: s.User.Color}
		var c cursor
		if len(s.Cursor) > 0 && string(s.Cursor) != "null" && json.Unmarshal(s.Cursor, &c) == nil {
			who.head = &c.Head
		}
	}
	if who.name == "" {
		who.name = "Guest"
	}
	if !colourPattern.MatchString(who.color) {
		who.color = colourOf(p.ID)
	}
	return who
}

func colourOf(id crdt.ClientID) string { return colours[uint64(id)%uint64(len(colours))] }

// cleanName returns a name as it may be shown: without control characters, with single spaces, at most 40 runes.
func cleanName(name string) string {
	clean := strings.Join(strings.FieldsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.C, r) }), " ")
	if runes := []rune(clean); len(runes) > maxName {
		clean = strings.TrimSpace(string(runes[:maxName]))
	}
	return clean
}

func trimLine(b []byte) string { return strings.TrimSpace(string(b)) }
