package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"time"

	"weft/persistence"
)

// inspectLs is the verb inspect ls.
type inspectLs struct {
	Dir   string   `arg:"" help:"Data directory that nobody has open, or a copy."`
	Rooms []string `arg:"" optional:"" name:"room" help:"Only these rooms."`
	Quick bool     `env:"-" help:"Do not read the documents: no clients, tombstones and pending bytes."`
	JSON  bool     `env:"-" name:"json" help:"Print JSON."`
}

// Help explains the columns.
func (inspectLs) Help() string {
	return `Columns:

  SNAPSHOT    bytes of the stored document
  LOG         bytes of updates since then, in the log or, of a damaged room, moved out of it
  CLIENTS     authors; every tab that was opened anew counts
  TOMBSTONES  share of the document's pieces that only mark something deleted
  PENDING     bytes of updates that wait for others which are not stored
  SAVED       when the snapshot was written

Exit code 3 when something is damaged.`
}

// listedRoom is a row of ls; in JSON, what was not read is left out.
type listedRoom struct {
	namedRoom
	Pos        storedPosition  `json:"pos"`
	Checkpoint *storedPosition `json:"checkpoint,omitempty"` // of the snapshot
	Generation uint64          `json:"generation,omitempty"`
	Bytes      int64           `json:"bytes"` // of the snapshot
	LogBytes   int64           `json:"logBytes"`
	LogRecords int             `json:"logRecords"`
	Saved      *time.Time      `json:"saved,omitempty"`
	Document   *listedDocument `json:"document,omitempty"`
	Problem    string          `json:"problem,omitempty"`
}

// listedDocument is what ls says about a document.
type listedDocument struct {
	Clients        int     `json:"clients"`
	Structs        int     `json:"structs"`
	DeletedStructs int     `json:"deletedStructs"`
	TombstoneShare float64 `json:"tombstoneShare"` // DeletedStructs / Structs
	Units          uint64  `json:"units"`          // ever written
	DeletedUnits   uint64  `json:"deletedUnits"`
	MemoryBytes    int     `json:"memoryBytes"` // about
	PendingBytes   int     `json:"pendingBytes"`
}

// listSum is what ls says at the end.
type listSum struct {
	Count    int          `json:"count"`
	Damaged  int          `json:"damaged"`
	Bytes    int64        `json:"bytes"`
	LogBytes int64        `json:"logBytes"`
	Files    []storedFile `json:"files"`
	Problems []string     `json:"problems"` // of the files as a whole
}

// Run lists.
func (c *inspectLs) Run(std streams) error {
	return withArchive(c.Dir, func(a *persistence.Archive) error {
		infos, err := chosen(a, c.Dir, c.Rooms)
		if err != nil {
			return err
		}
		var out rowWriter = newTable(std.out)
		if c.JSON {
			out = jsonRows{newJSONList(std.out)}
		}
		sum := listSum{Files: storedFilesOf(a), Problems: problemsOf(a)}
		for _, i := range infos {
			row, err := c.row(a, i)
			if err != nil {
				return err
			}
			sum.Count++
			sum.Bytes += row.Bytes
			sum.LogBytes += row.LogBytes
			if row.Problem != "" {
				sum.Damaged++
			}
			if err := out.row(row); err != nil {
				return err
			}
		}
		if err := out.end(sum); err != nil {
			return err
		}
		return sum.verdict(c.Dir)
	})
}

func (s *listSum) verdict(dir string) error {
	if s.Damaged > 0 || len(s.Problems) > 0 {
		return damagedf("%s is damaged: %d of %s, %s of the files; weft inspect check says more", dir, s.Damaged, counted(s.Count, "room"), counted(len(s.Problems), "problem"))
	}
	return nil
}

func (c *inspectLs) row(a *persistence.Archive, i persistence.Info) (listedRoom, error) {
	row := listedRoom{
		namedRoom: nameRoom(i.Room), Pos: storedPosition(i.Pos), Generation: i.Gen,
		Bytes: i.Size, LogBytes: i.LogBytes, LogRecords: i.LogRecords, Problem: withoutRoom(i.Room, i.Damage),
	}
	if i.Gen != 0 {
		pos, saved := storedPosition(i.Checkpoint), i.Saved.UTC()
		row.Checkpoint, row.Saved = &pos, &saved
	}
	if c.Quick || i.Damage != "" {
		return row, nil
	}
	r, err := readRoom(a, i.Room, asServed)
	if err != nil {
		return row, err
	}
	if wrong := r.wrong(); wrong != nil {
		row.Problem = wrong.Error()
		return row, nil
	}
	s := r.doc.Stats()
	row.Document = &listedDocument{
		Clients: s.Clients, Structs: s.Structs, DeletedStructs: s.Deleted, MemoryBytes: s.Bytes, PendingBytes: r.pending,
	}
	row.Document.Units, row.Document.DeletedUnits = units(r.doc)
	if s.Structs > 0 {
		row.Document.TombstoneShare = float64(s.Deleted) / float64(s.Structs)
	}
	return row, nil
}

// rowWriter writes the list as it comes.
type rowWriter interface {
	row(listedRoom) error
	end(listSum) error
}

// jsonRows writes {"rooms":[...],"count":...}.
type jsonRows struct{ list *jsonList }

func (j jsonRows) row(r listedRoom) error { return j.list.add(r) }
func (j jsonRows) end(s listSum) error    { return j.list.end(s) }

// table writes columns for people, the name last because its length has no bound worth a column.
type table struct{ w *bufio.Writer }

const tableColumns = "%10s %9s %8s %11s %8s  %-20s  %s\n"

func newTable(w io.Writer) *table {
	t := &table{bufio.NewWriter(w)}
	fmt.Fprintf(t.w, tableColumns, "SNAPSHOT", "LOG", "CLIENTS", "TOMBSTONES", "PENDING", "SAVED", "ROOM")
	return t
}

func (t *table) row(r listedRoom) error {
	clients, tombstones, pending, saved := "-", "-", "-", "-"
	if d := r.Document; d != nil {
		clients, pending = strconv.Itoa(d.Clients), strconv.Itoa(d.PendingBytes)
		tombstones = fmt.Sprintf("%.1f%%", 100*d.TombstoneShare)
	}
	if r.Saved != nil {
		saved = r.Saved.Format(time.RFC3339)
	}
	name := r.shown()
	if r.Problem != "" {
		name += "  PROBLEM: " + oneLine(r.Problem)
	}
	_, err := fmt.Fprintf(t.w, tableColumns, strconv.FormatInt(r.Bytes, 10), strconv.FormatInt(r.LogBytes, 10), clients, tombstones, pending, saved, name)
	return err
}

func (t *table) end(s listSum) error {
	fmt.Fprintf(t.w, "%s, %d bytes in snapshots and %d in the log", counted(s.Count, "room"), s.Bytes, s.LogBytes)
	for _, f := range s.Files {
		fmt.Fprintf(t.w, "; %s %d bytes, %d free", f.Name, f.Bytes, f.Free)
	}
	fmt.Fprintln(t.w)
	for _, p := range s.Problems {
		fmt.Fprintf(t.w, "PROBLEM: %s\n", oneLine(p))
	}
	return t.w.Flush()
}
