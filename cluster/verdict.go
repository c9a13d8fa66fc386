package cluster

// Verdict is what an answer means to the owner that asked.
type Verdict uint8

const (
	// Applied: the entries are in the log, by this call or an earlier one whose answer was lost.
	Applied Verdict = iota + 1
	// Lost: Redis forgot the end of the log. The owner appends it again from its own disk, the same entries in the same
	// order, so that they get the same positions; or it claims again and begins an epoch with a Seed. It must not give
	// old positions to other entries, which coverage would count as stored.
	Lost
	// Superseded: somebody else owns the room. The owner steps down.
	Superseded
	// WentBack: Redis forgot the owner's claim. It claims again with its own epoch as the floor.
	WentBack
	// Broken: what cannot happen, as somebody wrote in this node's name and epoch. It stops, counts it and claims again.
	Broken
	// ClaimAgain: Redis restarted between the claim and the first append, and may have forgotten a later claim.
	ClaimAgain
)

var verdicts = [...]string{"unknown", "applied", "lost", "superseded", "went back", "broken", "claim again"}

func (v Verdict) String() string { return verdicts[v] }

// Judge says what the answer to a means.
func (a Append) Judge(got Answer) Verdict {
	return judge(got, a.Epoch, a.Prev, uint64(len(a.Entries)))
}

// Judge says what the answer to t means: Applied means that the target owns the room, perhaps since an earlier try.
func (t Transfer) Judge(got Answer) Verdict {
	if got.Status == Fenced && got.Owner == t.Target && got.Epoch > t.Epoch {
		return Applied
	}
	return judge(got, t.Epoch, t.Prev, 0)
}

func judge(got Answer, epoch, prev, n uint64) Verdict {
	switch got.Status {
	case OK:
		return Applied
	case Gap:
		switch {
		case got.Seq == prev+n:
			return Applied
		case got.Seq < prev:
			return Lost
		}
		return Broken
	case Fenced:
		if got.Epoch < epoch {
			return WentBack
		}
		return Superseded
	case Restarted:
		return ClaimAgain
	}
	return Broken
}
