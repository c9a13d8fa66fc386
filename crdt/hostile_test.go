package crdt_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"weft/crdt"
	"weft/crdt/lib0"
)

const maxSafe = 1<<53 - 1

// columns are the parts of a forged update of format 2.
type columns struct {
	keyClock, client, leftClock, rightClock, info, str, parentInfo, typeRef, length, rest []byte
}

func (c columns) update() []byte {
	out := []byte{0}
	for _, column := range [][]byte{c.keyClock, c.client, c.leftClock, c.rightClock, c.info, c.str, c.parentInfo, c.typeRef, c.length} {
		out = lib0.AppendBytes(out, column)
	}
	return append(out, c.rest...)
}

// collectedRun is the state of one author who has n collected structs of one
// unit, in about 30 bytes of format 2.
func collectedRun(n uint64) []byte {
	var lengths, client lib0.UintRun
	client.Write(5)
	lengths.Write(1)
	lengths.Write(1)
	run := lib0.AppendUint(lengths.Finish()[:1], n-2) // the count is what a writer would need n calls for
	return columns{client: client.Finish(), info: []byte{cGC}, length: run, rest: new(forge).uint(1, n, 0, 0).b}.update()
}

func TestHostileV1(t *testing.T) {
	nested := func(open, shut string, n int) string { return strings.Repeat(open, n) + strings.Repeat(shut, n) }
	anyNested := func(n int) []byte { return append(bytes.Repeat([]byte{lib0.AnyArray, 1}, n), lib0.AnyNull) }
	root := func(name string) *forge { return one(1, 9, 0).raw(cString).uint(1).str(name) }
	types := func(n int) []byte {
		f := one(uint64(n), 9, 0).raw(cType).uint(1).str("arr").uint(0)
		for i := 1; i < n; i++ {
			f.raw(cType).uint(0, 9, uint64(i-1)).uint(0)
		}
		return f.end()
	}
	sections := func(n int) []byte {
		f := new(forge).uint(uint64(n))
		for i := range n {
			f.uint(1, uint64(10+i), 0).raw(cGC).uint(1)
		}
		return f.end()
	}
	roots := func(n int) []byte {
		f := one(uint64(n), 9, 0)
		for i := range n {
			f.raw(cString).uint(1).str(fmt.Sprint("r", i)).str("x")
		}
		return f.end()
	}
	deletes := func(n int) []byte {
		f := new(forge).uint(0, 1, 1, uint64(n))
		for i := range n {
			f.uint(uint64(2*i), 1)
		}
		return f.b
	}
	tests := []struct {
		name   string
		update []byte
		want   error // nil: accepted
	}{
		{"nothing", nil, crdt.ErrInvalid},
		{"truncated", one(1, 9, 0).raw(cString).b, crdt.ErrInvalid},
		{"trailing byte", root("text").str("a").uint(0).raw(0).b, crdt.ErrInvalid},
		{"v2 bytes", columns{rest: []byte{0, 0}}.update(), crdt.ErrInvalid},
		{"varint not canonical", []byte{0x80, 0x00, 0}, crdt.ErrInvalid},
		{"varint of nine bytes", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0}, crdt.ErrInvalid},
		{"client id of 54 bits", one(1, maxSafe+1, 0).raw(cGC).uint(1).end(), crdt.ErrInvalid},
		{"client id of 53 bits", one(1, maxSafe, 0).raw(cGC).uint(1).end(), nil},
		{"clock overflow", one(1, 9, maxSafe).raw(cGC).uint(1).end(), crdt.ErrInvalid},
		{"length overflow", one(1, 9, 0).raw(cGC).uint(maxSafe).end(), crdt.ErrInvalid},
		{"lengths overflow together", one(2, 9, 0).raw(cGC).uint(1 << 31).raw(cGC).uint(1 << 31).end(), crdt.ErrInvalid},
		{"2^53 sections", new(forge).uint(maxSafe).b, crdt.ErrLimit},
		{"2^53 structs", one(maxSafe, 9, 0).b, crdt.ErrLimit},
		{"400,000 announced structs", one(400_000, 9, 0).b, crdt.ErrInvalid},
		{"2^53 bytes of text", one(1, 9, 0).raw(cString).uint(1).str("text").uint(maxSafe).b, crdt.ErrInvalid},
		{"2^53 values", one(1, 9, 0).raw(cAny).uint(1).str("arr").uint(maxSafe).b, crdt.ErrInvalid},
		{"2^53 elements of a value", one(1, 9, 0).raw(cAny).uint(1).str("arr").uint(1).raw(lib0.AnyArray).uint(maxSafe).b, crdt.ErrInvalid},
		{"2^53 deleted ranges", new(forge).uint(0, 1, 1, maxSafe).b, crdt.ErrInvalid},
		{"empty text", root("text").str("").end(), crdt.ErrInvalid},
		{"no values", one(1, 9, 0).raw(cAny).uint(1).str("arr").uint(0).end(), crdt.ErrInvalid},
		{"empty collected range", one(1, 9, 0).raw(cGC).uint(0).end(), crdt.ErrInvalid},
		{"empty gap", one(1, 9, 0).raw(cSkip).uint(0).end(), crdt.ErrInvalid},
		{"empty deleted content", one(1, 9, 0).raw(cDeleted).uint(1).str("text").uint(0).end(), crdt.ErrInvalid},
		{"empty deleted range", new(forge).uint(0, 1, 1, 1, 3, 0).b, crdt.ErrInvalid},
		{"deleted range over 2^53", new(forge).uint(0, 1, 1, 1, 0, maxSafe).b, crdt.ErrInvalid},
		{"deleted range from 2^53", new(forge).uint(0, 1, 1, 1, maxSafe, 1).b, crdt.ErrInvalid},
		{"origin itself", one(1, 9, 0).raw(cString|withLeft).uint(9, 0).str("a").end(), crdt.ErrInvalid},
		{"right origin itself", one(1, 9, 0).raw(cString|withRight).uint(9, 0).str("a").end(), crdt.ErrInvalid},
		{"origin in the future", one(1, 9, 0).raw(cString|withLeft).uint(9, 7).str("a").end(), crdt.ErrInvalid},
		{"parent itself", one(1, 9, 0).raw(cType).uint(0, 9, 0).uint(0).end(), crdt.ErrInvalid},
		{"two sections of one client", new(forge).uint(2, 1, 9, 0).raw(cGC).uint(1).uint(1, 9, 1).raw(cGC).uint(1).end(), crdt.ErrInvalid},
		{"kind 11", one(1, 9, 0).raw(11).uint(1).str("text").uint(0).end(), crdt.ErrInvalid},
		{"kind 31", one(1, 9, 0).raw(31).uint(1).str("text").uint(0).end(), crdt.ErrInvalid},
		{"collected range with origin", one(1, 9, 0).raw(cGC|withLeft).uint(1, 0).uint(1).end(), crdt.ErrInvalid},
		{"shared type 7", one(1, 9, 0).raw(cType).uint(1).str("arr").uint(7).end(), crdt.ErrInvalid},
		{"parent info 2", one(1, 9, 0).raw(cString).uint(2).str("text").str("a").end(), crdt.ErrInvalid},
		{"parent is text", one(1, 9, 0).raw(cString).uint(0, 1, 0).str("a").end(), crdt.ErrInvalid},
		{"parent is text of the same message", one(2, 9, 0).raw(cString).uint(1).str("text").str("ab").raw(cString).uint(0, 9, 1).str("c").end(), crdt.ErrInvalid},
		{"origins in two parents", one(1, 9, 0).raw(cString|withLeft|withRight).uint(1, 0, 1, 23).str("a").end(), crdt.ErrInvalid},
		{"origins in two parents of one message", one(3, 9, 0).raw(cString).uint(1).str("text").str("a").
			raw(cString).uint(1).str("xml").str("b").raw(cString|withLeft|withRight).uint(9, 0, 9, 1).str("c").end(), crdt.ErrInvalid},
		{"known text goes on elsewhere", one(1, 2, 0).raw(cString).uint(1).str("arr").str("zweier").end(), crdt.ErrInvalid},
		{"text not UTF-8", root("text").str("\xff").end(), crdt.ErrInvalid},
		{"text of surrogate bytes", root("text").str("\xed\xa0\xbd").end(), crdt.ErrInvalid},
		{"root name not UTF-8", root("\xff").str("a").end(), crdt.ErrInvalid},
		{"key not UTF-8", one(1, 9, 0).raw(cString | withKey).uint(1).str("map").str("\xff").str("a").end(), crdt.ErrInvalid},
		{"embed not JSON", one(1, 9, 0).raw(cEmbed).uint(1).str("text").str("{").end(), crdt.ErrInvalid},
		{"any type 115", one(1, 9, 0).raw(cAny).uint(1).str("arr").uint(1).raw(115).end(), crdt.ErrInvalid},
		{"values 100 deep", one(1, 9, 0).raw(cAny).uint(1).str("arr").uint(1).raw(anyNested(100)...).end(), nil},
		{"values 101 deep", one(1, 9, 0).raw(cAny).uint(1).str("arr").uint(1).raw(anyNested(101)...).end(), crdt.ErrInvalid},
		{"values 200,000 deep", one(1, 9, 0).raw(cAny).uint(1).str("arr").uint(1).raw(anyNested(200_000)...).end(), crdt.ErrInvalid},
		{"JSON 90 deep", one(1, 9, 0).raw(cEmbed).uint(1).str("text").str(nested("[", "]", 90)).end(), nil},
		{"JSON 101 deep", one(1, 9, 0).raw(cEmbed).uint(1).str("text").str(nested(`{"a":[`, "]}", 51)).end(), crdt.ErrLimit},
		{"JSON a million deep", one(1, 9, 0).raw(cEmbed).uint(1).str("text").str(nested("[", "]", 1_000_000)).end(), crdt.ErrLimit},
		{"types 500 deep", types(500), nil},
		{"types 501 deep", types(501), crdt.ErrLimit},
		{"types 100,000 deep", types(100_000), crdt.ErrLimit},
		{"65,536 clients", sections(65_536), nil},
		{"65,537 clients", sections(65_537), crdt.ErrLimit},
		{"10,000 roots", roots(10_000), nil},
		{"10,001 roots", roots(10_001), crdt.ErrLimit},
		{"100,000 deleted ranges", deletes(100_000), nil},
		{"100,001 deleted ranges", deletes(100_001), crdt.ErrLimit},
	}
	state := base(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { refused(t, state, tt.update, crdt.V1, tt.want) })
	}
}

