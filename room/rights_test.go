package room_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weft/crdt"
	"weft/crdt/lib0"
	"weft/protocol"
	"weft/room"
)

// TestReadersUpdatesAreNotDecoded sends what would end a session if the room read
// it, and what it has to read.
func TestReadersUpdatesAreNotDecoded(t *testing.T) {
	garbage, large := []byte{0xff}, bytes.Repeat([]byte{0xff}, 1<<20+1)
	tests := []struct {
		label   string
		acks    bool
		kind    protocol.Kind
		data    []byte
		decoded bool
	}{
		{"update", false, protocol.Update, garbage, false},
		{"answer", false, protocol.SyncStep2, garbage, false},
		{"update of a peer with acks", true, protocol.Update, garbage, false},
		{"large answer of a peer with acks", true, protocol.SyncStep2, large, false},
		{"small answer of a peer with acks", true, protocol.SyncStep2, garbage, true},
	}
	for _, tt := range tests {
		t.Run(tt.label, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, room.Options{})
				defer w.stop()
				reader := w.join("r", &client{}, room.Peer{Dialect: plain{}, Acks: tt.acks, ReadOnly: true})
				settle(reader)
				reader.acks = ""
				reader.send(tt.kind, bytes.Clone(tt.data))
				settle(reader)
				var err error
				select {
				case err = <-reader.ended:
				default:
				}
				switch {
				case tt.decoded:
					if got := reason(err); got != protocol.Malformed {
						t.Errorf("session ended with %v, want Malformed", err)
					}
				case err != nil:
					t.Errorf("session ended with %v, want it to go on", err)
				case tt.acks:
					reader.wantAcks("what was refused", "N")
				case len(reader.denied) != 1 || !strings.HasPrefix(reader.denied[0], "read-only"):
					t.Errorf("reader is told %q, want the reason once", reader.denied)
				}
			})
		})
	}
}

// shredded returns a document with n deletions that are not beside each other, and the answer of a client that has it.
func shredded(t testing.TB, n int) (*crdt.Doc, []byte) {
	t.Helper()
	d := crdt.New(crdt.Options{})
	edit := func(f func(*crdt.Tx) error) {
		if _, err := d.Edit(f); err != nil {
			t.Fatal(err)
		}
	}
	edit(insert(0, strings.Repeat("ab", n)))
	edit(func(tx *crdt.Tx) error {
		for i := range n {
			if err := tx.Text("t").Delete(i, 1); err != nil {
				return err
			}
		}
		return nil
	})
	return d, d.AppendDiff(nil, d.StateVector(), crdt.V1)
}

// TestReadersOfShreddedDocuments lets a reader answer that has everything, of a document with as many deletions as an
// update may hold, whose answer is large though it brings nothing.
func TestReadersOfShreddedDocuments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		doc, answer := shredded(t, 90_000)
		a := w.join("r", &client{}, acking())
		settle(a)
		a.send(protocol.Update, doc.AppendDiff(nil, nil, crdt.V1))
		settle(a)
		p := acking()
		p.ReadOnly = true
		reader := w.join("r", &client{}, p)
		settle(a, reader)
		reader.acks = ""
		reader.send(protocol.SyncStep2, bytes.Clone(answer))
		settle(reader)
		reader.wantAcks(fmt.Sprintf("an answer of %d bytes", len(answer)), "S")
		reader.send(protocol.SyncStep2, bytes.Clone(answer))
		settle(reader)
		reader.wantAcks("another one, before its time", "N")
		time.Sleep(2 * time.Second)
		if _, err := doc.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Delete(0, 1) }); err != nil {
			t.Fatal(err)
		}
		reader.send(protocol.SyncStep2, doc.AppendDiff(nil, doc.StateVector(), crdt.V1))
		settle(reader)
		reader.wantAcks("one that deletes something more", "N")
	})
}

// BenchmarkReaderAnswer compares the largest answer of a reader with the document.
func BenchmarkReaderAnswer(b *testing.B) {
	d, answer := shredded(b, 100_000)
	overlapping := lib0.AppendUint(append([]byte{0, 1}, binary.AppendUvarint(nil, uint64(d.StateVector()[0].Client))...), 100_000)
	for range 100_000 { // every one names the first deleted run
		overlapping = append(overlapping, 0, 1)
	}
	for _, bb := range []struct {
		label  string
		answer []byte
	}{{"all", answer}, {"one again and again", overlapping}} {
		b.Run(bb.label, func(b *testing.B) {
			b.SetBytes(int64(len(bb.answer)))
			for b.Loop() {
				if known, err := d.Contains(bb.answer, crdt.V1); err != nil || !known {
					b.Fatalf("Contains() = %v, %v, want true", known, err)
				}
			}
		})
	}
}
