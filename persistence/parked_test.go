package persistence_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weft/persistence"
)

// rot inverts a bit in each place of a file where mark stands.
func rot(t testing.TB, dir, file, mark string) {
	t.Helper()
	path := filepath.Join(dir, file)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := false
	for at := 0; ; at++ {
		i := bytes.Index(b[at:], []byte(mark))
		if i < 0 {
			break
		}
		at += i
		if _, err := f.WriteAt([]byte{b[at] ^ 1}, int64(at)); err != nil {
			t.Fatal(err)
		}
		found = true
	}
	if !found {
		t.Fatalf("%s has no %q", file, mark)
	}
}

// mustSave saves the room at seq.
func mustSave(t testing.TB, s *persistence.Store, room string, seq uint64) {
	t.Helper()
	snap := persistence.Snapshot{Pos: persistence.Position{Epoch: 1, Seq: seq}, State: []byte("state of " + room), StateVector: []byte("sv")}
	if err := s.Save(t.Context(), room, snap); err != nil {
		t.Fatalf("Save(%s) = %v, want nil", room, err)
	}
}

// holdLog makes room "bad" hold the log: its snapshot is damaged, with records after it, and then the log grows over LogBytes by
// those of a room that is saved. It returns the last LSN before the growth.
func holdLog(t testing.TB, s *persistence.Store, dir string) uint64 {
	t.Helper()
	mustSave(t, s, "bad", 1)
	for seq := range uint64(10) {
		appendWait(t, s, record("bad", seq+2), record("other", seq+1))
	}
	mustSave(t, s, "other", 10)
	rot(t, dir, "rooms.db", "state of bad")
	if _, err := s.Load(t.Context(), "bad"); !isDamage(err) {
		t.Fatalf("Load(bad) = %v, want a DamageError", err)
	}
	_, held := s.LogRange()
	for seq := range uint64(12) {
		r := record("good", seq+1)
		r.Update = make([]byte, 200_000)
		appendWait(t, s, r)
	}
	mustSave(t, s, "good", 12)
	return held
}

// TestQuarantineFreesLog lets a room that is set aside hold a log that is over its bound.
func TestQuarantineFreesLog(t *testing.T) {
	s, dir, _, _, _ := logStore(t, persistence.Options{LogBytes: 1 << 20, LogAge: time.Hour})
	held := holdLog(t, s, dir)
	now := time.Now()
	for i := range 5 {
		s.Housekeep(now.Add(time.Duration(i) * 10 * time.Second))
		mustSave(t, s, "flush", uint64(i)) // what Housekeep asked of rooms.db is done then
		appendWait(t, s, record("flush", uint64(i)+1))
	}
	if first, last := s.LogRange(); first <= held {
		t.Errorf("the log has batches %d to %d, held by a room that is set aside; want none before %d", first, last, held+1)
	}
	if _, err := s.Load(t.Context(), "bad"); !isDamage(err) {
		t.Errorf("Load(bad) = %v, want a DamageError", err)
	}
	copied := filepath.Join(fastDir(t), "copy")
	if err := s.CopyTo(t.Context(), copied); err != nil {
		t.Fatalf("CopyTo = %v, want nil", err)
	}
	a := openArchive(t, copied)
	defer a.Close()
	st, err := a.Load("bad")
	if !isDamage(err) || len(st.Tail) != 10 || len(a.Records("bad")) != 10 {
		t.Fatalf("archive: Load(bad) = %d records, %v, Records = %d, want a DamageError and 10", len(st.Tail), err, len(a.Records("bad")))
	}
	for i, r := range st.Tail {
		if want := record("bad", uint64(i)+2); r.Pos != want.Pos || !bytes.Equal(r.Update, want.Update) {
			t.Errorf("archive: record %d of bad = %s %q, want %s %q", i, r.Pos, r.Update, want.Pos, want.Update)
		}
	}
}

// tailText is a room's snapshot and tail, to be compared.
func tailText(st persistence.Stored) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q", st.Snapshot.Pos, st.Snapshot.State)
	for _, r := range st.Tail {
		fmt.Fprintf(&b, " %s %q", r.Pos, r.Update)
	}
	return b.String()
}

