// Command weft is the server and its tools in one binary.
//
// This package owns flags, environment, signals, logs, metrics and the wiring of the other packages; nothing else in
// the repository reads flags or environment. Each setting is taken from the flag, else from the environment variable
// WEFT_NAME, else from the default.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"weft/cmd/weft/bench"
)

// cli is the command line; kong reads names, help and defaults from the tags.
type cli struct {
	Serve   serveCmd   `cmd:"" default:"withargs" help:"Serve documents (the default)."`
	Inspect inspectCmd `cmd:"" help:"List, check, dump, export, import, compact or repair a data directory."`
	Bench   benchCmd   `cmd:"" help:"Put load on a server and measure what it bears."`
	Token   tokenCmd   `cmd:"" help:"Print a token for development and tests."`
	Version versionCmd `cmd:"" help:"Print the version of this binary."`
}

// streams are where a command writes: results to out, logs and errors to err.
type streams struct {
	out, err io.Writer
}

func main() {
	os.Exit(run(os.Args[1:], streams{os.Stdout, os.Stderr}))
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// exitRequest is how kong's own exits, of --help, leave run.
type exitRequest int

// run is main without the process: it returns the exit code.
func run(args []string, std streams) (code int) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case exitRequest:
			code = int(v)
		default:
			panic(v)
		}
	}()
	parser, err := kong.New(&cli{},
		kong.Name("weft"),
		kong.Description("A self-hosted backend for collaborative editing: Yjs editors connect unmodified, saved means saved."),
		kong.DefaultEnvars("WEFT"),
		kong.Vars{"admin": defaultAdmin, "scenarios": strings.Join(bench.Scenarios(), ", ")},
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { panic(exitRequest(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Bind(std),
	)
	if err != nil {
		panic(err) // the tags of our own structs
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(std.err, "weft: %v\n", err)
		return exitUsage
	}
	if err := ctx.Run(); err != nil {
		fmt.Fprintf(std.err, "weft: %v\n", err)
		if coder := kong.ExitCoder(nil); errors.As(err, &coder) {
			return coder.ExitCode()
		}
		return exitFailed
	}
	return exitOK
}

// usageError is an error of what the user asked for, not of what happened.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

// ExitCode implements kong.ExitCoder.
func (*usageError) ExitCode() int { return exitUsage }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}
