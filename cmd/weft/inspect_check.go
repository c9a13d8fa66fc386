package main

import (
	"bufio"
	"fmt"

	"weft/persistence"
)

// inspectCheck is the verb inspect check.
type inspectCheck struct {
	Dir   string   `arg:"" help:"Data directory that nobody has open, or a copy."`
	Rooms []string `arg:"" optional:"" name:"room" help:"Only these rooms."`
	JSON  bool     `env:"-" name:"json" help:"Print JSON."`
}

// Help says what is checked.
func (inspectCheck) Help() string {
	return `Checks both files page by page, the checksum of every record and snapshot, that every room is a well-formed document, and
that it has what its state vector says. Prints a line for everything that is not right, and a note for updates that wait for
others which are not stored: nobody was told that those are saved, so they are no damage.

Exit code 3 when something is damaged or cannot be read.`
}

// checkedRoom is a room in the JSON of check.
type checkedRoom struct {
	namedRoom
	OK           bool   `json:"ok"`
	Problem      string `json:"problem,omitempty"`
	PendingBytes int    `json:"pendingBytes"`
}

// checkSum is what check says at the end.
type checkSum struct {
	Count    int      `json:"count"`
	Damaged  int      `json:"damaged"`
	Problems []string `json:"problems"` // of the files as a whole
}

// Run checks.
func (c *inspectCheck) Run(std streams) error {
	return withArchive(c.Dir, func(a *persistence.Archive) error {
		infos, err := chosen(a, c.Dir, c.Rooms)
		if err != nil {
			return err
		}
		var out checkWriter = checkLines{bufio.NewWriter(std.out)}
		if c.JSON {
			out = checkJSON{newJSONList(std.out)}
		}
		sum, err := checkRooms(a, infos, out.room)
		if err != nil {
			return err
		}
		if err := out.end(sum); err != nil {
			return err
		}
		if sum.Damaged > 0 || len(sum.Problems) > 0 {
			return damagedf("%s is damaged: weft inspect repair keeps what can be kept", c.Dir)
		}
		return nil
	})
}

// checkRooms reads the rooms one by one and tells each the verdict.
func checkRooms(a *persistence.Archive, infos []persistence.Info, tell func(checkedRoom) error) (checkSum, error) {
	sum := checkSum{Problems: problemsOf(a)}
	for _, i := range infos {
		r, err := readRoom(a, i.Room, asServed)
		if err != nil {
			return sum, err
		}
		if r.wrong() == nil {
			r.unreadable = r.doc.Check()
		}
		room := checkedRoom{namedRoom: nameRoom(i.Room), OK: true, PendingBytes: r.pending}
		if wrong := r.wrong(); wrong != nil {
			room.OK, room.Problem = false, wrong.Error()
			sum.Damaged++
		}
		sum.Count++
		if err := tell(room); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// checkWriter writes the verdicts as they come.
type checkWriter interface {
	room(checkedRoom) error
	end(checkSum) error
}

// checkJSON writes {"rooms":[...],"count":...}.
type checkJSON struct{ list *jsonList }

func (j checkJSON) room(r checkedRoom) error { return j.list.add(r) }
func (j checkJSON) end(s checkSum) error     { return j.list.end(s) }

// checkLines writes a line for each room that there is something to say about.
type checkLines struct{ w *bufio.Writer }

func (l checkLines) room(r checkedRoom) error {
	var err error
	switch {
	case !r.OK:
		_, err = fmt.Fprintf(l.w, "PROBLEM: %s: %s\n", r.shown(), oneLine(r.Problem))
	case r.PendingBytes > 0:
		_, err = fmt.Fprintf(l.w, "note: %s: %d bytes of updates wait for others that are not stored\n", r.shown(), r.PendingBytes)
	}
	return err
}

func (l checkLines) end(s checkSum) error {
	for _, p := range s.Problems {
		fmt.Fprintf(l.w, "PROBLEM: %s\n", oneLine(p))
	}
	fmt.Fprintf(l.w, "%s checked, %d damaged; %s of the files as a whole\n", counted(s.Count, "room"), s.Damaged, counted(len(s.Problems), "problem"))
	return l.w.Flush()
}