func TestHostileV2(t *testing.T) {
	plain := func(c columns) []byte { // one struct of client 9 in root text
		c.client = append([]byte{9}, c.client...)
		if c.parentInfo == nil {
			c.parentInfo = []byte{1}
		}
		c.rest = append([]byte{1, 1, 0}, append(c.rest, 0)...)
		return c.update()
	}
	text := columns{info: []byte{cString}, str: []byte{5, 't', 'e', 'x', 't', 'a', 4, 1}}
	with := func(change func(*columns)) []byte {
		c := text
		change(&c)
		return plain(c)
	}
	tests := []struct {
		name   string
		update []byte
		want   error
	}{
		{"text", plain(text), nil},
		{"feature flag", append([]byte{1}, plain(text)[1:]...), crdt.ErrInvalid},
		{"trailing byte", append(plain(text), 0), crdt.ErrInvalid},
		{"unread keys", with(func(c *columns) { c.keyClock = []byte{0} }), crdt.ErrInvalid},
		{"unread clients", with(func(c *columns) { c.client = []byte{7} }), crdt.ErrInvalid},
		{"unread origins", with(func(c *columns) { c.leftClock = []byte{0} }), crdt.ErrInvalid},
		{"unread right origins", with(func(c *columns) { c.rightClock = []byte{0} }), crdt.ErrInvalid},
		{"unread infos", with(func(c *columns) { c.info = []byte{cString, 1, cString} }), crdt.ErrInvalid},
		{"unread strings", with(func(c *columns) { c.str = []byte{5, 't', 'e', 'x', 't', 'a', 4, 1, 0} }), crdt.ErrInvalid},
		{"unread characters", with(func(c *columns) { c.str = []byte{6, 't', 'e', 'x', 't', 'a', 'b', 4, 1} }), crdt.ErrInvalid},
		{"unread parents", with(func(c *columns) { c.parentInfo = []byte{1, 0, 0} }), crdt.ErrInvalid},
		{"unread types", with(func(c *columns) { c.typeRef = []byte{0} }), crdt.ErrInvalid},
		{"unread lengths", with(func(c *columns) { c.length = []byte{0} }), crdt.ErrInvalid},
		{"half a surrogate pair", with(func(c *columns) { c.str = []byte{8, 't', 'e', 'x', 't', 0xf0, 0x9f, 0x98, 0x80, 4, 1} }), crdt.ErrInvalid},
		{"negative clock", with(func(c *columns) { c.info = []byte{cString | withLeft}; c.leftClock = []byte{0x42} }), crdt.ErrInvalid},
		{"100 million collected structs", collectedRun(100_000_000), crdt.ErrLimit},
		{"2^50 collected structs", collectedRun(1 << 50), crdt.ErrLimit},
		{"a million collected structs", collectedRun(1_000_000), nil},
		{"400,000 deleted structs", deletedRun(400_000), crdt.ErrLimit},
		{"131,000 deleted structs, then junk", append(deletedRun(131_000), 0), crdt.ErrInvalid},
		{"131,000 deleted structs, then one in a text", deletedRun(131_000, 1), crdt.ErrInvalid},
		{"100,000 deleted structs", deletedRun(100_000), nil},
		{"empty strings without end", columns{
			client: []byte{9}, info: []byte{cJSON}, parentInfo: []byte{1}, length: []byte{0xbf, 0xff, 0xff, 0x7f},
			str: []byte{0, 0x40, 0xff, 0xff, 0xff, 0x7f}, rest: []byte{1, 1, 0, 0},
		}.update(), crdt.ErrInvalid},
	}
	state := base(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { refused(t, state, tt.update, crdt.V2, tt.want) })
	}
}

