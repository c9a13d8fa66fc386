package presence_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weft/crdt/lib0"
	"weft/presence"
)

// epoch is where the tests' clocks start.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// say is one entry of an awareness update; state "" is a removal.
type say struct {
	id    uint64
	clock uint64
	state string
}

// update encodes an awareness update.
func update(entries ...say) []byte {
	b := lib0.AppendUint(nil, uint64(len(entries)))
	for _, e := range entries {
		b = lib0.AppendUint(lib0.AppendUint(b, e.id), e.clock)
		if e.state == "" {
			e.state = "null"
		}
		b = lib0.AppendString(b, e.state)
	}
	return b
}

// parse decodes an awareness update that the table has made.
func parse(t interface{ Fatalf(string, ...any) }, b []byte) (entries []say) {
	d := lib0.NewDecoder(b)
	for range d.Uint() {
		e := say{d.Uint(), d.Uint(), string(d.String())}
		if e.state == "null" {
			e.state = ""
		}
		entries = append(entries, e)
	}
	if d.Err() != nil || d.Len() > 0 {
		t.Fatalf("table made the update %x: %v, %d bytes left", b, d.Err(), d.Len())
	}
	return entries
}

// since returns what Since says, over all chunks.
func since(t *testing.T, tb *presence.Table, version uint64) (entries []say) {
	for _, u := range tb.Since(version) {
		entries = append(entries, parse(t, u)...)
	}
	return entries
}

// all returns what All says, over all chunks.
func all(t *testing.T, tb *presence.Table) (entries []say) {
	for _, u := range tb.All() {
		entries = append(entries, parse(t, u)...)
	}
	return entries
}

