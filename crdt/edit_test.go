package crdt_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf16"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// TestTextModel edits a text at random and compares with a plain string after every edit.
func TestTextModel(t *testing.T) {
	seed := crdttest.Seed(t, 1)
	rnd := rand.New(rand.NewPCG(seed, 0))
	d := crdt.New(crdt.Options{ClientID: 7})
	follower := crdt.New(crdt.Options{})
	var model []uint16
	for i := range 2000 {
		update, err := d.Edit(func(tx *crdt.Tx) error {
			text := tx.Text("t")
			if n := len(model); n > 0 && rnd.IntN(3) == 0 {
				at := rnd.IntN(n)
				length := rnd.IntN(min(n-at, 6) + 1)
				model = append(model[:at:at], model[at+length:]...)
				return text.Delete(at, length)
			}
			at := rnd.IntN(len(model) + 1)
			s := string([]rune("abcdefgh\u00e9\u6f22\n")[rnd.IntN(11)])
			model = append(model[:at:at], append(utf16.Encode([]rune(s)), model[at:]...)...)
			return text.Insert(at, s)
		})
		if err != nil {
			t.Fatalf("edit %d = %v", i, err)
		}
		if err := d.Check(); err != nil {
			t.Fatalf("after edit %d: %v", i, err)
		}
		if got, want := d.Text("t"), string(utf16.Decode(model)); got != want {
			t.Fatalf("after edit %d: Text = %q, want %q", i, got, want)
		}
		if update == nil {
			continue
		}
		if _, err := follower.Apply(update, crdt.V1); err != nil {
			t.Fatalf("Apply(edit %d) = %v", i, err)
		}
	}
	if got, want := follower.Text("t"), d.Text("t"); got != want {
		t.Errorf("follower has %q, want %q", got, want)
	}
}

// TestEditConverges lets several documents edit every kind of type at the same
// time and exchange updates in different orders.
func TestEditConverges(t *testing.T) {
	base := crdttest.Seed(t, 1)
	for n := range uint64(40) {
		t.Run(fmt.Sprint(base+n), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(base+n, 1))
			docs := make([]*crdt.Doc, 3)
			for i := range docs {
				docs[i] = crdt.New(crdt.Options{ClientID: crdt.ClientID(i*1000 + 1 + rnd.IntN(1000))})
			}
			inbox := make([][][]byte, len(docs))
			for i := range 120 {
				who := rnd.IntN(len(docs))
				update, err := docs[who].Edit(func(tx *crdt.Tx) error { return randomEdit(tx, rnd) })
				if err != nil {
					t.Fatalf("edit %d = %v", i, err)
				}
				for j := range docs {
					if j != who && update != nil {
						inbox[j] = append(inbox[j], update)
					}
					if len(inbox[j]) > 0 && rnd.IntN(4) == 0 {
						deliver(t, docs[j], &inbox[j], rnd)
					}
				}
			}
			for j := range docs {
				for len(inbox[j]) > 0 {
					deliver(t, docs[j], &inbox[j], rnd)
				}
			}
			for _, d := range docs[1:] {
				if got, want := describe(t, d), describe(t, docs[0]); got != want {
					t.Fatalf("documents differ: %s", crdttest.DiffText(want, got))
				}
			}
		})
	}
}

func deliver(t *testing.T, d *crdt.Doc, inbox *[][]byte, rnd *rand.Rand) {
	t.Helper()
	i := rnd.IntN(len(*inbox))
	if _, err := d.Apply((*inbox)[i], crdt.V1); err != nil {
		t.Fatalf("Apply = %v", err)
	}
	if err := d.Check(); err != nil {
		t.Fatal(err)
	}
	*inbox = append((*inbox)[:i:i], (*inbox)[i+1:]...)
}

func describe(t *testing.T, d *crdt.Doc) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintln(&b, d.Text("text"), d.XML("xml"))
	for _, f := range []func() ([]byte, error){
		func() ([]byte, error) { return d.Delta("text") },
		func() ([]byte, error) { return d.JSON("list") },
	} {
		out, err := f()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, string(out))
	}
	return b.String()
}

