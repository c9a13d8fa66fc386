package crdt

import "math"

// Limits bounds what one update may cost. A zero field means the default.
type Limits struct {
	// Bytes bounds an update with what it repeats spelled out, default 64 MiB.
	Bytes int
	// Structs bounds the structs of an update, default 500,000. Long runs of
	// collected or deleted ones count as one. An update that somebody sent is
	// also bounded to 131,072 and one for each 12 of its bytes: refusing one
	// must not take much more memory than it did to send it.
	Structs int
	// Clients bounds the distinct client ids of an update, default 65,536.
	Clients int
	// Roots bounds the distinct root names of an update, default 10,000.
	Roots int
	// Deletes bounds the deleted ranges of an update, default 100,000.
	Deletes int
	// Depth bounds the nesting of JSON and "any" values, default 100, at most 1,000.
	Depth int
	// Types bounds the nesting of shared types in a document, default 500, at
	// most 1,000.
	Types int
	// Steps bounds the items that an update may be compared with to find the
	// places of concurrent inserts, default 5 million.
	Steps int

	stored bool // the update is a state of our own: see Load
	dense  bool // few bytes may stand for as many structs as there may be
}

const (
	defaultBytes   = 64 << 20
	defaultStructs = 500_000
	defaultClients = 65_536
	defaultRoots   = 10_000
	defaultDeletes = 100_000
	defaultDepth   = 100
	defaultTypes   = 500
	defaultSteps   = 5_000_000

	// maxDepth bounds what recurses: each level costs stack.
	maxDepth = 1000
	// denseStructs and structBytes bound the structs of an update that somebody
	// sent: one takes about 90 bytes until it is refused, and at least 9 in a
	// state that is not made for the purpose.
	denseStructs = 1 << 17
	structBytes  = 12
	// rawFactor is the number of announced structs for one that may be left
	// when runs are joined: reading one costs about 10 ns.
	rawFactor = 4
	// trustedFactor widens the budgets for a state that the caller stored
	// itself: a whole document may be larger than any one message.
	trustedFactor = 64
)

func (l Limits) withDefaults() Limits {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&l.Bytes, defaultBytes)
	set(&l.Structs, defaultStructs)
	set(&l.Clients, defaultClients)
	set(&l.Roots, defaultRoots)
	set(&l.Deletes, defaultDeletes)
	set(&l.Depth, defaultDepth)
	set(&l.Types, defaultTypes)
	set(&l.Steps, defaultSteps)
	l.Depth, l.Types = min(l.Depth, maxDepth), min(l.Types, maxDepth)
	return l
}

// forState widens the budgets of one update to those of a stored state.
func (l Limits) forState() Limits {
	l.Bytes *= trustedFactor
	l.Structs *= trustedFactor
	l.Clients *= trustedFactor
	l.Roots *= trustedFactor
	l.Deletes *= trustedFactor
	l.stored, l.dense = true, true // what was accepted once must load, whatever it costs
	return l
}

// limitsOf returns the budgets of the functions that know updates by their
// bytes alone: those of a state, with structs in proportion to its length.
func limitsOf(update []byte) Limits {
	return Limits{
		Bytes:   defaultBytes * trustedFactor,
		Structs: defaultStructs + 8*len(update),
		Clients: defaultClients * trustedFactor,
		Roots:   defaultRoots * trustedFactor,
		Deletes: defaultDeletes * trustedFactor,
		Steps:   defaultSteps * trustedFactor,
		Depth:   maxDepth,
		Types:   maxDepth,
		dense:   true,
	}
}

// ownLimits are for updates that this package encoded itself: nothing that
// was accepted once is refused.
func ownLimits([]byte) Limits {
	const all = math.MaxInt / rawFactor
	return Limits{
		Bytes: all, Structs: all, Clients: all, Roots: all, Deletes: all,
		Depth: maxDepth, Types: maxDepth, Steps: all, stored: true, dense: true,
	}
}
