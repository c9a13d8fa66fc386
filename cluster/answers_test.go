package cluster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/cluster"
	"weft/persistence"
)

// TestAppendAnswers is the table of what an owner can be told, from a room with one entry u1 behind the barrier.
func TestAppendAnswers(t *testing.T) {
	cases := []struct {
		name    string
		before  func(t *testing.T, s system, a cluster.Append) // happens between u1 and the append
		change  func(a *cluster.Append)                        // of an append of u2 and u3 that would succeed
		status  cluster.Status
		verdict cluster.Verdict
		entries int // in the log afterwards, barriers included
	}{
		{"next", nil, nil, cluster.OK, cluster.Applied, 4},
		{"nothing", nil, func(a *cluster.Append) { a.Entries = nil }, cluster.OK, cluster.Applied, 2},
		{"repeated", func(t *testing.T, s system, a cluster.Append) { appendOne(t, s, a) }, nil, cluster.Gap, cluster.Applied, 4},
		{"ahead of the log", nil, func(a *cluster.Append) { a.Prev += 2 }, cluster.Gap, cluster.Lost, 2},
		{"behind by less than a repetition", nil, func(a *cluster.Append) { a.Prev-- }, cluster.Gap, cluster.Broken, 2},
		{"behind by more than a repetition", func(t *testing.T, s system, a cluster.Append) {
			a.Entries = append(a.Entries, a.Entries...)
			appendOne(t, s, a)
		}, nil, cluster.Gap, cluster.Broken, 6},
		{"another node", nil, func(a *cluster.Append) { a.Node = "b" }, cluster.Fenced, cluster.Superseded, 2},
		{"an epoch that the record does not have yet", nil, func(a *cluster.Append) { a.Epoch++ }, cluster.Fenced, cluster.WentBack, 2},
		{"an old epoch", nil, func(a *cluster.Append) { a.Epoch-- }, cluster.Fenced, cluster.Superseded, 2},
		{"no record", nil, func(a *cluster.Append) { a.Room = newRoom() }, cluster.Fenced, cluster.WentBack, 2},
		{"claimed by another", func(t *testing.T, s system, a cluster.Append) {
			if got, err := s.Claim(t.Context(), cluster.Claim{Room: a.Room, Node: "b", Expect: a.Epoch}); err != nil || got.Status != cluster.OK {
				t.Fatalf("Claim() = %+v, %v, want OK", got, err)
			}
		}, nil, cluster.Fenced, cluster.Superseded, 3},
		{"another run of Redis", nil, func(a *cluster.Append) { a.RunID = "0123456789abcdef" }, cluster.Restarted, cluster.ClaimAgain, 2},
	}
	eachSystem(t, func(t *testing.T, s subject) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				room, claimed := own(t, s, "a")
				a := cluster.Append{Room: room, Node: "a", Epoch: claimed.Epoch, Prev: claimed.Seq, Entries: updates("u1")}
				appendOne(t, s, a)
				a.Prev, a.Entries = a.Prev+1, updates("u2", "u3")
				if c.before != nil {
					c.before(t, s, a)
				}
				if c.change != nil {
					c.change(&a)
				}
				got := appendOne(t, s, a)
				if got.Status != c.status || a.Judge(got) != c.verdict {
					t.Errorf("Append(%+v) = %+v, %v, want %v, %v", a, got, a.Judge(got), c.status, c.verdict)
				}
				if n := len(readAll(t, s, room)); n != c.entries {
					t.Errorf("the log has %d entries, want %d", n, c.entries)
				}
			})
		}
	})
}

func TestTransferAnswers(t *testing.T) {
	eachSystem(t, func(t *testing.T, s subject) {
		room, claimed := own(t, s, "a")
		transfer := cluster.Transfer{Room: room, Node: "a", Epoch: claimed.Epoch, Prev: claimed.Seq, Target: "b"}
		early := transfer
		early.Prev++
		if got, err := s.Transfer(t.Context(), early); err != nil || got.Status != cluster.Gap || early.Judge(got.Answer) != cluster.Lost {
			t.Errorf("Transfer(%+v) = %+v, %v, want GAP, lost", early, got, err)
		}
		first, err := s.Transfer(t.Context(), transfer)
		if err != nil || first.Status != cluster.OK || first.Epoch <= claimed.Epoch || first.Owner != "b" || first.Seq != claimed.Seq+1 {
			t.Fatalf("Transfer(%+v) = %+v, %v, want OK, a greater epoch, owner b, the next seq", transfer, first, err)
		}
		again, err := s.Transfer(t.Context(), transfer)
		if err != nil || again.Status != cluster.Fenced || transfer.Judge(again.Answer) != cluster.Applied {
			t.Errorf("Transfer(%+v) again = %+v, %v, want FENCED, applied", transfer, again, err)
		}
		// The target has not appended yet: who served last is still the one who has everything.
		record, err := s.Look(t.Context(), room)
		if err != nil || record.Owner != "b" || record.Served.Node != "a" || record.Served.Epoch != claimed.Epoch {
			t.Errorf("Look() = %+v, %v, want owner b and served by a", record, err)
		}
		appendOne(t, s, cluster.Append{Room: room, Node: "b", Epoch: first.Epoch, Prev: first.Seq, RunID: first.RunID})
		if record, err = s.Look(t.Context(), room); err != nil || record.Served.Node != "b" || record.Served.Epoch != first.Epoch {
			t.Errorf("Look() after the target's first append = %+v, %v, want served by b", record, err)
		}
	})
}

