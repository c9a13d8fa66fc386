package crdt

// UpdateBounds returns for each author the first clock that an update writes,
// and the clock behind the last, also where there are gaps between. Authors
// without structs, of whom it only deletes, are in neither
// (yjs/src/utils/updates.js, parseUpdateMeta). It works on bytes alone. Errors
// match ErrInvalid or ErrLimit.
func UpdateBounds(update []byte, v Version) (from, to StateVector, err error) {
	var m message
	if err := m.decode(update, v, limitsOf(update)); err != nil {
		return nil, nil, err
	}
	for _, s := range m.sections {
		if s.n == 0 {
			continue
		}
		first, last := &m.blocks[s.first], &m.blocks[s.first+s.n-1]
		from = append(from, Clock{m.clients[s.client], uint64(first.clock)})
		to = append(to, Clock{m.clients[s.client], uint64(last.end())})
	}
	return from.normalize(), to.normalize(), nil
}
