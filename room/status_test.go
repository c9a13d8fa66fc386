package room_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"weft/crdt"
	"weft/protocol"
	"weft/room"
)

func TestStatusListExport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		if _, err := w.rooms.Status(t.Context(), "none"); reason(err) != protocol.NotFound {
			t.Errorf("Status of no room = %v, want NotFound", err)
		}
		err := w.rooms.Export(t.Context(), "none", func(*crdt.Doc) error { t.Error("Export of no room ran"); return nil })
		if reason(err) != protocol.NotFound {
			t.Errorf("Export of no room = %v, want NotFound", err)
		}
		for _, name := range []string{"b", "a/1", "a", "ü"} {
			c := w.join(name, &client{}, peer(0))
			c.typed("text of " + name)
			settle(c)
			c.session.Leave()
		}
		time.Sleep(2 * time.Minute)
		c := w.join("b", &client{}, peer(0))
		c.announce(1, 1, "{}")
		c.announce(2, 1, "{}")
		settle(c)
		fresh := w.join("c", &client{}, peer(0)) // open, and never written
		settle(fresh)
		for _, tt := range []struct {
			limit int
			want  []string
			more  bool
		}{
			{100, []string{"b", "c", "a", "a/1", "ü"}, false},
			{5, []string{"b", "c", "a", "a/1", "ü"}, false},
			{4, []string{"b", "c", "a", "a/1"}, true},
			{3, []string{"b", "c", "a"}, true},
			{2, []string{"b", "c"}, true},
			{1, []string{"b"}, true},
		} {
			list, more, err := w.rooms.List(t.Context(), tt.limit)
			if got := w.names(list); err != nil || more != tt.more || !slices.Equal(got, tt.want) {
				t.Errorf("List(%d) = %q, %v, %v, want %q, %v", tt.limit, got, more, err, tt.want, tt.more)
			}
		}
		for _, tt := range []struct {
			after string
			limit int
			want  []string
			more  bool
		}{
			{"", 100, []string{"a", "a/1", "b", "c", "ü"}, false},
			{"", 5, []string{"a", "a/1", "b", "c", "ü"}, false},
			{"", 2, []string{"a", "a/1"}, true},
			{"a/1", 2, []string{"b", "c"}, true},
			{"c", 2, []string{"ü"}, false},
			{"a/", 1, []string{"a/1"}, true},
			{"ü", 2, nil, false},
		} {
			list, more, err := w.rooms.ListAfter(t.Context(), tt.after, tt.limit)
			if got := w.names(list); err != nil || more != tt.more || !slices.Equal(got, tt.want) {
				t.Errorf("ListAfter(%q, %d) = %q, %v, %v, want %q, %v", tt.after, tt.limit, got, more, err, tt.want, tt.more)
			}
		}
		if st := w.status("b"); !st.Open || st.Conns != 1 || st.People != 2 {
			t.Errorf("Status(b) = %+v, want it open with 1 conn and 2 people", st)
		}
		if w.status("a").Open {
			t.Error("Status opened a cold room")
		}
		if got := w.serverText("a/1"); got != "text of a/1" {
			t.Errorf("Export(a/1) = %q", got)
		}
		failure := errors.New("of the caller")
		if err := w.rooms.Export(t.Context(), "a", func(*crdt.Doc) error { return failure }); !errors.Is(err, failure) {
			t.Errorf("Export = %v, want the caller's error", err)
		}
	})
}

// TestBusiestRoomsAreListedFirst fills a list that is shorter than the open rooms.
func TestBusiestRoomsAreListedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		for name, n := range map[string]int{"a": 1, "b": 3, "c": 2, "d": 1} {
			for range n {
				settle(w.join(name, &client{}, peer(0)))
			}
		}
		list, more, err := w.rooms.List(t.Context(), 3)
		if got, want := w.names(list), []string{"b", "c", "a"}; err != nil || !more || !slices.Equal(got, want) {
			t.Errorf("List(3) = %q, %v, %v, want %q and more", got, more, err, want)
		}
	})
}

// TestExportGivesUpWhileTheFunctionRuns ends the context of an Export whose
// function is running: what the function returns later belongs to nobody. The
// race detector judges.
func TestExportGivesUpWhileTheFunctionRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, room.Options{})
		defer w.stop()
		a := w.join("r", &client{}, peer(0))
		a.typed("x")
		settle(a)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		late := errors.New("late")
		err := w.rooms.Export(ctx, "r", func(*crdt.Doc) error { <-ctx.Done(); return late })
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, late) {
			t.Errorf("Export(ended ctx) = %v, want %v alone", err, context.DeadlineExceeded)
		}
		if got := w.serverText("r"); got != "x" {
			t.Errorf("room has %q after the export was given up, want x", got)
		}
	})
}
