package bench

import (
	"strings"
	"testing"
	"time"
)

// restart is what a relay does when it is killed: everybody is cut off, and the first handshakes are refused.
func (r *relay) restart(refuse int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = refuse
	for _, room := range r.rooms {
		for _, c := range room.conns {
			_ = c.nc.Close() // its reader sees to the rest
		}
		clear(room.people)
	}
}

func TestReconnectAfterKill(t *testing.T) {
	r := startRelay(t, &relay{})
	o := small(t, r.url, "yws", "reconnect")
	o.Kill = func() error { r.restart(5); return nil }
	began := time.Now()
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatalf("Run = %v, want nil", err)
	}
	got := report.Results[0].Reconnect
	if !report.OK() || !got.Killed || got.Synced.Count != 12 || got.Refused != 5 || got.Retries != 5 {
		t.Errorf("reconnect found %+v with faults %q, want 12 clients synced after 5 refusals", got, report.Results[0].Faults)
	}
	if d := time.Since(began); d < time.Second {
		t.Errorf("everybody was back after %v, want those who were refused to come a second later", d)
	}
	text := new(strings.Builder)
	if err := report.WriteText(text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "the server was killed") || !strings.Contains(text.String(), "5 of them told to come later") {
		t.Errorf("the text says\n%s", text)
	}
}

// TestReconnectToLess lets a server forget what was in its rooms when it was killed.
func TestReconnectToLess(t *testing.T) {
	r := startRelay(t, &relay{})
	o := small(t, r.url, "yws", "reconnect")
	o.CatchUp, o.Patience = time.Second, time.Second
	o.Kill = func() error {
		r.restart(0)
		r.mu.Lock()
		defer r.mu.Unlock()
		clear(r.rooms)
		return nil
	}
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatalf("Run = %v, want nil", err)
	}
	if f := report.Results[0].Faults; f.Missing == 0 {
		t.Errorf("faults = %q, want clients that miss what was lost", f)
	}
}
