package main

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// TestEveryEventIsObserved looks for events that a package tells and nobody hears. Reflection, because that is the one
// way to meet the event that is added tomorrow.
func TestEveryEventIsObserved(t *testing.T) {
	o := &observer{log: (&logSetting{}).logger(t.Output()), m: newMetrics()}
	for _, events := range []any{o.gateway(), o.room(), o.store()} {
		v := reflect.ValueOf(events)
		for i := range v.NumField() {
			if v.Field(i).IsNil() {
				t.Errorf("%v.%s is nil, want a log line or a metric", v.Type(), v.Type().Field(i).Name)
			}
		}
	}
}

func TestRenewedLogIsCounted(t *testing.T) {
	var log strings.Builder
	var setting logSetting
	if err := setting.UnmarshalText([]byte("text,debug")); err != nil {
		t.Fatal(err)
	}
	o := &observer{log: setting.logger(&log), m: newMetrics()}
	o.store().Renewed(4096)
	w := httptest.NewRecorder()
	o.m.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if want := "\nweft_log_renewals_total 1\n"; !strings.Contains(w.Body.String(), want) {
		t.Errorf("metrics lack %q after a renewal", want)
	}
	if got := log.String(); !strings.Contains(got, "level=DEBUG") || !strings.Contains(got, "bytes=4096") {
		t.Errorf("log says %q after a renewal of 4096 bytes, want a debug line with them", got)
	}
}
