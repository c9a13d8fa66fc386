package presence_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weft/presence"
)

var (
	ada    = presence.User{ID: "u1", Name: "Ada"}
	nobody = presence.User{}
)

// stamped returns the state that others see when a conn of u announces state.
func stamped(t interface{ Fatalf(string, ...any) }, u presence.User, state string) string {
	tb := presence.New(presence.Limits{})
	if _, err := tb.Apply(1, presence.NewIdentity(u, true), update(say{7, 1, state}), epoch); err != nil {
		t.Fatalf("Apply(%s) = %v", state, err)
	}
	entries := parse(t, tb.All()[0])
	return entries[0].state
}

func TestStampedStates(t *testing.T) {
	tests := []struct {
		label string
		user  presence.User
		state string
		want  string
	}{
		{"no user field", ada, `{"cursor":{"a":1}}`, `{"cursor":{"a":1},"user":{"id":"u1","name":"Ada"}}`},
		{"empty state", ada, `{}`, `{"user":{"id":"u1","name":"Ada"}}`},
		{"color stays", ada, `{"user":{"name":"Eve","color":"#f00","id":"u2"},"x":[1,{"user":3}]}`, `{"x":[1,{"user":3}],"user":{"color":"#f00","id":"u1","name":"Ada"}}`},
		{"white space", ada, " {\t\"user\" : { \"color\" : 1.5e3 } , \"y\" : null }\n", `{"y":null,"user":{"color":1.5e3,"id":"u1","name":"Ada"}}`},
		{"user is no object", ada, `{"user":"Eve"}`, `{"user":{"id":"u1","name":"Ada"}}`},
		{"user twice", ada, `{"user":{"id":"u2"},"user":{"id":"u3","c":1},"z":1}`, `{"z":1,"user":{"c":1,"id":"u1","name":"Ada"}}`},
		{"escaped names", ada, `{"\u0075ser":{"id":"u2"},"us\u0065r":{"\u0069d":"u2","n\u0061me":"Eve"}}`, `{"user":{"id":"u1","name":"Ada"}}`},
		{"braces and quotes in strings", ada, `{"a":"}\"{,","user":{"t":"\\"},"b":"\\\""}`, `{"a":"}\"{,","b":"\\\"","user":{"t":"\\","id":"u1","name":"Ada"}}`},
		{"no object", ada, `"text"`, `"text"`},
		{"list", ada, `[{"user":{"id":"u2"}}]`, `[{"user":{"id":"u2"}}]`},
		{"name missing in the token", presence.User{ID: "u1"}, `{"user":{"name":"Eve"}}`, `{"user":{"id":"u1","name":"u1"}}`},
		{"nobody keeps no identity", nobody, `{"user":{"id":"u1","name":"Ada","color":"red"},"c":1}`, `{"c":1,"user":{"color":"red"}}`},
		{"nobody without a user field", nobody, `{"c":1}`, `{"c":1}`},
		{"nobody with a text", nobody, `{"user":"Ada","c":1}`, `{"c":1}`},
		{"markup in a name", presence.User{ID: `"}`, Name: "</script>\n"}, `{}`, `{"user":{"id":"\"}","name":"\u003c/script\u003e\n"}}`},
	}
	for _, tt := range tests {
		t.Run(tt.label, func(t *testing.T) {
			if got := stamped(t, tt.user, tt.state); got != tt.want {
				t.Errorf("state %s of %v is relayed as %s, want %s", tt.state, tt.user, got, tt.want)
			}
		})
	}
}

func TestLongNamesAreCut(t *testing.T) {
	got := stamped(t, presence.User{ID: "u", Name: strings.Repeat("ü", 1000)}, `{}`)
	if len(got) > 300 || !utf8.ValidString(got) || !json.Valid([]byte(got)) {
		t.Errorf("a name of 2,000 bytes makes a state of %d bytes, valid: %v", len(got), json.Valid([]byte(got)))
	}
}

