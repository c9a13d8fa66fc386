package auth

import (
	"encoding/binary"
	"testing"
	"time"
)

func TestAnswersAreBounded(t *testing.T) {
	numbered := func(i int) (q question) {
		binary.BigEndian.PutUint64(q[:], uint64(i))
		return q
	}
	start := time.Now()
	a := answers{limit: maxKept}
	const n = 3 * maxKept
	for i := range n {
		a.put(numbered(i), verdict{grant: Grant{Session: "s"}}, start.Add(time.Minute))
		a.put(numbered(n), verdict{}, start.Add(time.Minute)) // the same again and again
		if len(a.table) > maxKept || len(a.order) > maxKept {
			t.Fatalf("after %d: %d answers, %d places, want %d at most", i, len(a.table), len(a.order), maxKept)
		}
	}
	for i, want := range map[int]bool{0: false, n - 1: true, n: true} {
		if _, got := a.get(numbered(i), start); got != want {
			t.Errorf("get(%d) = %v, want %v", i, got, want)
		}
	}
	if _, got := a.get(numbered(n-1), start.Add(time.Minute)); got {
		t.Error("get = true when the time is over, want false")
	}
}
