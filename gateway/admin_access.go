package gateway

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"weft/gateway/auth"
	"weft/protocol"
)

// Refusals of what an operator wants to do to clients.
var (
	errNoMemory   = &refusal{http.StatusNotFound, "no_revocations", "this server keeps no revocations", 0}
	errNotRevoked = &refusal{http.StatusNotFound, "not_revoked", "there is no revocation for exactly this user, session and room", 0}
	errRevoked    = &refusal{http.StatusConflict, "revoked", "this is revoked altogether; unrevoke it first", 0}
	errFull       = &refusal{http.StatusServiceUnavailable, "too_many_revocations", "there are as many revocations as there may be; nothing was done", time.Minute}
	errNotKept    = &refusal{http.StatusInternalServerError, "not_kept", "it was done and holds until this process ends, but could not be written to disk", time.Second}
)

// longestRevocation bounds seconds; whoever wants more leaves them out.
const longestRevocation = 10 * 365 * 24 * time.Hour

// subjectRequest is the body of the routes that are about a subject.
type subjectRequest struct {
	auth.Subject
	Seconds int64 `json:"seconds"` // for how long; 0: until it is lifted
}

// until returns when a restriction is to end; the zero time: not by itself. The end of a session's token would be none:
// the token gets in for a while longer by the leeway of its clock, and the application may have given the session another.
func (q subjectRequest) until() time.Time {
	if q.Seconds == 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(q.Seconds) * time.Second)
}

// checkSubject tells why nothing can be done about the request.
func (s *Server) checkSubject(q subjectRequest) *refusal {
	if s.o.Restrictions == nil {
		return errNoMemory
	}
	if err := q.Check(); err != nil {
		return badRequest(err)
	}
	if q.Seconds < 0 || q.Seconds > int64(longestRevocation/time.Second) {
		return badRequest(errors.New("seconds is negative, or more than ten years"))
	}
	return nil
}

// matching returns the places of a subject.
func (s *Server) matching(subject auth.Subject) (list []*attachment) {
	s.attachments(func(a *attachment) bool {
		if subject.Includes(a.granted(), a.room) {
			list = append(list, a)
		}
		return true
	})
	return list
}

// adminWorkers is how many places are ended at one time. Ending one waits for the message that its room is at.
const adminWorkers = 16

// endAll ends places and returns when nothing that their clients sent changes a room any more.
func endAll(places []*attachment, why *protocol.CloseError) {
	var wg sync.WaitGroup
	defer wg.Wait()
	turns := make(chan struct{}, adminWorkers)
	for _, a := range places {
		turns <- struct{}{}
		wg.Go(func() {
			a.end(why)
			<-turns
		})
	}
}

// restrict makes a restriction and tells why nothing was done. kept is false when the disk failed.
func (s *Server) restrict(r auth.Restriction) (kept bool, f *refusal) {
	switch err := s.o.Restrictions.Add(r); {
	case err == nil:
		return true, nil
	case errors.Is(err, auth.ErrFull):
		return false, errFull
	case errors.Is(err, auth.ErrRevoked):
		return false, errRevoked
	default:
		return false, nil
	}
}

// adminRevoke is POST /admin/revoke: the subject's clients lose their places, and get no others until it is lifted or
// over. When the answer is sent nothing that they sent changes a room any more.
func (s *Server) adminRevoke(w http.ResponseWriter, r *http.Request) {
	var q subjectRequest
	if !s.readAdmin(w, r, &q) {
		return
	}
	f := s.checkSubject(q)
	if f != nil {
		s.refuse(w, r, f)
		return
	}
	until := q.until()
	kept, f := s.restrict(auth.Restriction{Subject: q.Subject, Until: until})
	if f != nil {
		s.refuse(w, r, f)
		return
	}
	places := s.matching(q.Subject) // after the restriction holds: who enters from here on finds it
	endAll(places, protocol.Forbidden.Closef("revoked by the operator"))
	s.administered(AdminAction{Verb: "revoke", Subject: q.Subject, Affected: len(places)})
	if !kept {
		s.refuse(w, r, errNotKept)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Ended int       `json:"ended"` // places in rooms
		Until time.Time `json:"until,omitzero"`
	}{len(places), until})
}

