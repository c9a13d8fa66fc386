package persistence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
)

// losses is what is lost without being attributable to rooms by name: ranges of the log, and ranges of names in rooms.db. It is kept
// in rooms.db, since the files are rewritten when damage is found.
type losses struct {
	Log   []lsnRange  `json:"log,omitempty"`
	Rooms []nameRange `json:"rooms,omitempty"`
}

// lsnRange is a closed range of batches that are lost together with their directories.
type lsnRange struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// nameRange is a range of room names, from From to before To; a nil To is the end.
type nameRange struct {
	From []byte `json:"from,omitempty"`
	To   []byte `json:"to,omitempty"`
}

func (l losses) none() bool { return len(l.Log) == 0 && len(l.Rooms) == 0 }

func (l losses) encode() ([]byte, error) { return json.Marshal(l) }

func decodeLosses(b []byte) (losses, error) {
	var l losses
	if len(b) == 0 {
		return l, nil
	}
	err := json.Unmarshal(b, &l)
	return l, err
}

func (l lsnRange) what() string {
	if l.To == math.MaxUint64 {
		return fmt.Sprintf("all batches from %d on are lost, and it is not known which rooms had edits there", l.From)
	}
	return fmt.Sprintf("batches %d to %d are lost, and it is not known which rooms had edits there", l.From, l.To)
}

func (n nameRange) what() string {
	to := "the last"
	if n.To != nil {
		to = fmt.Sprintf("before %q", n.To)
	}
	return fmt.Sprintf("the entries of rooms named from %q to %s are lost", n.From, to)
}

func (n nameRange) has(room string) bool {
	return bytes.Compare([]byte(room), n.From) >= 0 && (n.To == nil || bytes.Compare([]byte(room), n.To) < 0)
}

// list describes each loss.
func (l losses) list() []*DamageError {
	var out []*DamageError
	for _, r := range l.Log {
		out = append(out, &DamageError{File: logFile, What: r.what()})
	}
	for _, r := range l.Rooms {
		out = append(out, &DamageError{File: roomsFile, What: r.what()})
	}
	return out
}

// of returns how the losses may concern a room, or nil. stored tells whether it has a snapshot; the batches before dirty are of no
// importance to it. A room that was deleted at LSN pardon, if that is not 0, has nothing to do with the losses before.
func (l losses) of(room string, stored bool, dirty, pardon uint64) *DamageError {
	for _, r := range l.Log {
		if r.To >= dirty && (pardon == 0 || r.From > pardon) {
			return &DamageError{Room: room, File: logFile, What: r.what()}
		}
	}
	for _, r := range l.Rooms {
		if !stored && pardon == 0 && r.has(room) {
			return &DamageError{Room: room, File: roomsFile, What: r.what()}
		}
	}
	return nil
}
