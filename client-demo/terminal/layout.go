package main

import (
	"strings"

	"github.com/rivo/uniseg"
)

// tab is how wide a tab is at most, in cells.
const tab = 4

// row is one line of the screen: text[start:end], which is a line of the text or, when that is too wide, a part of it.
type row struct {
	start, end int
	line       int  // of the text, from 0
	first      bool // the row is the beginning of the line
	last       bool // and its end
}

// cell is one character of a row as it is shown.
type cell struct {
	at    int    // in the text
	size  int    // there, in bytes
	shown string // what stands for it
	width int    // in cells of the terminal
}

// cells returns the characters of a piece of a line that begins in column 0.
func cells(text string, at int) []cell {
	var out []cell
	column := 0
	for state := -1; text != ""; {
		var cluster string
		var width int
		cluster, text, width, state = uniseg.FirstGraphemeClusterInString(text, state)
		c := cell{at: at, size: len(cluster), shown: cluster, width: width}
		switch {
		case cluster == "\t":
			c.width = tab - column%tab
			c.shown = strings.Repeat(" ", c.width)
		case width == 0 || cluster[0] < ' ' || cluster[0] == 0x7f: // nothing that the terminal would obey
			c.shown, c.width = "·", 1
		}
		out = append(out, c)
		at += c.size
		column += c.width
	}
	return out
}

// wrap lays the text out in rows of at most width cells.
func wrap(text string, width int) []row {
	width = max(width, 2) // a wide character must fit
	var rows []row
	start := 0
	for line := 0; ; line++ {
		end := len(text)
		if i := strings.IndexByte(text[start:], '\n'); i >= 0 {
			end = start + i
		}
		r := row{start: start, line: line, first: true}
		column := 0
		for _, c := range cells(text[start:end], start) {
			if column+c.width > width {
				r.end = c.at
				rows = append(rows, r)
				r, column = row{start: c.at, line: line}, 0
			}
			column += c.width
		}
		r.end, r.last = end, true
		rows = append(rows, r)
		if end == len(text) {
			return rows
		}
		start = end + 1
	}
}

// find returns the row and the column in cells of a place in the text.
func find(text string, rows []row, at int) (y, x int) {
	for y = range rows {
		r := rows[y]
		if at < r.start || at > r.end || at == r.end && !r.last {
			continue
		}
		for _, c := range cells(text[r.start:r.end], r.start) {
			if c.at >= at {
				break
			}
			x += c.width
		}
		return y, x
	}
	return len(rows) - 1, 0
}

// reach returns the place in the text that is nearest to a column of a row.
func reach(text string, r row, x int) int {
	at, column := r.start, 0
	for _, c := range cells(text[r.start:r.end], r.start) {
		if column+c.width > x {
			return c.at
		}
		column += c.width
		at = c.at + c.size
	}
	if r.last {
		return r.end
	}
	return min(at, r.end)
}

// fit cuts a string to width cells and fills it up with spaces.
func fit(s string, width int) string {
	var b strings.Builder
	column := 0
	for _, c := range cells(s, 0) {
		if column+c.width > width {
			break
		}
		b.WriteString(c.shown)
		column += c.width
	}
	return b.String() + strings.Repeat(" ", max(width-column, 0))
}
