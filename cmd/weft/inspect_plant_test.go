package main

import (
	"context"
	"errors"
	"strings"

	"weft/crdt"
	"weft/persistence"
)

// plantedRoom is a room to be stored: the first n updates as a snapshot, the others as records.
type plantedRoom struct {
	name    string
	updates [][]byte
	n       int
}

// write records an edit of client id that builds on the updates so far.
func (p *plantedRoom) write(id crdt.ClientID, f func(*crdt.Tx) error) {
	d := crdt.New(crdt.Options{ClientID: id})
	for _, u := range p.updates {
		if _, err := d.Apply(u, crdt.V1); err != nil {
			panic(err) // made by the lines below
		}
	}
	u, err := d.Edit(f)
	if err != nil {
		panic(err) // of the test's own edit
	}
	if u != nil { // nil: nothing changed
		p.updates = append(p.updates, u)
	}
}

// insert records an insert at the start of the root text codemirror.
func (p *plantedRoom) insert(id crdt.ClientID, text string) {
	p.write(id, func(tx *crdt.Tx) error { return tx.Text("codemirror").Insert(0, text) })
}

func (p *plantedRoom) snapshot() persistence.Snapshot {
	d := crdt.New(crdt.Options{})
	for _, u := range p.updates[:p.n] {
		if _, err := d.Apply(u, crdt.V1); err != nil {
			panic(err) // made by write
		}
	}
	return persistence.Snapshot{
		Pos:   persistence.Position{Epoch: 1, Seq: uint64(p.n)},
		State: d.AppendDiff(nil, nil, crdt.V2), StateVector: d.AppendStateVector(nil),
	}
}

func (p *plantedRoom) store(ctx context.Context, s *persistence.Store) error {
	if p.n > 0 {
		if err := s.Save(ctx, p.name, p.snapshot()); err != nil {
			return err
		}
	}
	for i, u := range p.updates[p.n:] {
		done := make(chan error, 1)
		rec := persistence.Record{Room: p.name, Pos: persistence.Position{Epoch: 1, Seq: uint64(p.n + i + 1)}, Update: u}
		if err := s.Append([]persistence.Record{rec}, func(err error) { done <- err }); err != nil {
			return err
		}
		if err := <-done; err != nil {
			return err
		}
	}
	return nil
}

// storeRooms stores rooms in a data directory.
func storeRooms(dir string, rooms ...*plantedRoom) (err error) {
	s, err := persistence.Open(dir, persistence.Options{ReserveBytes: -1, ScrubEvery: -1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, r := range rooms {
		if err := r.store(context.Background(), s); err != nil {
			return err
		}
	}
	return nil
}

// plant makes a data directory with rooms of every kind.
func plant(dir string) error { return storeRooms(dir, plantedRooms()...) }

// plantedRooms are the rooms of plant. Each has the root that its name says, and MARK-IN-SNAPSHOT and MARK-IN-LOG are where a
// test can damage them.
func plantedRooms() []*plantedRoom {
	notes := &plantedRoom{name: "notes", n: 1}
	notes.insert(1, "Hello, cruel world.\n")
	notes.write(2, func(tx *crdt.Tx) error { return tx.Text("codemirror").Delete(6, 6) })

	page := &plantedRoom{name: "page"}
	page.write(1, func(tx *crdt.Tx) error {
		p, err := tx.XML("default").InsertElement(0, "paragraph")
		if err != nil {
			return err
		}
		t, err := p.InsertText(0)
		if err != nil {
			return err
		}
		return t.Insert(0, "words")
	})

	settings := &plantedRoom{name: "team a/settings", n: 1}
	settings.write(1, func(tx *crdt.Tx) error {
		return errors.Join(tx.Map("data").Set("colour", "red"), tx.Map("data").Set("size", 3))
	})

	quill := &plantedRoom{name: "quill"}
	quill.write(1, func(tx *crdt.Tx) error { return tx.Text("quill").Insert(0, "plain and bold") })
	quill.write(2, func(tx *crdt.Tx) error {
		return tx.Text("quill").Format(10, 4, crdt.Format{Name: "bold", Value: true})
	})

	evil := &plantedRoom{name: "line\nbreak\x1b[31m", n: 1}
	evil.insert(1, "evil\n")
	raw := &plantedRoom{name: "raw\xff", n: 1}
	raw.insert(1, "raw\n")

	waiting := &plantedRoom{name: "waiting"}
	waiting.insert(1, "first")
	waiting.insert(1, "second")
	waiting.updates = waiting.updates[1:]

	big := &plantedRoom{name: "big", n: 1}
	big.insert(1, strings.Repeat("many words ", 5000)+"MARK-IN-SNAPSHOT"+strings.Repeat(" and more", 5000))
	big.insert(2, "behind the snapshot\n")

	logged := &plantedRoom{name: "logged"}
	logged.insert(1, "stays\n")
	logged.insert(2, "MARK-IN-LOG")
	return []*plantedRoom{notes, page, settings, quill, evil, raw, waiting, big, logged}
}
