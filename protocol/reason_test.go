package protocol_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"weft/protocol"
)

func TestReasonsTable(t *testing.T) {
	codes, names, texts := map[int]bool{}, map[string]bool{}, map[string]bool{}
	last := 0
	for _, r := range protocol.Reasons() {
		if codes[r.Code] || names[r.Name] || texts[r.Text] {
			t.Errorf("reason %v repeats a code, name or text", r)
		}
		codes[r.Code], names[r.Name], texts[r.Text] = true, true, true
		if r.Name == "" || r.Text == "" || len(r.Text) > 123 {
			t.Errorf("reason %d: name %q, text of %d bytes, want a name and 1 to 123 bytes", r.Code, r.Name, len(r.Text))
		}
		if r.Code <= last {
			t.Errorf("reason %d stands after %d, want ascending codes", r.Code, last)
		}
		last = r.Code
		switch {
		case r.Code >= 4400 && r.Code <= 4499:
			if r.Retry {
				t.Errorf("reason %d may be retried, but y-websocket does not come back from 44xx", r.Code)
			}
		case r.Code >= 4500 && r.Code <= 4599, slices.Contains([]int{1000, 1006, 1012, 1013, 4205}, r.Code):
			if !r.Retry {
				t.Errorf("reason %d is final, but y-websocket comes back from everything outside 44xx", r.Code)
			}
		default:
			t.Errorf("reason %d is in no range of the table", r.Code)
		}
	}
	for _, code := range []int{4205, 4400, 4401, 4403, 4404, 4408, 4413, 4423, 4500, 4503, 4508, 4529} {
		if !codes[code] {
			t.Errorf("Reasons() lacks the code %d", code)
		}
	}
}

func TestReasonsReturnsACopy(t *testing.T) {
	protocol.Reasons()[0].Code = 9
	if got := protocol.Reasons()[0]; got != protocol.Normal {
		t.Errorf("Reasons()[0] = %v after a caller changed its copy, want %v", got, protocol.Normal)
	}
}

func TestCloseError(t *testing.T) {
	err := fmt.Errorf("conn 3: %w", &protocol.CloseError{Reason: protocol.Malformed, Detail: "frame", Cause: io.ErrUnexpectedEOF})
	ce, ok := errors.AsType[*protocol.CloseError](err)
	if !ok || ce.Reason != protocol.Malformed {
		t.Errorf("AsType(%v) = %v, %v, want Malformed", err, ce, ok)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Is(%v, ErrUnexpectedEOF) = false, want true", err)
	}
	if got, want := ce.Error(), "malformed: frame: unexpected EOF"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if got, want := protocol.TooSlow.Closef("after %d s", 30).Error(), "too_slow: after 30 s"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}