// deletedRun is the state of an author who has n deleted structs that do not
// join, for each has the one before the last as origin, and with parents one
// more whose parent is what that author wrote first.
func deletedRun(n uint64, parents ...uint64) []byte {
	var client lib0.UintRun
	var left lib0.DiffRun
	var info lib0.ByteRun
	var length lib0.UintRun
	client.Write(9)
	for i := range n {
		if i < 2 {
			info.Write(cDeleted)
		} else {
			info.Write(cDeleted | withLeft)
			client.Write(9)
			left.Write(i - 2)
		}
		length.Write(1)
	}
	parent := []byte{1}
	if len(parents) > 0 {
		info.Write(cDeleted)
		client.Write(parents[0])
		left.Write(0)
		length.Write(1)
		parent = []byte{1, 1, 0}
		n++
	}
	str := append(lib0.AppendString(nil, "arrmap"), 0x43, 0)
	return columns{
		client: client.Finish(), leftClock: left.Finish(), info: info.Finish(), parentInfo: parent,
		str: str, length: length.Finish(), rest: new(forge).uint(1, n, 0, 0).b,
	}.update()
}

// refused applies an update to the base document and checks the error, that an
// error leaves no trace, and that a refusal costs little time and memory.
func refused(t *testing.T, state, update []byte, v crdt.Version, want error) {
	t.Helper()
	d := load(t, crdt.Options{}, state)
	var m0, m1 runtime.MemStats
	runtime.ReadMemStats(&m0)
	start := cpuTime(t)
	_, err := d.Apply(update, v)
	took := cpuTime(t) - start
	runtime.ReadMemStats(&m1)
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("Apply = %v, want %v", err, want)
	}
	if allocated, allowed := m1.TotalAlloc-m0.TotalAlloc, uint64(8*len(update)+16<<20); err != nil && allocated > allowed {
		t.Errorf("refusing %d bytes allocated %d bytes, want at most %d", len(update), allocated, allowed)
	}
	if err != nil && took > 2*time.Second {
		t.Errorf("refusing %d bytes took %v, want at most 2 s", len(update), took)
	}
	if len(update) < 1<<16 {
		checkHostile(t, crdt.Options{}, state, update, v)
		return
	}
	if err := d.Check(); err != nil {
		t.Error(err)
	}
	if err != nil && encodings(d) != encodings(load(t, crdt.Options{}, state)) {
		t.Error("a refused update changed the document")
	}
}

