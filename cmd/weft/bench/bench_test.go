package bench

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weft/crdt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// anyLatency is a limit that nothing passes: these tests are about what arrives, not about when.
const anyLatency = time.Hour

// smallDocument is one for join that the race detector bears.
var smallDocument = sync.OnceValues(func() ([]byte, error) { return makeDocument(5000) })

// small is a load that a slow machine bears.
func small(t *testing.T, url, protocol string, scenarios ...string) Options {
	t.Helper()
	document, err := smallDocument()
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Document: document,
		URL:      url, Protocol: protocol, Scenarios: scenarios, Clients: 12, Writers: 3, Rooms: 3, PerRoom: 4, Rate: 100, MaxRate: 100,
		Step: 100 * time.Millisecond, Limit: anyLatency, Patience: 2 * time.Minute, CatchUp: 2 * time.Minute,
	}
}

func TestHonestServer(t *testing.T) {
	r := startRelay(t, &relay{})
	o := small(t, r.url, "yws", Scenarios()...)
	progress := new(strings.Builder)
	o.Progress = progress
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatalf("Run = %v, want nil", err)
	}
	checkHonest(t, report)
	if progress.Len() == 0 {
		t.Error("nothing was told while it ran")
	}
}

// checkHonest checks the report of small on a server that keeps its promises.
func checkHonest(t *testing.T, report *Report) {
	t.Helper()
	if len(report.Results) != len(scenarios) {
		t.Fatalf("%d results, want %d", len(report.Results), len(scenarios))
	}
	for i, s := range report.Results {
		if s.Faults.Any() || s.Scenario != Scenarios()[i] {
			t.Errorf("result %d is of %s with faults %q, want %s with none", i, s.Scenario, s.Faults, Scenarios()[i])
		}
	}
	if !report.OK() {
		t.Error("OK = false, want true")
	}
	// 12 records a step, of 3 writers to 11 others each; 3 rooms of 4 who write to 3 others each.
	fan, rooms := report.Results[0].Ladder, report.Results[1].Ladder
	if n := fan.Steps[0].Latency.Count; n != 12*11 || fan.Best != 100 {
		t.Errorf("fanout delivered %d updates and found %v/s, want %d and 100", n, fan.Best, 12*11)
	}
	if n := rooms.Steps[0].Latency.Count; n != 12*3 {
		t.Errorf("rooms delivered %d updates, want %d", n, 12*3)
	}
	if s := report.Results[3].Storm; s.Synced.Count != 12 {
		t.Errorf("storm synced %d clients, want 12", s.Synced.Count)
	}
	// One in the room with the document, one in the large room, and 10 in rooms of 4.
	if o := report.Results[4].Reconnect; o.Synced.Count != 12 || o.Again != 6 || o.Killed || o.Refused != 0 || len(o.Rooms) != 3 || o.Rooms[2].Rooms != 3 {
		t.Errorf("reconnect found %+v, want 12 clients synced in rooms of three sizes, 6 of them with a vector", o)
	}
	if j := report.Results[5].Join; j.Synced.Count != 12 || j.BytesEach < int64(j.Document)/2 {
		t.Errorf("join synced %d times with %d bytes, want 12 with about %d", j.Synced.Count, j.BytesEach, j.Document)
	}
	if a := report.Results[6].Awareness; a.Latency.Count < 12*11/2 {
		t.Errorf("awareness showed %d states, want at least %d", a.Latency.Count, 12*11/2)
	}
	if s := report.Results[7].Slow; s.CaughtUp != 4 || s.CutOff != 0 {
		t.Errorf("slow: %d caught up and %d were cut off, want 4 and 0", s.CaughtUp, s.CutOff)
	}
	text := new(strings.Builder)
	if err := report.WriteText(text); err != nil {
		t.Fatal(err)
	}
	for _, name := range Scenarios() {
		if !strings.Contains(text.String(), "\n"+name) {
			t.Errorf("the text says nothing of %s:\n%s", name, text)
		}
	}
	b, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"server_cpu"`) {
		t.Errorf("the JSON lacks the server's CPU: %s", b)
	}
}

// TestMischief lets a server do each thing that the generator must notice, to one update of the four of one writer, for
// one client.
func TestMischief(t *testing.T) {
	at := func(which int, change func(u []byte) [][]byte) func(int, []byte) [][]byte {
		return func(n int, u []byte) [][]byte {
			if n == which {
				return change(u)
			}
			return [][]byte{u}
		}
	}
	drop := func([]byte) [][]byte { return nil }
	var held []byte // guarded by the relay's lock
	for _, c := range []struct {
		name     string
		mischief func(n int, u []byte) [][]byte
		want     func(*Faults) *int64
	}{
		{"drop one", at(2, drop), missing},
		{"drop the last", at(4, drop), missing},
		{"reorder", func(n int, u []byte) [][]byte {
			switch n {
			case 2:
				held = slices.Clone(u)
				return nil
			case 3:
				return [][]byte{u, held}
			}
			return [][]byte{u}
		}, gaps},
		{"invent", at(2, func(u []byte) [][]byte { return [][]byte{u, appendUpdate(nil, 4711, rootName(4711), 0, 1)} }), invented},
		{"invent more of a writer", at(4, func(u []byte) [][]byte {
			id, clock := authorOf(t, u)
			return [][]byte{u, appendUpdate(nil, id, rootName(id), clock+1, 1)}
		}), invented},
		{"alter", at(2, func(u []byte) [][]byte {
			u = slices.Clone(u)
			u[len(u)-2] = '!'
			return [][]byte{u}
		}), invented},
		{"garble", at(2, func(u []byte) [][]byte { return [][]byte{u[:len(u)-3]} }), unreadable},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := startRelay(t, &relay{mischief: c.mischief})
			o := small(t, r.url, "yws", "fanout")
			o.CatchUp = 300 * time.Millisecond
			report, err := Run(t.Context(), o)
			if err != nil {
				t.Fatalf("Run = %v, want nil", err)
			}
			f := report.Results[0].Faults
			if report.OK() || *c.want(&f) == 0 {
				t.Errorf("faults = %q, want the one that was committed", f)
			}
		})
	}
}

// authorOf returns who wrote an update with one record, and its clock.
func authorOf(t *testing.T, u []byte) (id uint64, clock int64) {
	if _, err := readUpdate(u, func(r run) { id, clock = r.id, r.clock }); err != nil {
		t.Error(err)
	}
	return id, clock
}

// TestRepeatsAreNoFault checks what Yjs clients put up with: an update that comes twice.
func TestRepeatsAreNoFault(t *testing.T) {
	r := startRelay(t, &relay{mischief: func(_ int, u []byte) [][]byte { return [][]byte{u, u} }})
	report, err := Run(t.Context(), small(t, r.url, "yws", "fanout"))
	if err != nil {
		t.Fatalf("Run = %v, want nil", err)
	}
	if !report.OK() {
		t.Errorf("faults = %q, want none", report.Results[0].Faults)
	}
}

func TestRefusedClients(t *testing.T) {
	r := startRelay(t, &relay{greet: []byte{typeAuth, 0, 2, 'n', 'o'}})
	_, err := Run(t.Context(), small(t, r.url, "yws", "fanout"))
	if err == nil || !strings.Contains(err.Error(), `refused: "no"`) {
		t.Errorf("Run = %v, want an error with the reason", err)
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		want string
	}{
		{"no URL", Options{Protocol: "yws", Scenarios: []string{"idle"}}, "no URL"},
		{"no scenario", Options{URL: "ws://localhost", Protocol: "yws"}, "no scenario"},
		{"unknown scenario", Options{URL: "ws://localhost", Protocol: "yws", Scenarios: []string{"hover"}}, "hover"},
		{"unknown protocol", Options{URL: "ws://localhost", Protocol: "smtp", Scenarios: []string{"idle"}}, "smtp"},
	} {
		if report, err := Run(t.Context(), c.o); report != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Run(%s) = %v, %v, want no report and an error with %q", c.name, report, err, c.want)
		}
	}
}

func TestMadeDocument(t *testing.T) {
	b, err := makeDocument(20_000)
	if err != nil {
		t.Fatal(err)
	}
	d := crdt.New(crdt.Options{})
	if _, err := d.Apply(b, crdt.V1); err != nil {
		t.Fatalf("Apply = %v, want nil", err)
	}
	const want = 20_000 * (documentTyped - documentDeleted) / documentTyped
	if n := len(d.Text("content")); n < want*9/10 || n > want*11/10 {
		t.Errorf("the text has %d characters, want about %d", n, want)
	}
}
