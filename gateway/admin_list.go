package gateway

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"weft/gateway/auth"
)

// placeEntry is one client's place in a room, of GET /admin/connections.
type placeEntry struct {
	Conn     uint64    `json:"conn"` // the connection's number; a Hocuspocus connection may have places in several rooms
	Room     string    `json:"room"`
	Protocol string    `json:"protocol"`
	Remote   string    `json:"remote"`
	User     string    `json:"user,omitempty"`
	Name     string    `json:"name,omitempty"`
	Session  string    `json:"session,omitempty"`
	Access   string    `json:"access"` // "read" or "write"
	Expires  time.Time `json:"expires,omitzero"`
}

// accessWord is what a client may do, in a word.
func accessWord(write bool) string {
	if write {
		return "write"
	}
	return "read"
}

// adminConnections is GET /admin/connections?room=&user=&session=&limit=N: who is in which room, in the order in which
// they connected.
func (s *Server) adminConnections(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit, f := listLimit(query.Get("limit"))
	if f != nil {
		s.refuse(w, r, f)
		return
	}
	places := s.matching(auth.Subject{User: query.Get("user"), Session: query.Get("session"), Room: query.Get("room")})
	places = slices.DeleteFunc(places, (*attachment).isOver)
	slices.SortFunc(places, func(a, b *attachment) int {
		return cmp.Or(cmp.Compare(a.conn.start.ID, b.conn.start.ID), cmp.Compare(a.room, b.room))
	})
	var answer struct {
		Connections []placeEntry `json:"connections"`
		Total       int          `json:"total"` // those that were left out included
	}
	answer.Total = len(places)
	places = places[:min(limit, len(places))]
	answer.Connections = make([]placeEntry, 0, len(places))
	for _, a := range places {
		g, start := a.granted(), a.conn.start
		answer.Connections = append(answer.Connections, placeEntry{
			Conn: start.ID, Room: a.room, Protocol: start.Protocol, Remote: start.Remote.String(),
			User: g.User.ID, Name: g.User.Name, Session: g.Session, Access: accessWord(g.Write), Expires: g.Expires,
		})
	}
	writeJSON(w, http.StatusOK, answer)
}

// listLimit reads the limit of a list.
func listLimit(text string) (int, *refusal) {
	if text == "" {
		return defaultListed, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxListed {
		return 0, errLimit
	}
	return n, nil
}

// adminRevocations is GET /admin/revocations: all that was taken away and not given back. There are 10,000 at most.
func (s *Server) adminRevocations(w http.ResponseWriter, r *http.Request) {
	type entry struct {
		auth.Subject
		Access string    `json:"access"` // what is left: "none" or "read"
		Since  time.Time `json:"since"`
		Until  time.Time `json:"until,omitzero"`
	}
	if s.o.Restrictions == nil {
		s.refuse(w, r, errNoMemory)
		return
	}
	var answer struct {
		Revocations []entry `json:"revocations"`
	}
	list := s.o.Restrictions.List()
	answer.Revocations = make([]entry, 0, len(list))
	for _, one := range list {
		e := entry{one.Subject, "none", one.Since, one.Until}
		if one.Read {
			e.Access = "read"
		}
		answer.Revocations = append(answer.Revocations, e)
	}
	writeJSON(w, http.StatusOK, answer)
}
