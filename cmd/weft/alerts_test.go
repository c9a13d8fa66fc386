package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	queriedName  = regexp.MustCompile(`\bweft_[a-z0-9_]+`)
	queriedLabel = regexp.MustCompile(`\b(weft_[a-z0-9_]+)\{([a-z_]+)[=!]`)
	histogramEnd = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// TestAlerts looks every metric, and every label it is chosen by, of the alert rules up among those of the program.
func TestAlerts(t *testing.T) {
	b, err := os.ReadFile("../../deploy/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	all := described()
	rules := 0
	for line := range strings.Lines(string(b)) {
		expr, ok := strings.CutPrefix(strings.TrimSpace(line), "expr: ")
		if !ok {
			continue
		}
		rules++
		for _, name := range queriedName.FindAllString(expr, -1) {
			if _, ok := all[name]; !ok {
				name = histogramEnd.ReplaceAllString(name, "")
			}
			if _, ok := all[name]; !ok {
				t.Errorf("%s: there is no metric %s", expr, name)
			}
		}
		for _, m := range queriedLabel.FindAllStringSubmatch(expr, -1) {
			if !slices.Contains(all[m[1]].labels, m[2]) {
				t.Errorf("%s: %s has no label %s", expr, m[1], m[2])
			}
		}
	}
	if alerts := strings.Count(string(b), "- alert: "); rules == 0 || rules != alerts {
		t.Errorf("%d expressions of %d alerts, want one for each", rules, alerts)
	}
}
