package crdttest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Scenario is one session of several authors and what real Yjs says about its updates. A live scenario may leave
// out fields that were not asked for; those are zero here.
//
// Unless a field says otherwise, its server is a Y.Doc with gc on that declares the four roots text (Text),
// arr (Array), map (Map) and xml (XmlFragment).
type Scenario struct {
	Seed    uint64   `json:"seed"`
	Kind    []string `json:"kind"`    // families of edits: text, fmt, arr, map, xml, sub
	Astral  bool     `json:"astral"`  // texts have characters of two UTF-16 units
	GC      bool     `json:"gc"`      // authors' docs collect garbage
	Undo    bool     `json:"undo"`    // authors have an UndoManager
	Clients []uint64 `json:"clients"` // ids of the authors, up to 2^53-1
	Updates []Update `json:"updates"` // in the order of their making

	// Final is the server that applied Updates in order and whose text is observed by one that reads each event's
	// delta. In Yjs that reading deletes redundant formatting, so its bytes differ from Untyped's at times.
	Final State `json:"final"`
	// TextEvents[i] lists the deltas that update i caused on the root text: nil for none.
	TextEvents [][]json.RawMessage `json:"textEvents"`
	// Untyped is the server that declares no roots and so cleans up no formatting: what a y-websocket server is.
	// SV and View are zero in recorded scenarios.
	Untyped State `json:"untyped"`
	// NoGC is the server with gc off. SV and View are zero in recorded scenarios.
	NoGC State `json:"noGC"`

	Shuffled    Shuffled    `json:"shuffled"`
	Mid         Mid         `json:"mid"`
	Merged      Merged      `json:"merged"`
	Convert     Convert     `json:"convert"`
	RelPos      []RelPos    `json:"relpos"`
	SnapshotMid SnapshotMid `json:"snapshotMid"`
	Versions    []Moments   `json:"versions"` // only when asked for

	// Raw is the line that the scenario was read from, without its newline.
	Raw []byte `json:"-"`
}

// Update is one transaction of an author, in both encodings.
type Update struct {
	Author int    `json:"c"` // index into Clients
	V1     []byte `json:"v1"`
	V2     []byte `json:"v2"`
}

// State is a server at the end.
type State struct {
	View         View   `json:"view"`
	SV           []byte `json:"sv"`
	V1           []byte `json:"v1"` // encodeStateAsUpdate
	V2           []byte `json:"v2"` // encodeStateAsUpdateV2
	Snapshot     []byte `json:"snapshot"`
	SVFromUpdate []byte `json:"svFromUpdate"` // encodeStateVectorFromUpdate(V1)
}

// View is what a reader sees of the four roots. What JSON lacks is written {"$undef":1}, {"$negzero":1},
// {"$bigint":"decimal"} or {"$u8":"base64"}; NaN and infinities are null, a subdocument is {}, a shared type inside
// Delta is its toJSON.
type View struct {
	Text    string          `json:"text"`
	Delta   json.RawMessage `json:"delta"`
	Arr     json.RawMessage `json:"arr"`
	Map     json.RawMessage `json:"map"`
	XML     string          `json:"xml"`
	Subdocs []string        `json:"subdocs"` // guids, sorted
}

// Shuffled is a server that applied the updates in another order.
type Shuffled struct {
	Order []int  `json:"order"` // indexes into Updates
	Half  Half   `json:"half"`
	V1    []byte `json:"v1"`
	V2    []byte `json:"v2"`
}

// Half is the server of Shuffled while it waits for missing updates.
type Half struct {
	At      int         `json:"at"` // Order[0] to Order[At] were applied, At included
	SV      []byte      `json:"sv"`
	V1      []byte      `json:"v1"` // with what is pending
	V2      []byte      `json:"v2"`
	Missing [][2]uint64 `json:"missing"` // client, clock, by client; nil: no struct is pending
	// PendingStructsV2 and PendingDeletesV2 are Yjs' own pending updates, nil for none.
	PendingStructsV2 []byte `json:"pendingStructsV2"`
	PendingDeletesV2 []byte `json:"pendingDsV2"`
	View             View   `json:"view"`
}

// Mid is the server of Final after the first After updates, and the way from there to Final.
type Mid struct {
	After           int    `json:"after"`
	SV              []byte `json:"sv"`
	V1              []byte `json:"v1"`
	DiffFromFinal   []byte `json:"diffFromFinal"` // encodeStateAsUpdate(final, SV)
	DiffFromFinalV2 []byte `json:"diffFromFinalV2"`
	DiffUpdate      []byte `json:"diffUpdate"` // diffUpdate(Final.V1, SV)
}

// Merged are mergeUpdates over all updates; V1Shuffled takes them in the order of Shuffled.
type Merged struct {
	V1         []byte `json:"v1"`
	V2         []byte `json:"v2"`
	V1Shuffled []byte `json:"v1Shuffled"`
}

// Convert are Final.V1 and Final.V2, each converted to the other encoding.
type Convert struct {
	V1toV2 []byte `json:"v1toV2"`
	V2toV1 []byte `json:"v2toV1"`
}

// RelPos is a relative position made at Index of Final's text, and the index it resolves to there.
type RelPos struct {
	Index   int    `json:"idx"`
	Assoc   int    `json:"assoc"`
	Encoded []byte `json:"enc"`
	Abs     int    `json:"abs"`
}

// SnapshotMid is the snapshot of NoGC after After updates and the doc restored from it at the end.
type SnapshotMid struct {
	After int    `json:"after"`
	V1    []byte `json:"v1"`
	V2    []byte `json:"v2"`
	View  View   `json:"view"`
}

// Moments is what NoGC shows of the past: how the root text changed between two moments, and the elements of the
// root array and map at one of them.
type Moments struct {
	At    *int            `json:"at"`    // number of updates that were applied; nil: the end
	Since *int            `json:"since"` // nil: not compared
	User  bool            `json:"user"`  // changes are marked with the author
	Delta json.RawMessage `json:"delta"`
	Arr   json.RawMessage `json:"arr"` // shared types are the string type
	Map   json.RawMessage `json:"map"`
}

// Name is what -run finds a scenario by, as in "1003/arr+map".
func (s *Scenario) Name() string {
	return fmt.Sprintf("%d/%s", s.Seed, strings.Join(s.Kind, "+"))
}

// Has reports whether the families of edits include kind.
func (s *Scenario) Has(kind string) bool {
	return slices.Contains(s.Kind, kind)
}

func parseScenario(line []byte) (*Scenario, error) {
	s := &Scenario{Raw: line}
	if err := json.Unmarshal(line, s); err != nil {
		return nil, fmt.Errorf("parse scenario: %w", err)
	}
	if len(s.Updates) == 0 || len(s.Clients) == 0 {
		return nil, fmt.Errorf("scenario %d has %d updates of %d authors", s.Seed, len(s.Updates), len(s.Clients))
	}
	return s, nil
}
