package bench

import "slices"

// ledger is what one client has of each writer of its room. It belongs to the client's reader.
type ledger struct {
	next  []int64 // by writer: the first clock that is missing
	ahead [][]span
}

// span is clocks from..to-1.
type span struct{ from, to int64 }

func newLedger(writers int) ledger {
	return ledger{next: make([]int64, writers), ahead: make([][]span, writers)}
}

// note enters clocks of a writer and returns those that this completed, from first to last-1; gap tells that clocks
// before them are missing at this moment.
func (l *ledger) note(writer int, clock, n int64) (first, last int64, gap bool) {
	first = l.next[writer]
	end := clock + n
	if clock > first {
		l.keep(writer, span{clock, end})
		return first, first, true
	}
	if end <= first {
		return first, first, false
	}
	l.next[writer] = end
	for a := l.ahead[writer]; len(a) > 0 && a[0].from <= l.next[writer]; a = l.ahead[writer] {
		l.next[writer] = max(l.next[writer], a[0].to)
		l.ahead[writer] = a[1:]
	}
	return first, l.next[writer], false
}

// keep enters a span that has come too early, in order.
func (l *ledger) keep(writer int, s span) {
	a := l.ahead[writer]
	i, _ := slices.BinarySearchFunc(a, s, func(x, y span) int { return int(x.from - y.from) })
	l.ahead[writer] = slices.Insert(a, i, s)
}
