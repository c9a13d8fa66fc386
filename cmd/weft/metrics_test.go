package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var update = flag.Bool("update", false, "write the table of deploy/METRICS.md")

// description is what a metric tells of itself.
type description struct {
	help   string
	labels []string
}

// described returns all metrics of this program by name, also those that have no series yet.
func described() map[string]description {
	m := newMetrics()
	m.limits(&limitFlags{})
	m.registry.MustRegister(newStateGauges(sources{}))
	descriptions := make(chan *prometheus.Desc)
	go func() { // ends with the last one
		m.registry.Describe(descriptions)
		close(descriptions)
	}()
	all := map[string]description{}
	for d := range descriptions {
		// There is no other way to ask a Desc: Desc{fqName: "...", help: "...", unit: "...", constLabels: {...}, variableLabels: {a,b}}
		parts := descriptionForm.FindStringSubmatch(d.String())
		if parts == nil {
			panic(d.String())
		}
		one := description{help: strings.ReplaceAll(parts[2], `\"`, `"`)}
		if parts[3] != "" {
			one.labels = strings.Split(parts[3], ",")
		}
		all[parts[1]] = one
	}
	return all
}

var descriptionForm = regexp.MustCompile(`^Desc{fqName: "([a-z0-9_]+)", help: "(.*)", unit: "[a-z]*", constLabels: {.*}, variableLabels: {([a-z,_]*)}}$`)

// metricNames returns the names of all metrics.
func metricNames() []string { return slices.Sorted(maps.Keys(described())) }

// Where the table of deploy/METRICS.md is.
const (
	metricsPage = "../../deploy/METRICS.md"
	tableHead   = "| metric | labels | meaning |\n|---|---|---|\n"
)

// TestMetricsPage compares the page with the registry: every metric is in it, and nothing else.
// go test ./cmd/weft -run TestMetricsPage -update writes it.
func TestMetricsPage(t *testing.T) {
	all := described()
	var want strings.Builder
	for _, name := range metricNames() {
		if d := all[name]; strings.HasPrefix(name, "weft_") {
			fmt.Fprintf(&want, "| `%s` | %s | %s |\n", name, strings.Join(d.labels, ", "), d.help)
		}
	}
	b, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(b), tableHead)
	got, after, more := strings.Cut(rest, "\n\n")
	if !found || !more {
		t.Fatalf("%s has no table that begins with %q", metricsPage, tableHead)
	}
	if got += "\n"; got == want.String() {
		return
	}
	if *update {
		if err := os.WriteFile(metricsPage, []byte(before+tableHead+want.String()+"\n"+after), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	lines := func(s string) map[string]bool {
		m := map[string]bool{}
		for l := range strings.Lines(s) {
			m[l] = true
		}
		return m
	}
	have, need := lines(got), lines(want.String())
	for l := range need {
		if !have[l] {
			t.Errorf("%s lacks %s", metricsPage, l)
		}
	}
	for l := range have {
		if !need[l] {
			t.Errorf("%s has what is no metric: %s", metricsPage, l)
		}
	}
	if !t.Failed() {
		t.Errorf("%s is not sorted by name", metricsPage)
	}
}
