package bench

import (
	"fmt"
	"strings"
	"sync"
)

// Faults are the promises that a server broke.
type Faults struct {
	// Missing counts clients that did not end with every update of everybody.
	Missing int64 `json:"missing"`
	// Gaps counts updates that came before earlier ones of the same writer.
	Gaps int64 `json:"gaps"`
	// Invented counts updates with something that nobody wrote.
	Invented int64 `json:"invented"`
	// Unreadable counts messages that are none of the protocol.
	Unreadable int64 `json:"unreadable"`
	// Unconfirmed counts clients whose updates the server did not all confirm, where the protocol has that.
	Unconfirmed int64 `json:"unconfirmed"`
	// Lost counts connections that failed or that the server ended, those of clients that do not read apart.
	Lost int64 `json:"lost"`
	// First describes the first fault; empty without one.
	First string `json:"first,omitempty"`
}

// Any tells whether there was a fault.
func (f Faults) Any() bool {
	return f.Missing+f.Gaps+f.Invented+f.Unreadable+f.Unconfirmed+f.Lost > 0
}

// String names what was not zero.
func (f Faults) String() string {
	var s strings.Builder
	for _, c := range []struct {
		n    int64
		name string
	}{
		{f.Missing, "clients miss updates"},
		{f.Gaps, "updates out of order"},
		{f.Invented, "updates invented"},
		{f.Unreadable, "messages unreadable"},
		{f.Unconfirmed, "clients with updates not confirmed"},
		{f.Lost, "connections lost"},
	} {
		if c.n > 0 {
			fmt.Fprintf(&s, "%d %s, ", c.n, c.name)
		}
	}
	if f.First != "" {
		s.WriteString("first: " + f.First)
	}
	return s.String()
}

// faults gathers Faults from many goroutines.
type faults struct {
	mu sync.Mutex
	f  Faults
}

// add counts a fault; which picks the counter.
func (f *faults) add(which func(*Faults) *int64, format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*which(&f.f)++
	if f.f.First == "" {
		f.f.First = fmt.Sprintf(format, args...)
	}
}

func (f *faults) sum() Faults {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.f
}

// Which counter add means.
func missing(f *Faults) *int64     { return &f.Missing }
func gaps(f *Faults) *int64        { return &f.Gaps }
func invented(f *Faults) *int64    { return &f.Invented }
func unreadable(f *Faults) *int64  { return &f.Unreadable }
func unconfirmed(f *Faults) *int64 { return &f.Unconfirmed }
func lost(f *Faults) *int64        { return &f.Lost }
