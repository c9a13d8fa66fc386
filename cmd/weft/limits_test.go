package main

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"weft/gateway"
	"weft/protocol"
)

// bound is one bound of what clients may cost.
type bound struct {
	option  string // of gateway.Options
	flags   []string
	metrics []string        // what shows it in /metrics
	reason  protocol.Reason // what a client is told that goes over it; the zero value: an answer before the upgrade
}

// limits is the whole table of them.
var limits = []bound{
	{"MaxConns", []string{"max-connections"}, []string{"weft_connections", "weft_connections_limit", "weft_requests_refused_total"}, protocol.Reason{}},
	{"MaxConnsPerAddress", []string{"max-connections-per-address"}, []string{"weft_requests_refused_total"}, protocol.Reason{}},
	{"MaxConnsPerUser", []string{"max-connections-per-user"}, []string{"weft_barred_total"}, protocol.Overloaded},
	{"MaxPlacesPerRoom", []string{"max-clients-per-room"}, []string{"weft_barred_total"}, protocol.Overloaded},
	{"MessageMemory", []string{"max-message-memory"}, []string{"weft_message_memory_bytes", "weft_pauses_total"}, protocol.Overloaded},
	{"MaxCompressed", []string{"max-compressed-connections"}, []string{"weft_compressed_connections"}, protocol.Reason{}},
	{"Limits", []string{"max-message"}, []string{"weft_disconnects_total"}, protocol.TooLarge},
	{"ConnRate", []string{"max-message-rate", "max-byte-rate"}, []string{"weft_pauses_total", "weft_paused_seconds_total"}, protocol.RateLimited},
	{"UserRate", []string{"max-message-rate-per-user", "max-byte-rate-per-user"}, []string{"weft_pauses_total"}, protocol.RateLimited},
	{"AddressRate", []string{"max-message-rate-per-address", "max-byte-rate-per-address"}, []string{"weft_pauses_total"}, protocol.RateLimited},
}

// fixedLimits are bounds of gateway.Options that are no operator's business.
var fixedLimits = []string{"NativeFrame", "OutboxBytes"}

// TestEveryLimitIsAccountedFor holds the table above, the flags, README, the metrics and the reasons together: a bound
// that is added to one of them has to be added to all.
func TestEveryLimitIsAccountedFor(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	flags := flagNames(t)
	metrics := metricNames()
	var named []string
	for _, l := range limits {
		named = append(named, l.flags...)
		for _, m := range l.metrics {
			if !slices.Contains(metrics, m) {
				t.Errorf("limit %s: there is no metric %s", l.option, m)
			}
			if !strings.Contains(string(readme), "`"+m+"`") {
				t.Errorf("limit %s: README does not name the metric %s", l.option, m)
			}
		}
		if l.reason.Code != 0 && !slices.Contains(protocol.Reasons(), l.reason) {
			t.Errorf("limit %s: %v is no reason", l.option, l.reason)
		}
	}
	for _, f := range flags {
		if !strings.Contains(string(readme), "--"+f) {
			t.Errorf("README does not name --%s", f)
		}
		if strings.HasPrefix(f, "max-") && !slices.Contains(named, f) {
			t.Errorf("--%s is not in the table of limits", f)
		}
	}
	for _, f := range named {
		if !slices.Contains(flags, f) {
			t.Errorf("there is no flag --%s", f)
		}
	}
	for _, o := range bounds() {
		if !slices.ContainsFunc(limits, func(l bound) bool { return l.option == o }) && !slices.Contains(fixedLimits, o) {
			t.Errorf("gateway.Options.%s is not in the table of limits", o)
		}
	}
}

// TestLimitFlagsAreApplied sets one flag after another and looks for the option that changes.
func TestLimitFlagsAreApplied(t *testing.T) {
	var none gateway.Options
	(&limitFlags{}).apply(&none)
	for _, l := range limits {
		for _, flag := range l.flags {
			var f limitFlags
			setFlag(t, &f, flag, 7)
			var o gateway.Options
			f.apply(&o)
			for _, name := range bounds() {
				changed := !reflect.DeepEqual(reflect.ValueOf(o).FieldByName(name).Interface(), reflect.ValueOf(none).FieldByName(name).Interface())
				if changed != (name == l.option) {
					t.Errorf("--%s changes Options.%s: %v, want %v", flag, name, changed, name == l.option)
				}
			}
		}
	}
}

// bounds returns the fields of gateway.Options that are numbers, or structs of them.
func bounds() (names []string) {
	o := reflect.TypeFor[gateway.Options]()
	for f := range o.Fields() {
		switch f.Type {
		case reflect.TypeFor[int](), reflect.TypeFor[gateway.Rate](), reflect.TypeFor[protocol.Limits]():
			names = append(names, f.Name)
		}
	}
	return names
}

// flagNames returns the flags of serve.
func flagNames(t *testing.T) (names []string) {
	t.Helper()
	for _, f := range serveParser(t, &serveCmd{}).Model.Flags {
		if f.Name != "help" {
			names = append(names, f.Name)
		}
	}
	return names
}

// serveParser reads the flags of serve alone.
func serveParser(t *testing.T, c *serveCmd) *kong.Kong {
	t.Helper()
	k, err := kong.New(c, kong.Vars{"admin": defaultAdmin})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// setFlag sets one flag to n and all others to nothing.
func setFlag(t *testing.T, f *limitFlags, flag string, n int64) {
	t.Helper()
	var c serveCmd
	k := serveParser(t, &c)
	for _, known := range k.Model.Flags {
		if known.Name == flag {
			known.Target.SetInt(n)
			*f = c.Limits
			return
		}
	}
	t.Fatalf("there is no flag --%s", flag)
}
