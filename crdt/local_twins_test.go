package crdt_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// TestLocalTwins makes the same edits in two documents. Somebody who looks on
// keeps one of them from the short ways of frequent edits, which TestLocalOracle
// therefore does not go.
func TestLocalTwins(t *testing.T) {
	seed := crdttest.Seed(t, 1)
	for round := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, round))
		w := newTwins(t, round%4 == 3)
		w.formats = round%3 == 2
		for range 250 {
			var edits []twinEdit
			for range 1 + r.IntN(1+int(round)%4) {
				edits = append(edits, w.draw(r))
			}
			w.edit(edits)
			if r.IntN(6) == 0 {
				w.meet(r)
			}
			if round%5 == 4 && r.IntN(12) == 0 {
				w.undo(w.draw(r))
			}
		}
		w.compare()
	}
}

// TestLocalTwinsTrace does so with the beginning of a recorded session.
func TestLocalTwinsTrace(t *testing.T) {
	w := newTwins(t, false)
	for i, e := range crdttest.Trace(t, "b4")[:15_000] {
		w.edit([]twinEdit{func(tx *crdt.Tx, _ *int) error {
			text := tx.Text("text")
			if err := text.Delete(e.Pos, e.Delete); err != nil {
				return err
			}
			return text.Insert(e.Pos, e.Insert)
		}})
		if i%3000 == 0 {
			w.compare()
		}
	}
	w.compare()
}

// twinEdit is an edit near a place, which it moves as a caret moves.
type twinEdit func(tx *crdt.Tx, place *int) error

// twins are two documents that are to hold the same, and a third that exchanges with them.
type twins struct {
	t                 testing.TB
	d, watched, other *crdt.Doc
	places            [3]int
	formats           bool // there are some
}

func newTwins(t testing.TB, keep bool) *twins {
	o := crdt.Options{ClientID: 7, KeepDeleted: keep, Types: map[string]crdt.Kind{"text": crdt.Text}}
	w := &twins{t: t, d: crdt.New(o), watched: crdt.New(o)}
	o.ClientID, o.KeepDeleted = 1<<33, false
	w.other = crdt.New(o)
	w.watched.Observe(crdt.Observer{})
	return w
}

// together makes one transaction of edits.
func together(edits []twinEdit, place *int) func(*crdt.Tx) error {
	return func(tx *crdt.Tx) error {
		for i, e := range edits {
			if err := e(tx, place); err != nil {
				return fmt.Errorf("edit %d: %w", i, err)
			}
		}
		return nil
	}
}

// undo takes an edit back and makes it again, with an UndoManager that then goes.
func (w *twins) undo(e twinEdit) {
	w.t.Helper()
	o := crdt.UndoOptions{Scope: []crdt.TypeID{crdt.RootID("text"), crdt.RootID("array")}}
	u, watched := crdt.NewUndoManager(w.d, o), crdt.NewUndoManager(w.watched, o)
	w.edit([]twinEdit{e})
	for _, step := range []func(*crdt.UndoManager) ([]byte, bool){(*crdt.UndoManager).Undo, (*crdt.UndoManager).Redo} {
		got, _ := step(u)
		want, _ := step(watched)
		w.wrote(got, want)
	}
	u.Close()
	watched.Close()
}

// wrote compares two updates and gives them to the third document.
func (w *twins) wrote(got, want []byte) {
	w.t.Helper()
	if !slices.Equal(got, want) {
		w.t.Fatalf("Edit wrote %x, want %x", got, want)
	}
	if len(got) > 0 {
		if _, err := w.other.Apply(got, crdt.V1); err != nil {
			w.t.Fatal(err)
		}
	}
}

// edit makes the edits in both, in one transaction.
func (w *twins) edit(edits []twinEdit) {
	w.t.Helper()
	got, gotErr := w.d.Edit(together(edits, &w.places[0]))
	want, wantErr := w.watched.Edit(together(edits, &w.places[1]))
	if gotErr != nil || wantErr != nil {
		w.t.Fatalf("Edit = %v and, watched, %v", gotErr, wantErr)
	}
	w.wrote(got, want)
}