// wantSchema checks the schema of rooms.db in a directory that nobody has open.
func wantSchema(t *testing.T, dir string, want uint32) {
	t.Helper()
	if got, err := persistence.SchemaOf(dir, "rooms.db"); err != nil || got != want {
		t.Errorf("schema of rooms.db = %d, %v, want %d", got, err, want)
	}
}

// TestParkedRepair damages a record in the log, and repairs the directory once as it is and once after its room was parked: the
// archive and the repaired room must be the same.
func TestParkedRepair(t *testing.T) {
	dir := fastDir(t)
	s := openStore(t, dir, small)
	mustSave(t, s, "hurt", 1)
	for seq := range uint64(10) {
		appendWait(t, s, record("hurt", seq+2), record("fine", seq+1))
	}
	mustClose(t, s)
	rot(t, dir, "wal.db", "update 5 of hurt")
	parked := fastDir(t)
	s = openStore(t, dir, small) // names the room
	if q := s.Quarantined(); len(q) != 1 || q[0].Room != "hurt" {
		t.Fatalf("Quarantined() = %+v, want hurt", q)
	}
	mustClose(t, s)
	copyDir(t, dir, parked)
	s = openStore(t, parked, small)
	s.Housekeep(time.Now().Add(2 * time.Minute))
	mustSave(t, s, "flush", 1)
	if b := s.Backlog(); b.ParkedRooms != 1 || b.LogHolder != "fine" {
		t.Errorf("Backlog() = %+v, want one parked room, and fine to hold the log", b)
	}
	mustClose(t, s)
	wantSchema(t, parked, 2)

	var archived, repaired []string
	for _, d := range []string{dir, parked} {
		a := openArchive(t, d)
		st, err := a.Load("hurt")
		if !isDamage(err) || len(st.Tail) != 9 {
			t.Errorf("archive: Load(hurt) = %d records, %v, want 9 and a DamageError", len(st.Tail), err)
		}
		archived = append(archived, tailText(st)+fmt.Sprint(len(a.Records("hurt")), err))
		a.Close()
		rep, err := persistence.Repair(t.Context(), d)
		if err != nil || len(rep.Restored) != 1 || len(rep.Lost) != 0 {
			t.Fatalf("Repair = %+v, %v, want one room restored", rep, err)
		}
		s := openStore(t, d, small)
		if st, err = s.Load(t.Context(), "hurt"); err != nil {
			t.Errorf("after Repair Load(hurt) = %v, want nil", err)
		}
		repaired = append(repaired, tailText(st)+fmt.Sprint(rep.Restored[0]))
		mustClose(t, s)
	}
	if archived[0] != archived[1] {
		t.Errorf("archive of the parked room = %s, want as before: %s", archived[1], archived[0])
	}
	if repaired[0] != repaired[1] {
		t.Errorf("repaired parked room = %s, want as before: %s", repaired[1], repaired[0])
	}
	wantSchema(t, parked, 1)
}

func mustClose(t *testing.T, s *persistence.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Close() = %v, want nil", err)
	}
}

// TestParkedDelete deletes a room that is set aside and parked: nothing of it is left.
func TestParkedDelete(t *testing.T) {
	dir := fastDir(t)
	s := openStore(t, dir, small)
	appendWait(t, s, record("bad", 1))
	s.SetAside("bad")
	if err := s.Park(t.Context(), "bad"); err != nil {
		t.Fatalf("Park(bad) = %v, want nil", err)
	}
	if err := s.Delete(t.Context(), "bad"); err != nil {
		t.Fatalf("Delete(bad) = %v, want nil", err)
	}
	if b := s.Backlog(); b.ParkedRooms != 0 || b.LogHolder != "" {
		t.Errorf("Backlog() after Delete = %+v, want nothing", b)
	}
	appendWait(t, s, record("bad", 9)) // a new life
	mustClose(t, s)
	wantSchema(t, dir, 1)
	s = openStore(t, dir, small)
	if st, err := s.Load(t.Context(), "bad"); err != nil || len(st.Tail) != 1 || st.Pos.Seq != 9 {
		t.Errorf("Load(bad) = %d records to %s, %v, want that of its new life", len(st.Tail), st.Pos, err)
	}
}

