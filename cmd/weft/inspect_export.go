package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"weft/crdt"
	"weft/persistence"
)

// inspectExport is the verb inspect export.
type inspectExport struct {
	Dir     string   `arg:"" help:"Data directory that nobody has open, or a copy."`
	File    string   `arg:"" help:"File to write, which must not exist; - for stdout."`
	Rooms   []string `arg:"" optional:"" name:"room" help:"Only these rooms."`
	Partial bool     `env:"-" help:"Write what is left of damaged rooms, too."`
	JSON    bool     `env:"-" name:"json" help:"Print JSON."`
}

// Help describes the file.
func (inspectExport) Help() string {
	return `The file is a tar file with one Yjs update V2 for each room, rooms/NAME/update@EPOCH-SEQ.v2, sorted by name, and at the end
export.json with a checksum and what is missing. In NAME, bytes other than letters, digits, "_", "-" and "." are written as %XX.

What was done is told on stdout, or on stderr when the file goes to stdout. Exit code 3 when rooms are damaged; they are named,
and the file has all others, and with --partial what is left of them.`
}

// exportResult is what export says at the end.
type exportResult struct {
	File     string      `json:"file"`
	Rooms    int         `json:"rooms"`
	Bytes    int64       `json:"bytes"` // of the documents
	Partial  []wrongRoom `json:"partial"`
	Missing  []wrongRoom `json:"missing"`
	Problems []string    `json:"problems"` // of the files as a whole
}

// Run exports.
func (c *inspectExport) Run(std streams) error {
	return withArchive(c.Dir, func(a *persistence.Archive) error {
		infos, err := chosen(a, c.Dir, c.Rooms)
		if err != nil {
			return err
		}
		r := exportResult{File: c.File, Problems: problemsOf(a)}
		report := std.out
		if c.File == "-" {
			report = std.err
			err = c.export(std.out, a, infos, &r)
		} else {
			err = newFile(c.File, func(w io.Writer) error { return c.export(w, a, infos, &r) })
		}
		if err != nil {
			return err
		}
		if err := c.report(report, r); err != nil {
			return err
		}
		if n := len(r.Partial) + len(r.Missing); n > 0 || len(r.Problems) > 0 {
			return damagedf("%s is damaged: %s not whole, %s of the files; the export is not all that there was", c.Dir, counted(n, "room"), counted(len(r.Problems), "problem"))
		}
		return nil
	})
}

// newFile makes a file that must not exist, has fill write it, and returns when it is on disk. After an error there is no file.
func newFile(path string, fill func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(f, 1<<20)
	err = fill(b)
	if err == nil {
		err = b.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	_ = d.Sync() // not every system can sync a directory; the file itself is on disk
	return d.Close()
}

func (c *inspectExport) export(w io.Writer, a *persistence.Archive, infos []persistence.Info, r *exportResult) error {
	e := newExportWriter(w)
	for _, i := range infos {
		room, err := readRoom(a, i.Room, asStored)
		if err != nil {
			return err
		}
		if wrong := room.wrong(); wrong != nil {
			named := wrongRoom{nameRoom(i.Room), wrong.Error()}
			if !c.Partial {
				e.end.Missing = append(e.end.Missing, named)
				continue
			}
			e.end.Partial = append(e.end.Partial, named)
		}
		if err := e.add(i.Room, i.Pos, i.Saved, room.doc.AppendDiff(nil, nil, crdt.V2)); err != nil {
			return err
		}
	}
	if err := e.close(); err != nil {
		return err
	}
	r.Rooms, r.Bytes, r.Partial, r.Missing = e.end.Rooms, e.end.Bytes, e.end.Partial, e.end.Missing
	return nil
}

func (c *inspectExport) report(w io.Writer, r exportResult) error {
	if c.JSON {
		return writeJSON(w, r)
	}
	b := bufio.NewWriter(w)
	for _, m := range r.Missing {
		fmt.Fprintf(b, "MISSING: %s: %s\n", m.shown(), oneLine(m.Problem))
	}
	for _, m := range r.Partial {
		fmt.Fprintf(b, "PARTIAL: %s: %s\n", m.shown(), oneLine(m.Problem))
	}
	for _, p := range r.Problems {
		fmt.Fprintf(b, "PROBLEM: %s\n", oneLine(p))
	}
	fmt.Fprintf(b, "exported %s, %d bytes, to %s\n", counted(r.Rooms, "room"), r.Bytes, printable(r.File))
	return b.Flush()
}
