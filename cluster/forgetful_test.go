package cluster_test

import (
	"testing"

	"weft/cluster"
	"weft/persistence"
)

// TestTailLoss is a Redis that restarts without the end of its log, as after kill -9 with a slow disk.
func TestTailLoss(t *testing.T) {
	eachSystem(t, func(t *testing.T, s subject) {
		if s.loseTail == nil {
			t.Skip("keeps nothing over a restart")
		}
		room, first := own(t, s, "a")
		a := cluster.Append{Room: room, Node: "a", Epoch: first.Epoch, Prev: first.Seq, Entries: updates("u1", "u2")}
		appendOne(t, s, a)
		taken, takenFirst := own(t, s, "a") // a room that b takes, which will be forgotten
		s.sync()

		tail := a
		tail.Prev, tail.Entries = a.Prev+2, updates("u3", "u4", "u5")
		appendOne(t, s, tail)
		later, err := s.Claim(t.Context(), cluster.Claim{Room: taken, Node: "b", Expect: takenFirst.Epoch})
		if err != nil || later.Status != cluster.OK {
			t.Fatalf("Claim() = %+v, %v, want OK", later, err)
		}
		s.loseTail()

		next := a
		next.Prev, next.Entries = tail.Prev+3, updates("u6")
		if got := appendOne(t, s, next); got.Seq != tail.Prev || next.Judge(got) != cluster.Lost {
			t.Fatalf("Append(u6) = %+v, %v, want GAP at %d, lost", got, next.Judge(got), tail.Prev)
		}
		if got := appendOne(t, s, tail); tail.Judge(got) != cluster.Applied {
			t.Errorf("Append of the tail again = %+v, want applied", got)
		}
		if got := appendOne(t, s, next); next.Judge(got) != cluster.Applied {
			t.Errorf("Append(u6) after it = %+v, want applied", got)
		}
		for i, e := range readAll(t, s, room) {
			if want := (persistence.Position{Epoch: first.Epoch, Seq: first.Seq + uint64(i)}); e.Pos != want {
				t.Errorf("entry %d is at %v, want %v", i, e.Pos, want)
			}
		}

		// b's claim is forgotten: a would be the owner again, b learns it and claims anew above its own epoch.
		late := cluster.Append{Room: taken, Node: "b", Epoch: later.Epoch, Prev: later.Seq, RunID: later.RunID}
		got := appendOne(t, s, late)
		if late.Judge(got) != cluster.WentBack || got.Owner != "a" {
			t.Fatalf("Append by the forgotten owner = %+v, %v, want went back to a", got, late.Judge(got))
		}
		anew, err := s.Claim(t.Context(), cluster.Claim{Room: taken, Node: "b", Expect: got.Epoch, EpochFloor: later.Epoch, SeqFloor: later.Seq})
		if err != nil || anew.Epoch <= later.Epoch || anew.Seq <= later.Seq || !anew.Forgetful() {
			t.Errorf("Claim() = %+v, %v, want OK above epoch %d and seq %d, forgetful", anew, err, later.Epoch, later.Seq)
		}
	})
}

// TestRestartBetweenClaimAndAppend is the window in which Redis may forget a later claim than this one.
func TestRestartBetweenClaimAndAppend(t *testing.T) {
	eachSystem(t, func(t *testing.T, s subject) {
		if s.loseTail == nil {
			t.Skip("keeps nothing over a restart")
		}
		room := newRoom()
		claimed, err := s.Claim(t.Context(), cluster.Claim{Room: room, Node: "a"})
		if err != nil {
			t.Fatal(err)
		}
		s.sync()
		if later, err := s.Claim(t.Context(), cluster.Claim{Room: room, Node: "b", Expect: claimed.Epoch}); err != nil || later.Status != cluster.OK {
			t.Fatalf("Claim() = %+v, %v, want OK", later, err)
		}
		s.loseTail()
		first := cluster.Append{Room: room, Node: "a", Epoch: claimed.Epoch, Prev: claimed.Seq, RunID: claimed.RunID}
		if got := appendOne(t, s, first); first.Judge(got) != cluster.ClaimAgain {
			t.Errorf("first Append after the restart = %+v, %v, want claim again", got, first.Judge(got))
		}
	})
}

// TestWipe is FLUSHALL: no record is left, and nobody is told that it was different before.
func TestWipe(t *testing.T) {
	eachSystem(t, func(t *testing.T, s subject) {
		room, first := own(t, s, "a")
		s.wipe()
		a := cluster.Append{Room: room, Node: "a", Epoch: first.Epoch, Prev: first.Seq, Entries: updates("u1")}
		if got := appendOne(t, s, a); a.Judge(got) != cluster.WentBack || got.Epoch != 0 {
			t.Fatalf("Append() after a wipe = %+v, %v, want went back to no record", got, a.Judge(got))
		}
		again, err := s.Claim(t.Context(), cluster.Claim{Room: room, Node: "a", EpochFloor: first.Epoch, SeqFloor: first.Seq})
		if err != nil || again.Epoch <= first.Epoch || again.Seq <= first.Seq || !again.Forgetful() {
			t.Errorf("Claim() after a wipe = %+v, %v, want OK above epoch %d and seq %d, forgetful", again, err, first.Epoch, first.Seq)
		}
	})
}

// TestKill ends Redis with kill -9 under load; its disk is healthy, so what was answered is there.
func TestKill(t *testing.T) {
	s := redisSubject(t)
	room, first := own(t, s, "a")
	a := cluster.Append{Room: room, Node: "a", Epoch: first.Epoch, Prev: first.Seq, Entries: updates("u")}
	for range 200 {
		if got := appendOne(t, s, a); a.Judge(got) != cluster.Applied {
			t.Fatalf("Append() = %+v, want applied", got)
		}
		a.Prev++
	}
	s.restart()
	if got := len(readAll(t, s, room)); got != 201 {
		t.Errorf("after kill -9 the log has %d entries, want 201", got)
	}
	if got := appendOne(t, s, a); a.Judge(got) != cluster.Applied {
		t.Errorf("Append() after kill -9 = %+v, want applied: nothing was lost", got)
	}
}