// meet has the third document write, and the twins receive it.
func (w *twins) meet(r *rand.Rand) {
	w.t.Helper()
	edits := []twinEdit{w.draw(r), w.draw(r), w.draw(r)}[r.IntN(3):]
	u, err := w.other.Edit(together(edits, &w.places[2]))
	if err != nil {
		w.t.Fatal(err)
	}
	if u != nil {
		w.receive(u)
	}
	w.compare()
}

// receive applies an update to the twins.
func (w *twins) receive(u []byte) {
	w.t.Helper()
	for _, d := range []*crdt.Doc{w.d, w.watched} {
		if _, err := d.Apply(u, crdt.V1); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *twins) compare() {
	w.t.Helper()
	if err := w.d.Check(); err != nil {
		w.t.Fatal(err)
	}
	if diff := crdttest.DiffBytes(w.watched.AppendDiff(nil, nil, crdt.V1), w.d.AppendDiff(nil, nil, crdt.V1)); diff != "" {
		w.t.Fatalf("state: %s", diff)
	}
}

// draw returns an edit, mostly near the last one.
func (w *twins) draw(r *rand.Rand) twinEdit {
	at, n, word, what, jump := r.IntN(1<<20), 1+r.IntN(3), words[r.IntN(len(words))], r.IntN(40), r.IntN(12) == 0
	back := r.IntN(2) == 0
	return func(tx *crdt.Tx, place *int) error {
		array := tx.Array("array")
		text := tx.Text("text")
		if nested, ok := array.Get(0); ok && at%5 == 0 {
			if nested, ok := nested.(crdt.SharedText); ok {
				text = nested
			}
		}
		if jump || *place > text.Len() {
			*place = at % (text.Len() + 1)
		}
		switch {
		case what == 0:
			_, err := array.InsertText(0)
			return err
		case what == 1 && array.Len() > 0:
			return array.Delete(at%array.Len(), 1)
		case what == 2:
			return array.Push(at)
		case what == 3:
			return array.Insert(at%(array.Len()+1), "v", 2.0)
		case what == 4:
			return text.InsertEmbed(*place, "embed")
		case what == 5 && w.formats && text.Len() > *place:
			return text.Format(*place, min(n, text.Len()-*place), crdt.Format{Name: "bold", Value: at%3 > 0})
		case what == 6:
			return text.ApplyDelta([]crdt.Op{{Retain: *place}, {Insert: word}})
		case what < 22 && back && *place >= n:
			*place -= n
			return text.Delete(*place, n)
		case what < 22 && *place+n <= text.Len():
			return text.Delete(*place, n)
		}
		before := text.Len()
		err := text.Insert(*place, word)
		*place += text.Len() - before
		return err
	}
}

var words = []string{"a", "b", "cd", "word ", "\u00e9", "\U0001f600"}

// TestLocalTwinsKept deletes next to what came without its content in documents that keep theirs.
func TestLocalTwinsKept(t *testing.T) {
	w := newTwins(t, true)
	for _, e := range []twinEdit{
		func(tx *crdt.Tx, _ *int) error { return tx.Text("text").Insert(0, "hello!") },
		func(tx *crdt.Tx, _ *int) error { return tx.Text("text").Delete(5, 1) },
	} {
		if _, err := w.other.Edit(together([]twinEdit{e}, nil)); err != nil {
			t.Fatal(err)
		}
	}
	w.receive(w.other.AppendDiff(nil, nil, crdt.V1))
	w.edit([]twinEdit{func(tx *crdt.Tx, _ *int) error { return tx.Text("text").Insert(5, "") }}) // goes there only
	w.edit([]twinEdit{func(tx *crdt.Tx, _ *int) error { return tx.Text("text").Delete(4, 1) }})
	w.compare()
}
