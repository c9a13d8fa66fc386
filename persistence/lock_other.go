//go:build !unix

package persistence

import (
	"os"
	"path/filepath"
)

// lockDir opens the LOCK file. Where flock does not exist, bbolt's own lock on wal.db keeps a second process out.
func lockDir(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
}

// unlock does nothing: closing the file gives the lock back.
func unlock(*os.File) error { return nil }
