package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/rivo/uniseg"

	"weft/protocol/client"
)

// screen shows an editor: who is here in the first line, the text, and in the last line the connection, what is saved,
// and the keys.
type screen struct {
	e             *editor
	width, height int
	top           int // the first row that is shown
	column        int // that up and down keep to; -1: the caret's
	picture       picture
	note          string
	warned        bool // quitting would lose edits, and that was said
	now           time.Time
}

type (
	newsMsg struct{}            // the editor has changed
	tickMsg struct{ time.Time } // once a second, for the time until the next try
)

const gutter = 5 // cells of the line numbers

func newScreen(e *editor) screen {
	return screen{e: e, width: 80, height: 24, column: -1, picture: e.look(), now: time.Now()}
}

// Init starts the clock.
func (s screen) Init() tea.Cmd { return tick() }

func tick() tea.Cmd {
	return tea.Tick(time.Second, func(t time.Time) tea.Msg { return tickMsg{t} })
}

// Update takes a message of the terminal or of the editor.
func (s screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = msg.Width, msg.Height
	case tickMsg:
		s.now = msg.Time
		cmd = tick()
	case tea.PasteMsg:
		s.did(s.e.insert(msg.Content))
	case tea.KeyPressMsg:
		s.note = ""
		if s, cmd = s.key(msg); cmd != nil {
			return s, cmd
		}
	}
	select {
	case s.note = <-s.e.notes:
	default:
	}
	s.picture = s.e.look()
	return s.scrolled(), cmd
}

// did shows why something could not be done.
func (s *screen) did(err error) {
	if err != nil {
		s.note = err.Error()
	}
}

func (s screen) key(msg tea.KeyPressMsg) (screen, tea.Cmd) {
	key := msg.String()
	if key == "ctrl+q" || key == "ctrl+c" {
		if !s.picture.saved.All() && !s.picture.live && !s.warned {
			s.warned, s.note = true, "not everything is saved, and there is no connection: once more to quit all the same"
			return s, nil
		}
		return s, tea.Quit
	}
	s.warned = false
	if key != "up" && key != "down" && key != "pgup" && key != "pgdown" {
		s.column = -1
	}
	switch key {
	case "left":
		s.e.move(left)
	case "right":
		s.e.move(right)
	case "up":
		s.vertically(-1)
	case "down":
		s.vertically(1)
	case "pgup":
		s.vertically(-s.lines())
	case "pgdown":
		s.vertically(s.lines())
	case "home", "ctrl+a":
		s.e.move(home)
	case "end", "ctrl+e":
		s.e.move(end)
	case "backspace":
		s.did(s.e.remove(1))
	case "delete":
		s.did(s.e.remove(-1))
	case "enter":
		s.did(s.e.insert("\n"))
	case "tab":
		s.did(s.e.insert("\t"))
	case "ctrl+z":
		s.did(s.e.undoLast())
	case "ctrl+y":
		s.did(s.e.redoLast())
	case "ctrl+o":
		if errors.Is(s.picture.status.Err, client.ErrOffline) {
			s.e.client.GoOnline()
		} else {
			s.e.client.GoOffline()
		}
	default:
		if msg.Key().Text != "" {
			s.did(s.e.insert(msg.Key().Text))
		}
	}
	return s, nil
}

func home(text string, at int) int { return strings.LastIndexByte(text[:at], '\n') + 1 }

func end(text string, at int) int {
	if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
		return at + i
	}
	return len(text)
}

// lines returns how many rows of text there is room for.
func (s screen) lines() int { return max(s.height-2, 1) }

func (s screen) textWidth() int { return max(s.width-gutter, 2) }

// vertically moves the caret by rows of the screen.
func (s *screen) vertically(n int) {
	s.e.move(func(text string, at int) int {
		rows := wrap(text, s.textWidth())
		y, x := find(text, rows, at)
		if s.column < 0 {
			s.column = x
		}
		switch y += n; {
		case y < 0:
			return 0
		case y >= len(rows):
			return len(text)
		}
		return reach(text, rows[y], s.column)
	})
}

// scrolled has the caret on the screen.
func (s screen) scrolled() screen {
	y, _ := find(s.picture.text, wrap(s.picture.text, s.textWidth()), s.picture.caret)
	s.top = max(min(s.top, y), y-s.lines()+1)
	return s
}

