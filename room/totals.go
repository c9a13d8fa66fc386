package room

// Totals are sums over the open rooms of a process, for metrics.
type Totals struct {
	Rooms    int // in memory
	Conns    int // sessions
	People   int // client ids with a presence state
	Lagging  int // sessions that wait for a diff
	ReadOnly int // rooms that refuse updates

	Memory  int64 // bytes of documents, about
	Structs int64 // of documents
	Pending int64 // bytes of updates that wait for what they build on
	Unsaved int64 // bytes of updates that no snapshot has

	Loading  int // rooms that wait to be loaded, or are
	SetAside int // rooms found damaged by this process
}

// Totals adds up what the open rooms last published. It takes a lock of each, for a few nanoseconds.
func (g *Registry) Totals() (t Totals) {
	g.mu.Lock()
	slots := make([]*slot, 0, len(g.slots))
	for _, sl := range g.slots {
		slots = append(slots, sl)
	}
	t.SetAside = len(g.damaged)
	t.Loading = g.admission.waiting
	g.mu.Unlock()
	for _, sl := range slots {
		if st, ok := sl.published(); ok {
			t.add(&st)
		}
	}
	return t
}

func (t *Totals) add(st *Status) {
	t.Rooms++
	t.Conns += st.Conns
	t.People += st.People
	t.Lagging += st.Lagging
	if st.ReadOnly != "" {
		t.ReadOnly++
	}
	t.Memory += st.Memory
	t.Structs += int64(st.Structs)
	t.Pending += st.Pending
	t.Unsaved += st.Unsaved
}

// published returns what the slot's room last published; false when it is not open yet, or never will be.
func (sl *slot) published() (Status, bool) {
	r := sl.opened()
	if r == nil {
		return Status{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status, true
}

// opened returns the slot's room; nil while it is being loaded, and when that has failed.
func (sl *slot) opened() *room {
	select {
	case <-sl.ready:
		return sl.room
	default:
		return nil
	}
}