// adminUnrevoke is POST /admin/unrevoke: what tokens give counts again.
func (s *Server) adminUnrevoke(w http.ResponseWriter, r *http.Request) {
	var q struct{ auth.Subject }
	if !s.readAdmin(w, r, &q) {
		return
	}
	if f := s.checkSubject(subjectRequest{Subject: q.Subject}); f != nil {
		s.refuse(w, r, f)
		return
	}
	lifted, err := s.o.Restrictions.Lift(q.Subject, false)
	if lifted {
		s.administered(AdminAction{Verb: "unrevoke", Subject: q.Subject})
	}
	switch {
	case err != nil:
		s.refuse(w, r, errNotKept)
	case !lifted:
		s.refuse(w, r, errNotRevoked)
	default:
		writeJSON(w, http.StatusOK, struct{}{})
	}
}

// adminAccess is POST /admin/access. Access "read" takes writing away from the subject's clients, those who come later
// included. Access "write" ends that, and lets the clients that are there write, whatever their tokens say, for as long
// as they stay.
func (s *Server) adminAccess(w http.ResponseWriter, r *http.Request) {
	var q struct {
		subjectRequest
		Access string `json:"access"`
	}
	if !s.readAdmin(w, r, &q) {
		return
	}
	f := s.checkSubject(q.subjectRequest)
	if f == nil && q.Access != "read" && q.Access != "write" {
		f = badRequest(errors.New(`access is neither "read" nor "write"`))
	}
	if f != nil {
		s.refuse(w, r, f)
		return
	}
	var kept bool
	if q.Access == "read" {
		kept, f = s.restrict(auth.Restriction{Subject: q.Subject, Read: true, Until: q.until()})
	} else {
		_, err := s.o.Restrictions.Lift(q.Subject, true)
		if kept = err == nil; errors.Is(err, auth.ErrRevoked) {
			f = errRevoked
		}
	}
	if f != nil {
		s.refuse(w, r, f)
		return
	}
	changed := 0
	for _, a := range s.matching(q.Subject) {
		if a.allow(q.Access == "write") {
			changed++
		}
	}
	s.administered(AdminAction{Verb: "access", Subject: q.Subject, Access: q.Access, Affected: changed})
	if !kept {
		s.refuse(w, r, errNotKept)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Changed int `json:"changed"` // places in rooms
	}{changed})
}

// allow lets the client write for as long as it stays, also with its next token, or takes that back; either way the
// restrictions apply. It tells whether something changed.
func (a *attachment) allow(write bool) bool {
	a.mu.Lock()
	before := a.write
	a.writes = write
	a.mu.Unlock()
	a.restrict()
	return a.granted().Write != before
}

// adminKick is POST /admin/kick: clients lose their places and are told not to come back by themselves. Nothing is
// remembered; a page that is loaded again gets in.
func (s *Server) adminKick(w http.ResponseWriter, r *http.Request) {
	var q struct {
		auth.Subject
		Conn uint64 `json:"conn"` // one connection, as /admin/connections numbers them
	}
	if !s.readAdmin(w, r, &q) {
		return
	}
	if q.Subject != (auth.Subject{}) || q.Conn == 0 {
		if err := q.Check(); err != nil {
			s.refuse(w, r, badRequest(err))
			return
		}
	}
	var places []*attachment
	for _, a := range s.matching(q.Subject) {
		if q.Conn == 0 || a.conn.start.ID == q.Conn {
			places = append(places, a)
		}
	}
	endAll(places, protocol.Forbidden.Closef("kicked by the operator"))
	s.administered(AdminAction{Verb: "kick", Subject: q.Subject, Conn: q.Conn, Affected: len(places)})
	writeJSON(w, http.StatusOK, struct {
		Ended int `json:"ended"` // places in rooms
	}{len(places)})
}