// TestParkedInVain has a room that is asked for a checkpoint and never saved, as one whose document cannot be read: after five
// minutes it does not hold the log any more, and is what it was.
func TestParkedInVain(t *testing.T) {
	s, dir, due, _, _ := logStore(t, persistence.Options{})
	now := time.Now()
	mustSave(t, s, "mute", 1)
	for seq := range uint64(5) {
		appendWait(t, s, record("mute", seq+2))
	}
	before, err := s.Load(t.Context(), "mute")
	if err != nil {
		t.Fatal(err)
	}
	s.Housekeep(now.Add(2 * time.Minute)) // asks once, long before the others: not yet in vain
	drain(due)
	const first = time.Hour
	for at := first; at < first+5*time.Minute; at += 10 * time.Second {
		s.Housekeep(now.Add(at))
	}
	mustSave(t, s, "flush", 1)
	if b, asked := s.Backlog(), drain(due); b.LogHolder != "mute" || len(asked) != 30 {
		t.Errorf("before 5 minutes are over Backlog() = %+v, %d asked, want mute to hold the log and be asked 30 times", b, len(asked))
	}
	s.Housekeep(now.Add(first + 5*time.Minute))
	mustSave(t, s, "flush", 2)
	if b := s.Backlog(); b.LogHolder != "" || b.ParkedRooms != 1 {
		t.Errorf("after 5 minutes Backlog() = %+v, want it parked", b)
	}
	appendWait(t, s, record("mute", 7))
	for range 2 {
		st, err := s.Load(t.Context(), "mute")
		if want := tailText(before) + fmt.Sprintf(" 1-7 %q", record("mute", 7).Update); err != nil || tailText(st) != want {
			t.Errorf("Load(mute) = %s, %v, want %s", tailText(st), err, want)
		}
		infos, err := s.Rooms(t.Context(), "flush", 0)
		if err != nil || len(infos) != 1 || infos[0].LogRecords != 6 || infos[0].Pos.Seq != 7 {
			t.Errorf("Rooms() = %+v, %v, want mute with 6 records to 1-7", infos, err)
		}
		mustClose(t, s)
		s = openStore(t, dir, small)
	}
	mustSave(t, s, "mute", 4) // covers a part
	if st, err := s.Load(t.Context(), "mute"); err != nil || len(st.Tail) != 3 {
		t.Errorf("Load(mute) after a Save at 1-4 = %d records, %v, want 3", len(st.Tail), err)
	}
	mustSave(t, s, "mute", 7)
	if b := s.Backlog(); b.ParkedRooms != 0 || b.ParkedBytes != 0 {
		t.Errorf("Backlog() after Save = %+v, want nothing parked", b)
	}
	mustClose(t, s)
	wantSchema(t, dir, 1)
	noSalvage(t, dir)
}

// TestParkedLarge parks more than one commit of rooms.db takes: an update that is larger, and many that are not.
func TestParkedLarge(t *testing.T) {
	var told []persistence.Parked
	dir := fastDir(t)
	o := small
	o.Events.Parked = func(p persistence.Parked) { told = append(told, p) } // on the saver's goroutine, which Close waits for
	s := openStore(t, dir, o)
	r := random(t)
	for seq := range uint64(40) {
		size := 100_000
		if seq == 7 {
			size = 3_500_000
		}
		appendWait(t, s, persistence.Record{Room: "big", Pos: persistence.Position{Epoch: 1, Seq: seq + 1}, Update: randomBytes(r, size)})
	}
	before, err := s.Load(t.Context(), "big")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Park(t.Context(), "big"); err != nil {
		t.Fatalf("Park(big) = %v, want nil", err)
	}
	for range 2 {
		if b := s.Backlog(); b.LogHolder != "" || b.ParkedBytes < 7_400_000 {
			t.Errorf("Backlog() = %+v, want all parked", b)
		}
		if st, err := s.Load(t.Context(), "big"); err != nil || tailText(st) != tailText(before) {
			t.Errorf("Load(big) of the parked room = %d records, %v, want the %d from before", len(st.Tail), err, len(before.Tail))
		}
		mustClose(t, s)
		s = openStore(t, dir, small)
	}
	if len(told) != 1 || told[0].Room != "big" || told[0].Records != 40 || told[0].Bytes < 7_400_000 {
		t.Errorf("Parked was told %+v, want once, with 40 records", told)
	}
	mustSave(t, s, "big", 40)
	mustClose(t, s)
	wantSchema(t, dir, 1)
	noSalvage(t, dir)
	a := openArchive(t, dir)
	defer a.Close()
	if chunks := a.Chunks("big"); len(chunks) > 1 {
		t.Errorf("Chunks(big) = %d after Save and Close, want the snapshot's", len(chunks))
	}
}

