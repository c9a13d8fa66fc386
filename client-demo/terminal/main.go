// Command terminal is a text editor in a terminal for the rooms of a Weft server. It edits the same text as the code
// editor of the browser demo, shows who else is there and where, and whether everything is saved, and goes on without
// a connection.
//
// editor holds the document, the caret and the others, and knows nothing of screens; screen shows an editor and hands keys to it (bubbletea); script drives
// one by lines of text instead, and prints what happens.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	tea "charm.land/bubbletea/v2"

	"weft/protocol/client"
)

// goodbye is how long quitting may wait for edits to be saved.
const goodbye = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "terminal:", err)
		os.Exit(1)
	}
}

// settings is the command line.
type settings struct {
	url, room, name, color, token, script string
}

func parse(args []string) (settings, error) {
	var s settings
	f := flag.NewFlagSet("terminal", flag.ContinueOnError)
	f.StringVar(&s.url, "url", "ws://127.0.0.1:8080/native", "the server's native endpoint")
	f.StringVar(&s.room, "room", "welcome", "the room")
	f.StringVar(&s.name, "name", "Terminal", "your name, as others see it")
	f.StringVar(&s.color, "color", "", "your colour, such as #1d6fb8 (by default one of the browser demo's)")
	f.StringVar(&s.token, "token-file", "", "a file with a token, read again whenever one is needed")
	f.StringVar(&s.script, "script", "", "a file of commands to carry out instead of showing a screen; - for the standard input")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("what is %q? All settings are flags, see --help", f.Arg(0))
	}
	return s, nil
}

// run is the program.
func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	set, err := parse(args)
	if err != nil {
		return err
	}
	e, err := newEditor(set)
	if err != nil {
		return err
	}
	if set.script != "" {
		err = runScript(ctx, e, set.script, in, out)
	} else {
		err = runScreen(ctx, e, in, out)
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	return errors.Join(err, e.close(closing))
}

func runScript(ctx context.Context, e *editor, file string, in io.Reader, out io.Writer) error {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close() // it was read
		in = f
	}
	return script{e, out}.run(ctx, in)
}

func runScreen(ctx context.Context, e *editor, in io.Reader, out io.Writer) error {
	program := tea.NewProgram(newScreen(e), tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out))
	ctx, cancel := context.WithCancel(ctx)
	told := make(chan struct{})
	go func() { // waited for below
		defer close(told)
		for {
			select {
			case <-e.news:
				program.Send(newsMsg{})
			case <-ctx.Done():
				return
			}
		}
	}()
	_, err := program.Run()
	cancel()
	<-told
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// options returns how the client connects.
func (s settings) options() client.Options {
	o := client.Options{Name: "weft-terminal"}
	if s.token != "" {
		o.Token = func(context.Context) (string, error) {
			b, err := os.ReadFile(s.token)
			return trimLine(b), err
		}
	}
	return o
}
