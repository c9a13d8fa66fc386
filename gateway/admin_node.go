package gateway

import (
	"context"
	"errors"
	"net/http"

	"weft/protocol"
)

// Refusals of what an operator wants to do to the node.
var (
	errNoCheckpoint = &refusal{http.StatusNotFound, "no_checkpoint", "rooms are not saved by this server", 0}
	errNoShutdown   = &refusal{http.StatusNotFound, "no_shutdown", "this server cannot be taken out of service from here; send its process SIGTERM", 0}
)

// checkpointer are Rooms that can be told to save one.
type checkpointer interface {
	// CheckpointDue has a room saved soon. It does not block.
	CheckpointDue(name string)
}

// adminCheckpoint is POST /admin/checkpoint: a room's state is written to a snapshot soon, so that its part of the log
// may be forgotten. A cold room is opened for it.
func (s *Server) adminCheckpoint(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Room string `json:"room"`
	}
	if !s.readAdmin(w, r, &q) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), adminTime)
	defer cancel()
	if f := s.checkpoint(ctx, q.Room); f != nil {
		s.refuse(w, r, f)
		return
	}
	writeJSON(w, http.StatusAccepted, struct{}{})
}

func (s *Server) checkpoint(ctx context.Context, name string) *refusal {
	rooms, ok := s.o.Rooms.(checkpointer)
	if !ok {
		return errNoCheckpoint
	}
	if err := protocol.CheckRoomName(name); err != nil {
		return badRequest(err)
	}
	st, err := s.o.Rooms.Status(ctx, name)
	switch {
	case err != nil:
		return roomRefusal(err)
	case st.Damage != "":
		return badRequest(errors.New("the room is set aside and must not be written"))
	}
	rooms.CheckpointDue(name)
	a := AdminAction{Verb: "checkpoint"}
	a.Subject.Room = name
	s.administered(a)
	return nil
}

// adminDrain is POST /admin/drain with {}: clients are told to come back elsewhere or later, rooms are saved, and the
// process ends, as after SIGTERM. The answer comes when it has begun.
func (s *Server) adminDrain(w http.ResponseWriter, r *http.Request) {
	var q struct{}
	if !s.readAdmin(w, r, &q) {
		return
	}
	if f := s.shutdown(); f != nil {
		s.refuse(w, r, f)
		return
	}
	writeJSON(w, http.StatusAccepted, struct{}{})
}

func (s *Server) shutdown() *refusal {
	if s.o.Shutdown == nil {
		return errNoShutdown
	}
	s.administered(AdminAction{Verb: "drain", Affected: s.Conns()})
	s.o.Shutdown()
	return nil
}
