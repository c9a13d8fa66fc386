package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWrap(t *testing.T) {
	cases := []struct {
		name, text string
		width      int
		want       []string
	}{
		{"empty", "", 5, []string{""}},
		{"short", "ab\ncd", 5, []string{"ab", "cd"}},
		{"ends in a newline", "ab\n", 5, []string{"ab", ""}},
		{"just fits", "abcde", 5, []string{"abcde"}},
		{"too long", "abcdefg", 5, []string{"abcde", "fg"}},
		{"wide at the edge", "abcd日本", 5, []string{"abcd", "日本"}},
		{"joined emoji", "abc👩‍👩‍👧x", 5, []string{"abc👩‍👩‍👧", "x"}},
		{"combining", "e\u0301e\u0301e\u0301", 2, []string{"e\u0301e\u0301", "e\u0301"}},
		{"tab", "a\tb", 4, []string{"a\t", "b"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, r := range wrap(c.text, c.width) {
				got = append(got, c.text[r.start:r.end])
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("wrap(%q, %d) (-want +got):\n%s", c.text, c.width, diff)
			}
		})
	}
}

// Every place in a text has a place on the screen, and leads back.
func TestFindAndReach(t *testing.T) {
	text := "one 日本\n\n👩‍👩‍👧 e\u0301\ttabs " + strings.Repeat("long ", 10) + "\n"
	rows := wrap(text, 12)
	for at := 0; ; at = right(text, at) {
		y, x := find(text, rows, at)
		if got := reach(text, rows[y], x); got != at {
			t.Errorf("reach(find(%d) = %d:%d) = %d", at, y, x, got)
		}
		if at == len(text) {
			return
		}
		if back := left(text, right(text, at)); back != at {
			t.Errorf("left(right(%d)) = %d", at, back)
		}
	}
}

// What a terminal would obey is not shown.
func TestControlCharacters(t *testing.T) {
	var got strings.Builder
	for _, c := range cells("a\x1b[2Jb\x00\x7f\u200b", 0) {
		got.WriteString(c.shown)
	}
	if want := "a·[2Jb···"; got.String() != want {
		t.Errorf("cells = %q, want %q", got.String(), want)
	}
}

func TestByteOffset(t *testing.T) {
	text := "a日👩b"
	for index, want := range []int{0, 1, 4, 4, 8, 9, 9} { // the emoji has two code units; there is no place inside
		if got := byteOffset(text, index); got != want {
			t.Errorf("byteOffset(%q, %d) = %d, want %d", text, index, got, want)
		}
	}
	if got := units(text); got != 5 {
		t.Errorf("units(%q) = %d, want 5", text, got)
	}
}