// TestClaimTells is what a new owner needs: whom to seal, what the log lacks and who has it.
func TestClaimTells(t *testing.T) {
	eachSystem(t, func(t *testing.T, s subject) {
		room, first := own(t, s, "a")
		if !first.Forgetful() {
			t.Errorf("claim of a new room = %+v, want one that nobody is known to have served", first)
		}
		appendOne(t, s, cluster.Append{Room: room, Node: "a", Epoch: first.Epoch, Prev: first.Seq, Entries: updates("u1", "u2", "u3")})
		covers := []cluster.Cover{
			{Room: room, Node: "a", Pos: persistence.Position{Epoch: first.Epoch, Seq: first.Seq + 3}},
			{Room: room, Node: "s", Pos: persistence.Position{Epoch: first.Epoch, Seq: first.Seq + 2}},
			{Room: room, Node: "s", Pos: persistence.Position{Epoch: first.Epoch, Seq: first.Seq + 1}}, // late, changes nothing
		}
		if err := s.Cover(t.Context(), covers); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Trim(t.Context(), []cluster.Trim{{Room: room, Node: "a", Epoch: first.Epoch, Copies: 2}}); err != nil || got[0].Trimmed != covers[1].Pos {
			t.Errorf("Trim() = %+v, %v, want up to %v", got, err, covers[1].Pos)
		}
		for _, claimant := range []cluster.NodeID{"b", "c"} { // c comes before b has served
			expect, err := s.Look(t.Context(), room)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Claim(t.Context(), cluster.Claim{Room: room, Node: claimant, Expect: expect.Epoch, Standbys: []cluster.NodeID{"x", "y"}})
			if err != nil {
				t.Fatal(err)
			}
			want := cluster.Claimed{
				Answer:   cluster.Answer{Status: cluster.OK, Epoch: got.Epoch, Owner: claimant, Seq: expect.Seq + 1},
				Trimmed:  covers[1].Pos,
				RunID:    first.RunID,
				Served:   cluster.Served{Epoch: first.Epoch, Node: "a", Standbys: []cluster.NodeID{"s"}, RunID: first.RunID},
				Coverage: map[cluster.NodeID]persistence.Position{"a": covers[0].Pos, "s": covers[1].Pos},
			}
			if diff := cmp.Diff(want, got); diff != "" || got.Epoch <= expect.Epoch {
				t.Errorf("Claim by %s (-want +got):\n%s", claimant, diff)
			}
			if got.Forgetful() != (first.RunID == "unknown") {
				t.Errorf("Claim by %s: Forgetful() = %v with run id %s", claimant, got.Forgetful(), first.RunID)
			}
		}
		var kinds strings.Builder
		for _, e := range readAll(t, s, room) {
			kinds.WriteString(string(e.Kind))
		}
		if kinds.String() != "ubb" {
			t.Errorf("the log holds %s, want u3 and two barriers", kinds.String())
		}
	})
}

func TestRelease(t *testing.T) {
	eachSystem(t, func(t *testing.T, s subject) {
		room, claimed := own(t, s, "a")
		release := cluster.Release{Room: room, Node: "a", Epoch: claimed.Epoch, Prev: claimed.Seq}
		if got, err := s.Release(t.Context(), release); err != nil || got.Status != cluster.Kept {
			t.Errorf("Release() with a barrier in the log = %+v, %v, want KEPT", got, err)
		}
		for _, node := range []cluster.NodeID{"a", "s"} {
			if err := s.Cover(t.Context(), []cluster.Cover{{Room: room, Node: node, Pos: persistence.Position{Epoch: claimed.Epoch, Seq: claimed.Seq}}}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Trim(t.Context(), []cluster.Trim{{Room: room, Node: "a", Epoch: claimed.Epoch, Copies: 2}}); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Release(t.Context(), release); err != nil || got.Status != cluster.OK || got.Owner != "" {
			t.Errorf("Release() = %+v, %v, want OK and no owner", got, err)
		}
		if got := appendOne(t, s, cluster.Append{Room: room, Node: "a", Epoch: claimed.Epoch, Prev: claimed.Seq}); got.Status != cluster.Fenced {
			t.Errorf("Append() after the release = %+v, want FENCED", got)
		}
		again, err := s.Claim(t.Context(), cluster.Claim{Room: room, Node: "b", Expect: claimed.Epoch})
		if err != nil || again.Status != cluster.OK || again.Epoch <= claimed.Epoch || len(again.Coverage) != 2 {
			t.Errorf("Claim() after the release = %+v, %v, want OK, a greater epoch and coverage of a and s", again, err)
		}
	})
}

// TestBatch appends to many rooms in one call, some of which are refused.
func TestBatch(t *testing.T) {
	eachSystem(t, func(t *testing.T, s subject) {
		var batch []cluster.Append
		for i := range 200 {
			room, claimed := own(t, s, "a")
			a := cluster.Append{Room: room, Node: "a", Epoch: claimed.Epoch, Prev: claimed.Seq, Entries: updates(fmt.Sprint(i))}
			if i%3 == 0 {
				a.Node = "b"
			}
			batch = append(batch, a)
		}
		if s.forgetScripts != nil {
			s.forgetScripts()
		}
		answers, err := s.Append(t.Context(), batch)
		if err != nil {
			t.Fatalf("Append() = %v", err)
		}
		for i, got := range answers {
			want := cluster.OK
			if i%3 == 0 {
				want = cluster.Fenced
			}
			if got.Status != want || got.Epoch != batch[i].Epoch {
				t.Errorf("answer %d = %+v, want %v of epoch %d", i, got, want, batch[i].Epoch)
			}
		}
		if answers, err := s.Append(t.Context(), nil); err != nil || len(answers) != 0 {
			t.Errorf("Append(nothing) = %v, %v, want nothing", answers, err)
		}
	})
}
