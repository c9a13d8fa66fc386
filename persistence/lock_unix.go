//go:build unix

package persistence

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// lockDir takes the directory's LOCK file, which holds the process id for the sentence that the second process says.
// Closing the file gives the lock back. The file itself stays: removing it would let two processes lock two files.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		var pid [32]byte
		n, _ := f.ReadAt(pid[:], 0) // empty while the other process is about to write it
		f.Close()
		who := strings.TrimSpace(string(pid[:n]))
		if who == "" {
			who = "unknown"
		}
		return nil, fmt.Errorf("%s: %w (process %s); stop it first, or work on a copy", dir, ErrLocked, who)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := f.Truncate(0); err == nil {
		fmt.Fprintf(f, "%d\n", os.Getpid()) // only for the sentence above: an error does not matter
	}
	return f, nil
}

// unlock gives back the lock that bbolt holds on its file. Closing the file would not do while it is mapped into memory.
func unlock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_UN) }
