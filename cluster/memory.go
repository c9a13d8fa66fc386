package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Memory is a Coordinator and a Log in memory, with the semantics of the scripts and with faults on demand, for tests and
// for several nodes in one process. It may be used inside a testing/synctest bubble.
type Memory struct {
	mu sync.Mutex
	// Guarded by mu.
	now    contents
	synced contents // what LoseTail goes back to
	run    int      // how often it has restarted
	skew   time.Duration
	hang   chan struct{} // closed when it goes on; nil while it does
	lose   int           // answers still to be lost
}

var (
	_ Coordinator = (*Memory)(nil)
	_ Log         = (*Memory)(nil)
)

// contents is what a restart may lose.
type contents struct {
	generation string
	sessions   map[NodeID]Member
	rooms      map[string]*memoryRoom
}

type memoryRoom struct {
	record   Record
	entries  []Entry
	coverage map[NodeID]position
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{now: emptyContents(), synced: emptyContents()}
}

func emptyContents() contents {
	return contents{sessions: map[NodeID]Member{}, rooms: map[string]*memoryRoom{}}
}

func (c contents) clone() contents {
	rooms := make(map[string]*memoryRoom, len(c.rooms))
	for name, r := range c.rooms {
		rooms[name] = &memoryRoom{r.record, slices.Clone(r.entries), maps.Clone(r.coverage)}
	}
	return contents{c.generation, maps.Clone(c.sessions), rooms}
}

func (m *Memory) clock() uint64 { return uint64(time.Now().Add(m.skew).UnixMilli()) }

func (m *Memory) runID() string { return fmt.Sprintf("%040x", m.run+1) }

func (m *Memory) room(name string) *memoryRoom {
	r := m.now.rooms[name]
	if r == nil {
		r = &memoryRoom{coverage: map[NodeID]position{}}
		m.now.rooms[name] = r
	}
	return r
}

func (r *memoryRoom) answer(s Status) Answer {
	return Answer{Status: s, Epoch: r.record.Epoch, Owner: r.record.Owner, Seq: r.record.Seq}
}

// refused is the function of that name in lib.lua; zero is no answer.
func (r *memoryRoom) refused(me NodeID, epoch, prev uint64) Status {
	switch {
	case !r.owned(me, epoch):
		return Fenced
	case r.record.Seq != prev:
		return Gap
	}
	return 0
}

func (r *memoryRoom) owned(by NodeID, epoch uint64) bool {
	return by != "" && r.record.Owner == by && r.record.Epoch == epoch
}

// begin starts an epoch with a barrier.
func (m *Memory) begin(r *memoryRoom, owner NodeID, floor, seqFloor uint64, standbys []NodeID, policy string) {
	o := &r.record
	o.Epoch = max(o.Epoch+1, floor+1, m.clock())
	o.Seq = max(o.Seq, seqFloor) + 1
	o.Owner, o.Standbys, o.Policy = owner, append([]NodeID(nil), standbys...), policy
	r.add(Entry{Kind: Barrier, Data: []byte(owner)})
}

func (r *memoryRoom) add(e Entry) {
	r.entries = append(r.entries, Entry{Pos: position{Epoch: r.record.Epoch, Seq: r.record.Seq}, Kind: e.Kind, Data: slices.Clone(e.Data)})
}

// Beat implements Coordinator.
func (m *Memory) Beat(ctx context.Context, b Beat) (View, error) {
	var v View
	err := m.do(ctx, func() {
		now := time.UnixMilli(int64(m.clock()))
		if m.now.generation == "" {
			m.now.generation = b.Generation
		}
		before := m.now.sessions[b.Node]
		v = View{Now: now, Generation: m.now.generation, RunID: m.runID(), Before: before.Expires, BeforeInfo: before.Info}
		if b.TTL > 0 {
			m.now.sessions[b.Node] = Member{Node: b.Node, Expires: now.Add(b.TTL.Truncate(time.Millisecond)), Info: b.Info}
		} else {
			delete(m.now.sessions, b.Node)
		}
		maps.DeleteFunc(m.now.sessions, func(_ NodeID, s Member) bool { return s.Expires.Before(now.Add(-time.Hour)) })
		v.Members = slices.Collect(maps.Values(m.now.sessions))
		sortMembers(v.Members)
	})
	if err != nil {
		return View{}, err
	}
	return v, nil
}

// Look implements Coordinator.
func (m *Memory) Look(ctx context.Context, room string) (Record, error) {
	var record Record
	err := m.do(ctx, func() { record = m.room(room).record })
	if err != nil {
		return Record{}, err
	}
	return record, nil
}

