package auth

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"weft/protocol"
)

// Subject is whom and where a Restriction concerns: a user or a session (a sign-in, Grant.Session), everywhere or in
// one room; or everybody in one room.
type Subject struct {
	User    string `json:"user,omitempty"`
	Session string `json:"session,omitempty"`
	Room    string `json:"room,omitempty"`
}

// Check tells why s cannot be a subject.
func (s Subject) Check() error {
	switch {
	case s == Subject{}:
		return errors.New("say a user, a session or a room")
	case s.User != "" && s.Session != "":
		return errors.New("say a user or a session, not both")
	case len(s.User) > maxUserID || len(s.Session) > maxSession || len(s.Room) > maxPattern:
		return errors.New("a name is longer than any can be")
	case !printable(s.User) || !printable(s.Session) || !printable(s.Room):
		return errors.New("a name has control characters")
	}
	return nil
}

// Includes tells whether somebody with grant g in room is concerned.
func (s Subject) Includes(g Grant, room string) bool {
	return (s.User == "" || s.User == g.User.ID) && (s.Session == "" || s.Session == g.Session) && (s.Room == "" || s.Room == room)
}

// Restriction takes away what tokens give.
type Restriction struct {
	Subject
	Read  bool      `json:"read"`  // true: reading is left; false: nothing is
	Since time.Time `json:"since"` // when it was made
	Until time.Time `json:"until,omitzero"`
}

// over tells whether the restriction's time has passed.
func (r Restriction) over(now time.Time) bool { return !r.Until.IsZero() && !now.Before(r.Until) }

// maxRestrictions bounds the memory and the file; whoever needs more wants shorter tokens or another application.
const maxRestrictions = 10_000

// ErrFull is the error of Add when there are 10,000 restrictions already.
var ErrFull = errors.New("there are as many restrictions as there may be")

// ErrRevoked is the error of what would give something back to a subject that was revoked, without saying so.
var ErrRevoked = errors.New("the subject is revoked")

// Restrictions remembers what was taken away from users, sessions and rooms, in a file, so that a token which is good
// until tomorrow stays revoked when the server starts again. Its methods may be called from many goroutines.
//
// Whoever lets somebody in calls Apply after making them findable for those who call Add, and before doing anything for
// them: then one of the two sees the other.
type Restrictions struct {
	// Static after construction.
	file string // empty: memory only
	now  func() time.Time

	turn chan struct{} // holds one value while the file is being written

	// Guarded by mu.
	mu    sync.Mutex
	table map[Subject]Restriction
}

// OpenRestrictions reads the file, which need not exist; "" keeps everything in memory. A file that cannot be
// understood is an error: without it, people would be let in who must not.
func OpenRestrictions(file string) (*Restrictions, error) {
	r := &Restrictions{file: file, now: time.Now, turn: make(chan struct{}, 1), table: map[Subject]Restriction{}}
	if file == "" {
		return r, nil
	}
	list, err := readRestrictions(file)
	if err != nil {
		return nil, fmt.Errorf("read the restrictions in %s: %w", file, err)
	}
	for _, one := range list {
		r.table[one.Subject] = one
	}
	return r, nil
}

// Apply returns what is left of g in room, or Forbidden when nothing is. A nil receiver leaves everything.
func (r *Restrictions) Apply(g Grant, room string) (Grant, error) {
	if r == nil {
		return g, nil
	}
	// Somebody without an id or a session meets the restrictions of the room only.
	subjects := [...]Subject{{Room: room}, {User: g.User.ID}, {User: g.User.ID, Room: room}, {Session: g.Session}, {Session: g.Session, Room: room}}
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.table) == 0 {
		return g, nil
	}
	for _, s := range subjects {
		one, ok := r.table[s]
		switch {
		case !ok || one.over(now):
		case !one.Read:
			return Grant{}, protocol.Forbidden.Closef("revoked")
		default:
			g.Write = false
		}
	}
	return g, nil
}

// Add makes a restriction, in the place of one with the same subject. It holds from when Add is called; when Add
// returns nil it is on the disk as well. ErrFull, ErrRevoked and an error of Subject.Check mean that nothing was done;
// after any other error, which is the disk's, it holds until the end of the process.
func (r *Restrictions) Add(one Restriction) error {
	if err := one.Check(); err != nil {
		return err
	}
	now := r.now()
	r.mu.Lock()
	if len(r.table) >= maxRestrictions {
		maps.DeleteFunc(r.table, func(_ Subject, old Restriction) bool { return old.over(now) })
	}
	old, ok := r.table[one.Subject]
	var refused error
	switch {
	case !ok && len(r.table) >= maxRestrictions:
		refused = ErrFull
	case ok && one.Read && !old.Read && !old.over(now):
		refused = ErrRevoked
	default:
		one.Since = now
		r.table[one.Subject] = one
	}
	r.mu.Unlock()
	if refused != nil {
		return refused
	}
	return r.save()
}

// Lift ends the restriction with exactly this subject and tells whether there was one. read says which kind is meant;
// one that leaves less is ErrRevoked and stays. What Lift gives back is durable when it returns nil.
func (r *Restrictions) Lift(s Subject, read bool) (bool, error) {
	now := r.now()
	r.mu.Lock()
	one, ok := r.table[s]
	ok = ok && !one.over(now)
	revoked := ok && read && !one.Read
	lifted := ok && one.Read == read
	if lifted {
		delete(r.table, s)
	}
	r.mu.Unlock()
	switch {
	case revoked:
		return false, ErrRevoked
	case !lifted:
		return false, nil
	}
	return true, r.save()
}

// List returns the restrictions that hold, the oldest first.
func (r *Restrictions) List() []Restriction {
	now := r.now()
	r.mu.Lock()
	list := make([]Restriction, 0, len(r.table))
	for _, one := range r.table {
		if !one.over(now) {
			list = append(list, one)
		}
	}
	r.mu.Unlock()
	slices.SortFunc(list, func(a, b Restriction) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.User, b.User), cmp.Compare(a.Session, b.Session), cmp.Compare(a.Room, b.Room))
	})
	return list
}

// save writes what holds now. Savers take turns, so the file is never older than what its last saver saw.
func (r *Restrictions) save() error {
	if r.file == "" {
		return nil
	}
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	if err := writeRestrictions(r.file, r.List()); err != nil {
		return fmt.Errorf("write the restrictions: %w", err)
	}
	return nil
}
