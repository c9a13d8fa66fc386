// Package crdt holds documents of the Yjs family: it decodes their updates,
// integrates them exactly as yjs 13 does, and encodes state, differences and
// state vectors to the same bytes.
//
// A [Doc] owns one document. It is not safe for concurrent use: one goroutine
// owns it. A Doc keeps no pointer to a slice it was given and hands out none
// of its own memory; every function says where that differs. Lengths and
// indexes of text are UTF-16 code units, as everywhere in Yjs; clocks count
// the same units.
//
// Every update goes the same way, whatever its encoding: it is decoded and
// checked whole into blocks (decode_v1.go, decode_v2.go), integrated by the
// YATA rules (integrate.go), and the transaction is closed by collecting
// deleted content and merging neighbours in the order yjs does it
// (transaction.go). An update that is refused leaves the document as it was.
//
// Programs change a document through the shared types of a transaction
// ([Doc.Edit]), read it there, in [Doc.View] or by its exports, and are told of
// changes by [Doc.Observe]. [UndoManager], [Snapshot] and [RelativePosition] work
// as in yjs; a document that uses none of them does not pay for them.
//
// Structs live in arenas without pointers (store.go), so that the garbage
// collector has nothing to scan, and contents stay in their encoded form
// (content.go), so that they are written back byte for byte.
//
// The format and the algorithm follow yjs 13.6.33 (src/structs/Item.js,
// src/utils/{Transaction,encoding,updates,DeleteSet,StructStore}.js); YATA is
// Nicolaescu et al., "Near Real-Time Peer-to-Peer Shared Editing on Extensible
// Data Types", GROUP 2016.
package crdt

import (
	"errors"
	"fmt"
	"math/rand/v2"
)

// A ClientID names one author session of a document. Yjs 13 draws it at
// random from 32 bits, Yjs 14 from 53.
type ClientID uint64

// A Version is one of the two encodings of an update.
type Version uint8

// The encodings: V1 is what providers exchange, V2 packs into columns and is
// about half the size for a whole document.
const (
	V1 Version = 1
	V2 Version = 2
)

// Errors that callers may tell apart; every refused update matches ErrInvalid or ErrLimit.
var (
	// ErrInvalid means that the bytes are not a well-formed update.
	ErrInvalid = errors.New("invalid update")
	// ErrLimit means that the update is larger in some respect than Limits allows.
	ErrLimit = errors.New("update over limit")
)

// Options configures a Doc. The zero value is a document as a Yjs server keeps it.
type Options struct {
	// ClientID authors the edits made through Edit; 0 draws a random one.
	ClientID ClientID
	// KeepDeleted keeps the content of deleted structs (yjs: gc false), which
	// snapshots of earlier states need.
	KeepDeleted bool
	// ReturnPending hands the part of an update that misses its dependencies
	// back in Applied.Rest. Otherwise it is kept in the document, as yjs does,
	// and becomes part of its encodings.
	ReturnPending bool
	// Types declares root types by name. A root that is not declared stays
	// untyped, as on a Yjs server that never calls getText: its formatting is
	// then not tidied up after a remote change.
	Types map[string]Kind
	// Limits bounds what one update may cost.
	Limits Limits
}

// Applied tells what Apply did.
type Applied struct {
	// Changed is true when something was integrated or deleted.
	Changed bool
	// Update holds what was integrated, in the version given to Apply. It
	// aliases the input when all of it was used, and is nil when !Changed.
	Update []byte
	// Rest is a V1 update with what could not be integrated yet, nil when
	// there is none or the document keeps it (see Options.ReturnPending).
	Rest []byte
	// Missing holds, for Rest, a clock of each client that must be passed
	// before a retry can succeed.
	Missing StateVector
}

// A Doc is one document. Use New.
type Doc struct {
	// Static after construction.
	opts Options

	// The document.
	items   items
	clients []client
	byID    map[ClientID]int32
	recent  [2]int32 // last client looked up, by parity of the id
	order   []int32  // clients by descending id; sorted when its length equals len(clients)
	names   names
	types   []typ
	roots   map[int32]int32  // name -> type
	entries map[uint64]int32 // type<<32|key -> list
	lists   []list
	pending pending
	redone  redone      // what an UndoManager restored, nil for nothing
	opened  map[id]bool // subdocuments that observers were told to load

	// Onlookers.
	watch   *watch // nil: nobody observes
	frozen  bool   // inside View or an observer
	editing bool   // inside Edit

	// Scratch of one call, kept for its memory.
	tx      transaction
	msg     message
	app     applier
	enc     encoderV2
	ranges  []deletion
	caret   caret
	marks   marks
	asked   asked
	local   Tx       // of Edit
	out     []byte   // an update on its way out
	spelled []byte   // names of the item that is being written
	hot     siblings // kept from one call to the next
	yata
}

// New returns an empty document.
func New(o Options) *Doc {
	o.Limits = o.Limits.withDefaults()
	for o.ClientID == 0 {
		o.ClientID = ClientID(rand.Uint32())
	}
	d := &Doc{opts: o}
	d.reset()
	return d
}

// reset empties the document.
func (d *Doc) reset() {
	d.items = items{}
	d.clients, d.order = nil, nil
	d.byID = map[ClientID]int32{}
	d.recent = [2]int32{-1, -1}
	d.names = names{index: map[string]int32{}}
	d.types, d.lists = nil, nil
	d.roots, d.entries = map[int32]int32{}, map[uint64]int32{}
	d.pending = pending{}
	d.opened = nil
	d.hot = siblings{}
	d.caret, d.marks, d.asked = caret{}, marks{}, asked{typ: -1}
	for name, kind := range d.opts.Types {
		d.types[d.root(d.names.intern([]byte(name)))].kind = kind
	}
}

// ClientID returns the id under which Edit writes. It changes when an update
// shows that somebody else uses the same one.
func (d *Doc) ClientID() ClientID { return d.opts.ClientID }

// invalidf returns an error that matches ErrInvalid.
func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}

// limitf returns an error that matches ErrLimit.
func limitf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrLimit, fmt.Errorf(format, args...))
}
