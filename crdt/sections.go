package crdt

import "weft/crdt/lib0"

// sectionWriter writes blocks one by one where the number of clients and of
// each client's blocks becomes known only with the last: the heads of the
// sections are put between the blocks at the end. It owns a writer that
// nothing was written to before.
type sectionWriter struct {
	w     *writer
	heads []sectionHead
}

// sectionHead is the head of a section of which at is where its blocks begin in writer.buf.
type sectionHead struct {
	at     int
	n      int
	client ClientID
	clock  uint32
}

// block writes a block of m without its first skip units, in the section of
// the block before when that is by the same client.
func (s *sectionWriter) block(m *message, client ClientID, b *block, skip uint32) {
	n := len(s.heads)
	if n == 0 || s.heads[n-1].client != client {
		s.heads = append(s.heads, sectionHead{at: len(s.w.buf), client: client, clock: b.clock + skip})
		n++
		if s.w.version == V2 {
			s.w.cols.client.Write(uint64(client))
		}
	}
	s.heads[n-1].n++
	s.w.block(m, client, b, skip)
}

// close puts the heads into place and leaves the writer to the deletions.
func (s *sectionWriter) close() {
	heads := lib0.AppendUint(nil, uint64(len(s.heads)))
	ends := make([]int, len(s.heads)) // in heads
	for i, h := range s.heads {
		heads = lib0.AppendUint(heads, uint64(h.n))
		if s.w.version == V1 {
			heads = lib0.AppendUint(heads, uint64(h.client))
		}
		heads = lib0.AppendUint(heads, uint64(h.clock))
		ends[i] = len(heads)
	}
	end := len(s.w.buf)
	s.w.buf = append(s.w.buf, heads...) // makes room
	for i := len(s.heads) - 1; i >= 0; i-- {
		at, from := s.heads[i].at, 0
		if i > 0 {
			from = ends[i-1]
		}
		copy(s.w.buf[at+ends[i]:], s.w.buf[at:end])
		copy(s.w.buf[at+from:], heads[from:ends[i]])
		end = at
	}
}