// View draws the screen.
func (s screen) View() tea.View {
	rows := wrap(s.picture.text, s.textWidth())
	var b strings.Builder
	b.WriteString(s.header())
	for y := s.top; y < s.top+s.lines(); y++ {
		b.WriteByte('\n')
		if y < len(rows) {
			b.WriteString(s.line(rows[y]))
		}
	}
	b.WriteByte('\n')
	b.WriteString(s.footer())
	v := tea.NewView(b.String())
	v.AltScreen = true
	v.WindowTitle = "Weft: " + s.e.session.Room()
	y, x := find(s.picture.text, rows, s.picture.caret)
	v.Cursor = tea.NewCursor(min(gutter+x, s.width-1), 1+y-s.top)
	return v
}

var (
	dim  = lipgloss.NewStyle().Faint(true)
	bold = lipgloss.NewStyle().Bold(true)
)

func colored(color string) lipgloss.Style {
	return lipgloss.NewStyle().Foreground(lipgloss.Color("#ffffff")).Background(lipgloss.Color(color))
}

// header says which room this is and who is in it.
func (s screen) header() string {
	left := " " + s.e.session.Room() + "  "
	room := s.width - uniseg.StringWidth(left)
	out := bold.Render(fit(left, min(s.width, uniseg.StringWidth(left))))
	people := append([]other{{person: person{name: s.e.user.Name + " (you)", color: s.e.user.Color}}}, s.picture.others...)
	for i, p := range people {
		name := " " + p.name + " "
		if rest := fmt.Sprintf(" +%d", len(people)-i); uniseg.StringWidth(name)+len(rest)+1 > room {
			return out + dim.Render(fit(rest, max(room, 0)))
		}
		out += colored(p.color).Render(name) + " "
		room -= uniseg.StringWidth(name) + 1
	}
	return out
}

// line draws a row: its number, the text, the others' carets in their colours, and their names behind the text.
func (s screen) line(r row) string {
	number := ""
	if r.first {
		number = fmt.Sprint(r.line + 1)
	}
	var out strings.Builder
	out.WriteString(dim.Render(fmt.Sprintf("%*s ", gutter-1, number)))
	column := 0
	here := map[int]string{} // carets on this row, with colours
	var names []other
	for _, o := range s.picture.others {
		if o.caret >= r.start && (o.caret < r.end || o.caret == r.end && r.last) {
			here[o.caret] = o.color
			names = append(names, o)
		}
	}
	for _, c := range cells(s.picture.text[r.start:r.end], r.start) {
		if color, ok := here[c.at]; ok {
			out.WriteString(colored(color).Render(c.shown))
		} else {
			out.WriteString(c.shown)
		}
		column += c.width
	}
	if color, ok := here[r.end]; ok && column < s.textWidth() {
		out.WriteString(colored(color).Render(" "))
		column++
	}
	for _, o := range names {
		label := "◂" + o.name
		if column+uniseg.StringWidth(label)+1 > s.textWidth() {
			break
		}
		out.WriteString(" " + lipgloss.NewStyle().Foreground(lipgloss.Color(o.color)).Render(label))
		column += uniseg.StringWidth(label) + 1
	}
	return out.String()
}

// footer says how things stand.
func (s screen) footer() string {
	text := " " + connection(s.picture, s.now) + " · " + savedWords(s.picture.saved)
	keys := "^Z undo  ^Y redo  ^O offline  ^Q quit "
	if s.note != "" {
		text, keys = " "+s.note, ""
	}
	if gap := s.width - uniseg.StringWidth(text) - len(keys); gap > 0 {
		text += strings.Repeat(" ", gap) + keys
	}
	return lipgloss.NewStyle().Reverse(true).Render(fit(text, s.width))
}

// connection says in a few words whether there is one.
func connection(p picture, now time.Time) string {
	switch {
	case p.err != nil:
		return "ended: " + p.err.Error()
	case p.live:
		return "● online"
	case errors.Is(p.status.Err, client.ErrOffline):
		return "○ offline, as you wished"
	case p.status.State == client.Offline && !p.status.Retry.IsZero():
		wait := max(p.status.Retry.Sub(now).Round(time.Second), 0)
		return fmt.Sprintf("○ offline, next try in %v", wait)
	default:
		return "○ connecting"
	}
}

// savedWords says how much is saved.
func savedWords(s client.Saved) string {
	switch n := s.Edits - s.Saved; {
	case n == 0:
		return "saved"
	case n == 1:
		return "1 edit not saved"
	default:
		return fmt.Sprintf("%d edits not saved", n)
	}
}
