package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"weft/persistence"
)

// inspectCmd is the verb inspect: what can be done with a data directory that nobody has open. Its flags have no environment
// variables, since a WEFT_PARTIAL that somebody left behind must not change what a tool does.
type inspectCmd struct {
	Ls      inspectLs      `cmd:"" default:"withargs" help:"List the rooms with size, clients, tombstones and pending bytes (the default)."`
	Check   inspectCheck   `cmd:"" help:"Read everything stored and name what is not right."`
	Dump    inspectDump    `cmd:"" help:"Print one room as text, JSON, XML, delta or Yjs update."`
	Export  inspectExport  `cmd:"" help:"Write all rooms into one file."`
	Import  inspectImport  `cmd:"" help:"Store the rooms of an exported file."`
	Compact inspectCompact `cmd:"" help:"Write the files of a directory anew without their free space."`
	Repair  inspectRepair  `cmd:"" help:"Repair what can be repaired in a damaged directory and name what cannot."`
	Delete  inspectDelete  `cmd:"" help:"Delete rooms, also damaged ones, with everything stored of them."`
}

// Help is what --help says of every verb of inspect.
func (inspectCmd) Help() string {
	return `The directory must be a stopped server's, or a copy. A copy that was made while the server was writing may not fit together:
check says so, and another copy at a quieter moment helps. Only import, compact, repair and delete change a directory; the others
write nothing but the number of their process into its file LOCK. Names of rooms that have control characters are printed in quotes,
and may be given like that.

Exit codes:

  0  done, and nothing is wrong
  1  it could not be done; one line on stderr says why
  2  the command line is not understood
  3  something stored is damaged or cannot be read; the output names it
  4  the directory is in use by another process`
}

// Exit codes of inspect beside those of every verb.
const (
	exitDamaged = 3
	exitLocked  = 4
)

// codedError is an error with an exit code of its own.
type codedError struct {
	code int
	err  error
}

// Error returns the error in one line.
func (e *codedError) Error() string { return oneLine(e.err.Error()) }

// Unwrap returns the error without its code.
func (e *codedError) Unwrap() error { return e.err }

// ExitCode implements kong.ExitCoder.
func (e *codedError) ExitCode() int { return e.code }

func damagedf(format string, args ...any) error {
	return &codedError{exitDamaged, fmt.Errorf(format, args...)}
}

// withArchive runs f with the data directory dir open for reading.
func withArchive(dir string, f func(*persistence.Archive) error) (err error) {
	a, err := persistence.OpenArchive(dir)
	if err != nil {
		return coded(err)
	}
	defer func() {
		if bad := a.Close(); err == nil {
			err = bad
		}
	}()
	return f(a)
}

// coded gives an error of package persistence its exit code.
func coded(err error) error {
	if errors.Is(err, persistence.ErrLocked) {
		return &codedError{exitLocked, err}
	}
	if _, ok := errors.AsType[*persistence.DamageError](err); ok {
		return &codedError{exitDamaged, err}
	}
	return err
}

// storeFiles are the files by which a data directory is known.
var storeFiles = [...]string{"rooms.db", "wal.db"}

// hasStore tells whether dir has at least one of the files of a data directory.
func hasStore(dir string) bool {
	for _, name := range storeFiles {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// mustHaveStore is for the verbs that would make a new data directory in the place of a mistyped one.
func mustHaveStore(dir string) error {
	if !hasStore(dir) {
		return fmt.Errorf("%s: %w: it has neither %s nor %s", dir, persistence.ErrNoStore, storeFiles[0], storeFiles[1])
	}
	return nil
}

// roomName returns the name that an argument means: the argument, or what it quotes, so that every name can be given as ls
// prints it.
func roomName(arg string) string {
	if strings.HasPrefix(arg, `"`) {
		if name, err := strconv.Unquote(arg); err == nil {
			return name
		}
	}
	return arg
}

// chosen returns the rooms of the archive whose names are given, all when there are none, sorted by name.
func chosen(a *persistence.Archive, dir string, names []string) ([]persistence.Info, error) {
	infos := a.Rooms()
	if len(names) == 0 {
		return infos, nil
	}
	wanted := make(map[string]bool)
	for _, n := range names {
		wanted[roomName(n)] = true
	}
	var out []persistence.Info
	for _, i := range infos {
		if wanted[i.Room] {
			out = append(out, i)
			delete(wanted, i.Room)
		}
	}
	for _, n := range names {
		if n = roomName(n); wanted[n] {
			return nil, noRoom(dir, n)
		}
	}
	return out, nil
}

func noRoom(dir, room string) error { return fmt.Errorf("no room %q in %s", room, dir) }