// TestHostileNesting nests types level by level, each in a message of its own.
func TestHostileNesting(t *testing.T) {
	d := crdt.New(crdt.Options{})
	for i := range uint64(600) {
		f := one(1, 9, i).raw(cType)
		if i == 0 {
			f.uint(1).str("arr")
		} else {
			f.uint(0, 9, i-1)
		}
		_, err := d.Apply(f.uint(0).end(), crdt.V1)
		if want := i >= 500; errors.Is(err, crdt.ErrLimit) != want {
			t.Fatalf("Apply(type at level %d) = %v, want refused: %v", i+1, err, want)
		}
		if err != nil {
			break
		}
	}
	checkReloads(t, crdt.Options{}, d)
	// Deleting the outermost goes through all levels.
	if _, err := d.Apply(new(forge).uint(0, 1, 9, 1, 0, 1).b, crdt.V1); err != nil {
		t.Fatalf("Apply(delete) = %v", err)
	}
	checkReloads(t, crdt.Options{}, d)
}

// TestFutureDelete deletes what its author has not written yet.
func TestFutureDelete(t *testing.T) {
	server := crdt.New(crdt.Options{ReturnPending: true})
	a, err := server.Apply(new(forge).uint(0, 1, 7, 1, 0, 1000).b, crdt.V1)
	if err != nil || a.Changed || a.Rest == nil {
		t.Fatalf("Apply(future delete) = %+v, %v, want it handed back", a, err)
	}
	victim := crdt.New(crdt.Options{ClientID: 7})
	for i := range 100 {
		u, err := victim.Edit(func(tx *crdt.Tx) error { return tx.Text("text").Insert(i, "x") })
		if err != nil {
			t.Fatalf("Edit = %v", err)
		}
		if _, err := server.Apply(u, crdt.V1); err != nil {
			t.Fatalf("Apply = %v", err)
		}
	}
	restarted := load(t, crdt.Options{ReturnPending: true}, server.AppendDiff(nil, nil, crdt.V1))
	for name, d := range map[string]*crdt.Doc{"server": server, "restarted": restarted} {
		if got := len(d.Text("text")); got != 100 {
			t.Errorf("%s has %d characters of the victim, want 100", name, got)
		}
	}
}

