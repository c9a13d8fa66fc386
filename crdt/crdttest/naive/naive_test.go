package naive_test

import (
	"iter"
	"testing"

	"weft/crdt/crdttest"
	"weft/crdt/crdttest/naive"
)

// checkTexts compares the model's root text with Yjs' at the end, for the updates in their order and shuffled.
func checkTexts(t *testing.T, scenarios iter.Seq[*crdttest.Scenario]) {
	crdttest.Each(t, scenarios, "", func(t *testing.T, s *crdttest.Scenario) {
		inOrder := make([]int, len(s.Updates))
		for i := range inOrder {
			inOrder[i] = i
		}
		for name, order := range map[string][]int{"in order": inOrder, "shuffled": s.Shuffled.Order} {
			doc := naive.New()
			for i, j := range order {
				if err := doc.Apply(s.Updates[j].V1); err != nil {
					t.Fatalf("Apply(update %d) %s = %v, want no error", j, name, err)
				}
				if name == "shuffled" && i == s.Shuffled.Half.At {
					if diff := crdttest.DiffText(s.Shuffled.Half.View.Text, doc.Text("text")); diff != "" {
						t.Errorf("Text half way through the shuffled updates: %s", diff)
					}
				}
			}
			if diff := crdttest.DiffText(s.Final.View.Text, doc.Text("text")); diff != "" {
				t.Errorf("Text after all updates %s: %s", name, diff)
			}
			if doc.Waiting() != 0 {
				t.Errorf("Waiting() %s = %d, want 0", name, doc.Waiting())
			}
		}
	})
}

func TestAgainstRecordings(t *testing.T) {
	checkTexts(t, crdttest.Fixture(t))
}

func TestAgainstYjs(t *testing.T) {
	checkTexts(t, crdttest.Oracle(t, crdttest.Request{
		Seed: crdttest.Seed(t, 7000), Count: 60, Fields: []string{"final", "shuffled"},
	}))
}

func TestApplyBroken(t *testing.T) {
	good := []byte{1, 1, 5, 0, 4, 1, 1, 'r', 2, 'h', 'i', 0}
	for n := range good {
		doc := naive.New()
		if err := doc.Apply(good[:n]); err == nil || doc.Text("r") != "" {
			t.Errorf("Apply(%d of %d bytes) = %v with text %q, want an error and no text", n, len(good), err, doc.Text("r"))
		}
	}
	doc := naive.New()
	if err := doc.Apply(good); err != nil || doc.Text("r") != "hi" {
		t.Errorf("Apply(%x) = %v with text %q, want hi", good, err, doc.Text("r"))
	}
	if err := doc.Apply(append(good, 0)); err == nil {
		t.Errorf("Apply with a byte too many = nil, want an error")
	}
}

func TestConcurrentInserts(t *testing.T) {
	// Clients 1 and 2 both write at the start of an empty text, then client 3, who saw only client 2's.
	updates := [][]byte{
		{1, 1, 1, 0, 4, 1, 1, 'r', 1, 'a', 0},
		{1, 1, 2, 0, 4, 1, 1, 'r', 1, 'b', 0},
		{1, 1, 3, 0, 4 | 0x40, 2, 0, 1, 'c', 0}, // right origin: the b
	}
	for _, order := range [][]int{{0, 1, 2}, {1, 0, 2}, {2, 1, 0}, {1, 2, 0}} {
		doc := naive.New()
		for _, i := range order {
			if err := doc.Apply(updates[i]); err != nil {
				t.Fatal(err)
			}
		}
		if got := doc.Text("r"); got != "acb" {
			t.Errorf("Text after %v = %q, want acb", order, got)
		}
	}
}