// TestStampIsWhatDecodersSee compares with a decoder that works as JSON.parse
// does: the last of equal names counts.
func TestStampIsWhatDecodersSee(t *testing.T) {
	names := []string{`"user"`, `"\u0075ser"`, `"id"`, `"i\u0064"`, `"name"`, `"color"`, `"ü"`, `"a\\"`, `"\"user\""`}
	rapid.Check(t, func(t *rapid.T) {
		var value func(depth int) string
		value = func(depth int) string {
			if depth == 0 || rapid.Bool().Draw(t, "leaf") {
				return rapid.SampledFrom([]string{`1`, `-2.5e7`, `"x"`, `"}{,:\""`, `true`, `null`, `[]`, `{}`}).Draw(t, "value")
			}
			space := rapid.SampledFrom([]string{"", " ", "\n\t"}).Draw(t, "space")
			var parts []string
			for range rapid.IntRange(0, 4).Draw(t, "members") {
				parts = append(parts, space+rapid.SampledFrom(names).Draw(t, "name")+space+":"+space+value(depth-1)+space)
			}
			return "{" + strings.Join(parts, ",") + space + "}"
		}
		state := "{" + strings.TrimPrefix(value(3), "{")
		if !json.Valid([]byte(state)) {
			state = `{"user":` + value(3) + `}`
		}
		user := ada
		if rapid.Bool().Draw(t, "nobody") {
			user = nobody
		}
		got := stamped(t, user, state)
		var before, after map[string]any
		if err := json.Unmarshal([]byte(state), &before); err != nil {
			t.Fatalf("%s: %v", state, err)
		}
		if err := json.Unmarshal([]byte(got), &after); err != nil {
			t.Fatalf("stamped %s is %s: %v", state, got, err)
		}
		who, isObject := before["user"].(map[string]any)
		delete(before, "user")
		switch {
		case user == ada:
			if !isObject {
				who = map[string]any{}
			}
			who["id"], who["name"] = "u1", "Ada"
			before["user"] = who
		case isObject:
			delete(who, "id")
			delete(who, "name")
			before["user"] = who
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("stamped %s is %s (-want +got):\n%s", state, got, diff)
		}
	})
}

func FuzzStamp(f *testing.F) {
	f.Add([]byte(`{"user":{"id":"u2","color":"red"},"\u0075ser":1}`))
	f.Add([]byte(`{"a":[{},"}"],"user":[[]]}`))
	f.Fuzz(func(t *testing.T, state []byte) {
		tb := presence.New(presence.Limits{})
		if _, err := tb.Apply(1, presence.NewIdentity(ada, true), update(say{7, 1, string(state)}), epoch); err != nil || tb.Live() == 0 {
			return
		}
		got := parse(t, tb.All()[0])[0].state
		if !json.Valid([]byte(got)) {
			t.Fatalf("stamped %q is %q, which is not JSON", state, got)
		}
		var after map[string]any
		if got[0] != '{' {
			return
		}
		err := json.Unmarshal([]byte(got), &after)
		user, _ := after["user"].(map[string]any)
		if err != nil || user["id"] != "u1" || user["name"] != "Ada" {
			t.Fatalf("stamped %q is %q: %v, want the user", state, got, err)
		}
	})
}

func TestRenewedStampedStateIsARenewal(t *testing.T) {
	tb := presence.New(presence.Limits{})
	who := presence.NewIdentity(ada, true)
	for clock := range uint64(2) {
		out, err := tb.Apply(1, who, update(say{7, clock + 1, `{"x":1}`}), epoch)
		if err != nil {
			t.Fatal(err)
		}
		want(t, fmt.Sprint("Apply at clock ", clock+1), out, presence.Outcome{Changed: clock == 0, Renewed: clock == 1})
	}
}

