package cluster_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weft/cluster"
	"weft/persistence"
)

// TestConformance does the same at random in Memory and in each other system, repetitions and nonsense included, and wants
// the same answers.
func TestConformance(t *testing.T) {
	eachSystem(t, func(t *testing.T, s subject) {
		rapid.Check(t, func(r *rapid.T) {
			m := &machine{T: r, room: newRoom(), model: cluster.NewMemory(), real: s.system}
			m.ownRun()
			r.Repeat(map[string]func(*rapid.T){
				"claim": m.claim, "append": m.append, "repeat": m.repeat, "transfer": m.transfer,
				"release": m.release, "cover": m.cover, "trim": m.trim, "": m.check,
			})
		})
	})
}

// machine compares two systems. Epochs are far above any clock, so that floors decide and not the time.
type machine struct {
	*rapid.T
	room        string
	model, real system
	modelRun    string
	realRun     string
	last        func() // the last call, with its comparison
}

const farFuture = 5_000_000_000_000 // ms, the year 2128

func (m *machine) ownRun() {
	for _, s := range []struct {
		system
		run *string
	}{{m.model, &m.modelRun}, {m.real, &m.realRun}} {
		view, err := s.Beat(m.Context(), cluster.Beat{Node: "watcher", TTL: time.Hour, Generation: "g"})
		if err != nil {
			m.Fatalf("Beat() = %v", err)
		}
		*s.run = view.RunID
	}
}

// same runs a call in both systems. Run ids are those of the system itself, or of none.
func same[T any](m *machine, what string, do func(s system, run string) (T, error), normal func(got *T, run string)) {
	m.last = func() {
		want, err := do(m.model, m.modelRun)
		if err != nil {
			m.Fatalf("%s in memory = %v", what, err)
		}
		got, err := do(m.real, m.realRun)
		if err != nil {
			m.Fatalf("%s = %v", what, err)
		}
		normal(&want, m.modelRun)
		normal(&got, m.realRun)
		if diff := cmp.Diff(want, got); diff != "" {
			m.Fatalf("%s (-memory +got):\n%s", what, diff)
		}
	}
	m.last()
}

func as(run string, text *string) {
	if *text == run {
		*text = "own"
	}
}

func (m *machine) record() cluster.Record {
	record, err := m.model.Look(m.Context(), m.room)
	if err != nil {
		m.Fatal(err)
	}
	return record
}

// near draws a number that is right, or a little beside it.
func near(t *rapid.T, n uint64, label string) uint64 {
	return n + uint64(max(-int(min(n, 3)), rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, -1, 1, -3, 3}).Draw(t, label)))
}

func someNode(t *rapid.T, right cluster.NodeID) cluster.NodeID {
	return rapid.SampledFrom([]cluster.NodeID{right, right, right, right, "a", "b", "c"}).Draw(t, "node")
}

func (m *machine) claim(t *rapid.T) {
	c := cluster.Claim{
		Room: m.room, Node: rapid.SampledFrom([]cluster.NodeID{"a", "b", "c"}).Draw(t, "node"), Expect: near(t, m.record().Epoch, "expect"),
		EpochFloor: farFuture + rapid.Uint64Range(0, 100).Draw(t, "floor"), SeqFloor: rapid.Uint64Range(0, 30).Draw(t, "seq floor"),
		Standbys: rapid.SliceOfN(rapid.SampledFrom([]cluster.NodeID{"s1", "s2"}), 0, 2).Draw(t, "standbys"), Policy: "both",
	}
	same(m, fmt.Sprintf("Claim(%+v)", c), func(s system, _ string) (cluster.Claimed, error) {
		return s.Claim(m.Context(), c)
	}, func(got *cluster.Claimed, run string) {
		as(run, &got.RunID)
		as(run, &got.Served.RunID)
	})
}

