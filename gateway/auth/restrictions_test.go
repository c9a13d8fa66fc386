package auth_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weft/gateway/auth"
	"weft/protocol"
)

func openRestrictions(t *testing.T, file string) *auth.Restrictions {
	t.Helper()
	r, err := auth.OpenRestrictions(file)
	if err != nil {
		t.Fatalf("OpenRestrictions = %v, want nil", err)
	}
	r.SetClock(func() time.Time { return noon })
	return r
}

func TestRestrictionsApply(t *testing.T) {
	ada := auth.Grant{User: auth.User{ID: "ada"}, Session: "s1", Write: true}
	bob := auth.Grant{User: auth.User{ID: "bob"}, Session: "s2", Write: true}
	nobody := auth.Grant{Write: true}
	const none, read, all = "none", "read", "write"
	type who struct {
		grant auth.Grant
		room  string
		want  string
	}
	for _, c := range []struct {
		name string
		list []auth.Restriction
		who  []who
	}{
		{"nothing", nil, []who{{ada, "a", all}, {nobody, "a", all}}},
		{
			"a user",
			[]auth.Restriction{{Subject: auth.Subject{User: "ada"}}},
			[]who{{ada, "a", none}, {ada, "b", none}, {bob, "a", all}, {nobody, "a", all}},
		},
		{
			"a user in a room",
			[]auth.Restriction{{Subject: auth.Subject{User: "ada", Room: "a"}}},
			[]who{{ada, "a", none}, {ada, "b", all}, {bob, "a", all}},
		},
		{
			"a session",
			[]auth.Restriction{{Subject: auth.Subject{Session: "s1"}}},
			[]who{{ada, "a", none}, {bob, "a", all}, {auth.Grant{User: ada.User, Session: "s9", Write: true}, "a", all}},
		},
		{
			"a room",
			[]auth.Restriction{{Subject: auth.Subject{Room: "a"}}},
			[]who{{ada, "a", none}, {nobody, "a", none}, {bob, "b", all}},
		},
		{
			"reading is left",
			[]auth.Restriction{{Subject: auth.Subject{User: "ada", Room: "a"}, Read: true}},
			[]who{{ada, "a", read}, {ada, "b", all}},
		},
		{
			"the hardest counts",
			[]auth.Restriction{
				{Subject: auth.Subject{User: "ada"}, Read: true},
				{Subject: auth.Subject{Session: "s1", Room: "a"}},
				{Subject: auth.Subject{Room: "b"}, Read: true},
			},
			[]who{{ada, "a", none}, {ada, "b", read}, {bob, "b", read}, {bob, "a", all}},
		},
		{
			"until",
			[]auth.Restriction{
				{Subject: auth.Subject{User: "ada"}, Until: noon},
				{Subject: auth.Subject{User: "bob"}, Until: noon.Add(1)},
			},
			[]who{{ada, "a", all}, {bob, "a", none}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := openRestrictions(t, "")
			for _, one := range c.list {
				if err := r.Add(one); err != nil {
					t.Fatalf("Add(%+v) = %v, want nil", one, err)
				}
			}
			for _, w := range c.who {
				got, err := r.Apply(w.grant, w.room)
				want := w.grant
				want.Write = w.want == all
				if w.want == none {
					wantRefusal(t, err, protocol.Forbidden, "revoked", "")
				} else if err != nil || got != want {
					t.Errorf("Apply(%+v, %q) = %+v, %v, want %+v", w.grant, w.room, got, err, want)
				}
			}
		})
	}
	var unset *auth.Restrictions
	if got, err := unset.Apply(ada, "a"); err != nil || got != ada {
		t.Errorf("Apply of nil = %+v, %v, want what it was given", got, err)
	}
}