func randomEdit(tx *crdt.Tx, rnd *rand.Rand) error {
	word := strings.Repeat(string(rune('a'+rnd.IntN(26))), 1+rnd.IntN(4))
	switch rnd.IntN(9) {
	case 0, 1:
		text := tx.Text("text")
		return text.Insert(rnd.IntN(text.Len()+1), word)
	case 2:
		text := tx.Text("text")
		if n := text.Len(); n > 0 {
			at := rnd.IntN(n)
			return text.Delete(at, rnd.IntN(n-at)/2+1)
		}
	case 3:
		text := tx.Text("text")
		if n := text.Len(); n > 0 {
			at := rnd.IntN(n)
			value := []any{true, nil, word}[rnd.IntN(3)]
			return text.Format(at, rnd.IntN(n-at)+1, crdt.Format{Name: []string{"bold", "link"}[rnd.IntN(2)], Value: value})
		}
	case 4:
		text := tx.Text("text")
		at := rnd.IntN(text.Len() + 1)
		if rnd.IntN(2) == 0 {
			return text.InsertEmbed(at, map[string]any{"image": word}, crdt.Format{Name: "width", Value: 5})
		}
		return text.InsertFormatted(at, word, crdt.Format{Name: "bold", Value: true})
	case 5:
		list := tx.Array("list")
		at := rnd.IntN(list.Len() + 1)
		if rnd.IntN(3) == 0 {
			m, err := list.InsertMap(at)
			if err != nil {
				return err
			}
			return m.Set("k", []any{word, 1.5, nil})
		}
		return list.Insert(at, word, []byte(word), rnd.IntN(100), map[string]any{"b": 1, "a": 2})
	case 6:
		list := tx.Array("list")
		if n := list.Len(); n > 0 {
			return list.Delete(rnd.IntN(n), 1)
		}
	case 7:
		xml := tx.XML("xml")
		e, err := xml.InsertElement(rnd.IntN(xml.Len()+1), "p")
		if err != nil {
			return err
		}
		if err := e.SetAttribute("align", word); err != nil {
			return err
		}
		text, err := e.InsertText(0)
		if err != nil {
			return err
		}
		return text.Insert(0, word)
	case 8:
		xml := tx.XML("xml")
		if n := xml.Len(); n > 0 {
			return xml.Delete(rnd.IntN(n), 1)
		}
	}
	return nil
}

func TestEditRefuses(t *testing.T) {
	tests := map[string]struct {
		edit func(*crdt.Tx) error
		want error
	}{
		"insert past end":   {func(tx *crdt.Tx) error { return tx.Text("t").Insert(3, "x") }, crdt.ErrIndex},
		"insert before 0":   {func(tx *crdt.Tx) error { return tx.Text("t").Insert(-1, "x") }, crdt.ErrIndex},
		"delete past end":   {func(tx *crdt.Tx) error { return tx.Text("t").Delete(1, 2) }, crdt.ErrIndex},
		"format past end":   {func(tx *crdt.Tx) error { return tx.Text("t").Format(0, 3, crdt.Format{Name: "b", Value: true}) }, crdt.ErrIndex},
		"broken text":       {func(tx *crdt.Tx) error { return tx.Text("t").Insert(0, "\xff") }, crdt.ErrValue},
		"value of channel":  {func(tx *crdt.Tx) error { return tx.Array("a").Insert(0, make(chan int)) }, crdt.ErrValue},
		"array delete past": {func(tx *crdt.Tx) error { return tx.Array("a").Delete(0, 1) }, crdt.ErrIndex},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := crdt.New(crdt.Options{})
			if _, err := d.Edit(func(tx *crdt.Tx) error { return tx.Text("t").Insert(0, "ab") }); err != nil {
				t.Fatal(err)
			}
			update, err := d.Edit(test.edit)
			if !errors.Is(err, test.want) || update != nil {
				t.Errorf("Edit = %d bytes, %v, want %v and no update", len(update), err, test.want)
			}
			if got := d.Text("t"); got != "ab" {
				t.Errorf("Text = %q, want it unchanged", got)
			}
		})
	}
}
