package room

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"weft/crdt"
	"weft/persistence"
	"weft/protocol"
)

// load reads a room from the store. A room whose stored bytes are damaged, have
// a gap or cannot be decoded is Quarantined; other failures may pass and are Internal. took
// is the time without the wait for its turn.
func (g *Registry) load(sl *slot) (r *room, replayed int, took time.Duration, failed *protocol.CloseError) {
	select {
	case g.loading <- struct{}{}:
		defer func() { <-g.loading }()
	case <-g.ctx.Done():
		return nil, 0, 0, protocol.Draining.Closef("the server stops")
	}
	begun := time.Now()
	r, replayed, failed = g.loadNow(sl)
	return r, replayed, time.Since(begun), failed
}

// loadNow is load without the wait for its turn.
func (g *Registry) loadNow(sl *slot) (r *room, replayed int, failed *protocol.CloseError) {
	stored, err := g.o.Store.Load(g.ctx, sl.name)
	_, damaged := errors.AsType[*persistence.DamageError](err)
	switch {
	case damaged:
		return nil, 0, &protocol.CloseError{Reason: protocol.Quarantined, Cause: err}
	case err != nil && !errors.Is(err, persistence.ErrNotFound):
		return nil, 0, &protocol.CloseError{Reason: protocol.Internal, Detail: "load room", Cause: err}
	}
	if after, before, gap := stored.Gap(); gap {
		return nil, 0, protocol.Quarantined.Closef("the updates between %v and %v are not on the disk", after, before)
	}
	doc, left, err := g.replay(sl.name, stored)
	if err != nil {
		return nil, 0, &protocol.CloseError{Reason: protocol.Quarantined, Detail: "replay room", Cause: err}
	}
	if left > 0 {
		g.o.Events.Leftover(sl.name, left)
	}
	return newRoom(g, sl, doc, stored), len(stored.Tail), nil
}

// replay builds the document from what is stored. left counts the bytes of
// updates that build on others which are not there: the store was told about
// them, but never confirmed an update in front of them, so that nobody was ever
// told they are saved; whoever wrote them still has them.
func (g *Registry) replay(name string, stored persistence.Stored) (doc *crdt.Doc, left int, err error) {
	// The bytes are our own, but a document that makes the decoder panic must
	// not do so at every join.
	defer func() {
		if v := recover(); v != nil {
			g.o.Events.Panicked(name, v, debug.Stack(), nil)
			doc, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	doc = crdt.New(crdt.Options{
		KeepDeleted:   g.o.KeepDeleted,
		ReturnPending: true,
		Limits:        g.o.Limits.Doc,
	})
	var rest [][]byte
	apply := func(update []byte, v crdt.Version) error {
		a, err := doc.Load(update, v) // what was accepted once is not refused for its size
		if a.Rest != nil {
			rest = append(rest, a.Rest)
		}
		return err
	}
	if len(stored.Snapshot.State) > 0 {
		if err := apply(stored.Snapshot.State, crdt.V2); err != nil {
			return nil, 0, fmt.Errorf("snapshot at %v: %w", stored.Snapshot.Pos, err)
		}
	}
	for _, rec := range stored.Tail {
		if err := apply(rec.Update, crdt.V1); err != nil {
			return nil, 0, fmt.Errorf("update %v: %w", rec.Pos, err)
		}
	}
	for again := true; again && len(rest) > 0; {
		waiting := rest
		rest, again = nil, false
		for _, u := range waiting {
			a, err := doc.Load(u, crdt.V1)
			if err != nil {
				return nil, 0, fmt.Errorf("leftover of an update: %w", err)
			}
			if a.Rest != nil {
				rest = append(rest, a.Rest)
			}
			again = again || a.Changed
		}
	}
	for _, u := range rest {
		left += len(u)
	}
	return doc, left, nil
}
