package presence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"weft/crdt/lib0"
)

// ErrInvalid is what Apply's errors match: the bytes are not an awareness update.
var ErrInvalid = errors.New("invalid awareness update")

// null is the JSON of a removal.
var null = []byte("null")

// chunkBytes is where an encoded update is closed and the next one begins.
// Clients send back what they receive as one message, re-encoded by
// JSON.stringify, which can turn "1e20," into 22 bytes, 4.4 times as many: an echo
// must stay below the 64 KiB that a server accepts as awareness.
const chunkBytes = 12 << 10

// entryBytes is the smallest encoded entry: three one-byte varints.
const entryBytes = 3

// decode appends the entries of an awareness update to dst
// (awareness.js, encodeAwarenessUpdate): varUint n, then n times
// varUint client id, varUint clock, varString JSON or "null".
func decode(dst []item, update []byte) ([]item, error) {
	d := lib0.NewDecoder(update)
	n := d.Uint()
	if n > uint64(d.Len()/entryBytes) && d.Err() == nil {
		d.Fail(lib0.ErrEnd)
	}
	for range n {
		it := item{id: ClientID(d.Uint()), clock: d.Uint(), state: d.String()}
		if d.Err() != nil {
			break
		}
		if bytes.Equal(bytes.Trim(it.state, " \t\r\n"), null) {
			it.state = nil
		} else if len(it.state) == 0 {
			return dst, fmt.Errorf("%w: empty state before byte %d", ErrInvalid, d.Pos())
		}
		dst = append(dst, it)
	}
	if d.Err() != nil {
		return dst, fmt.Errorf("%w: %w", ErrInvalid, d.Err())
	}
	if d.Len() > 0 {
		return dst, fmt.Errorf("%w: %d bytes too many", ErrInvalid, d.Len())
	}
	return dst, nil
}

// checkJSON returns an error unless state is one JSON value.
func checkJSON(state []byte) error {
	if !json.Valid(state) {
		return fmt.Errorf("%w: state of %d bytes is not JSON", ErrInvalid, len(state))
	}
	return nil
}

// depth returns how deeply the JSON text nests.
func depth(state []byte) (deepest int) {
	level, quoted := 0, false
	for i := 0; i < len(state); i++ {
		switch c := state[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest
}

// Append appends the awareness update of the given ids, as they are known, to
// dst. Unknown ids are left out.
func (t *Table) Append(dst []byte, ids ...ClientID) []byte {
	n := 0
	for _, id := range ids {
		if t.entries[id] != nil {
			n++
		}
	}
	dst = lib0.AppendUint(dst, uint64(n))
	for _, id := range ids {
		if e := t.entries[id]; e != nil {
			dst = appendEntry(dst, e)
		}
	}
	return dst
}

// All returns the awareness updates of everybody with a state, for somebody who
// knows nothing; none when nobody is here. Each is at most 12 KiB, unless a
// single state is larger.
func (t *Table) All() [][]byte {
	var w chunks
	for e := t.changes.oldest; e != nil; e = e.next {
		if e.state != nil {
			w.add(e)
		}
	}
	return w.finish()
}

// Since returns the awareness updates of what changed after a version,
// removals included, in chunks as All does; none when nothing changed.
func (t *Table) Since(version uint64) [][]byte {
	e := t.changes.newest
	for e != nil && e.version > version && e.prev != nil {
		e = e.prev
	}
	var w chunks
	for ; e != nil; e = e.next {
		if e.version > version {
			w.add(e)
		}
	}
	return w.finish()
}

// chunks builds awareness updates of bounded size.
type chunks struct {
	done [][]byte
	body []byte // entries of the chunk being built
	n    uint64 // how many
}

func (w *chunks) add(e *entry) {
	if w.n > 0 && len(w.body)+entryLen(e) > chunkBytes {
		w.close()
	}
	w.body = appendEntry(w.body, e)
	w.n++
}

func (w *chunks) close() {
	chunk := make([]byte, 0, lib0.UintLen(w.n)+len(w.body))
	w.done = append(w.done, append(lib0.AppendUint(chunk, w.n), w.body...))
	w.body, w.n = w.body[:0], 0
}

func (w *chunks) finish() [][]byte {
	if w.n > 0 {
		w.close()
	}
	return w.done
}

func appendEntry(dst []byte, e *entry) []byte {
	dst = lib0.AppendUint(lib0.AppendUint(dst, uint64(e.id)), e.clock)
	if e.state == nil {
		return lib0.AppendBytes(dst, null)
	}
	return lib0.AppendBytes(dst, e.state)
}

// entryLen returns the number of bytes that appendEntry appends.
func entryLen(e *entry) int {
	n := len(null)
	if e.state != nil {
		n = len(e.state)
	}
	return lib0.UintLen(uint64(e.id)) + lib0.UintLen(e.clock) + lib0.UintLen(uint64(n)) + n
}
