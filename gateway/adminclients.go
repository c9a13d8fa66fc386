package gateway

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"weft/gateway/adminpage"
)

// clientRow is one connection in one room, or in none, with what it is sorted by.
type clientRow struct {
	conn *conn
	at   *attachment // nil: in no room
	key  int64
}

// Clients implements adminpage.Node. It looks at every connection, guessed at 0.3 us for each, and holds no lock meanwhile.
func (n adminNode) Clients(q adminpage.ClientQuery) adminpage.ClientList {
	rows := slices.DeleteFunc(n.s.clientRows(), func(r clientRow) bool { return !r.fits(&q) })
	for i := range rows {
		rows[i].key = rows[i].sortKey(q.Order)
	}
	slices.SortFunc(rows, func(a, b clientRow) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.conn.start.ID, b.conn.start.ID), cmp.Compare(a.room(), b.room()))
	})
	list := adminpage.ClientList{Total: len(rows)}
	for _, r := range rows[min(q.Offset, len(rows)):min(q.Offset+q.Limit, len(rows))] {
		list.Clients = append(list.Clients, r.shown())
	}
	return list
}

// clientRows returns all of them, in no order.
func (s *Server) clientRows() []clientRow {
	places := s.places.list()
	rows := make([]clientRow, 0, len(places))
	placed := make(map[*conn]struct{}, len(places))
	for _, a := range places {
		if !a.isOver() {
			rows = append(rows, clientRow{conn: a.conn, at: a})
			placed[a.conn] = struct{}{}
		}
	}
	for _, c := range s.conns.list() {
		if _, ok := placed[c]; !ok {
			rows = append(rows, clientRow{conn: c})
		}
	}
	return rows
}

func (r *clientRow) room() string {
	if r.at == nil {
		return ""
	}
	return r.at.room
}

// fits tells whether the query asks for the row.
func (r *clientRow) fits(q *adminpage.ClientQuery) bool {
	if q.Conn != 0 && r.conn.start.ID != q.Conn {
		return false
	}
	if q.Room != "" && r.room() != q.Room {
		return false
	}
	if q.User == "" && q.Session == "" && q.Text == "" {
		return true
	}
	c := r.shown()
	if (q.User != "" && c.User != q.User) || (q.Session != "" && c.Session != q.Session) {
		return false
	}
	return q.Text == "" || slices.ContainsFunc([]string{c.Room, c.User, c.Name, c.Session, c.Remote, c.Protocol}, func(s string) bool {
		return strings.Contains(strings.ToLower(s), strings.ToLower(q.Text))
	})
}

// sortKey is the smaller the earlier the row is to be listed.
func (r *clientRow) sortKey(order string) int64 {
	switch order {
	case "newest":
		return -int64(r.conn.start.ID)
	case "in":
		return -r.conn.in.bytes.Load()
	case "out":
		return -r.conn.bytesOut.Load()
	case "lag":
		key := -int64(r.conn.out.Size())
		if !r.laggingSince().IsZero() {
			key -= 1 << 40 // before all that only have something queued
		}
		return key
	}
	return int64(r.conn.start.ID)
}

// laggingSince is since when the room withholds updates from the client; zero: it does not.
func (r *clientRow) laggingSince() time.Time {
	if r.at == nil {
		return time.Time{}
	}
	r.at.mu.Lock()
	session := r.at.session
	r.at.mu.Unlock()
	if l, ok := session.(interface{ LaggingSince() time.Time }); ok {
		return l.LaggingSince()
	}
	return time.Time{}
}

// shown describes the row.
func (r *clientRow) shown() adminpage.Client {
	c := r.conn
	row := adminpage.Client{
		Conn: c.start.ID, Protocol: c.start.Protocol, Remote: c.start.Remote.String(), Age: c.age(),
		In: c.in.bytes.Load(), Out: c.bytesOut.Load(), Queued: c.out.Size(), Lagging: r.laggingSince(),
	}
	if r.at == nil {
		return row
	}
	g := r.at.granted()
	row.Room, row.User, row.Name, row.Session, row.Write, row.Expires = r.at.room, g.User.ID, g.User.Name, g.Session, g.Write, g.Expires
	return row
}
