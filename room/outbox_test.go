package room_test

import (
	"bytes"
	"slices"
	"testing"

	"weft/room"
)

func TestOutboxOrderAndWake(t *testing.T) {
	wakes := 0
	o := room.NewOutbox(1000, func() { wakes++ })
	if got := o.Take(nil); got != nil {
		t.Errorf("Take of an empty outbox = %v, want nothing", got)
	}
	o.Offer([]byte("a"))
	o.Offer([]byte("b"))
	if wakes != 1 {
		t.Errorf("%d wakes for two payloads while the writer rests, want 1", wakes)
	}
	if got, want := o.Take(nil), [][]byte{[]byte("a"), []byte("b")}; !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("Take() = %q, want %q", got, want)
	}
	o.Offer([]byte("c"))
	if wakes != 1 {
		t.Errorf("%d wakes although the writer is awake, want 1", wakes)
	}
	if got := o.Take(nil); len(got) != 1 {
		t.Errorf("Take() = %q, want c", got)
	}
	o.Take(nil)
	o.Offer([]byte("d"))
	if wakes != 2 {
		t.Errorf("%d wakes after the writer rested, want 2", wakes)
	}
	o.Close()
	o.Offer([]byte("e"))
	if got := o.Take(nil); len(got) != 0 || o.Size() != 0 {
		t.Errorf("closed outbox holds %q, %d bytes, want nothing", got, o.Size())
	}
}
