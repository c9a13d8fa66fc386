package crdt_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"weft/crdt"
	"weft/crdt/crdttest"
)

// TestLocalOracle makes the edits that yjs made, through the shared types of
// Edit and an UndoManager, and compares every update byte for byte.
func TestLocalOracle(t *testing.T) {
	seed := crdttest.Seed(t, 980_000)
	crdttest.EachSession(t, crdttest.LocalSessions(t, seed, *seedCount), localDir, checkLocal)
}

// localDir holds sessions that once failed; they are fixed cases from then on.
const localDir = "testdata/local"

// TestLocalKept replays sessions that once failed.
func TestLocalKept(t *testing.T) {
	crdttest.EachSession(t, crdttest.KeptSessions[crdttest.LocalSession](t, localDir), "", checkLocal)
}

func checkLocal(t *testing.T, s *crdttest.LocalSession) {
	d := crdt.New(crdt.Options{ClientID: crdt.ClientID(s.Client), Types: roots, KeepDeleted: !s.GC})
	var updates [][]byte
	deltas := []any{}
	o := crdt.Observer{Update: func(c crdt.Change) { updates = append(updates, c.Update) }}
	if s.Events {
		o.Type = func(e *crdt.Event) {
			if e.Target() == crdt.RootID("text") {
				deltas = append(deltas, markedOps(e.Delta()))
			}
		}
	}
	d.Observe(o)
	timeout := time.Duration(-1)
	if s.Join {
		timeout = 24 * time.Hour
	}
	scope := []crdt.TypeID{crdt.RootID("text"), crdt.RootID("arr"), crdt.RootID("map"), crdt.RootID("xml")}
	u := crdt.NewUndoManager(d, crdt.UndoOptions{Scope: scope, CaptureTimeout: timeout})
	for i, step := range s.Steps {
		updates, deltas = nil, []any{}
		if err := play(d, u, &step); err != nil {
			t.Fatalf("step %d, %s = %v", i, step.Op, err)
		}
		if err := d.Check(); err != nil {
			t.Fatalf("step %d, %s: %v", i, step.Op, err)
		}
		if !slices.EqualFunc(updates, step.Updates, slices.Equal[[]byte]) {
			t.Fatalf("step %d, %s %s: updates\n%x, want\n%x", i, step.Op, mustJSON(t, step.Edits), updates, step.Updates)
		}
		if diff := crdttest.DiffJSON(mustJSON(t, step.Deltas), mustJSON(t, deltas)); diff != "" {
			t.Fatalf("step %d, %s: deltas %s", i, step.Op, diff)
		}
		if undo, redo := u.Steps(); undo != step.Undo || redo != step.Redo {
			t.Fatalf("step %d, %s: Steps = %d, %d, want %d, %d", i, step.Op, undo, redo, step.Undo, step.Redo)
		}
	}
	checkState(t, d, crdttest.State{V1: s.V1})
	checkMarkedView(t, d, s.View)
}

func play(d *crdt.Doc, u *crdt.UndoManager, step *crdttest.LocalStep) error {
	switch step.Op {
	case "edit":
		_, err := d.Edit(func(tx *crdt.Tx) error {
			for _, e := range step.Edits {
				if err := edit(tx, e); err != nil {
					return fmt.Errorf("%s at %v: %w", e.Edit, e.Path, err)
				}
			}
			return nil
		})
		return err
	case "apply":
		_, err := d.ApplyFrom("network", step.Update, crdt.V1)
		return err
	case "undo":
		u.Undo()
	case "redo":
		u.Redo()
	case "stop":
		u.StopCapturing()
	}
	return nil
}

// at returns the shared type at a path.
func at(tx *crdt.Tx, path []any) any {
	var v any
	switch path[0] {
	case "text":
		v = tx.Text("text")
	case "arr":
		v = tx.Array("arr")
	case "map":
		v = tx.Map("map")
	case "xml":
		v = tx.XML("xml")
	}
	for _, step := range path[1:] {
		switch t := v.(type) {
		case crdt.SharedArray:
			v, _ = t.Get(int(step.(float64)))
		case crdt.SharedMap:
			v, _ = t.Get(step.(string))
		case crdt.SharedHook:
			v, _ = t.Get(step.(string))
		case crdt.SharedXML:
			v, _ = t.Child(int(step.(float64)))
		}
	}
	return v
}

// arguments decodes the arguments of an edit.
type arguments []json.RawMessage

func arg[T any](a arguments, i int) T {
	var v T
	if err := json.Unmarshal(a[i], &v); err != nil {
		panic(err)
	}
	return v
}

func (a arguments) formats(i int) []crdt.Format {
	var out []crdt.Format
	for _, name := range []string{"bold", "color", "link"} {
		if v, ok := arg[map[string]any](a, i)[name]; ok {
			out = append(out, crdt.Format{Name: name, Value: v})
		}
	}
	return out
}

