package model

// serves: everything that an owner does, a planned move included.
func serves(c *Config, s *state, i int, emit emit) {
	n := &s.nodes[i]
	who := uint8(i)
	if n.role != moved {
		claims(c, s, i, emit)
		if !n.disk.has(n.mem) {
			next := *s
			next.nodes[i].disk |= n.mem
			emit(next, move{fsync, who, nobody}, "")
		}
		acks(c, s, i, emit)
		pushes(c, s, i, emit)
	}
	switch n.role {
	case serving:
		submits(c, s, i, emit)
		appends(c, s, i, emit)
		trims(c, s, i, emit)
		prepares(c, s, i, emit)
		if !s.up {
			next := *s
			next.nodes[i].role = degraded
			emit(next, move{noteOutage, who, nobody}, "")
		}
	case degraded:
		submits(c, s, i, emit)
		if s.up && c.without(ReturnBlindly) {
			next := *s
			next.nodes[i].app |= n.disk
			next.nodes[i].role = serving
			emit(next, move{reconcile, who, nobody}, "")
		} else {
			appends(c, s, i, emit)
		}
	case handing, handed, moved:
		moves(c, s, i, emit)
	}
}

// submits: a client sends what is not acknowledged to whom it believes to be the owner, again after a change of owner.
func submits(c *Config, s *state, i int, emit emit) {
	for u := range c.Updates {
		if u > int(s.submitted) || s.nodes[i].mem.has(1<<u) || s.acked.has(1<<u) {
			continue
		}
		next := *s
		next.submitted = max(s.submitted, uint8(u+1))
		next.nodes[i].mem |= 1 << u
		emit(next, move{submit, uint8(i), uint8(u)}, "")
	}
}

// appends: one call of the script with everything that waits. The answer GAP tells what Redis lost; in the return from
// an outage the call is made also when nothing waits.
func appends(c *Config, s *state, i int, emit emit) {
	n := &s.nodes[i]
	if !s.up {
		return
	}
	from := n.disk
	if c.without(Parallel | AckRedis | AckMemory) {
		from = n.mem
	}
	known := s.now.log | s.now.trimmed
	gap := !known.has(n.app) && !c.without(NoReconcile)
	next := *s
	n = &next.nodes[i]
	fence := s.fence(c, i)
	idle := n.app.has(from) && !gap
	switch {
	case idle && fence == 0 && n.role == serving:
		return
	case fence == 1:
		next.promise(i, s.now.epoch)
		emit(next, move{appendFenced, uint8(i), nobody}, "")
	case fence == -1:
		return // claims again
	case gap:
		n.app &= known
		emit(next, move{appendGap, uint8(i), nobody}, "")
	default:
		what := appendLog
		next.now.log |= from &^ n.app
		n.app |= from
		if n.role == degraded {
			n.role, what = serving, reconcile
		}
		emit(next, move{what, uint8(i), nobody}, stale(s, i))
	}
}

// acks: everything that may be acknowledged is.
func acks(c *Config, s *state, i int, emit emit) {
	n := &s.nodes[i]
	both := n.disk & n.app
	safe := both
	if c.Policy == Two {
		safe |= n.cov & (n.disk | n.app)
	}
	switch {
	case c.without(AckMemory):
		safe = n.mem
	case c.without(AckRedis):
		safe = n.app
	case c.without(AckDisk):
		safe = n.disk
	}
	if s.acked.has(safe) {
		return
	}
	next := *s
	next.acked |= safe
	emit(next, move{ack, uint8(i), nobody}, "")
}

// pushes: the standby gets what is on the owner's disk; while it cannot be reached, others do, for the second copy.
func pushes(c *Config, s *state, i int, emit emit) {
	n := &s.nodes[i]
	first := c.standby(i)
	for j := range c.Nodes {
		if j == i || !s.reaches(j) || j != first && s.reaches(first) {
			continue
		}
		p := &s.nodes[j]
		counts := j == first && c.Policy == Two
		if p.disk.has(n.disk) && (!counts || n.cov.has(n.disk)) {
			continue
		}
		if p.high > n.epoch && !c.without(StandbyNoPromise) {
			continue
		}
		next := *s
		next.nodes[j].disk |= n.disk
		next.promise(j, n.epoch)
		if counts {
			next.nodes[i].cov |= n.disk
		}
		emit(next, move{push, uint8(i), uint8(j)}, "")
	}
}

