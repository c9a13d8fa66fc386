package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// The file of the restrictions is two lines of text:
//
//	{"format":1,"restrictions":[{"user":"u1","room":"docs/a","read":false,"since":"2026-01-02T12:00:00Z","until":"..."}]}
//	crc32c 1a2b3c4d
//
// The first is JSON with the fields of Restriction; times are RFC 3339, and no until means without end. The second is
// the CRC-32C (Castagnoli) of the first without its line break, as eight hexadecimal digits. A file is only ever
// replaced as a whole: written beside it, synced, renamed, and the directory synced.
const restrictionsFormat = 1

// maxRestrictionsFile is larger than maxRestrictions of the longest can be.
const maxRestrictionsFile = 32 << 20 // bytes

type restrictionsFile struct {
	Format       int           `json:"format"`
	Restrictions []Restriction `json:"restrictions"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encodeRestrictions returns the content of a file.
func encodeRestrictions(list []Restriction) ([]byte, error) {
	b, err := json.Marshal(restrictionsFile{restrictionsFormat, list})
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(b, "\ncrc32c %08x\n", crc32.Checksum(b, castagnoli)), nil
}

// decodeRestrictions reads the content of a file.
func decodeRestrictions(b []byte) ([]Restriction, error) {
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	sum, ok := bytes.CutPrefix(bytes.TrimSuffix(rest, []byte("\n")), []byte("crc32c "))
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if !ok || err != nil || uint32(want) != crc32.Checksum(line, castagnoli) {
		return nil, errors.New("the file is damaged")
	}
	var f restrictionsFile
	if err := json.Unmarshal(line, &f); err != nil {
		return nil, err
	}
	if f.Format != restrictionsFormat {
		return nil, fmt.Errorf("the file has format %d, which another version of weft reads", f.Format)
	}
	for _, r := range f.Restrictions {
		if err := r.Check(); err != nil {
			return nil, err
		}
	}
	return f.Restrictions, nil
}

// readRestrictions returns what is in a file, nothing when there is none.
func readRestrictions(name string) ([]Restriction, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := readAll(f, maxRestrictionsFile)
	if err != nil {
		return nil, err
	}
	return decodeRestrictions(b)
}

// writeRestrictions replaces a file.
func writeRestrictions(name string, list []Restriction) error {
	b, err := encodeRestrictions(list)
	if err != nil {
		return err
	}
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, filepath.Base(name)+".*.tmp") // for its owner only
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if bad := f.Close(); err == nil {
		err = bad
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // err is what went wrong
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
