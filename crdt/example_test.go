package crdt_test

import (
	"fmt"
	"log"

	"weft/crdt"
)

func Example() {
	alice := crdt.New(crdt.Options{})
	update, err := alice.Edit(func(tx *crdt.Tx) error {
		return tx.Text("notes").Insert(0, "hello")
	})
	if err != nil {
		log.Fatal(err)
	}

	bob := crdt.New(crdt.Options{})
	if _, err := bob.Apply(update, crdt.V1); err != nil {
		log.Fatal(err)
	}
	fmt.Println(bob.Text("notes"))
	// Output: hello
}

// Two replicas bring each other along by what their state vectors lack.
func ExampleDoc_AppendDiff() {
	edit := func(d *crdt.Doc, key string) {
		if _, err := d.Edit(func(tx *crdt.Tx) error { return tx.Map("m").Set(key, true) }); err != nil {
			log.Fatal(err)
		}
	}
	a, b := crdt.New(crdt.Options{}), crdt.New(crdt.Options{})
	edit(a, "a")
	edit(b, "b")
	for _, pair := range [][2]*crdt.Doc{{a, b}, {b, a}} {
		diff := pair[0].AppendDiff(nil, pair[1].StateVector(), crdt.V1)
		if _, err := pair[1].Apply(diff, crdt.V1); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(a.Snapshot().Equal(b.Snapshot()))
	// Output: true
}

func ExampleDoc_Observe() {
	d := crdt.New(crdt.Options{Types: map[string]crdt.Kind{"notes": crdt.Text}})
	stop := d.Observe(crdt.Observer{
		Type: func(e *crdt.Event) {
			for _, op := range e.Delta() {
				fmt.Println(e.Path(), op.Retain, op.Insert, op.Attributes)
			}
		},
		Update: func(c crdt.Change) { fmt.Println(c.Local, c.Origin, len(c.Update) > 0) },
	})
	defer stop()
	insert := func(at int, text string) func(*crdt.Tx) error {
		return func(tx *crdt.Tx) error { return tx.Text("notes").Insert(at, text) }
	}
	if _, err := d.Edit(insert(0, "world")); err != nil {
		log.Fatal(err)
	}
	if _, err := d.EditFrom("shell", insert(5, "!")); err != nil {
		log.Fatal(err)
	}
	// Output:
	// [notes] 0 world map[]
	// true <nil> true
	// [notes] 5 <nil> map[]
	// [notes] 0 ! map[]
	// true shell true
}

func ExampleSharedText_ApplyDelta() {
	d := crdt.New(crdt.Options{})
	_, err := d.Edit(func(tx *crdt.Tx) error {
		return tx.Text("t").ApplyDelta([]crdt.Op{
			{Insert: "bold", Attributes: map[string]any{"bold": true}},
			{Insert: " plain"},
			{Insert: map[string]any{"image": "cat.png"}},
		})
	})
	if err != nil {
		log.Fatal(err)
	}
	delta, err := d.Delta("t")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(delta))
	// Output: [{"insert":"bold","attributes":{"bold":true}},{"insert":" plain"},{"insert":{"image":"cat.png"}}]
}

// A snapshot restores a past state of a document that keeps what was deleted.
func ExampleDocFromSnapshot() {
	d := crdt.New(crdt.Options{KeepDeleted: true})
	edit := func(f func(crdt.SharedText) error) {
		if _, err := d.Edit(func(tx *crdt.Tx) error { return f(tx.Text("t")) }); err != nil {
			log.Fatal(err)
		}
	}
	edit(func(t crdt.SharedText) error { return t.Insert(0, "draft") })
	snapshot := d.Snapshot()
	edit(func(t crdt.SharedText) error { return t.Delete(0, 5) })
	edit(func(t crdt.SharedText) error { return t.Insert(0, "final") })

	then, err := crdt.DocFromSnapshot(d, snapshot, crdt.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(then.Text("t"), d.Text("t"))
	// Output: draft final
}

// A cursor stays with the character it stands before.
func ExampleDoc_RelativePosition() {
	d := crdt.New(crdt.Options{})
	edit := func(text string) {
		if _, err := d.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Insert(0, text) }); err != nil {
			log.Fatal(err)
		}
	}
	edit("world")
	cursor, err := d.RelativePosition(crdt.RootID("t"), 2, 0)
	if err != nil {
		log.Fatal(err)
	}
	edit("hello ")
	in, index, ok := d.Resolve(cursor)
	fmt.Println(in, index, ok)
	// Output: "t" 8 true
}

func ExampleUndoManager() {
	d := crdt.New(crdt.Options{})
	undo := crdt.NewUndoManager(d, crdt.UndoOptions{Scope: []crdt.TypeID{crdt.RootID("t")}})
	defer undo.Close()
	if _, err := d.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Insert(0, "oops") }); err != nil {
		log.Fatal(err)
	}
	undo.Undo()
	fmt.Printf("%q\n", d.Text("t"))
	undo.Redo()
	fmt.Printf("%q\n", d.Text("t"))
	// Output:
	// ""
	// "oops"
}

func ExampleDoc_View() {
	d := crdt.New(crdt.Options{})
	_, err := d.Edit(func(tx *crdt.Tx) error {
		list, err := tx.Map("todo").SetArray("today")
		if err != nil {
			return err
		}
		return list.Insert(0, "tea", 2)
	})
	if err != nil {
		log.Fatal(err)
	}
	d.View(func(tx *crdt.Tx) {
		today, _ := tx.Map("todo").Get("today")
		for i, v := range today.(crdt.SharedArray).All() {
			fmt.Printf("%d %T %v\n", i, v, v)
		}
	})
	// Output:
	// 0 string tea
	// 1 float64 2
}

func ExampleUpdateContains() {
	d := crdt.New(crdt.Options{})
	first, err := d.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Insert(0, "a") })
	if err != nil {
		log.Fatal(err)
	}
	state := d.AppendDiff(nil, nil, crdt.V1)
	second, err := d.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Insert(1, "b") })
	if err != nil {
		log.Fatal(err)
	}
	for _, u := range [][]byte{first, second} {
		known, err := crdt.UpdateContains(state, u, crdt.V1)
		fmt.Println(known, err)
	}
	// Output:
	// true <nil>
	// false <nil>
}
