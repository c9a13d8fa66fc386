package crdttest_test

import (
	"strings"
	"testing"

	"weft/crdt/crdttest"
)

func TestDiffJSON(t *testing.T) {
	cases := []struct {
		name, want, got string
		equal           bool
		mentions        string
	}{
		{"order and spaces", `{"a":1,"b":[1e2]}`, `{ "b": [100.0], "a": 1 }`, true, ""},
		{"value", `{"a":1}`, `{"a":2}`, false, "2"},
		{"missing key", `{"a":null}`, `{}`, false, `a`},
		{"null and false", `null`, `false`, false, "false"},
		{"got broken", `{}`, `{`, false, "got is no JSON"},
		{"want broken", ``, `{}`, false, "want is no JSON"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := crdttest.DiffJSON([]byte(c.want), []byte(c.got))
			if (got == "") != c.equal || !strings.Contains(got, c.mentions) {
				t.Errorf("DiffJSON(%s, %s) = %q, want equal %v and mention of %q", c.want, c.got, got, c.equal, c.mentions)
			}
		})
	}
}

func TestDiffBytes(t *testing.T) {
	cases := []struct {
		want, got []byte
		diff      string
	}{
		{[]byte{1, 2}, []byte{1, 2}, ""},
		{nil, []byte{}, ""},
		{[]byte{1, 2, 3}, []byte{1, 9}, "differ at byte 1 of 3 (want) and 2 (got):\n- 01 | 0203\n+ 01 | 09"},
		{[]byte{1}, []byte{1, 7}, "differ at byte 1 of 1 (want) and 2 (got):\n- 01 | \n+ 01 | 07"},
	}
	for _, c := range cases {
		if got := crdttest.DiffBytes(c.want, c.got); got != c.diff {
			t.Errorf("DiffBytes(%x, %x) = %q, want %q", c.want, c.got, got, c.diff)
		}
		text := crdttest.DiffText(string(c.want), string(c.got))
		if (text == "") != (c.diff == "") {
			t.Errorf("DiffText(%x, %x) = %q, want a difference exactly when the bytes differ", c.want, c.got, text)
		}
	}
}
