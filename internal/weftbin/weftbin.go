// Package weftbin builds the weft binary for the tests of packages that start it as a process, and waits until a process
// of it serves. Only tests import it.
package weftbin

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// built is the folder of the binary; empty before it was built.
var built string

// Build builds the binary, once for all tests of a process, and returns its path. The process calls Remove at its end.
var Build = sync.OnceValues(func() (path string, err error) {
	if built, err = os.MkdirTemp("", "weft-test-"); err != nil {
		return "", err
	}
	path = filepath.Join(built, "weft")
	out, err := exec.Command("go", "build", "-o", path, "weft/cmd/weft").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// Remove removes what Build made, if anything.
func Remove() {
	if built != "" {
		_ = os.RemoveAll(built) // in the system's folder for temporary files
	}
}

// Await waits until a weft process has written its --ready-file and returns the host and port that it listens at; ok is
// false when it has not within patience.
func Await(ready string, patience time.Duration) (listen string, ok bool) {
	// Another process writes the file: there is nothing to wait on but the file.
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		var r struct{ Listen string }
		if b, err := os.ReadFile(ready); err == nil && json.Unmarshal(b, &r) == nil {
			return r.Listen, true
		}
		if time.Now().After(deadline) {
			return "", false
		}
	}
}
