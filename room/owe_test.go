package room

import (
	"testing"

	"weft/persistence"
	"weft/protocol"
)

// TestAnswersDoNotFoldAcrossWhatIsMissing owes many answers, of which some wait
// for something that is not integrated: none of those may leave with the others.
func TestAnswersDoNotFoldAcrossWhatIsMissing(t *testing.T) {
	for _, kind := range []protocol.Kind{protocol.SaveMarker, protocol.Saved} {
		r, s := &room{}, &Session{}
		seq := uint64(0)
		owe := func(n int, blocked bool) {
			for range n {
				seq++
				r.owe(s, answer{kind: kind, n: 1, pos: persistence.Position{Epoch: 1, Seq: seq}, blocked: blocked})
			}
		}
		owe(foldFrom, true)
		owe(foldFrom, false)
		owe(foldFrom, true)
		if got, want := len(s.answers), foldFrom+2; got != want {
			t.Errorf("%v: %d answers are owed, want %d: folded where they wait for the same", kind, got, want)
		}
		for i, a := range s.answers {
			if want := i != foldFrom; a.blocked != want {
				t.Errorf("%v: answer %d has blocked %v, want %v", kind, i, a.blocked, want)
			}
		}
	}
}
