package model

// faults: what comes from outside, and what ends it.
func faults(c *Config, s *state, emit emit) {
	if s.now != s.saved && s.up && s.faults > 0 && c.faulty(TailLoss) {
		next := *s
		next.saved = s.now
		emit(next, move{redisSync, nobody, nobody}, "")
	}
	recoveries(c, s, emit)
	if s.faults == 0 {
		return
	}
	begin := func(k Kind, m move, change func(*state)) {
		if c.faulty(k) {
			next := *s
			next.faults--
			change(&next)
			emit(next, m, "")
		}
	}
	for i := range c.Nodes {
		if !s.runs(i) {
			continue
		}
		who := uint8(i)
		begin(Kill, move{kill, who, nobody}, func(s *state) { s.nodes[i].role = dead })
		begin(Destroy, move{destroy, who, nobody}, func(s *state) {
			s.stale |= s.nodes[i].disk
			s.nodes[i] = node{role: dead, target: nobody}
		})
		if s.paused == nobody {
			begin(Pause, move{pause, who, nobody}, func(s *state) { s.paused = who })
		}
	}
	begin(TailLoss, move{loseTail, nobody, nobody}, func(s *state) { s.now = s.saved; s.restart(c) })
	begin(Wipe, move{wipe, nobody, nobody}, func(s *state) {
		s.now = record{owner: nobody, servedBy: nobody, servedStandby: nobody}
		s.saved = s.now
		s.restart(c)
	})
	if s.up {
		begin(Outage, move{outage, nobody, nobody}, func(s *state) { s.up = false })
	}
	if s.links {
		begin(Cut, move{cut, nobody, nobody}, func(s *state) { s.links = false })
	}
}

// restart is what Redis' new run id tells everybody who looks at it.
func (s *state) restart(c *Config) {
	s.restarted = true
	for i := range c.Nodes {
		if s.nodes[i].role >= sealing {
			s.nodes[i].outlived = true
		}
	}
}

func recoveries(c *Config, s *state, emit emit) {
	next := *s
	for i := range c.Nodes {
		if s.nodes[i].role == dead {
			next := *s
			next.nodes[i].role = none
			emit(next, move{restart, uint8(i), nobody}, "")
		}
	}
	if s.paused != nobody {
		next.paused = nobody
		emit(next, move{resume, s.paused, nobody}, "")
	}
	if !s.up {
		next := *s
		next.up = true
		emit(next, move{redisBack, nobody, nobody}, "")
	}
	if !s.links {
		next := *s
		next.links = true
		emit(next, move{heal, nobody, nobody}, "")
	}
}

// violated says what is wrong with s; rest tells that the protocol has nothing to do in it.
func violated(c *Config, s *state, rest bool) string {
	everywhere := s.now.log
	var known set
	for i := range c.Nodes {
		n := &s.nodes[i]
		everywhere |= n.disk | n.mem
		if n.role >= serving && n.role != moved && s.current(i) {
			if !n.mem.has(s.acked) {
				return "HIDDEN"
			}
			known |= nodeSet(uint8(i))
		}
	}
	if !everywhere.has(s.acked) {
		return "LOST"
	}
	if !rest || known == 0 || !s.up || !s.links || s.paused != nobody {
		return ""
	}
	for i := range c.Nodes {
		if s.nodes[i].role == dead {
			return ""
		}
	}
	for u := range c.Updates {
		n := s.copies(c, 1<<u)
		if s.now.log.has(1 << u) {
			n++
		}
		if s.acked.has(1<<u) && n < 2 && !repairable(c, s, 1<<u) {
			return "NOT REPAIRED"
		}
	}
	return ""
}

// repairable reports whether an owner is about to give u, which was trimmed, a second disk.
func repairable(c *Config, s *state, u set) bool {
	pending := false
	for i := range c.Nodes {
		if s.nodes[i].role >= serving && s.current(i) && s.now.trimmed.has(u) {
			pushes(c, s, i, func(state, move, string) { pending = true })
		}
	}
	return pending
}
