package room

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"weft/persistence"
	"weft/protocol"
)

// Status describes a room from outside.
type Status struct {
	Room     string
	Open     bool                 // it is in memory
	Conns    int                  // sessions
	People   int                  // client ids with a presence state
	Pos      persistence.Position // last update applied
	Durable  persistence.Position // last update that the store confirmed
	Saved    persistence.Position // position of the last snapshot
	Bytes    int64                // size of the last snapshot
	Unsaved  int64                // bytes of updates since then
	Memory   int64                // bytes that the open document takes, about, a few seconds ago
	Structs  int                  // of the open document, a few seconds ago
	Pending  int64                // bytes of updates that wait for what they build on
	Lagging  int                  // sessions that wait for a diff
	ReadOnly string               // why updates are refused; empty when they are not
	Damage   string               // why the room is set aside; empty when it is not
}

// publish makes the room's status visible to other goroutines.
func (r *room) publish() {
	st := Status{
		Room:    r.name,
		Open:    true,
		Conns:   len(r.sessions),
		People:  r.people.table.Live(),
		Pos:     r.pos,
		Durable: r.ledger.durable,
		Saved:   r.saves.saved,
		Bytes:   r.saves.size,
		Unsaved: int64(r.saves.bytes),
		Memory:  int64(r.size.Bytes),
		Structs: r.size.Structs,
		Lagging: r.lagging,
	}
	for _, s := range r.waiting {
		st.Pending += int64(s.pendingBytes)
	}
	if r.ledger.failure != nil {
		st.ReadOnly = r.ledger.failure.Error()
	}
	r.mu.Lock()
	r.status = st
	r.mu.Unlock()
}

// Status describes a room without opening it. A room that is neither open nor
// stored is a *protocol.CloseError with protocol.NotFound.
func (g *Registry) Status(ctx context.Context, name string) (Status, error) {
	if st, ok := g.openStatus(name); ok {
		return st, nil
	}
	// The only list of stored rooms is sorted by name: what follows the longest
	// string below name begins with it.
	infos, err := g.o.Store.Rooms(ctx, before(name), 1)
	if err != nil {
		return Status{}, fmt.Errorf("status of room %q: %w", name, err)
	}
	if len(infos) == 0 || infos[0].Room != name {
		return Status{}, protocol.NotFound.Closef("room is neither open nor stored")
	}
	return g.coldStatus(infos[0]), nil
}

// List describes up to limit rooms, which must be at least 1: first the open
// ones, those with the most sessions in front, then stored ones by name. more
// tells that there are others.
func (g *Registry) List(ctx context.Context, limit int) (list []Status, more bool, err error) {
	open := map[string]bool{}
	for _, name := range g.names() {
		if st, ok := g.openStatus(name); ok {
			list = append(list, st)
			open[name] = true
		}
	}
	slices.SortFunc(list, func(a, b Status) int {
		return cmp.Or(cmp.Compare(b.Conns, a.Conns), strings.Compare(a.Room, b.Room))
	})
	for after := ""; len(list) <= limit; {
		infos, err := g.o.Store.Rooms(ctx, after, limit+1)
		if err != nil {
			return nil, false, fmt.Errorf("list rooms: %w", err)
		}
		for _, info := range infos {
			if !open[info.Room] {
				list = append(list, g.coldStatus(info))
			}
		}
		if len(infos) <= limit {
			break
		}
		after = infos[len(infos)-1].Room
	}
	list, more = cut(list, limit)
	return list, more, nil
}

// ListAfter describes up to limit rooms, which must be at least 1, open or
// stored, whose names sort behind after, by name. more tells that there are
// others behind them. Called again with the last name, it finds every room that
// is there all the time, however many open and close meanwhile.
func (g *Registry) ListAfter(ctx context.Context, after string, limit int) (list []Status, more bool, err error) {
	names := g.names() // before the stored ones: a room that closes in between is stored by then
	infos, err := g.o.Store.Rooms(ctx, after, limit+1)
	if err != nil {
		return nil, false, fmt.Errorf("list rooms after %q: %w", after, err)
	}
	stored := make(map[string]persistence.Info, len(infos))
	for _, info := range infos {
		stored[info.Room] = info
		names = append(names, info.Room)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if len(list) > limit {
			break
		}
		if name <= after {
			continue
		}
		if st, ok := g.openStatus(name); ok {
			list = append(list, st)
		} else if info, ok := stored[name]; ok {
			list = append(list, g.coldStatus(info))
		}
	}
	list, more = cut(list, limit)
	return list, more, nil
}

// cut shortens a list to limit and reports whether it was longer.
func cut(list []Status, limit int) ([]Status, bool) {
	if len(list) <= limit {
		return list, false
	}
	return list[:limit:limit], true
}

// openStatus returns what an open room last published.
func (g *Registry) openStatus(name string) (Status, bool) {
	g.mu.Lock()
	sl := g.slots[name]
	g.mu.Unlock()
	if sl == nil {
		return Status{}, false
	}
	return sl.published()
}

// coldStatus describes a room that is only stored.
func (g *Registry) coldStatus(info persistence.Info) Status {
	st := Status{
		Room:    info.Room,
		Pos:     info.Pos,
		Durable: info.Pos,
		Saved:   info.Checkpoint,
		Bytes:   info.Size,
		Unsaved: info.LogBytes,
		Damage:  info.Damage,
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.damaged[info.Room]; err != nil && st.Damage == "" {
		st.Damage = err.Error()
	}
	return st
}

// names returns the names of the open rooms.
func (g *Registry) names() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	names := make([]string, 0, len(g.slots))
	for name := range g.slots {
		names = append(names, name)
	}
	return names
}

// before returns a string that sorts below name, with no room's name between
// them: names are UTF-8 and never hold the byte 0xff.
func before(name string) string {
	last := len(name) - 1
	if last < 0 {
		return ""
	}
	return name[:last] + string([]byte{name[last] - 1, 0xff})
}
