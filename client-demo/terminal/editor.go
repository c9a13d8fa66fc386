package main

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"weft/crdt"
	"weft/protocol/client"
)

// root is the text that the browser demo's code editor is bound to (client-demo/web/src/room.ts).
const root = "codemirror"

// editor is a document with a caret. One goroutine uses it; news may be received by another.
type editor struct {
	client  *client.Client
	session *client.Session
	user    user
	news    chan struct{} // holds one when something may have changed

	// Used only while the session's document is.
	undo  *crdt.UndoManager
	caret crdt.RelativePosition
	fresh bool // nobody has moved the caret in this document: it is at its beginning

	notes chan string // what the user should be told; the oldest is dropped when four wait
}

func newEditor(set settings) (*editor, error) {
	e := &editor{news: make(chan struct{}, 1), notes: make(chan string, 4), user: user{Name: cleanName(set.name), Color: set.color}}
	o := set.options()
	o.Status = func(client.Status) { e.tell() }
	var err error
	if e.client, err = client.New(set.url, o); err != nil {
		return nil, err
	}
	e.session, err = e.client.Open(set.room, client.JoinOptions{Attach: e.attach, Events: client.Events{
		Changed: e.tell, Live: func(bool) { e.tell() }, Saved: func(client.Saved) { e.tell() }, Presence: func([]client.Peer) { e.tell() },
		Access: func(a client.Access) {
			if !a.Write {
				e.note("this room may only be read: " + a.Reason)
			}
			e.tell()
		},
		Discarded: func(d client.Discarded) { e.note(fmt.Sprintf("%d edits were taken back: %v", d.Edits, d.Err)) },
		Refused:   func(r *client.RefusedError) { e.note(r.Error()) },
	}})
	if err != nil {
		return nil, err
	}
	if !colourPattern.MatchString(e.user.Color) {
		e.user.Color = colourOf(e.session.ClientID())
	}
	e.announce()
	return e, nil
}

// attach takes a local copy of the document.
func (e *editor) attach(d *crdt.Doc) {
	e.undo = crdt.NewUndoManager(d, crdt.UndoOptions{Scope: []crdt.TypeID{crdt.RootID(root)}})
	e.fresh = true
}

func (e *editor) close(ctx context.Context) error { return e.client.Close(ctx) }