// TestOverlappingPendingDeletes keeps deletes that overlap until their author writes.
func TestOverlappingPendingDeletes(t *testing.T) {
	d := crdt.New(crdt.Options{})
	if _, err := d.Apply(new(forge).uint(0, 1, 7, 3, 0, 1, 0, 1, 0, 3).b, crdt.V1); err != nil {
		t.Fatalf("Apply(deletes) = %v", err)
	}
	checkReloads(t, crdt.Options{}, d)
	d = load(t, crdt.Options{}, d.AppendDiff(nil, nil, crdt.V1))
	if _, err := d.Apply(one(1, 7, 0).raw(cString).uint(1).str("text").str("abcd").end(), crdt.V1); err != nil {
		t.Fatalf("Apply(text) = %v", err)
	}
	if got := d.Text("text"); got != "d" {
		t.Errorf("Text = %q, want %q", got, "d")
	}
}

// TestPendingLeavesNothing sends what can never be integrated, from ever new authors.
func TestPendingLeavesNothing(t *testing.T) {
	d := load(t, crdt.Options{ReturnPending: true}, base(t))
	before := d.Stats()
	for i := range uint64(20_000) {
		u := one(1, 1000+i, 5).raw(cString|withLeft).uint(500_000+i, 1).str("x").end()
		a, err := d.Apply(u, crdt.V1)
		if err != nil || a.Changed || a.Rest == nil {
			t.Fatalf("Apply(%x) = %+v, %v, want it handed back", u, a, err)
		}
	}
	if after := d.Stats(); after != before {
		t.Errorf("Stats = %+v, want %+v as before", after, before)
	}
}

