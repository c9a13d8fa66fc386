package auth_test

import (
	"strings"
	"testing"

	"weft/gateway/auth"
)

func TestPatternMatch(t *testing.T) {
	for _, c := range []struct {
		pattern auth.Pattern
		room    string
		want    bool
	}{
		{"docs/a", "docs/a", true},
		{"docs/a", "docs/ab", false},
		{"docs/a", "Docs/a", false},
		{"docs/*", "docs/a", true},
		{"docs/*", "docs/", true},
		{"docs/*", "docs", false},
		{"docs/*", "docs/a/b", false},
		{"docs/*/b", "docs/a/b", true},
		{"docs/*/b", "docs//b", true},
		{"docs/*/b", "docs/a/c/b", false},
		{"d*s/*", "docs/a", true},
		{"d*s/*", "d/s/a", false},
		{"*", "a", true},
		{"*", "a/b", false},
		{"**", "a/b", true},
		{"***", "a/b", true},
		{"team/**", "team/a/b", true},
		{"team/**", "team/", true},
		{"team/**", "team", false},
		{"**/secret", "a/b/secret", true},
		{"**/secret", "secret", false},
		{"a**z", "az", true},
		{"a**z", "a/b/z", true},
		{"a**/m*/z", "a/m/x/m1/z", true},
		{"a*b*c", "abbbc", true},
		{"a*b*c", "ab/c", false},
		{"a?c", "abc", false},
		{"[ab]", "a", false},
		{"[ab]", "[ab]", true},
		{"a/../b", "b", false},
		{"a/../b", "a/../b", true},
		{"*", "*", true},
		{"日*", "日本", true},
		{"", "", true},
		{"*", "", true},
		{"**", strings.Repeat("long/", 200), true},
	} {
		if got := c.pattern.Match(c.room); got != c.want {
			t.Errorf("Pattern(%q).Match(%q) = %v, want %v", c.pattern, c.room, got, c.want)
		}
	}
}

func TestPatternCheck(t *testing.T) {
	for _, c := range []struct {
		pattern auth.Pattern
		ok      bool
	}{
		{"docs/*", true},
		{auth.Pattern(strings.Repeat("a", 256)), true},
		{auth.Pattern(strings.Repeat("a", 257)), false},
		{"", false},
		{"a\xff", false},
	} {
		if err := c.pattern.Check(); (err == nil) != c.ok {
			t.Errorf("Pattern(%q).Check() = %v, want ok %v", c.pattern, err, c.ok)
		}
	}
}

// naiveMatch is Match as one would explain it, in exponential time.
func naiveMatch(pattern, room string) bool {
	if pattern == "" {
		return room == ""
	}
	if pattern[0] != '*' {
		return room != "" && room[0] == pattern[0] && naiveMatch(pattern[1:], room[1:])
	}
	rest := strings.TrimLeft(pattern, "*")
	across := len(pattern)-len(rest) > 1
	for i := 0; ; i++ {
		if naiveMatch(rest, room[i:]) {
			return true
		}
		if i == len(room) || !across && room[i] == '/' {
			return false
		}
	}
}

func FuzzPatternMatch(f *testing.F) {
	f.Add("a*b/**/c*", "axb/1/2/c/c3")
	f.Add("**a**a**a", "aaaaaaaaaaaa")
	f.Add("*/*/*", "//")
	f.Fuzz(func(t *testing.T, pattern, room string) {
		if len(room) > 32 || strings.Count(pattern, "*") > 6 || len(pattern) > 32 {
			t.Skip("the naive matcher would take too long")
		}
		got, want := auth.Pattern(pattern).Match(room), naiveMatch(pattern, room)
		if got != want {
			t.Errorf("Pattern(%q).Match(%q) = %v, want %v", pattern, room, got, want)
		}
	})
}

// BenchmarkPatternMatchWorst is the pattern that a backtracking matcher dies of.
func BenchmarkPatternMatchWorst(b *testing.B) {
	pattern, room := auth.Pattern(strings.Repeat("**a", 85)), strings.Repeat("a", 255)+"b"
	b.ReportAllocs()
	for b.Loop() {
		if pattern.Match(room) {
			b.Fatal("Match = true, want false")
		}
	}
}
