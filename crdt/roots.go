package crdt

import "slices"

// A Root is a root type that a document has.
type Root struct {
	Name string
	// Kind is what Options.Types declares, Untyped for other roots.
	Kind Kind
	// Likely is Kind, or for an untyped root what its content suggests: no
	// update tells the type of a root. An empty one is Untyped here too.
	Likely Kind
}

// Roots returns the roots that are declared or that somebody wrote to, sorted
// by name in UTF-16 code units. It looks at the beginning of each only.
func (d *Doc) Roots() []Root {
	out := make([]Root, 0, len(d.roots))
	for name, t := range d.roots {
		out = append(out, Root{d.names.text[name], d.types[t].kind, d.likely(t)})
	}
	slices.SortFunc(out, func(a, b Root) int { return compareUTF16(a.Name, b.Name) })
	return out
}

// likelySteps is the number of items that likely looks at: after as many
// deleted ones nothing is known. It was guessed.
const likelySteps = 1000

// likely guesses the kind of a root.
func (d *Doc) likely(t int32) Kind {
	if d.types[t].kind != Untyped {
		return d.types[t].kind
	}
	steps := 0
	guess := Untyped
	for r := d.first(t); r != 0 && steps < likelySteps; r, steps = d.items.at(r).right, steps+1 {
		switch it := d.items.at(r); it.kind() {
		case kindString, kindFormat, kindEmbed:
			return Text
		case kindAny, kindJSON, kindBinary, kindDoc:
			return Array
		case kindType:
			switch d.types[it.body].kind {
			case XMLElement, XMLText, XMLHook:
				return XMLFragment
			}
			return Array
		case kindDeleted:
			guess = Array // something stood here, in a sequence of some sort
		}
	}
	if d.types[t].entry != noList {
		return Map
	}
	return guess
}

// String returns the name of the kind as Yjs has it, without its Y, and
// Untyped for a root that nobody declared.
func (k Kind) String() string {
	names := [...]string{"Array", "Map", "Text", "XmlElement", "XmlFragment", "XmlHook", "XmlText"}
	if int(k) < len(names) {
		return names[k]
	}
	return "Untyped"
}

// AllJSON returns the whole document in JSON: an object with what [Doc.JSON]
// returns for each root, by the order of Roots. ErrDepth means that types nest
// too deeply.
func (d *Doc) AllJSON() ([]byte, error) {
	x := exporter{d: d}
	x.out = append(x.out, '{')
	for i, root := range d.Roots() {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		x.out = append(appendJSString(x.out, []byte(root.Name)), ':')
		x.typ(d.rootType(root.Name), 0)
	}
	x.out = append(x.out, '}')
	return x.out, x.err
}