func edit(tx *crdt.Tx, e crdttest.LocalEdit) error {
	name := arg[string](e.Edit, 0)
	a := arguments(e.Edit[1:])
	switch t := at(tx, e.Path).(type) {
	case crdt.SharedText:
		return editText(t, name, a)
	case crdt.SharedArray:
		return editArray(t, name, a)
	case crdt.SharedMap:
		return editMap(t, name, a)
	case crdt.SharedHook:
		return editMap(t.SharedMap, name, a)
	case crdt.SharedXML:
		return editXML(t, name, a)
	default:
		return fmt.Errorf("no shared type but %T", t)
	}
}

// kinds are the names of make in local.mjs.
var kinds = map[string]crdt.Kind{
	"text": crdt.Text, "array": crdt.Array, "map": crdt.Map, "fragment": crdt.XMLFragment,
	"element": crdt.XMLElement, "xmlText": crdt.XMLText, "hook": crdt.XMLHook,
}

func editText(t crdt.SharedText, name string, a arguments) error {
	switch name {
	case "insert":
		return t.Insert(arg[int](a, 0), arg[string](a, 1))
	case "insertf":
		return t.InsertFormatted(arg[int](a, 0), arg[string](a, 1), a.formats(2)...)
	case "embed":
		return t.InsertEmbed(arg[int](a, 0), arg[any](a, 1), a.formats(2)...)
	case "embedType":
		_, err := t.EmbedType(arg[int](a, 0), kinds[arg[string](a, 1)], "p", a.formats(2)...)
		return err
	case "tidy":
		t.Tidy()
		return nil
	case "attr":
		return t.SetAttribute(arg[string](a, 0), arg[any](a, 1))
	case "delete":
		return t.Delete(arg[int](a, 0), arg[int](a, 1))
	case "delta":
		return t.ApplyDelta(arg[[]crdt.Op](a, 0))
	case "format":
		return t.Format(arg[int](a, 0), arg[int](a, 1), a.formats(2)...)
	}
	return fmt.Errorf("edit %q of a text", name)
}

func editArray(t crdt.SharedArray, name string, a arguments) (err error) {
	switch name {
	case "insert":
		return t.Insert(arg[int](a, 0), arg[[]any](a, 1)...)
	case "insertType":
		switch at := arg[int](a, 0); arg[string](a, 1) {
		case "text":
			_, err = t.InsertText(at)
		case "array":
			_, err = t.InsertArray(at)
		case "map":
			_, err = t.InsertMap(at)
		case "fragment":
			_, err = t.InsertXML(at)
		default:
			_, err = t.InsertType(at, kinds[arg[string](a, 1)], "p")
		}
		return err
	case "push":
		return t.Push(arg[[]any](a, 0)...)
	case "unshift":
		return t.Unshift(arg[[]any](a, 0)...)
	case "delete":
		return t.Delete(arg[int](a, 0), arg[int](a, 1))
	}
	return fmt.Errorf("edit %q of an array", name)
}

func editMap(t crdt.SharedMap, name string, a arguments) (err error) {
	if name == "clear" {
		t.Clear()
		return nil
	}
	key := arg[string](a, 0)
	switch name {
	case "unset":
		t.Delete(key)
		return nil
	case "set":
		return t.Set(key, arg[any](a, 1))
	case "setDoc":
		return t.SetDoc(key, crdt.Subdoc{GUID: arg[string](a, 1)})
	case "setType":
		switch arg[string](a, 1) {
		case "text":
			_, err = t.SetText(key)
		case "array":
			_, err = t.SetArray(key)
		case "map":
			_, err = t.SetMap(key)
		case "fragment":
			_, err = t.SetXML(key)
		default:
			_, err = t.SetType(key, kinds[arg[string](a, 1)], "p")
		}
		return err
	}
	return fmt.Errorf("edit %q of a map", name)
}

func editXML(t crdt.SharedXML, name string, a arguments) (err error) {
	switch name {
	case "element":
		_, err = t.InsertElement(arg[int](a, 0), arg[string](a, 1))
	case "after":
		var ref any
		if at := arg[int](a, 0); at >= 0 {
			ref, _ = t.Child(at)
		}
		_, err = t.InsertAfter(ref, kinds[arg[string](a, 1)], "p")
	case "text":
		_, err = t.InsertText(arg[int](a, 0))
	case "hook":
		_, err = t.InsertHook(arg[int](a, 0), arg[string](a, 1))
	case "attr":
		err = t.SetAttribute(arg[string](a, 0), arg[any](a, 1))
	case "delete":
		err = t.Delete(arg[int](a, 0), arg[int](a, 1))
	default:
		err = fmt.Errorf("edit %q of XML", name)
	}
	return err
}
