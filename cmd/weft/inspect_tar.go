package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"weft/persistence"
)

// An export is a tar file.
//
//	rooms/NAME/update@EPOCH-SEQ.v2   the whole document as a Yjs update V2, at its position; one of each room, sorted by name
//	export.json                      the end: exportEnd
//
// NAME is the room's name with every byte but letters, digits, "_", "-" and "." written as %XX, a "/" after each 200 bytes so
// that file systems can hold it, and no part that begins with ".".
const (
	exportFormat  = 1
	exportEndName = "export.json"
	exportSegment = 200     // bytes; a file name may have 255
	exportEndMax  = 1 << 30 // bytes
)

// exportEnd is the last entry of an export. Without it the file is cut off.
type exportEnd struct {
	Format  int         `json:"weftExport"`
	Rooms   int         `json:"rooms"`
	Bytes   int64       `json:"bytes"`   // of all documents
	SHA256  string      `json:"sha256"`  // of, for each room, the entry's name, a zero byte, and the content
	Partial []wrongRoom `json:"partial"` // rooms that are damaged and of which the export has what was left
	Missing []wrongRoom `json:"missing"` // rooms that are damaged and not in the export
}

// exportWriter writes an export.
type exportWriter struct {
	tar *tar.Writer
	sum hash.Hash
	end exportEnd
}

func newExportWriter(w io.Writer) *exportWriter {
	return &exportWriter{
		tar: tar.NewWriter(w), sum: sha256.New(),
		end: exportEnd{Format: exportFormat, Partial: []wrongRoom{}, Missing: []wrongRoom{}},
	}
}

// add writes a room.
func (e *exportWriter) add(room string, pos persistence.Position, saved time.Time, state []byte) error {
	name := exportName(room, pos)
	if err := e.entry(name, saved, state); err != nil {
		return fmt.Errorf("write room %q: %w", room, err)
	}
	noteEntry(e.sum, name, state)
	e.end.Rooms++
	e.end.Bytes += int64(len(state))
	return nil
}

func (e *exportWriter) entry(name string, at time.Time, content []byte) error {
	if at.IsZero() {
		at = time.Unix(0, 0)
	}
	err := e.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), ModTime: at.Truncate(time.Second)})
	if err != nil {
		return err
	}
	_, err = e.tar.Write(content)
	return err
}

// close writes the end.
func (e *exportWriter) close() error {
	e.end.SHA256 = hex.EncodeToString(e.sum.Sum(nil))
	b, err := json.MarshalIndent(e.end, "", " ")
	if err != nil {
		return err
	}
	if err := e.entry(exportEndName, time.Time{}, append(b, '\n')); err != nil {
		return err
	}
	return e.tar.Close()
}

func noteEntry(h hash.Hash, name string, content []byte) {
	io.WriteString(h, name)
	h.Write([]byte{0})
	h.Write(content)
}

// exportedRoom is one room of an export.
type exportedRoom struct {
	room  string
	pos   persistence.Position
	state []byte // update V2
}

// readExport visits the rooms of an export in order and returns its end. An error may come after any number of visits; only
// without one are the rooms those that were exported.
func readExport(r io.Reader, visit func(exportedRoom) error) (exportEnd, error) {
	in, sum := tar.NewReader(r), sha256.New()
	rooms, size := 0, int64(0)
	for {
		h, err := in.Next()
		if err == io.EOF {
			err = errors.New("the file is cut off")
		}
		if err != nil {
			return exportEnd{}, fmt.Errorf("after %s: %w", counted(rooms, "room"), err)
		}
		if h.Name == exportEndName {
			end, err := readExportEnd(in, h.Size)
			if err != nil {
				return end, err
			}
			if got := hex.EncodeToString(sum.Sum(nil)); got != end.SHA256 || rooms != end.Rooms || size != end.Bytes {
				return end, fmt.Errorf("%s of %d bytes with checksum %s, want %d of %d with %s: the file is damaged", counted(rooms, "room"), size, got, end.Rooms, end.Bytes, end.SHA256)
			}
			return end, nil
		}
		e, err := readExported(in, h)
		if err != nil {
			return exportEnd{}, fmt.Errorf("entry %q: %w", h.Name, err)
		}
		noteEntry(sum, h.Name, e.state)
		rooms++
		size += h.Size
		if err := visit(e); err != nil {
			return exportEnd{}, err
		}
	}
}

func readExported(in io.Reader, h *tar.Header) (e exportedRoom, err error) {
	if e.room, e.pos, err = parseExportName(h.Name); err != nil {
		return e, err
	}
	if h.Typeflag != tar.TypeReg || h.Size > persistence.MaxSnapshot {
		return e, errors.New("not a document of an export")
	}
	e.state, err = readSized(in, h.Size)
	return e, err
}

// readSized reads size bytes; a file that claims more than it has costs no more memory than it has.
func readSized(in io.Reader, size int64) ([]byte, error) {
	var b bytes.Buffer
	if n, err := io.Copy(&b, io.LimitReader(in, size)); err != nil || n < size {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	return b.Bytes(), nil
}

func readExportEnd(in io.Reader, size int64) (end exportEnd, err error) {
	if size > exportEndMax {
		return end, fmt.Errorf("%s: %d bytes, more than it can have", exportEndName, size)
	}
	b, err := readSized(in, size)
	if err == nil {
		err = json.Unmarshal(b, &end)
	}
	if err != nil {
		return end, fmt.Errorf("%s: %w", exportEndName, err)
	}
	if end.Format != exportFormat {
		return end, fmt.Errorf("the export has format %d, this version knows %d", end.Format, exportFormat)
	}
	return end, nil
}

// exportName returns the name of a room's entry.
func exportName(room string, pos persistence.Position) string {
	var b strings.Builder
	b.WriteString("rooms/")
	start := b.Len() // of the segment
	for i := range len(room) {
		if b.Len()-start >= exportSegment {
			b.WriteByte('/')
			start = b.Len()
		}
		switch c := room[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-', c == '.' && b.Len() > start:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	fmt.Fprintf(&b, "/update@%s.v2", pos)
	return b.String()
}

var exportNames = regexp.MustCompile(`^rooms/(.+)/update@([0-9]+)-([0-9]+)\.v2$`)

// parseExportName is the opposite of exportName.
func parseExportName(name string) (room string, pos persistence.Position, err error) {
	m := exportNames.FindStringSubmatch(name)
	if m == nil {
		return "", pos, errors.New("not a name of an export")
	}
	room, err = url.PathUnescape(strings.ReplaceAll(m[1], "/", ""))
	if err != nil {
		return "", pos, err
	}
	epoch, err1 := strconv.ParseUint(m[2], 10, 64)
	seq, err2 := strconv.ParseUint(m[3], 10, 64)
	pos = persistence.Position{Epoch: epoch, Seq: seq}
	if err := errors.Join(err1, err2); err != nil {
		return "", pos, err
	}
	if len(room) > persistence.MaxRoomName || exportName(room, pos) != name {
		return "", pos, errors.New("not a name that an export would use")
	}
	return room, pos, nil
}