// TestTakeoverByTheSameUser reconnects while the old conn is not known to be dead.
func TestTakeoverByTheSameUser(t *testing.T) {
	me, other := presence.NewIdentity(ada, false), presence.NewIdentity(presence.User{ID: "u2"}, false)
	announce := func(tb *presence.Table, c presence.ConnID, who *presence.Identity, s say) presence.Outcome {
		t.Helper()
		out, err := tb.Apply(c, who, update(s), epoch.Add(time.Second))
		if err != nil {
			t.Fatalf("Apply(%d, %v) = %v", c, s, err)
		}
		return out
	}
	tests := []struct {
		label string
		who   *presence.Identity
		next  say
		out   presence.Outcome
		after []say // what the others see when the old conn has left
	}{
		{"newer state", me, say{7, 6, "2"}, presence.Outcome{Changed: true}, []say{{7, 6, "2"}}},
		{"the state they have", me, say{7, 5, "1"}, presence.Outcome{}, []say{{7, 5, "1"}}},
		{"another state with the old clock", me, say{7, 5, "2"}, presence.Outcome{Probe: []presence.ConnID{1}}, nil},
		{"another user", other, say{7, 6, "2"}, presence.Outcome{Dropped: 1}, nil},
		{"nobody", nil, say{7, 6, "2"}, presence.Outcome{Probe: []presence.ConnID{1}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.label, func(t *testing.T) {
			tb := presence.New(presence.Limits{})
			announce(tb, 1, me, say{7, 5, "1"})
			want(t, "Apply", announce(tb, 2, tt.who, tt.next), tt.out)
			tb.Leave(1, epoch.Add(time.Second))
			want(t, "All after the old conn left", all(t, tb), tt.after)
		})
	}
}

// TestTwoConnsOfOneUserWithOneID is a page that is connected twice: the id may
// change hands with every state, but nothing is removed, which would make the
// page answer for ever.
func TestTwoConnsOfOneUserWithOneID(t *testing.T) {
	tb := presence.New(presence.Limits{})
	me := presence.NewIdentity(ada, true)
	for clock := uint64(1); clock < 20; clock++ {
		for c := presence.ConnID(1); c <= 2; c++ {
			v := tb.Version()
			out, err := tb.Apply(c, me, update(say{7, clock, fmt.Sprintf(`{"n":%d}`, clock)}), epoch)
			if err != nil || len(out.Stale)+len(out.Probe)+out.Dropped > 0 {
				t.Fatalf("Apply(%d) at clock %d = %+v, %v, want no trouble", c, clock, out, err)
			}
			if sent := since(t, tb, v); c == 2 && len(sent) != 0 {
				t.Errorf("the second conn's word at clock %d makes the others hear %v, want nothing", clock, sent)
			}
		}
	}
	want(t, "Leave of the conn that does not own it", tb.Leave(1, epoch), false)
	want(t, "Leave of the owner", tb.Leave(2, epoch), true)
}

// TestIDOfAnotherUserIsRefused lets Eve announce an id of Ada's in every way that
// would give it to her if nobody knew who they are.
func TestIDOfAnotherUserIsRefused(t *testing.T) {
	me, eve := presence.NewIdentity(ada, false), presence.NewIdentity(presence.User{ID: "u2"}, false)
	at := epoch.Add(time.Second)
	announce := func(t *testing.T, tb *presence.Table, c presence.ConnID, who *presence.Identity, entries ...say) presence.Outcome {
		t.Helper()
		out, err := tb.Apply(c, who, update(entries...), at)
		if err != nil {
			t.Fatalf("Apply(%d, %v) = %v", c, entries, err)
		}
		return out
	}
	t.Run("free, while it is remembered", func(t *testing.T) {
		tb := presence.New(presence.Limits{})
		announce(t, tb, 1, me, say{7, 5, "1"})
		tb.Leave(1, at)
		want(t, "Eve's Apply", announce(t, tb, 2, eve, say{7, 6, `"eve"`}), presence.Outcome{Dropped: 1})
		want(t, "Eve's Apply with an old clock", announce(t, tb, 2, eve, say{7, 5, `"eve"`}), presence.Outcome{Dropped: 1})
		want(t, "Ada's Apply", announce(t, tb, 3, me, say{7, 6, "1"}), presence.Outcome{Changed: true})
	})
	t.Run("free, by way of nobody", func(t *testing.T) {
		tb := presence.New(presence.Limits{})
		announce(t, tb, 1, me, say{7, 5, "1"})
		tb.Leave(1, at)
		want(t, "nobody's Apply", announce(t, tb, 2, nil, say{7, 6, `"?"`}), presence.Outcome{Changed: true})
		want(t, "Eve's Apply", announce(t, tb, 3, eve, say{7, 7, `"eve"`}), presence.Outcome{Dropped: 1})
		want(t, "Ada's Apply", announce(t, tb, 4, me, say{7, 8, "1"}), presence.Outcome{Changed: true})
	})
	t.Run("free and forgotten", func(t *testing.T) {
		tb := presence.New(presence.Limits{})
		announce(t, tb, 1, me, say{7, 5, "1"})
		tb.Leave(1, at)
		tb.Tick(at.Add(30 * time.Second))
		want(t, "Eve's Apply", announce(t, tb, 2, eve, say{7, 6, `"eve"`}), presence.Outcome{Changed: true})
	})
	t.Run("not the owner's first", func(t *testing.T) {
		tb := presence.New(presence.Limits{})
		announce(t, tb, 1, me, say{7, 5, "1"}, say{8, 5, "2"})
		want(t, "Eve's Apply", announce(t, tb, 2, eve, say{8, 6, `"eve"`}), presence.Outcome{Dropped: 1})
		want(t, "Apply of Ada's other tab", announce(t, tb, 3, me, say{8, 6, "3"}), presence.Outcome{Changed: true})
		want(t, "All", all(t, tb), []say{{7, 5, "1"}, {8, 6, "3"}})
	})
}

// TestStampingCostsWhatIsAccepted says much that is not kept, of which every
// state would grow by 3 kB.
func TestStampingCostsWhatIsAccepted(t *testing.T) {
	long := presence.NewIdentity(presence.User{ID: strings.Repeat("<", 256), Name: strings.Repeat(">", 256)}, true)
	var strangers, again []say
	for i := range uint64(10_000) {
		strangers = append(strangers, say{i + 1, 1, "{}"})
		again = append(again, say{1, 1, "{}"})
	}
	for label, entries := range map[string][]say{"many ids": strangers, "one id many times": again} {
		tb := presence.New(presence.Limits{})
		u := update(entries...)
		before := allocated()
		if _, err := tb.Apply(1, long, u, epoch); err != nil {
			t.Fatalf("Apply of %s = %v", label, err)
		}
		if got := allocated() - before; got > 8<<20 {
			t.Errorf("Apply of %s in %d bytes allocates %d bytes, want at most 8 MiB", label, len(u), got)
		}
	}
}

// allocated returns the bytes allocated since the start.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
