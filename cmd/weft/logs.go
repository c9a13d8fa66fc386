package main

import (
	"io"
	"log/slog"
	"os"
	"strings"
)

// logSetting is the value of --log: a format, a level, or both separated by a comma.
type logSetting struct {
	json  bool
	level slog.Level
}

// UnmarshalText implements encoding.TextUnmarshaler, by which kong reads the flag.
func (l *logSetting) UnmarshalText(text []byte) error {
	set := logSetting{json: !terminal(os.Stderr)}
	for word := range strings.SplitSeq(string(text), ",") {
		switch word {
		case "auto":
		case "json":
			set.json = true
		case "text":
			set.json = false
		case "debug", "info", "warn", "error":
			if err := set.level.UnmarshalText([]byte(word)); err != nil {
				return err
			}
		default:
			return usagef("%q is neither a format (auto, text, json) nor a level (debug, info, warn, error)", word)
		}
	}
	*l = set
	return nil
}

// terminal tells whether f is one.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// logger returns the logger of the setting. Both formats quote control characters, so a name cannot forge a line.
func (l logSetting) logger(w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: l.level}
	if l.json {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// maxLogField is the longest value that a client can put into a log line, in bytes; a room name fits.
const maxLogField = 256

// clip shortens what a client sent to what a log line may hold.
func clip(s string) string {
	if len(s) > maxLogField {
		return s[:maxLogField] + "..."
	}
	return s
}
