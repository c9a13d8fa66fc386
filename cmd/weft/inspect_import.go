package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sync/errgroup"

	"weft/persistence"
)

// inspectImport is the verb inspect import.
type inspectImport struct {
	Dir  string `arg:"" help:"Data directory that nobody has open; made when it does not exist."`
	File string `arg:"" help:"File that weft inspect export has written."`
	JSON bool   `env:"-" name:"json" help:"Print JSON."`
}

// Help says what is refused.
func (inspectImport) Help() string {
	return `The file is first read whole: its checksum must be right and every document well-formed, and none of its rooms may be stored
in the directory already. Only then the rooms are stored, at the positions they had. When that is interrupted, the rooms stored
so far are whole; import into a new directory then.`
}

// importResult is what import says at the end.
type importResult struct {
	Rooms   int         `json:"rooms"`
	Bytes   int64       `json:"bytes"`
	Partial []wrongRoom `json:"partial"` // what the export says of itself
	Missing []wrongRoom `json:"missing"`
}

// What is saved at one time: together, since rooms that are saved at one time share their fsyncs.
const (
	importBatchRooms = 256
	importBatchBytes = 16 << 20
)

// Run imports.
func (c *inspectImport) Run(std streams) error {
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	names, err := c.verify(f)
	if err != nil {
		return fmt.Errorf("%s: nothing was imported: %w", c.File, err)
	}
	if err := c.mayTake(names); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r, err := c.store(context.Background(), f)
	if err != nil {
		return fmt.Errorf("after %s: %w", counted(r.Rooms, "room"), err)
	}
	return c.report(std.out, r)
}

// verify reads all of the export and returns the names of its rooms.
func (c *inspectImport) verify(f io.Reader) (map[string]bool, error) {
	names := make(map[string]bool)
	_, err := readExport(bufio.NewReaderSize(f, 1<<20), func(e exportedRoom) error {
		if names[e.room] {
			return fmt.Errorf("room %q is in the file twice", e.room)
		}
		names[e.room] = true
		_, err := e.snapshot()
		return err
	})
	return names, err
}

// mayTake tells why the directory cannot take the rooms, if so.
func (c *inspectImport) mayTake(names map[string]bool) error {
	if !hasStore(c.Dir) {
		return nil
	}
	return withArchive(c.Dir, func(a *persistence.Archive) error {
		if p := a.Problems(); len(p) > 0 {
			return damagedf("nothing was imported: %s is damaged, repair it first: %w", c.Dir, p[0])
		}
		twice, first := 0, ""
		for _, i := range a.Rooms() {
			if names[i.Room] {
				if twice++; twice == 1 {
					first = i.Room
				}
			}
		}
		if twice > 0 {
			return fmt.Errorf("nothing was imported: %s stored in %s already, the first is %q", are(twice), c.Dir, first)
		}
		return nil
	})
}

func are(rooms int) string {
	if rooms == 1 {
		return "1 room of the file is"
	}
	return fmt.Sprintf("%d rooms of the file are", rooms)
}

// snapshot checks the document and returns it as it is stored.
func (e exportedRoom) snapshot() (persistence.Snapshot, error) {
	r := replay(persistence.Stored{Snapshot: persistence.Snapshot{Pos: e.pos, State: e.state}}, asServed)
	if r.unreadable != nil {
		return persistence.Snapshot{}, fmt.Errorf("room %q: %w", e.room, r.unreadable)
	}
	return persistence.Snapshot{Pos: e.pos, State: e.state, StateVector: r.doc.AppendStateVector(nil)}, nil
}

// store stores the rooms. Rooms is how many were stored, also beside an error.
func (c *inspectImport) store(ctx context.Context, f io.Reader) (r importResult, err error) {
	s, err := persistence.Open(c.Dir, persistence.Options{ReserveBytes: -1, ScrubEvery: -1, CompactFree: -1})
	if err != nil {
		return r, coded(err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var batch []exportedRoom
	size := 0
	flush := func() error {
		err := saveBatch(ctx, s, batch)
		if err == nil {
			r.Rooms += len(batch)
			r.Bytes += int64(size)
		}
		batch, size = nil, 0
		return err
	}
	end, err := readExport(bufio.NewReaderSize(f, 1<<20), func(e exportedRoom) error {
		batch = append(batch, e)
		if size += len(e.state); len(batch) < importBatchRooms && size < importBatchBytes {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	r.Partial, r.Missing = end.Partial, end.Missing
	return r, err
}

// saveBatch saves rooms at one time.
func saveBatch(ctx context.Context, s *persistence.Store, batch []exportedRoom) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, e := range batch {
		snap, err := e.snapshot()
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		g.Go(func() error {
			if err := s.Save(ctx, e.room, snap); err != nil {
				return fmt.Errorf("save room %q: %w", e.room, err)
			}
			return nil
		})
	}
	return g.Wait()
}

func (c *inspectImport) report(w io.Writer, r importResult) error {
	if c.JSON {
		return writeJSON(w, r)
	}
	b := bufio.NewWriter(w)
	for _, m := range r.Missing {
		fmt.Fprintf(b, "MISSING in the file: %s: %s\n", m.shown(), oneLine(m.Problem))
	}
	for _, m := range r.Partial {
		fmt.Fprintf(b, "PARTIAL in the file: %s: %s\n", m.shown(), oneLine(m.Problem))
	}
	fmt.Fprintf(b, "imported %s, %d bytes, into %s\n", counted(r.Rooms, "room"), r.Bytes, printable(c.Dir))
	return b.Flush()
}