// TestParkedDamage damages parked records: the scrubber tells of a room that is set aside, once, Load names a room that is not, and
// the archive has what is before the damage.
func TestParkedDamage(t *testing.T) {
	var told []persistence.DamageError
	dir := fastDir(t)
	o := small
	o.Events.Damaged = func(d *persistence.DamageError) { told = append(told, *d) } // by calls of this test alone
	s := openStore(t, dir, o)
	for _, room := range []string{"aside", "fine"} {
		for seq := range uint64(8) {
			r := record(room, seq+1)
			r.Update = append(r.Update, make([]byte, 9000)...)
			appendWait(t, s, r)
		}
		if err := s.Park(t.Context(), room); err != nil {
			t.Fatalf("Park(%s) = %v, want nil", room, err)
		}
	}
	s.SetAside("aside")
	told = nil
	if r, _ := s.ScrubNow(); r.Damaged != 0 || r.Rooms != 2 {
		t.Errorf("Scrub = %+v, want 2 rooms and no damage", r)
	}
	rot(t, dir, "rooms.db", "update 6 of aside")
	rot(t, dir, "rooms.db", "update 6 of fine")
	if r, _ := s.ScrubNow(); r.Damaged != 2 || len(told) != 2 || told[0].Room != "aside" || told[1].Room != "fine" {
		t.Errorf("Scrub = %+v, told %v, want both rooms", r, told)
	}
	if r, _ := s.ScrubNow(); r.Damaged != 0 || len(told) != 2 {
		t.Errorf("second Scrub = %+v, told %v, want nothing new", r, told)
	}
	if _, err := s.Load(t.Context(), "fine"); !isDamage(err) || !strings.Contains(err.Error(), "parked") {
		t.Errorf("Load(fine) = %v, want a DamageError of its parked records", err)
	}
	mustClose(t, s)
	a := openArchive(t, dir)
	for _, room := range []string{"aside", "fine"} {
		if st, err := a.Load(room); !isDamage(err) || len(st.Tail) != 5 {
			t.Errorf("archive: Load(%s) = %d records, %v, want the 5 before the damage and a DamageError", room, len(st.Tail), err)
		}
	}
	a.Close()
	rep, err := persistence.Repair(t.Context(), dir)
	if err != nil || len(rep.Restored) != 2 || rep.Restored[0].Records != 5 {
		t.Errorf("Repair = %+v, %v, want both rooms with 5 records", rep, err)
	}
}

// TestParkedListDamage damages the list of a room's parked records: the room is named, and repaired to its snapshot.
func TestParkedListDamage(t *testing.T) {
	dir := fastDir(t)
	s := openStore(t, dir, small)
	mustSave(t, s, "a", 1)
	appendWait(t, s, record("a", 2))
	if err := s.Park(t.Context(), "a"); err != nil {
		t.Fatalf("Park(a) = %v, want nil", err)
	}
	mustSave(t, s, "flush", 1) // lets the log go, which had the record, too
	mustSave(t, s, "flush", 2)
	appendWait(t, s, record("flush", 3))
	mustClose(t, s)
	rot(t, dir, "rooms.db", "K\x01\x00\x00\x00\x01")
	a := openArchive(t, dir)
	if st, err := a.Load("a"); !isDamage(err) || st.Snapshot.Pos.Seq != 1 || len(st.Tail) != 0 {
		t.Errorf("archive: Load(a) = snapshot at %s, %d records, %v, want the snapshot and a DamageError", st.Snapshot.Pos, len(st.Tail), err)
	}
	a.Close()
	s = openStore(t, dir, small)
	if _, err := s.Load(t.Context(), "a"); !isDamage(err) {
		t.Errorf("Load(a) = %v, want a DamageError", err)
	}
	mustClose(t, s)
	rep, err := persistence.Repair(t.Context(), dir)
	if err != nil || len(rep.Restored) != 1 || rep.Restored[0].Records != 0 {
		t.Errorf("Repair = %+v, %v, want a restored without records", rep, err)
	}
	s = openStore(t, dir, small)
	if st, err := s.Load(t.Context(), "a"); err != nil || st.Pos.Seq != 1 {
		t.Errorf("after Repair Load(a) = %s, %v, want its snapshot at 1-1", st.Pos, err)
	}
	mustClose(t, s)
	wantSchema(t, dir, 1)
}

