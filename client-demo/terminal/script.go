package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// script drives an editor by lines of text and writes a transcript. The commands:
//
//	type TEXT            at the caret; "..." for a string as in Go
//	move left|right|home|end [N]    N times
//	move start|finish    of the text
//	delete [N]           N characters before the caret; negative: behind it
//	undo, redo
//	offline, online
//	wait saved           until everything is
//	wait text TEXT       until the text contains TEXT
//	wait people N        until N others are here
//	wait cursor NAME TEXT    until that person's caret is right behind TEXT
//	print                the text with | for the caret and [Name] for those of others, the connection, and what is saved
//
// An empty line, and one that begins with #, is for people.
type script struct {
	e   *editor
	out io.Writer
}

// run carries out all lines, or up to the first that cannot be.
func (s script) run(ctx context.Context, in io.Reader) error {
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		fmt.Fprintln(s.out, ">", line)
		verb, rest, _ := strings.Cut(line, " ")
		if err := s.do(ctx, verb, strings.TrimSpace(rest)); err != nil {
			return fmt.Errorf("line %d: %s: %w", n, line, err)
		}
	}
	return lines.Err()
}

func (s script) do(ctx context.Context, verb, rest string) error {
	switch verb {
	case "type":
		text, err := literal(rest)
		if err != nil {
			return err
		}
		return s.e.insert(text)
	case "move":
		return s.move(rest)
	case "delete":
		n, err := count(rest)
		if err != nil {
			return err
		}
		return s.e.remove(n)
	case "undo":
		return s.e.undoLast()
	case "redo":
		return s.e.redoLast()
	case "offline":
		s.e.client.GoOffline()
		return s.until(ctx, func(p picture) bool { return !p.live })
	case "online":
		s.e.client.GoOnline()
		return s.until(ctx, func(p picture) bool { return p.live })
	case "wait":
		return s.wait(ctx, rest)
	case "print":
		s.print()
		return nil
	default:
		return errors.New("no such command")
	}
}

func (s script) move(rest string) error {
	where, times, _ := strings.Cut(rest, " ")
	n, err := count(times)
	if err != nil {
		return err
	}
	to := map[string]func(string, int) int{
		"left": left, "right": right, "home": home, "end": end,
		"start":  func(string, int) int { return 0 },
		"finish": func(text string, _ int) int { return len(text) },
	}[where]
	if to == nil {
		return fmt.Errorf("%q is no place to move to", where)
	}
	for range n {
		s.e.move(to)
	}
	return nil
}

func (s script) wait(ctx context.Context, rest string) error {
	what, arg, _ := strings.Cut(rest, " ")
	switch what {
	case "saved":
		return s.e.session.WaitSaved(ctx)
	case "text":
		text, err := literal(arg)
		if err != nil {
			return err
		}
		return s.until(ctx, func(p picture) bool { return strings.Contains(p.text, text) })
	case "people":
		n, err := count(arg)
		if err != nil {
			return err
		}
		return s.until(ctx, func(p picture) bool { return len(p.others) == n })
	case "cursor":
		name, before, _ := strings.Cut(arg, " ")
		text, err := literal(before)
		if err != nil {
			return err
		}
		return s.until(ctx, func(p picture) bool {
			return slices.ContainsFunc(p.others, func(o other) bool {
				return o.name == name && o.caret >= 0 && strings.HasSuffix(p.text[:o.caret], text)
			})
		})
	default:
		return fmt.Errorf("nothing is known about %q", what)
	}
}

// until waits until a picture is as wanted.
func (s script) until(ctx context.Context, cond func(picture) bool) error {
	for !cond(s.e.look()) {
		select {
		case <-s.e.news:
		case note := <-s.e.notes:
			fmt.Fprintln(s.out, "note:", note)
		case <-s.e.session.Done():
			return s.e.session.Err()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (s script) print() {
	p := s.e.look()
	marks := []struct {
		at   int
		mark string
	}{{p.caret, "|"}}
	for _, o := range p.others {
		if o.caret >= 0 {
			marks = append(marks, struct {
				at   int
				mark string
			}{o.caret, "[" + o.name + "]"})
		}
	}
	slices.SortFunc(marks, func(a, b struct {
		at   int
		mark string
	},
	) int {
		if a.at != b.at {
			return b.at - a.at
		}
		return strings.Compare(b.mark, a.mark)
	})
	text := p.text
	for _, m := range marks {
		text = text[:m.at] + m.mark + text[m.at:]
	}
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintln(s.out, "  "+line)
	}
	fmt.Fprintf(s.out, "  -- %s, %s\n", connection(p, time.Now()), savedWords(p.saved))
}

func literal(s string) (string, error) {
	if strings.HasPrefix(s, `"`) {
		return strconv.Unquote(s)
	}
	return s, nil
}

// count reads a number; 1 when there is none.
func count(s string) (int, error) {
	if s == "" {
		return 1, nil
	}
	return strconv.Atoi(s)
}
