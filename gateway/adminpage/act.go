package adminpage

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

const badForm = "This form is out of date, or was not sent from this page. Go back, load the page again and repeat it."

// actTime bounds an action. Ending places waits for the messages that their rooms are at.
const actTime = 30 * time.Second

// lasting are the choices of how long something is taken away.
func lasting() []choice {
	return []choice{{"0", "until it is lifted"}, {"3600", "for an hour"}, {"86400", "for a day"}, {"604800", "for a week"}}
}

// choice is one of a form.
type choice struct{ Value, Text string }

// question is what an operator is asked before an action is done.
type question struct {
	Action
	Title, Effect, Button string
	Hard                  bool // it cannot be undone, or locks somebody out
	Lasting               []choice
	Concerned             int // clients that are there now; negative: that is not the point
	Back                  string
}

// wording says what an action is.
func (a *Action) wording() (title, effect, button string) {
	switch a.Verb {
	case Kick:
		return "Kick " + a.whom(), "Their places in rooms end, and the clients are told not to come back by themselves. Nothing is remembered: a page that is loaded again gets in.", "Kick"
	case Revoke:
		return "Revoke " + a.whom(), "Their places in rooms end, nothing that they still send changes a room, and their tokens open nothing until this is lifted.", "Revoke"
	case Unrevoke:
		if a.Read {
			return "Give writing back to " + a.whom(), "Their tokens count again, and those who are here may write for as long as they stay.", "Give it back"
		}
		return "Lift the revocation of " + a.whom(), "Their tokens count again.", "Lift it"
	case ReadOnly:
		return "Take writing away from " + a.whom(), "They stay and see everything; what they write is refused, from the next message on. Those who come later are concerned, too.", "Make read-only"
	case Writable:
		return "Let " + a.whom() + " write", "Those who are here may write for as long as they stay, whatever their tokens say. Writing that was taken away from exactly them is given back.", "Let them write"
	case Checkpoint:
		return "Save the room " + a.Room, "Its state is written to a snapshot soon, and its part of the log may be forgotten. Nobody notices.", "Save now"
	case Drain:
		return "Take this node out of service", "New connections are refused, clients are told to come back in a moment, all rooms are saved, and the process ends, as after SIGTERM. This page ends with it.", "Drain and stop"
	}
	return "", "", ""
}

// whom names the subject in a sentence.
func (a *Action) whom() string {
	var parts []string
	switch {
	case a.Conn != 0:
		parts = append(parts, fmt.Sprintf("connection %d", a.Conn))
	case a.User != "":
		parts = append(parts, "the user "+a.User)
	case a.Session != "":
		parts = append(parts, "the session "+a.Session)
	default:
		parts = append(parts, "everybody")
	}
	if a.Room != "" {
		parts = append(parts, "in "+a.Room)
	}
	return strings.Join(parts, " ")
}

// readAction reads an action from a query or a form.
func readAction(v url.Values) (a Action, ok bool) {
	a = Action{Verb: v.Get("verb"), User: v.Get("user"), Session: v.Get("session"), Room: v.Get("room"), Read: v.Get("read") == "1"}
	for _, n := range []struct {
		name string
		into *uint64
	}{{"conn", &a.Conn}} {
		if s := v.Get(n.name); s != "" {
			x, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				return Action{}, false
			}
			*n.into = x
		}
	}
	if s := v.Get("seconds"); s != "" {
		x, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return Action{}, false
		}
		a.Seconds = x
	}
	_, _, button := a.wording()
	return a, button != ""
}

// confirm asks before something is done.
func (p *Page) confirm(w http.ResponseWriter, r *http.Request, who visitor) {
	q := r.URL.Query()
	a, ok := readAction(q)
	if !ok {
		p.fail(w, r, who, http.StatusBadRequest, "bad_request", "This address does not say what to do.")
		return
	}
	ask := question{Action: a, Concerned: -1, Back: safeBack(q.Get("back"))}
	ask.Title, ask.Effect, ask.Button = a.wording()
	switch a.Verb {
	case Revoke, ReadOnly:
		ask.Lasting = lasting()
		fallthrough
	case Kick, Writable:
		ask.Concerned = p.o.Node.Clients(ClientQuery{Room: a.Room, User: a.User, Session: a.Session, Conn: a.Conn, Limit: 1}).Total
	case Drain:
		ask.Concerned = p.o.Node.Overview().Conns
	}
	ask.Hard = a.Verb == Kick || a.Verb == Revoke || a.Verb == Drain
	f := p.frame(r, who, ask.Title, "")
	f.Data = ask
	p.render(w, r, http.StatusOK, "confirm", f)
}

// act does something and goes back to where it was asked for.
func (p *Page) act(w http.ResponseWriter, r *http.Request, who visitor) {
	if !p.readForm(w, r, who) {
		p.fail(w, r, who, http.StatusForbidden, "bad_form", badForm)
		return
	}
	a, ok := readAction(r.PostForm)
	if !ok {
		p.fail(w, r, who, http.StatusBadRequest, "bad_request", "This form does not say what to do.")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), actTime)
	defer cancel()
	affected, err := p.do(ctx, a)
	title, _, _ := a.wording()
	note := Notice{At: time.Now(), Title: title, Affected: affected, Counted: a.Verb != Checkpoint && a.Verb != Drain && (a.Verb != Unrevoke || a.Read)}
	if err != nil {
		note.Failed = err.Error()
	}
	back, _ := url.Parse(safeBack(r.PostForm.Get("back"))) // which is an address
	query := back.Query()
	query.Set("notice", p.notices.add(note))
	back.RawQuery = query.Encode()
	http.Redirect(w, r, back.String(), http.StatusSeeOther)
}

// do has the node do it; what it has no verb for is put into its words.
func (p *Page) do(ctx context.Context, a Action) (int, error) {
	if a.Verb == Unrevoke && a.Read {
		a.Verb = Writable
	}
	return p.o.Node.Do(ctx, a)
}

// Notice is what came of an action.
type Notice struct {
	At       time.Time
	Title    string
	Affected int    // places in rooms
	Counted  bool   // Affected means something
	Failed   string // why it was not done, or not wholly; empty when it was
}

// keptNotices is how many are remembered, in a ring. Guessed.
const keptNotices = 50

// notices remembers what came of the last actions, so that the page after one can say so, and later ones, too.
type notices struct {
	// Guarded by mu.
	mu   sync.Mutex
	list []Notice // the newest last
	ids  []string
}

// add remembers one and returns the name under which find finds it.
func (n *notices) add(note Notice) string {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails, see crypto/rand
	id := hex.EncodeToString(random)
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.list) == keptNotices {
		n.list = append(n.list[:0], n.list[1:]...)
		n.ids = append(n.ids[:0], n.ids[1:]...)
	}
	n.list, n.ids = append(n.list, note), append(n.ids, id)
	return id
}

func (n *notices) find(id string) *Notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.ids {
		if n.ids[i] == id {
			note := n.list[i]
			return &note
		}
	}
	return nil
}

// last returns up to limit of them, the newest first.
func (n *notices) last(limit int) (list []Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := len(n.list) - 1; i >= 0 && len(list) < limit; i-- {
		list = append(list, n.list[i])
	}
	return list
}
