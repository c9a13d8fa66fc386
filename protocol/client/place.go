package client

import (
	"fmt"
	"time"

	"weft/crdt"
	"weft/protocol/weftv1"
)

// This file holds what a session says to the server and hears from it. The connection's writer calls collect, its
// reader the rest.

// updateSpare is how many bytes an Update takes beside the bytes of its update, at most.
const updateSpare = 64

// collect returns what the session has to say now.
func (s *Session) collect(l *link, now time.Time) []*weftv1.ClientEnvelope {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.poke()
	switch {
	case s.ended:
		return nil
	case s.place == placeNone:
		if s.quit || now.Before(s.wait) || s.waitToken {
			return nil
		}
		s.place, s.newToken = placeJoining, false
		return []*weftv1.ClientEnvelope{weftv1.ClientEnvelope_builder{Ref: s.ref, Join: s.join(l)}.Build()}
	case s.place == placeLive:
		return s.collectLive(l, now)
	default:
		return nil
	}
}

// join describes what the session wants and has.
func (s *Session) join(l *link) *weftv1.Join {
	j := weftv1.Join_builder{
		Room:     s.room,
		ReadOnly: s.o.ReadOnly,
		Presence: true,
		Version:  weftv1.Version_VERSION_V1,
		Ack:      weftv1.Durability_DURABILITY_DURABLE,
		Token:    s.token,
	}
	if s.o.Window > 0 && l.flow {
		j.WindowBytes = uint32(s.o.Window)
	}
	if sv := s.doc.StateVector(); len(sv) > 0 {
		j.StateVector = sv.Append(nil)
	}
	if s.position != (Position{}) {
		j.Resume = weftv1.Position_builder{Epoch: s.position.Epoch, Seq: s.position.Seq}.Build()
	}
	return j.Build()
}

// collectLive is collect for a session that is in the room.
func (s *Session) collectLive(l *link, now time.Time) (out []*weftv1.ClientEnvelope) {
	if s.quit || s.reload {
		s.place = placeLeaving
		return append(out, weftv1.ClientEnvelope_builder{Ref: s.ref + 1, Leave: weftv1.Leave_builder{RoomId: s.roomID}.Build()}.Build())
	}
	if s.newToken {
		s.newToken = false
		refresh := weftv1.Refresh_builder{Token: s.token, RoomId: s.roomID}.Build()
		out = append(out, weftv1.ClientEnvelope_builder{Ref: s.ref + 1, Refresh: refresh}.Build())
	}
	if l.flow && s.o.Window > 0 && s.credit >= s.o.Window/4 {
		flow := weftv1.Flow_builder{RoomId: s.roomID, Bytes: uint32(s.credit)}.Build()
		out, s.credit = append(out, weftv1.ClientEnvelope_builder{Flow: flow}.Build()), 0
	}
	if !now.Before(s.wait) {
		out = s.collectUpdates(l, out)
	}
	for _, p := range s.presence.take(s.doc.ClientID()) {
		p.SetRoomId(s.roomID)
		out = append(out, weftv1.ClientEnvelope_builder{Ref: s.ref + 1, SetPresence: p}.Build())
	}
	for _, data := range s.signals {
		signal := weftv1.Signal_builder{RoomId: s.roomID, Data: data}.Build()
		out = append(out, weftv1.ClientEnvelope_builder{Ref: s.ref + 1, Signal: signal}.Build())
	}
	s.signals = nil
	return out
}

// collectUpdates appends the edits that may be sent now.
func (s *Session) collectUpdates(l *link, out []*weftv1.ClientEnvelope) []*weftv1.ClientEnvelope {
	for {
		next, ok := s.queue.take(int(l.limits.GetMaxUnackedUpdates()))
		if !ok {
			return out
		}
		if most := uint64(l.limits.GetMaxMessageBytes()); most > 0 && uint64(len(next.update))+updateSpare > most {
			s.discard(&RefusedError{Code: CodeTooLarge, Room: s.room, Message: fmt.Sprintf("an edit of %d bytes, of at most %d", len(next.update), most)})
			s.client.wake()
			return out
		}
		out = append(out, weftv1.ClientEnvelope_builder{Update: weftv1.Update_builder{
			RoomId: s.roomID, Id: next.id, Updates: [][]byte{next.update}, Version: weftv1.Version_VERSION_V1,
		}.Build()}.Build())
	}
}

