package model

// emit takes a state that follows, the step that leads there, and what was violated by the step itself, or "".
type emit func(s state, m move, violation string)

// successors calls emit for every state that can follow s.
func successors(c *Config, s *state, emit emit) {
	for i := range c.Nodes {
		if !s.runs(i) {
			continue
		}
		switch s.nodes[i].role {
		case none:
			if c.without(ReadBeforeClaim) {
				peeks(s, i, emit)
			} else {
				claims(c, s, i, emit)
			}
		case peeked, warm:
			claims(c, s, i, emit)
		case sealing:
			claims(c, s, i, emit)
			seals(c, s, i, emit)
			reads(c, s, i, emit)
		case loading:
			next := *s
			n := &next.nodes[i]
			n.disk |= n.mem
			n.role = stored
			emit(next, move{store, uint8(i), nobody}, "")
		case stored:
			claims(c, s, i, emit)
			reappends(c, s, i, emit)
		default:
			serves(c, s, i, emit)
		}
	}
	faults(c, s, emit)
}

// claims: anybody may at any time, and an owner whose record is older than itself or gone must.
func claims(c *Config, s *state, i int, emit emit) {
	n := &s.nodes[i]
	again := n.role > warm
	if !s.up || int(s.claims) >= c.Claims || again && (s.now.epoch > n.epoch || s.current(i) && !n.outlived) {
		return
	}
	next := *s
	n = &next.nodes[i]
	next.claims++
	r := &next.now

	reset := s.restarted || r.servedBy == nobody
	need := nodeSet(r.owner) | nodeSet(r.servedBy) | nodeSet(r.servedStandby)
	if c.without(SealOwnerOnly) {
		need = nodeSet(r.owner)
	}
	if reset && !c.without(SealNoOneMore) {
		need = set(1<<c.Nodes - 1)
		n.strict = true
	}
	if c.without(NoSeal) {
		need, n.strict = 0, false
	}
	if c.without(RestartForgotten) {
		next.restarted = false
	}
	n.needed = need &^ nodeSet(uint8(i))
	n.quorum = nodeSet(r.servedBy) | nodeSet(r.servedStandby)
	n.answered, n.outlived = 0, false

	epoch := next.claims + 1 // Redis' clock, or more than anybody saw: it never comes twice
	if c.without(NoRecord) {
		epoch = r.epoch + 1
	}
	r.epoch, r.owner = epoch, uint8(i)
	n.role, n.epoch = sealing, epoch
	n.high = max(n.high, epoch)
	n.mem |= n.disk
	emit(next, move{claim, uint8(i), nobody}, "")
}

// peeks reads the log before claiming, which is too early.
func peeks(s *state, i int, emit emit) {
	if !s.up {
		return
	}
	next := *s
	next.nodes[i].role = peeked
	next.nodes[i].mem = s.now.log
	emit(next, move{peek, uint8(i), nobody}, "")
}

func nodeSet(i uint8) set {
	if i == nobody {
		return 0
	}
	return 1 << i
}

// promise makes node j refuse epochs below this one from here on, and end an ownership of its own that is older.
func (s *state) promise(j int, epoch uint8) {
	p := &s.nodes[j]
	if p.high < epoch {
		p.high = epoch
	}
	if p.role != none && p.epoch < epoch {
		*p = node{role: none, high: p.high, disk: p.disk, target: nobody}
	}
}

// seals: a peer promises and hands over what it has. Those that need not be asked are asked when something is missing.
func seals(c *Config, s *state, i int, emit emit) {
	n := &s.nodes[i]
	if c.without(NoSeal) {
		return
	}
	missing := !(n.mem | s.now.log).has(s.now.trimmed)
	for j := range c.Nodes {
		if j == i || n.answered.has(1<<j) || !s.reaches(j) || !(n.needed.has(1<<j) || missing || c.Policy == Two && n.quorum.has(1<<j)) {
			continue
		}
		next := *s
		if s.nodes[j].high > n.epoch {
			next.promise(i, s.nodes[j].high)
			emit(next, move{refuseSeal, uint8(i), uint8(j)}, "")
			continue
		}
		if !c.without(NoPeerReads) {
			next.nodes[i].mem |= s.nodes[j].mem | s.nodes[j].disk
		}
		next.nodes[i].answered |= 1 << j
		next.promise(j, n.epoch)
		emit(next, move{seal, uint8(i), uint8(j)}, "")
	}
}

// reads: the log comes after all answers that are needed, and the node goes on when nothing that was trimmed is missing.
func reads(c *Config, s *state, i int, emit emit) {
	n := &s.nodes[i]
	if !s.up {
		return
	}
	for j := range c.Nodes {
		if n.needed.has(1<<j) && !n.answered.has(1<<j) && (n.strict || s.reaches(j)) {
			return
		}
	}
	if c.Policy == Two && !n.strict && !c.without(NoQuorum) && n.quorum&(n.answered|1<<i) == 0 {
		return
	}
	next := *s
	n = &next.nodes[i]
	if !c.without(ReadBeforeClaim) {
		n.mem |= s.now.log
	}
	if !n.mem.has(s.now.trimmed) && !c.without(ServeUncovered) {
		return
	}
	n.role = loading
	emit(next, move{readLog, uint8(i), nobody}, "")
}

// fence says what the record makes of node i: 0 it owns the room, 1 somebody has a higher epoch, -1 the record went back.
func (s *state) fence(c *Config, i int) int {
	switch {
	case c.without(NoFence) || s.current(i):
		return 0
	case s.now.epoch > s.nodes[i].epoch:
		return 1
	}
	return -1
}

// reappends: what was found goes into the log under the new epoch; only then has the node served.
func reappends(c *Config, s *state, i int, emit emit) {
	if !s.up {
		return
	}
	next := *s
	n := &next.nodes[i]
	switch s.fence(c, i) {
	case 1:
		next.promise(i, s.now.epoch)
		emit(next, move{reappendFenced, uint8(i), nobody}, "")
		return
	case -1:
		return // claims again
	}
	if n.outlived && !c.without(NoRunCheck) {
		return // claims again: Redis may have forgotten who came after it
	}
	if !c.without(NoReappend) {
		next.now.log |= n.disk &^ s.now.trimmed
	}
	next.served(c, i)
	n.app = n.disk
	n.role = serving
	emit(next, move{reappend, uint8(i), nobody}, stale(s, i))
}

// served notes in Redis that node i has loaded the room.
func (s *state) served(c *Config, i int) {
	s.now.servedBy, s.now.servedStandby = uint8(i), uint8(c.standby(i))
	s.restarted = false
}

func stale(s *state, i int) string {
	if s.now.epoch > s.nodes[i].epoch {
		return "STALE"
	}
	return ""
}
