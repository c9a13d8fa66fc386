package crdttest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
)

// DiffJSON compares two JSON texts as values: order of keys, white space and the spelling of numbers do not count.
// It returns "" when they are equal, else a readable difference (- want, + got).
func DiffJSON(want, got []byte) string {
	w, err := Canonical(want)
	if err != nil {
		return fmt.Sprintf("want is no JSON: %v: %s", err, clip(want))
	}
	g, err := Canonical(got)
	if err != nil {
		return fmt.Sprintf("got is no JSON: %v: %s", err, clip(got))
	}
	if reflect.DeepEqual(w, g) {
		return ""
	}
	// cmp.Diff would take time exponential in the nesting of values; sorted keys make a plain comparison of texts do.
	wantText, err := json.Marshal(w)
	if err != nil {
		return err.Error()
	}
	gotText, err := json.Marshal(g)
	if err != nil {
		return err.Error()
	}
	return DiffText(string(wantText), string(gotText))
}

// Canonical decodes one JSON text into maps, slices, strings, bools, nil and float64. As in JavaScript all numbers
// are float64.
func Canonical(text []byte) (any, error) {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return nil, err
	}
	return v, nil
}

// DiffBytes returns "" when the slices are equal, else their lengths and the bytes around the first difference.
func DiffBytes(want, got []byte) string {
	if bytes.Equal(want, got) {
		return ""
	}
	at := 0
	for at < len(want) && at < len(got) && want[at] == got[at] {
		at++
	}
	const before, after = 16, 48 // bytes
	window := func(b []byte) string {
		from, to := max(0, at-before), min(len(b), at+after)
		return hex.EncodeToString(b[from:at]) + " | " + hex.EncodeToString(b[at:to])
	}
	return fmt.Sprintf("differ at byte %d of %d (want) and %d (got):\n- %s\n+ %s", at, len(want), len(got), window(want), window(got))
}

// DiffText is DiffBytes for texts: the characters around the first difference, quoted.
func DiffText(want, got string) string {
	if want == got {
		return ""
	}
	at := 0
	for at < len(want) && at < len(got) && want[at] == got[at] {
		at++
	}
	const before, after = 24, 48 // bytes
	window := func(s string) string { return fmt.Sprintf("%q", s[max(0, at-before):min(len(s), at+after)]) }
	return fmt.Sprintf("differ at byte %d of %d (want) and %d (got):\n- %s\n+ %s", at, len(want), len(got), window(want), window(got))
}

func clip(b []byte) []byte { return b[:min(len(b), 200)] }
