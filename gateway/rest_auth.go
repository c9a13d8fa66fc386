package gateway

import (
	"context"
	"errors"
	"net/http"

	"weft/gateway/auth"
	"weft/room"
)

// errNoList is the refusal where nobody can say which rooms somebody may read without asking about each.
var errNoList = &refusal{http.StatusForbidden, "no_list", "who may read what is known for single rooms only, so there is no list", 0}

// lister is an Authorizer that knows what a token allows in every room.
type lister interface {
	Rooms(ctx context.Context, token string) (func(room string) (auth.Grant, bool), error)
}

// mayRead asks whether the token of a REST request lets its owner read a room. The token stands in the Authorization
// header, because addresses end up in the logs of proxies.
func (s *Server) mayRead(ctx context.Context, r *http.Request, name string) (auth.Grant, error) {
	if s.o.Auth == nil {
		return s.o.Restrictions.Apply(auth.Grant{Write: true}, name)
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.AuthTime)
	defer cancel()
	g, err := s.o.Auth.Authorize(ctx, auth.Request{
		Token: bearerToken(r), Room: name, Origin: r.Header.Get("Origin"), Remote: remoteOf(r).Addr().Unmap(),
	})
	if err != nil {
		return auth.Grant{}, err
	}
	return s.o.Restrictions.Apply(g, name)
}

// readable returns which rooms the token of a REST request lets its owner read; nil is all.
func (s *Server) readable(ctx context.Context, r *http.Request) (func(name string) bool, error) {
	if s.o.Auth == nil && s.o.Restrictions == nil {
		return nil, nil
	}
	allow := func(string) (auth.Grant, bool) { return auth.Grant{Write: true}, true }
	if s.o.Auth != nil {
		l, ok := s.o.Auth.(lister)
		if !ok {
			return nil, errNoList
		}
		ctx, cancel := context.WithTimeout(ctx, s.o.AuthTime)
		defer cancel()
		var err error
		if allow, err = l.Rooms(ctx, bearerToken(r)); err != nil {
			return nil, err
		}
	}
	return func(name string) bool {
		g, ok := allow(name)
		if ok {
			_, err := s.o.Restrictions.Apply(g, name)
			ok = err == nil
		}
		return ok
	}, nil
}

// refuseREST answers for an error of mayRead or readable.
func (s *Server) refuseREST(w http.ResponseWriter, r *http.Request, err error) {
	f, ok := errors.AsType[*refusal](err)
	if !ok {
		f = roomRefusal(err)
	}
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	s.refuse(w, r, f)
}

// maxScanned bounds the rooms that one answer looks at.
const maxScanned = 10_000

// listAfter lists up to limit readable rooms in the order of their names. next is where to go on, empty at the end. An
// answer may have fewer rooms than limit, even none, and a next: the others that were looked at are not readable.
func (s *Server) listAfter(ctx context.Context, after string, limit int, readable func(string) bool) (list []room.Status, next string, err error) {
	for scanned := 0; scanned < maxScanned; {
		page := limit - len(list)
		if readable != nil {
			page = maxListed
		}
		part, more, err := s.o.Rooms.ListAfter(ctx, after, page)
		if err != nil {
			return nil, "", err
		}
		scanned += len(part)
		if len(part) == 0 {
			return list, "", nil
		}
		for i, st := range part {
			after = st.Room
			if readable == nil || readable(st.Room) {
				list = append(list, st)
			}
			if len(list) == limit {
				if !more && i == len(part)-1 {
					after = ""
				}
				return list, after, nil
			}
		}
		if !more {
			return list, "", nil
		}
	}
	return list, after, nil
}

// listBusy lists up to limit readable rooms, the open ones first, of the busiest ones where not all are readable.
func (s *Server) listBusy(ctx context.Context, limit int, readable func(string) bool) (list []room.Status, more bool, err error) {
	if readable == nil {
		return s.o.Rooms.List(ctx, limit)
	}
	all, more, err := s.o.Rooms.List(ctx, maxListed)
	if err != nil {
		return nil, false, err
	}
	for _, st := range all {
		switch {
		case !readable(st.Room):
		case len(list) == limit:
			return list, true, nil
		default:
			list = append(list, st)
		}
	}
	return list, more, nil
}

// A JWT can list.
var _ lister = (*auth.JWT)(nil)
