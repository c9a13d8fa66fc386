package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"weft/persistence"
)

// inspectDelete is the verb inspect delete.
type inspectDelete struct {
	Dir   string   `arg:"" help:"Data directory that nobody has open."`
	Rooms []string `arg:"" name:"room" help:"Names of the rooms."`
	JSON  bool     `env:"-" name:"json" help:"Print JSON."`
}

// Help says what remains.
func (inspectDelete) Help() string {
	return `Each room is removed with everything stored of it, damage included: a room that was set aside can be begun anew then. All names are looked up before anything is deleted. There is no way back; weft inspect
export keeps a copy. The bytes are overwritten when their pages are used again, or by weft inspect compact.`
}

// deleteResult is what delete says at the end, also when it ends with an error after some rooms.
type deleteResult struct {
	Deleted []string `json:"deleted"`
}

// Run deletes.
func (c *inspectDelete) Run(std streams) error {
	var rooms []string // each once
	for _, arg := range c.Rooms {
		if room := roomName(arg); !slices.Contains(rooms, room) {
			rooms = append(rooms, room)
		}
	}
	c.Rooms = rooms
	if !hasStore(c.Dir) {
		return fmt.Errorf("%s is not a data directory", printable(c.Dir))
	}
	done, err := c.delete(context.Background())
	if err != nil && len(done.Deleted) == 0 {
		return err
	}
	return errors.Join(err, c.print(std, done)) // after an error, what was done before it
}

func (c *inspectDelete) print(std streams, done deleteResult) error {
	if c.JSON {
		return writeJSON(std.out, done)
	}
	for _, room := range done.Deleted {
		fmt.Fprintf(std.out, "deleted %s\n", printable(room))
	}
	return nil
}

func (c *inspectDelete) delete(ctx context.Context) (done deleteResult, err error) {
	s, err := persistence.Open(c.Dir, persistence.Options{ReserveBytes: -1, ScrubEvery: -1, CompactFree: -1})
	if err != nil {
		return done, coded(err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, room := range c.Rooms {
		if _, err := s.Load(ctx, room); errors.Is(err, persistence.ErrNotFound) || errors.Is(err, persistence.ErrInvalid) {
			return done, fmt.Errorf("nothing was deleted: %w", noRoom(c.Dir, room))
		}
	}
	done.Deleted = []string{}
	for _, room := range c.Rooms {
		if err := s.Delete(ctx, room); err != nil {
			return done, fmt.Errorf("delete %s after %s: %w", printable(room), counted(len(done.Deleted), "room"), err)
		}
		done.Deleted = append(done.Deleted, room)
	}
	return done, nil
}
