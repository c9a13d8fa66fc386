package persistence

import "testing"

// TestQueueTombstone puts records before and after a tombstone: those after it must not come into its batch, or a snapshot that
// covers only some of them could be taken for one from before.
func TestQueueTombstone(t *testing.T) {
	q := newQueue(1 << 20)
	for _, kind := range []byte{kindUpdate, kindTombstone, kindUpdate, kindUpdate} {
		if err := q.put(kind, []Record{{Room: "a"}}, nil); err != nil {
			t.Fatalf("put = %v, want nil", err)
		}
	}
	for _, want := range []int{2, 2} {
		g := q.take()
		if g == nil || len(g.refs) != want {
			t.Fatalf("take() = %+v, want %d records", g, want)
		}
		q.finish(g, nil)
	}
	if err := q.put(kindUpdate, []Record{{Room: "a"}, {Room: "b"}}, nil); err != nil {
		t.Fatalf("put = %v, want nil", err)
	}
	if err := q.put(kindUpdate, []Record{{Room: "c"}}, nil); err != nil {
		t.Fatalf("put = %v, want nil", err)
	}
	if g := q.take(); g == nil || len(g.refs) != 3 {
		t.Errorf("take() of a group that is used again = %+v, want 3 records", g)
	}
}
