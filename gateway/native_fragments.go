package gateway

import (
	"time"

	"weft/protocol"
	"weft/protocol/weftv1"
)

// assembly puts the fragments of one envelope together. It belongs to the conn's goroutine. What it holds counts for
// Options.MessageMemory as what waits for tokens does; full case: the connection ends with protocol.Overloaded.
type assembly struct {
	data  []byte
	total uint64 // bytes of the envelope; 0: there is none
	next  uint32 // index of the fragment that comes next
	began time.Duration
	held  int64 // of Server.queued
}

// add takes a fragment of an envelope of at most limit bytes, and returns the envelope when it is the last one. Errors end
// the connection.
func (a *assembly) add(c *conn, f *weftv1.Fragment, limit int) (whole []byte, err error) {
	data := f.GetData()
	switch {
	case a.total == 0 && f.GetIndex() != 0, a.total > 0 && (f.GetIndex() != a.next || f.GetTotalBytes() != 0):
		return nil, protocol.Malformed.Closef("fragment %d, want %d", f.GetIndex(), a.next)
	case len(data) == 0:
		return nil, protocol.Malformed.Closef("fragment without data")
	case a.total > 0:
	case f.GetTotalBytes() == 0:
		return nil, protocol.Malformed.Closef("fragments of nothing")
	case f.GetTotalBytes() > uint64(limit):
		return nil, protocol.TooLarge.Closef("message of %d bytes in fragments, at most %d", f.GetTotalBytes(), limit)
	default:
		a.total, a.began = f.GetTotalBytes(), c.age()
		c.armRead(messageTime)
	}
	if uint64(len(a.data)+len(data)) > a.total {
		return nil, protocol.Malformed.Closef("fragments of more than %d bytes", a.total)
	}
	if c.srv.queued.Add(int64(len(data))) > int64(c.srv.o.MessageMemory) {
		c.srv.queued.Add(-int64(len(data)))
		return nil, protocol.Overloaded.Closef("too much waits for its fragments")
	}
	a.held += int64(len(data))
	a.data = append(a.data, data...)
	a.next++
	if uint64(len(a.data)) < a.total {
		return nil, nil
	}
	return a.data, nil
}

// deadline returns the age of the connection at which what is begun must be whole; 0: nothing is.
func (a *assembly) deadline() time.Duration {
	if a.total == 0 {
		return 0
	}
	return a.began + messageTime + time.Duration(len(a.data)/messageRate)*time.Second
}

// reset forgets the envelope, whose bytes go on belonging to who has them.
func (a *assembly) reset(c *conn) {
	c.srv.queued.Add(-a.held)
	*a = assembly{}
}
