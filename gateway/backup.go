package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

var (
	errNoBackup   = &refusal{http.StatusNotFound, "no_backup", "this server has nothing to back up", 0}
	errBackupBusy = &refusal{http.StatusServiceUnavailable, "backup_busy", "another backup is being taken", 30 * time.Second}
)

// backupStall is how long a client may take for one write of a backup: while it is read, the files cannot reuse the
// pages that it shows.
const backupStall = 30 * time.Second

// serveBackup is GET /admin/backup: a tar of the data directory as of one moment, while the server goes on. One is taken
// at a time. An answer that is cut off is no backup; the client sees that, since the answer then has no proper end.
func (s *Server) serveBackup(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodGet:
		s.refuse(w, r, errMethod)
		return
	case s.o.Backup == nil:
		s.refuse(w, r, errNoBackup)
		return
	case !s.backingUp.CompareAndSwap(false, true):
		s.refuse(w, r, errBackupBusy)
		return
	}
	defer s.backingUp.Store(false)
	h := w.Header()
	h.Set("Content-Type", "application/x-tar")
	h.Set("Content-Disposition", `attachment; filename="weft-`+time.Now().UTC().Format("20060102T150405Z")+`.tar"`)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	out := &backupWriter{w: w, c: http.NewResponseController(w)}
	err := s.o.Backup(r.Context(), out)
	switch {
	case err == nil:
	case out.begun:
		panic(http.ErrAbortHandler)
	default:
		s.refuse(w, r, &refusal{http.StatusServiceUnavailable, "backup_failed", err.Error(), 30 * time.Second})
	}
}

// backupWriter gives each write its time.
type backupWriter struct {
	w     io.Writer
	c     *http.ResponseController
	begun bool
}

// Write implements io.Writer.
func (b *backupWriter) Write(p []byte) (int, error) {
	b.begun = true
	if err := b.c.SetWriteDeadline(time.Now().Add(backupStall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return b.w.Write(p)
}

// Backup writes everything stored, as of one moment, to w, as persistence.Store.WriteTar does.
type Backup func(ctx context.Context, w io.Writer) error
