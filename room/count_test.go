package room_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"weft/crdt"
	"weft/protocol"
	"weft/room"
)

// TestClientsThatConnectCountAnew has Hocuspocus clients connect with what they typed without a connection. Each script
// is what reaches the room, in order:
//
//	1  SyncStep1                      q  typed before it      x  deleted before it, with nothing written
//	d  typed behind it                e  deleted behind it    b  a batch that began before it
//	f  a forced sync from the queue, older than the SyncStep1                   s  a forced sync, newer
//
// What d, e and s count is known to the client; before the disk has all, its number must be that, and then 0.
func TestClientsThatConnectCountAnew(t *testing.T) {
	tests := []struct {
		script string
		want   int // while the disk takes its time
	}{
		{"1", 1},
		{"1q", 1},
		{"1qqqxqx", 1},
		{"1dqx", 2},
		{"1qdq", 2},
		{"1qxde", 3},
		{"1dee", 4},
		{"1fq", 1},
		{"1qfqd", 2},
		{"1qb", 1},
		{"1dds", 1},
		{"1qds", 1},
	}
	for _, tt := range tests {
		t.Run(tt.script, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { connectAnew(t, tt.script, tt.want) })
		})
	}
}

func connectAnew(t *testing.T, script string, want int) {
	w := start(t, room.Options{})
	defer w.stop()
	c := &client{doc: crdt.New(crdt.Options{})}
	base := c.doc
	if _, err := base.Edit(insert(0, "known to everybody")); err != nil {
		t.Fatal(err)
	}
	writer := w.join("r", &client{}, acking())
	settle(writer)
	writer.send(protocol.Update, base.AppendDiff(nil, nil, crdt.V1))
	settle(writer)
	old := c.doc.AppendStateVector(nil)

	// What was typed before the SyncStep1 is in the document by then, also what reaches the room behind it.
	if err := w.tryJoin("r", c, acking()); err != nil {
		t.Fatal(err)
	}
	remove := func(tx *crdt.Tx) error { return tx.Text("t").Delete(0, 1) }
	edits := map[rune]func(*crdt.Tx) error{'q': insert(0, "q"), 'x': remove, 'd': insert(0, "d"), 'e': remove}
	var queue [][]byte
	for _, step := range script {
		if step == 'q' || step == 'x' {
			queue = append(queue, c.offline(edits[step]))
		}
	}
	begun := c.offline(insert(0, "begun before"))
	vector := c.doc.AppendStateVector(nil)
	c.deaf = true // the room's question reaches it when all of this is on its way
	w.store.SetFaults(slowly(time.Second))
	give := func(k protocol.Kind, data []byte) { // without a word to the counter
		if err := c.session.Handle(t.Context(), protocol.Message{Kind: k, Data: bytes.Clone(data)}); err != nil {
			t.Fatalf("Handle(%v) = %v", k, err)
		}
	}
	for _, step := range script {
		switch step {
		case '1':
			c.send(protocol.SyncStep1, vector)
		case 'q', 'x':
			give(protocol.Update, queue[0])
			queue = queue[1:]
		case 'd', 'e':
			c.edit(edits[step])
		case 'b':
			all, err := crdt.MergeUpdates(crdt.V1, begun, c.offline(insert(0, "ended behind")))
			if err != nil {
				t.Fatal(err)
			}
			give(protocol.Update, all)
		case 'f':
			give(protocol.SyncStep1, old)
		case 's':
			c.send(protocol.SyncStep1, c.doc.AppendStateVector(nil))
		}
		synctest.Wait()
	}
	c.deaf = false
	settle(c)
	if c.unsaved != want {
		t.Errorf("while the disk takes its time the client counts %d, want %d", c.unsaved, want)
	}
	c.typed("and goes on typing")
	time.Sleep(500 * time.Millisecond)
	settle(c)
	if c.unsaved < 1 {
		t.Errorf("the client counts %d while its last edit is not durable", c.unsaved)
	}
	time.Sleep(10 * time.Second)
	settle(c)
	if c.unsaved != 0 {
		t.Errorf("when everything is durable the client counts %d, want 0", c.unsaved)
	}
	if got, want := w.serverText("r"), c.text(); got != want {
		t.Errorf("the room has %q, the client %q", got, want)
	}
	c.typed("once more")
	settle(c)
	if c.unsaved != 1 {
		t.Errorf("after one more edit the client counts %d, want 1", c.unsaved)
	}
}
