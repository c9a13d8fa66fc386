package crdt_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"testing"
)

// plainJSON replaces the markers of a recorded view by what JSON.stringify
// makes of the values they stand for.
func plainJSON(t *testing.T, view []byte) []byte {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(view))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("view: %v", err)
	}
	out, err := json.Marshal(plain(v))
	if err != nil {
		t.Fatalf("view: %v", err)
	}
	return out
}

type missing struct{} // undefined

func plain(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			if v[i] = plain(v[i]); v[i] == (missing{}) {
				v[i] = nil
			}
		}
	case map[string]any:
		if len(v) == 1 {
			for k, m := range v {
				if p, ok := marker(k, m); ok {
					return p
				}
			}
		}
		for k, e := range v {
			if v[k] = plain(e); v[k] == (missing{}) {
				delete(v, k)
			}
		}
	}
	return v
}

func marker(k string, v any) (any, bool) {
	switch k {
	case "$undef":
		return missing{}, true
	case "$negzero":
		return json.Number("0"), true
	case "$bigint":
		return json.Number(v.(string)), true
	case "$u8":
		b, _ := base64.StdEncoding.DecodeString(v.(string))
		out := map[string]any{}
		for i, c := range b {
			out[strconv.Itoa(i)] = json.Number(strconv.Itoa(int(c)))
		}
		return out, true
	}
	return nil, false
}