// trims: what enough disks have, according to Redis' table, leaves the log.
func trims(c *Config, s *state, i int, emit emit) {
	if !s.up || s.fence(c, i) != 0 {
		return
	}
	need := 2
	if c.without(TrimEarly) {
		need = 1
	}
	var covered set
	for u := range c.Updates {
		n := s.copies(c, 1<<u)
		if s.stale.has(1 << u) {
			n++
		}
		if n >= need && s.nodes[i].app.has(1<<u) {
			covered |= 1 << u
		}
	}
	covered &= s.now.log
	if covered == 0 {
		return
	}
	next := *s
	next.now.log &^= covered
	next.now.trimmed |= covered
	emit(next, move{trim, uint8(i), nobody}, "")
}

// prepares: a planned move begins; clients' edits wait from here on.
func prepares(c *Config, s *state, i int, emit emit) {
	for j := range c.Nodes {
		if j == i || !s.reaches(j) || s.nodes[j].role != none && s.nodes[j].role != warm || int(s.claims) >= c.Claims || s.nodes[j].high > s.nodes[i].epoch {
			continue
		}
		next := *s
		next.nodes[i].role = handing
		next.nodes[i].target = uint8(j)
		emit(next, move{prepare, uint8(i), uint8(j)}, "")
	}
}

// moves: flush, give the target everything, transfer the record, tell the target.
func moves(c *Config, s *state, i int, emit emit) {
	n := &s.nodes[i]
	who, t := uint8(i), n.target
	reached := s.reaches(int(t)) && s.nodes[t].high <= n.epoch && (s.nodes[t].role == none || s.nodes[t].role == warm)
	switch n.role {
	case handing:
		appends(c, s, i, emit)
		if n.disk.has(n.mem) && n.app.has(n.disk) && reached {
			next := *s
			if !c.without(MoveBeforeTail) {
				next.nodes[t].disk |= n.disk
			}
			next.promise(int(t), n.epoch)
			next.nodes[t].role, next.nodes[t].epoch = warm, n.epoch
			next.nodes[i].role = handed
			emit(next, move{tail, who, t}, "")
		}
	case handed:
		if c.without(MoveOpenIntake) {
			submits(c, s, i, emit)
			appends(c, s, i, emit)
		}
		transfers(c, s, i, emit)
	case moved:
		goes(c, s, i, emit)
		return
	}
	if !reached {
		next := *s
		next.nodes[i].role = serving
		emit(next, move{abort, who, t}, "")
	}
}

func transfers(c *Config, s *state, i int, emit emit) {
	if !s.up {
		return
	}
	n := &s.nodes[i]
	next := *s
	switch fence := s.fence(c, i); {
	case fence == 1:
		next.promise(i, s.now.epoch)
		emit(next, move{transferFenced, uint8(i), n.target}, "")
	case fence == -1:
		// claims again
	case !(s.now.log | s.now.trimmed).has(n.app):
		next.nodes[i].role = serving
		emit(next, move{transferGap, uint8(i), nobody}, "")
	case int(s.claims) < c.Claims:
		next.claims++
		epoch := next.claims + 1
		next.now.epoch, next.now.owner = epoch, n.target
		next.nodes[i].role, next.nodes[i].epoch = moved, epoch
		next.nodes[i].high = epoch
		next.nodes[i].outlived = false
		emit(next, move{transfer, uint8(i), n.target}, "")
	}
}

// goes: a target that still remembers what it was given serves, after an append of its own, which notes in Redis who
// serves. One that has restarted since may have lost its disk.
func goes(c *Config, s *state, i int, emit emit) {
	n := &s.nodes[i]
	t := n.target
	next := *s
	next.nodes[i] = node{role: none, high: n.high, disk: n.disk, target: nobody}
	p := &next.nodes[t]
	if !s.reaches(int(t)) || p.high > n.epoch || p.role != warm && !(p.role == none && c.without(GoToAnybody)) {
		emit(next, move{letGo, uint8(i), t}, "")
		return
	}
	p.role, p.epoch, p.high, p.outlived = stored, n.epoch, n.epoch, n.outlived
	p.mem = p.disk
	if c.without(ServeBeforeAppend) {
		p.role = serving
		p.app = p.disk & n.app
	}
	emit(next, move{takeOver, uint8(i), t}, "")
}
