package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"weft/persistence"
)

// inspectCompact is the verb inspect compact.
type inspectCompact struct {
	Dir  string `arg:"" help:"Data directory that nobody has open, or a copy."`
	JSON bool   `env:"-" name:"json" help:"Print JSON."`
}

// compactResult is what compact says at the end; sizes in bytes.
type compactResult struct {
	RoomsBefore int64 `json:"roomsBefore"`
	RoomsAfter  int64 `json:"roomsAfter"`
	LogBefore   int64 `json:"logBefore"`
	LogAfter    int64 `json:"logAfter"`
}

// Help says what it needs.
func (inspectCompact) Help() string {
	return `Each file is written anew beside the old one, which it then replaces in one step, so there must be space for both. A damaged
directory is left alone; repair it first.`
}

// Run compacts.
func (c *inspectCompact) Run(std streams) error {
	if err := mustHaveStore(c.Dir); err != nil {
		return err
	}
	done, err := persistence.Compact(context.Background(), c.Dir)
	if err != nil {
		return coded(err)
	}
	if c.JSON {
		return writeJSON(std.out, compactResult(done))
	}
	_, err = fmt.Fprintf(std.out, "rooms.db: %d bytes, was %d\nwal.db: %d bytes, was %d\n", done.RoomsAfter, done.RoomsBefore, done.LogAfter, done.LogBefore)
	return err
}

// inspectRepair is the verb inspect repair.
type inspectRepair struct {
	Dir  string `arg:"" help:"Data directory that nobody has open, or a copy."`
	JSON bool   `env:"-" name:"json" help:"Print JSON."`
}

// Help says what is kept.
func (inspectRepair) Help() string {
	return `Makes of a damaged directory one in which every room opens that can be saved. A room whose snapshot is whole keeps it and all
records that are left; what it has lost is told. A room of which no document is left stays set aside, and is named. Damaged
files are kept beside the new ones as NAME.damaged-TIME. At the end every room is read again.

Exit code 3 when a room cannot be repaired.`
}

// repairResult is what repair says at the end.
type repairResult struct {
	Restored   []restoredRoom `json:"restored"`
	Lost       []wrongRoom    `json:"lost"`       // cannot be repaired
	Unreadable []wrongRoom    `json:"unreadable"` // stored as they were written, but not as documents
	Accepted   []string       `json:"accepted"`   // losses that could be of any room
	Kept       []string       `json:"kept"`       // files
	Rooms      int            `json:"rooms"`      // rooms that are all right now
}

// restoredRoom is a room that opens again without what Problem says.
type restoredRoom struct {
	wrongRoom
	Records int `json:"records"` // kept beyond the snapshot
}

// Run repairs.
func (c *inspectRepair) Run(std streams) error {
	if err := mustHaveStore(c.Dir); err != nil {
		return err
	}
	r, err := c.repair()
	if err != nil {
		return coded(err)
	}
	if c.JSON {
		err = writeJSON(std.out, r)
	} else {
		err = r.write(std.out)
	}
	if err != nil {
		return err
	}
	if n := len(r.Lost) + len(r.Unreadable); n > 0 {
		return damagedf("%s of %s cannot be repaired", counted(n, "room"), c.Dir)
	}
	return nil
}

func (c *inspectRepair) repair() (repairResult, error) {
	r := repairResult{Restored: []restoredRoom{}, Lost: []wrongRoom{}, Unreadable: []wrongRoom{}, Kept: []string{}}
	lost := make(map[string]bool)
	before := c.kept()
	done, err := persistence.Repair(context.Background(), c.Dir)
	if err != nil {
		return r, err
	}
	for _, room := range done.Restored {
		r.Restored = append(r.Restored, restoredRoom{wrongRoom{nameRoom(room.Room), withoutRoom(room.Room, room.What)}, room.Records})
	}
	for _, room := range done.Lost {
		r.Lost = append(r.Lost, wrongRoom{nameRoom(room.Room), withoutRoom(room.Room, room.Damage)})
		lost[room.Room] = true
	}
	r.Accepted = append([]string{}, done.Accepted...)
	for _, name := range c.kept() {
		if !slices.Contains(before, name) {
			r.Kept = append(r.Kept, filepath.Base(name))
		}
	}
	return r, c.readAgain(&r, lost)
}

// kept lists the damaged files that were kept.
func (c *inspectRepair) kept() (names []string) {
	for _, file := range storeFiles {
		// The pattern is right; an unreadable directory is an error of what comes next.
		found, _ := filepath.Glob(filepath.Join(globQuote(c.Dir), file+".damaged-*"))
		names = append(names, found...)
	}
	return names
}

// globQuote returns a pattern that matches path alone.
func globQuote(path string) string {
	var out []byte
	for i := range len(path) {
		if c := path[i]; c == '*' || c == '?' || c == '[' || c == '\\' {
			out = append(out, '\\')
		}
		out = append(out, path[i])
	}
	return string(out)
}

// readAgain reads what is stored but the rooms that are lost, and names what does not open.
func (c *inspectRepair) readAgain(r *repairResult, lost map[string]bool) error {
	return withArchive(c.Dir, func(a *persistence.Archive) error {
		infos := slices.DeleteFunc(a.Rooms(), func(i persistence.Info) bool { return lost[i.Room] })
		sum, err := checkRooms(a, infos, func(room checkedRoom) error {
			if !room.OK {
				r.Unreadable = append(r.Unreadable, wrongRoom{room.namedRoom, room.Problem})
			}
			return nil
		})
		r.Rooms = sum.Count - sum.Damaged
		return err
	})
}

func (r *repairResult) write(w io.Writer) error {
	b := bufio.NewWriter(w)
	for _, room := range r.Restored {
		fmt.Fprintf(b, "restored: %s, with %s beyond its snapshot; lost: %s\n", room.shown(), counted(room.Records, "record"), oneLine(room.Problem))
	}
	for _, room := range r.Lost {
		fmt.Fprintf(b, "LOST: %s: %s\n", room.shown(), oneLine(room.Problem))
	}
	for _, room := range r.Unreadable {
		fmt.Fprintf(b, "UNREADABLE: %s: %s\n", room.shown(), oneLine(room.Problem))
	}
	for _, what := range r.Accepted {
		fmt.Fprintf(b, "accepted: %s\n", oneLine(what))
	}
	for _, file := range r.Kept {
		fmt.Fprintf(b, "kept: %s\n", file)
	}
	if len(r.Restored)+len(r.Lost)+len(r.Unreadable)+len(r.Accepted)+len(r.Kept) == 0 {
		fmt.Fprintln(b, "nothing to repair")
	}
	fmt.Fprintf(b, "%s all right\n", haveBeen(r.Rooms))
	return b.Flush()
}

func haveBeen(rooms int) string {
	if rooms == 1 {
		return "1 room is"
	}
	return fmt.Sprintf("%d rooms are", rooms)
}
