package main

import (
	"context"
	"regexp"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/rivo/uniseg"
)

var ansi = regexp.MustCompile("\x1b\\[[0-9;]*m")

// draw returns the screen without colours, with | where the terminal shows the caret.
func draw(t *testing.T, s screen) string {
	t.Helper()
	v := s.View()
	lines := strings.Split(ansi.ReplaceAllString(v.Content, ""), "\n")
	if len(lines) != s.height {
		t.Errorf("the screen has %d lines, want %d", len(lines), s.height)
	}
	for y, line := range lines {
		if w := uniseg.StringWidth(line); w > s.width {
			t.Errorf("line %d is %d cells wide, want at most %d: %s", y, w, s.width, line)
		}
		if y == v.Cursor.Y {
			at, x := 0, 0
			for _, c := range cells(line, 0) {
				if x >= v.Cursor.X {
					break
				}
				x += c.width
				at = c.at + c.size
			}
			line = line[:at] + "|" + line[at:]
		}
		lines[y] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// press hands keys to a screen.
func press(s screen, keys ...tea.KeyPressMsg) screen {
	for _, k := range keys {
		m, _ := s.Update(k)
		s = m.(screen)
	}
	return s
}

func key(code rune, mod ...tea.KeyMod) tea.KeyPressMsg {
	k := tea.KeyPressMsg{Code: code}
	for _, m := range mod {
		k.Mod |= m
	}
	return k
}

// typed is the keys of a text.
func typed(text string) (keys []tea.KeyPressMsg) {
	for _, r := range text {
		if r == '\n' {
			keys = append(keys, key(tea.KeyEnter))
			continue
		}
		keys = append(keys, tea.KeyPressMsg{Code: r, Text: string(r)})
	}
	return keys
}

// What is typed is on the screen, with everybody else's caret and name, wide characters and wrapped lines in their place.
func TestScreen(t *testing.T) {
	url := startWeft(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ada, bob := newPerson(t, url, "Ada"), newPerson(t, url, "Bob")
	s := newScreen(ada)
	s = press(s, typed("# Plan\n\n日本 and \tmore\n"+strings.Repeat("a long line ", 9)+"\n")...)
	do := func(e *editor, line string) {
		t.Helper()
		verb, rest, _ := strings.Cut(line, " ")
		if err := (script{e, t.Output()}).do(ctx, verb, rest); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	do(ada, "wait saved")
	do(bob, `wait text "line \n"`)
	do(bob, "move start")
	do(bob, "move end")
	do(bob, "move right 3")
	do(ada, "wait cursor Bob 日")
	// Up over the long line, keeping the column, and to the end of the one with wide characters.
	s = press(s, key(tea.KeyUp), key(tea.KeyUp), key(tea.KeyUp), key(tea.KeyEnd))
	golden(t, "screen.golden", draw(t, s))

	do(ada, "offline")
	s = press(s, typed("!")...)
	s = press(s, key('z', tea.ModCtrl), key('y', tea.ModCtrl))
	golden(t, "offline.golden", draw(t, s))
	m, _ := s.Update(tea.WindowSizeMsg{Width: 30, Height: 6})
	s = m.(screen)
	golden(t, "small.golden", draw(t, s))
	do(ada, "online")
}

// Quitting with unsaved edits and no connection has to be asked for twice.
func TestQuit(t *testing.T) {
	url := startWeft(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	e := newPerson(t, url, "Ada")
	if err := (script{e, t.Output()}).do(ctx, "offline", ""); err != nil {
		t.Fatal(err)
	}
	s := press(newScreen(e), typed("x")...)
	m, cmd := s.Update(key('q', tea.ModCtrl))
	if s = m.(screen); cmd != nil || !strings.Contains(draw(t, s), "not everything is saved") {
		t.Errorf("the first ^Q: command %v, screen\n%s\nwant a warning", cmd, draw(t, s))
	}
	if _, cmd = s.Update(key('q', tea.ModCtrl)); cmd == nil || cmd() != (tea.QuitMsg{}) {
		t.Error("the second ^Q does not quit")
	}
	e.client.GoOnline()
}