// joined takes the answer to Join. An error is that of the server's data.
func (s *Session) joined(j *weftv1.Joined) error {
	server, err := crdt.DecodeStateVector(j.GetStateVector())
	if err != nil && len(j.GetStateVector()) > 0 {
		return fmt.Errorf("room %q: state vector: %w", s.room, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.poke()
	if s.ended || s.place != placeJoining {
		return nil
	}
	if err := s.apply(j.GetUpdate(), j.GetVersion(), len(s.doc.StateVector()) == 0); err != nil {
		return err
	}
	s.position = positionOf(j.GetPosition())
	s.place, s.roomID, s.credit, s.rejected = placeLive, j.GetRoomId(), 0, 0
	s.queue.connect(s.doc, server)
	s.setAccess(j.GetAccess(), j.GetExpiresMs(), "")
	s.notes.live = true
	s.presence.renew()
	s.notes.people(s.presence.hear(j.GetPeers(), true, s.doc.ClientID()))
	select {
	case <-s.synced:
	default:
		close(s.synced)
	}
	s.client.wake()
	return nil
}

// apply makes what the server sent part of the document. A whole one may be larger than a change.
func (s *Session) apply(update []byte, v weftv1.Version, whole bool) error {
	if len(update) == 0 {
		return nil
	}
	version := crdt.V1
	if v == weftv1.Version_VERSION_V2 {
		version = crdt.V2
	}
	load := s.doc.Apply
	if whole {
		load = s.doc.Load
	}
	applied, err := load(update, version)
	if err != nil {
		return fmt.Errorf("room %q: apply the server's update: %w", s.room, err)
	}
	s.notes.changed = s.notes.changed || applied.Changed
	return nil
}

// updated takes changes that others have made.
func (s *Session) updated(u *weftv1.Updated) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.poke()
	if s.place != placeLive || s.reload {
		return nil
	}
	if err := s.apply(u.GetUpdate(), u.GetVersion(), false); err != nil {
		return err
	}
	s.position = positionOf(u.GetPosition())
	if s.credit += len(u.GetUpdate()); s.credit >= s.o.Window/4 {
		s.client.wake()
	}
	if s.queue.unsaved() {
		s.client.wake() // tidying up formats is an edit
	}
	return nil
}

// acked takes the word that edits are saved.
func (s *Session) acked(a *weftv1.Ack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.poke()
	if s.place != placeLive {
		return
	}
	if !s.queue.ack(a.GetId()) {
		return
	}
	s.savedAt = positionOf(a.GetPosition())
	s.notes.saved = true
	s.backoff.reset()
	s.answer(nil)
	s.client.wake()
}

// refused takes the refusal of something that the session sent under ref.
func (s *Session) refused(ref uint32, r *weftv1.Refused) {
	e := refusal(r, s.room)
	s.mu.Lock()
	switch id := r.GetUpdateId(); {
	case id != 0 && s.place == placeLive && s.queue.has(id):
		s.updateRefused(id, e)
	case id != 0:
	case ref == s.ref && s.place == placeJoining:
		s.place = placeNone
		s.outside(e)
	case e.Code != CodeNotFound: // it crossed the end of the place
		s.notes.refuse(e)
	}
	s.mu.Unlock()
	s.poke()
	s.client.wake()
	s.endIfLeft()
}

// updateRefused sends an edit again later, or gives the local copy up.
func (s *Session) updateRefused(id uint64, e *RefusedError) {
	if !e.Retry {
		s.discard(e)
		s.client.wake()
		return
	}
	s.queue.recall(id)
	s.pause(e.After)
	s.notes.refuse(e)
}

// discard replaces the local copy by an empty one, which is filled by joining again.
func (s *Session) discard(e *RefusedError) {
	final := *e
	final.Retry = false
	d := Discarded{Err: &final, State: s.doc.AppendDiff(nil, nil, crdt.V1)}
	d.Edits = s.queue.discard()
	s.notes.discarded = append(s.notes.discarded, d)
	s.notes.changed, s.notes.saved = true, true
	s.answer(&final)
	s.position = Position{}
	s.reload = true
	o := s.o.Doc
	o.ClientID = 0
	s.adopt(crdt.New(o))
}

// left takes the end of the place.
func (s *Session) left(l *weftv1.Left) {
	s.mu.Lock()
	asked := s.place == placeLeaving
	s.place = placeNone
	s.lostPlace()
	if !asked && l.HasReason() {
		s.outside(refusal(l.GetReason(), s.room))
	} else if !asked {
		s.pause(0)
	}
	s.mu.Unlock()
	s.poke()
	s.client.wake()
	s.endIfLeft()
}

// outside decides what follows when the server does not let the session in, or any longer.
func (s *Session) outside(e *RefusedError) {
	again := e.Code == CodeUnauthorized && s.rejected == 0 && (s.o.Token != nil || s.client.o.Token != nil)
	switch {
	case again:
		s.rejected++
		s.needToken()
	case e.Retry:
		s.pause(e.After)
		s.notes.refuse(e)
	default:
		s.verdict = e
	}
}

// pause has nothing sent for the room until the server's or the own time has passed.
func (s *Session) pause(told time.Duration) {
	d := s.backoff.after(told)
	s.wait = time.Now().Add(d)
	if s.alarm != nil {
		s.alarm.Stop()
	}
	s.alarm = time.AfterFunc(d, s.client.wake)
}

// heard takes what became of others.
func (s *Session) heard(p *weftv1.Presence) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.poke()
	if s.place != placeLive {
		return
	}
	s.notes.people(s.presence.hear(p.GetPeers(), false, s.doc.ClientID()))
	if s.presence.dirty {
		s.client.wake()
	}
}

