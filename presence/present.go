package presence

// Present calls visit for everybody with a state, those whose state is the oldest
// first, until it returns false: the client id, the conn that speaks for it, and
// the state's JSON, which is valid until the next call of the table and must not
// be changed. A conn that is not known any more is 0.
func (t *Table) Present(visit func(id ClientID, by ConnID, state []byte) bool) {
	for e := t.changes.oldest; e != nil; e = e.next {
		if e.state == nil {
			continue
		}
		var by ConnID
		if e.owner != nil {
			by = e.owner.id
		}
		if !visit(e.id, by, e.state) {
			return
		}
	}
}
