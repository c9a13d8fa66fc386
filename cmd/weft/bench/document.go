package bench

import (
	"math/rand/v2"

	"weft/crdt"
)

// The document that join uses when it is given none: an article of one author with its whole history, about as large and
// as broken up as the editing trace of the automerge-perf paper (182,315 characters typed, 77,463 of them deleted).
const (
	documentTyped   = 182_315
	documentDeleted = 77_463
	documentSeed    = 4
)

// makeDocument returns the state, in format V1, of a document like that in which so many characters were typed. It is
// the same each time but for the author's id.
func makeDocument(toType int) ([]byte, error) {
	rng := rand.New(rand.NewPCG(documentSeed, documentSeed))
	d := crdt.New(crdt.Options{})
	typed, deleted, length := 0, 0, 0
	for typed < toType {
		at := length - rng.IntN(min(length, 2000)+1) // people mostly work where they worked before
		n := 1 + rng.IntN(56)
		cut := 0
		if deleted*documentTyped < typed*documentDeleted {
			cut = min(n, length-at)
		}
		_, err := d.Edit(func(tx *crdt.Tx) error {
			text := tx.Text("content")
			if cut > 0 {
				return text.Delete(at, cut)
			}
			return text.Insert(at, string(pattern[:n]))
		})
		if err != nil {
			return nil, err
		}
		if cut > 0 {
			deleted, length = deleted+cut, length-cut
		} else {
			typed, length = typed+n, length+n
		}
	}
	return d.AppendDiff(nil, nil, crdt.V1), nil
}
