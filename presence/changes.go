package presence

// changes is the list of all entries in the order of their versions, which is
// also the order of their times: what changed since a version is its end, what
// is due for expiry its beginning.
type changes struct{ oldest, newest *entry }

// moveToEnd makes e the newest; e may be new to the list.
func (c *changes) moveToEnd(e *entry) {
	if c.newest == e {
		return
	}
	c.unlink(e)
	e.prev = c.newest
	if c.newest != nil {
		c.newest.next = e
	} else {
		c.oldest = e
	}
	c.newest = e
}

// unlink takes e out; nothing happens when it is not in the list.
func (c *changes) unlink(e *entry) {
	switch {
	case e.prev != nil:
		e.prev.next = e.next
	case c.oldest == e:
		c.oldest = e.next
	}
	switch {
	case e.next != nil:
		e.next.prev = e.prev
	case c.newest == e:
		c.newest = e.prev
	}
	e.prev, e.next = nil, nil
}
