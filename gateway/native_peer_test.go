package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"

	"weft/crdt"
	native "weft/protocol/client"
)

// joinVerb as the first argument makes the test binary a user of protocol/client instead of a test: it obeys the JSON lines
// of its standard input, and writes what it sees as another one after each change. The tests of client-demo/node-native
// put it into their rooms.
const joinVerb = "join-for-node"

// order is a line of the input; what is left out is not done.
type order struct {
	Insert  string `json:"insert"`  // into the text
	Delete  bool   `json:"delete"`  // a character of the text, if it has one
	At      int    `json:"at"`      // where both happen, modulo what is possible
	Key     string `json:"key"`     // of the map, to be set
	Value   string `json:"value"`   // to that
	Present string `json:"present"` // the name to appear under
}

// view is a line of the output.
type view struct {
	ID    crdt.ClientID                     `json:"id"`
	Text  string                            `json:"text"`
	Map   json.RawMessage                   `json:"map"`
	Peers map[crdt.ClientID]json.RawMessage `json:"peers"`
	Saved bool                              `json:"saved"`
}

// joinForNode takes part in a room until its input ends.
func joinForNode(args []string) error {
	flags := flag.NewFlagSet(joinVerb, flag.ExitOnError)
	url := flags.String("url", "", "")
	name := flags.String("room", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*patience)
	defer cancel()
	c, err := native.Dial(ctx, *url, native.Options{})
	if err != nil {
		return err
	}
	changed := make(chan struct{}, 1)
	poke := func() {
		select {
		case changed <- struct{}{}:
		default: // it will be looked at anyway
		}
	}
	s, err := c.Join(ctx, *name, native.JoinOptions{Events: native.Events{
		Changed: poke, Presence: func([]native.Peer) { poke() }, Saved: func(native.Saved) { poke() },
	}})
	if err != nil {
		return err
	}
	orders := make(chan order)
	ended := make(chan error, 1)
	go func() { // ends with the process
		for d := json.NewDecoder(os.Stdin); ; {
			var o order
			if err := d.Decode(&o); err != nil {
				ended <- err
				return
			}
			orders <- o
		}
	}()
	out := json.NewEncoder(os.Stdout)
	for poke(); ; {
		select {
		case o := <-orders:
			err = o.obey(s)
			poke()
		case <-changed:
			var v view
			if v, err = see(s); err == nil {
				err = out.Encode(v)
			}
		case <-s.Done():
			err = s.Err()
		case err = <-ended:
			if errors.Is(err, io.EOF) {
				return errors.Join(s.Close(ctx), c.Close(ctx))
			}
		}
		if err != nil {
			return err
		}
	}
}

func (o order) obey(s *native.Session) error {
	if o.Present != "" {
		if err := s.SetPresence(map[string]any{"user": map[string]string{"name": o.Present}}); err != nil {
			return err
		}
	}
	if o.Insert == "" && !o.Delete && o.Key == "" {
		return nil
	}
	return s.Edit(func(tx *crdt.Tx) error {
		text := tx.Text("codemirror")
		if o.Delete && text.Len() > 0 {
			if err := text.Delete(o.At%text.Len(), 1); err != nil {
				return err
			}
		}
		if o.Insert != "" {
			if err := text.Insert(o.At%(text.Len()+1), o.Insert); err != nil {
				return err
			}
		}
		if o.Key == "" {
			return nil
		}
		return tx.Map("m").Set(o.Key, o.Value)
	})
}

// see returns what a session sees now.
func see(s *native.Session) (v view, err error) {
	v.ID, v.Saved, v.Peers = s.ClientID(), s.Saved().All(), map[crdt.ClientID]json.RawMessage{}
	for _, p := range s.Peers() {
		v.Peers[p.ID] = p.State
	}
	s.View(func(d *crdt.Doc) {
		v.Text = d.Text("codemirror")
		v.Map, err = d.JSON("m")
	})
	return v, err
}