func (m *machine) append(t *rapid.T) {
	record := m.record()
	a := cluster.Append{
		Room: m.room, Node: someNode(t, record.Owner), Epoch: near(t, record.Epoch, "epoch"), Prev: near(t, record.Seq, "prev"),
		RunID: rapid.SampledFrom([]string{"", "", "own", "other"}).Draw(t, "run"),
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "entries") {
		a.Entries = append(a.Entries, cluster.Entry{
			Kind: rapid.SampledFrom([]cluster.Kind{cluster.Update, cluster.Seed}).Draw(t, "kind"), Data: fmt.Appendf(nil, "%d\x00\xff\r\n", i),
		})
	}
	same(m, fmt.Sprintf("Append(%+v)", a), func(s system, run string) ([]cluster.Answer, error) {
		a := a
		if a.RunID == "own" {
			a.RunID = run
		}
		other := a // of a room that nobody owns, to see that answers are not mixed up
		other.Room += " without owner"
		return s.Append(m.Context(), []cluster.Append{other, a})
	}, func(*[]cluster.Answer, string) {})
}

func (m *machine) repeat(t *rapid.T) {
	if m.last == nil {
		t.Skip("nothing to repeat")
	}
	m.last()
}

func (m *machine) transfer(t *rapid.T) {
	record := m.record()
	c := cluster.Transfer{
		Room: m.room, Node: someNode(t, record.Owner), Epoch: near(t, record.Epoch, "epoch"), Prev: near(t, record.Seq, "prev"),
		Target: "b", EpochFloor: farFuture + rapid.Uint64Range(0, 100).Draw(t, "floor"), Standbys: []cluster.NodeID{"s3"}, Policy: "two",
	}
	same(m, fmt.Sprintf("Transfer(%+v)", c), func(s system, _ string) (cluster.Transferred, error) {
		return s.Transfer(m.Context(), c)
	}, func(got *cluster.Transferred, run string) { as(run, &got.RunID) })
}

func (m *machine) release(t *rapid.T) {
	record := m.record()
	c := cluster.Release{Room: m.room, Node: someNode(t, record.Owner), Epoch: near(t, record.Epoch, "epoch"), Prev: near(t, record.Seq, "prev")}
	same(m, fmt.Sprintf("Release(%+v)", c), func(s system, _ string) (cluster.Answer, error) {
		return s.Release(m.Context(), c)
	}, func(*cluster.Answer, string) {})
}

func (m *machine) cover(t *rapid.T) {
	record := m.record()
	c := cluster.Cover{
		Room: m.room, Node: rapid.SampledFrom([]cluster.NodeID{"a", "b", "s1"}).Draw(t, "node"),
		Pos: persistence.Position{Epoch: near(t, record.Epoch, "epoch"), Seq: near(t, record.Seq, "seq")},
	}
	if c.Pos.Epoch == 0 {
		t.Skip("nothing to cover")
	}
	same(m, fmt.Sprintf("Cover(%+v)", c), func(s system, _ string) (bool, error) {
		return true, s.Cover(m.Context(), []cluster.Cover{c})
	}, func(*bool, string) {})
}

func (m *machine) trim(t *rapid.T) {
	record := m.record()
	c := cluster.Trim{Room: m.room, Node: someNode(t, record.Owner), Epoch: near(t, record.Epoch, "epoch"), Copies: rapid.IntRange(1, 3).Draw(t, "copies")}
	same(m, fmt.Sprintf("Trim(%+v)", c), func(s system, _ string) ([]cluster.Trimmed, error) {
		return s.Trim(m.Context(), []cluster.Trim{c})
	}, func(*[]cluster.Trimmed, string) {})
}

// check compares the record, and the log from the beginning and from the middle.
func (m *machine) check(*rapid.T) {
	last := m.last
	same(m, "Look", func(s system, _ string) (cluster.Record, error) {
		return s.Look(m.Context(), m.room)
	}, func(got *cluster.Record, run string) { as(run, &got.Served.RunID) })
	middle := m.record()
	for _, after := range []persistence.Position{{}, middle.Trimmed, {Epoch: middle.Epoch, Seq: middle.Seq / 2}} {
		same(m, fmt.Sprintf("Read(after %v)", after), func(s system, _ string) ([]cluster.Entry, error) {
			return s.Read(m.Context(), m.room, after, 10)
		}, func(*[]cluster.Entry, string) {})
	}
	m.last = last
}

