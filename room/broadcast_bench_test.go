package room

import (
	"fmt"
	"testing"

	"weft/crdt"
)

// BenchmarkMerge compares the two ways to make one update of many: a diff of the
// document, and a merge of the updates. The document has seen that many
// insertions and half as many deletions.
func BenchmarkMerge(b *testing.B) {
	for _, history := range []int{0, 1000, 20_000} {
		for _, n := range []int{2, 10, 100, 400} {
			doc, since, updates := written(b, history, n)
			ways := map[string]func() ([]byte, error){
				"diff":  func() ([]byte, error) { return doc.AppendDiff(nil, since, crdt.V1), nil },
				"merge": func() ([]byte, error) { return crdt.MergeUpdates(crdt.V1, updates...) },
			}
			for way, run := range ways {
				b.Run(fmt.Sprintf("%s/history=%d/updates=%d", way, history, n), func(b *testing.B) {
					b.ReportAllocs()
					size := 0
					for b.Loop() {
						one, err := run()
						if err != nil {
							b.Fatal(err)
						}
						size = len(one)
					}
					b.ReportMetric(float64(size), "bytes")
				})
			}
		}
	}
}

// written returns a document with a history, and n updates of ten authors who
// type since then.
func written(b *testing.B, history, n int) (doc *crdt.Doc, since crdt.StateVector, updates [][]byte) {
	b.Helper()
	doc = crdt.New(crdt.Options{})
	edit := func(author *crdt.Doc, f func(*crdt.Tx) error) []byte {
		u, err := author.Edit(f)
		if err != nil {
			b.Fatal(err)
		}
		return u
	}
	apply := func(to *crdt.Doc, u []byte) {
		if _, err := to.Apply(u, crdt.V1); err != nil {
			b.Fatal(err)
		}
	}
	first := crdt.New(crdt.Options{})
	for i := range history {
		apply(doc, edit(first, func(tx *crdt.Tx) error { return tx.Text("t").Insert(i/2, "abc") }))
		if i%2 == 0 {
			apply(doc, edit(first, func(tx *crdt.Tx) error { return tx.Text("t").Delete(i/2, 1) }))
		}
	}
	authors := make([]*crdt.Doc, 10)
	for i := range authors {
		authors[i] = crdt.New(crdt.Options{})
		apply(authors[i], doc.AppendDiff(nil, nil, crdt.V1))
	}
	since = doc.StateVector()
	for i := range n {
		u := edit(authors[i%10], func(tx *crdt.Tx) error { return tx.Text("t").Insert(i/10, "x") })
		updates = append(updates, u)
		apply(doc, u)
	}
	return doc, since, updates
}