// TestMissingAuthors has each of many authors wait for another.
func TestMissingAuthors(t *testing.T) {
	f := new(forge).uint(30_000)
	for i := range uint64(30_000) {
		f.uint(1, 1000+i, 0).raw(cString|withLeft).uint(1_000_000+i, 1).str("x")
	}
	u := f.end()
	for _, o := range []crdt.Options{{}, {ReturnPending: true}} {
		start := cpuTime(t)
		d := crdt.New(o)
		for range 2 {
			if _, err := d.Apply(u, crdt.V1); err != nil {
				t.Fatalf("Apply = %v", err)
			}
		}
		if took := cpuTime(t) - start; took > 5*time.Second {
			t.Errorf("took %v, want less than 5 s", took)
		}
	}
}

// concurrent returns inserts of n authors between the two characters that the first update writes.
func concurrent(n int) (first []byte, inserts [][]byte) {
	first = one(1, 1, 0).raw(cString).uint(1).str("text").str("ab").end()
	for i := range n {
		inserts = append(inserts, one(1, uint64(1000+i), 0).raw(cString|withLeft|withRight).uint(1, 0, 1, 1).str("x").end())
	}
	return first, inserts
}

// TestConcurrentInserts brings 20,000 inserts at one position in different
// orders, one by one and as a whole.
func TestConcurrentInserts(t *testing.T) {
	first, inserts := concurrent(20_000)
	r := rand.New(rand.NewPCG(1, 2))
	var want []byte
	for _, order := range []string{"ascending", "descending", "random", "interleaved"} {
		us := slices.Clone(inserts)
		switch order {
		case "descending":
			slices.Reverse(us)
		case "random":
			r.Shuffle(len(us), func(i, j int) { us[i], us[j] = us[j], us[i] })
		case "interleaved":
			for i := 1; i < len(us)/2; i += 2 {
				us[i], us[len(us)-i] = us[len(us)-i], us[i]
			}
		}
		d := crdt.New(crdt.Options{})
		start := cpuTime(t)
		for _, u := range append([][]byte{first}, us...) {
			if _, err := d.Apply(u, crdt.V1); err != nil {
				t.Fatalf("Apply = %v", err)
			}
		}
		if took := cpuTime(t) - start; took > 2*time.Second {
			t.Errorf("%s: took %v, want at most 2 s", order, took)
		}
		if err := d.Check(); err != nil {
			t.Fatal(err)
		}
		got := d.AppendDiff(nil, nil, crdt.V1)
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: the document is not that of another order", order)
		}
		start = cpuTime(t)
		load(t, crdt.Options{}, got)
		if took := cpuTime(t) - start; took > 2*time.Second {
			t.Errorf("%s: Load took %v, want at most 2 s", order, took)
		}
	}
}

// TestRightOriginLeftOfOrigin inserts between two origins in the wrong order, in lists of all lengths around the one from
// which a scan is tried from the other end.
func TestRightOriginLeftOfOrigin(t *testing.T) {
	for _, n := range []uint64{3, 20, 48, 49, 50, 60, 200} {
		f := new(forge).uint(1, n, 1, 0)
		f.raw(cEmbed).uint(1).str("t").str("1")
		for i := range n - 1 {
			f.raw(cEmbed|withLeft).uint(1, i).str("1")
		}
		d := load(t, crdt.Options{}, f.end())
		crossed := one(1, 2, 0).raw(cString|withLeft|withRight).uint(1, 2, 1, 1).str("x").end()
		if _, err := d.Apply(crossed, crdt.V1); err != nil {
			t.Errorf("%d items: Apply = %v, want nil", n, err)
		}
		if err := d.Check(); err != nil {
			t.Errorf("%d items: %v", n, err)
		}
		if got := d.Text("t"); got != "x" {
			t.Errorf("%d items: Text = %q, want the text that came in", n, got)
		}
	}
}