// TestClaimRace lets nodes claim the same room at once: one of them gets it.
func TestClaimRace(t *testing.T) {
	eachSystem(t, func(t *testing.T, s subject) {
		for range 20 {
			room := newRoom()
			answers := make([]cluster.Claimed, 8)
			var wg sync.WaitGroup
			for i := range answers {
				wg.Go(func() {
					var err error
					answers[i], err = s.Claim(t.Context(), cluster.Claim{Room: room, Node: cluster.NodeID(fmt.Sprint("n", i))})
					if err != nil {
						t.Errorf("Claim() = %v", err)
					}
				})
			}
			wg.Wait()
			winner := slices.IndexFunc(answers, func(c cluster.Claimed) bool { return c.Status == cluster.OK })
			for i, got := range answers {
				if i != winner && (got.Status != cluster.Changed || got.Owner != answers[winner].Owner || got.Epoch != answers[winner].Epoch) {
					t.Errorf("claim of node %d = %+v beside %+v, want CHANGED with its owner and epoch", i, got.Answer, answers[winner].Answer)
				}
			}
		}
	})
}

// TestEpochFollowsClock is why a Redis that forgets does not give an epoch twice.
func TestEpochFollowsClock(t *testing.T) {
	eachSystem(t, func(t *testing.T, s subject) {
		view, err := s.Beat(t.Context(), cluster.Beat{Node: "a", TTL: time.Minute, Generation: "g"})
		if err != nil {
			t.Fatal(err)
		}
		_, claimed := own(t, s, "a")
		if now := uint64(view.Now.UnixMilli()); claimed.Epoch < now {
			t.Errorf("Claim() gave epoch %d, want at least Redis' clock %d", claimed.Epoch, now)
		}
	})
}

func TestBeat(t *testing.T) {
	eachSystem(t, func(t *testing.T, s subject) {
		beat := func(node cluster.NodeID, ttl time.Duration, info, generation string) cluster.View {
			t.Helper()
			view, err := s.Beat(t.Context(), cluster.Beat{Node: node, TTL: ttl, Info: info, Generation: generation})
			if err != nil {
				t.Fatalf("Beat(%s) = %v", node, err)
			}
			return view
		}
		first := beat("b", time.Minute, "info\x00 of b", "g1")
		if first.Generation != "g1" || !first.Before.IsZero() || len(first.Members) != 1 || first.RunID == "" {
			t.Errorf("first Beat(b) = %+v, want generation g1, a run id, no session before and one member", first)
		}
		second := beat("a", 2*time.Minute, "", "g2")
		if second.Generation != "g1" || second.RunID != first.RunID {
			t.Errorf("Beat(a) = %+v, want generation and run id of before", second)
		}
		want := []cluster.Member{{Node: "a", Expires: second.Now.Add(2 * time.Minute)}, {Node: "b", Expires: first.Now.Add(time.Minute), Info: "info\x00 of b"}}
		if diff := cmp.Diff(want, second.Members); diff != "" {
			t.Errorf("Beat(a).Members (-want +got):\n%s", diff)
		}
		again := beat("b", time.Minute, "other", "g3")
		if !again.Before.Equal(first.Now.Add(time.Minute)) || again.BeforeInfo != "info\x00 of b" {
			t.Errorf("Beat(b) = before %v %q, want %v and the info of before", again.Before, again.BeforeInfo, first.Now.Add(time.Minute))
		}
		if left := beat("a", 0, "", "g4"); len(left.Members) != 1 || left.Members[0].Node != "b" {
			t.Errorf("after leaving the members are %+v, want b", left.Members)
		}
		s.wipe()
		if wiped := beat("b", time.Minute, "", "g5"); wiped.Generation != "g5" || !wiped.Before.IsZero() {
			t.Errorf("Beat(b) after a wipe = %+v, want generation g5 and no session before", wiped)
		}
	})
}
