package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"weft/crdt"
	"weft/persistence"
)

// inspectDump is the verb inspect dump.
type inspectDump struct {
	Dir     string `arg:"" help:"Data directory that nobody has open, or a copy."`
	Room    string `arg:"" help:"Name of the room."`
	Format  string `env:"-" default:"text" enum:"text,json,xml,delta,update,update-v2" help:"One of text, json, xml, delta, update and update-v2 (${default})."`
	JSON    bool   `env:"-" name:"json" help:"The same as --format json."`
	Root    string `env:"-" placeholder:"NAME" help:"Root type to print, for all formats but updates."`
	Partial bool   `env:"-" help:"Print what is left of a damaged room."`
}

// Help explains roots and updates.
func (inspectDump) Help() string {
	return `The root types of a Yjs document have names that its editor chose, and no type of their own, so the format says how to read
one. Without --root it is codemirror for text, default for xml, data for json and quill for delta, as in the REST interface.

update and update-v2 are the whole document for Y.applyUpdate and Y.applyUpdateV2, with everything that is stored: the content of
what was deleted but not collected yet, and updates that wait for others.

Exit code 3 when the room is damaged; with --partial, what is left was printed then.`
}

// reading is a way to read a root, and the root that it is used for when nothing else is said.
type reading struct {
	root string
	read func(d *crdt.Doc, root string) ([]byte, error)
}

// readings returns the formats that show one root.
func readings() map[string]reading {
	return map[string]reading{
		"text":  {"codemirror", func(d *crdt.Doc, root string) ([]byte, error) { return []byte(d.Text(root)), nil }},
		"xml":   {"default", func(d *crdt.Doc, root string) ([]byte, error) { return []byte(d.XML(root)), nil }},
		"json":  {"data", func(d *crdt.Doc, root string) ([]byte, error) { return line(d.JSON(root)) }},
		"delta": {"quill", func(d *crdt.Doc, root string) ([]byte, error) { return line(d.Delta(root)) }},
	}
}

func line(b []byte, err error) ([]byte, error) { return append(b, '\n'), err }

// Run dumps.
func (c *inspectDump) Run(std streams) error {
	if c.JSON {
		if c.Format != "text" && c.Format != "json" {
			return usagef("--json and --format %s exclude each other", c.Format)
		}
		c.Format = "json"
	}
	c.Room = roomName(c.Room)
	return withArchive(c.Dir, func(a *persistence.Archive) error {
		r, err := readRoom(a, c.Room, asStored)
		switch {
		case errors.Is(err, persistence.ErrNotFound):
			return noRoom(c.Dir, c.Room)
		case err != nil:
			return err
		}
		wrong := r.wrong()
		if wrong != nil && !c.Partial {
			return damagedf("room %q is damaged: %w; --partial prints what is left", c.Room, wrong)
		}
		if err := c.print(std.out, r.doc); err != nil {
			return err
		}
		if wrong != nil {
			return damagedf("room %q is damaged: %w; printed what is left", c.Room, wrong)
		}
		return nil
	})
}

func (c *inspectDump) print(w io.Writer, d *crdt.Doc) error {
	content, err := c.content(w, d)
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}

func (c *inspectDump) content(w io.Writer, d *crdt.Doc) ([]byte, error) {
	reading, ok := readings()[c.Format]
	if !ok {
		if f, is := w.(*os.File); is && terminal(f) {
			return nil, usagef("an update is binary; send it into a file or a program")
		}
		if c.Format == "update-v2" {
			return d.AppendDiff(nil, nil, crdt.V2), nil
		}
		return d.AppendDiff(nil, nil, crdt.V1), nil
	}
	root := c.Root
	if root == "" {
		root = reading.root
	}
	if b, err := d.JSON(root); err == nil && string(b) == "null" {
		return nil, fmt.Errorf("room %q has no root type %q; name the one its editor uses with --root", c.Room, root)
	}
	content, err := reading.read(d, root)
	if err != nil {
		return nil, fmt.Errorf("root type %q as %s: %w", root, c.Format, err)
	}
	return content, nil
}