// TestParkedListAnew parks more of a room whose list is damaged, as Open finds it or later: the room does not hold the log, and is
// named for good.
func TestParkedListAnew(t *testing.T) {
	for _, open := range []bool{false, true} {
		t.Run(fmt.Sprintf("open=%v", open), func(t *testing.T) { testParkedListAnew(t, open) })
	}
}

func testParkedListAnew(t *testing.T, open bool) {
	var told []string
	dir := fastDir(t)
	o := small
	o.Events.Damaged = func(d *persistence.DamageError) { told = append(told, d.Room) } // by Open, and by the saver while Park waits
	s := openStore(t, dir, o)
	mustSave(t, s, "a", 1)
	appendWait(t, s, record("a", 2))
	if err := s.Park(t.Context(), "a"); err != nil {
		t.Fatalf("Park(a) = %v, want nil", err)
	}
	appendWait(t, s, record("a", 3))
	mustSave(t, s, "flush", 1) // lets the log go up to record 3
	mustSave(t, s, "flush", 2)
	appendWait(t, s, record("flush", 3))
	mustSave(t, s, "flush", 3)
	list := "K\x01\x00\x00\x00\x01"
	if open {
		rot(t, dir, "rooms.db", list)
	} else {
		mustClose(t, s)
		rot(t, dir, "rooms.db", list)
		s = openStore(t, dir, o)
	}
	if err := s.Park(t.Context(), "a"); err != nil {
		t.Fatalf("Park(a) = %v, want nil", err)
	}
	if b := s.Backlog(); b.LogHolder != "" || len(told) != 1 || told[0] != "a" {
		t.Errorf("Backlog() = %+v, told %q, want nobody to hold the log, and a named once", b, told)
	}
	if _, err := s.Load(t.Context(), "a"); !isDamage(err) {
		t.Errorf("Load(a) = %v, want a DamageError", err)
	}
	mustClose(t, s)
	s = openStore(t, dir, small)
	if q := s.Quarantined(); len(q) != 1 || q[0].Room != "a" || !strings.Contains(q[0].Damage, "list of its parked records") {
		t.Errorf("Quarantined() after another Open = %+v, want a still, with a list that is right", q)
	}
	mustClose(t, s)
	rep, err := persistence.Repair(t.Context(), dir)
	if err != nil || len(rep.Restored) != 1 || rep.Restored[0].Records != 1 {
		t.Errorf("Repair = %+v, %v, want a restored with what was parked after the damage", rep, err)
	}
	wantSchema(t, dir, 1)
}

// TestParkedLogPage parks a room whose page of the log cannot be used: the room is named.
func TestParkedLogPage(t *testing.T) {
	dir := fastDir(t)
	s := openStore(t, dir, small)
	r := record("a", 1)
	r.Update = append([]byte("of the page"), make([]byte, 3000)...) // too much for its bucket to lie in the page of another
	appendWait(t, s, r)
	path := filepath.Join(dir, "wal.db")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, r.Update[:11]) / 4096 * 4096
	if at < 2*4096 {
		t.Fatal("wal.db does not have the update in a page of its own")
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		_, err = f.WriteAt(make([]byte, 16), int64(at)) // the page's head
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Park(t.Context(), "a"); err != nil {
		t.Fatalf("Park(a) = %v, want nil", err)
	}
	if q := s.Quarantined(); len(q) != 1 || q[0].Room != "a" || !strings.Contains(q[0].Damage, "records to be parked") {
		t.Errorf("Quarantined() = %+v, want a, whose records cannot be parked", q)
	}
	mustClose(t, s)
}
