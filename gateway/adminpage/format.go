package adminpage

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// funcs are what templates can do with values. None of them returns a type that escaping leaves alone.
func funcs() template.FuncMap {
	return template.FuncMap{
		"bytes": formatBytes, "count": formatCount, "span": formatSpan, "clock": formatClock, "stamp": formatStamp, "ago": formatAgo,
		"share": formatShare, "rate": formatRate, "pos": formatPosition, "verbs": verbs, "reason": reasonText,
	}
}

// verbs names the actions for links.
func verbs() map[string]string {
	return map[string]string{
		"kick": Kick, "revoke": Revoke, "unrevoke": Unrevoke, "readonly": ReadOnly, "writable": Writable, "checkpoint": Checkpoint, "drain": Drain,
	}
}

// reasonText makes words of a name in snake case.
func reasonText(name string) string { return strings.ReplaceAll(name, "_", " ") }

// formatBytes writes bytes with at most four digits.
func formatBytes(n any) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, u := float64(integer(n)), 0
	for v >= 999.5 && u < len(units)-1 {
		v, u = v/1024, u+1
	}
	switch {
	case u == 0:
		return fmt.Sprintf("%d B", n)
	case v < 9.95:
		return fmt.Sprintf("%.1f %s", v, units[u])
	}
	return fmt.Sprintf("%.0f %s", v, units[u])
}

// formatCount writes a number with commas between thousands.
func formatCount(n any) string {
	s := strconv.FormatInt(integer(n), 10)
	first := 0
	if s[0] == '-' {
		first = 1
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// integer takes the kinds of number that templates have.
func integer(n any) int64 {
	switch n := n.(type) {
	case int:
		return int64(n)
	case int64:
		return n
	case uint64:
		return int64(min(n, math.MaxInt64))
	}
	panic(fmt.Sprintf("adminpage: a template counts a %T", n))
}

// formatSpan writes a duration with its two largest units.
func formatSpan(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d m %02d s", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %02d m", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d d %02d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// formatAgo writes how long ago something was.
func formatAgo(t time.Time) string { return formatSpan(time.Since(t)) }

// formatClock writes a time for people, with its day unless that is the last one.
func formatClock(t time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case time.Until(t).Abs() < 12*time.Hour:
		return t.UTC().Format("15:04:05")
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// formatStamp writes a time for programs.
func formatStamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// formatShare writes a part of a whole in percent.
func formatShare(part, whole int) string {
	if whole == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(part)/float64(whole))
}

// formatRate writes a number a second.
func formatRate(r float64) string {
	if r > 0 && r < 9.95 {
		return fmt.Sprintf("%.1f", r)
	}
	return formatCount(int64(r + 0.5))
}

// formatPosition writes a position; a room that was never written has none. Epochs are large numbers of which the last
// digits tell one from another.
func formatPosition(p Position) string {
	if p == (Position{}) {
		return "none"
	}
	return fmt.Sprintf("%d:%d", p.Epoch, p.Seq)
}