func TestRestrictionsAreRemembered(t *testing.T) {
	file := filepath.Join(t.TempDir(), "restrictions.json")
	r := openRestrictions(t, file)
	for _, one := range []auth.Restriction{
		{Subject: auth.Subject{User: "ada", Room: "docs/\u2028ä"}, Until: noon.Add(time.Hour)},
		{Subject: auth.Subject{Session: "s1"}, Read: true},
		{Subject: auth.Subject{Room: "gone"}},
		{Subject: auth.Subject{User: "over"}, Until: noon},
	} {
		if err := r.Add(one); err != nil {
			t.Fatalf("Add(%+v) = %v, want nil", one, err)
		}
	}
	if ok, err := r.Lift(auth.Subject{Room: "gone"}, false); !ok || err != nil {
		t.Errorf("Lift = %v, %v, want true", ok, err)
	}
	for _, s := range []auth.Subject{{Room: "gone"}, {User: "ada"}, {User: "over"}} {
		if ok, err := r.Lift(s, false); ok || err != nil {
			t.Errorf("Lift(%+v) = %v, %v, want false", s, ok, err)
		}
	}
	want := []auth.Restriction{
		{Subject: auth.Subject{Session: "s1"}, Read: true, Since: noon},
		{Subject: auth.Subject{User: "ada", Room: "docs/\u2028ä"}, Since: noon, Until: noon.Add(time.Hour)},
	}
	for name, r := range map[string]*auth.Restrictions{"before": r, "after": openRestrictions(t, file)} {
		if diff := cmp.Diff(want, r.List()); diff != "" {
			t.Errorf("List %s opening again (-want +got):\n%s", name, diff)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("Stat = %v, %v, want a file for its owner only", info.Mode(), err)
	}
	if left, err := filepath.Glob(file + ".*"); err != nil || len(left) > 0 {
		t.Errorf("beside the file there are %v, want nothing", left)
	}
}

func TestRestrictionsDamaged(t *testing.T) {
	good, err := auth.EncodeRestrictions([]auth.Restriction{{Subject: auth.Subject{User: "ada"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := auth.OpenRestrictions(write(t, "restrictions.json", string(good))); err != nil {
		t.Errorf("OpenRestrictions = %v, want nil", err)
	}
	for i := range good {
		b := append([]byte(nil), good...)
		b[i] ^= 1
		if list, err := auth.DecodeRestrictions(b); err == nil && list[0].User != "ada" {
			t.Errorf("with byte %d damaged the file says %+v, want an error", i, list)
		}
		if _, err := auth.DecodeRestrictions(good[:i]); err == nil && i < len(good)-1 {
			t.Errorf("a file cut off at %d can be read, want an error", i)
		}
	}
	if _, err := auth.OpenRestrictions(write(t, "restrictions.json", "")); err == nil {
		t.Error("OpenRestrictions of an empty file = nil, want an error")
	}
}

// TestRestrictionHoldsWithoutDisk checks that an error of the disk lets nobody in.
func TestRestrictionHoldsWithoutDisk(t *testing.T) {
	r := openRestrictions(t, filepath.Join(t.TempDir(), "gone", "restrictions.json"))
	if err := r.Add(auth.Restriction{Subject: auth.Subject{User: "ada"}}); err == nil {
		t.Error("Add = nil without a directory, want an error")
	}
	_, err := r.Apply(auth.Grant{User: auth.User{ID: "ada"}}, "a")
	wantRefusal(t, err, protocol.Forbidden, "revoked", "")
}

func TestRestrictionsAreBounded(t *testing.T) {
	r := openRestrictions(t, "")
	for i := range auth.MaxRestrictions {
		if err := r.Add(auth.Restriction{Subject: auth.Subject{User: fmt.Sprint(i)}, Until: noon.Add(time.Minute)}); err != nil {
			t.Fatalf("Add(%d) = %v, want nil", i, err)
		}
	}
	one := auth.Restriction{Subject: auth.Subject{User: "one more"}}
	if err := r.Add(one); !errors.Is(err, auth.ErrFull) {
		t.Errorf("Add(one more) = %v, want %v", err, auth.ErrFull)
	}
	if err := r.Add(auth.Restriction{Subject: auth.Subject{User: "0"}, Until: noon.Add(time.Minute)}); err != nil {
		t.Errorf("Add(one that is there) = %v, want nil", err)
	}
	r.SetClock(func() time.Time { return noon.Add(time.Minute) })
	if err := r.Add(one); err != nil {
		t.Errorf("Add(one more, when others are over) = %v, want nil", err)
	}
}

// TestRestrictionsKinds checks that what concerns writing alone gives nothing back to somebody who was revoked.
func TestRestrictionsKinds(t *testing.T) {
	r := openRestrictions(t, "")
	ada := auth.Subject{User: "ada"}
	steps := []struct {
		name string
		do   func() (bool, error)
		ok   bool
		err  error
	}{
		{"lift reading only, there being nothing", func() (bool, error) { return r.Lift(ada, true) }, false, nil},
		{"reading only", func() (bool, error) { return true, r.Add(auth.Restriction{Subject: ada, Read: true}) }, true, nil},
		{"lift a revocation, there being none", func() (bool, error) { return r.Lift(ada, false) }, false, nil},
		{"revoke", func() (bool, error) { return true, r.Add(auth.Restriction{Subject: ada}) }, true, nil},
		{"reading only, revoked", func() (bool, error) { return true, r.Add(auth.Restriction{Subject: ada, Read: true}) }, true, auth.ErrRevoked},
		{"lift reading only, revoked", func() (bool, error) { return r.Lift(ada, true) }, false, auth.ErrRevoked},
		{"lift the revocation", func() (bool, error) { return r.Lift(ada, false) }, true, nil},
		{"lift it again", func() (bool, error) { return r.Lift(ada, false) }, false, nil},
	}
	for _, s := range steps {
		if ok, err := s.do(); ok != s.ok || !errors.Is(err, s.err) {
			t.Errorf("%s = %v, %v, want %v, %v", s.name, ok, err, s.ok, s.err)
		}
	}
}

func TestSubjectCheck(t *testing.T) {
	for _, c := range []struct {
		s  auth.Subject
		ok bool
	}{
		{auth.Subject{User: "u"}, true},
		{auth.Subject{Session: "s", Room: "r"}, true},
		{auth.Subject{Room: "r"}, true},
		{auth.Subject{}, false},
		{auth.Subject{User: "u", Session: "s"}, false},
		{auth.Subject{User: "a\nb"}, false},
		{auth.Subject{User: "\xff"}, false},
		{auth.Subject{Room: strings.Repeat("r", 257)}, false},
	} {
		if err := c.s.Check(); (err == nil) != c.ok {
			t.Errorf("Check(%+v) = %v, want ok %v", c.s, err, c.ok)
		}
	}
}

// TestRestrictionsAtOneTime lets many add at one time; the file must have all of them.
func TestRestrictionsAtOneTime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "restrictions.json")
	r := openRestrictions(t, file)
	var wg sync.WaitGroup
	const n = 20
	for i := range n {
		wg.Go(func() {
			if err := r.Add(auth.Restriction{Subject: auth.Subject{User: fmt.Sprint(i)}}); err != nil {
				t.Errorf("Add = %v, want nil", err)
			}
			found := false
			for _, one := range openRestrictions(t, file).List() {
				found = found || one.User == fmt.Sprint(i)
			}
			if !found {
				t.Errorf("the file lacks %d after Add returned", i)
			}
		})
	}
	wg.Wait()
}

func FuzzDecodeRestrictions(f *testing.F) {
	good, err := auth.EncodeRestrictions([]auth.Restriction{{Subject: auth.Subject{User: "ada", Room: "r"}, Until: noon}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("{}\ncrc32c 00000000\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := auth.DecodeRestrictions(b)
		if err != nil {
			return
		}
		again, err := auth.EncodeRestrictions(list)
		if err != nil {
			t.Fatalf("EncodeRestrictions(%+v) = %v, want nil", list, err)
		}
		if got, err := auth.DecodeRestrictions(again); err != nil || len(got) != len(list) {
			t.Errorf("DecodeRestrictions of what it returned = %+v, %v, want %+v", got, err, list)
		}
	})
}