// signal takes a message of another client.
func (s *Session) signal(m *weftv1.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes.signal(m.GetData())
	s.poke()
}

// accessChanged takes what the client may do from here on.
func (s *Session) accessChanged(a *weftv1.AccessChanged) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setAccess(a.GetAccess(), a.GetExpiresMs(), a.GetReason())
	if a.GetRefresh() {
		s.askToken()
	}
	s.poke()
}

func (s *Session) setAccess(a weftv1.Access, expiresMs int64, reason string) {
	next := Access{Write: a == weftv1.Access_ACCESS_WRITE, Expires: unixMilli(expiresMs), Reason: reason}
	if next != s.access {
		s.access, s.notes.access = next, true
	}
}

// disconnected says that the connection is gone, and the place with it.
func (s *Session) disconnected() {
	s.mu.Lock()
	if s.place != placeNone {
		s.place = placeNone
		s.lostPlace()
	}
	s.mu.Unlock()
	s.poke()
	s.endIfLeft()
}

// lostPlace forgets what belonged to a place.
func (s *Session) lostPlace() {
	s.queue.disconnect()
	s.signals = nil
	s.presence.said = 0
	s.notes.people(s.presence.disconnect())
	s.notes.live = true
	s.reload = false
}

// endIfLeft ends the session when Close waits for that, or the server wants no more of it.
func (s *Session) endIfLeft() {
	s.mu.Lock()
	var err error
	switch {
	case s.place != placeNone:
	case s.verdict != nil:
		err = s.verdict
	case s.quit:
		err = ErrClosed
	}
	s.mu.Unlock()
	if err != nil {
		s.end(err)
	}
}

func positionOf(p *weftv1.Position) Position {
	return Position{Epoch: p.GetEpoch(), Seq: p.GetSeq()}
}