// Claim implements Coordinator.
func (m *Memory) Claim(ctx context.Context, c Claim) (Claimed, error) {
	var claimed Claimed
	err := m.do(ctx, func() {
		r := m.room(c.Room)
		if r.record.Epoch != c.Expect {
			claimed.Answer = r.answer(Changed)
			return
		}
		m.begin(r, c.Node, c.EpochFloor, c.SeqFloor, c.Standbys, c.Policy)
		claimed = Claimed{Answer: r.answer(OK), Trimmed: r.record.Trimmed, RunID: m.runID(), Served: r.record.Served}
		if len(r.coverage) > 0 {
			claimed.Coverage = maps.Clone(r.coverage)
		}
	})
	if err != nil {
		return Claimed{}, err
	}
	return claimed, nil
}

// Transfer implements Coordinator.
func (m *Memory) Transfer(ctx context.Context, t Transfer) (Transferred, error) {
	var answer Transferred
	err := m.do(ctx, func() {
		r := m.room(t.Room)
		if no := r.refused(t.Node, t.Epoch, t.Prev); no != 0 {
			answer.Answer = r.answer(no)
			return
		}
		m.begin(r, t.Target, t.EpochFloor, 0, t.Standbys, t.Policy)
		answer = Transferred{r.answer(OK), m.runID()}
	})
	if err != nil {
		return Transferred{}, err
	}
	return answer, nil
}

// Release implements Coordinator.
func (m *Memory) Release(ctx context.Context, c Release) (Answer, error) {
	var answer Answer
	err := m.do(ctx, func() {
		r := m.room(c.Room)
		status := r.refused(c.Node, c.Epoch, c.Prev)
		switch {
		case status != 0:
		case len(r.entries) > 0:
			status = Kept
		default:
			status = OK
			r.record.Owner = ""
		}
		answer = r.answer(status)
	})
	if err != nil {
		return Answer{}, err
	}
	return answer, nil
}

// Append implements Log.
func (m *Memory) Append(ctx context.Context, appends []Append) ([]Answer, error) {
	answers := make([]Answer, len(appends))
	err := m.do(ctx, func() {
		for i, a := range appends {
			r := m.room(a.Room)
			status := r.refused(a.Node, a.Epoch, a.Prev)
			if status == 0 && a.RunID != "" && a.RunID != m.runID() {
				status = Restarted
			}
			if status == 0 {
				status = OK
				for _, e := range a.Entries {
					r.record.Seq++
					r.add(e)
				}
				if a.RunID != "" {
					r.record.Served = Served{Epoch: a.Epoch, Node: a.Node, Standbys: r.record.Standbys, RunID: a.RunID}
				}
			}
			answers[i] = r.answer(status)
		}
	})
	if err != nil {
		clear(answers)
	}
	return answers, err
}

// Read implements Log.
func (m *Memory) Read(ctx context.Context, room string, after position, limit int) ([]Entry, error) {
	entries := []Entry{}
	err := m.do(ctx, func() {
		for _, e := range m.room(room).entries {
			if e.Pos.Compare(after) > 0 && len(entries) < limit {
				entries = append(entries, Entry{e.Pos, e.Kind, slices.Clone(e.Data)})
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// Cover implements Log.
func (m *Memory) Cover(ctx context.Context, covers []Cover) error {
	return m.do(ctx, func() {
		for _, c := range covers {
			if coverage := m.room(c.Room).coverage; c.Pos.Compare(coverage[c.Node]) > 0 {
				coverage[c.Node] = c.Pos
			}
		}
	})
}

// Trim implements Log.
func (m *Memory) Trim(ctx context.Context, trims []Trim) ([]Trimmed, error) {
	answers := make([]Trimmed, len(trims))
	err := m.do(ctx, func() {
		for i, t := range trims {
			r := m.room(t.Room)
			if !r.owned(t.Node, t.Epoch) {
				answers[i].Answer = r.answer(Fenced)
				continue
			}
			r.trim(t.Copies)
			answers[i] = Trimmed{r.answer(OK), r.record.Trimmed}
		}
	})
	if err != nil {
		clear(answers)
	}
	return answers, err
}

func (r *memoryRoom) trim(copies int) {
	covered := slices.SortedFunc(maps.Values(r.coverage), func(a, b position) int { return b.Compare(a) })
	if copies < 1 || copies > len(covered) {
		return
	}
	floor := covered[copies-1]
	if floor.Compare(r.record.Trimmed) <= 0 {
		return
	}
	r.record.Trimmed = floor
	r.entries = slices.DeleteFunc(r.entries, func(e Entry) bool { return e.Pos.Compare(floor) <= 0 })
}
