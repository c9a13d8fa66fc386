package crdt_test

import (
	"slices"
	"strings"
	"testing"

	"weft/crdt"
	"weft/crdt/lib0"
)

// piece is a struct of a made-up update v1.
type piece struct {
	kind   byte // 0 collected, 4 text, 1 deleted, 10 gap
	length uint64
}

// appendSection writes the structs of one client from a clock on.
func appendSection(dst []byte, client, clock uint64, pieces []piece) []byte {
	dst = lib0.AppendUint(dst, uint64(len(pieces)))
	dst = lib0.AppendUint(lib0.AppendUint(dst, client), clock)
	for _, p := range pieces {
		switch {
		case p.kind == 0 || p.kind == 10:
			dst = lib0.AppendUint(append(dst, p.kind), p.length)
		case clock == 0:
			dst = lib0.AppendString(append(dst, p.kind, 1), "text")
		default:
			dst = lib0.AppendUint(lib0.AppendUint(append(dst, 0x80|p.kind), client), clock-1)
		}
		switch p.kind {
		case 1:
			dst = lib0.AppendUint(dst, p.length)
		case 4:
			var text strings.Builder
			for i := range p.length {
				text.WriteByte(byte('a' + (clock+i)%26))
			}
			dst = lib0.AppendString(dst, text.String())
		}
		clock += p.length
	}
	return dst
}

func TestMergeUpdatesFew(t *testing.T) {
	text := append(appendSection([]byte{1}, 7, 0, []piece{{4, 3}}), 0)
	empty := []byte{0, 0}
	for _, c := range []struct {
		name    string
		updates [][]byte
		want    []byte
	}{
		{"none", nil, empty},
		{"one", [][]byte{text}, text},
		{"empty", [][]byte{empty, empty}, empty},
		{"twice", [][]byte{text, text}, text},
		{"empty and text", [][]byte{empty, text}, text},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := crdt.MergeUpdates(crdt.V1, c.updates...)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("MergeUpdates(%x) = %x, %v, want %x", c.updates, got, err, c.want)
			}
		})
	}
	if got, err := crdt.MergeUpdates(crdt.V1, text, []byte{1}); err == nil {
		t.Errorf("MergeUpdates(broken update) = %x, want an error", got)
	}
}

// TestMergeUpdatesAllocates checks that an update costs no allocation of its own.
func TestMergeUpdatesAllocates(t *testing.T) {
	count := func(n int) float64 {
		var updates [][]byte
		for i := range n {
			updates = append(updates, append(appendSection([]byte{1}, 7, uint64(i), []piece{{4, 1}}), 0))
		}
		return testing.AllocsPerRun(3, func() {
			if _, err := crdt.MergeUpdates(crdt.V1, updates...); err != nil {
				t.Fatal(err)
			}
		})
	}
	few, many := count(100), count(10_000)
	if many > few+40 {
		t.Errorf("MergeUpdates allocates %v times for 100 updates, %v times for 10,000", few, many)
	}
}