func apply(t *testing.T, tb *presence.Table, c presence.ConnID, at time.Duration, entries ...say) presence.Outcome {
	t.Helper()
	out, err := tb.Apply(c, nil, update(entries...), epoch.Add(at))
	if err != nil {
		t.Fatalf("Apply(%d, %v) = %v", c, entries, err)
	}
	return out
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(say{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestFirstStateAtClockZeroIsIgnored(t *testing.T) {
	tb := presence.New(presence.Limits{})
	want(t, "Apply at clock 0", apply(t, tb, 1, 0, say{7, 0, "{}"}), presence.Outcome{Dropped: 1})
	want(t, "Apply at clock 1", apply(t, tb, 1, 0, say{7, 1, "{}"}), presence.Outcome{Changed: true})
	want(t, "All", all(t, tb), []say{{7, 1, "{}"}})
}

func TestClockRules(t *testing.T) {
	tests := []struct {
		label string
		next  say
		out   presence.Outcome
		all   []say
	}{
		{"newer", say{7, 6, `{"a":1}`}, presence.Outcome{Changed: true}, []say{{7, 6, `{"a":1}`}}},
		{"newer with the same state", say{7, 6, "{}"}, presence.Outcome{Renewed: true}, []say{{7, 6, "{}"}}},
		{"equal", say{7, 5, `{"a":1}`}, presence.Outcome{Dropped: 1}, []say{{7, 5, "{}"}}},
		{"older", say{7, 4, `{"a":1}`}, presence.Outcome{Dropped: 1}, []say{{7, 5, "{}"}}},
		{"removal at the same clock", say{7, 5, ""}, presence.Outcome{Changed: true}, nil},
		{"removal at an older clock", say{7, 4, ""}, presence.Outcome{Dropped: 1}, []say{{7, 5, "{}"}}},
		{"removal at a newer clock", say{7, 9, ""}, presence.Outcome{Changed: true}, nil},
		{"clock at the bound", say{7, 1 << 31, "{}"}, presence.Outcome{Renewed: true}, []say{{7, 1 << 31, "{}"}}},
		{"clock over the bound", say{7, 1<<31 + 1, "{}"}, presence.Outcome{Dropped: 1}, []say{{7, 5, "{}"}}},
		{"clock that would freeze the id", say{7, 1<<53 - 1, "{}"}, presence.Outcome{Dropped: 1}, []say{{7, 5, "{}"}}},
		{"null with spaces", say{7, 6, " null\n"}, presence.Outcome{Changed: true}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.label, func(t *testing.T) {
			tb := presence.New(presence.Limits{})
			apply(t, tb, 1, 0, say{7, 5, "{}"})
			want(t, fmt.Sprintf("Apply(%v)", tt.next), apply(t, tb, 1, 0, tt.next), tt.out)
			want(t, "All", all(t, tb), tt.all)
		})
	}
}

func TestForeignEntriesAreDropped(t *testing.T) {
	tb := presence.New(presence.Limits{})
	apply(t, tb, 1, 0, say{7, 5, `"victim"`})
	apply(t, tb, 2, 0, say{8, 1, `"other"`})
	for _, foreign := range []say{{7, 9, `"forged"`}, {7, 5, ""}, {7, 1 << 31, ""}, {7, 5, `"victim"`}} {
		want(t, fmt.Sprintf("Apply(2, %v)", foreign), apply(t, tb, 2, time.Second, foreign), presence.Outcome{Dropped: 1})
	}
	want(t, "All", all(t, tb), []say{{7, 5, `"victim"`}, {8, 1, `"other"`}})
	want(t, "the owner's next state", apply(t, tb, 1, time.Second, say{7, 6, `"here"`}), presence.Outcome{Changed: true})
}

func TestLeaveRemovesAllIdsAtTheirClock(t *testing.T) {
	tb := presence.New(presence.Limits{})
	apply(t, tb, 1, 0, say{7, 5, "1"}, say{8, 3, "2"})
	apply(t, tb, 1, 0, say{8, 4, "3"}) // announced as an update, owned all the same
	apply(t, tb, 2, 0, say{9, 1, "4"})
	v := tb.Version()
	want(t, "Leave", tb.Leave(1, epoch), true)
	want(t, "Since", since(t, tb, v), []say{{8, 4, ""}, {7, 5, ""}})
	want(t, "All", all(t, tb), []say{{9, 1, "4"}})
	want(t, "Leave again", tb.Leave(1, epoch), false)
	want(t, "Live", tb.Live(), 1)
}

func TestEchoDoesNotReviveWhoLeft(t *testing.T) {
	tb := presence.New(presence.Limits{})
	apply(t, tb, 1, 0, say{7, 5, "1"})
	apply(t, tb, 2, 0, say{9, 1, "2"})
	tb.Leave(1, epoch)
	want(t, "echo of the last state", apply(t, tb, 2, time.Second, say{7, 5, "1"}), presence.Outcome{Dropped: 1})
	want(t, "echo of the removal", apply(t, tb, 2, time.Second, say{7, 5, ""}), presence.Outcome{Dropped: 1})
	want(t, "All", all(t, tb), []say{{9, 1, "2"}})
}

func TestReconnectWithTheSameID(t *testing.T) {
	tb := presence.New(presence.Limits{})
	apply(t, tb, 1, 0, say{7, 5, "1"})
	tb.Leave(1, epoch)
	// y-websocket announces itself with the clock it had: the others have seen the
	// removal at that clock, and the client must be told.
	out := apply(t, tb, 2, time.Second, say{7, 5, "1"})
	want(t, "Apply with the old clock", out, presence.Outcome{Stale: []presence.ClientID{7}})
	want(t, "what the client is sent", parse(t, tb.Append(nil, out.Stale...)), []say{{7, 5, ""}})
	want(t, "its answer", apply(t, tb, 2, time.Second, say{7, 6, "1"}), presence.Outcome{Changed: true})
	want(t, "Leave", tb.Leave(2, epoch.Add(2*time.Second)), true)
}

func TestForgottenAfterThirtySeconds(t *testing.T) {
	tb := presence.New(presence.Limits{})
	apply(t, tb, 1, 0, say{7, 5, "1"})
	tb.Leave(1, epoch)
	tb.Tick(epoch.Add(29 * time.Second))
	want(t, "old clock after 29 s", apply(t, tb, 2, 29*time.Second, say{7, 5, "1"}).Stale, []presence.ClientID{7})
	tb.Tick(epoch.Add(30 * time.Second))
	want(t, "old clock after 30 s", apply(t, tb, 2, 30*time.Second, say{7, 5, "1"}), presence.Outcome{Changed: true})
}

func TestUnrenewedStatesExpire(t *testing.T) {
	tb := presence.New(presence.Limits{})
	apply(t, tb, 1, 0, say{7, 5, "1"})
	apply(t, tb, 2, 0, say{8, 5, "1"})
	apply(t, tb, 2, 15*time.Second, say{8, 6, "1"})
	want(t, "Tick at 44 s", tb.Tick(epoch.Add(44*time.Second)), false)
	v := tb.Version()
	want(t, "Tick at 45 s", tb.Tick(epoch.Add(45*time.Second)), true)
	want(t, "Since", since(t, tb, v), []say{{7, 5, ""}})
	// A client that is still there answers its removal with the next clock.
	want(t, "Apply", apply(t, tb, 1, 46*time.Second, say{7, 6, "1"}), presence.Outcome{Changed: true})
}

func TestTabThatWasRelayedGetsItsID(t *testing.T) {
	tb := presence.New(presence.Limits{})
	apply(t, tb, 1, 0, say{7, 1, "1"})
	apply(t, tb, 1, 0, say{8, 1, `"tab 2 through tab 1"`})
	want(t, "tab 2 itself", apply(t, tb, 2, time.Second, say{8, 2, `"tab 2"`}), presence.Outcome{Changed: true})
	want(t, "relay by tab 1", apply(t, tb, 1, time.Second, say{8, 3, `"late"`}), presence.Outcome{Dropped: 1})
	tb.Leave(1, epoch.Add(time.Second))
	want(t, "All", all(t, tb), []say{{8, 2, `"tab 2"`}})
}

func TestTabThatWasRelayedWithAnOldClock(t *testing.T) {
	tb := presence.New(presence.Limits{})
	apply(t, tb, 1, 0, say{7, 1, "1"}, say{8, 4, "2"})
	v := tb.Version()
	want(t, "tab 2 itself", apply(t, tb, 2, time.Second, say{8, 4, "2"}).Changed, true)
	want(t, "Since", since(t, tb, v), []say{{8, 4, ""}}) // which makes tab 2 announce clock 5
	want(t, "its answer", apply(t, tb, 2, time.Second, say{8, 5, "2"}), presence.Outcome{Changed: true})
}

func TestClaimOfALiveConnFails(t *testing.T) {
	tb := presence.New(presence.Limits{})
	apply(t, tb, 1, 0, say{7, 5, `"victim"`})
	want(t, "claim", apply(t, tb, 2, time.Minute, say{7, 6, `"thief"`}), presence.Outcome{Probe: []presence.ConnID{1}})
	want(t, "repeated claim", apply(t, tb, 2, time.Minute, say{7, 7, `"thief"`}), presence.Outcome{})
	tb.Heard(1, epoch.Add(time.Minute+100*time.Millisecond))
	want(t, "Tick", tb.Tick(epoch.Add(time.Minute+6*time.Second)), true) // the victim's state has expired
	apply(t, tb, 1, time.Minute+7*time.Second, say{7, 6, `"victim"`})
	want(t, "All", all(t, tb), []say{{7, 6, `"victim"`}})
	want(t, "thief", apply(t, tb, 2, time.Minute+8*time.Second, say{7, 9, `"thief"`}), presence.Outcome{Dropped: 1})
	// It may have the id when nobody else wants it, but never against its owner.
	tb.Leave(1, epoch.Add(2*time.Minute))
	apply(t, tb, 2, 2*time.Minute, say{7, 9, `"thief"`})
	want(t, "owner is back", apply(t, tb, 3, 2*time.Minute, say{7, 10, `"victim"`}), presence.Outcome{Changed: true})
	want(t, "All", all(t, tb), []say{{7, 10, `"victim"`}})
}

func TestClaimIsDeniedWhenALiveOwnerLeaves(t *testing.T) {
	tb := presence.New(presence.Limits{})
	apply(t, tb, 1, 0, say{7, 5, `"victim"`})
	apply(t, tb, 2, time.Second, say{7, 6, `"thief"`})
	tb.Heard(1, epoch.Add(2*time.Second))
	want(t, "Leave", tb.Leave(1, epoch.Add(3*time.Second)), true)
	want(t, "All", all(t, tb), []say(nil))
}

func TestClaimOfASilentConnSucceeds(t *testing.T) {
	for _, tt := range []struct {
		label string
		clock uint64
		since []say
	}{
		{"with a newer clock", 6, []say{{7, 6, `"me"`}}},
		{"with the old clock", 5, []say{{7, 5, ""}}},
	} {
		t.Run(tt.label, func(t *testing.T) {
			tb := presence.New(presence.Limits{})
			apply(t, tb, 1, 0, say{7, 5, `"me"`})
			apply(t, tb, 2, 10*time.Second, say{7, tt.clock, `"me"`})
			want(t, "Tick after 4 s", tb.Tick(epoch.Add(14*time.Second)), false)
			v := tb.Version()
			want(t, "Tick after 5 s", tb.Tick(epoch.Add(15*time.Second)), true)
			want(t, "Since", since(t, tb, v), tt.since)
			want(t, "the new conn", apply(t, tb, 2, 16*time.Second, say{7, 7, `"on"`}), presence.Outcome{Changed: true})
			want(t, "Leave of the old conn", tb.Leave(1, epoch.Add(17*time.Second)), false)
			want(t, "All", all(t, tb), []say{{7, 7, `"on"`}})
		})
	}
}

func TestClaimIsGrantedWhenTheOwnerLeaves(t *testing.T) {
	tb := presence.New(presence.Limits{})
	apply(t, tb, 1, 0, say{7, 5, `"me"`})
	apply(t, tb, 2, time.Second, say{7, 6, `"me again"`})
	want(t, "Leave", tb.Leave(1, epoch.Add(2*time.Second)), true)
	want(t, "All", all(t, tb), []say{{7, 6, `"me again"`}})
}

func TestClaimEndsWithItsConn(t *testing.T) {
	tb := presence.New(presence.Limits{})
	apply(t, tb, 1, 0, say{7, 5, `"me"`})
	apply(t, tb, 2, time.Second, say{7, 6, `"thief"`})
	tb.Leave(2, epoch.Add(2*time.Second))
	want(t, "Tick", tb.Tick(epoch.Add(20*time.Second)), false)
	want(t, "Leave", tb.Leave(1, epoch.Add(20*time.Second)), true)
	want(t, "All", all(t, tb), []say(nil))
}

func TestIDDrivenToTheLastClockStaysUsable(t *testing.T) {
	tb := presence.New(presence.Limits{})
	apply(t, tb, 1, 0, say{1, 1, "1"})
	apply(t, tb, 1, 0, say{7, 1 << 31, `"squatter"`})
	apply(t, tb, 2, 0, say{7, 3, `"owner"`}) // its own id: the squatter loses it, the owner sees the removal
	want(t, "All", all(t, tb), []say{{1, 1, "1"}})
	want(t, "Apply", apply(t, tb, 2, 0, say{7, 1<<31 + 1, `"owner"`}), presence.Outcome{Changed: true})
}

func TestLimits(t *testing.T) {
	t.Run("ids of one conn", func(t *testing.T) {
		tb := presence.New(presence.Limits{})
		var flood []say
		for id := range uint64(200_000) {
			flood = append(flood, say{id + 1, 1, "{}"})
		}
		want(t, "Apply", apply(t, tb, 1, 0, flood...), presence.Outcome{Changed: true, Dropped: 200_000 - 8})
		want(t, "Live", tb.Live(), 8)
		apply(t, tb, 2, 0, say{500_000, 1, "{}"})
		want(t, "Live with somebody else", tb.Live(), 9)
	})
	t.Run("size of a state", func(t *testing.T) {
		tb := presence.New(presence.Limits{State: 10})
		want(t, "10 bytes", apply(t, tb, 1, 0, say{1, 1, `"12345678"`}), presence.Outcome{Changed: true})
		want(t, "11 bytes", apply(t, tb, 1, 0, say{1, 2, `"123456789"`}), presence.Outcome{Dropped: 1})
	})
	t.Run("depth of a state", func(t *testing.T) {
		nested := func(n int) string { return strings.Repeat(`[{"a":`, n/2) + "1" + strings.Repeat("}]", n/2) }
		tb := presence.New(presence.Limits{State: 1 << 20})
		want(t, "depth 100", apply(t, tb, 1, 0, say{1, 1, nested(100)}), presence.Outcome{Changed: true})
		want(t, "depth 102", apply(t, tb, 1, 0, say{1, 2, nested(102)}), presence.Outcome{Dropped: 1})
		want(t, "depth 50,000", apply(t, tb, 1, 0, say{1, 2, nested(50_000)}), presence.Outcome{Dropped: 1})
		want(t, "brackets in a string", apply(t, tb, 1, 0, say{1, 2, `"\"` + strings.Repeat("[", 500) + `"`}), presence.Outcome{Changed: true})
	})
}

// TestManyIDsInOneMessage is what y-protocols never forgets: a message about
// 200,000 people.
func TestManyIDsInOneMessage(t *testing.T) {
	tb := presence.New(presence.Limits{})
	apply(t, tb, 1, 0, say{1 << 40, 5, `"victim"`})
	entries := make([]say, 200_000)
	for i := range entries {
		entries[i] = say{uint64(i), 1, `"x"`}
	}
	many := update(entries...)
	before := heap()
	out, err := tb.Apply(2, nil, many, epoch)
	if err != nil || out.Dropped != 200_000-8 || tb.Live() != 9 {
		t.Errorf("Apply of 200,000 ids = %+v, %v with %d people, want all but 8 dropped and 9 people", out, err, tb.Live())
	}
	if grown := heap() - before; grown > 64<<10 {
		t.Errorf("a message about 200,000 people leaves %d bytes behind, want next to nothing", grown)
	}
	runtime.KeepAlive(many)
	tb.Leave(2, epoch)
	tb.Tick(epoch.Add(30 * time.Second))
	want(t, "All when it has left", all(t, tb), []say{{1 << 40, 5, `"victim"`}})
	want(t, "the victim's next state", apply(t, tb, 1, 0, say{1 << 40, 6, `"still here"`}), presence.Outcome{Changed: true})
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestInvalidUpdatesChangeNothing(t *testing.T) {
	tests := []struct {
		label  string
		update []byte
	}{
		{"nothing", nil},
		{"count without entries", []byte{5}},
		{"count of 2^31", lib0.AppendUint(nil, 1<<31)},
		{"byte too many", append(update(say{1, 2, "{}"}), 0)},
		{"cut off", update(say{1, 2, "{}"})[:5]},
		{"id over 2^53", append([]byte{1}, bytes.Repeat([]byte{0xff}, 8)...)},
		{"clock not canonical", []byte{1, 7, 0x82, 0, 2, '{', '}'}},
		{"not UTF-8", update(say{1, 2, "\"\xff\""})},
		{"empty state", []byte{1, 7, 2, 0}},
		{"not JSON", update(say{1, 2, "{a:1}"})},
		{"two JSON values", update(say{1, 2, "{}{}"})},
		{"second entry not JSON", update(say{1, 2, "{}"}, say{9, 1, "x"})},
	}
	for _, tt := range tests {
		t.Run(tt.label, func(t *testing.T) {
			tb := presence.New(presence.Limits{})
			apply(t, tb, 1, 0, say{1, 1, `"before"`})
			v := tb.Version()
			if _, err := tb.Apply(1, nil, tt.update, epoch); !errors.Is(err, presence.ErrInvalid) {
				t.Errorf("Apply(%x) = %v, want ErrInvalid", tt.update, err)
			}
			want(t, "All", all(t, tb), []say{{1, 1, `"before"`}})
			want(t, "Version", tb.Version(), v)
		})
	}
}

func TestEmptyUpdate(t *testing.T) {
	tb := presence.New(presence.Limits{})
	want(t, "Apply of nobody", apply(t, tb, 1, 0), presence.Outcome{})
	want(t, "All", tb.All(), [][]byte(nil))
	want(t, "Since", tb.Since(0), [][]byte(nil))
}

func TestChunksStayEchoable(t *testing.T) {
	tb := presence.New(presence.Limits{})
	state := `"` + strings.Repeat("x", 500) + `"`
	var want []say
	for id := uint64(1); id <= 1000; id++ {
		apply(t, tb, presence.ConnID(id), 0, say{id, 1, state})
		want = append(want, say{id, 1, state})
	}
	for _, u := range tb.All() {
		if len(u) > 12<<10+8 {
			t.Errorf("All has an update of %d bytes, want at most 12 KiB", len(u))
		}
	}
	if diff := cmp.Diff(want, all(t, tb), cmp.AllowUnexported(say{})); diff != "" {
		t.Errorf("All (-want +got):\n%s", diff)
	}
}

func FuzzApply(f *testing.F) {
	f.Add(update(say{7, 1, "{}"}, say{8, 2, ""}))
	f.Add(update(say{7, 6, `{"user":{"name":"Ada"}}`}))
	f.Add([]byte{1, 7, 0x82, 0, 2, '{', '}'})
	f.Fuzz(func(t *testing.T, b []byte) {
		tb := presence.New(presence.Limits{})
		for c := presence.ConnID(1); c <= 2; c++ {
			if _, err := tb.Apply(c, nil, update(say{uint64(c), 5, `"here"`}), epoch); err != nil {
				t.Fatal(err)
			}
		}
		_, err := tb.Apply(1, nil, b, epoch)
		if err != nil && !errors.Is(err, presence.ErrInvalid) {
			t.Fatalf("Apply(%x) = %v, want ErrInvalid", b, err)
		}
		victim := false
		entries := all(&testing.T{}, tb)
		for _, e := range entries {
			victim = victim || e == say{2, 5, `"here"`}
		}
		if !victim {
			t.Fatalf("Apply(1, %x) changed the state of conn 2: %v", b, entries)
		}
		if tb.Live() != len(entries) || tb.Live() > 9 {
			t.Fatalf("Apply(1, %x): %d live, %d in All, want at most 8 of conn 1 and 1 of conn 2", b, tb.Live(), len(entries))
		}
	})
}
