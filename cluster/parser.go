package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"weft/persistence"
)

type position = persistence.Position

// parser takes the fields of an answer one after the other. What is missing or no number is remembered as its error.
type parser struct {
	fields []string
	at     int
	broken bool
}

func (p *parser) more() bool { return p.at < len(p.fields) }

func (p *parser) text() string {
	if !p.more() {
		p.broken = true
		return ""
	}
	p.at++
	return p.fields[p.at-1]
}

// number takes a number; nothing is 0.
func (p *parser) number() uint64 {
	text := p.text()
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 64)
	p.broken = p.broken || err != nil
	return n
}

// time takes milliseconds; 0 is the zero time.
func (p *parser) time() time.Time {
	ms := p.number()
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms))
}

// position takes epoch-seq; nothing is the zero position.
func (p *parser) position() position {
	text := p.text()
	if text == "" {
		return position{}
	}
	pos, ok := parsePosition(text)
	p.broken = p.broken || !ok
	return pos
}

func parsePosition(text string) (position, bool) {
	epoch, seq, dash := strings.Cut(text, "-")
	e, err1 := strconv.ParseUint(epoch, 10, 64)
	s, err2 := strconv.ParseUint(seq, 10, 64)
	return position{Epoch: e, Seq: s}, dash && err1 == nil && err2 == nil
}

func (p *parser) nodes() []NodeID {
	var nodes []NodeID
	for name := range strings.FieldsSeq(p.text()) {
		nodes = append(nodes, NodeID(name))
	}
	return nodes
}

// answer takes the status and the three fields of the record that follow it everywhere.
func (p *parser) answer() Answer {
	status := statuses[p.text()]
	p.broken = p.broken || status == 0
	return Answer{Status: status, Epoch: p.number(), Owner: NodeID(p.text()), Seq: p.number()}
}

// end returns an error if the answer was not one of the script, as when somebody else writes to our keys.
func (p *parser) end(script string) error {
	if p.broken {
		return fmt.Errorf("%s: answer %.200q is not understood", script, p.fields)
	}
	return nil
}

func sortMembers(members []Member) {
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.Node, b.Node) })
}
