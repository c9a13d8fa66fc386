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
	ended, until, f := s.revoke(q)
	if f != nil {
		s.refuse(w, r, f)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Ended int       `json:"ended"` // places in rooms
		Until time.Time `json:"until,omitzero"`
	}{ended, until})
}

// revoke does it. After errNotKept it was done; after any other refusal nothing was.
func (s *Server) revoke(q subjectRequest) (ended int, until time.Time, f *refusal) {
	if f := s.checkSubject(q); f != nil {
		return 0, time.Time{}, f
	}
	until = q.until()
	kept, f := s.restrict(auth.Restriction{Subject: q.Subject, Until: until})
	if f != nil {
		return 0, time.Time{}, f
	}
	places := s.matching(q.Subject) // after the restriction holds: who enters from here on finds it
	endAll(places, protocol.Forbidden.Closef("revoked by the operator"))
	s.administered(AdminAction{Verb: "revoke", Subject: q.Subject, Affected: len(places)})
	if !kept {
		return len(places), until, errNotKept
	}
	return len(places), until, nil
}

// adminUnrevoke is POST /admin/unrevoke: what tokens give counts again.
func (s *Server) adminUnrevoke(w http.ResponseWriter, r *http.Request) {
	var q struct{ auth.Subject }
	if !s.readAdmin(w, r, &q) {
		return
	}
	if f := s.unrevoke(q.Subject); f != nil {
		s.refuse(w, r, f)
		return
	}
	writeJSON(w, http.StatusOK, struct{}{})
}

func (s *Server) unrevoke(subject auth.Subject) *refusal {
	if f := s.checkSubject(subjectRequest{Subject: subject}); f != nil {
		return f
	}
	lifted, err := s.o.Restrictions.Lift(subject, false)
	if lifted {
		s.administered(AdminAction{Verb: "unrevoke", Subject: subject})
	}
	switch {
	case err != nil:
		return errNotKept
	case !lifted:
		return errNotRevoked
	}
	return nil
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
	changed, f := s.setAccess(q.subjectRequest, q.Access)
	if f != nil {
		s.refuse(w, r, f)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Changed int `json:"changed"` // places in rooms
	}{changed})
}

// setAccess does it. After errNotKept it was done; after any other refusal nothing was.
func (s *Server) setAccess(q subjectRequest, access string) (changed int, f *refusal) {
	f = s.checkSubject(q)
	if f == nil && access != "read" && access != "write" {
		f = badRequest(errors.New(`access is neither "read" nor "write"`))
	}
	if f != nil {
		return 0, f
	}
	var kept bool
	if access == "read" {
		kept, f = s.restrict(auth.Restriction{Subject: q.Subject, Read: true, Until: q.until()})
	} else {
		_, err := s.o.Restrictions.Lift(q.Subject, true)
		if kept = err == nil; errors.Is(err, auth.ErrRevoked) {
			f = errRevoked
		}
	}
	if f != nil {
		return 0, f
	}
	for _, a := range s.matching(q.Subject) {
		if a.allow(access == "write") {
			changed++
		}
	}
	s.administered(AdminAction{Verb: "access", Subject: q.Subject, Access: access, Affected: changed})
	if !kept {
		return changed, errNotKept
	}
	return changed, nil
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
	ended, f := s.kick(q.Subject, q.Conn)
	if f != nil {
		s.refuse(w, r, f)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Ended int `json:"ended"` // places in rooms
	}{ended})
}

// kick ends the places of a subject on one connection, or on all when conn is 0.
func (s *Server) kick(subject auth.Subject, conn uint64) (ended int, f *refusal) {
	if subject != (auth.Subject{}) || conn == 0 {
		if err := subject.Check(); err != nil {
			return 0, badRequest(err)
		}
	}
	var places []*attachment
	for _, a := range s.matching(subject) {
		if conn == 0 || a.conn.start.ID == conn {
			places = append(places, a)
		}
	}
	endAll(places, protocol.Forbidden.Closef("kicked by the operator"))
	s.administered(AdminAction{Verb: "kick", Subject: subject, Conn: conn, Affected: len(places)})
	return len(places), nil
}
