//go:build js && wasm

// Command wasm is the document engine for JavaScript: built with GOOS=js
// GOARCH=wasm it defines globalThis.weftCRDT, which weft.mjs wraps. It runs on
// JavaScript's one thread, so that documents need no locks.
package main

import (
	"syscall/js"

	"weft/crdt"
)

// docs are the open documents by the number that JavaScript knows them by.
type docs map[int]*crdt.Doc

func main() {
	d := docs{}
	next := 0
	js.Global().Set("weftCRDT", map[string]any{
		"open": js.FuncOf(func(_ js.Value, args []js.Value) any {
			next++
			d[next] = crdt.New(options(args[0]))
			return next
		}),
		"close":       js.FuncOf(func(_ js.Value, args []js.Value) any { delete(d, args[0].Int()); return nil }),
		"apply":       function(d.apply),
		"state":       function(d.state),
		"stateVector": function(d.stateVector),
		"export":      function(d.export),
		"merge":       function(merge),
		"diff":        function(diff),
		"convert":     function(convert),
	})
	select {} // the functions live as long as the program
}

// function wraps f so that JavaScript gets what it returns, or an Error to throw.
func function(f func([]js.Value) (any, error)) js.Func {
	return js.FuncOf(func(_ js.Value, args []js.Value) any {
		v, err := f(args)
		if err != nil {
			return js.Global().Get("Error").New(err.Error())
		}
		return v
	})
}

// options reads {keepDeleted, types: {name: number of the kind}}.
func options(v js.Value) crdt.Options {
	o := crdt.Options{KeepDeleted: v.Get("keepDeleted").Truthy()}
	types := v.Get("types")
	if types.IsUndefined() {
		return o
	}
	o.Types = map[string]crdt.Kind{}
	names := js.Global().Get("Object").Call("keys", types)
	for i := range names.Length() {
		name := names.Index(i).String()
		o.Types[name] = crdt.Kind(types.Get(name).Int())
	}
	return o
}

func (d docs) apply(args []js.Value) (any, error) {
	a, err := d[args[0].Int()].Apply(bytes(args[1]), version(args[2]))
	return a.Changed, err
}

func (d docs) state(args []js.Value) (any, error) {
	var since crdt.StateVector
	if !args[2].IsUndefined() {
		var err error
		if since, err = crdt.DecodeStateVector(bytes(args[2])); err != nil {
			return nil, err
		}
	}
	return array(d[args[0].Int()].AppendDiff(nil, since, version(args[1]))), nil
}

func (d docs) stateVector(args []js.Value) (any, error) {
	return array(d[args[0].Int()].AppendStateVector(nil)), nil
}

// export returns a root as text, delta, json or xml.
func (d docs) export(args []js.Value) (any, error) {
	doc, root := d[args[0].Int()], args[1].String()
	switch args[2].String() {
	case "text":
		return doc.Text(root), nil
	case "xml":
		return doc.XML(root), nil
	case "delta":
		b, err := doc.Delta(root)
		return string(b), err
	}
	b, err := doc.JSON(root)
	return string(b), err
}

func merge(args []js.Value) (any, error) {
	updates := make([][]byte, args[0].Length())
	for i := range updates {
		updates[i] = bytes(args[0].Index(i))
	}
	b, err := crdt.MergeUpdates(version(args[1]), updates...)
	return array(b), err
}

func diff(args []js.Value) (any, error) {
	since, err := crdt.DecodeStateVector(bytes(args[1]))
	if err != nil {
		return nil, err
	}
	b, err := crdt.DiffUpdate(bytes(args[0]), since, version(args[2]))
	return array(b), err
}

func convert(args []js.Value) (any, error) {
	b, err := crdt.ConvertUpdate(bytes(args[0]), version(args[1]), version(args[2]))
	return array(b), err
}

func version(v js.Value) crdt.Version { return crdt.Version(v.Int()) }

func bytes(v js.Value) []byte {
	b := make([]byte, v.Length())
	js.CopyBytesToGo(b, v)
	return b
}

func array(b []byte) js.Value {
	v := js.Global().Get("Uint8Array").New(len(b))
	js.CopyBytesToJS(v, b)
	return v
}