func (e *editor) tell() {
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// note keeps a sentence for the user.
func (e *editor) note(text string) {
	for {
		select {
		case e.notes <- text:
			e.tell()
			return
		default:
		}
		select {
		case <-e.notes:
		default:
		}
	}
}

// picture is everything that can be seen, at one moment. Offsets are in bytes of text.
type picture struct {
	text   string
	caret  int
	others []other
	saved  client.Saved
	status client.Status
	live   bool
	err    error // the session's end
}

// other is somebody else in the room.
type other struct {
	person
	caret int // -1: nowhere
}

// look takes a picture.
func (e *editor) look() picture {
	p := picture{saved: e.session.Saved(), status: e.client.Status(), live: e.session.Live(), err: e.session.Err()}
	peers := e.session.Peers()
	e.session.View(func(d *crdt.Doc) {
		p.text = d.Text(root)
		p.caret = byteOffset(p.text, e.index(d))
		for _, peer := range peers {
			o := other{person: personOf(peer), caret: -1}
			if o.head != nil {
				if in, index, ok := d.Resolve(*o.head); ok && in == crdt.RootID(root) {
					o.caret = byteOffset(p.text, index)
				}
			}
			p.others = append(p.others, o)
		}
	})
	return p
}

// index returns where the caret is in the document.
func (e *editor) index(d *crdt.Doc) int {
	if e.fresh {
		return 0
	}
	_, index, ok := d.Resolve(e.caret)
	if !ok {
		return 0
	}
	return index
}

// place moves the caret.
func (e *editor) place(d *crdt.Doc, index int) {
	if at, err := d.RelativePosition(crdt.RootID(root), index, 0); err == nil {
		e.caret, e.fresh = at, false
	}
}

// insert types text at the caret.
func (e *editor) insert(text string) error {
	text = strings.ToValidUTF8(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n"), "\uFFFD")
	return e.change(func(d *crdt.Doc) error {
		at := e.index(d)
		_, err := d.Edit(func(tx *crdt.Tx) error { return tx.Text(root).Insert(at, text) })
		if err == nil {
			e.place(d, at+units(text))
		}
		return err
	})
}

// remove deletes n characters before the caret, or behind it when n is negative.
func (e *editor) remove(n int) error {
	return e.change(func(d *crdt.Doc) error {
		text := d.Text(root)
		at := byteOffset(text, e.index(d))
		to := step(text, at, -n)
		from := min(at, to)
		cut := text[from:max(at, to)]
		if cut == "" {
			return nil
		}
		_, err := d.Edit(func(tx *crdt.Tx) error { return tx.Text(root).Delete(units(text[:from]), units(cut)) })
		if err == nil {
			e.place(d, units(text[:from]))
		}
		return err
	})
}

// undoLast takes the last own step back, redoLast brings it again.
func (e *editor) undoLast() error { return e.history(func(u *crdt.UndoManager) { u.Undo() }) }
func (e *editor) redoLast() error { return e.history(func(u *crdt.UndoManager) { u.Redo() }) }

func (e *editor) history(f func(*crdt.UndoManager)) error {
	return e.change(func(*crdt.Doc) error {
		f(e.undo)
		return nil
	})
}

func (e *editor) change(f func(*crdt.Doc) error) error {
	err := e.session.Change(f)
	e.announce()
	return err
}

// move changes the caret's place in the text by a function of byte offsets.
func (e *editor) move(to func(text string, at int) int) {
	e.session.View(func(d *crdt.Doc) {
		text := d.Text(root)
		at := to(text, byteOffset(text, e.index(d)))
		e.place(d, units(text[:at]))
	})
	_ = e.session.Change(func(*crdt.Doc) error { // what is typed here is another step to undo
		e.undo.StopCapturing()
		return nil
	})
	e.announce()
}

// announce says where the caret is.
func (e *editor) announce() {
	s := state{User: e.user}
	e.session.View(func(d *crdt.Doc) {
		at := e.caret
		if e.fresh { // before whatever comes
			at, _ = d.RelativePosition(crdt.RootID(root), 0, -1) // a root always has a beginning
		}
		s.Cursor = &cursor{Anchor: at, Head: at}
	})
	if err := e.session.SetPresence(s); err != nil {
		e.note(err.Error())
	}
}

// Places to move to.

func left(text string, at int) int  { return step(text, at, -1) }
func right(text string, at int) int { return step(text, at, 1) }

// step goes n characters, as people count them, to the right.
func step(text string, at, n int) int {
	for ; n > 0 && at < len(text); n-- {
		cluster, _, _, _ := uniseg.FirstGraphemeClusterInString(text[at:], -1)
		at += len(cluster)
	}
	for ; n < 0 && at > 0; n++ {
		// Clusters do not reach over line ends, so the line is enough to find the last one.
		start := strings.LastIndexByte(text[:at-1], '\n') + 1
		last := start
		for i := start; i < at; {
			cluster, _, _, _ := uniseg.FirstGraphemeClusterInString(text[i:at], -1)
			last, i = i, i+len(cluster)
		}
		at = last
	}
	return at
}

// units returns the length of a string in UTF-16 code units, which the document counts.
func units(s string) (n int) {
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// byteOffset returns where the code unit at index is in text; the end, when there is none.
func byteOffset(text string, index int) int {
	at := 0
	for at < len(text) && index > 0 {
		r, size := utf8.DecodeRuneInString(text[at:])
		if index -= utf16.RuneLen(r); index < 0 {
			break
		}
		at += size
	}
	return at
}