// TestScanBudget sends inserts that must each be compared with all others.
func TestScanBudget(t *testing.T) {
	const n = 6000
	state := one(1, 1, 0).raw(cString).uint(1).str("text").str(strings.Repeat("a", n+10)).end()
	f := new(forge).uint(n)
	for i := range uint64(n) {
		f.uint(1, 1000+i, 0).raw(cString|withLeft|withRight).uint(1, 0, 1, 5+n-i).str("x")
	}
	costly := f.end()
	d := load(t, crdt.Options{}, state)
	before := encodings(d)
	start := cpuTime(t)
	if _, err := d.Apply(costly, crdt.V1); !errors.Is(err, crdt.ErrLimit) {
		t.Errorf("Apply(%d crossing inserts) = %v, want ErrLimit", n, err)
	}
	if took := cpuTime(t) - start; took > 2*time.Second {
		t.Errorf("refusing took %v, want at most 2 s", took)
	}
	if err := d.Check(); err != nil {
		t.Fatal(err)
	}
	if encodings(d) != before {
		t.Error("a refused update changed the document")
	}
	// What is refused as one message may come in parts, which others can come between.
	if _, err := d.Apply(one(1, 1000, 0).raw(cString|withLeft|withRight).uint(1, 0, 1, 5).str("x").end(), crdt.V1); err != nil {
		t.Errorf("Apply(one insert) = %v", err)
	}
	if _, err := d.Load(costly, crdt.V1); err != nil {
		t.Errorf("Load(what was stored) = %v", err)
	}
	if err := d.Check(); err != nil {
		t.Fatal(err)
	}
}

// TestSurrogateHalves reads two strings whose halves of a pair meet in the joined column.
func TestSurrogateHalves(t *testing.T) {
	u := columns{
		client: []byte{9, 9}, leftClock: []byte{2}, info: []byte{cString, 0, cString | withLeft}, parentInfo: []byte{1},
		str: append(lib0.AppendString(nil, "textx😀y"), 4, 0x42, 0), rest: []byte{1, 2, 0, 0},
	}.update()
	d := crdt.New(crdt.Options{})
	if _, err := d.Apply(u, crdt.V2); err != nil {
		t.Fatalf("Apply(%x) = %v", u, err)
	}
	if got, want := d.Text("text"), "x\uFFFD\uFFFDy"; got != want {
		t.Errorf("Text = %q, want %q", got, want)
	}
	checkReloads(t, crdt.Options{}, d)
}

// TestCutSurrogates cuts a long text of surrogate pairs at many places without
// adding anything, by resending a known struct with other origins.
func TestCutSurrogates(t *testing.T) {
	const pairs, cuts = 200_000, 1000
	d := crdt.New(crdt.Options{})
	text := one(1, 1, 0).raw(cString).uint(1).str("text").str(strings.Repeat("😀", pairs)).end()
	f := one(cuts, 2, 0)
	g := one(cuts, 2, 0)
	for i := range uint64(cuts) {
		f.raw(cBinary).uint(1).str("arr").str("")
		g.raw(cBinary|withLeft).uint(1, 2*i).str("")
	}
	for i, u := range [][]byte{text, f.end(), g.end()} {
		var m0, m1 runtime.MemStats
		runtime.ReadMemStats(&m0)
		start := cpuTime(t)
		if _, err := d.Apply(u, crdt.V1); err != nil {
			t.Fatalf("Apply = %v", err)
		}
		runtime.ReadMemStats(&m1)
		if took := cpuTime(t) - start; took > 10*time.Second {
			t.Errorf("message %d took %v, want at most 10 s", i, took)
		}
		if got := m1.TotalAlloc - m0.TotalAlloc; got > 200<<20 {
			t.Errorf("message %d allocated %d MB, want at most 200", i, got>>20)
		}
	}
	if err := d.Check(); err != nil {
		t.Fatal(err)
	}
}
